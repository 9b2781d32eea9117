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

// MaxEdgeCells bounds the edges and intervals together whose sums are kept, of 72 bytes each with a second point.
const MaxEdgeCells = 1_000_000

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
	cells     int
	runs      [2]int
}

// edgeSums are those of one interval.
type edgeSums struct {
	EdgeInterval
	// Runs that have the interval: of the point, of the other one, and of both with the same seed.
	point, against, pairs int
	cells                 []edgeCell
}

type edgeCell struct{ point, against, pairs statistics.Sums }

// NewEdgeSums are sums of an attribute that an edge without vehicles has with the value empty, 0 or NaN.
func NewEdgeSums(empty float64) *EdgeSums {
	return &EdgeSums{empty: empty, index: map[string]int{}, at: map[float64]int{}}
}

// Add adds a run of the point, and one of the other point with the same seed. Either may be nil.
func (s *EdgeSums) Add(point, against *EdgeValues) error {
	a, err := s.place(point, 0)
	if err != nil {
		return err
	}
	b, err := s.place(against, 1)
	if err != nil {
		return err
	}
	one, other := make([]float64, len(s.edges)), make([]float64, len(s.edges))
	for i, sums := range s.intervals {
		hasOne, hasOther := a.spread(i, s.empty, one), b.spread(i, s.empty, other)
		if !hasOne && !hasOther {
			continue
		}
		if s.cells += len(s.edges) - len(sums.cells); s.cells > MaxEdgeCells {
			return problem.New(problem.TooLarge, "The runs have values of more than %d edges and intervals together. Choose longer intervals of "+
				"edgedata, or fewer edges.", MaxEdgeCells)
		}
		sums.reach(len(s.edges))
		sums.count(hasOne, hasOther)
		for edge := range sums.cells {
			sums.cells[edge].add(one[edge], other[edge])
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

func (s *EdgeSums) place(v *EdgeValues, side int) (p placed, err error) {
	if v == nil {
		return placed{}, nil
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
	return p, nil
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

func (s *edgeSums) reach(edges int) {
	if n := edges - len(s.cells); n > 0 {
		s.cells = append(s.cells, make([]edgeCell, n)...)
	}
}

func (s *edgeSums) count(point, against bool) {
	if point {
		s.point++
	}
	if against {
		s.against++
	}
	if point && against {
		s.pairs++
	}
}

func (c *edgeCell) add(point, against float64) {
	if !math.IsNaN(point) {
		c.point.Add(point)
	}
	if math.IsNaN(against) {
		return
	}
	c.against.Add(against)
	if !math.IsNaN(point) {
		c.pairs.Add(point - against)
	}
}

// whole is the cell with the edge's zeros in the runs before the first that has it.
func (s *edgeSums) whole(edge int, empty float64) (c edgeCell) {
	if edge < len(s.cells) {
		c = s.cells[edge]
	}
	if empty == 0 {
		c.point.AddZeros(s.point - int(c.point.N))
		c.against.AddZeros(s.against - int(c.against.N))
		c.pairs.AddZeros(s.pairs - int(c.pairs.N))
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
		tests     []int // by estimate
		p         []float64
	)
	for i, sums := range sorted {
		if s.runs[1] == 0 && i != interval {
			continue
		}
		for _, edge := range order {
			c := sums.whole(edge, s.empty)
			if c.point.N == 0 && c.against.N == 0 {
				continue
			}
			d := statistics.CompareSums(c.point, c.against, c.pairs)
			if i == interval {
				estimates = append(estimates, EdgeEstimate{
					Edge: s.edges[edge], N: int(c.point.N), Mean: c.point.Mean(), SD: c.point.SD(), Difference: d, Adjusted: math.NaN(),
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
