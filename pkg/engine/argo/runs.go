package argo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"k8s.io/client-go/rest"

	"github.com/sumo-k8/sumo-k8/pkg/job"
)

const (
	workflowsPath = "/apis/argoproj.io/v1alpha1/workflows"
	// pageSize bounds one answer of the API server: some 10 KiB a workflow, so 5 MiB.
	pageSize = 500
	// watchTime is how long one watch lasts. The list that follows it mends whatever a watch might have missed.
	watchTime = 5 * time.Minute
	// idle is how long the copy is kept up to date after it was last asked for.
	idle = 30 * time.Second
	// pause spaces out attempts while the API server is away.
	pause = time.Second
)

// path is where a namespace's workflows are.
func path(namespace string) string {
	return "/apis/argoproj.io/v1alpha1/namespaces/" + namespace + "/workflows"
}

// run is a workflow with what we have learnt of it besides.
type run struct {
	workflow *workflow // never changed, only replaced
	started  time.Time // when it was first seen running; Argo only knows when its pod was made
	results  *[]job.ResultFile
}

// runs is a copy of the cluster's workflows. It is complete and current, or it waits until it is: whoever observes takes
// a workflow that is missing for lost.
type runs struct {
	client   rest.Interface
	selector string // of the workflows that are ours
	now      func() time.Time
	log      zerolog.Logger
	changed  chan struct{}
	alive    context.Context
	close    context.CancelFunc

	mu      sync.Mutex
	byJob   map[string]run
	working bool          // somebody keeps the copy up to date
	current bool          // the copy is complete and a watch follows
	settled chan struct{} // closed when current or failed changes next
	failed  error         // why the last attempt to become current did not work
	asked   time.Time
}

func newRuns(client rest.Interface, selector string, now func() time.Time, log zerolog.Logger) *runs {
	s := &runs{
		client: client, selector: selector, now: now, log: log,
		changed: make(chan struct{}, 1), byJob: map[string]run{}, settled: make(chan struct{}),
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
			all := make([]run, 0, len(s.byJob))
			for _, r := range s.byJob {
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

// settle says how it stands to those that wait.
func (s *runs) settle(current bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current, s.failed = current, err
	close(s.settled)
	s.settled = make(chan struct{})
}

// work lists and watches until nobody asks any longer.
func (s *runs) work() {
	for {
		version, err := s.relist(s.alive)
		s.settle(err == nil, err)
		if err == nil {
			s.notify()
			err = s.watch(s.alive, version)
			s.settle(false, nil)
		}
		if err != nil && s.alive.Err() == nil {
			s.log.Warn().Err(err).Msg("workflows not followed; it will be tried again")
		}
		s.mu.Lock()
		if s.alive.Err() != nil || s.now().Sub(s.asked) > idle {
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

// relist replaces the copy and returns the version from which a watch has to go on.
func (s *runs) relist(ctx context.Context) (version string, err error) {
	fresh := map[string]*workflow{}
	version, err = list(ctx, s.client, s.selector, func(w workflow) { fresh[w.jobID()] = &w })
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.byJob
	s.byJob = make(map[string]run, len(fresh))
	for id, w := range fresh {
		s.byJob[id] = s.next(old[id], w)
	}
	for id, r := range old {
		// What we have made or changed ourselves meanwhile is not in the list yet; the watch will tell what becomes of it.
		if after(r.workflow.Metadata.ResourceVersion, version) {
			s.byJob[id] = r
		}
	}
	return version, nil
}

// list calls yield for every workflow with such a label, of all namespaces, as they are now.
func list(ctx context.Context, client rest.Interface, selector string, yield func(workflow)) (version string, err error) {
	next := ""
	for {
		var page struct {
			Metadata struct {
				ResourceVersion string `json:"resourceVersion"`
				Continue        string `json:"continue"`
			} `json:"metadata"`
			Items []workflow `json:"items"`
		}
		callCtx, cancel := context.WithTimeout(ctx, callTimeout)
		request := client.Get().AbsPath(workflowsPath).Param("labelSelector", selector).Param("limit", strconv.Itoa(pageSize))
		if next != "" {
			request = request.Param("continue", next)
		}
		body, err := request.Do(callCtx).Raw()
		cancel()
		if err != nil {
			return "", err
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return "", fmt.Errorf("decode workflows: %w", err)
		}
		for _, w := range page.Items {
			yield(w)
		}
		if next = page.Metadata.Continue; next == "" {
			return page.Metadata.ResourceVersion, nil
		}
	}
}

// watch follows changes until its time is over or the connection ends.
func (s *runs) watch(ctx context.Context, version string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// The API server ends a watch by itself; this is for one that has gone silent.
	silent := time.AfterFunc(watchTime+callTimeout, cancel)
	defer silent.Stop()
	// Nobody needs the copy for long after the last one has asked.
	unasked := time.NewTicker(idle)
	defer unasked.Stop()
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-unasked.C:
				s.mu.Lock()
				over := s.now().Sub(s.asked) > idle
				s.mu.Unlock()
				if over {
					cancel()
				}
			}
		}
	}()
	body, err := s.client.Get().AbsPath(workflowsPath).Param("labelSelector", s.selector).Param("watch", "true").
		Param("allowWatchBookmarks", "true").Param("resourceVersion", version).
		Param("timeoutSeconds", strconv.Itoa(int(watchTime/time.Second))).Stream(ctx)
	if err != nil {
		return err
	}
	defer body.Close()
	events := json.NewDecoder(body)
	for {
		var event struct {
			Type   string          `json:"type"`
			Object json.RawMessage `json:"object"`
		}
		if err := events.Decode(&event); err != nil {
			if ctx.Err() != nil || errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("watch workflows: %w", err)
		}
		if err := s.apply(event.Type, event.Object); err != nil {
			return err
		}
	}
}

// apply brings one event of a watch into the copy.
func (s *runs) apply(kind string, object []byte) error {
	switch kind {
	case "BOOKMARK":
		return nil
	case "ADDED", "MODIFIED", "DELETED":
		var w workflow
		if err := json.Unmarshal(object, &w); err != nil {
			return fmt.Errorf("decode a workflow: %w", err)
		}
		if kind == "DELETED" {
			s.remove(w)
		} else {
			s.put(w)
		}
		return nil
	default:
		var status struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		}
		if err := json.Unmarshal(object, &status); err == nil && status.Code == http.StatusGone {
			return nil // too old to go on from: the watch ends, and a list follows
		}
		return fmt.Errorf("watch workflows: %s: %.300s", kind, object)
	}
}

// put takes w into the copy unless the copy has a newer one.
func (s *runs) put(w workflow) {
	if w.jobID() == "" {
		return
	}
	s.mu.Lock()
	old := s.byJob[w.jobID()]
	if old.workflow == nil || !newer(old.workflow, &w) {
		s.byJob[w.jobID()] = s.next(old, &w)
	}
	s.mu.Unlock()
	s.notify()
}

// newer reports whether a is a later version of the same workflow as b.
func newer(a, b *workflow) bool {
	return a.Metadata.UID == b.Metadata.UID && after(a.Metadata.ResourceVersion, b.Metadata.ResourceVersion)
}

// after compares versions of the API server, which are numbers that grow with every change of anything.
func after(a, b string) bool {
	x, errX := strconv.ParseUint(a, 10, 64)
	y, errY := strconv.ParseUint(b, 10, 64)
	return errX == nil && errY == nil && x > y
}

// next is what is known of a run once w has been seen. The caller holds mu.
func (s *runs) next(old run, w *workflow) run {
	r := run{workflow: w}
	if old.workflow != nil && old.workflow.Metadata.UID == w.Metadata.UID {
		r.started = old.started
		if old.results != nil {
			r.workflow, r.results = old.workflow, old.results // it was over; what changes now tells nothing more
		}
	}
	if r.started.IsZero() && !w.over() && w.observe(s.now()).State == job.Running {
		r.started = s.now()
	}
	return r
}

// get returns the workflow of a job, if the copy has it.
func (s *runs) get(id string) *workflow {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.current {
		return nil
	}
	return s.byJob[id].workflow
}

// remove takes w out of the copy, but not one that was made since under the same name.
func (s *runs) remove(w workflow) {
	s.mu.Lock()
	if r := s.byJob[w.jobID()]; r.workflow != nil && r.workflow.Metadata.UID == w.Metadata.UID {
		delete(s.byJob, w.jobID())
	}
	s.mu.Unlock()
	s.notify()
}

// keepResults remembers the results of a run, and the workflow with what was learnt beside Argo, so that they are looked
// up once.
func (s *runs) keepResults(w *workflow, results []job.ResultFile) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.byJob[w.jobID()]; r.workflow != nil && r.workflow.Metadata.UID == w.Metadata.UID {
		r.workflow, r.results = w, &results
		s.byJob[w.jobID()] = r
	}
}

func (s *runs) notify() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}
