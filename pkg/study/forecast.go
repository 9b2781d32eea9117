package study

import "github.com/sumo-k8/sumo-k8/pkg/tenant"

// Forecast is what runs are expected to take.
type Forecast struct {
	CoreSeconds float64 // of all runs together
	Seconds     float64 // from now to the end of the last one
}

// Planned forecasts all runs of a study but those that are taken from the cache; nil while it is not known what a run of one of the points
// uses.
func Planned(s Study, points []Point, limits tenant.Limits) *Forecast {
	return forecast(s, points, limits, func(p Point) int { return len(s.Seeds) - p.Counts.Cached })
}

// Remaining forecasts the runs that have not ended.
func Remaining(s Study, points []Point, limits tenant.Limits) *Forecast {
	return forecast(s, points, limits, func(p Point) int { return max(0, len(s.Seeds)-max(p.Counts.Done(), p.Counts.Cached)) })
}

// forecast assumes that the tenant's limits are free for the study, and that every core is busy until the last runs.
func forecast(s Study, points []Point, limits tenant.Limits, runs func(Point) int) *Forecast {
	f := &Forecast{}
	var wall, longest float64
	most, all := s.MaxParallel, 0
	for _, p := range points {
		n := runs(p)
		if n == 0 {
			continue
		}
		if p.CoreSeconds == nil {
			return nil
		}
		one := *p.CoreSeconds / float64(p.CPURequest)
		f.CoreSeconds += float64(n) * *p.CoreSeconds
		wall += float64(n) * one
		longest = max(longest, one)
		most = min(most, limits.MaxCPU/p.CPURequest, limits.MaxMemoryGi/p.MemoryGi)
		all += n
	}
	f.Seconds = max(longest, wall/float64(max(1, min(most, all))))
	return f
}
