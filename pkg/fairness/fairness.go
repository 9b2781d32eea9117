// Package fairness bounds how much of what a process has to share one tenant uses at once, so that other tenants find room. What is beyond
// waits for its turn (Bound) or is refused (Tally).
package fairness

import (
	"context"
	"sync"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// Bound is how many pieces of work that cost CPU and memory a tenant may have at once. It counts in memory, each process for itself: it
// protects what the process has to share, and a count in the database would outlive a process that dies. A nil Bound admits everything.
type Bound struct {
	// Most is how many may be at work for one tenant.
	Most int
	// Patience is how long the others wait before they are refused.
	Patience time.Duration

	mu    sync.Mutex
	lines map[string]*line // by tenant; tenants that have no call here are absent
}

// line is what one tenant has at work or waiting.
type line struct {
	calls int           // at work and waiting
	work  chan struct{} // holds one for each that is at work; channels serve those that wait in their order
}

// retry is the Retry-After for a tenant whose calls have waited in vain: the work takes seconds, and a queue of it is ahead.
const retry = 10 * time.Second

// held is the key under which a context has what its call has begun.
type held struct {
	bound    *Bound
	tenantID string
}

// Begin waits until the tenant may have one more at work, which it has until end is called, exactly once. Work that is begun under the
// context that it returns is part of this one, so that it never waits for itself. The error is problem.RateLimited after Patience, or
// the context's own when the caller has gone.
func (b *Bound) Begin(ctx context.Context, tenantID string) (_ context.Context, end func(), err error) {
	key := held{b, tenantID}
	if b == nil || ctx.Value(key) != nil {
		return ctx, func() {}, nil
	}
	l := b.join(tenantID)
	if err := b.wait(ctx, l); err != nil {
		b.leave(tenantID, l)
		return ctx, nil, err
	}
	return context.WithValue(ctx, key, true), func() {
		<-l.work
		b.leave(tenantID, l)
	}, nil
}

func (b *Bound) wait(ctx context.Context, l *line) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case l.work <- struct{}{}:
		return nil
	default:
	}
	patience := time.NewTimer(b.Patience)
	defer patience.Stop()
	select {
	case l.work <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-patience.C:
		return problem.New(problem.RateLimited, "%d of your calls are checking scenarios, importing them or planning studies at this instance, "+
			"the most that one tenant may have at once, and this one has waited %s for one of them to end. Make fewer at a time, and retry in %s.",
			b.Most, b.Patience, retry).WithRetryAfter(retry)
	}
}

func (b *Bound) join(tenantID string) *line {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.lines[tenantID]
	if l == nil {
		if b.lines == nil {
			b.lines = map[string]*line{}
		}
		l = &line{work: make(chan struct{}, b.Most)}
		b.lines[tenantID] = l
	}
	l.calls++
	return l
}

func (b *Bound) leave(tenantID string, l *line) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l.calls--; l.calls == 0 {
		delete(b.lines, tenantID)
	}
}
