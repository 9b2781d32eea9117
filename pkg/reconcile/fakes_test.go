package reconcile_test

import (
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/study"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

var errUnreachable = errors.New("unreachable")

// record is a record of jobs in memory.
type record struct {
	mu          sync.Mutex
	jobs        map[string]job.Job
	chunks      map[string]bool // at work, besides those of single jobs
	applyErr    error
	activeErr   error
	keysBefore  time.Time
	applyCalled int
	parallel    int // of every chunk
	steps       int // how often studies were brought in line
	stepErr     error
	studies     []study.Study // that have finished, with results
}

func (r *record) ActiveJobs(context.Context, int) ([]job.Job, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.where(func(j job.Job) bool { return j.State.Active() }), r.activeErr
}

func (r *record) PruneDeliveries(context.Context, time.Time, int) (int, int, error) { return 0, 0, nil }

func (r *record) where(is func(job.Job) bool) []job.Job {
	var found []job.Job
	for _, id := range slices.Sorted(maps.Keys(r.jobs)) {
		if is(r.jobs[id]) {
			found = append(found, r.jobs[id])
		}
	}
	return found
}

func (r *record) Apply(_ context.Context, updates []job.Update) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.applyCalled++
	if r.applyErr != nil {
		return nil, r.applyErr
	}
	var changed []string
	for _, u := range updates {
		j := r.jobs[u.ID]
		if !j.State.Active() || j.State != u.State && !j.State.CanBecome(u.State) {
			continue
		}
		if j.State != u.State {
			changed = append(changed, u.ID)
		}
		j.State, j.Reason, j.Progress, j.Results, j.Summary = u.State, u.Reason, max(j.Progress, u.Progress), u.Results, u.Summary
		j.KeptScenario, j.Warnings = u.KeptScenario, append(j.Warnings, u.Warnings...)
		j.Message, j.SumoVersion, j.Confinement = cmp.Or(u.Message, j.Message), u.SumoVersion, u.Confinement
		j.Image = u.Image
		j.StartedAt, j.FinishedAt = cmp.Or(u.StartedAt, j.StartedAt), u.FinishedAt
		r.jobs[u.ID] = j
	}
	return changed, nil
}

func (r *record) Restart(_ context.Context, ids []string, message string) (restarted []string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		j := r.jobs[id]
		if !j.State.Active() {
			continue
		}
		j.Attempt++
		if j.State == job.Running {
			j.Lost++
		}
		j.Message = message
		r.jobs[id] = j
		restarted = append(restarted, id)
	}
	return restarted, nil
}

func (r *record) Parallel(_ context.Context, chunkIDs []string) (map[string]int, error) {
	parallel := map[string]int{}
	for _, id := range chunkIDs {
		parallel[id] = r.parallel
	}
	return parallel, nil
}

func (r *record) StepStudies(context.Context) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps++
	return 0, r.stepErr
}

func (r *record) ExpiredStudies(_ context.Context, before time.Time, _ int) ([]study.Study, error) {
	return slices.DeleteFunc(slices.Clone(r.studies), func(s study.Study) bool { return !s.FinishedAt.Before(before) }), nil
}

func (r *record) MarkStudyPruned(_ context.Context, id string, _ time.Time) error {
	r.studies = slices.DeleteFunc(r.studies, func(s study.Study) bool { return s.ID == id })
	return nil
}

func (r *record) TenantsWithQueue(context.Context) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ids []string
	for _, j := range r.where(func(j job.Job) bool { return j.State == job.Queued }) {
		ids = append(ids, j.TenantID)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

func (r *record) Claim(_ context.Context, tenantID string, most int, _ bool) ([]job.Chunk, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	waiting := r.where(func(j job.Job) bool { return j.State == job.Queued && j.TenantID == tenantID })
	var chunks []job.Chunk
	for _, j := range waiting[:min(most, len(waiting))] {
		j.State, j.Attempt = job.Pending, 1
		r.jobs[j.ID] = j
		chunks = append(chunks, job.Single(j))
	}
	return chunks, nil
}

func (r *record) ActiveChunks(_ context.Context, ids []string) (map[string]bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	active := map[string]bool{}
	maps.Copy(active, r.chunks)
	for _, id := range ids {
		if j, exists := r.jobs[id]; exists && !j.State.Terminal() {
			active[id] = true
		}
	}
	return active, nil
}

func (r *record) KnownJobs(_ context.Context, ids []string) (map[string]bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := map[string]bool{}
	for _, id := range ids {
		_, known[id] = r.jobs[id]
	}
	return known, nil
}

// Nothing of this record was taken from a cache.
func (r *record) ReleaseResults(_ context.Context, _, id string) (job.Released, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return job.Released{Remove: []string{r.jobs[id].ResultsKey}}, nil
}

func (r *record) ReleaseStudyResults(context.Context, string, string, time.Time) (job.Released, error) {
	return job.Released{}, nil
}

func (r *record) ExpiredResults(_ context.Context, before time.Time, _ int) ([]job.Job, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.where(func(j job.Job) bool {
		return !j.ResultsPruned && j.FinishedAt != nil && j.FinishedAt.Before(before)
	}), nil
}

func (r *record) MarkResultsPruned(_ context.Context, ids []string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		j := r.jobs[id]
		j.ResultsPruned = true
		r.jobs[id] = j
	}
	return nil
}

func (r *record) PruneIdempotencyKeys(_ context.Context, before time.Time, _ int) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keysBefore = before
	return 4, nil
}

// engine is a job.Engine that notes the calls it gets.
type engine struct {
	job.Engine
	mu         sync.Mutex
	runs       []job.Observation
	noted      []string
	startErr   error
	starting   func(id string) // nil for nothing
	observeErr error
	changed    chan struct{}
}

func (e *engine) note(what, id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.noted = append(e.noted, what+" "+id)
}

func (e *engine) Start(_ context.Context, c job.Chunk) error {
	e.note("start", c.ID)
	if e.starting != nil {
		e.starting(c.ID)
	}
	return e.startErr
}

func (e *engine) Stop(_ context.Context, id string, _ ...string) error {
	e.note("stop", id)
	return nil
}

func (e *engine) Forget(_ context.Context, ids []string) error {
	for _, id := range ids {
		e.note("forget", id)
	}
	return nil
}

func (e *engine) Observe(context.Context) ([]job.Sight, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return sights(e.runs...), e.observeErr
}

func (e *engine) set(runs ...job.Observation) {
	e.mu.Lock()
	e.runs = runs
	e.mu.Unlock()
	e.changed <- struct{}{}
}

// sights are those of chunks of single jobs.
func sights(runs ...job.Observation) []job.Sight {
	seen := make([]job.Sight, len(runs))
	for i, o := range runs {
		seen[i] = job.Sight{ChunkID: o.JobID, Runs: []job.Observation{o}, Ended: o.State.Terminal()}
	}
	return seen
}

func (e *engine) Changed() <-chan struct{} { return e.changed }

// objects is an object store that holds keys and their age only, except what it opens.
type objects struct {
	content   map[string]string
	openErr   error
	modified  map[string]time.Time
	begun     []time.Time // uploads that were never finished
	deleteErr error
	endless   string        // a prefix with more objects than there is time for
	each      time.Duration // that listing one object takes; only in a bubble of synctest
}

func (o *objects) AbortUploads(ctx context.Context, before time.Time) (int, error) {
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	all := len(o.begun)
	o.begun = slices.DeleteFunc(o.begun, before.After)
	return all - len(o.begun), nil
}

func (o *objects) Open(_ context.Context, key string, _, _ int64) (io.ReadCloser, error) {
	content, known := o.content[key]
	switch {
	case o.openErr != nil:
		return nil, o.openErr
	case !known:
		return nil, problem.New(problem.NotFound, "There is no object %s.", key)
	}
	return io.NopCloser(strings.NewReader(content)), nil
}

func (o *objects) List(ctx context.Context, prefix string, yield func(artifact.Object) bool) error {
	return o.ListAfter(ctx, prefix, "", yield)
}

func (o *objects) ListAfter(ctx context.Context, prefix, after string, yield func(artifact.Object) bool) error {
	if prefix == o.endless {
		<-ctx.Done()
	}
	for _, key := range slices.Sorted(maps.Keys(o.modified)) {
		if !strings.HasPrefix(key, prefix) || key <= after {
			continue
		}
		time.Sleep(o.each)
		if ctx.Err() != nil || !yield(artifact.Object{Key: key, Modified: o.modified[key]}) {
			break
		}
	}
	return ctx.Err()
}

func (o *objects) Put(_ context.Context, key string, r io.Reader, _ string) (int64, error) {
	text, err := io.ReadAll(r)
	if o.content == nil {
		o.content = map[string]string{}
	}
	o.content[key] = string(text)
	return int64(len(text)), err
}

func (o *objects) Delete(_ context.Context, keys ...string) error {
	if o.deleteErr != nil {
		return o.deleteErr
	}
	for _, key := range keys {
		delete(o.modified, key)
		delete(o.content, key)
	}
	return nil
}

// scenarios knows the keys it holds.
type scenarios struct {
	keys    map[string]bool
	uploads int // past their time
}

func (s scenarios) KnownKeys(context.Context, []string) (map[string]bool, error) { return s.keys, nil }

func (s scenarios) PruneUploads(context.Context, time.Time, int) (int, error) { return s.uploads, nil }

// tenants is a record of tenants and a tenant.Provisioner.
type tenants struct {
	due         []tenant.Tenant
	broken      string // the id of one that cannot be provisioned
	retired     string // the id of one that is retired while it is provisioned
	dueErr      error
	provisioned []string
	removed     []string
}

func (s *tenants) DueTenant(context.Context, time.Duration) (tenant.Tenant, bool, error) {
	if len(s.due) == 0 || s.dueErr != nil {
		return tenant.Tenant{}, false, s.dueErr
	}
	next := s.due[0]
	s.due = s.due[1:]
	return next, true, nil
}

func (s *tenants) Provisioned(_ context.Context, t tenant.Tenant, _ time.Duration) error {
	if t.ID == s.retired {
		return problem.New(problem.NotFound, "No tenant %q.", t.ID)
	}
	s.provisioned = append(s.provisioned, t.ID)
	return nil
}

func (s *tenants) Provision(_ context.Context, t tenant.Tenant) error {
	if t.ID == s.broken {
		return errUnreachable
	}
	return nil
}

func (s *tenants) Deprovision(_ context.Context, t tenant.Tenant) error {
	s.removed = append(s.removed, t.ID)
	return nil
}

// unlocked is a lock that nobody else has.
func unlocked(ctx context.Context, _ string, fn func(context.Context) error) (bool, error) {
	return true, fn(ctx)
}
