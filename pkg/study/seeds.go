package study

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// ParseSeeds reads "1:10", which are the seeds from 1 to 10, or a list of seeds. An error says what is wrong, as the end of a sentence.
func ParseSeeds(raw json.RawMessage) ([]int64, error) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return parseRange(text)
	}
	var seeds []int64
	if err := json.Unmarshal(raw, &seeds); err != nil || len(seeds) == 0 {
		return nil, fmt.Errorf(`must be a range such as "1:10", or a list of whole numbers`)
	}
	if len(seeds) > MaxRuns {
		return nil, tooManySeeds(len(seeds))
	}
	seen := make(map[int64]bool, len(seeds))
	for _, s := range seeds {
		switch {
		case s < 0 || s > math.MaxInt32:
			return nil, fmt.Errorf("must be from 0 to %d, as SUMO takes them; %d is not", math.MaxInt32, s)
		case seen[s]:
			return nil, fmt.Errorf("must differ; %d is there twice", s)
		}
		seen[s] = true
	}
	return seeds, nil
}

func parseRange(text string) ([]int64, error) {
	from, to, ok := strings.Cut(text, ":")
	first, err := strconv.ParseInt(strings.TrimSpace(from), 10, 64)
	last, err2 := strconv.ParseInt(strings.TrimSpace(to), 10, 64)
	switch {
	case !ok || err != nil || err2 != nil:
		return nil, fmt.Errorf(`must be a range such as "1:10", or a list of whole numbers`)
	case first < 0 || last > math.MaxInt32:
		return nil, fmt.Errorf("must be from 0 to %d, as SUMO takes them", math.MaxInt32)
	case last < first:
		return nil, fmt.Errorf("must begin with the smaller number: %d:%d", last, first)
	case last-first >= MaxRuns:
		return nil, tooManySeeds(int(last - first + 1))
	}
	seeds := make([]int64, 0, last-first+1)
	for s := first; s <= last; s++ {
		seeds = append(seeds, s)
	}
	return seeds, nil
}

func tooManySeeds(n int) error {
	return fmt.Errorf("are %d; name at most %d, which is as many runs as a study may have", n, MaxRuns)
}

// seeds are those that r names, or those of the first round; nil with a fault.
func (r Replications) seeds(f *faults, baseline bool) []int64 {
	const at = "body.replications"
	if r.Until != nil {
		faults := len(f.items)
		r.Until.check(f, baseline)
		if r.Seeds == nil && len(f.items) == faults {
			return NextSeeds(nil, r.Until.least())
		}
	}
	switch {
	case r.Until != nil && r.Seeds != nil:
		f.add(at, nil, "has both seeds and until; keep one of them")
	case r.Until != nil:
	case r.Seeds == nil:
		f.add(at, nil, `must name the seeds of each point: {"seeds": "1:10"}, or an aim: {"until": {"relative_half_width": 0.05, "max": 30}}`)
	default:
		seeds, err := ParseSeeds(r.Seeds)
		if err != nil {
			f.add(at+".seeds", nil, "%s", err)
		}
		return seeds
	}
	return nil
}

// Most is how many seeds a study of r may come to have that has n of them.
func (r Replications) Most(n int) int {
	if r.Until != nil {
		return max(n, r.Until.Max)
	}
	return n
}

// check reports what is wrong with an aim.
func (a Aim) check(f *faults, baseline bool) {
	const at = "body.replications.until"
	if h := a.RelativeHalfWidth; h != 0 && !(h > 0 && h < 1) {
		f.add(at+".relative_half_width", h, "must be between 0 and 1")
	}
	if c := a.Confidence; c != 0 && !(c >= MinConfidence && c <= MaxConfidence) {
		f.add(at+".confidence", c, "must be from %g to %g", MinConfidence, MaxConfidence)
	}
	if a.RelativeHalfWidth == 0 && len(a.Absolute) == 0 {
		f.add(at, nil, "must have an aim: relative_half_width, or absolute half widths of metrics")
	}
	switch {
	case a.Min != 0 && a.Min < 2:
		f.add(at+".min", a.Min, "must be 2 at least: fewer have no interval")
	case a.Max > MaxRuns:
		f.add(at+".max", a.Max, "must be at most %d", MaxRuns)
	case a.Max < a.least():
		f.add(at+".max", a.Max, "must be at least min (%d)", a.least())
	}
	switch {
	case a.Of != "" && a.Of != ofMean && a.Of != ofDifference:
		f.add(at+".of", a.Of, "must be mean or difference")
	case a.Of == ofDifference && !baseline:
		f.add(at+".of", a.Of, "needs a baseline, to which the differences are")
	}
	for _, name := range slices.Sorted(maps.Keys(a.Absolute)) {
		switch {
		case simulation.UnitOf(name) == "":
			f.add(at+".absolute."+name, nil, "is not a metric of runs; choose among %s", strings.Join(simulation.MetricNames(), ", "))
		case !(a.Absolute[name] > 0):
			f.add(at+".absolute."+name, a.Absolute[name], "must be more than 0")
		}
	}
}
