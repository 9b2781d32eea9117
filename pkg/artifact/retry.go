package artifact

import (
	"errors"
	"io/fs"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// While a store fails it is asked again after firstRetry, then ever more rarely up to lastRetry.
const (
	firstRetry = 250 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// DefaultPatience is enough for a new key or policy to take effect, or for space to be freed. A full store usually takes hours to fix,
// during which what waits would occupy part of a tenant's limits.
const DefaultPatience = 5 * time.Minute

// Retries decides whether a store that has failed is asked again, and when. A store that is unreachable is asked without limit.
type Retries struct {
	// Patience is how long a store is asked again that refuses.
	Patience time.Duration
	Now      func() time.Time

	delay   time.Duration
	refused time.Time // since when, without a break
}

// After returns how long to wait after err before the next try; ok is false if another one is of no use: the store has refused for too
// long, or waiting cannot cure err, since a file of ours cannot be read or written or an object is larger than the store takes.
func (r *Retries) After(err error) (wait time.Duration, ok bool) {
	if problem.CodeOf(err) == problem.Unavailable {
		r.refused = time.Time{}
	} else {
		now := r.Now()
		if r.refused.IsZero() {
			r.refused = now
		}
		var ours *fs.PathError
		if errors.As(err, &ours) || problem.CodeOf(err) == problem.TooLarge || now.Sub(r.refused) >= r.Patience {
			return 0, false
		}
	}
	r.delay = NextRetry(r.delay)
	return r.delay, true
}

// Succeeded begins anew.
func (r *Retries) Succeeded() { r.delay, r.refused = 0, time.Time{} }

// NextRetry is the pause before the next try after one that came a pause later; 0 stands for the first.
func NextRetry(pause time.Duration) time.Duration { return min(max(firstRetry, 2*pause), lastRetry) }

// StoreFull is the detail of a refusal by a store that has no room.
const StoreFull = "The object store is full or over its quota; the operator must free space or raise the quota."

// Refusal returns a store's reason for refusing and who can fix it; false for errors of other kinds.
func Refusal(err error) (detail string, refused bool) {
	p, ok := errors.AsType[*problem.Error](err)
	if !ok || p.Code != problem.StorageRefused && p.Code != problem.TooLarge {
		return "", false
	}
	return p.Detail, true
}
