package study

import "fmt"

// Judge decides what becomes of a study that is RUNNING, from what has become of its runs. With a stop, no further run is started, and
// those at work are stopped with these words as their message, after which the study ends.
func (s Study) Judge(c Counts) (state State, message, stop string) {
	tooMany := s.tooMany(c)
	allEnded := c.Done() >= c.Runs
	message = s.Message
	switch {
	case allEnded:
	case tooMany != "":
		message, stop = "Being stopped: "+tooMany+".", "Stopped because of other runs of its study: "+tooMany+"."
	case s.CancelRequested:
		stop = "Cancelled on request."
	}
	switch {
	case c.Active > 0 || !allEnded && stop == "":
		return Running, message, stop
	case c.Succeeded >= c.Runs:
		return Succeeded, "", ""
	case tooMany != "":
		return Failed, fmt.Sprintf("%s. %s.", tooMany, rest(c)), ""
	case s.CancelRequested:
		return Cancelled, fmt.Sprintf("Cancelled on request. %s.", counted(c.Succeeded, c.Runs, "had succeeded")), ""
	case c.Cancelled == 0:
		return Incomplete, counted(c.Failed, c.Runs, "failed") + cure(c), ""
	case c.Failed == 0:
		return Incomplete, counted(c.Cancelled, c.Runs, verb(c.Cancelled)+" cancelled") + ".", ""
	default:
		return Incomplete, fmt.Sprintf("%s, and %d %s cancelled.", counted(c.Failed, c.Runs, "failed"), c.Cancelled, verb(c.Cancelled)), ""
	}
}

// cure ends a sentence on failed runs with what to do about them.
func cure(c Counts) string {
	switch c.Repeating {
	case 0:
		return ". Look at their messages, and retry them."
	case c.Failed:
		return ", and would fail again as planned. Fix what their messages name, and start another study."
	}
	return fmt.Sprintf(", %d of them for a reason that a retry does not change. Look at their messages: fix what those name, and retry the "+
		"others.", c.Repeating)
}

// tooMany says how many runs have failed if those are more than the study allows; otherwise it is empty.
func (s Study) tooMany(c Counts) string {
	if float64(c.Failed) <= s.StopShare*float64(c.Runs) {
		return ""
	}
	return fmt.Sprintf("%s, more than the share of %g in on_failure.stop_share allows", counted(c.Failed, c.Runs, "failed"), s.StopShare)
}

// counted is "3 of 50 runs failed".
func counted(n, of int, what string) string {
	if of == 1 {
		return fmt.Sprintf("%d of 1 run %s", n, what)
	}
	return fmt.Sprintf("%d of %d runs %s", n, of, what)
}

// rest says what became of the runs that neither failed nor succeeded.
func rest(c Counts) string {
	if n := c.Runs - c.Failed - c.Succeeded; n > 0 {
		return fmt.Sprintf("%d %s not run to the end", n, verb(n))
	}
	return "All were run"
}

func verb(n int) string {
	if n == 1 {
		return "was"
	}
	return "were"
}
