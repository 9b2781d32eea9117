package scenario

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// Interval is what a run simulates, in seconds of simulated time. An infinite End is none.
type Interval struct {
	Begin, End float64
	// Scaled is true if the run has an option of its own that multiplies the demand: then departures do not say when SUMO reads on.
	Scaled bool
}

// unending reports whether an end stands for none, as SUMO's default does. SUMO refuses all others before the begin.
func unending(end float64) bool { return math.Round(end*1000) == -1000 }

// Interval returns that of a run of c for which begin and end are asked; what is nil is the configuration's, or else SUMO's default.
func (c Config) Interval(begin, end *float64) Interval {
	i := Interval{End: math.Inf(1)}
	if begin == nil {
		begin = c.Begin
	}
	if begin != nil {
		i.Begin = *begin
	}
	if end == nil {
		end = c.End
	}
	if end != nil && !unending(*end) {
		i.End = *end
	}
	return i
}

// Empty reports whether SUMO refuses to simulate i.
func (i Interval) Empty() bool { return i.End < i.Begin }

// has reports whether a departure is simulated: that at the begin always is, as SUMO simulates one step even if it ends there.
func (i Interval) has(seconds float64) bool {
	return seconds == i.Begin || seconds > i.Begin && seconds < i.End
}

// Refuse returns why c cannot run in an interval, as problem.ScenarioInvalid; nil where it can.
func (c Config) Refuse(i Interval) error { return invalid(c.refusals(i)) }

func (c Config) refusals(i Interval) (items []problem.Item) {
	if i.Empty() {
		return []problem.Item{{Location: c.Path, Message: fmt.Sprintf(
			"the end (%g s) is before the begin (%g s): correct them, or give the job a begin or end of its own", i.End, i.Begin)}}
	}
	if i.Begin < 0 {
		items = append(items, problem.Item{Location: c.Path, Message: fmt.Sprintf(
			"the begin (%g s) is negative, and SUMO refuses that: correct it, or give the job a begin of its own", i.Begin)})
	}
	for _, b := range c.Broken {
		if b.reached(i) {
			items = append(items, b.Problem)
		}
	}
	return items
}

// BrokenRoutes is a fault in the middle of a route file. SUMO reads such files as simulated time advances.
type BrokenRoutes struct {
	Problem problem.Item `json:"problem"`
	Until   float64      `json:"until"` // seconds: a run that begins before and ends by then does not read so far
}

// reached reports whether a run may read as far as the fault.
func (b BrokenRoutes) reached(i Interval) bool {
	return i.End > b.Until || i.Begin >= b.Until || i.Scaled
}

// LateDepartures are vehicles of a route file that SUMO drops where it simulates their departure: it reads the file as simulated time
// advances, and ignores whatever departs before a vehicle that it has already read.
type LateDepartures struct {
	File  string     `json:"file"`
	Spans []LateSpan `json:"spans,omitempty"` // by the time of departure
	// AtBegin are flows that begin with the simulation. Their Depart is 0, and First and Last have the least and the largest Gap.
	AtBegin *LateSpan `json:"at_begin,omitempty"`
}

// LateSpan is departures close to each other in time. Whether they matter depends on the simulated interval.
type LateSpan struct {
	Count int           `json:"count"`
	First LateDeparture `json:"first"`
	Last  LateDeparture `json:"last"`
}

// LateDeparture is one of them.
type LateDeparture struct {
	Vehicle string `json:"vehicle"` // its id, quoted
	Line    int    `json:"line"`
	Depart  int64  `json:"depart"` // milliseconds, as SUMO counts
	Gap     int64  `json:"gap"`    // milliseconds by which it is out of order
}

// maxSpans of a file are kept. The more late departures there are, and the longer the time, the wider they become.
const maxSpans = 64

// lateSpans keeps late departures in spans, each of width milliseconds at most.
type lateSpans struct {
	spans   []LateSpan
	width   int64
	atBegin LateSpan
}

// add takes in a departure, and reports whether it needs a new span.
func (s *lateSpans) add(d LateDeparture) bool {
	s.width = max(s.width, 1000)
	i, found := slices.BinarySearchFunc(s.spans, s.slot(d), func(span LateSpan, slot int64) int {
		return cmp.Compare(s.slot(span.First), slot)
	})
	if found {
		s.spans[i].merge(LateSpan{1, d, d}, LateDeparture.departsBefore)
		return false
	}
	s.spans = slices.Insert(s.spans, i, LateSpan{1, d, d})
	for len(s.spans) > maxSpans {
		s.width *= 2
		wider := s.spans[:1]
		for _, span := range s.spans[1:] {
			if last := &wider[len(wider)-1]; s.slot(last.First) == s.slot(span.First) {
				last.merge(span, LateDeparture.departsBefore)
			} else {
				wider = append(wider, span)
			}
		}
		s.spans = wider
	}
	return true
}

// addAtBegin takes in a flow that begins with the simulation.
func (s *lateSpans) addAtBegin(d LateDeparture) {
	if s.atBegin.Count == 0 {
		s.atBegin = LateSpan{1, d, d}
		return
	}
	s.atBegin.merge(LateSpan{1, d, d}, func(a, b LateDeparture) bool { return a.Gap < b.Gap })
}

func (s *lateSpans) slot(d LateDeparture) int64 {
	return int64(math.Floor(float64(d.Depart) / float64(s.width)))
}

func (l *LateSpan) merge(other LateSpan, less func(a, b LateDeparture) bool) {
	l.Count += other.Count
	if less(other.First, l.First) {
		l.First = other.First
	}
	if less(l.Last, other.Last) {
		l.Last = other.Last
	}
}

func (d LateDeparture) departsBefore(other LateDeparture) bool { return d.Depart < other.Depart }

// Remarks are the warnings of c that concern a run in the given interval.
func (c Config) Remarks(i Interval) []Warning {
	all := slices.Clone(c.Warnings)
	for _, late := range c.Late {
		if w, ok := late.remark(i); ok {
			all = append(all, w)
		}
	}
	for _, item := range c.refusals(i) {
		all = append(all, Warning{Location: item.Location, Message: item.Message})
	}
	for _, b := range c.Broken {
		if !b.reached(i) {
			all = append(all, Warning{Location: b.Problem.Location, Message: b.Problem.Message + "; the run ends before SUMO reads so far"})
		}
	}
	if text := c.idle(i); text != "" {
		all = append(all, Warning{Location: c.Path, Message: text, Strict: true})
	}
	return all
}

// remark notes vehicles that SUMO drops. Those outside the simulated interval are no loss.
func (l LateDepartures) remark(i Interval) (w Warning, ok bool) {
	var first LateDeparture
	count, exact := 0, true
	take := func(span LateSpan, inside func(LateDeparture) bool) {
		in := slices.DeleteFunc([]LateDeparture{span.First, span.Last}, func(d LateDeparture) bool { return !inside(d) })
		if len(in) == 0 {
			return
		}
		if count == 0 {
			first = in[0]
		}
		if len(in) == 2 {
			count += span.Count
			return
		}
		count++
		exact = exact && span.Count == 2
	}
	for _, span := range l.Spans {
		take(span, func(d LateDeparture) bool { return i.has(float64(d.Depart) / 1000) })
	}
	if begin := int64(math.Round(i.Begin * 1000)); l.AtBegin != nil && !i.Empty() {
		late := *l.AtBegin
		for _, d := range []*LateDeparture{&late.First, &late.Last} {
			d.Depart, d.Gap = begin, d.Gap-begin
		}
		take(late, func(d LateDeparture) bool { return d.Gap > 0 })
	}
	others := ""
	switch {
	case count == 0:
		return Warning{}, false
	case !exact:
		others = fmt.Sprintf(" (one of at least %d)", count)
	case count > 1:
		others = fmt.Sprintf(" (one of %d)", count)
	}
	return Warning{Location: at(l.File, first.Line), Strict: true, Message: fmt.Sprintf(
		"%s departs at %g s, %g s before an earlier line%s, and SUMO drops such vehicles: sort the file with SUMO's "+
			"tools/route/sort_routes.py, or set <route-steps value=\"0\"/>",
		first.Vehicle, float64(first.Depart)/1000, float64(first.Gap)/1000, others)}, true
}

// idle says that no vehicle departs in an interval, as far as the files say when they depart; empty otherwise.
func (c Config) idle(i Interval) string {
	if i.Empty() || c.Untimed || c.Demand == nil || c.Demand.FirstDeparture == nil {
		return ""
	}
	switch first, last := *c.Demand.FirstDeparture, *c.Demand.LastDeparture; {
	case first >= i.End && !i.has(first):
		return fmt.Sprintf("no vehicle is simulated: the first departure (%g s) is not before the end (%g s); correct begin and end",
			first, i.End)
	case last < i.Begin && !c.Endless:
		return fmt.Sprintf("no vehicle is simulated: the last departure (%g s) is before the begin (%g s); correct begin and end",
			last, i.Begin)
	}
	return ""
}
