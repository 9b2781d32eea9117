package scenario

import (
	"math"
	"path"
	"slices"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// ChooseConfig returns the configuration to run: the requested one, by its path or a base name that only one has, or else the only
// sound one in the topmost folder that has any, if possible one that runs in its own interval. It answers problem.Invalid, with the
// configurations to choose from, when the choice is ambiguous, and problem.ScenarioInvalid for one that cannot run.
func (m Manifest) ChooseConfig(requested string) (Config, error) {
	found := m.named(requested)
	if requested == "" {
		m = m.offered()
		if found = m.topmost(ready); len(found) == 0 {
			found = m.topmost(sound)
		}
		if len(found) == 0 && len(m.Configs) > 0 {
			return Config{}, m.unsound("")
		}
	}
	if len(found) != 1 {
		return Config{}, m.unclear(requested, found)
	}
	return found[0], invalid(found[0].Problems)
}

// ProgramConfig returns the configuration that a run with a program has: the one it asks for, sound or not, or else the one that
// ChooseConfig would choose. Where there is none to choose it is empty, since a program need not have one.
func (m Manifest) ProgramConfig(requested string) (Config, error) {
	if requested == "" {
		chosen, err := m.ChooseConfig("")
		if err != nil {
			if offered := m.offered().Configs; len(offered) == 1 {
				return offered[0], nil
			}
			return Config{}, nil
		}
		return chosen, nil
	}
	found := m.named(requested)
	if len(found) != 1 {
		return Config{}, m.unclear(requested, found)
	}
	return found[0], nil
}

// runsAlone reports whether SUMO can run a configuration of m without a program, as far as the scenario goes.
func (m Manifest) runsAlone() bool { return slices.ContainsFunc(m.Configs, sound) }

// FirstConfig returns the first by path of those configurations among which ChooseConfig leaves the choice to the caller, with the paths
// of all other sound ones. All are empty if there is no choice.
func (m Manifest) FirstConfig() (first Config, others []string) {
	m = m.offered()
	top := m.topmost(ready)
	if len(top) == 0 {
		top = m.topmost(sound)
	}
	if len(top) < 2 {
		return Config{}, nil
	}
	first = slices.MinFunc(top, func(a, b Config) int { return strings.Compare(a.Path, b.Path) })
	for _, c := range m.Configs {
		if sound(c) && c.Path != first.Path {
			others = append(others, c.Path)
		}
	}
	return first, others
}

// ListOf lists paths for people, as many as they read.
func ListOf(paths []string) string {
	listed := slices.Clone(paths[:min(len(paths), maxListed)])
	if len(paths) > maxListed {
		listed = append(listed, "…")
	}
	return strings.Join(listed, ", ")
}

// offered returns m with those configurations only that may be chosen unasked: not a file that a job once named as one, while there are
// others that are configurations by their names.
func (m Manifest) offered() Manifest {
	named := slices.DeleteFunc(slices.Clone(m.Configs), func(c Config) bool { return !isConfig(c.Path) })
	if len(named) > 0 {
		m.Configs = named
	}
	return m
}

// named returns the configuration at a path, or else those of that base name.
func (m Manifest) named(requested string) (found []Config) {
	for _, c := range m.Configs {
		if c.Path == path.Clean(requested) {
			return []Config{c}
		}
		if path.Base(c.Path) == requested {
			found = append(found, c)
		}
	}
	return found
}

// topmost returns the configurations for which is holds, in the topmost folders that have any.
func (m Manifest) topmost(is func(Config) bool) (found []Config) {
	least := math.MaxInt
	for _, c := range m.Configs {
		depth := strings.Count(c.Path, "/")
		if !is(c) || depth > least {
			continue
		}
		if depth < least {
			least, found = depth, nil
		}
		found = append(found, c)
	}
	return found
}

// sound reports whether a configuration can run.
func sound(c Config) bool { return len(c.Problems) == 0 }

// ready reports whether it can run in its own interval.
func ready(c Config) bool { return sound(c) && len(c.refusals(c.Interval(nil, nil))) == 0 }

// unsound returns what is wrong with the configuration at a path, or else with the topmost ones, when none at all can run.
func (m Manifest) unsound(chosen string) error {
	if slices.ContainsFunc(m.Configs, sound) {
		return nil
	}
	found := m.topmost(func(c Config) bool { return c.Path == chosen })
	if len(found) == 0 {
		found = m.topmost(func(Config) bool { return true })
	}
	var items []problem.Item
	for _, c := range found {
		for _, item := range append(slices.Clone(c.Problems), c.refusals(c.Interval(nil, nil))...) {
			if !slices.Contains(items, item) {
				items = append(items, item)
			}
		}
	}
	return invalid(items)
}

// refuse returns why no configuration can run in its own interval; nil when one can.
func (m Manifest) refuse() error {
	if slices.ContainsFunc(m.Configs, ready) {
		return nil
	}
	var items []problem.Item
	for _, c := range m.topmost(sound) {
		items = append(items, c.refusals(c.Interval(nil, nil))...)
	}
	return invalid(items)
}

// maxListed is how many configurations a message lists.
const maxListed = 20

func (m Manifest) unclear(requested string, found []Config) error {
	listed := found
	if len(found) == 0 {
		listed = m.Configs
	}
	var paths []string
	for _, c := range listed {
		paths = append(paths, c.Path)
	}
	list := ListOf(paths)
	var err *problem.Error
	switch {
	case len(m.Configs) == 0:
		err = problem.New(problem.Invalid, "The scenario has no configuration (.sumocfg).")
	case requested == "":
		err = problem.New(problem.ScenarioInvalid, "The scenario has several configurations: choose one with config_file. There are: %s.", list)
	case len(found) > 1:
		err = problem.New(problem.Invalid, "Several configurations are called %s: give config_file with its folder. There are: %s.",
			quote(requested), list)
	default:
		err = problem.New(problem.Invalid, "The scenario has no configuration %s: correct config_file. There are: %s.", quote(requested), list)
	}
	return err.WithItems(problem.Item{Location: "body.config_file", Message: err.Detail, Value: shown(requested)})
}
