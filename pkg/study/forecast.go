package study

import "github.com/sumo-k8/sumo-k8/pkg/tenant"

// Room is what a study has to run in.
type Room struct {
	Limits tenant.Limits
	// Slots is how many runs the engine carries out at a time; 0 where it has no bound of its own.
	Slots int
}

// Forecast is what runs are expected to take.
type Forecast struct {
	CoreSeconds float64 // of all runs together
	Seconds     float64 // from now to the end of the last one
}

// Planned forecasts all runs of a study but those that are taken from the cache; nil while it is not known what a run of one of the points
// uses.
func Planned(s Study, points []Point, room Room) *Forecast {
	return forecast(s, points, room, func(p Point) int { return len(s.Seeds) - p.Counts.Cached })
}

// Remaining forecasts the runs that have not ended.
func Remaining(s Study, points []Point, room Room) *Forecast {
	return forecast(s, points, room, func(p Point) int { return max(0, len(s.Seeds)-max(p.Counts.Done(), p.Counts.Cached)) })
}

// forecast assumes that all of the room is free for the study, and that every core is busy until the last runs.
func forecast(s Study, points []Point, room Room, runs func(Point) int) *Forecast {
	f := &Forecast{}
	var wall, longest float64
	most, all := s.MaxParallel, 0
	if room.Slots > 0 {
		most = min(most, room.Slots)
	}
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
		most = min(most, room.Limits.MaxCPU/p.CPURequest, room.Limits.MaxMemoryGi/p.MemoryGi)
		all += n
	}
	f.Seconds = max(longest, wall/float64(max(1, min(most, all))))
	return f
}
