package statistics

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/mathext"
)

// Method is how a difference was judged.
type Method string

// The methods. A difference without a test is still given where it exists.
const (
	Paired Method = "paired" // by seed: the differences of runs with the same seed
	Welch  Method = "welch"  // seeds do not pair, and the variances may differ
	Exact  Method = "exact"  // all differences are the same number: there is no chance to tell it apart from
	None   Method = "none"   // too few values
)

// Difference is how far the mean of one sample lies from another's. Numbers that it does not have are NaN.
type Difference struct {
	Method Method
	N      int // pairs, or the smaller of the two samples
	Mean   float64
	SD     float64 // of the differences of pairs; NaN for other methods
	Half   float64 // half width of the interval; NaN without one
	T, DF  float64
	P      float64 // two-sided; NaN without a test
}

// Compare is the difference of values to those of a baseline. Values at the same index are a pair: they are of runs with the same seed,
// or NaN where a run has no value. Two pairs make a paired comparison; with fewer, Welch's test takes all values.
func (l *Level) Compare(values, baseline []float64) Difference {
	pairs := Differences(values, baseline)
	if len(pairs) >= 2 {
		return l.paired(pairs, largest(values, baseline))
	}
	a, b := Describe(Present(values)), Describe(Present(baseline))
	d := Difference{
		Method: None, N: min(a.N, b.N), Mean: a.Mean - b.Mean, SD: math.NaN(), Half: math.NaN(), T: math.NaN(), DF: math.NaN(), P: math.NaN(),
	}
	if len(pairs) == 1 {
		d.N, d.Mean = 1, pairs[0]
	}
	if a.N < 2 || b.N < 2 {
		return d
	}
	return l.welch(a, b)
}

// Differences are those of the pairs that are complete.
func Differences(values, baseline []float64) (pairs []float64) {
	for i := range min(len(values), len(baseline)) {
		if d := values[i] - baseline[i]; !math.IsNaN(d) {
			pairs = append(pairs, d)
		}
	}
	return pairs
}

// paired is the t test of differences whose terms are no larger than scale.
func (l *Level) paired(pairs []float64, scale float64) Difference {
	slices.Sort(pairs)
	n := len(pairs)
	mean, sd := moments(pairs)
	exact := sd == 0 || pairs[n-1]-pairs[0] <= rounding*scale // nothing but the rounding of the subtraction
	return l.interval(testPairs(n, mean, sd, scale, exact))
}

// interval adds the half width to a test that has a t: the quantile times the standard error, by which the mean was divided. Whole
// degrees of freedom are those of pairs, which many comparisons share.
func (l *Level) interval(d Difference, se float64) Difference {
	switch d.Method {
	case Paired:
		d.Half = l.quantile(d.N-1) * se
	case Welch:
		d.Half = l.quantileOf(d.DF) * se
	}
	return d
}

// testPairs is the t test of n differences by their mean and standard deviation, with its standard error and without an interval. Those
// that are exact differ by no more than the rounding of terms as large as scale.
//
// Source: NIST/SEMATECH e-Handbook of Statistical Methods, section 7.3.1.
func testPairs(n int, mean, sd, scale float64, exact bool) (d Difference, se float64) {
	d = Difference{Method: Paired, N: n, Mean: mean, SD: sd, Half: math.NaN(), T: math.NaN(), DF: float64(n - 1), P: math.NaN()}
	if exact {
		d.Method, d.SD, d.DF = Exact, 0, math.NaN()
		if math.Abs(d.Mean) <= rounding*scale {
			d.Mean = 0
		}
		return d, 0
	}
	se = sd / math.Sqrt(float64(n))
	d.T = d.Mean / se
	d.P = twoSided(d.T, d.DF)
	return d, se
}

// welch compares samples of two values at least.
func (l *Level) welch(a, b Sample) Difference { return l.interval(testWelch(a, b)) }

// testWelch compares the means of samples of two values at least, with the standard error of the difference and without an interval.
//
// Source: Welch, The Generalization of "Student's" Problem when Several Different Population Variances are Involved, Biometrika 34
// (1947) 1–2; degrees of freedom after Satterthwaite, Biometrics Bulletin 2 (1946) 6.
func testWelch(a, b Sample) (d Difference, se float64) {
	d = Difference{
		Method: Welch, N: min(a.N, b.N), Mean: a.Mean - b.Mean, SD: math.NaN(), Half: math.NaN(), T: math.NaN(), DF: math.NaN(), P: math.NaN(),
	}
	va, vb := a.SD*a.SD/float64(a.N), b.SD*b.SD/float64(b.N)
	if va+vb == 0 {
		d.Method = Exact
		return d, 0
	}
	se = math.Sqrt(va + vb)
	d.DF = (va + vb) * (va + vb) / (va*va/float64(a.N-1) + vb*vb/float64(b.N-1))
	d.T = d.Mean / se
	d.P = twoSided(d.T, d.DF)
	return d, se
}

// twoSided is the chance of a t at least as far from 0: I(ν/2, 1/2) at ν/(ν+t²), the regularised incomplete beta function. As 1 − CDF it
// would lose all digits below 1e-16.
//
// Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.1.
func twoSided(t, df float64) float64 { return mathext.RegIncBeta(df/2, 0.5, df/(df+t*t)) }

// Holm adjusts p values for a family of that many tests, in which those that are missing count as p = 1. An adjusted value at most α
// means: told apart, with a chance of at most α for any false one in the family. NaN stays NaN.
//
// Source: Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of Statistics 6 (1979) 2.
func Holm(p []float64, family int) []float64 {
	return stepwise(p, func(sorted []float64) {
		running := 0.0
		for i, v := range sorted {
			running = max(running, min(1, float64(max(family, len(sorted))-i)*v))
			sorted[i] = running
		}
	})
}

// FalseDiscovery adjusts p values so that, among those at most q, a share of at most q is expected to be false. NaN stays NaN, and does
// not count.
//
// Source: Benjamini and Hochberg, Controlling the False Discovery Rate, Journal of the Royal Statistical Society B 57 (1995) 1.
func FalseDiscovery(p []float64) []float64 {
	return stepwise(p, func(sorted []float64) {
		running := 1.0
		for i := len(sorted) - 1; i >= 0; i-- {
			running = min(running, float64(len(sorted))/float64(i+1)*sorted[i])
			sorted[i] = running
		}
	})
}

// stepwise applies adjust to the p values in ascending order.
func stepwise(p []float64, adjust func(sorted []float64)) []float64 {
	adjusted := slices.Clone(p)
	var order []int
	for i, v := range p {
		if !math.IsNaN(v) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	sorted := make([]float64, len(order))
	for i, at := range order {
		sorted[i] = p[at]
	}
	adjust(sorted)
	for i, at := range order {
		adjusted[at] = sorted[i]
	}
	return adjusted
}

// Present are the values that are there.
func Present(values []float64) []float64 {
	there := make([]float64, 0, len(values))
	for _, v := range values {
		if !math.IsNaN(v) {
			there = append(there, v)
		}
	}
	return there
}

// largest is the largest magnitude in some values.
func largest(lists ...[]float64) float64 {
	most := 0.0
	for _, list := range lists {
		for _, v := range list {
			if !math.IsNaN(v) {
				most = max(most, math.Abs(v))
			}
		}
	}
	return most
}
