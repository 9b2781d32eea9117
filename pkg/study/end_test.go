package study_test

import (
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/study"
)

func TestHowAStudyEnds(t *testing.T) {
	t.Parallel()
	const onRequest = "Cancelled on request."
	for name, c := range map[string]struct {
		share     float64
		cancelled bool
		counts    study.Counts
		state     study.State
		message   string
		stop      string // the message of the runs that are stopped
	}{
		"nothing has started":  {1, false, study.Counts{Runs: 4}, study.Running, "before", ""},
		"some have ended":      {1, false, study.Counts{Runs: 4, Succeeded: 2, Active: 1}, study.Running, "before", ""},
		"some are not started": {1, false, study.Counts{Runs: 4, Succeeded: 2}, study.Running, "before", ""},
		"all succeeded":        {0, false, study.Counts{Runs: 4, Succeeded: 4}, study.Succeeded, "", ""},
		"one failed": {
			1, false, study.Counts{Runs: 4, Succeeded: 3, Failed: 1}, study.Incomplete,
			"1 of 4 runs failed. Look at their messages, and retry them.", "",
		},
		"one failed as it will again": {
			1, false, study.Counts{Runs: 4, Succeeded: 3, Failed: 1, Repeating: 1}, study.Incomplete,
			"1 of 4 runs failed, and would fail again as planned. Fix what their messages name, and start another study.", "",
		},
		"some failed as they will again": {
			1, false, study.Counts{Runs: 4, Succeeded: 1, Failed: 3, Repeating: 2}, study.Incomplete,
			"3 of 4 runs failed, 2 of them for a reason that a retry does not change. Look at their messages: fix what those name, and retry the " +
				"others.", "",
		},
		"one was cancelled": {
			1, false, study.Counts{Runs: 4, Succeeded: 3, Cancelled: 1}, study.Incomplete, "1 of 4 runs was cancelled.", "",
		},
		"some failed and some were cancelled": {
			1, false, study.Counts{Runs: 9, Succeeded: 3, Failed: 4, Cancelled: 2}, study.Incomplete,
			"4 of 9 runs failed, and 2 were cancelled.", "",
		},
		"all of one failed": {
			1, false, study.Counts{Runs: 1, Failed: 1}, study.Incomplete, "1 of 1 run failed. Look at their messages, and retry them.", "",
		},
		"as many failed as may": {0.25, false, study.Counts{Runs: 4, Failed: 1, Active: 2}, study.Running, "before", ""},
		"too many failed": {
			0.25, false, study.Counts{Runs: 4, Failed: 2, Active: 1}, study.Running,
			"Being stopped: 2 of 4 runs failed, more than the share of 0.25 in on_failure.stop_share allows.",
			"Stopped because of other runs of its study: 2 of 4 runs failed, more than the share of 0.25 in on_failure.stop_share allows.",
		},
		"and none may": {
			0, false, study.Counts{Runs: 4, Failed: 1, Active: 1}, study.Running,
			"Being stopped: 1 of 4 runs failed, more than the share of 0 in on_failure.stop_share allows.",
			"Stopped because of other runs of its study: 1 of 4 runs failed, more than the share of 0 in on_failure.stop_share allows.",
		},
		"too many failed, and the last ones are at work": {
			0.25, false, study.Counts{Runs: 4, Failed: 2, Succeeded: 1, Active: 1}, study.Running,
			"Being stopped: 2 of 4 runs failed, more than the share of 0.25 in on_failure.stop_share allows.",
			"Stopped because of other runs of its study: 2 of 4 runs failed, more than the share of 0.25 in on_failure.stop_share allows.",
		},
		"a share of 1 stops nothing": {1, false, study.Counts{Runs: 4, Failed: 3}, study.Running, "before", ""},
		"too many failed, and those at work have ended": {
			0.25, false, study.Counts{Runs: 8, Failed: 3, Succeeded: 1, Cancelled: 2}, study.Failed,
			"3 of 8 runs failed, more than the share of 0.25 in on_failure.stop_share allows. 4 were not run to the end.", "",
		},
		"too many failed in the end": {
			0.25, false, study.Counts{Runs: 4, Failed: 2, Succeeded: 2}, study.Failed,
			"2 of 4 runs failed, more than the share of 0.25 in on_failure.stop_share allows. All were run.", "",
		},
		"cancelled while runs are at work": {1, true, study.Counts{Runs: 4, Succeeded: 2, Active: 1}, study.Running, "before", onRequest},
		"cancelled before it began": {
			1, true, study.Counts{Runs: 4}, study.Cancelled, "Cancelled on request. 0 of 4 runs had succeeded.", "",
		},
		"cancelled": {
			1, true, study.Counts{Runs: 4, Succeeded: 2, Cancelled: 1, Failed: 1}, study.Cancelled,
			"Cancelled on request. 2 of 4 runs had succeeded.", "",
		},
		"cancelled too late": {1, true, study.Counts{Runs: 4, Succeeded: 4}, study.Succeeded, "", ""},
	} {
		s := study.Study{StopShare: c.share, CancelRequested: c.cancelled, Message: "before"}
		state, message, stop := s.Judge(c.counts)
		if state != c.state || message != c.message || stop != c.stop {
			t.Errorf("%s: %s %q, stop %q; want %s %q, stop %q", name, state, message, stop, c.state, c.message, c.stop)
		}
	}
}
