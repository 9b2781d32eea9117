package local

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/idempotency"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// Warmups stand for nodes that are brought up before jobs need them. This machine is always up, so they answer as those of a cluster
// whose nodes are warm, and reserve nothing. They are forgotten when the process ends.
type Warmups struct {
	Now   func() time.Time
	NewID func() string

	mu  sync.Mutex
	all []warmup // oldest first
}

var _ job.Warmer = (*Warmups)(nil)

type warmup struct {
	job.Warmup
	until time.Time
	key   *idempotency.Request
}

const (
	warmupNamespace = "sumo-k8" // where a cluster has them
	warmupPrefix    = "sumo-warmup-"
	// keepEnded is how long a warm-up that has ended is listed; the predecessor's were removed after as long.
	keepEnded = time.Minute
	// maxWarmups bounds the list; the oldest are dropped.
	maxWarmups = 1000
)

// Start implements job.Warmer.
func (w *Warmups) Start(_ context.Context, _, _ int, keep time.Duration, key *idempotency.Request) (job.Warmup, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.prune()
	if key != nil {
		for _, known := range w.all {
			switch {
			case known.key == nil || known.key.Key != key.Key:
			case !bytes.Equal(known.key.RequestHash, key.RequestHash):
				return job.Warmup{}, false, idempotency.ErrReused()
			default:
				return known.at(w.Now()), false, nil
			}
		}
	}
	now, id := w.Now(), w.NewID()
	made := warmup{
		Warmup: job.Warmup{ID: id, PodName: warmupPrefix + id, Namespace: warmupNamespace, Created: now.UTC()},
		until:  now.Add(keep), key: key,
	}
	w.all = append(w.all[max(0, len(w.all)-maxWarmups+1):], made)
	return made.at(now), true, nil
}

// List implements job.Warmer.
func (w *Warmups) List(context.Context) ([]job.Warmup, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.prune()
	list := make([]job.Warmup, len(w.all))
	for i, known := range w.all {
		list[i] = known.at(w.Now())
	}
	return list, nil
}

// End implements job.Warmer.
func (w *Warmups) End(_ context.Context, id string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.prune()
	i := slices.IndexFunc(w.all, func(known warmup) bool { return known.ID == id })
	if i < 0 {
		return problem.New(problem.NotFound, "There is no warm-up %.40q.", id)
	}
	w.all = slices.Delete(w.all, i, i+1)
	return nil
}

// prune removes what ended long ago.
func (w *Warmups) prune() {
	gone := w.Now().Add(-keepEnded)
	w.all = slices.DeleteFunc(w.all, func(known warmup) bool { return known.until.Before(gone) })
}

// at is w as a cluster shows it at a time.
func (w warmup) at(now time.Time) job.Warmup {
	w.Phase = "Running"
	if !now.Before(w.until) {
		w.Phase = "Succeeded"
	}
	return w.Warmup
}
