package job_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/job"
)

// queues is a job.Queue and a job.Starter: how many jobs each tenant has waiting, and which were started.
type queues struct {
	tenants  []string
	waiting  map[string]int
	claimErr error
	startErr error
	started  []string
	studies  bool // whether they were claimed too
}

func (q *queues) TenantsWithQueue(context.Context) ([]string, error) { return q.tenants, nil }

func (q *queues) Claim(_ context.Context, tenantID string, most int, studies bool) ([]job.Chunk, error) {
	if q.claimErr != nil {
		return nil, q.claimErr
	}
	q.studies = q.studies || studies
	n := min(most, q.waiting[tenantID])
	q.waiting[tenantID] -= n
	return slices.Repeat([]job.Chunk{job.Single(job.Job{TenantID: tenantID})}, n), nil
}

func (q *queues) Start(_ context.Context, c job.Chunk) error {
	q.started = append(q.started, c.Jobs[0].TenantID)
	return q.startErr
}

// turns shortens what was started to one "tenant×number" for each run of the same tenant.
func (q *queues) turns() string {
	var turns []string
	for rest := q.started; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n] == rest[0] {
			n++
		}
		turns = append(turns, fmt.Sprintf("%s×%d", rest[0], n))
		rest = rest[n:]
	}
	return strings.Join(turns, " ")
}

func TestDispatch(t *testing.T) {
	t.Parallel()
	unreachable := errors.New("unreachable")
	all := func(limit int) func(context.Context, job.Dispatcher) (int, error) {
		return func(ctx context.Context, d job.Dispatcher) (int, error) { return d.DispatchAll(ctx, limit) }
	}
	tests := []struct {
		name    string
		queues  queues
		call    func(context.Context, job.Dispatcher) (int, error)
		turns   string
		claimed int
		studies bool
		err     error
	}{
		{
			name:   "one tenant's queue is dispatched to its end",
			queues: queues{waiting: map[string]int{"a": 25, "b": 5}},
			call: func(ctx context.Context, d job.Dispatcher) (int, error) {
				return 25, d.Dispatch(ctx, "a")
			},
			turns: "a×25", claimed: 25,
		}, {
			name:   "tenants take turns",
			queues: queues{tenants: []string{"b", "a"}, waiting: map[string]int{"a": 25, "b": 12}},
			call:   all(100),
			turns:  "b×10 a×10 b×2 a×15", claimed: 37, studies: true,
		}, {
			name:   "one call is bounded",
			queues: queues{tenants: []string{"a", "b"}, waiting: map[string]int{"a": 100, "b": 100}},
			call:   all(15),
			turns:  "a×10 b×10", claimed: 20, studies: true,
		}, {
			name:   "a job that cannot be started does not keep others from it",
			queues: queues{tenants: []string{"a", "b"}, waiting: map[string]int{"a": 2, "b": 1}, startErr: unreachable},
			call:   all(100),
			turns:  "a×2 b×1", claimed: 3, studies: true,
		}, {
			name:   "a record that is unreachable is reported",
			queues: queues{tenants: []string{"a"}, claimErr: unreachable},
			call:   all(100),
			err:    unreachable,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			claimed, err := tt.call(t.Context(), job.Dispatcher{Queue: &tt.queues, Engine: &tt.queues, Log: zerolog.Nop()})
			if !errors.Is(err, tt.err) || claimed != tt.claimed {
				t.Errorf("claimed %d, failed with %v, want %d and %v", claimed, err, tt.claimed, tt.err)
			}
			if tt.queues.studies != tt.studies {
				t.Errorf("studies were claimed: %t, want %t", tt.queues.studies, tt.studies)
			}
			if diff := cmp.Diff(tt.turns, tt.queues.turns()); diff != "" {
				t.Errorf("started (-want +got):\n%s", diff)
			}
		})
	}
}
