// Package statistics describes numbers from several runs: means with intervals, differences that are told apart from chance, and how
// many runs an aim takes.
//
// The unit is one run's value of a metric. Trips of one run depend on each other, so that an interval over pooled trips would be far too
// narrow.
package statistics

import (
	"math"
	"slices"
	"sync"

	"gonum.org/v1/gonum/stat/distuv"
)

// rounding is the relative spread up to which values count as equal: outputs with a few decimals whose differences are the same number
// differ by a few units in the last place of a float64 once they are subtracted.
const rounding = 1e-12

// Level is a confidence level, with the quantiles of Student's t distribution that were needed so far. It is not safe for concurrent use.
type Level struct {
	confidence float64
	quantiles  map[int]float64 // by whole degrees of freedom
}

// At is the level at a confidence between 0 and 1, such as 0.95.
func At(confidence float64) *Level {
	return &Level{confidence: confidence, quantiles: map[int]float64{}}
}

// Confidence is the share of intervals that hold the true value.
func (l *Level) Confidence() float64 { return l.confidence }

// quantile is t(df, 1−α/2), where 1−α is the confidence.
func (l *Level) quantile(df int) float64 {
	if df >= expanded {
		return l.quantileOf(float64(df))
	}
	if l.confidence == usualConfidence && df < mostUsual {
		return usual()[df]
	}
	q, ok := l.quantiles[df]
	if !ok {
		q = l.quantileOf(float64(df))
		l.quantiles[df] = q
	}
	return q
}

const (
	usualConfidence = 0.95
	mostUsual       = 200 // degrees of freedom
)

// usual are the quantiles of the usual confidence, by degrees of freedom. A look at a sequential study needs a few, which otherwise take
// longer than all else of it.
var usual = sync.OnceValue(func() []float64 {
	l, quantiles := At(usualConfidence), make([]float64, mostUsual)
	for df := 1; df < mostUsual; df++ {
		quantiles[df] = l.quantileOf(float64(df))
	}
	return quantiles
})

// expanded are the degrees of freedom from which the quantile is an expansion around that of the normal distribution. The inverse of the
// incomplete beta function takes a hundred times as long there, and studies that aim at a very narrow interval ask for thousands of them.
const expanded = 1000

func (l *Level) quantileOf(df float64) float64 {
	if df >= expanded {
		z := distuv.UnitNormal.Quantile((1 + l.confidence) / 2)
		return expansion(z, df)
	}
	return distuv.StudentsT{Sigma: 1, Nu: df}.Quantile((1 + l.confidence) / 2)
}

// expansion is the quantile of Student's t distribution where that of the normal distribution is z. From a thousand degrees of freedom on,
// and up to a confidence of 99.99 %, its error is below a relative 1e-11.
//
// Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5.
func expansion(z, df float64) float64 {
	z2 := z * z
	g1 := z * (z2 + 1) / 4
	g2 := z * ((5*z2+16)*z2 + 3) / 96
	g3 := z * (((3*z2+19)*z2+17)*z2 - 15) / 384
	g4 := z * ((((79*z2+776)*z2+1482)*z2-1920)*z2 - 945) / 92160
	return z + (g1+(g2+(g3+g4/df)/df)/df)/df
}

// Sample describes values of one metric. Numbers that a sample of its size does not have are NaN.
type Sample struct {
	N    int
	Mean float64
	SD   float64 // standard deviation, with n−1; NaN below two values
	// Quartiles are between values by linear interpolation: definition 7 of Hyndman and Fan, Sample Quantiles in Statistical Packages,
	// The American Statistician 50 (1996) 4, which R and NumPy use unless asked otherwise.
	Min, Q1, Median, Q3, Max float64
}

// Describe is the sample of some values, each of which is a finite number.
func Describe(values []float64) Sample {
	nan := math.NaN()
	s := Sample{N: len(values), Mean: nan, SD: nan, Min: nan, Q1: nan, Median: nan, Q3: nan, Max: nan}
	if s.N == 0 {
		return s
	}
	sorted := slices.Sorted(slices.Values(values))
	s.Min, s.Max = sorted[0], sorted[s.N-1]
	s.Q1, s.Median, s.Q3 = quantileOf(sorted, 0.25), quantileOf(sorted, 0.5), quantileOf(sorted, 0.75)
	s.Mean, s.SD = moments(sorted)
	return s
}

// moments are the mean and standard deviation of sorted values.
func moments(sorted []float64) (mean, sd float64) {
	n := float64(len(sorted))
	least, most := sorted[0], sorted[len(sorted)-1]
	if most-least <= rounding*max(math.Abs(least), math.Abs(most)) {
		mean = least
		if least != most {
			mean += (most - least) / 2
		}
		if len(sorted) < 2 {
			return mean, math.NaN()
		}
		return mean, 0
	}
	for _, v := range sorted {
		mean += v / n
	}
	var squares, rest float64
	for _, v := range sorted {
		squares += (v - mean) * (v - mean)
		rest += v - mean
	}
	// The second term corrects the rounding of the mean: Chan, Golub and LeVeque, Algorithms for Computing the Sample Variance, The
	// American Statistician 37 (1983) 3.
	return mean + rest/n, math.Sqrt(max(0, squares-rest*rest/n) / (n - 1))
}

// quantileOf is the p-quantile of sorted values.
func quantileOf(sorted []float64, p float64) float64 {
	at := p * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

// SE is the standard error of the mean; NaN below two values.
func (s Sample) SE() float64 { return s.SD / math.Sqrt(float64(s.N)) }

// Half is the half width of the interval of the mean, mean ± t(n−1, 1−α/2)·s/√n; NaN below two values, which have no interval, and 0 for
// values that are all the same.
//
// Source: FHWA, Traffic Analysis Toolbox Volume III, appendix B.
func (l *Level) Half(s Sample) float64 {
	switch {
	case s.N < 2:
		return math.NaN()
	case s.SD == 0:
		return 0
	}
	return l.quantile(s.N-1) * s.SE()
}

// MostNeeded bounds how many runs an aim is said to take: nobody runs more, and the search has an end.
const MostNeeded = 1_000_000

// Needed is the least number of runs with t(n−1, 1−α/2)·sd/√n ≤ half, two at least, if the standard deviation stays what it is. It is
// MostNeeded where that or more are needed, or where half is 0.
//
// Source: FHWA, Traffic Analysis Toolbox Volume III, appendix B; FHWA-HOP-18-036, chapter 6.
func (l *Level) Needed(sd, half float64) int {
	enough := func(n int) bool { return l.quantile(n-1)*sd/math.Sqrt(float64(n)) <= half }
	switch {
	case sd == 0:
		return 2
	case !(half > 0):
		return MostNeeded
	}
	// The t quantile is above that of the normal distribution, which gives the search a start.
	z := distuv.UnitNormal.Quantile((1 + l.confidence) / 2)
	start := math.Ceil(z * z * (sd / half) * (sd / half))
	if !(start < MostNeeded) { // or none, because the spread overflows
		return MostNeeded
	}
	n := max(2, int(start))
	for ; n < MostNeeded && !enough(n); n++ {
	}
	return n
}
