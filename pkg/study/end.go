package study

import "fmt"

// Judge decides what becomes of a study that is RUNNING, from what has become of its runs. With stop, no further run is started and those
// at work are stopped, after which the study ends.
func (s Study) Judge(c Counts) (state State, message string, stop bool) {
	tooMany := float64(c.Failed) > s.StopShare*float64(c.Runs)
	allEnded := c.Done() >= c.Runs
	stop = !allEnded && (tooMany || s.CancelRequested)
	switch {
	case c.Active > 0 || !allEnded && !stop:
		return Running, s.Message, stop
	case c.Succeeded >= c.Runs:
		return Succeeded, "", false
	case tooMany:
		return Failed, fmt.Sprintf("%s, more than the share of %g in on_failure.stop_share allows. %s.",
			counted(c.Failed, c.Runs, "failed"), s.StopShare, rest(c)), false
	case s.CancelRequested:
		return Cancelled, fmt.Sprintf("Cancelled on request. %s.", counted(c.Succeeded, c.Runs, "had succeeded")), false
	case c.Cancelled == 0:
		return Incomplete, counted(c.Failed, c.Runs, "failed") + ". Look at their messages, and retry them.", false
	case c.Failed == 0:
		return Incomplete, counted(c.Cancelled, c.Runs, verb(c.Cancelled)+" cancelled") + ".", false
	default:
		return Incomplete, fmt.Sprintf("%s, and %d %s cancelled.", counted(c.Failed, c.Runs, "failed"), c.Cancelled, verb(c.Cancelled)), false
	}
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
