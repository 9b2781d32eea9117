package scenario

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// Trial judges a configuration of a stored scenario with other values in its files. It reads all files once, and again only those in which
// values are set. It holds what it has read, and is not safe for concurrent use.
type Trial struct {
	// Config is as it is judged without other values.
	Config Config

	in       *inspection
	settable []string // files in which values can be set, by path
}

// Trial begins one for the configuration that a job would ask for so, as Intake.Config chooses it. It ends with ctx.
func (in *Intake) Trial(ctx context.Context, s Scenario, requested string) (*Trial, error) {
	chosen, err := in.Config(ctx, s, requested)
	if err != nil {
		return nil, err
	}
	limits := in.Limits
	limits.Config = chosen.Path
	read, err := readAll(ctx, s.Content(ctx, in.Objects), limits)
	if err != nil {
		return nil, err
	}
	if err := read.err(); err != nil {
		return nil, err
	}
	config, judged := read.judgeConfig(chosen.Path)
	if err := errors.Join(read.failed, invalid(config.Problems)); err != nil {
		return nil, err
	}
	return &Trial{config, read, slices.Sorted(maps.Keys(judged.visited))}, nil
}

// News returns what to know of a configuration that With returned, in an interval, beyond what holds without these values.
func (t *Trial) News(c Config, i Interval) (warnings []string) {
	known := t.Config.Remarks(i)
	for _, w := range c.Remarks(i) {
		if !slices.Contains(known, w) {
			warnings = append(warnings, w.String())
		}
	}
	return warnings
}

// With returns the configuration as it is with these values. It answers problem.ScenarioInvalid with what to do where a study cannot set
// them, each item with the attribute as its Value, or where the scenario cannot run with them.
func (t *Trial) With(attributes []simulation.Attribute) (Config, error) {
	var items []problem.Item
	setters := map[string]*Setter{}
	for _, a := range attributes {
		if fault := t.fault(a); fault != "" {
			items = append(items, settingItem(a, fault))
			continue
		}
		setters[a.File] = NewSetter(a.File, attributes)
	}
	if err := invalidSettings(items); err != nil {
		return Config{}, err
	}
	t.in.rewind()
	restore, err := t.reread(setters)
	defer restore()
	if err != nil {
		return Config{}, err
	}
	var notes []Warning
	for _, name := range slices.Sorted(maps.Keys(setters)) {
		found, remarks, err := t.tallied(name, setters[name])
		if err != nil {
			return Config{}, err
		}
		items, notes = append(items, found...), append(notes, remarks...)
	}
	if err := invalidSettings(items); err != nil {
		return Config{}, err
	}
	c, _ := t.in.judgeConfig(t.Config.Path)
	if err := errors.Join(t.in.failed, invalid(c.Problems)); err != nil {
		return Config{}, err
	}
	if !slices.Equal(c.Reads, t.Config.Reads) || !slices.Equal(c.Outputs, t.Config.Outputs) ||
		!maps.EqualFunc(c.Rewrites, t.Config.Rewrites, slices.Equal) {
		return Config{}, invalidSettings([]problem.Item{{Message: "these values change which files are read or written" + deriveInstead}})
	}
	c.Warnings = append(slices.Clone(c.Warnings), notes...)
	return c, nil
}

// fault says why no value can be set for a, as far as that is known without reading its file, or "".
func (t *Trial) fault(a simulation.Attribute) string {
	switch {
	case a.File == t.Config.Path:
		return "is in the configuration itself: set an option with option:NAME instead"
	case !slices.Contains(t.settable, a.File):
		hint := ""
		if near := nearest(a.File, t.settable); near != "" {
			hint = "; did you mean " + quote(near) + "?"
		}
		var files []string
		for _, name := range t.settable {
			files = append(files, shown(name))
		}
		return fmt.Sprintf("the configuration %s does not read %s: choose one of %s%s", shown(t.Config.Path), quote(a.File), ListOf(files), hint)
	case len(a.Value) > simulation.MaxAttributeText:
		return fmt.Sprintf("the value is longer than %d bytes: shorten it", simulation.MaxAttributeText)
	case !utf8.ValidString(a.Value), strings.ContainsFunc(a.Value, func(r rune) bool { return !xml.IsChar(r) }):
		return fmt.Sprintf("the value %s has characters that XML cannot hold: remove them", quote(a.Value))
	}
	return ""
}

// mostKept is how much of what is known of a file, in bytes of the budget, is kept while its other values are tried.
const mostKept = memoryBudget / 8

// reread reads files as setters change them. restore makes them as they were.
func (t *Trial) reread(setters map[string]*Setter) (restore func(), err error) {
	before := map[string]*document{}
	t.in.setters = setters
	restore = func() {
		t.in.setters = nil
		for name, doc := range before {
			f := t.in.files[name]
			if f.doc != nil {
				t.in.forget(f.doc)
			}
			f.doc = doc
		}
	}
	clear(t.in.held)
	for name := range setters {
		f := t.in.files[name]
		before[name] = f.doc
		if f.doc.cost > mostKept {
			t.in.forget(f.doc)
		}
		if err := t.in.reopen(name, t.in.read); err != nil {
			return restore, fmt.Errorf("reading %s of the scenario: %w", name, err)
		}
	}
	return restore, nil
}

// tallied returns what is wrong with the values that were set in a file, and what to know of them.
func (t *Trial) tallied(name string, s *Setter) (items []problem.Item, notes []Warning, err error) {
	if doc := t.in.files[name].doc; doc.fault != nil {
		return []problem.Item{{Location: at(name, doc.faultLine), Message: fmt.Sprintf(
			"no value can be set in this file, because it cannot be read to its end: %v", doc.fault)}}, nil, nil
	}
	for i, a := range s.attributes {
		tally := s.tallies[i]
		switch {
		case tally.set == 0:
			near, err := t.near(a)
			if err != nil {
				return nil, nil, err
			}
			fault := "no element matches"
			if len(near) > 0 {
				fault += "; near ones: " + strings.Join(near, ", ")
			}
			items = append(items, settingItem(a, fault))
			continue
		case tally.fault != "":
			items = append(items, settingItem(a, tally.fault))
			continue
		}
		if tally.added > 0 {
			notes = append(notes, Warning{Location: name, Message: fmt.Sprintf("%d of %d <%s> have no attribute %s; the study adds it",
				tally.added, tally.set, shown(a.Element), quote(a.Name))})
		}
		if tally.number != "" {
			notes = append(notes, Warning{Location: name, Message: fmt.Sprintf("%s of <%s> is a number (%s), and the study sets it to %s",
				quote(a.Name), shown(a.Element), shown(tally.number), quote(a.Value))})
		}
	}
	return items, notes, nil
}

// mostNear is how many near ones are listed.
const mostNear = 5

// near returns what a may have meant, by edit distance: other elements with that attribute, or other attributes of such elements.
func (t *Trial) near(a simulation.Attribute) ([]string, error) {
	n := nearby{want: a, text: selector(a)}
	err := t.in.reopen(a.File, func(_ string, r *entryReader) error {
		br, err := withoutGzip(bufio.NewReaderSize(r, readSize), r)
		if err != nil {
			return err
		}
		s := xml.Scanner{Element: n.element, MaxValue: maxPathValue, Namespaces: true}
		return s.Scan(br)
	})
	if err != nil && !errors.Is(err, errNear) {
		return nil, fmt.Errorf("reading %s of the scenario: %w", a.File, err)
	}
	var found []string
	for _, c := range n.best {
		found = append(found, copyable(c.text))
	}
	return found, nil
}

// nearby collects the attributes that are nearest to one that is not there.
type nearby struct {
	want simulation.Attribute
	text string
	best []candidate
}

// errNear ends the search when all that it has found are nearEnough.
var errNear = errors.New("near enough")

// nearEnough is a distance at which others are no better guess.
const nearEnough = 2

// selector is a without its file.
func selector(a simulation.Attribute) string {
	a.File = ""
	return strings.TrimPrefix(a.String(), "#")
}

type candidate struct {
	text     string
	distance int
}

func (n *nearby) element(e xml.Element) error {
	if e.Depth == 1 || len(e.Name) > maxSegment {
		return nil
	}
	c := simulation.Attribute{Element: string(e.Name), Name: n.want.Name}
	if key, ok := e.Lookup(n.want.Key); ok && n.want.Key != "" {
		c.Key, c.Equals = n.want.Key, string(key.Value)
	}
	if _, ok := e.Lookup(c.Name); ok || understands(c.Element, c.Name) {
		n.offer(c, e)
	} else if c.Element == n.want.Element {
		for _, a := range e.Attrs {
			c.Name = string(a.Name)
			n.offer(c, e)
		}
	}
	if len(n.best) == mostNear && n.best[mostNear-1].distance <= nearEnough {
		return errNear
	}
	return nil
}

// offer takes in an attribute of an element if it is among the nearest.
func (n *nearby) offer(c simulation.Attribute, e xml.Element) {
	text := selector(c)
	worst := maxSegment
	if len(n.best) == mostNear {
		worst = n.best[mostNear-1].distance - 1
	}
	d := distance(text, n.text, worst)
	if d > worst || slices.ContainsFunc(n.best, func(o candidate) bool { return o.text == text }) || settingFault(c, e) != "" {
		return
	}
	i, _ := slices.BinarySearchFunc(n.best, d+1, func(o candidate, d int) int { return o.distance - d })
	n.best = slices.Insert(n.best, i, candidate{text, d})
	n.best = n.best[:min(len(n.best), mostNear)]
}
