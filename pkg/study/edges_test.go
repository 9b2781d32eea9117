package study

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/statistics"
)

// edgeRuns are runs of a point with the values of edges by begin of the interval and by edge; an edge may be missing.
func edgeRuns(random *rand.Rand, runs int, shift, missing float64) []map[float64]map[string]float64 {
	all := make([]map[float64]map[string]float64, runs)
	for r := range all {
		all[r] = map[float64]map[string]float64{}
		for _, begin := range []float64{0, 60, 120} {
			if begin == 120 && r%3 == 2 {
				continue // this run ended before
			}
			all[r][begin] = map[string]float64{}
			for e := range 30 {
				if random.Float64() < missing {
					continue
				}
				v := 10 + random.NormFloat64()
				if e%10 == 0 {
					v += shift
				}
				all[r][begin][fmt.Sprintf("e%02d", e)] = v
			}
		}
	}
	return all
}

func valuesOf(random *rand.Rand, run map[float64]map[string]float64) *EdgeValues {
	if run == nil {
		return nil
	}
	v := &EdgeValues{}
	for e := range 30 {
		v.Edges = append(v.Edges, fmt.Sprintf("e%02d", e))
	}
	random.Shuffle(len(v.Edges), func(i, j int) { v.Edges[i], v.Edges[j] = v.Edges[j], v.Edges[i] })
	for _, begin := range []float64{0, 60, 120} {
		if run[begin] == nil {
			continue
		}
		row := make([]float64, 0, 30)
		for _, id := range v.Edges {
			x, ok := run[begin][id]
			if !ok {
				x = math.NaN()
			}
			row = append(row, x)
		}
		for len(row) > 0 && math.IsNaN(row[len(row)-1]) {
			row = row[:len(row)-1]
		}
		v.Intervals, v.Values = append(v.Intervals, EdgeInterval{begin, begin + 60}), append(v.Values, row)
	}
	return v
}

// The sums say what the values say when all are kept and judged one edge and interval after the other.
func TestEdgeSumsSayWhatAllValuesSay(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		empty    float64
		unpaired bool
	}{"unknown where empty": {math.NaN(), false}, "0 where empty": {0, false}, "not paired": {math.NaN(), true}} {
		random := rand.New(rand.NewPCG(7, 7))
		const n = 12
		missing := 0.2
		if tc.empty == 0 {
			missing = 0.01 // else the zeros hide the difference
		}
		a, b := edgeRuns(random, n, 5, missing), edgeRuns(random, n, 0, missing)
		s := NewEdgeSums(tc.empty)
		for r := range n {
			if tc.unpaired && r%2 == 0 {
				a[r] = nil
			} else if tc.unpaired {
				b[r] = nil
			}
			if err := s.Add(valuesOf(random, a[r]), valuesOf(random, b[r])); err != nil {
				t.Fatal(err)
			}
		}
		level := statistics.At(0.95)
		var want []EdgeEstimate
		var p []float64
		for _, begin := range []float64{0, 60, 120} {
			for e := range 30 {
				id := fmt.Sprintf("e%02d", e)
				list := func(runs []map[float64]map[string]float64) []float64 {
					out := make([]float64, n)
					for r := range out {
						out[r] = math.NaN()
						if runs[r] == nil || runs[r][begin] == nil {
							continue
						}
						out[r] = tc.empty
						if v, ok := runs[r][begin][id]; ok {
							out[r] = v
						}
					}
					return out
				}
				d := level.Compare(list(a), list(b))
				sample := statistics.Describe(statistics.Present(list(a)))
				want = append(want, EdgeEstimate{Edge: id, N: sample.N, Mean: sample.Mean, SD: sample.SD, Difference: d})
				p = append(p, d.P)
			}
		}
		found := 0
		for i, q := range statistics.FalseDiscovery(p) {
			want[i].Adjusted = q
			if want[i].ToldApart() {
				found++
			}
		}
		if found < 5 || found > 20 {
			t.Errorf("%s: %d are told apart, want about 9", name, found)
		}
		if got := s.Intervals(); len(got) != 3 || got[2] != (EdgeInterval{120, 180}) {
			t.Fatalf("%s: intervals %v", name, got)
		}
		for i := range 3 {
			for e, got := range s.Estimates(i) {
				w := want[i*30+e]
				if got.Edge != w.Edge || got.N != w.N || got.Method != w.Method || got.Difference.N != w.Difference.N ||
					got.ToldApart() != w.ToldApart() {
					t.Errorf("%s, interval %d: %+v, want %+v", name, i, got, w)
				}
				for _, pair := range [][2]float64{
					{got.Mean, w.Mean}, {got.SD, w.SD}, {got.Difference.Mean, w.Difference.Mean}, {got.P, w.P}, {got.Adjusted, w.Adjusted},
				} {
					if !(math.Abs(pair[0]-pair[1]) <= 1e-9*math.Abs(pair[1]) || math.IsNaN(pair[0]) && math.IsNaN(pair[1])) {
						t.Errorf("%s, interval %d, %s: %.12g, want %.12g", name, i, got.Edge, pair[0], pair[1])
					}
				}
			}
		}
	}
}

func TestEdgesOfDegenerateRuns(t *testing.T) {
	t.Parallel()
	one := func(v float64) *EdgeValues {
		return &EdgeValues{Intervals: []EdgeInterval{{0, 60}}, Edges: []string{"a"}, Values: [][]float64{{v}}}
	}
	for name, tc := range map[string]struct {
		runs [][2]*EdgeValues
		want statistics.Method
		n    int
	}{
		"one run":                {[][2]*EdgeValues{{one(1), nil}}, statistics.None, 1},
		"one pair":               {[][2]*EdgeValues{{one(1), one(2)}}, statistics.None, 1},
		"the same number always": {[][2]*EdgeValues{{one(1.1), one(2.2)}, {one(1.2), one(2.3)}, {one(7.3), one(8.4)}}, statistics.Exact, 3},
		"an edge of the other":   {[][2]*EdgeValues{{nil, one(2)}, {nil, one(3)}}, statistics.None, 0},
	} {
		s := NewEdgeSums(math.NaN())
		for _, r := range tc.runs {
			if err := s.Add(r[0], r[1]); err != nil {
				t.Fatal(err)
			}
		}
		got := s.Estimates(0)
		if len(got) != 1 || got[0].Method != tc.want || got[0].N != tc.n || got[0].ToldApart() || !math.IsNaN(got[0].P) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := NewEdgeSums(0); len(got.Intervals()) > 0 || len(got.Estimates(0)) > 0 {
		t.Error("no run has intervals")
	}
}

func TestTooManyEdgesAreRefused(t *testing.T) {
	t.Parallel()
	v := &EdgeValues{
		Edges: make([]string, maxEdgeSums/3+1), Intervals: []EdgeInterval{{0, 1}, {1, 2}, {2, 3}}, Values: [][]float64{{1}, {1}, {1}},
	}
	for i := range v.Edges {
		v.Edges[i] = fmt.Sprint(i)
	}
	if err := NewEdgeSums(0).Add(v, nil); problem.CodeOf(err) != problem.TooLarge {
		t.Errorf("%v", err)
	}
}
