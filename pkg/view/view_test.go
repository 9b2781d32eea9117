package view_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
	"github.com/sumo-k8/sumo-k8/pkg/view"
)

func TestMain(m *testing.M) { localtest.Main(m) }

func newStore(t *testing.T) *s3.Store {
	t.Helper()
	store, err := s3.New(localtest.Bucket(t))
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func content(t *testing.T, packed io.ReadCloser) string {
	t.Helper()
	defer packed.Close()
	z, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAViewIsMadeOnceForAllWhoAsk(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	key := artifact.ViewOf("results/ns/job/", "x-1.json.gz")
	var made atomic.Int32
	begun, release := make(chan struct{}, 20), make(chan struct{})
	write := view.JSON(func(context.Context) ([]int, error) {
		made.Add(1)
		begun <- struct{}{}
		<-release
		return []int{1, 2, 3}, nil
	})
	keeper := view.New(store)
	// The first to ask goes away, which must not spoil it for the others.
	impatient, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := keeper.Open(impatient, key, write)
		left <- err
	}()
	<-begun
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who left was told %v", err)
	}
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			body, err := keeper.Open(t.Context(), key, write)
			if err != nil {
				t.Error(err)
				return
			}
			if text := content(t, body); text != "[1,2,3]\n" {
				t.Errorf("the view is %q", text)
			}
		})
	}
	close(release)
	all.Wait()
	body, err := view.New(store).Open(t.Context(), key, write) // as another process would
	if err != nil {
		t.Fatal(err)
	}
	body.Close()
	if n := made.Load(); n != 1 {
		t.Errorf("it was made %d times", n)
	}
}

func TestAViewThatCannotBeMadeLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	key := artifact.ViewOf("results/ns/job/", "x-1.json.gz")
	refusal := problem.New(problem.NotFound, "There is nothing to see.")
	keeper := view.New(store)
	for range 2 { // the second shows that nothing was stored, and that no slot was lost
		_, err := keeper.Open(t.Context(), key, func(_ context.Context, w io.Writer) error {
			_, _ = w.Write(bytes.Repeat([]byte("half of it "), 1000))
			return refusal
		})
		if !errors.Is(err, refusal) {
			t.Errorf("answered %v", err)
		}
	}
	if _, err := store.Stat(t.Context(), key); problem.CodeOf(err) != problem.NotFound {
		t.Errorf("looking for it gave %v", err)
	}
}

// A panic in a goroutine would end the process, and with it the work of all other tenants.
func TestAPanicOverOneViewIsItsOwnFailure(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	keeper := view.New(store)
	broken := map[string]func(key string) error{
		"while it is written": func(key string) error {
			_, err := keeper.Open(t.Context(), key, func(context.Context, io.Writer) error { panic("index out of range") })
			return err
		},
		"before": func(key string) error {
			_, err := keeper.Object(t.Context(), key, func(context.Context) error { panic("index out of range") })
			return err
		},
		"in work that is not kept": func(string) error {
			return keeper.Work(t.Context(), "ns", func(context.Context) error { panic("index out of range") })
		},
	}
	for range 2 { // the second shows that no slot was lost
		for when, ask := range broken {
			err := ask(artifact.ViewOf("results/ns/job/", "x-1.json.gz"))
			if problem.CodeOf(err) != problem.Internal || !strings.Contains(err.Error(), "view_test.go") {
				t.Errorf("a panic %s answers %v", when, err)
			}
		}
	}
}

func TestWorkThatIsDoneAsItsTimeEndsIsDone(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		failure error
		want    problem.Code
	}{
		"done":         {nil, ""},
		"not finished": {context.Canceled, problem.Unavailable},
	} {
		ctx, end := context.WithCancel(t.Context())
		err := view.New(nil).Work(ctx, "ns", func(context.Context) error {
			end()
			return tt.failure
		})
		if (err != nil) != (tt.want != "") || err != nil && problem.CodeOf(err) != tt.want {
			t.Errorf("work that is %s answers %v", name, err)
		}
	}
}

func TestTenantsTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keeper := view.New(nil)
		began := time.Now()
		var all sync.WaitGroup
		ask := func(namespace string, ended *time.Duration) {
			all.Go(func() {
				err := keeper.Work(t.Context(), namespace, func(context.Context) error {
					time.Sleep(time.Second)
					return nil
				})
				if err != nil {
					t.Error(err)
				}
				*ended = time.Since(began)
			})
			synctest.Wait() // until it is at work, or waits
		}
		many := make([]time.Duration, 20)
		for i := range many {
			ask("many", &many[i])
		}
		var one time.Duration
		ask("one", &one)
		all.Wait()
		if one != 2*time.Second {
			t.Errorf("beside a tenant that wants %d views, each a second's work, another waits %s for its only one", len(many), one)
		}
		if last := slices.Max(many); last != 11*time.Second {
			t.Errorf("the views of one tenant take %s, so that not all makers were at work", last)
		}
	})
}

// brokenStore finds nothing and takes nothing. A real store cannot be made to fail between two requests.
type brokenStore struct{ err error }

func (s brokenStore) Open(context.Context, string, int64, int64) (io.ReadCloser, error) {
	return nil, problem.New(problem.NotFound, "none")
}

func (s brokenStore) Stat(context.Context, string) (artifact.Object, error) {
	return artifact.Object{}, problem.New(problem.NotFound, "none")
}

func (s brokenStore) Put(_ context.Context, _ string, r io.Reader, _ string) (int64, error) {
	_, _ = io.ReadFull(r, make([]byte, 10))
	return 0, s.err
}

func TestAStoreThatFailsEndsTheMaking(t *testing.T) {
	t.Parallel()
	unreachable := problem.New(problem.Unavailable, "The store is unreachable.")
	_, err := view.New(brokenStore{unreachable}).Open(t.Context(), "key", func(_ context.Context, w io.Writer) error {
		for i := 0; ; i++ {
			if _, err := fmt.Fprintf(w, "%d and so on without an end, in numbers that do not compress well\n", i*i*2654435761); err != nil {
				return err
			}
		}
	})
	if !errors.Is(err, unreachable) {
		t.Errorf("answered %v", err)
	}
}

func TestAnObjectIsMadeOnce(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	key := artifact.ViewOf("results/ns/job/", "x-1.parquet")
	var made atomic.Int32
	keeper := view.New(store)
	ask := func() (artifact.Object, error) {
		return keeper.Object(t.Context(), key, func(ctx context.Context) error {
			made.Add(1)
			return view.Store(ctx, store, key, "text/plain", func(w io.Writer) error {
				_, err := io.WriteString(w, "as it is")
				return err
			})
		})
	}
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			if found, err := ask(); err != nil || found.Size != int64(len("as it is")) {
				t.Errorf("got %+v, %v", found, err)
			}
		})
	}
	group.Wait()
	if made.Load() != 1 {
		t.Errorf("it was made %d times", made.Load())
	}
	broken := errors.New("no")
	_, err := keeper.Object(t.Context(), key+"2", func(context.Context) error { return broken })
	if !errors.Is(err, broken) {
		t.Errorf("a failure answers %v", err)
	}
}
