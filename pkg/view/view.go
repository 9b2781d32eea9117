// Package view caches what is derived from a job's results, such as a chart's curves, so that it is computed once.
//
// A view is made on the first request for it, as a stream in bounded memory, and stored under a prefix of the job
// (artifact.ViewOf): it is removed with the results, and no record of it is needed. Lists of results come from the job's row, so
// views never appear in them. Two processes that make the same view at once store the same bytes twice, which is harmless.
package view

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

const (
	// makers bounds the views that one process makes at a time, and so its memory: a hundred people who open their jobs at once
	// wait for each other rather than exhaust a small function. Tenants take turns.
	makers = 2
	// makeTime bounds making one. At the 100 MB/s of a busy machine it suffices for outputs of 10 GB, more than are accepted, and
	// it stays below the time that gateways give a request.
	makeTime = 100 * time.Second
	// Gzip is the type of most views: JSON or our own format, in gzip.
	Gzip = "application/gzip"
)

// Objects is the object store that views are kept in.
type Objects interface {
	Put(ctx context.Context, key string, r io.Reader, contentType string) (int64, error)
	Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)
	Stat(ctx context.Context, key string) (artifact.Object, error)
}

// Keeper makes and keeps views. New returns one.
type Keeper struct {
	objects Objects
	slots   chan struct{}
	flights singleflight.Group

	mu    sync.Mutex
	lines map[string]*line // by tenant; tenants that want nothing are absent
}

// line is where the views of one tenant wait until no more than makers of them are ahead. It has no room for more in the line for slots,
// so that the next slot is another tenant's, however many views this one asks for.
type line struct {
	ahead chan struct{}
	wants int
}

// New returns a Keeper that stores in objects.
func New(objects Objects) *Keeper {
	return &Keeper{objects: objects, slots: make(chan struct{}, makers), lines: map[string]*line{}}
}

// Open returns the view at key, in gzip, after making it if it is not there. write makes it, uncompressed; its context
// does not end with ctx, so that a client that gives up and asks again finds the work done.
func (k *Keeper) Open(ctx context.Context, key string, write func(context.Context, io.Writer) error) (io.ReadCloser, error) {
	body, err := k.objects.Open(ctx, key, 0, -1)
	if problem.CodeOf(err) != problem.NotFound {
		return body, err
	}
	err = k.flight(ctx, key, func(ctx context.Context) error {
		return Store(ctx, k.objects, key, Gzip, func(w io.Writer) error {
			z := gzip.NewWriter(w)
			if err := write(ctx, z); err != nil {
				return err
			}
			return z.Close()
		})
	})
	if err != nil {
		return nil, err
	}
	return k.objects.Open(ctx, key, 0, -1)
}

// Object returns the object at key, after making it if it is not there: one that is read in parts, and so is not in gzip. store stores it
// there (see Store), with a context as that of Open's write.
func (k *Keeper) Object(ctx context.Context, key string, store func(context.Context) error) (artifact.Object, error) {
	found, err := k.objects.Stat(ctx, key)
	if problem.CodeOf(err) != problem.NotFound {
		return found, err
	}
	if err := k.flight(ctx, key, store); err != nil {
		return artifact.Object{}, err
	}
	return k.objects.Stat(ctx, key)
}

// flight has store make what is to be at key, once for all who ask meanwhile.
func (k *Keeper) flight(ctx context.Context, key string, store func(context.Context) error) error {
	made := k.flights.DoChan(key, func() (any, error) {
		return nil, k.Work(context.WithoutCancel(ctx), artifact.NamespaceOf(key), func(ctx context.Context) error {
			// Another process may have stored it since the caller looked.
			if _, err := k.objects.Stat(ctx, key); problem.CodeOf(err) != problem.NotFound {
				return err
			}
			return store(ctx)
		})
	})
	select {
	case <-ctx.Done():
		return ctx.Err()
	case result := <-made:
		return result.Err
	}
}

// Work does what takes as long as making a view, and keeps nothing: it counts among the views that are made at a time, and its time is
// bounded as theirs. The namespace is that of the tenant who asks.
func (k *Keeper) Work(ctx context.Context, namespace string, work func(context.Context) error) (err error) {
	defer problem.Contain(&err) // makers run in a goroutine that no handler waits for
	ctx, cancel := context.WithTimeout(ctx, makeTime)
	defer cancel()
	leave, err := k.enter(ctx, namespace)
	if err != nil {
		return busy(err)
	}
	defer leave()
	select {
	case k.slots <- struct{}{}:
		defer func() { <-k.slots }()
	case <-ctx.Done():
		return busy(ctx.Err())
	}
	if err = work(ctx); err != nil && ctx.Err() != nil {
		return busy(err)
	}
	return err
}

// enter waits until a tenant's view is at the head of the tenant's line, where it stays until leave is called.
func (k *Keeper) enter(ctx context.Context, namespace string) (leave func(), err error) {
	k.mu.Lock()
	l := k.lines[namespace]
	if l == nil {
		l = &line{ahead: make(chan struct{}, makers)}
		k.lines[namespace] = l
	}
	l.wants++
	k.mu.Unlock()
	forget := func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if l.wants--; l.wants == 0 {
			delete(k.lines, namespace)
		}
	}
	select {
	case l.ahead <- struct{}{}:
		return func() { <-l.ahead; forget() }, nil
	case <-ctx.Done():
		forget()
		return nil, ctx.Err()
	}
}

func busy(cause error) error {
	return problem.Wrap(cause, problem.Unavailable, "Computing this took too long. Try again in a minute; if it keeps happening, "+
		"download the result file itself.").
		WithRetryAfter(time.Minute)
}

// Store writes to key what write produces, as it is produced. Nothing is visible at key unless write succeeds.
func Store(ctx context.Context, objects Objects, key, contentType string, write func(io.Writer) error) error {
	r, w := io.Pipe()
	written := make(chan error, 1)
	go func() {
		var err error
		defer func() {
			w.CloseWithError(err) // a nil error is the proper end
			written <- err
		}()
		defer problem.Contain(&err)
		err = write(w)
	}()
	_, err := objects.Put(ctx, key, r, contentType)
	r.CloseWithError(err) // a writer still at work must not block for ever
	if failed := <-written; failed != nil {
		return failed // its own failure, or storing's, which it then saw
	}
	if err != nil {
		return fmt.Errorf("storing a view: %w", err)
	}
	return nil
}

// JSON makes a view of a value.
func JSON[T any](value func(context.Context) (T, error)) func(context.Context, io.Writer) error {
	return func(ctx context.Context, w io.Writer) error {
		v, err := value(ctx)
		if err != nil {
			return err
		}
		return json.NewEncoder(w).Encode(v)
	}
}
