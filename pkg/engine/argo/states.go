package argo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/chunk"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// states is a copy of what the keepers say of their chunks. One listing shows which of the objects have changed.
type states struct {
	objects artifact.Store
	now     func() time.Time
	log     zerolog.Logger
	later   func() // is called when the next listing is due

	mu     sync.Mutex
	listed time.Time         // when the last listing began
	known  map[string]stated // by key
}

type stated struct {
	etag  string // empty while the object cannot be read
	state chunk.State
	at    time.Time // when the listing began from which state is known
	err   error     // why the object was not read since
}

// reading is what one Observe sees of the states.
type reading struct {
	listed time.Time
	known  map[string]stated
}

// of returns the state at a key, when it was read, and why not since. Where there is no object, that is what was read.
func (r reading) of(key string) (state chunk.State, at time.Time, err error) {
	o, has := r.known[key]
	if !has {
		return chunk.State{}, r.listed, nil
	}
	return o.state, o.at, o.err
}

// read returns the states at the keys that want accepts. It lists at most once in chunk.ReportEvery; until then, and while the store is
// unreachable, it returns what it has.
func (s *states) read(ctx context.Context, want func(key string) bool) reading {
	s.mu.Lock()
	defer s.mu.Unlock()
	if rest := chunk.ReportEvery - s.now().Sub(s.listed); rest > 0 {
		time.AfterFunc(rest, s.later)
	} else if err := s.list(ctx, want); err != nil {
		s.log.Warn().Err(err).Msg("the states of chunks were not read; retrying")
	}
	return reading{s.listed, s.known}
}

// get returns the state at a key as it was read last.
func (s *states) get(key string) chunk.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[key].state
}

// list brings the copy up to date. What cannot be read of one chunk stays as it is and holds up no other. The caller holds mu.
func (s *states) list(ctx context.Context, want func(key string) bool) error {
	began := s.now()
	current := map[string]stated{} // readers have the old one
	var changed []artifact.Object
	err := s.objects.List(ctx, artifact.StatePrefix, func(o artifact.Object) bool {
		old, known := s.known[o.Key]
		switch {
		case !want(o.Key):
		case known && old.etag == o.ETag:
			old.at = began
			current[o.Key] = old
		default:
			changed = append(changed, o)
		}
		return true
	})
	if err != nil {
		return err
	}
	var work errgroup.Group
	work.SetLimit(parallelism)
	read := make([]stated, len(changed))
	for i, o := range changed {
		work.Go(func() error {
			state, err := readState(ctx, s.objects, o.Key)
			read[i] = stated{etag: o.ETag, state: state, at: began, err: err}
			return nil
		})
	}
	_ = work.Wait() // each leaves its own error
	if err := ctx.Err(); err != nil {
		return err
	}
	for i, o := range changed {
		next := read[i]
		if next.err != nil {
			old := s.known[o.Key]
			if old.err == nil {
				s.log.Warn().Err(next.err).Str("key", o.Key).Msg("the state of a chunk was not read; retrying")
			}
			next.etag, next.state, next.at = "", old.state, old.at
		}
		current[o.Key] = next
	}
	s.known, s.listed = current, began
	return nil
}

// errNoState is that of an object that is no state of a chunk.
var errNoState = errors.New("unreadable")

func readState(ctx context.Context, objects artifact.Store, key string) (chunk.State, error) {
	body, err := objects.Open(ctx, key, 0, -1)
	if err != nil {
		return chunk.State{}, err
	}
	defer body.Close()
	state, err := chunk.ReadState(body)
	if problem.CodeOf(err) == problem.Unavailable { // reading has failed, which says nothing about the object
		return chunk.State{}, fmt.Errorf("reading %s: %w", key, err)
	}
	if err != nil {
		return chunk.State{}, fmt.Errorf("%s is %w: %w", key, errNoState, err)
	}
	return state, nil
}
