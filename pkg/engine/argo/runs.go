package argo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	typed "github.com/argoproj/argo-workflows/v3/pkg/client/clientset/versioned/typed/workflow/v1alpha1"
	"github.com/rs/zerolog"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/kube"
)

const (
	// watchTime is how long one watch lasts. The list that follows it corrects whatever a watch might have missed.
	watchTime = 5 * time.Minute
	// idle is how long the copy is kept up to date after it was last asked for.
	idle = 30 * time.Second
	// maxAge is how old a list may be when its watch opens: well below the seconds after which a run that is missing counts as lost.
	maxAge = time.Second
	// pause spaces out attempts while the API server is unreachable.
	pause = time.Second
)

// run is a workflow with what we have learnt about it elsewhere.
type run struct {
	workflow *wfv1.Workflow // never changed, only replaced
	started  time.Time      // when it was first seen running; Argo only knows when its pod was made
	ended    time.Time      // when it was first seen to have ended, or, of one that was stopped, that its pods have
	closed   bool           // of one that was stopped: its pods have ended
	results  *[]job.ResultFile
	digest   *string   // of its image; empty if there is none, nil until it was looked up
	stopping cancelled // runs of a study's chunk
}

// runs is a copy of the cluster's workflows. It is complete and current, or it waits until it is: the observer takes a
// workflow that is missing for lost.
//
// client-go's Reflector (0.33) guarantees less. Its first list may be older than a run that was started a moment ago. While
// the API server is unreachable it keeps the old copy without reporting it, and then it may wait for another minute. It
// holds all pages of a list at once. Wrapping it against each of these takes more code than the loop below.
type runs struct {
	client   typed.WorkflowInterface // of all namespaces
	selector string                  // of the workflows that are ours
	now      func() time.Time
	log      zerolog.Logger
	changed  chan struct{}
	alive    context.Context
	close    context.CancelFunc

	mu      sync.Mutex
	byChunk map[string]run
	working bool          // a goroutine keeps the copy up to date
	current bool          // the copy is complete and a watch follows
	settled chan struct{} // closed when current or failed changes next
	failed  error         // why the last attempt to become current did not work
	asked   time.Time
}

func newRuns(client typed.WorkflowInterface, selector string, now func() time.Time, log zerolog.Logger) *runs {
	s := &runs{
		client: client, selector: selector, now: now, log: log,
		changed: make(chan struct{}, 1), byChunk: map[string]run{}, settled: make(chan struct{}),
	}
	s.alive, s.close = context.WithCancel(context.Background())
	return s
}

// observe returns all workflows as they are now, or soon after.
func (s *runs) observe(ctx context.Context) ([]run, error) {
	for {
		s.mu.Lock()
		s.asked = s.now()
		if s.alive.Err() != nil {
			s.mu.Unlock()
			return nil, errors.New("the engine is closed")
		}
		if s.current {
			all := make([]run, 0, len(s.byChunk))
			for _, r := range s.byChunk {
				all = append(all, r)
			}
			s.mu.Unlock()
			return all, nil
		}
		if !s.working {
			s.working = true
			go s.work()
		}
		settled := s.settled
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-settled:
		}
		s.mu.Lock()
		err := s.failed
		s.mu.Unlock()
		if err != nil {
			return nil, err
		}
	}
}

// settle reports to those that wait whether the copy is current, or why not.
func (s *runs) settle(current bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current, s.failed = current, err
	close(s.settled)
	s.settled = make(chan struct{})
}

// unasked reports whether nobody needs the copy any longer. The caller holds mu.
func (s *runs) unasked() bool { return s.now().Sub(s.asked) > idle }

// work lists and watches until nobody asks any longer.
func (s *runs) work() {
	for {
		version, err := s.relist(s.alive)
		listed := time.Now()
		var w watch.Interface
		if err == nil {
			w, err = s.open(version)
		}
		// client-go repeats the opening of a watch for ten seconds. What has been started since the list is not in the copy yet.
		if err == nil && time.Since(listed) > maxAge {
			w.Stop()
			continue
		}
		s.settle(err == nil, err)
		if err == nil {
			s.notify()
			err = s.follow(w)
			s.settle(false, nil)
		}
		if err != nil && s.alive.Err() == nil {
			s.log.Warn().Err(err).Msg("workflows not followed; retrying")
		}
		s.mu.Lock()
		if s.alive.Err() != nil || s.unasked() {
			s.working = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		if err != nil {
			select {
			case <-s.alive.Done():
			case <-time.After(pause):
			}
		}
	}
}

// relist replaces the copy and returns the version from which a watch has to continue.
func (s *runs) relist(ctx context.Context) (version string, err error) {
	fresh := map[string]*wfv1.Workflow{}
	version, err = s.list(ctx, s.selector, func(w *wfv1.Workflow) {
		if w.DeletionTimestamp == nil {
			fresh[chunkOf(w)] = w
		}
	})
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.byChunk
	s.byChunk = make(map[string]run, len(fresh))
	for id, w := range fresh {
		s.byChunk[id] = s.next(old[id], w)
	}
	for id, r := range old {
		// What we have made or changed ourselves meanwhile is not in the list yet; the watch will report its state.
		if after(r.workflow.ResourceVersion, version) {
			s.byChunk[id] = r
		}
	}
	return version, nil
}

// list calls yield for every workflow with such labels, of all namespaces, as they are now.
func (s *runs) list(ctx context.Context, selector string, yield func(*wfv1.Workflow)) (string, error) {
	var version string // of all pages
	page := func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		list, err := s.client.List(ctx, options)
		version = list.ResourceVersion
		return list, err
	}
	options := metav1.ListOptions{LabelSelector: selector, TimeoutSeconds: new(int64(kube.CallTimeout / time.Second))}
	if err := kube.Each(ctx, options, page, func(w *wfv1.Workflow) { yield(slim(w)) }); err != nil {
		return "", err
	}
	return version, nil
}

// errNoWatch is a watch that ends as soon as it begins. That is also what client-go returns when it gives up opening one.
var errNoWatch = errors.New("watch workflows: the watch ended at once")

// open begins a watch from version.
func (s *runs) open(version string) (watch.Interface, error) {
	// The API server ends a watch by itself; this is for one that has gone silent.
	ctx, cancel := context.WithTimeout(s.alive, watchTime+kube.CallTimeout)
	opening := time.AfterFunc(kube.CallTimeout, cancel)
	w, err := s.client.Watch(ctx, metav1.ListOptions{
		LabelSelector: s.selector, AllowWatchBookmarks: true, ResourceVersion: version, TimeoutSeconds: new(int64(watchTime / time.Second)),
	})
	if err != nil {
		cancel()
		return nil, err
	}
	opening.Stop()
	w = &boundWatch{w, cancel}
	select {
	case event, more := <-w.ResultChan():
		if more {
			err = s.apply(event)
		} else {
			err = errNoWatch
		}
	default:
	}
	if err != nil {
		w.Stop()
		return nil, err
	}
	return w, nil
}

// boundWatch is a watch that ends with its context.
type boundWatch struct {
	watch.Interface
	cancel context.CancelFunc
}

func (w *boundWatch) Stop() { w.Interface.Stop(); w.cancel() }

// follow applies changes until the watch ends or nobody asks any longer.
func (s *runs) follow(w watch.Interface) error {
	defer w.Stop()
	began := time.Now()
	look := time.NewTicker(idle)
	defer look.Stop()
	for {
		select {
		case <-s.alive.Done():
			return nil
		case <-look.C:
			s.mu.Lock()
			unasked := s.unasked()
			s.mu.Unlock()
			if unasked {
				return nil
			}
		case event, more := <-w.ResultChan():
			if !more && time.Since(began) < pause {
				return errNoWatch // a list follows, but not one after the other
			}
			if !more {
				return nil
			}
			err := s.apply(event)
			if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
				return nil // too old to continue from: a list follows
			}
			if err != nil {
				return fmt.Errorf("watch workflows: %w", err)
			}
		}
	}
}

// apply brings one event of a watch into the copy.
func (s *runs) apply(event watch.Event) error {
	w, isWorkflow := event.Object.(*wfv1.Workflow)
	switch {
	case !isWorkflow:
		return apierrors.FromObject(event.Object)
	case event.Type == watch.Added, event.Type == watch.Modified:
		s.put(w)
	case event.Type == watch.Deleted:
		s.remove(w)
	}
	return nil
}

// put takes what is read of w into the copy unless the copy has a newer one.
func (s *runs) put(w *wfv1.Workflow) {
	if chunkOf(w) == "" {
		return
	}
	if w.DeletionTimestamp != nil { // it only waits for its pods to go
		s.remove(w)
		return
	}
	w = slim(w)
	s.mu.Lock()
	old := s.byChunk[chunkOf(w)]
	if old.workflow == nil || !newer(old.workflow, w) {
		s.byChunk[chunkOf(w)] = s.next(old, w)
	}
	s.mu.Unlock()
	s.notify()
}

// newer reports whether a is a later version of the same workflow as b.
func newer(a, b *wfv1.Workflow) bool {
	return a.UID == b.UID && after(a.ResourceVersion, b.ResourceVersion)
}

// after compares versions of the API server, which are numbers that grow with every change of anything.
func after(a, b string) bool {
	x, errX := strconv.ParseUint(a, 10, 64)
	y, errY := strconv.ParseUint(b, 10, 64)
	return errX == nil && errY == nil && x > y
}

// next is what is known of a run once w has been seen. The caller holds mu.
func (s *runs) next(old run, w *wfv1.Workflow) run {
	r := run{workflow: w}
	if old.workflow != nil && old.workflow.UID == w.UID {
		r.started, r.ended, r.closed, r.stopping, r.digest = old.started, old.ended, old.closed, old.stopping, old.digest
		if old.results != nil {
			r.workflow, r.results = old.workflow, old.results // it had ended; what changes now means nothing
		}
	}
	if r.started.IsZero() && !w.Status.Phase.Completed() && observe(w, s.now()).State == job.Running {
		r.started = s.now()
	}
	if r.ended.IsZero() && w.Status.Phase.Completed() {
		r.ended = s.now()
	}
	return r
}

// get returns the workflow of a chunk, if the copy has it.
func (s *runs) get(id string) *wfv1.Workflow {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.current {
		return nil
	}
	return s.byChunk[id].workflow
}

// remove takes w out of the copy, but not one that was made since under the same name.
func (s *runs) remove(w *wfv1.Workflow) {
	s.mu.Lock()
	if r := s.byChunk[chunkOf(w)]; r.workflow != nil && r.workflow.UID == w.UID {
		delete(s.byChunk, chunkOf(w))
	}
	s.mu.Unlock()
	s.notify()
}

// keepResults remembers the results of a single job, and the workflow with what was learnt beside Argo, so that they are looked
// up once.
func (s *runs) keepResults(w *wfv1.Workflow, results []job.ResultFile) {
	s.keep(w, func(r *run) { r.workflow, r.results = w, &results })
}

// keepDigest remembers the digest of a workflow's image.
func (s *runs) keepDigest(w *wfv1.Workflow, digest string) {
	s.keep(w, func(r *run) { r.digest = &digest })
}

// keepClosed remembers that the pods of a workflow that was stopped have ended.
func (s *runs) keepClosed(w *wfv1.Workflow) {
	s.keep(w, func(r *run) { r.ended, r.closed = s.now(), true })
}

// cancelled is what is remembered of the runs of w that are cancelled.
func (s *runs) cancelled(w *wfv1.Workflow) cancelled {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.byChunk[chunkOf(w)]; r.workflow != nil && r.workflow.UID == w.UID {
		return r.stopping
	}
	return cancelled{}
}

func (s *runs) keepCancelled(w *wfv1.Workflow, c cancelled) {
	s.keep(w, func(r *run) { r.stopping = c })
}

// keep changes what is remembered of w, unless it is gone, or another was made since under the same name.
func (s *runs) keep(w *wfv1.Workflow, change func(*run)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.byChunk[chunkOf(w)]; r.workflow != nil && r.workflow.UID == w.UID {
		change(&r)
		s.byChunk[chunkOf(w)] = r
	}
}

func (s *runs) notify() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}
