package study

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/statistics"
)

// BenchmarkStatisticsAndComparison computes those of 1,000 points with 10 runs of 20 metrics, in memory.
func BenchmarkStatisticsAndComparison(b *testing.B) {
	rng := rand.New(rand.NewPCG(19, 4))
	s := Study{State: Succeeded, MetricNames: simulation.MetricNames(), Seeds: NextSeeds(nil, 10), Plan: Plan{
		Variants: []Variant{{Name: "base"}}, Axes: []Axis{{Name: "demand", Set: "scale"}}, Metrics: simulation.MetricNames()[:20],
	}}
	var points []Point
	var results []Result
	for p := range 1000 {
		points = append(points, Point{Number: p, Variant: "base", Setting: Setting{{Axis: "demand", Value: json.RawMessage(fmt.Sprint(p))}}})
		for r := range 10 {
			one := Result{Point: p, Replication: r, State: job.Succeeded, SumoVersion: "1.28.0"}
			for m := range s.MetricNames {
				one.Metrics = append(one.Metrics, float64(70+m)+5*rng.NormFloat64())
			}
			results = append(results, one)
		}
	}
	baseline := Baseline{Values: map[string]json.RawMessage{"demand": json.RawMessage("0")}}
	b.ReportAllocs()
	for b.Loop() {
		d := NewData(s, points, results)
		level := statistics.At(0.95)
		if n := len(d.Statistics(level, d.Metrics(), nil)); n != 20_000 {
			b.Fatalf("%d estimates", n)
		}
		if n := len(d.Compare(level, baseline, d.Metrics()).All); n != 19_980 {
			b.Fatalf("%d comparisons", n)
		}
	}
}
