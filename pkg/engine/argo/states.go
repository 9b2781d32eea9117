package argo

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/chunk"
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
	etag  string
	state chunk.State
}

// read returns the states at the keys that want accepts, and when they were read. It lists at most once in chunk.ReportEvery; until
// then, and while the store is unreachable, it returns what it has.
func (s *states) read(ctx context.Context, want func(key string) bool) (map[string]chunk.State, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if rest := chunk.ReportEvery - s.now().Sub(s.listed); rest > 0 {
		time.AfterFunc(rest, s.later)
	} else if err := s.list(ctx, want); err != nil {
		s.log.Warn().Err(err).Msg("the states of chunks were not read; retrying")
	}
	all := make(map[string]chunk.State, len(s.known))
	for key, o := range s.known {
		all[key] = o.state
	}
	return all, s.listed
}

// list brings the copy up to date. The caller holds mu.
func (s *states) list(ctx context.Context, want func(key string) bool) error {
	began := s.now()
	current := map[string]stated{}
	var changed []artifact.Object
	err := s.objects.List(ctx, artifact.StatePrefix, func(o artifact.Object) bool {
		old, known := s.known[o.Key]
		switch {
		case !want(o.Key):
		case known && old.etag == o.ETag:
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
	read := make([]chunk.State, len(changed))
	for i, o := range changed {
		work.Go(func() (err error) {
			read[i], err = readState(ctx, s.objects, o.Key)
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return err
	}
	for i, o := range changed {
		current[o.Key] = stated{o.ETag, read[i]}
	}
	s.known, s.listed = current, began
	return nil
}

func readState(ctx context.Context, objects artifact.Store, key string) (chunk.State, error) {
	body, err := objects.Open(ctx, key, 0, -1)
	if err != nil {
		return chunk.State{}, err
	}
	defer body.Close()
	state, err := chunk.ReadState(body)
	if err != nil {
		return chunk.State{}, fmt.Errorf("read %s: %w", key, err)
	}
	return state, nil
}
