package reconcile_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/reconcile"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// errPanic makes an intake panic, as a fault of ours in reading a zip would.
var errPanic = errors.New("index out of range")

// intake accepts what its errors do not refuse, one after the other.
type intake struct {
	mu       sync.Mutex
	errs     []error
	warnings []string      // of what is accepted
	accepted []string      // tenant, name and content
	release  chan struct{} // nil, or closed when it may go on
}

func (in *intake) Accept(
	ctx context.Context, t tenant.Tenant, src io.Reader, about scenario.About,
) (scenario.Scenario, bool, error) {
	content, err := io.ReadAll(src)
	if err != nil {
		return scenario.Scenario{}, false, err
	}
	if in.release != nil {
		select {
		case <-in.release:
		case <-ctx.Done():
			return scenario.Scenario{}, false, ctx.Err()
		}
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.accepted = append(in.accepted, t.ID+" in "+t.Namespace+" "+about.Name+": "+string(content))
	if len(in.errs) > 0 {
		err, in.errs = in.errs[0], in.errs[1:]
	}
	if errors.Is(err, errPanic) {
		panic(err)
	}
	return scenario.Scenario{Digest: "digest of " + string(content), Manifest: scenario.Manifest{Warnings: in.warnings}}, true, err
}

// assignment is a job of a tool whose run has ended well and left a zip.
func assignment() (jobs *record, runs *engine, store *objects) {
	j := job.Job{
		ID: "j", TenantID: "t", Namespace: "sumo-t", ResultsKey: "results/sumo-t/j/", State: job.Running, Attempt: 1,
		Options: simulation.Options{Tool: &simulation.Tool{Name: "duaIterate", KeepAs: "assigned"}},
	}
	jobs = &record{jobs: map[string]job.Job{"j": j}}
	runs = &engine{runs: []job.Observation{{
		JobID: "j", State: job.Succeeded, FinishedAt: &earlier, Warnings: []string{"of the run"},
		Results: []job.ResultFile{{Name: "kept.zip", Size: 3}, {Name: "log.txt", Size: 1}},
	}}}
	return jobs, runs, &objects{content: map[string]string{"results/sumo-t/j/kept.zip": "zip"}}
}

// runUntil makes calls until the job has ended.
func runUntil(t *testing.T, r *reconcile.Reconciler, jobs *record) job.Job {
	t.Helper()
	for range 20 {
		if _, err := r.Run(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		if j := jobs.get("j"); j.State.Terminal() {
			return j
		}
	}
	t.Fatal("the job does not end")
	return job.Job{}
}

// notKept is the warning about a zip that was refused.
func notKept(why string) string {
	return `The result was not kept as the scenario "assigned": ` + why + ` It is kept.zip among the job's results.`
}

func (r *record) get(id string) job.Job {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.jobs[id]
}

func TestTheResultOfAToolBecomesAScenarioOrAWarning(t *testing.T) {
	t.Parallel()
	invalid := problem.New(problem.ScenarioInvalid, "The scenario cannot be run.").
		WithItems(problem.Item{Location: "a.sumocfg:3", Message: "names no file"}, problem.Item{Message: "Second fault."})
	later := noon.Add(-time.Minute)
	for name, test := range map[string]struct {
		errs    []error
		known   []string // warnings about the scenario
		change  func(*engine, *objects)
		want    string // the scenario
		warning string
		asked   int
	}{
		"accepted": {want: "digest of zip", asked: 1},
		"with warnings": {
			known:   []string{"a.sumocfg: cannot run: a.rou.xml: is not a route file", "Second one."},
			want:    "digest of zip",
			asked:   1,
			warning: `The scenario "assigned", which was kept, has warnings: a.sumocfg: cannot run: a.rou.xml: is not a route file. Second one.`,
		},
		"after failures": {
			errs:   []error{errUnreachable, problem.New(problem.Unavailable, "S3 is unreachable.")},
			change: func(e *engine, _ *objects) { e.runs[0].FinishedAt = &later },
			want:   "digest of zip",
			asked:  3,
		},
		"invalid": {
			errs:    []error{invalid},
			asked:   1,
			warning: notKept(`The scenario cannot be run. a.sumocfg:3: names no file. Second fault.`),
		},
		"failing for long": {
			errs:    []error{errUnreachable},
			asked:   1,
			warning: notKept(`The service failed to store it. Store it yourself.`),
		},
		"a panic over the zip": {
			errs:    []error{errPanic},
			asked:   1,
			warning: notKept(`The service failed to store it. Store it yourself.`),
		},
		"nothing was left": {
			change:  func(e *engine, _ *objects) { e.runs[0].Results = e.runs[0].Results[1:] },
			warning: `The tool has left nothing that could be kept as the scenario "assigned".`,
		},
		"the zip is missing": {
			change:  func(_ *engine, o *objects) { o.content = nil },
			warning: notKept(`There is no object results/sumo-t/j/kept.zip.`),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			jobs, runs, store := assignment()
			if test.change != nil {
				test.change(runs, store)
			}
			in := &intake{errs: test.errs, warnings: test.known}
			r := newReconciler(jobs, runs)
			r.Objects, r.Intake = store, in
			j := runUntil(t, r, jobs)
			warnings := []string{"of the run"}
			if test.warning != "" {
				warnings = append(warnings, test.warning)
			}
			if j.State != job.Succeeded || j.KeptScenario != test.want || !cmp.Equal(warnings, j.Warnings) {
				t.Errorf("%s, scenario %q: %s", j.State, j.KeptScenario, cmp.Diff(warnings, j.Warnings))
			}
			if len(in.accepted) != test.asked || test.asked > 0 && in.accepted[0] != "t in sumo-t assigned: zip" {
				t.Errorf("the intake was asked for %q", in.accepted)
			}
		})
	}
}

// A process that dies has recorded nothing: the engine still has the end, and the next process asks the intake again.
func TestAScenarioIsKeptByTheNextProcess(t *testing.T) {
	t.Parallel()
	jobs, runs, store := assignment()
	ctx, die := context.WithCancel(t.Context())
	first := newReconciler(jobs, runs)
	first.Objects, first.Intake = store, &intake{release: make(chan struct{})}
	time.AfterFunc(50*time.Millisecond, die)
	_, _ = first.Run(ctx, 10*time.Second)
	if j := jobs.get("j"); j.State != job.Running || strings.Contains(strings.Join(runs.noted, " "), "forget") {
		t.Fatalf("the job is %s, and the engine was asked to %v", j.State, runs.noted)
	}
	second := newReconciler(jobs, runs)
	second.Objects, second.Intake = store, &intake{}
	if j := runUntil(t, second, jobs); j.KeptScenario != "digest of zip" {
		t.Errorf("%+v", j)
	}
	if !cmp.Equal(runs.noted, []string{"forget j"}) {
		t.Errorf("the engine was asked to %v", runs.noted)
	}
}

// The check of one job's result holds no other job back.
func TestOthersEndWhileAScenarioIsChecked(t *testing.T) {
	t.Parallel()
	jobs, runs, store := assignment()
	jobs.jobs["k"] = job.Job{ID: "k", TenantID: "t", State: job.Running, Attempt: 1}
	runs.runs = append(runs.runs, job.Observation{JobID: "k", State: job.Succeeded, FinishedAt: &earlier})
	in := &intake{release: make(chan struct{})}
	r := newReconciler(jobs, runs)
	r.Objects, r.Intake = store, in
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	r.Passed = func(time.Duration, error) {
		if jobs.get("j").State.Terminal() {
			stop()
		}
		if jobs.get("k").State == job.Succeeded && jobs.get("j").State == job.Running {
			select {
			case <-in.release:
			default:
				close(in.release)
			}
		}
	}
	if _, err := r.Run(ctx, time.Minute); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if j := jobs.get("j"); j.State != job.Succeeded || j.KeptScenario == "" {
		t.Errorf("%+v", j)
	}
	if k, j := slices.Index(runs.noted, "forget k"), slices.Index(runs.noted, "forget j"); k != 0 || j <= k {
		t.Errorf("the engine was asked to %v", runs.noted)
	}
}
