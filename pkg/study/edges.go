package study

import (
	"cmp"
	"math"
	"slices"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/statistics"
)

// FalseDiscoveryRate is the share of false ones to be expected among the edges and intervals that are told apart.
const FalseDiscoveryRate = 0.05

// maxEdgeSums bounds the sums that are kept, of 24 bytes each: one for each edge in each interval, and three with a second point.
const maxEdgeSums = 3_000_000

// EdgeInterval is a time for which edges have values, in seconds of simulated time.
type EdgeInterval struct{ Begin, End float64 }

// EdgeValues are those of one run and one attribute. A run has none for intervals and edges that it does not list.
type EdgeValues struct {
	Intervals []EdgeInterval
	Edges     []string
	Values    [][]float64 // by interval, then by edge, as far as a row goes; NaN for no value
}

// EdgeSums gather the runs of one point, and of another one with which it is compared. Runs are added in any number and not kept.
type EdgeSums struct {
	// empty is what an edge has that is missing in an interval which the run has: 0, or NaN if that is unknown.
	empty     float64
	index     map[string]int
	edges     []string
	at        map[float64]int // by begin
	intervals []*edgeSums
	kept      int    // sums
	runs      [2]int // of the point and of the other one
}

// edgeSums are those of one interval.
type edgeSums struct {
	EdgeInterval
	// Runs that have the interval: of the point, of the other one, and of both with the same seed.
	runs [sides]int
	// Sums by edge; those of pairs and of the other point are empty without one.
	sums [sides][]statistics.Sums
}

// What there are sums of.
const (
	ofPoint = iota
	ofAgainst
	ofPairs
	sides
)

// NewEdgeSums are sums of an attribute that an edge without vehicles has with the value empty, 0 or NaN.
func NewEdgeSums(empty float64) *EdgeSums {
	return &EdgeSums{empty: empty, index: map[string]int{}, at: map[float64]int{}}
}

// Add adds a run of the point, and one of the other point with the same seed. Either may be nil.
func (s *EdgeSums) Add(point, against *EdgeValues) error {
	a, b := s.place(point, ofPoint), s.place(against, ofAgainst)
	one, other := make([]float64, len(s.edges)), make([]float64, len(s.edges))
	for i, sums := range s.intervals {
		hasOne, hasOther := a.spread(i, s.empty, one), b.spread(i, s.empty, other)
		var err error
		if hasOne {
			err = s.add(sums, ofPoint, func(edge int) float64 { return one[edge] })
		}
		if err == nil && hasOther {
			err = s.add(sums, ofAgainst, func(edge int) float64 { return other[edge] })
		}
		if err == nil && hasOne && hasOther {
			err = s.add(sums, ofPairs, func(edge int) float64 { return one[edge] - other[edge] })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// add adds a run to the sums of one side in one interval.
func (s *EdgeSums) add(to *edgeSums, side int, value func(edge int) float64) error {
	more := len(s.edges) - len(to.sums[side])
	if s.kept += more; s.kept > maxEdgeSums {
		return problem.New(problem.TooLarge, "The runs have values of too many edges and intervals together: more than %d, or a third of that "+
			"in a comparison. Choose longer intervals of edgedata, or fewer edges.", maxEdgeSums)
	}
	to.sums[side] = append(to.sums[side], make([]statistics.Sums, more)...)
	to.runs[side]++
	for edge := range to.sums[side] {
		if v := value(edge); !math.IsNaN(v) {
			to.sums[side][edge].Add(v)
		}
	}
	return nil
}

// placed are the values of a run with the numbers of its intervals and edges in the sums.
type placed struct {
	*EdgeValues
	row   map[int]int // of an interval in the sums, in the values
	edges []int
}

func (s *EdgeSums) place(v *EdgeValues, side int) (p placed) {
	if v == nil {
		return placed{}
	}
	s.runs[side]++
	p = placed{EdgeValues: v, row: map[int]int{}, edges: make([]int, len(v.Edges))}
	for row, i := range v.Intervals {
		n, known := s.at[i.Begin]
		if !known {
			n = len(s.intervals)
			s.at[i.Begin] = n
			s.intervals = append(s.intervals, &edgeSums{EdgeInterval: i})
		}
		s.intervals[n].End = max(s.intervals[n].End, i.End)
		p.row[n] = row
	}
	for i, id := range v.Edges {
		edge, known := s.index[id]
		if !known {
			edge = len(s.edges)
			s.index[id] = edge
			s.edges = append(s.edges, id)
		}
		p.edges[i] = edge
	}
	return p
}

// spread puts the values of an interval into out, by the numbers of the sums. It reports whether the run has that interval.
func (p placed) spread(interval int, empty float64, out []float64) bool {
	row, ok := p.row[interval]
	fill := math.NaN()
	if ok {
		fill = empty
	}
	for i := range out {
		out[i] = fill
	}
	if !ok {
		return false
	}
	for i, v := range p.Values[row] {
		if !math.IsNaN(v) {
			out[p.edges[i]] = v
		}
	}
	return true
}

// of are the sums of an edge with its zeros in the runs before the first that has it.
func (s *edgeSums) of(edge int, empty float64) (c [sides]statistics.Sums) {
	for side := range sides {
		if edge < len(s.sums[side]) {
			c[side] = s.sums[side][edge]
		}
		if empty == 0 {
			c[side].AddZeros(s.runs[side] - int(c[side].N))
		}
	}
	return c
}

// Runs are how many runs of the point, and of the other one, were added.
func (s *EdgeSums) Runs() (point, against int) { return s.runs[0], s.runs[1] }

// Intervals are those that any run has, in order.
func (s *EdgeSums) Intervals() []EdgeInterval {
	all := make([]EdgeInterval, len(s.intervals))
	for i, sums := range s.sorted() {
		all[i] = sums.EdgeInterval
	}
	return all
}

func (s *EdgeSums) sorted() []*edgeSums {
	return slices.SortedFunc(slices.Values(s.intervals), func(a, b *edgeSums) int { return cmp.Compare(a.Begin, b.Begin) })
}

// EdgeEstimate is what the runs say about an edge in one interval.
type EdgeEstimate struct {
	Edge string
	// N values of the point, with their mean and standard deviation; NaN where these do not exist.
	N        int
	Mean, SD float64
	// Difference to the other point, and its p adjusted by the method of Benjamini and Hochberg, over all edges and intervals.
	statistics.Difference
	Adjusted float64
}

// ToldApart reports whether the difference is told apart from chance.
func (e EdgeEstimate) ToldApart() bool { return e.Adjusted <= FalseDiscoveryRate }

// Estimates are those of one of Intervals, by edge, for each edge that has a value there.
func (s *EdgeSums) Estimates(interval int) []EdgeEstimate {
	sorted := s.sorted()
	order := make([]int, len(s.edges))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(s.edges[a], s.edges[b]) })
	var (
		estimates []EdgeEstimate
		tests     []int // by estimate, in p
	)
	p := make([]float64, 0, s.kept)
	for i, sums := range sorted {
		if s.runs[1] == 0 && i != interval {
			continue
		}
		for _, edge := range order {
			c := sums.of(edge, s.empty)
			if c[ofPoint].N == 0 && c[ofAgainst].N == 0 {
				continue
			}
			d := statistics.CompareSums(c[ofPoint], c[ofAgainst], c[ofPairs])
			if i == interval {
				estimates = append(estimates, EdgeEstimate{
					Edge: s.edges[edge], N: int(c[ofPoint].N), Mean: c[ofPoint].Mean(), SD: c[ofPoint].SD(), Difference: d, Adjusted: math.NaN(),
				})
				tests = append(tests, len(p))
			}
			p = append(p, d.P)
		}
	}
	adjusted := statistics.FalseDiscovery(p)
	for i := range estimates {
		estimates[i].Adjusted = adjusted[tests[i]]
	}
	return estimates
}
