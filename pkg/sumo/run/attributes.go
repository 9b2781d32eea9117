package run

import (
	"maps"
	"os"
	"slices"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// adopt takes the values that a study sets: options become the configuration's, and attributes are changed in the run's own copies of
// files. The service has checked both, but may be another release.
func (r *Run) adopt(root *os.Root, chosen scenario.Config) (scenario.Config, error) {
	for _, name := range slices.Sorted(maps.Keys(r.Options.SUMOOptions)) {
		if fault := scenario.OptionFault(name, r.Options.SUMOOptions[name]); fault != "" {
			return chosen, problem.New(problem.ScenarioInvalid, "The study cannot set an option: %s.", fault)
		}
	}
	r.setters = map[string]*scenario.Setter{}
	for _, a := range r.Options.Attributes {
		if info, err := root.Stat(a.File); err != nil || !info.Mode().IsRegular() {
			return chosen, problem.New(problem.ScenarioInvalid, "The study cannot set %s: the configuration reads no file %q.", a, a.File)
		}
		r.setters[a.File] = scenario.NewSetter(a.File, r.Options.Attributes)
	}
	return chosen.Set(r.Options.SUMOOptions), nil
}

// behind is the change of a file whose elements have the values of the run.
func (r Run) behind(name string, next change) change {
	set := r.setters[name]
	if set == nil {
		return next
	}
	return func(e xml.Element) []xml.Change {
		e, values := set.Set(e)
		changes := next(e)
		for _, v := range values {
			if !slices.ContainsFunc(changes, func(c xml.Change) bool { return c.Attribute == v.Attribute }) { // else next has seen the value
				changes = append(changes, v)
			}
		}
		return changes
	}
}

// copySet makes the run's own copies of the files in which it sets attributes, or that need other names of outputs, unless they are there.
func (r Run) copySet(root *os.Root, chosen scenario.Config) error {
	files := map[string]bool{}
	for name, rewrites := range chosen.Rewrites {
		files[name] = len(rewrites) > 0
	}
	for name := range r.setters {
		files[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if _, err := os.Lstat(r.copyOf(name)); err == nil || !files[name] {
			continue
		}
		err := r.rewrite(root, name, r.behind(name, renamed(chosen.Rewrites[name])))
		if r.setters[name] != nil && xml.IsMalformed(err) {
			err = problem.Wrap(err, problem.ScenarioInvalid, "The study cannot set attributes in %s, which cannot be read to its end.", name)
		}
		if err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.setters)) {
		if err := r.setters[name].Err(); err != nil {
			return err
		}
	}
	return nil
}
