package run

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

// edgeDataRequest is an additional file that asks for edgedata in the given file: of the option for it, not all versions of SUMO know
// the period. Edges without traffic are left out, as they would be most of a large network's file. Where SUMO validates all files, it
// names its schema.
func edgeDataRequest(file string, period float64, validated bool) []byte {
	var b bytes.Buffer
	b.WriteString(`<additional`)
	if validated {
		b.WriteString(` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" ` +
			`xsi:noNamespaceSchemaLocation="http://sumo.dlr.de/xsd/additional_file.xsd"`)
	}
	b.WriteString(`><edgeData id="edgedata" excludeEmpty="true" period="` + strconv.FormatFloat(period, 'f', -1, 64) + `" file="`)
	_ = xml.EscapeText(&b, []byte(file)) // a bytes.Buffer takes all
	b.WriteString("\"/></additional>\n")
	return b.Bytes()
}

// edgeDataIntervals is the most intervals that a run is divided into: as many as a person steps through.
const edgeDataIntervals = 100

// edgeDataPeriods are the lengths of an interval, in seconds. In less than a minute, one cycle of a signal, counts are
// random.
var edgeDataPeriods = []float64{60, 120, 300, 600, 900, 1800, 3600}

// edgeDataPeriod is the shortest that divides the run into few enough intervals. A run without an end gets the third,
// with which a day has 288 intervals.
func (s settings) edgeDataPeriod() float64 {
	if s.end == nil {
		return edgeDataPeriods[2]
	}
	for _, period := range edgeDataPeriods {
		if (*s.end-s.begin)/period <= edgeDataIntervals {
			return period
		}
	}
	longest := edgeDataPeriods[len(edgeDataPeriods)-1]
	return longest * math.Ceil((*s.end-s.begin)/longest/edgeDataIntervals)
}

// arguments are the command line options, which override those of the scenario's configuration: only what this run was asked for,
// and what progress and judgement depend on. Options cannot be unset, so unwanted ones are set to their neutral values.
func (r Run) arguments(s settings) []string {
	args := []string{
		// A TraCI server would listen on all addresses, wait for a client, and ignore SIGTERM meanwhile.
		"--remote-port=0",
		"--no-step-log=false", "--step-log.period=" + strconv.Itoa(s.logPeriod()), "--duration-log.disable=false",
		"--duration-log.statistics=true", "--no-warnings=false",
		"--verbose=true", // as the statistics make it, unless the scenario says otherwise: without it SUMO gives no reason for its end
		// A missing file of settings for the graphical interface is fatal even without one.
		"--gui-settings-file=/dev/null",
	}
	if s.since("1.18") {
		// Another language would translate what the end is read from, and its name can be a folder of the scenario with other words.
		args = append(args, "--language=C")
	}
	if s.since("1.20") {
		args = append(args, "--log.timestamps=false", "--log.processid=false")
	}
	for _, option := range s.autoValidation {
		args = append(args, "--"+option+"=local") // auto is the same, but asks the web for schemas
	}
	if r.valid && !s.validates {
		for _, option := range validation {
			args = append(args, "--"+option+"=never")
		}
	}
	if r.Options.Seed != nil {
		args = append(args, "--random=false", "--seed="+strconv.FormatInt(*r.Options.Seed, 10))
	}
	if r.Options.UnfinishedTrips {
		args = append(args, "--"+unfinishedTrips+"=true")
	}
	for _, o := range r.added(s) {
		if o != simulation.OutputEdgeData {
			args = append(args, "--"+ownOption(o)+"="+filepath.Join(r.Work, s.addedPath(o)))
		}
	}
	if r.adds(s, simulation.OutputEmission) {
		// Adds each trip's emissions to tripinfo, from which the summary takes the totals.
		args = append(args, "--device.emissions.probability=1")
	}
	if r.Options.Check && !s.resumes {
		// Vehicles that wait for others to leave, or draw a later time, would not be examined.
		args = append(args, "--max-num-vehicles=-1", "--random-depart-offset=0", "--eager-insert=false")
		if !s.chosenRouter {
			args = append(args, "--routing-algorithm=astar") // finds a route where Dijkstra's does, in half the time
		}
	}
	if r.records(s) && !r.hasProgram() { // each SUMO of a program gets its own: see program.Rules
		for _, option := range r.replayAsked().Options(s.begin, s.stepLength) {
			args = append(args, "--"+option)
		}
	}
	for _, o := range []struct {
		name  string
		value *float64
	}{
		{"begin", r.Options.Begin}, {"end", r.Options.End}, {"step-length", r.Options.StepLength}, {"scale", r.Options.Scale},
	} {
		if o.value != nil {
			args = append(args, "--"+o.name+"="+strconv.FormatFloat(*o.value, 'f', -1, 64))
		}
	}
	return args
}

// command calls SUMO on a configuration, named relative to the run's folder.
func (r Run) command(config string, args []string) (*exec.Cmd, error) {
	// SUMO writes some outputs beside its configuration and decodes percent signs in their paths, so the path must not include the
	// work folder; ./ keeps it a path even if a folder is called "file:". Elsewhere it would show in outputs.
	if !scenario.Portable(config) {
		config = "./" + config
	}
	return r.program(append([]string{"--configuration-file=" + config}, args...)...)
}

// binary is the absolute path of SUMO's own file, with symbolic links resolved: its own libraries lie beside that file.
func (r Run) binary() (string, error) {
	binary, err := exec.LookPath(r.Binary)
	if err != nil {
		return "", err
	}
	if binary, err = filepath.EvalSymlinks(binary); err != nil {
		return "", err
	}
	return filepath.Abs(binary)
}

// lineBuffer and manyBuffer, in bytes, are how much SUMO may hold back of its step lines, of some 90 bytes each: alone, and as one of
// several runs. SUMO writes them in four parts: without a buffer these are 1,200 writes, and as many wake-ups of ours, in a run of 300
// steps that takes 20 ms. A thousandth of a run is one line at least.
const (
	lineBuffer = 256
	manyBuffer = 1024
)

// buffering is the environment that sets the buffer of SUMO's step lines. SUMO writes them through C's stdout, which is fully buffered on
// a pipe: they would arrive some forty at a time, and a slow run would look dead for minutes. A terminal does not help (its buffer holds
// eleven lines). coreutils' library sets the buffer, as its program stdbuf has it do. Without that library only the progress is coarser,
// which does not matter to a brief run: loading the library takes SUMO a millisecond.
func (r Run) buffering() []string {
	if r.brief {
		return nil
	}
	library := filepath.Join(bufferLibrary, "libstdbuf.so")
	if _, err := os.Stat(library); err != nil {
		return nil
	}
	size := lineBuffer
	switch {
	case r.Options.Check: // it ends after the second line
		size = 0
	case r.study:
		size = manyBuffer
	}
	return []string{"LD_PRELOAD=" + library, "_STDBUF_O=" + strconv.Itoa(size)}
}

// program calls SUMO in the run's folder.
func (r Run) program(args ...string) (*exec.Cmd, error) {
	binary, err := r.binary()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(binary, args...)
	cmd.Dir = filepath.Join(r.Work, runFolder)
	// Nothing of our own environment, which may hold credentials, reaches a program that reads untrusted files.
	cmd.Env = append([]string{"SUMO_HOME=" + r.Home, "LC_ALL=C.UTF-8"}, r.buffering()...)
	return cmd, nil
}

// settings are what a run needs to know about its configuration.
type settings struct {
	version    string   // of SUMO, "1.28"
	additional []string // files, by path inside the scenario
	routes     []string // files, by path inside the scenario
	begin      float64  // seconds
	end        *float64 // seconds; nil when the run ends with its last vehicle
	stepLength float64  // seconds
	scale      float64

	own            map[simulation.Output]string // the scenario's own outputs, by path inside the scenario
	messages       []string                     // files of messages, by path inside the scenario
	prefix, suffix string                       // of the names of all outputs
	format         string                       // of all outputs; empty for one that follows the name
	unfinished     bool                         // trips count in tripinfo and means
	routeSteps     float64                      // for how many seconds SUMO reads routes ahead; all before the first step if not positive
	resumes        bool                         // from a state, whose time becomes the begin
	chosenRouter   bool                         // the scenario names its routing algorithm
	attributes     []simulation.Attribute       // that are set in the run's own copies of files
	enough         int                          // step lines after which the run may end; 0 for one that goes on to its end
	autoValidation []string                     // options of validation that may ask the web
	validates      bool                         // as the scenario wants
	validatesAll   bool                         // even files that name no schema, which fail
	unrecorded     string                       // why a program's SUMO is not recorded; empty where nothing is known against it
}

// validation are the options that say which files SUMO validates against their schemas, in this order: networks and routes are not among
// those of the first.
var validation = [...]string{"xml-validation", "xml-validation.net", "xml-validation.routes"}

// unfinishedTrips is the option that counts trips which the end cuts off.
const unfinishedTrips = "tripinfo-output.write-unfinished"

// settingsOf reads the settings from a configuration's options. SUMO reports values that it rejects.
func settingsOf(c scenario.Config) settings {
	s := settings{stepLength: 1, scale: 1, routeSteps: scenario.DefaultRouteSteps, own: ownRoles(c)}
	for _, o := range c.Options {
		switch o.Name {
		case additionalFiles:
			s.additional = o.Files
		case "route-files":
			s.routes = o.Files
		case "step-length":
			s.stepLength = positive(o, s.stepLength)
		case "scale":
			s.scale = positive(o, s.scale)
		case "log", "message-log", "error-log":
			s.messages = append(s.messages, o.Files...)
		case "output-prefix":
			s.prefix = o.Value
		case "output-suffix":
			s.suffix = o.Value
		case "output.format":
			s.format = o.Value
		case unfinishedTrips:
			s.unfinished = isTrue(o.Value)
		case validation[0], validation[1], validation[2]:
			s.validates = true
			if o.Value == "auto" {
				s.autoValidation = append(s.autoValidation, o.Name)
			}
			s.validatesAll = s.validatesAll || o.Name == "xml-validation" && o.Value == "always"
		case "routing-algorithm":
			s.chosenRouter = true
		case "load-state":
			s.resumes = true
		case "route-steps":
			if steps, ok := o.Number(); ok {
				s.routeSteps = steps
			}
		}
	}
	return s
}

// isTrue reads a boolean as SUMO does.
func isTrue(value string) bool {
	return slices.Contains([]string{"1", "yes", "true", "on", "x", "t"}, strings.ToLower(strings.TrimSpace(value)))
}

// since reports whether the SUMO that runs is of the given version or newer.
func (s settings) since(version string) bool { return release.Compare(s.version, version) >= 0 }

func positive(o scenario.Option, otherwise float64) float64 {
	if n, ok := o.Number(); ok && n > 0 {
		return n
	}
	return otherwise
}

const additionalFiles = "additional-files"

// configName is the name of the configuration that SUMO reads, in the folder of the uploaded one. Underscores are prepended if
// the scenario has a file of that name.
const configName = "sumo-run.sumocfg"

// writeConfig writes the configuration for SUMO, where SUMO cannot change it. Options that args set are omitted: they would have no
// effect, and not all of them are safe to pass on.
func (r Run) writeConfig(chosen scenario.Config, s settings, args []string) error {
	if r.adds(s, simulation.OutputEdgeData) {
		chosen.Options = withFile(chosen.Options, additionalFiles, filepath.Join(r.Work, edgeDataFile))
	}
	if r.records(s) {
		chosen.Options = slices.DeleteFunc(slices.Clone(chosen.Options), ofReplay)
		chosen.Options = withFile(chosen.Options, additionalFiles, filepath.Join(r.Work, replayRequestFile))
	}
	folder := filepath.Join(r.Work, runFolder)
	locate := func(file string, writes bool) string {
		// Since 1.25 SUMO puts the folder of a route file before names that vehicles give (device.ssm.file), and writes them so into
		// routes and saved states: with the work folder, these would differ from run to run and could not be loaded elsewhere.
		if name, ok := chosen.Near(file); ok && !writes {
			return name
		}
		return filepath.Join(folder, file)
	}
	text, err := chosen.Encode(locate, func(option string) bool {
		return slices.ContainsFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "--"+option+"=") })
	})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.Work, configFile), text, 0o644)
}

// linkConfig links the configuration for SUMO into SUMO's working folder and returns its path there: where the uploaded one was, since some
// outputs go beside it.
func (r Run) linkConfig(chosen scenario.Config) (string, error) {
	run, err := os.OpenRoot(filepath.Join(r.Work, runFolder))
	if err != nil {
		return "", err
	}
	defer run.Close()
	dir := path.Dir(chosen.Path)
	if err := run.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for name := configName; ; name = "_" + name {
		err := run.Symlink(filepath.Join(r.Work, configFile), path.Join(dir, name))
		if !errors.Is(err, fs.ErrExist) {
			return path.Join(dir, name), err
		}
	}
}

// withFile returns options with file appended to the files of option name.
func withFile(options []scenario.Option, name, file string) []scenario.Option {
	options = slices.Clone(options)
	for i, o := range options {
		if o.Name == name {
			options[i].Files = append(slices.Clone(o.Files), file)
			return options
		}
	}
	return append(options, scenario.Option{Name: name, Files: []string{file}})
}

// apply sets the interval that will be simulated: the options', else the configuration's.
func (s *settings) apply(c scenario.Config, o simulation.Options) {
	i := c.Interval(o.Begin, o.End)
	if s.begin, s.end = i.Begin, nil; !math.IsInf(i.End, 1) {
		s.end = &i.End
	}
	if o.StepLength != nil {
		s.stepLength = *o.StepLength
	}
	if o.Scale != nil {
		s.scale = *o.Scale
	}
	s.unfinished = s.unfinished || o.UnfinishedTrips
	s.attributes = o.Attributes
}

func (s settings) interval() string {
	if s.end == nil {
		return fmt.Sprintf(", from %g s until all vehicles have left", s.begin)
	}
	return fmt.Sprintf(", from %g s to %g s", s.begin, *s.end)
}

// Step lines per run: a thousand are as many as progress can show, at no measurable cost.
const (
	stepLines = 1000
	// openEndPeriod, in steps, is for a run whose length is unknown.
	openEndPeriod = 10
)

func (s settings) logPeriod() int {
	if s.enough > 0 {
		return 1
	}
	if s.end == nil {
		return openEndPeriod
	}
	steps := (*s.end - s.begin) / s.stepLength
	return int(math.Max(1, math.Min(math.Ceil(steps/stepLines), 1e6)))
}
