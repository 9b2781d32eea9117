package statistics

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

// reference is what SciPy says; testdata/reference.py made it.
type reference struct {
	Samples []struct {
		Values                         []float64
		Confidence, Mean, SD, SE, Half float64
		Min, Q1, Median, Q3, Max       float64
		Needed                         int
	}
	Comparisons []struct {
		Values, Baseline          []float64
		Method                    Method
		T, DF, P, Mean, Low, High float64
	}
	Adjusted []struct{ P, Holm, FDR []float64 }
	Tails    []struct{ T, DF, P float64 }
}

func scipy(t *testing.T) (r reference) {
	t.Helper()
	text, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// near fails unless got is want, to a relative 1e-9.
func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-9*math.Abs(want)) {
		t.Errorf("%s: %.17g, SciPy says %.17g", what, got, want)
	}
}

func TestSamplesAreThoseOfSciPy(t *testing.T) {
	t.Parallel()
	for _, want := range scipy(t).Samples {
		l := At(want.Confidence)
		got := Describe(want.Values)
		near(t, "mean", got.Mean, want.Mean)
		near(t, "sd", got.SD, want.SD)
		near(t, "standard error", got.SE(), want.SE)
		near(t, "half width", l.Half(got), want.Half)
		near(t, "min", got.Min, want.Min)
		near(t, "q1", got.Q1, want.Q1)
		near(t, "median", got.Median, want.Median)
		near(t, "q3", got.Q3, want.Q3)
		near(t, "max", got.Max, want.Max)
		if n := l.Needed(got.SD, 0.05*math.Abs(got.Mean)); n != want.Needed {
			t.Errorf("needed: %d, SciPy says %d", n, want.Needed)
		}
	}
}

func TestComparisonsAreThoseOfSciPy(t *testing.T) {
	t.Parallel()
	l := At(0.95)
	for _, want := range scipy(t).Comparisons {
		values, baseline := want.Values, want.Baseline
		if want.Method == Welch { // no run of one has the seed of a run of the other
			nan := func(n int) []float64 {
				none := make([]float64, n)
				for i := range none {
					none[i] = math.NaN()
				}
				return none
			}
			values, baseline = append(nan(len(baseline)), values...), append(append([]float64{}, baseline...), nan(len(values))...)
		}
		got := l.Compare(values, baseline)
		if got.Method != want.Method {
			t.Errorf("method %s, want %s", got.Method, want.Method)
		}
		near(t, "difference", got.Mean, want.Mean)
		near(t, "t", got.T, want.T)
		near(t, "df", got.DF, want.DF)
		near(t, "p", got.P, want.P)
		near(t, "low", got.Mean-got.Half, want.Low)
		near(t, "high", got.Mean+got.Half, want.High)
	}
}

func TestAdjustedValuesAreThoseOfSciPy(t *testing.T) {
	t.Parallel()
	for _, want := range scipy(t).Adjusted {
		holm, fdr := Holm(want.P, len(want.P)), FalseDiscovery(want.P)
		for i := range want.P {
			near(t, "Holm", holm[i], want.Holm[i])
			near(t, "Benjamini and Hochberg", fdr[i], want.FDR[i])
		}
	}
}

func TestTailsAreThoseOfSciPy(t *testing.T) {
	t.Parallel()
	for _, want := range scipy(t).Tails {
		near(t, "p", twoSided(want.T, want.DF), want.P)
	}
}

func TestMissingValuesCountInTheFamily(t *testing.T) {
	t.Parallel()
	p := []float64{math.NaN(), 0.01, math.NaN(), 0.02}
	holm := Holm(p, len(p))
	if !math.IsNaN(holm[0]) || !math.IsNaN(holm[2]) || holm[1] != 0.04 || holm[3] != 0.06 {
		t.Errorf("Holm of %v in a family of four: %v", p, holm)
	}
	fdr := FalseDiscovery(p)
	if !math.IsNaN(fdr[0]) || fdr[1] != 0.02 || fdr[3] != 0.02 {
		t.Errorf("Benjamini and Hochberg of %v: %v", p, fdr)
	}
}

func TestDegenerateSamples(t *testing.T) {
	t.Parallel()
	nan, l := math.NaN(), At(0.95)
	same := func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }
	for name, tc := range map[string]struct {
		values   []float64
		mean, sd float64
		half     float64
	}{
		"no value":                        {nil, nan, nan, nan},
		"one value has no interval":       {[]float64{3}, 3, nan, nan},
		"equal values":                    {[]float64{0.1, 0.1, 0.1}, 0.1, 0, 0},
		"values that rounding sets apart": {[]float64{0.3, 0.1 + 0.2, 0.3}, 0.3, 0, 0},
		"zeros":                           {[]float64{0, 0}, 0, 0, 0},
	} {
		s := Describe(tc.values)
		if !same(s.SD, tc.sd) || !same(l.Half(s), tc.half) || !same(s.Mean, tc.mean) && math.Abs(s.Mean-tc.mean) > 1e-15 {
			t.Errorf("%s: mean %v, sd %v, half width %v", name, s.Mean, s.SD, l.Half(s))
		}
	}
	for name, tc := range map[string]struct {
		values, baseline []float64
		want             Difference
	}{
		"nothing":        {nil, nil, Difference{Method: None, Mean: nan, SD: nan, Half: nan, P: nan}},
		"one pair":       {[]float64{3, nan}, []float64{1, 2}, Difference{Method: None, N: 1, Mean: 2, SD: nan, Half: nan, P: nan}},
		"no success":     {[]float64{nan, nan}, []float64{1, 2}, Difference{Method: None, N: 0, Mean: nan, SD: nan, Half: nan, P: nan}},
		"the same runs":  {[]float64{1, 2}, []float64{1, 2}, Difference{Method: Exact, N: 2, Mean: 0, Half: nan, P: nan}},
		"one difference": {[]float64{6.3, 6.5}, []float64{6.1, 6.3}, Difference{Method: Exact, N: 2, Mean: 0.2, Half: nan, P: nan}},
		"equal values without pairs": {
			[]float64{1, 1, nan, nan}, []float64{nan, nan, 3, 3}, Difference{Method: Exact, N: 2, Mean: -2, SD: nan, Half: nan, P: nan},
		},
	} {
		got := l.Compare(tc.values, tc.baseline)
		if got.Method != tc.want.Method || got.N != tc.want.N || !same(got.SD, tc.want.SD) || !same(got.Half, tc.want.Half) ||
			!same(got.P, tc.want.P) || !same(got.Mean, tc.want.Mean) && !(math.Abs(got.Mean-tc.want.Mean) < 1e-12) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestNeededRuns(t *testing.T) {
	t.Parallel()
	l := At(0.95)
	for _, tc := range []struct {
		sd, half float64
		want     int
	}{{0, 0, 2}, {0, 1, 2}, {1, 0, MostNeeded}, {1, math.NaN(), MostNeeded}, {1, 1e-9, MostNeeded}, {1, 100, 2}} {
		if got := l.Needed(tc.sd, tc.half); got != tc.want {
			t.Errorf("sd %v, half width %v: %d, want %d", tc.sd, tc.half, got, tc.want)
		}
	}
	rng := rand.New(rand.NewPCG(19, 1))
	for range 200 {
		sd, half := rng.Float64(), 0.02+rng.Float64()
		n := l.Needed(sd, half)
		width := func(n int) float64 { return l.quantile(n-1) * sd / math.Sqrt(float64(n)) }
		if width(n) > half || n > 2 && width(n-1) <= half {
			t.Errorf("sd %v, half width %v: %d runs give %v, one less %v", sd, half, n, width(n), width(n-1))
		}
	}
}

func TestTheExpansionIsTheQuantile(t *testing.T) {
	t.Parallel()
	for _, confidence := range []float64{0.5, 0.8, 0.95, 0.99, 0.9999} {
		for _, df := range []float64{expanded, 1500, 10_000} {
			want := distuv.StudentsT{Sigma: 1, Nu: df}.Quantile((1 + confidence) / 2)
			got := At(confidence).quantileOf(df)
			if math.Abs(got-want) > 1e-10*want {
				t.Errorf("%v at %v degrees of freedom: %.15g, gonum says %.15g", confidence, df, got, want)
			}
		}
	}
}

// studies is how many synthetic studies the simulations make. Their standard error is then 0.15 % at a share of 5 %.
const studies = 20_000

// share fails unless a share of the studies lies in a band.
func share(t *testing.T, what string, count int, low, high float64) {
	t.Helper()
	got := float64(count) / studies
	t.Logf("%s: %.2f %%", what, 100*got)
	if got < low || got > high {
		t.Errorf("%s: %.4f, want %v to %v", what, got, low, high)
	}
}

func TestIntervalsCoverTheTruth(t *testing.T) {
	t.Parallel()
	l, rng := At(0.95), rand.New(rand.NewPCG(19, 2))
	const n, mean, sd = 10, 74, 8
	covered, alarms := 0, 0
	values, other := make([]float64, n), make([]float64, n)
	for range studies {
		for i := range values {
			shared := rng.NormFloat64() // what both have of a seed
			values[i] = mean + sd*(0.8*shared+0.6*rng.NormFloat64())
			other[i] = mean + sd*(0.8*shared+0.6*rng.NormFloat64())
		}
		s := Describe(values)
		if math.Abs(s.Mean-mean) <= l.Half(s) {
			covered++
		}
		if l.Compare(values, other).P <= 0.05 {
			alarms++
		}
	}
	share(t, "the 95 % interval holds the mean", covered, 0.945, 0.955)
	share(t, "false alarms of the paired test", alarms, 0.045, 0.055)
}

// TestHolmHoldsTheFamily compares four points with one baseline, by three metrics that go together.
func TestHolmHoldsTheFamily(t *testing.T) {
	t.Parallel()
	const n, points, metrics, sd = 10, 4, 3, 8.0
	for name, differs := range map[string]func(i int) bool{
		"nothing differs":                func(int) bool { return false },
		"half of the comparisons differ": func(i int) bool { return i%2 == 0 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, rng := At(0.95), rand.New(rand.NewPCG(19, 3))
			base := make([][metrics]float64, n)
			p := make([]float64, points*metrics)
			values, reference := make([]float64, n), make([]float64, n)
			wrong := 0
			for range studies {
				for r := range base {
					shared := rng.NormFloat64()
					for m := range metrics {
						base[r][m] = sd * (0.7*shared + 0.7*rng.NormFloat64())
					}
				}
				for point := range points {
					for m := range metrics {
						i := point*metrics + m
						for r := range base {
							reference[r] = base[r][m]
							values[r] = base[r][m] + sd*0.5*rng.NormFloat64()
							if differs(i) {
								values[r] -= 2 * sd
							}
						}
						p[i] = l.Compare(values, reference).P
					}
				}
				for i, adjusted := range Holm(p, len(p)) {
					if adjusted <= 0.05 && !differs(i) {
						wrong++
						break
					}
				}
			}
			share(t, "studies with a false alarm", wrong, 0, 0.056)
		})
	}
}
