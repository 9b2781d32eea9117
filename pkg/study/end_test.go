package study_test

import (
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/study"
)

func TestHowAStudyEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		share     float64
		cancelled bool
		counts    study.Counts
		state     study.State
		message   string
		stop      bool
	}{
		"nothing has started":  {1, false, study.Counts{Runs: 4}, study.Running, "before", false},
		"some have ended":      {1, false, study.Counts{Runs: 4, Succeeded: 2, Active: 1}, study.Running, "before", false},
		"some are not started": {1, false, study.Counts{Runs: 4, Succeeded: 2}, study.Running, "before", false},
		"all succeeded":        {0, false, study.Counts{Runs: 4, Succeeded: 4}, study.Succeeded, "", false},
		"one failed": {
			1, false, study.Counts{Runs: 4, Succeeded: 3, Failed: 1}, study.Incomplete,
			"1 of 4 runs failed. Look at their messages, and retry them.", false,
		},
		"one was cancelled": {
			1, false, study.Counts{Runs: 4, Succeeded: 3, Cancelled: 1}, study.Incomplete, "1 of 4 runs was cancelled.", false,
		},
		"some failed and some were cancelled": {
			1, false, study.Counts{Runs: 9, Succeeded: 3, Failed: 4, Cancelled: 2}, study.Incomplete,
			"4 of 9 runs failed, and 2 were cancelled.", false,
		},
		"all of one failed": {
			1, false, study.Counts{Runs: 1, Failed: 1}, study.Incomplete, "1 of 1 run failed. Look at their messages, and retry them.", false,
		},
		"as many failed as may":      {0.25, false, study.Counts{Runs: 4, Failed: 1, Active: 2}, study.Running, "before", false},
		"too many failed":            {0.25, false, study.Counts{Runs: 4, Failed: 2, Active: 1}, study.Running, "before", true},
		"and none may":               {0, false, study.Counts{Runs: 4, Failed: 1, Active: 1}, study.Running, "before", true},
		"a share of 1 stops nothing": {1, false, study.Counts{Runs: 4, Failed: 3}, study.Running, "before", false},
		"too many failed, and those at work have ended": {
			0.25, false, study.Counts{Runs: 8, Failed: 3, Succeeded: 1, Cancelled: 2}, study.Failed,
			"3 of 8 runs failed, more than the share of 0.25 in on_failure.stop_share allows. 4 were not run to the end.", false,
		},
		"too many failed in the end": {
			0.25, false, study.Counts{Runs: 4, Failed: 2, Succeeded: 2}, study.Failed,
			"2 of 4 runs failed, more than the share of 0.25 in on_failure.stop_share allows. All were run.", false,
		},
		"cancelled while runs are at work": {1, true, study.Counts{Runs: 4, Succeeded: 2, Active: 1}, study.Running, "before", true},
		"cancelled before it began": {
			1, true, study.Counts{Runs: 4}, study.Cancelled, "Cancelled on request. 0 of 4 runs had succeeded.", false,
		},
		"cancelled": {
			1, true, study.Counts{Runs: 4, Succeeded: 2, Cancelled: 1, Failed: 1}, study.Cancelled,
			"Cancelled on request. 2 of 4 runs had succeeded.", false,
		},
		"cancelled too late": {1, true, study.Counts{Runs: 4, Succeeded: 4}, study.Succeeded, "", false},
	} {
		s := study.Study{StopShare: c.share, CancelRequested: c.cancelled, Message: "before"}
		state, message, stop := s.Judge(c.counts)
		if state != c.state || message != c.message || stop != c.stop {
			t.Errorf("%s: %s %q, stop %t; want %s %q, stop %t", name, state, message, stop, c.state, c.message, c.stop)
		}
	}
}
