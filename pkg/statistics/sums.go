package statistics

import "math"

// Sums describe values that are added one by one and not kept, for where there are very many samples. The zero value has none.
//
// Source: Welford, Note on a Method for Calculating Corrected Sums of Squares and Products, Technometrics 4 (1962) 3.
type Sums struct {
	N       int32
	mean    float64
	squares float64 // of deviations from the mean
}

// Add adds a value, which is a finite number.
func (s *Sums) Add(v float64) {
	s.N++
	d := v - s.mean
	s.mean += d / float64(s.N)
	s.squares += d * (v - s.mean)
}

// AddZeros adds n times 0.
//
// Source: Chan, Golub and LeVeque, Updating Formulae and a Pairwise Algorithm for Computing Sample Variances, COMPSTAT 1982.
func (s *Sums) AddZeros(n int) {
	if n <= 0 {
		return
	}
	before, total := float64(s.N), float64(s.N)+float64(n)
	s.squares += s.mean * s.mean * before * float64(n) / total
	s.mean *= before / total
	s.N += int32(n)
}

// Mean is NaN without a value.
func (s Sums) Mean() float64 {
	if s.N == 0 {
		return math.NaN()
	}
	return s.mean
}

// SD is the standard deviation, with n−1; NaN below two values.
func (s Sums) SD() float64 {
	if s.N < 2 {
		return math.NaN()
	}
	sd := math.Sqrt(s.squares / float64(s.N-1))
	if sd <= rounding*math.Abs(s.mean) {
		return 0
	}
	return sd
}

// CompareSums is the difference of values to those of a baseline, as Level.Compare judges it, without an interval. pairs are the
// differences of pairs.
func CompareSums(values, baseline, pairs Sums) Difference {
	if pairs.N >= 2 {
		// The terms are as large as their means at least, which bounds what their subtraction can have rounded.
		scale := max(math.Abs(values.mean), math.Abs(baseline.mean))
		sd := pairs.SD()
		d, _ := testPairs(int(pairs.N), pairs.mean, sd, scale, sd <= rounding*scale)
		return d
	}
	if values.N >= 2 && baseline.N >= 2 {
		d, _ := testWelch(
			Sample{N: int(values.N), Mean: values.mean, SD: values.SD()}, Sample{N: int(baseline.N), Mean: baseline.mean, SD: baseline.SD()},
		)
		return d
	}
	d := Difference{
		Method: None, N: int(min(values.N, baseline.N)), Mean: values.Mean() - baseline.Mean(), SD: math.NaN(), Half: math.NaN(),
		T: math.NaN(), DF: math.NaN(), P: math.NaN(),
	}
	if pairs.N == 1 {
		d.N, d.Mean = 1, pairs.mean
	}
	return d
}
