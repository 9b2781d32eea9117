package sumo

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// outputFiles are the outputs that a command line option asks for. The big ones are compressed: gzip shrinks them 5 to
// 20 times, at less cost than writing the difference.
var outputFiles = []struct {
	output       simulation.Output
	option, name string
}{
	{simulation.OutputSummary, "summary-output", "summary.xml"},
	{simulation.OutputTripinfo, "tripinfo-output", "tripinfo.xml"},
	{simulation.OutputStatistics, "statistic-output", "statistics.xml"},
	{simulation.OutputFCD, "fcd-output", "fcd.xml.gz"},
	{simulation.OutputEmission, "emission-output", "emission.xml.gz"},
	{simulation.OutputQueue, "queue-output", "queue.xml.gz"},
	{simulation.OutputLaneChange, "lanechange-output", "lanechange.xml.gz"},
	{simulation.OutputEdgeData, "", edgeDataOutput},
}

const edgeDataOutput = "edgedata.xml.gz"

// edgeDataRequest is an additional file: SUMO has no option for edgedata in all its versions that we run. Edges on which
// nobody was are left out, as they would be most of a large network's file.
func edgeDataRequest(out string, period float64) []byte {
	var b bytes.Buffer
	b.WriteString(`<additional><edgeData id="edgedata" excludeEmpty="true" period="` + strconv.FormatFloat(period, 'f', -1, 64) + `" file="`)
	_ = xml.EscapeText(&b, []byte(filepath.Join(out, edgeDataOutput))) // a bytes.Buffer takes all
	b.WriteString("\"/></additional>\n")
	return b.Bytes()
}

// edgeDataIntervals is how many intervals a run is divided into at most: as many as a person steps through.
const edgeDataIntervals = 100

// edgeDataPeriods are the lengths of an interval, in seconds. Within less than a minute, one cycle of a signal, chance
// decides what is counted.
var edgeDataPeriods = []float64{60, 120, 300, 600, 900, 1800, 3600}

// edgeDataPeriod is the shortest that divides the run into few enough intervals. A run without an end gets the third, with
// which a whole day has 288.
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

func (r Run) wants(o simulation.Output) bool {
	return slices.Contains(simulation.DefaultOutputs(), o) || slices.Contains(r.Options.Outputs, o)
}

// outputNames are the files, in the output folder, that the run has asked SUMO for.
func (r Run) outputNames() []string {
	var names []string
	for _, f := range outputFiles {
		if r.wants(f.output) {
			names = append(names, f.name)
		}
	}
	return names
}

func (r Run) seed() int64 {
	if r.Options.Seed != nil {
		return *r.Options.Seed
	}
	return simulation.DefaultSeed
}

// command is the call of SUMO. An option on the command line beats the same option in the configuration, but none can be
// unset, so what is unwanted is set to its neutral value.
func (r Run) command(s settings) (*exec.Cmd, error) {
	args := []string{
		"--configuration-file=" + s.config,
		// Validation would read external entities and fetch schemas from the network.
		"--xml-validation=never", "--xml-validation.net=never", "--xml-validation.routes=never",
		// A TraCI server would listen on all addresses, wait for a client, and not heed SIGTERM meanwhile.
		"--remote-port=0",
		// random beats seed; a run is to be repeatable.
		"--random=false", "--seed=" + strconv.FormatInt(r.seed(), 10),
		// More threads made runs slower; a machine is better used by more runs.
		"--threads=1",
		// What progress and judgement are read from.
		"--no-step-log=false", "--step-log.period=" + strconv.Itoa(s.logPeriod()), "--duration-log.disable=false",
		"--duration-log.statistics=true", "--human-readable-time=false", "--no-warnings=false",
		// A missing file of settings for the graphical interface is fatal even without one.
		"--gui-settings-file=/dev/null",
		// A prefix would also change the names of our outputs.
		"--output-prefix=",
		// Without the trips that are still under way at the end, congested runs would look better than they are.
		"--tripinfo-output.write-unfinished=true",
	}
	for _, f := range outputFiles {
		if f.option != "" && r.wants(f.output) {
			args = append(args, "--"+f.option+"="+filepath.Join(r.Work, resultFolder, f.name))
		}
	}
	if r.wants(simulation.OutputEmission) {
		// Adds each trip's emissions to tripinfo, from which the summary takes the totals.
		args = append(args, "--device.emissions.probability=1")
	}
	if r.wants(simulation.OutputEdgeData) {
		// The option replaces the configuration's list, so it must repeat it. The name is relative to the scenario's
		// folder, where SUMO runs: a comma in the path of the work folder would split it.
		args = append(args, "--additional-files="+strings.Join(append(slices.Clone(s.additional), "../"+edgeDataFile), ","))
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

	return r.program(args...)
}

// program is a call of SUMO in the run's folder.
func (r Run) program(args ...string) (*exec.Cmd, error) {
	binary, err := exec.LookPath(r.Binary)
	if err != nil {
		return nil, err
	}
	if binary, err = filepath.Abs(binary); err != nil {
		return nil, err
	}
	// SUMO writes its step lines through C's stdout, which is fully buffered on a pipe: they would arrive some forty at a
	// time, and a slow run would look dead for minutes. A terminal is no way out (its buffer holds eleven lines).
	// stdbuf, of coreutils, sets the buffer through a preloaded library and becomes SUMO by exec, so there is no further
	// process. Measured over 23,000 step lines: each arrives alone, and the run takes no longer than with a terminal.
	// Where stdbuf is missing the run is the same, and only its progress is coarser.
	if stdbuf, err := exec.LookPath("stdbuf"); err == nil {
		args = append([]string{"-o0", binary}, args...)
		binary = stdbuf
	}
	cmd := exec.Command(binary, args...)
	cmd.Dir = filepath.Join(r.Work, runFolder)
	// Nothing of our own environment, which may hold credentials, reaches a program that reads untrusted files.
	cmd.Env = []string{"SUMO_HOME=" + r.Home, "LC_ALL=C.UTF-8"}
	return cmd, nil
}

// settings are what we must know of the configuration that runs.
type settings struct {
	config     string   // by path inside the scenario
	additional []string // files, by path inside the scenario
	routes     []string // files, by path inside the scenario
	begin      float64  // seconds
	end        *float64 // seconds; nil when the run ends with its last vehicle
	stepLength float64  // seconds
	scale      float64
}

// optionNames maps the names of the options in settings, and their synonyms, to one name each.
var optionNames = map[string]string{
	"additional-files": "additional-files", "additional": "additional-files", "a": "additional-files",
	"route-files": "route-files", "routes": "route-files", "r": "route-files",
	"step-length": "step-length", "scale": "scale",
}

// maxConfig bounds the size of a configuration: a thousand options are 100 KB.
const maxConfig = 8 << 20

// readSettings reads the options that scenario.Config does not carry. A value stands in an attribute or in the text
// of its element; sections around the options do not matter.
func readSettings(root *os.Root, config string) (settings, error) {
	s := settings{config: config, stepLength: 1, scale: 1}
	f, err := root.Open(config)
	if err != nil {
		return s, err
	}
	defer f.Close()
	d := xml.NewDecoder(plainText(io.LimitReader(f, maxConfig)))
	d.CharsetReader = charsetReader
	values := map[string]string{}
	set := func(name, value string) {
		name, value = optionNames[name], strings.TrimSpace(value)
		if _, known := values[name]; name != "" && value != "" && !known {
			values[name] = value
		}
	}
	element := ""
	for {
		token, err := d.RawToken()
		if err == io.EOF {
			break
		}
		if err != nil {
			return s, problem.Wrap(err, problem.ScenarioInvalid, "The configuration %s is not well-formed XML: %v. Mend it, and upload again.", config, err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			element = t.Name.Local
			for _, a := range t.Attr {
				if a.Name.Local == "value" || a.Name.Local == "v" {
					set(element, a.Value)
				}
			}
		case xml.CharData:
			set(element, string(t))
		case xml.EndElement:
			element = ""
		}
	}
	list := func(name string) []string {
		var files []string
		for _, file := range strings.Split(values[name], ",") {
			if file = strings.TrimSpace(file); file != "" {
				files = append(files, path.Join(path.Dir(config), file))
			}
		}
		return files
	}
	s.additional, s.routes = list("additional-files"), list("route-files")
	if v, err := strconv.ParseFloat(values["step-length"], 64); err == nil && v > 0 {
		s.stepLength = v
	}
	if v, err := strconv.ParseFloat(values["scale"], 64); err == nil && v > 0 {
		s.scale = v
	}
	return s, nil
}

// plainText turns UTF-16, with or without its byte order mark, into UTF-8, and drops the mark. All else is left to what
// the XML declaration says.
func plainText(r io.Reader) io.Reader {
	in := bufio.NewReader(r)
	otherwise := transform.Transformer(transform.Nop)
	switch first, _ := in.Peek(2); string(first) {
	case "<\x00":
		otherwise = unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewDecoder()
	case "\x00<":
		otherwise = unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM).NewDecoder()
	}
	return transform.NewReader(in, unicode.BOMOverride(otherwise))
}

// charsetReader knows the encodings that scenario.Inspect lets pass, besides UTF-8.
func charsetReader(label string, r io.Reader) (io.Reader, error) {
	switch strings.ToLower(label) {
	case "us-ascii", "ascii", "utf-16", "utf-16le", "utf-16be": // plainText has seen to UTF-16
		return r, nil
	case "iso-8859-1", "latin1":
		return charmap.ISO8859_1.NewDecoder().Reader(r), nil
	case "iso-8859-2":
		return charmap.ISO8859_2.NewDecoder().Reader(r), nil
	case "iso-8859-15":
		return charmap.ISO8859_15.NewDecoder().Reader(r), nil
	case "windows-1250":
		return charmap.Windows1250.NewDecoder().Reader(r), nil
	case "windows-1251":
		return charmap.Windows1251.NewDecoder().Reader(r), nil
	case "windows-1252", "cp1252":
		return charmap.Windows1252.NewDecoder().Reader(r), nil
	default:
		return nil, fmt.Errorf("the encoding %q is not supported", label)
	}
}

// apply sets the interval that will be simulated: the options', else the configuration's.
func (s *settings) apply(c scenario.Config, o simulation.Options) {
	if c.Begin != nil {
		s.begin = *c.Begin
	}
	if o.Begin != nil {
		s.begin = *o.Begin
	}
	if s.end = c.End; o.End != nil {
		s.end = o.End
	}
	if s.end != nil && *s.end < 0 { // SUMO's -1: no end
		s.end = nil
	}
	if o.StepLength != nil {
		s.stepLength = *o.StepLength
	}
	if o.Scale != nil {
		s.scale = *o.Scale
	}
}

func (s settings) interval() string {
	if s.end == nil {
		return fmt.Sprintf(", from %g s until all vehicles have left", s.begin)
	}
	return fmt.Sprintf(", from %g s to %g s", s.begin, *s.end)
}

// Step lines per run. A thousand are as many as progress can show, and cost nothing measurable.
const (
	stepLines = 1000
	// openEndPeriod, in steps, is for a run whose length is unknown.
	openEndPeriod = 10
)

func (s settings) logPeriod() int {
	if s.end == nil {
		return openEndPeriod
	}
	steps := (*s.end - s.begin) / s.stepLength
	return int(math.Max(1, math.Min(math.Ceil(steps/stepLines), 1e6)))
}
