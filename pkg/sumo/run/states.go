package run

import (
	"cmp"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// savedStates are the states that a scenario has SUMO save at regular times. With save-state.period.keep SUMO removes all but the last few,
// which its wall does not let it do: the run removes them in its place. Its zero value stands for states that stay.
type savedStates struct {
	prefix, suffix string // of their names, by path inside the scenario
	period         int64  // milliseconds
	keep           int
}

// statesOf are the states of a configuration. Where names of outputs have a prefix or a suffix, SUMO looks for states without it, and
// removes none.
func statesOf(c scenario.Config) savedStates {
	s := savedStates{prefix: "state", suffix: ".xml.gz"} // SUMO's defaults
	for _, o := range c.Options {
		n, ok := o.Number()
		switch o.Name {
		case "save-state.prefix":
			s.prefix = strings.Join(o.Files, ",")
		case "save-state.suffix":
			s.suffix = o.Value
		case "save-state.period":
			s.period = milliseconds(n)
		case "save-state.period.keep":
			if ok {
				s.keep = int(n)
			}
		case "output-prefix", "output-suffix":
			return savedStates{}
		}
	}
	if s.period <= 0 || s.keep <= 0 {
		return savedStates{}
	}
	return s
}

func milliseconds(seconds float64) int64 { return int64(math.Round(seconds * 1000)) }

// trim removes all but the newest periodic states below folder. States at other times, which the scenario names, stay.
func (s savedStates) trim(folder string) {
	if s.keep == 0 {
		return
	}
	root, err := os.OpenRoot(filepath.Join(folder, path.Dir(s.prefix)))
	if err != nil {
		return // nothing has been saved
	}
	defer root.Close()
	dir, err := root.Open(".")
	if err != nil {
		return
	}
	defer dir.Close()
	entries, _ := dir.ReadDir(-1) // those that could be read
	type state struct {
		name string
		time int64
	}
	var saved []state
	for _, e := range entries {
		name, begins := strings.CutPrefix(e.Name(), path.Base(s.prefix)+"_")
		name, ends := strings.CutSuffix(name, s.suffix)
		if !begins || !ends || !e.Type().IsRegular() { // the scenario's own files are links
			continue
		}
		seconds, ok := xml.Time(strings.ReplaceAll(name, "-", ":")) // with human-readable-time, 00-01-40
		if time := milliseconds(seconds); ok && time%s.period == 0 {
			saved = append(saved, state{e.Name(), time})
		}
	}
	slices.SortFunc(saved, func(a, b state) int { return cmp.Compare(a.time, b.time) })
	for _, old := range saved[:max(0, len(saved)-s.keep)] {
		_ = root.Remove(old.name) // the next time tries again
	}
}
