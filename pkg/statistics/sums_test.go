package statistics

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func sumsOf(values []float64) (s Sums) {
	for _, v := range Present(values) {
		s.Add(v)
	}
	return s
}

// What is kept in sums is described and judged like what is kept whole.
func TestSumsSayWhatValuesSay(t *testing.T) {
	t.Parallel()
	nan, level := math.NaN(), At(0.95)
	random := rand.New(rand.NewPCG(1, 2))
	draw := func(n int, mean, sd float64) []float64 {
		values := make([]float64, n)
		for i := range values {
			values[i] = mean + sd*random.NormFloat64()
		}
		return values
	}
	one := draw(12, 1e6, 3)
	shifted := slices.Clone(one)
	for i := range shifted {
		shifted[i] += 0.1
	}
	for name, tc := range map[string]struct{ values, baseline []float64 }{
		"pairs":                {draw(12, 20, 3), draw(12, 22, 3)},
		"some pairs":           {[]float64{1, nan, 3, 5, nan}, []float64{2, 2, nan, 9, 1}},
		"no pairs":             {[]float64{1, 3, 4, nan, nan}, []float64{nan, nan, nan, 8, 9}},
		"one pair":             {[]float64{1, nan}, []float64{4, nan}},
		"one pair, and others": {[]float64{1, 3, 4, nan}, []float64{2, nan, nan, 8}},
		"one value":            {[]float64{1, nan}, []float64{nan, 5}},
		"nothing":              {[]float64{nan}, []float64{1}},
		"the same":             {one, one},
		"shifted":              {shifted, one},
		"constant, no pairs":   {[]float64{2, 2, nan, nan}, []float64{nan, nan, 3, 3}},
		"a third, again":       {[]float64{1. / 3, 1. / 3, 1. / 3}, []float64{0.1, 0.1, 0.1}},
	} {
		want := level.Compare(tc.values, tc.baseline)
		got := CompareSums(sumsOf(tc.values), sumsOf(tc.baseline), sumsOf(Differences(tc.values, tc.baseline)))
		if got.Method != want.Method || got.N != want.N {
			t.Errorf("%s: %s of %d, want %s of %d", name, got.Method, got.N, want.Method, want.N)
		}
		for what, pair := range map[string][2]float64{
			"mean": {got.Mean, want.Mean}, "sd": {got.SD, want.SD}, "t": {got.T, want.T}, "df": {got.DF, want.DF}, "p": {got.P, want.P},
		} {
			if !(math.Abs(pair[0]-pair[1]) <= 1e-7*math.Abs(pair[1]) || math.IsNaN(pair[0]) && math.IsNaN(pair[1])) {
				t.Errorf("%s: %s %.12g, want %.12g", name, what, pair[0], pair[1])
			}
		}
		whole := Describe(Present(tc.values))
		if s := sumsOf(tc.values); int(s.N) != whole.N || !close64(s.Mean(), whole.Mean) || !close64(s.SD(), whole.SD) {
			t.Errorf("%s: %d, %g ± %g, want %d, %g ± %g", name, s.N, s.Mean(), s.SD(), whole.N, whole.Mean, whole.SD)
		}
	}
}

func close64(a, b float64) bool {
	return math.Abs(a-b) <= 1e-9*math.Abs(b) || math.IsNaN(a) && math.IsNaN(b)
}

func TestZerosCountAsValues(t *testing.T) {
	t.Parallel()
	for _, values := range [][]float64{{}, {3}, {3, 4.5, -1}} {
		s := sumsOf(values)
		s.AddZeros(2)
		s.AddZeros(0)
		want := Describe(append([]float64{0, 0}, values...))
		if int(s.N) != want.N || !close64(s.Mean(), want.Mean) || !close64(s.SD(), want.SD) {
			t.Errorf("%v and two zeros: %d, %g ± %g, want %d, %g ± %g", values, s.N, s.Mean(), s.SD(), want.N, want.Mean, want.SD)
		}
	}
}
