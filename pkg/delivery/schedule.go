package delivery

import "time"

// delays are the times between attempts that Standard Webhooks recommends (https://www.standardwebhooks.com): soon at first, in case a
// receiver is restarting, and up to a day later, in case a person must repair it. They add up to a little more than three days.
var delays = []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour,
	24 * time.Hour,
}

// MaxAttempts is how often a delivery is tried.
var MaxAttempts = len(delays) + 1

// After returns d as it is after an attempt that ended at the given time. Jitter is from 0 to 1: it spreads what failed together by a
// tenth of the delay to either side.
func (d Delivery) After(a Attempt, at time.Time, jitter float64) Delivery {
	d.Attempts++
	d.AttemptedAt, d.Status, d.Error = &at, a.Status, a.Error
	switch {
	case a.Error == "":
		d.State = Delivered
	case a.Final || d.Attempts >= MaxAttempts:
		d.State = GivenUp
	default:
		d.State = Waiting
		delay := max(delays[d.Attempts-1], min(a.RetryAfter, delays[len(delays)-1]))
		d.DueAt = at.Add(spread(delay, jitter))
	}
	return d
}

func spread(d time.Duration, jitter float64) time.Duration {
	return d + time.Duration((jitter-0.5)*0.2*float64(d))
}

// pause is how long nothing is sent to a receiver that has failed so often in a row: it is asked again soon, and never left alone for
// longer than five minutes.
func pause(failures int) time.Duration {
	const first, longest = 5 * time.Second, 5 * time.Minute
	return min(first<<min(failures-1, 10), longest)
}

const (
	// heartbeatEvery is well below a minute, the shortest HeartbeatSeconds that state machines commonly have.
	heartbeatEvery = 20 * time.Second
	// progressEvery is the least time between two reports of progress.
	progressEvery = time.Second
)

// due returns when more may be sent after s.
func (s Signal) due(now time.Time) time.Time {
	switch {
	case s.Failures > 0:
		return now.Add(pause(s.Failures))
	case s.Target == TargetTask:
		return now.Add(heartbeatEvery)
	default:
		return now.Add(progressEvery)
	}
}
