package run

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// ownOption is the option with which a scenario asks for an output.
func ownOption(o simulation.Output) string {
	if o == simulation.OutputStatistics {
		return "statistic-output"
	}
	return string(o) + "-output"
}

// ownRoles are the outputs for which a configuration asks itself, by path inside the scenario. One that is thrown away does not count.
func ownRoles(c scenario.Config) map[simulation.Output]string {
	roles := map[simulation.Output]string{}
	for _, o := range c.Options {
		for _, role := range simulation.KnownOutputs() {
			if o.Name == ownOption(role) && len(o.Files) == 1 && o.Files[0] != os.DevNull {
				roles[role] = o.Files[0]
			}
		}
	}
	return roles
}

// lacks reports whether every run needs an output, or the job wants it, and the scenario does not ask for it itself.
func (r Run) lacks(s settings, o simulation.Output) bool {
	return s.own[o] == "" && (slices.Contains(simulation.DefaultOutputs(), o) || slices.Contains(r.Options.Outputs, o))
}

// addable reports whether outputs can be added: their format is that of the scenario's, and Parquet aborts SUMO (1.28) where persons are in
// tripinfo.
func (s settings) addable() bool { return s.format != "parquet" }

// adds reports whether the run asks SUMO for an output.
func (r Run) adds(s settings, o simulation.Output) bool {
	return !r.Options.Check && r.Options.Tool == nil && s.addable() && r.lacks(s, o)
}

// added are the outputs that the run asks SUMO for.
func (r Run) added(s settings) []simulation.Output {
	return slices.DeleteFunc(simulation.Outputs(), func(o simulation.Output) bool { return !r.adds(s, o) })
}

// addedName is the name of an output that the run adds. The format of a scenario's outputs is that of all.
func (s settings) addedName(o simulation.Output) string {
	if s.format == "csv" {
		return csvName(o)
	}
	return o.File()
}

func csvName(o simulation.Output) string { return strings.Replace(o.File(), ".xml", ".csv", 1) }

// addedPath is where SUMO writes an output that the run adds, below the work folder. Each has a folder of its own, in which it is
// found whatever the scenario's output-prefix and output-suffix make of its name. A prefix can leave as many folders as it has "..".
func (s settings) addedPath(o simulation.Output) string {
	return path.Join(resultFolder, string(o), strings.Repeat("_/", strings.Count(s.prefix, "..")), s.addedName(o))
}

// affixed is the name that an output of the scenario gets in the end.
func (s settings) affixed(name string) string {
	return scenario.Affixed(name, s.prefix, s.suffix)
}

// startTime is what SUMO writes for TIME in output-prefix and output-suffix: 2026-11-29-01-10-31.
const startTime = `\d{4}(-\d\d){5}`

// written returns the one of the names of files that SUMO has written for an output of the scenario, or "".
func (s settings) written(files []string, name string) string {
	want := s.affixed(name)
	if i := slices.Index(files, want); i >= 0 || !strings.Contains(s.prefix+s.suffix, "TIME") {
		if i < 0 {
			return ""
		}
		return files[i]
	}
	pattern := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(want), "TIME", startTime) + "$")
	for _, file := range files {
		if pattern.MatchString(file) {
			return file
		}
	}
	return ""
}

// makeFolders makes the folders in which SUMO writes, which it does not make itself.
func (r Run) makeFolders(run *os.Root, chosen scenario.Config, s settings) error {
	names := slices.Clone(chosen.Outputs)
	for _, o := range chosen.Options {
		for _, name := range o.Files {
			if o.Writes {
				names = append(names, name, s.affixed(name))
			}
		}
	}
	for _, name := range names {
		if dir := path.Dir(name); filepath.IsLocal(dir) { // not that of /dev/null
			if err := run.MkdirAll(dir, 0o755); err != nil {
				return err
			}
		}
	}
	for _, o := range r.added(s) {
		name := s.addedPath(o)
		for _, name := range []string{name, s.affixed(name)} {
			if err := os.MkdirAll(filepath.Join(r.Work, path.Dir(name)), 0o755); err != nil {
				return err
			}
		}
	}
	return nil
}
