package program

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/gz"
)

// Rules are what a run asks of each SUMO that its program starts.
type Rules struct {
	Home string `json:"home"` // SUMO_HOME of the installation
	// Environment is what SUMO's has beside the program's own.
	Environment []string `json:"environment"`
	// Folders are those that the run has, in which all files must be that an option names.
	Folders []string `json:"folders"`
	// Set are options that override those of the program, as NAME=VALUE, and Requested those of them that the job's request names.
	Set       []string `json:"set"`
	Requested []string `json:"requested"`
	// Shown are set too, where SUMO's lines go to the log of the run and not to the program.
	Shown []string `json:"shown"`
	// Add are outputs to add unless the program asks for them itself. Each goes into a folder of its own below Results.
	Add     []Addition `json:"add"`
	Results string     `json:"results"`
	// EdgeData is the additional file that asks for the edgedata output, for which SUMO has no option.
	EdgeData string `json:"edgedata"`
	// Replay asks for a recording; nil for none.
	Replay *Replay `json:"replay,omitempty"`
	// Log is what SUMO's lines go to in place of the program's, which are known by their inodes; see Streams.
	Log Streams `json:"log"`
}

// Addition is an output that a run adds.
type Addition struct {
	Output simulation.Output `json:"output"`
	Option string            `json:"option"` // empty where Rules.EdgeData asks for it
	File   string            `json:"file"`
	// CSV is its name where the program has all outputs in that format.
	CSV string `json:"csv"`
}

// Merged is what SUMO starts with.
type Merged struct {
	Arguments []string `json:"arguments"`
	Warnings  []string `json:"warnings"`
	Folders   []string `json:"-"` // to make
	Report    Report   `json:"-"`
}

// Report is what a SUMO with added outputs writes.
type Report struct {
	// Own are the outputs that the program asks for itself, by their absolute paths.
	Own map[simulation.Output]string `json:"own"`
	// Format is that of all outputs; empty for one that follows the name.
	Format string `json:"format"`
	// Unrecorded says why there is no recording, though one is asked for, where neither of the above prevents it; empty where there is.
	Unrecorded string `json:"unrecorded,omitempty"`
}

// Mark is a line among SUMO's errors before what it says of the next simulation with added outputs.
const Mark = "sumo-run: a simulation begins"

const (
	configurationFile = "configuration-file"
	additionalFiles   = "additional-files"
)

// validation are the options that may have SUMO ask the web for schemas.
var validation = []string{"xml-validation", "xml-validation.net", "xml-validation.routes"}

// Merge is what becomes of a program's arguments for SUMO. configuration returns what the configuration at a path sets; see
// ReadConfiguration. With shown, SUMO's lines go to the log of the run; alone says that no other SUMO of the run gets added outputs now.
func (r Rules) Merge(args []string, shown, alone bool, configuration func(path string) (map[string]string, error)) (Merged, error) {
	given := readArguments(args)
	given = slices.DeleteFunc(given, func(a argument) bool { return a.option.GUI })
	config := map[string]string{}
	for _, a := range given {
		if err := r.inside(a); err != nil {
			return Merged{}, err
		}
		if a.is(configurationFile) {
			found, err := configuration(a.value)
			if err != nil && !errors.Is(err, os.ErrNotExist) { // of one that is not there, SUMO complains itself
				return Merged{}, err
			}
			config = found
		}
	}
	asked := maps.Clone(config)
	if asked == nil {
		asked = map[string]string{}
	}
	for _, a := range given {
		asked[a.option.Name] = a.value
	}

	set := slices.Clone(r.Set)
	if shown {
		set = append(set, r.Shown...)
	}
	for _, name := range validation {
		if asked[name] == "auto" {
			set = append(set, name+"=local")
		}
	}
	m := Merged{Report: Report{Own: map[simulation.Output]string{}}}
	var recorded []string
	if alone && r.Replay != nil {
		effective := maps.Clone(asked)
		for _, s := range set {
			name, value, _ := strings.Cut(s, "=")
			effective[name] = value
		}
		recorded = r.Replay.record(effective, &m.Report)
		set = append(set, recorded...)
	}
	kept := make([]argument, 0, len(given))
	for _, a := range given {
		i := slices.IndexFunc(set, func(s string) bool { return strings.HasPrefix(s, a.option.Name+"=") })
		if i < 0 {
			kept = append(kept, a)
			continue
		}
		if _, value, _ := strings.Cut(set[i], "="); slices.Contains(r.Requested, a.option.Name) && value != a.value {
			m.Warnings = append(m.Warnings, fmt.Sprintf("the job's %s replaces the program's %s", set[i], a.value))
		}
	}
	var added []argument
	if alone {
		added = r.added(&m, asked)
		var requests []string
		if r.EdgeData != "" {
			requests = append(requests, r.EdgeData)
		}
		if len(recorded) > 0 {
			requests = append(requests, r.Replay.Request)
		}
		if len(requests) > 0 {
			kept = withFile(kept, strings.Join(requests, ","))
		}
	}
	for _, a := range kept {
		if slices.ContainsFunc(added, func(o argument) bool { return o.is(a.option.Name) }) {
			continue // it names no file
		}
		m.Arguments = append(m.Arguments, a.text()...)
	}
	for _, s := range set {
		m.Arguments = append(m.Arguments, "--"+s)
	}
	for _, a := range added {
		m.Arguments = append(m.Arguments, a.text()...)
	}
	return m, nil
}

// added are the outputs to add. Their format is that of all outputs, and Parquet aborts SUMO (1.28) where persons are in tripinfo.
func (r Rules) added(m *Merged, asked map[string]string) (added []argument) {
	prefix, suffix, format := asked["output-prefix"], asked["output-suffix"], asked["output.format"]
	if format == "parquet" || strings.Contains(prefix, "..") || strings.ContainsAny(prefix+suffix, `:\`) {
		return nil
	}
	m.Report.Format = format
	own := func(output simulation.Output, option string) bool {
		value := asked[option]
		if value == "" || value == os.DevNull {
			return false
		}
		if name, err := filepath.Abs(scenario.Affixed(value, prefix, suffix)); err == nil {
			m.Report.Own[output] = name
		}
		return true
	}
	own(simulation.OutputPersoninfo, "personinfo-output")
	for _, o := range r.Add {
		if o.Option != "" && own(o.Output, o.Option) {
			continue
		}
		file := o.File
		if format == "csv" {
			file = o.CSV
		}
		file = filepath.Join(r.Results, string(o.Output), file)
		m.Folders = append(m.Folders, filepath.Dir(file), filepath.Dir(scenario.Affixed(file, prefix, suffix)))
		if o.Option != "" {
			added = append(added, argument{option: known(o.Option), value: file})
		}
	}
	return added
}

// withFile adds additional files, with commas between them, to those of the arguments, or else to those of the configuration.
func withFile(args []argument, file string) []argument {
	for i, a := range args {
		if a.is(additionalFiles) {
			args[i].raw = nil
			args[i].value += "," + file
			return args
		}
	}
	return append(args, argument{raw: []string{"+a", file}})
}

// inside refuses a file that is not in the run.
func (r Rules) inside(a argument) error {
	if !a.option.File {
		return nil
	}
	for _, name := range strings.Split(a.value, ",") {
		name = strings.TrimSpace(name)
		if name == "" || strings.HasPrefix(name, "/dev/") {
			continue
		}
		abs, err := filepath.Abs(name)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(append([]string{r.Home}, r.Folders...), func(folder string) bool { return within(folder, abs) }) {
			return fmt.Errorf("--%s names %s, which is outside the run: put the file into the scenario, and name it relative to the program",
				a.option.Name, name)
		}
	}
	return nil
}

func within(folder, name string) bool {
	rel, err := filepath.Rel(folder, name)
	return err == nil && filepath.IsLocal(rel)
}

// maxConfiguration bounds what is read of a configuration, in bytes: they list options.
const maxConfiguration = 16 << 20

// ReadConfiguration returns the options that a configuration sets, by SUMO's own names. Names of files are relative to the current folder
// there.
func ReadConfiguration(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	plain, err := gz.Unpack(f)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	set := map[string]string{}
	// SUMO says what is wrong with a file that it cannot read.
	_ = scenario.ReadSettings(io.LimitReader(plain, maxConfiguration), func(name, value string) {
		o := known(name)
		if value = strings.TrimSpace(value); o.File && value != "" && !filepath.IsAbs(value) {
			value = filepath.Join(filepath.Dir(path), value)
		}
		set[o.Name] = value
	})
	return set, nil
}
