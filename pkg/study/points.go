package study

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// Bounds of one study.
const (
	MaxPoints = 1000
	MaxRuns   = 10_000
	// MaxName bounds the names of studies, variants and axes, in characters: the name of each run has them all.
	MaxName = 100
	// MaxAxes bounds the axes: a person compares along three or four.
	MaxAxes = 20
	// maxValue bounds the text of one value, in bytes.
	maxValue = 500
)

// Prefixes of what an axis sets, other than a field of the run.
const (
	optionPrefix    = "option:"
	attributePrefix = "xml:"
	argumentPrefix  = "arg:"
)

// argumentName is the name of an option as programs have them.
var argumentName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$`)

// Settable lists the fields of a run that an axis may set. The seed is the replications', and the others change what is kept of a run, or
// how it is carried out, rather than what it simulates.
func Settable() []string {
	return []string{"scale", "begin", "end", "step_length", "sumo_version", "config_file", "unfinished_trips"}
}

// Fields are fields of a submission by name, as JSON.
type Fields map[string]json.RawMessage

// fieldsOf reads the fields of a run in a plan; empty if there are none.
func fieldsOf(run json.RawMessage) Fields {
	var fields Fields
	_ = json.Unmarshal(run, &fields) // a plan is made from valid JSON
	return fields
}

// faults collects what is wrong with a plan. A fault of many points is one item.
type faults struct {
	items []problem.Item
	of    map[[2]string]*pointFault // by location and message
	order [][2]string
	// moved is where the request has what the plan has at a location; nil if they are the same.
	moved func(location string) string
}

type pointFault struct {
	first  string // label of the first point
	value  any
	points int
}

func (f *faults) where(location string) string {
	if f.moved == nil {
		return location
	}
	return f.moved(location)
}

func (f *faults) add(location string, value any, format string, args ...any) {
	f.items = append(f.items, problem.Item{Location: f.where(location), Message: fmt.Sprintf(format, args...), Value: value})
}

func (f *faults) at(label string, i problem.Item) {
	i.Location = f.where(i.Location)
	key := [2]string{i.Location, strings.TrimSuffix(i.Message, ".")}
	if f.of == nil {
		f.of = map[[2]string]*pointFault{}
	}
	if known := f.of[key]; known != nil {
		known.points++
		return
	}
	f.of[key] = &pointFault{first: label, value: i.Value, points: 1}
	f.order = append(f.order, key)
}

// all lists every fault, those of points with the first point that has it.
func (f *faults) all() []problem.Item {
	items := slices.Clone(f.items)
	for _, key := range f.order {
		fault := f.of[key]
		where := " (point " + fault.first + ")"
		if fault.points > 1 {
			where = fmt.Sprintf(" (point %s and %d more)", fault.first, fault.points-1)
		}
		items = append(items, problem.Item{Location: key[0], Message: key[1] + where, Value: fault.value})
	}
	return items
}

// check reports what is wrong with p itself, whatever its scenarios are.
func (p Plan) check(f *faults) {
	p.checkVariants(f)
	p.checkAxes(f)
	if p.Combine != "" && p.Combine != Product && p.Combine != Zip {
		f.add("body.combine", string(p.Combine), "must be product or zip")
	}
	p.checkBaseline(f)
	for i, name := range p.Metrics {
		at := fmt.Sprintf("body.metrics[%d]", i)
		_, known := simulation.MeasureOf(name)
		switch fault := simulation.ClassFault(name); {
		case fault != "":
			f.add(at, name, "%s", fault)
		case !known:
			f.add(at, name, "is not a metric of runs; choose among %s, or one of trips by class, such as mean_time_loss@vClass=bus",
				strings.Join(simulation.MetricNames(), ", "))
		}
	}
	if a := p.Replications.Until; a != nil {
		for _, name := range slices.Sorted(maps.Keys(a.Absolute)) {
			if _, by := simulation.ClassOf(name); by && !slices.Contains(p.Metrics, name) {
				f.add("body.replications.until.absolute."+name, nil, "is by class of vehicle: name it among metrics, too, so that the runs have it")
			}
		}
	}
	if a := p.Replications.Until; a != nil && a.RelativeHalfWidth > 0 && len(a.judged(p.Metrics)) == 0 {
		f.add("body.replications.until.relative_half_width", a.RelativeHalfWidth, "judges none of the study's metrics (%s): they are counts, "+
			"whose means may be near 0; aim at absolute half widths", strings.Join(p.Metrics, ", "))
	}
	if o := p.OnFailure; o != nil && !(o.StopShare >= 0 && o.StopShare <= 1) {
		f.add("body.on_failure.stop_share", o.StopShare, "must be a share of the runs, from 0 to 1")
	}
}

// byClass are the metrics by class of vehicle that p asks for, each once.
func (p Plan) byClass() (names []string) {
	for _, name := range p.Metrics {
		if _, ok := simulation.ClassOf(name); ok && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func checkName(f *faults, location, name string, seen map[string]bool) {
	switch {
	case strings.TrimSpace(name) == "" || utf8.RuneCountInString(name) > MaxName:
		f.add(location, name, "must have 1 to %d characters", MaxName)
	case strings.ContainsRune(name, 0):
		f.add(location, name, "must not have a NUL character, which cannot be stored")
	case seen[name]:
		f.add(location, name, "is there twice; names are unique")
	}
	seen[name] = true
}

func (p Plan) checkVariants(f *faults) {
	if len(p.Variants) == 0 {
		f.add("body.variants", nil, `must name one variant at least: [{"name": "base", "scenario": "<id>"}]`)
	}
	seen := map[string]bool{}
	for i, v := range p.Variants {
		at := fmt.Sprintf("body.variants[%d]", i)
		checkName(f, at+".name", v.Name, seen)
		if !scenario.IsDigest(v.Scenario) {
			f.add(at+".scenario", v.Scenario, "is not the id of a stored scenario; POST /scenarios answers with one")
		}
		for _, name := range []string{"labels", "priority"} {
			if fieldsOf(v.Run)[name] != nil {
				f.add(at+".run."+name, nil, "belongs to the study as a whole: set it in run")
			}
		}
	}
}

const setTwice = "is set by another axis already"

func (p Plan) checkAxes(f *faults) {
	if len(p.Axes) > MaxAxes {
		f.add("body.axes", len(p.Axes), "must be at most %d", MaxAxes)
	}
	names, targets := map[string]bool{}, map[string]bool{}
	for i, a := range p.Axes {
		at := fmt.Sprintf("body.axes[%d]", i)
		checkName(f, at+".name", a.Name, names)
		switch fault := a.fault(); {
		case fault != "":
			f.add(at+".set", a.Set, "%s", fault)
		case targets[a.Set]:
			f.add(at+".set", a.Set, setTwice)
		}
		targets[a.Set] = true
		if len(a.Values) == 0 {
			f.add(at+".values", nil, "must have one value at least")
		}
		seen := map[string]bool{}
		for j, v := range a.Values {
			location := fmt.Sprintf("%s.values[%d]", at, j)
			text, ok := textOf(v)
			switch {
			case !ok:
				f.add(location, nil, "must be a number, a text, true or false")
			case len(text) > maxValue:
				f.add(location, nil, "is longer than %d bytes", maxValue)
			case p.Combine != Zip && seen[a.keyOf(v)]:
				f.add(location, text, "is there twice")
			}
			seen[a.keyOf(v)] = true
		}
		if p.Combine == Zip && len(a.Values) != len(p.Axes[0].Values) {
			f.add(at+".values", len(a.Values), "must be as many as those of %s (%d): zip takes the first values together, the second together, "+
				"and so on", p.Axes[0].Name, len(p.Axes[0].Values))
		}
	}
	if p.Combine == Zip {
		p.checkSteps(f)
	}
}

// checkReplaced reports fields of the run that an axis sets at every point, so that they count at none. It holds for new studies: an
// extension has them from a plan that was accepted.
func (p Plan) checkReplaced(f *faults) {
	for _, a := range p.Axes {
		if !slices.Contains(Settable(), a.Set) {
			continue
		}
		report := func(run json.RawMessage, location string) {
			if value, ok := fieldsOf(run)[a.Set]; ok {
				text, _ := textOf(value)
				f.add(location+"."+a.Set, text, "counts at no point, since the axis %s sets it at each: remove one of them", a.Name)
			}
		}
		report(p.Run, "body.run")
		for i, v := range p.Variants {
			report(v.Run, fmt.Sprintf("body.variants[%d].run", i))
		}
	}
}

// checkSteps reports values of axes that together are there twice: a point would be compared with itself.
func (p Plan) checkSteps(f *faults) {
	seen := map[string]int{}
	for i := range p.steps() {
		var parts []string
		for _, a := range p.Axes {
			if i >= len(a.Values) {
				return // which is a fault of its own
			}
			parts = append(parts, a.keyOf(a.Values[i]))
		}
		key := strings.Join(parts, "\x00")
		if first, ok := seen[key]; ok {
			text, _ := textOf(p.Axes[0].Values[i])
			f.add(fmt.Sprintf("body.axes[0].values[%d]", i), text, "makes, with those of the other axes, the same point as values[%d]", first)
			continue
		}
		seen[key] = i
	}
}

// keyOf is the same for values of a that give SUMO the same. A field of the run has a type, so that a text is no number there; everything
// else is written as text.
func (a Axis) keyOf(value json.RawMessage) string {
	text, ok := textOf(value)
	if !ok || slices.Contains(Settable(), a.Set) {
		return keyOf(value)
	}
	if number := json.RawMessage(text); json.Valid(number) {
		return keyOf(number)
	}
	return text
}

// fault says what is wrong with what a sets, as the end of a sentence about it; empty if nothing is.
func (a Axis) fault() string {
	if name, ok := strings.CutPrefix(a.Set, optionPrefix); ok {
		if name == "" {
			return "lacks the name of the option: option:time-to-teleport"
		}
		return ""
	}
	if name, ok := strings.CutPrefix(a.Set, argumentPrefix); ok {
		if !argumentName.MatchString(name) {
			return "must name an option of the controller without its dashes: arg:gain sets --gain"
		}
		return ""
	}
	if path, ok := strings.CutPrefix(a.Set, attributePrefix); ok {
		if _, err := simulation.ParseAttribute(path); err != nil {
			var p *problem.Error
			if errors.As(err, &p) {
				return "names no attribute. " + p.Detail
			}
			return err.Error()
		}
		return ""
	}
	switch {
	case slices.Contains(Settable(), a.Set):
		return ""
	case a.Set == "seed":
		return "cannot be an axis: replications give the seeds, the same ones at all points"
	}
	return fmt.Sprintf("cannot be an axis; choose a field (%s), option:NAME, arg:NAME or xml:FILE#ELEMENT[@KEY='VALUE']/@ATTRIBUTE",
		strings.Join(Settable(), ", "))
}

func (p Plan) checkBaseline(f *faults) {
	b := p.Baseline
	if b == nil {
		return
	}
	if b.Variant == "" && len(b.Values) == 0 {
		f.add("body.baseline", nil, "must name a variant, or values of axes, with which the points are compared")
	}
	if b.Variant != "" && !slices.ContainsFunc(p.Variants, func(v Variant) bool { return v.Name == b.Variant }) {
		names := make([]string, len(p.Variants))
		for i, v := range p.Variants {
			names[i] = v.Name
		}
		f.add("body.baseline.variant", b.Variant, "is none of the variants%s", choices(names))
	}
	for _, name := range slices.Sorted(maps.Keys(b.Values)) {
		i := slices.IndexFunc(p.Axes, func(a Axis) bool { return a.Name == name })
		location := "body.baseline.values." + name
		switch {
		case i < 0:
			names := make([]string, len(p.Axes))
			for i, a := range p.Axes {
				names[i] = a.Name
			}
			f.add(location, nil, "is none of the axes%s", choices(names))
		case !slices.ContainsFunc(p.Axes[i].Values, func(v json.RawMessage) bool { return keyOf(v) == keyOf(b.Values[name]) }):
			text, _ := textOf(b.Values[name])
			values := make([]string, len(p.Axes[i].Values))
			for k, v := range p.Axes[i].Values {
				values[k] = string(v) // with the quotes of a text, which is not the number that it looks like
			}
			f.add(location, text, "is none of the axis's values%s", choices(values))
		}
	}
}

// mostChoices bounds what a fault lists: a person looks through no more.
const mostChoices = 20

// choices end a fault with what could be named instead.
func choices(names []string) string {
	switch n := len(names); {
	case n == 0:
		return ""
	case n > mostChoices:
		return fmt.Sprintf("; there are %s and %d more", strings.Join(names[:mostChoices], ", "), n-mostChoices)
	}
	return "; there are " + strings.Join(names, ", ")
}

// Text is the value as SUMO takes it.
func (v Value) Text() string {
	text, _ := textOf(v.Value)
	return text
}

// textOf is a value as SUMO takes it; false if it is no scalar.
func textOf(value json.RawMessage) (text string, ok bool) {
	if json.Unmarshal(value, &text) == nil && !bytes.Equal(bytes.TrimSpace(value), []byte("null")) {
		return text, true
	}
	var number json.Number
	if json.Unmarshal(value, &number) == nil && number != "" {
		return number.String(), true
	}
	var flag bool
	if json.Unmarshal(value, &flag) == nil && !bytes.Equal(bytes.TrimSpace(value), []byte("null")) {
		return strconv.FormatBool(flag), true
	}
	return "", false
}

// keyOf is the same for values that are equal, however they are written.
func keyOf(value json.RawMessage) string {
	var v any
	if err := json.Unmarshal(value, &v); err != nil {
		return string(value)
	}
	key, _ := json.Marshal(v) // what was read can be written
	return string(key)
}

// place is a point before it is settled: a variant and the value of each axis, as indexes into the plan.
type place struct {
	variant int
	values  []int
}

// count is how many points p has, without making them.
func (p Plan) count() int {
	n := len(p.Variants)
	if p.Combine == Zip {
		if len(p.Axes) > 0 {
			n *= len(p.Axes[0].Values)
		}
		return n
	}
	for _, a := range p.Axes {
		if n > MaxPoints { // more axes only make it larger
			return n * max(1, len(a.Values))
		}
		n *= len(a.Values)
	}
	return n
}

// places lists the points of p: by variant, then by the values of the axes, those of the last axis first.
func (p Plan) places() (all []place) {
	for v := range p.Variants {
		if p.Combine == Zip {
			for i := range max(1, p.steps()) {
				values := make([]int, len(p.Axes))
				for a := range values {
					values[a] = i
				}
				all = append(all, place{v, values})
			}
			continue
		}
		values := make([]int, len(p.Axes))
		for more := true; more; {
			all = append(all, place{v, slices.Clone(values)})
			more = p.next(values)
		}
	}
	return all
}

func (p Plan) steps() int {
	if len(p.Axes) == 0 {
		return 0
	}
	return len(p.Axes[0].Values)
}

// next counts values up as digits; false behind the last.
func (p Plan) next(values []int) bool {
	for a := len(values) - 1; a >= 0; a-- {
		if values[a]++; values[a] < len(p.Axes[a].Values) {
			return true
		}
		values[a] = 0
	}
	return false
}

// setting is the value of each axis at a place.
func (p Plan) setting(at place) Setting {
	s := make(Setting, len(p.Axes))
	for i, a := range p.Axes {
		s[i] = Value{Axis: a.Name, Value: a.Values[at.values[i]]}
	}
	return s
}

// Label names a point for people: "base, demand 0.8".
func Label(variant string, s Setting) string {
	text := variant
	for _, v := range s {
		text += ", " + v.Axis + " " + v.Text()
	}
	return text
}

// key is the same for points that are the same.
func key(variant string, s Setting) string {
	parts := []string{variant}
	for _, v := range s {
		parts = append(parts, v.Axis, keyOf(v.Value))
	}
	return strings.Join(parts, "\x00")
}

// fields are those of the runs at a place, and where in the request each was given. Options and attributes are what axes set beside them.
func (p Plan) fields(at place) (fields Fields, given map[string]string) {
	fields, given = Fields{}, map[string]string{}
	set := func(name string, value json.RawMessage, location string) { fields[name], given[name] = value, location }
	for name, value := range fieldsOf(p.Run) {
		set(name, value, "body.run."+name)
	}
	for name, value := range fieldsOf(p.Variants[at.variant].Run) {
		set(name, value, fmt.Sprintf("body.variants[%d].run.%s", at.variant, name))
	}
	for i, a := range p.Axes {
		if slices.Contains(Settable(), a.Set) {
			set(a.Set, a.Values[at.values[i]], fmt.Sprintf("body.axes[%d].values[%d]", i, at.values[i]))
		}
	}
	return fields, given
}
