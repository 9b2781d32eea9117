package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// Intake checks and stores a scenario as if its tenant had sent it. It is a scenario.Intake.
type Intake interface {
	Accept(ctx context.Context, t tenant.Tenant, src io.Reader, about scenario.About) (s scenario.Scenario, created bool, err error)
}

const (
	// keepers bounds the results that are checked at a time, beside the passes.
	keepers = 2
	// keepTime bounds one check: a large zip passes through twice.
	keepTime = 2 * time.Minute
	// keepTries is how long after a run's end a check that fails, rather than finds a fault, is repeated.
	keepTries = 10 * time.Minute
	// keptFaults is how many faults of a scenario a warning lists.
	keptFaults = 10
)

// keeping is what becomes of results that are to be stored scenarios. Until that is known, the end of their job is not recorded: who sees
// it succeed sees the scenario. Nothing is lost with this process, since the engine goes on reporting an end that is not on record, and the
// same zip is the same scenario.
type keeping struct {
	mu   sync.Mutex
	jobs map[string]*kept
	work sync.WaitGroup
}

// kept is the outcome for one job.
type kept struct {
	done              bool
	scenario, warning string
	err               error // that may pass
}

// forget drops the outcomes of jobs whose end is on record.
func (k *keeping) forget(jobs []job.Job) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, j := range jobs {
		delete(k.jobs, j.ID)
	}
}

// keep completes the updates of jobs whose results become scenarios, and withholds those that are still being checked.
func (r *Reconciler) keep(ctx context.Context, todo *differences) {
	r.keeping.mu.Lock()
	defer r.keeping.mu.Unlock()
	todo.keep = slices.DeleteFunc(todo.keep, func(j job.Job) bool {
		i := slices.IndexFunc(todo.updates, func(u job.Update) bool { return u.ID == j.ID })
		u := &todo.updates[i]
		known := r.outcome(ctx, j, *u)
		if known == nil {
			todo.updates = slices.Delete(todo.updates, i, i+1)
			todo.finished = slices.DeleteFunc(todo.finished, func(chunk string) bool { return chunk == j.ChunkID() })
			return true
		}
		u.KeptScenario = known.scenario
		if known.warning != "" {
			u.Warnings = append(slices.Clone(u.Warnings), known.warning)
		}
		return false
	})
}

// outcome is what has become of the result of j, nil while that is not known.
func (r *Reconciler) outcome(ctx context.Context, j job.Job, u job.Update) *kept {
	file, left := job.FileNamed(u.Results, simulation.KeptFile)
	if !left {
		return &kept{warning: fmt.Sprintf("The tool has left nothing that could be kept as the scenario %.80q.", j.KeepAs())}
	}
	if r.keeping.jobs == nil {
		r.keeping.jobs = map[string]*kept{}
	}
	known := r.keeping.jobs[j.ID]
	switch {
	case known == nil:
		working := 0
		for _, k := range r.keeping.jobs {
			if !k.done {
				working++
			}
		}
		if working < keepers {
			known = &kept{}
			r.keeping.jobs[j.ID] = known
			r.keeping.work.Go(func() { r.check(ctx, j, file, known) })
		}
		return nil
	case !known.done:
		return nil
	case known.err == nil:
		return known
	}
	delete(r.keeping.jobs, j.ID)
	if u.FinishedAt != nil && r.Now().Sub(*u.FinishedAt) > keepTries {
		return &kept{warning: notKept(j, "The service failed to store it. Store it yourself.")}
	}
	r.Log.Warn().Err(known.err).Str("job", j.ID).Msg("storing the scenario that a tool has made failed; it is tried again")
	return nil // the next pass tries again
}

// check stores the zip of a job as a scenario of its tenant.
func (r *Reconciler) check(ctx context.Context, j job.Job, file job.ResultFile, out *kept) {
	ctx, cancel := context.WithTimeout(ctx, keepTime)
	defer cancel()
	s, err := r.store(ctx, j, file)
	r.keeping.mu.Lock()
	defer r.keeping.mu.Unlock()
	out.done = true
	var refused *problem.Error
	switch {
	case err == nil:
		out.scenario, out.warning = s.Digest, keptWith(j, s)
	case errors.As(err, &refused) && slices.Contains(refusals, refused.Code):
		why := []string{refused.Detail}
		for _, item := range refused.Items[:min(len(refused.Items), keptFaults)] {
			why = append(why, item.Sentence())
		}
		out.warning = notKept(j, strings.Join(why, " "))
	default:
		out.err = err
	}
}

// refusals are what the intake says of a zip that it will never accept.
var refusals = []problem.Code{problem.ScenarioInvalid, problem.TooLarge, problem.Invalid, problem.NotFound, problem.Unsupported}

// keptWith is a warning with those of the scenario that was kept, such as why SUMO cannot run it: nobody sees the answer of its intake.
func keptWith(j job.Job, s scenario.Scenario) string {
	if len(s.Manifest.Warnings) == 0 {
		return ""
	}
	text := fmt.Sprintf("The scenario %.80q, which was kept, has warnings:", j.KeepAs())
	for _, w := range s.Manifest.Warnings[:min(len(s.Manifest.Warnings), keptFaults)] {
		text += " " + problem.Item{Message: w}.Sentence()
	}
	return text
}

func notKept(j job.Job, why string) string {
	return fmt.Sprintf("The result was not kept as the scenario %.80q: %s It is %s among the job's results.", j.KeepAs(), why,
		simulation.KeptFile)
}

func (r *Reconciler) store(ctx context.Context, j job.Job, file job.ResultFile) (s scenario.Scenario, err error) {
	defer problem.Contain(&err)
	key, offset, length := j.Locate(file)
	zip, err := r.Objects.Open(ctx, key, offset, length)
	if err != nil {
		return scenario.Scenario{}, err
	}
	defer zip.Close()
	owner := tenant.Tenant{ID: j.TenantID, Namespace: j.Namespace}
	s, _, err = r.Intake.Accept(ctx, owner, ours{zip}, scenario.About{Name: scenario.PrintableName(j.KeepAs()), Program: true})
	return s, err
}

// ours is a zip that comes from the object store: that it breaks off is no fault of a client.
type ours struct{ io.Reader }

func (o ours) Read(p []byte) (int, error) {
	n, err := o.Reader.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // a Reader ends with EOF itself
		err = problem.Wrap(err, problem.Unavailable, "The object store broke off.")
	}
	return n, err
}
