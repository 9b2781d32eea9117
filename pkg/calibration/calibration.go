// Package calibration compares traffic counts with what a run counted at the same places in the same hours.
//
// The measure is the GEH statistic, named after its inventor Geoffrey E. Havers. The Design Manual for Roads and Bridges (Highways
// Agency, volume 12, section 2, part 1, Traffic Appraisal in Urban Areas, 1996, table 4.2) asks for a GEH below 5 at more than 85 % of
// the places, and so does the Traffic Analysis Toolbox of the FHWA (volume III, FHWA-HRT-04-040, 2004, table 4).
package calibration

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// Kind is what counts vehicles.
type Kind string

// What counts vehicles.
const (
	// Detector is an induction loop (E1). It counts the vehicles that have passed it.
	Detector Kind = "detector"
	// Edge is a road in one direction. It counts the vehicles that came onto it: from other edges, or because their trips begin there.
	Edge Kind = "edge"
)

// Count is one row of a file of counts.
type Count struct {
	Line int // of the file
	Kind Kind
	// IDs are the detectors or edges that count together, such as the detectors of all lanes.
	IDs []string
	// Begin and End are the interval, in seconds of simulated time.
	Begin, End float64
	Flow       float64 // vehicles per hour
}

// Compared is a count with the run's own.
type Compared struct {
	Count
	// Flow of the run in vehicles per hour, and GEH of the two. Both are 0 if Why says why they cannot be compared.
	Modelled, GEH float64
	Why           string
}

// Accepted is the GEH below which a flow counts as reproduced.
const Accepted = 5

// GEH is √(2(m−c)²/(m+c)), of two flows in vehicles per hour. It is 0 if both are.
func GEH(m, c float64) float64 {
	if m+c == 0 {
		return 0
	}
	return math.Sqrt(2 * (m - c) * (m - c) / (m + c))
}

// Band returns the flows between which the GEH with the flow c is below geh: the solutions of 2(m−c)² = geh²(m+c), or 0.
func Band(c, geh float64) (low, high float64) {
	square := geh * geh
	root := math.Sqrt(square*square + 16*square*c)
	return max(0, c+(square-root)/4), c + (square+root)/4
}

// Summary describes all that could be compared.
type Summary struct {
	Compared int
	Below    int     // of these, how many have a GEH below Accepted
	RMSE     float64 // the root mean square of the differences, vehicles per hour
	Bias     float64 // the mean of the run's flow less the counted one, vehicles per hour
}

// Summarise describes rows; those that cannot be compared do not count.
func Summarise(rows []Compared) (s Summary) {
	var sum, squares float64
	for _, r := range rows {
		if r.Why != "" {
			continue
		}
		s.Compared++
		if r.GEH < Accepted {
			s.Below++
		}
		d := r.Modelled - r.Flow
		sum, squares = sum+d, squares+d*d
	}
	if s.Compared > 0 {
		s.Bias, s.RMSE = sum/float64(s.Compared), math.Sqrt(squares/float64(s.Compared))
	}
	return s
}

// instant is the difference of two times that are the same: SUMO writes two decimals.
const instant = 0.006

// window is an interval of counts, and what the run has of it.
type window struct {
	begin, end float64
	covered    float64 // seconds
	until      float64 // where the last interval of the run in here ends
	torn       bool    // an interval of the run is only partly in here
}

// take adds an interval of the run, and reports whether it is inside.
func (w *window) take(begin, end float64) bool {
	if end <= w.begin+instant || begin >= w.end-instant {
		return false
	}
	if begin < w.begin-instant || end > w.end+instant {
		w.torn = true
		return false
	}
	w.covered += end - begin
	w.until = max(w.until, end)
	return true
}

// why says what keeps a window from being compared. A run that was drained has counted everything until its end.
func (w *window) why(drained bool) string {
	const cure = " Choose the period of the output so that its intervals divide those of the counts."
	missing := w.end - w.begin - w.covered
	switch {
	case w.torn:
		return "An interval of the run is only in part in that of the count." + cure
	case w.covered == 0:
		return "The run has no values for this interval."
	case missing < -instant:
		return "The run has several values for this interval. Let each definition of an output write a file of its own."
	case missing > instant && !(drained && math.Abs(w.until+missing-w.end) <= instant):
		return fmt.Sprintf("The run has values for only %g of the %g seconds of this interval.", round(w.covered), round(w.end-w.begin))
	}
	return ""
}

func round(seconds float64) float64 { return math.Round(seconds*100) / 100 }

// tally is what the run counted at one of the places of a row.
type tally struct {
	window   *window
	vehicles float64
}

// place is a detector or an edge.
type place struct {
	tallies []*tally
	seen    bool
}

// Comparison gathers what a run counted, in the order of its files. Its memory depends on the counts alone.
type Comparison struct {
	counts  []Count
	parts   [][]*tally // by row, one for each of its IDs
	places  map[Kind]map[string]*place
	windows []*window // of edges, which share the run's intervals
	begin   float64   // of the interval of the edges that follow
	end     float64
}

// New begins a comparison.
func New(counts []Count) *Comparison {
	c := &Comparison{counts: counts, places: map[Kind]map[string]*place{Detector: {}, Edge: {}}}
	shared := map[[2]float64]*window{}
	for _, row := range counts {
		var parts []*tally
		for _, id := range row.IDs {
			w := &window{begin: row.Begin, end: row.End}
			if row.Kind == Edge {
				if known := shared[[2]float64{w.begin, w.end}]; known != nil {
					w = known
				} else {
					shared[[2]float64{w.begin, w.end}] = w
					c.windows = append(c.windows, w)
				}
			}
			at := c.places[row.Kind][id]
			if at == nil {
				at = &place{}
				c.places[row.Kind][id] = at
			}
			part := &tally{window: w}
			at.tallies, parts = append(at.tallies, part), append(parts, part)
		}
		c.parts = append(c.parts, parts)
	}
	return c
}

// Detector takes the vehicles that a detector counted in an interval.
func (c *Comparison) Detector(id string, begin, end, vehicles float64) {
	at := c.places[Detector][id]
	if at == nil {
		return
	}
	at.seen = true
	for _, t := range at.tallies {
		if t.window.take(begin, end) {
			t.vehicles += vehicles
		}
	}
}

// Interval begins an interval of all edges: those that do not follow had no vehicles in it.
func (c *Comparison) Interval(begin, end float64) {
	c.begin, c.end = begin, end
	for _, w := range c.windows {
		w.take(begin, end)
	}
}

// Edge takes the vehicles that came onto an edge in the latest interval.
func (c *Comparison) Edge(id string, vehicles float64) {
	at := c.places[Edge][id]
	if at == nil {
		return
	}
	at.seen = true
	for _, t := range at.tallies {
		if c.begin >= t.window.begin-instant && c.end <= t.window.end+instant {
			t.vehicles += vehicles
		}
	}
}

// Exists records that an edge is in the network, with or without vehicles.
func (c *Comparison) Exists(edge string) {
	if at := c.places[Edge][edge]; at != nil {
		at.seen = true
	}
}

// Unseen lists places of which the run has said nothing so far, in order.
func (c *Comparison) Unseen(k Kind) (ids []string) {
	for id, at := range c.places[k] {
		if !at.seen {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Has reports whether there are counts of a kind.
func (c *Comparison) Has(k Kind) bool { return len(c.places[k]) > 0 }

// unseen says what may be wrong with a place of which the run says nothing.
var unseen = map[Kind]string{
	Detector: "No result of the run has values of an induction loop with the id %q.",
	Edge:     "The run has no values of an edge %q: the network has none, or the scenario was deleted.",
}

// Rows returns the counts in their order with those of the run. drained says that no vehicle was left when the run ended: afterwards
// nothing would have been counted, so an interval that the run did not finish counts as whole.
func (c *Comparison) Rows(drained bool) []Compared {
	rows := make([]Compared, len(c.counts))
	for i, count := range c.counts {
		row := Compared{Count: count}
		reasons := map[string]bool{}
		for k, part := range c.parts[i] {
			id := count.IDs[k]
			if !c.places[count.Kind][id].seen {
				reasons[fmt.Sprintf(unseen[count.Kind], id)] = true
			} else if why := part.window.why(drained); why != "" {
				reasons[why] = true
			}
			row.Modelled += part.vehicles * 3600 / (count.End - count.Begin)
		}
		if row.Why = strings.Join(slices.Sorted(maps.Keys(reasons)), " "); row.Why != "" {
			row.Modelled = 0
		} else {
			row.GEH = GEH(row.Modelled, count.Flow)
		}
		rows[i] = row
	}
	return rows
}
