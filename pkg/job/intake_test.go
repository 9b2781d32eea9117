package job

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sumo-k8/sumo-k8/pkg/idempotency"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

func TestTheIntervalOfARunFitsItsConfiguration(t *testing.T) {
	t.Parallel()
	at := func(seconds float64) *float64 { return &seconds }
	for name, test := range map[string]struct {
		begin, end             *float64 // of the run
		configBegin, configEnd *float64
		location               string // of the fault; empty for none
	}{
		"nothing is said":                   {nil, nil, nil, nil, ""},
		"the configuration contradicts":     {nil, nil, at(100), at(50), ""}, // is its own fault, found when it was uploaded or by SUMO
		"both within":                       {at(10), at(20), at(0), at(100), ""},
		"both elsewhere":                    {at(200), at(300), at(0), at(100), ""},
		"end before the begin of the run":   {at(20), at(10), nil, nil, "body.end"},
		"end before the configuration's":    {nil, at(3600), at(7200), at(9000), "body.end"},
		"end at the configuration's begin":  {nil, at(7200), at(7200), nil, "body.end"},
		"end at SUMO's begin":               {nil, at(0), nil, nil, "body.end"},
		"begin behind the configuration's":  {at(9000), nil, at(0), at(3600), "body.begin"},
		"begin where it does not end":       {at(9000), nil, at(0), nil, ""},
		"begin where it ends never, by -1":  {at(9000), nil, at(0), at(-1), ""},
		"begin before the configuration's":  {at(10), nil, at(3600), at(7200), ""},
		"end behind the configuration's":    {nil, at(9000), at(3600), at(7200), ""},
		"end within the configuration's":    {nil, at(5000), at(3600), at(7200), ""},
		"begin within the configuration's ": {at(5000), nil, at(3600), at(7200), ""},
	} {
		r := Request{Options: simulation.Options{Begin: test.begin, End: test.end}}
		err := r.checkInterval(scenario.Config{Path: "a.sumocfg", Begin: test.configBegin, End: test.configEnd})
		var p *problem.Error
		location := ""
		if errors.As(err, &p) {
			location = p.Items[0].Location
		}
		if location != test.location {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestARunIsHeldAgainstTheLimits(t *testing.T) {
	t.Parallel()
	in := &Intake{SumoVersions: []string{"1.15", "1.18"}, MaxTimeout: time.Hour}
	limited := tenant.Tenant{Limits: tenant.Limits{MaxCPU: 4, MaxMemoryGi: 8, MaxConcurrentJobs: 1}}
	labels := func(n int) map[string]string {
		all := map[string]string{}
		for i := range n {
			all[fmt.Sprint(i)] = ""
		}
		return all
	}
	at := func(seconds float64) *float64 { return &seconds }
	for name, test := range map[string]struct {
		run  Request
		want []string // locations of the faults
	}{
		"all that is allowed": {Request{
			CPURequest: 4, MemoryGi: 8, TimeoutSeconds: 3600,
			Options: simulation.Options{SumoVersion: "1.18", Begin: at(0), End: at(1)}, Labels: labels(20),
		}, nil},
		"labels of characters, not of bytes": {Request{Labels: map[string]string{strings.Repeat("ü", 100): strings.Repeat("🚦", 100)}}, nil},
		"everything at once": {Request{
			CPURequest: 5, MemoryGi: 9, TimeoutSeconds: 3601,
			Options: simulation.Options{SumoVersion: "1.1", Begin: at(1), End: at(1)}, Labels: labels(21),
		}, []string{"body.cpu_request", "body.memory_gi", "body.end", "body.sumo_version", "body.timeout_seconds", "body.labels"}},
		"a label without a key":               {Request{Labels: map[string]string{"": "x"}}, []string{"body.labels"}},
		"a label's key that is too long":      {Request{Labels: map[string]string{strings.Repeat("ü", 101): ""}}, []string{"body.labels"}},
		"a label's value that is too long":    {Request{Labels: map[string]string{"x": strings.Repeat("ü", 101)}}, []string{"body.labels"}},
		"a label that no filter could name":   {Request{Labels: map[string]string{"a=b": "x"}}, []string{"body.labels"}},
		"a label's value with an equals sign": {Request{Labels: map[string]string{"a": "b=c"}}, nil},
	} {
		err := in.Check(limited, test.run)
		var p *problem.Error
		var got []string
		if errors.As(err, &p) {
			for _, item := range p.Items {
				got = append(got, item.Location)
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" || (err == nil) != (len(test.want) == 0) {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

// ledger is an IntakeStore of jobs by id, with the key of the job that each idempotency key has made.
type ledger struct {
	jobs map[string]Job
	keys map[string]string
	err  error
}

func (l *ledger) Job(_ context.Context, tenantID, id string) (Job, error) {
	j, ok := l.jobs[id]
	if !ok || j.TenantID != tenantID {
		return Job{}, problem.New(problem.NotFound, "No job %s.", id)
	}
	return j, nil
}

func (l *ledger) CreateJob(_ context.Context, j Job, idem *idempotency.Request, limits Admission) (Job, bool, error) {
	if l.err != nil || limits.MaxQueued != 7 {
		return Job{}, false, l.err
	}
	if idem != nil {
		if id, ok := l.keys[idem.Key]; ok {
			return l.jobs[id], false, nil
		}
		l.keys[idem.Key] = j.ID
	}
	l.jobs[j.ID] = j
	return j, true, nil
}

var (
	acme  = tenant.Tenant{ID: "acme", Namespace: "sumo-acme", Limits: tenant.Limits{MaxCPU: 4, MaxMemoryGi: 8, MaxConcurrentJobs: 1}}
	noon  = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	rural = scenario.Scenario{Digest: "d", Key: "k", Manifest: scenario.Manifest{Configs: []scenario.Config{{Path: "a.sumocfg"}}}}
)

// intake returns an Intake over l that writes down what it does beyond storing.
func (l *ledger) intake() (in *Intake, done *[]string) {
	if l.jobs == nil {
		l.jobs = map[string]Job{}
	}
	l.keys, done = map[string]string{}, new([]string)
	return &Intake{
		Jobs: l, NewID: func() string { return fmt.Sprint("new-", len(l.jobs)) }, Now: func() time.Time { return noon },
		Dispatch: func(_ context.Context, tenantID string) error {
			*done = append(*done, "dispatch "+tenantID)
			return errors.New("the engine is unreachable")
		},
		Changed: func(context.Context) { *done = append(*done, "changed") }, Trace: func(context.Context) string { return "00-trace" },
		Admission: Admission{MaxQueued: 7}, DefaultTimeout: time.Hour, MaxTimeout: 2 * time.Hour, SumoVersions: []string{"1.15"},
	}, done
}

func TestARequestBecomesAQueuedJob(t *testing.T) {
	t.Parallel()
	var l ledger
	in, done := l.intake()
	seed := int64(7)
	r := Request{
		Name: "morning", CPURequest: 3, MemoryGi: 5, Priority: High, Labels: map[string]string{"a": "b"}, TaskToken: "t",
		ProgressWebhook: &ProgressWebhook{URL: "https://example.org"},
		Options: simulation.Options{Seed: &seed, Outputs: []simulation.Output{
			simulation.OutputQueue, simulation.OutputFCD, simulation.OutputQueue,
		}},
	}
	key := &idempotency.Request{Key: "once"}
	want := Job{
		ID: "new-0", TenantID: "acme", Namespace: "sumo-acme", Name: "morning", ScenarioDigest: "d", ScenarioKey: "k", State: Queued,
		CPURequest: 3, MemoryGi: 5, Priority: High, TimeoutSeconds: 3600, Labels: r.Labels, TaskToken: "t", ProgressWebhook: r.ProgressWebhook,
		Traceparent: "00-trace", SubmittedAt: noon, Options: simulation.Options{
			ConfigFile: "a.sumocfg", Seed: &seed, Outputs: []simulation.Output{simulation.OutputFCD, simulation.OutputQueue},
		},
	}
	for _, first := range []bool{true, false} {
		got, created, err := in.Accept(t.Context(), acme, rural, r, key)
		if diff := cmp.Diff(want, got); diff != "" || err != nil || created != first {
			t.Errorf("created %t, failed with %v (-want +got):\n%s", created, err, diff)
		}
	}
	if diff := cmp.Diff([]string{"dispatch acme", "changed"}, *done); diff != "" {
		t.Errorf("once it is stored (-want +got):\n%s", diff)
	}
}

func TestWhatCannotBeQueuedStartsNothing(t *testing.T) {
	t.Parallel()
	begin, full := 9000., problem.New(problem.QueueFull, "The queue is full.")
	end := 3600.
	two := scenario.Scenario{Manifest: scenario.Manifest{Configs: []scenario.Config{{Path: "a.sumocfg"}, {Path: "b.sumocfg", End: &end}}}}
	for name, tt := range map[string]struct {
		ledger   ledger
		scenario scenario.Scenario
		options  simulation.Options
		code     problem.Code
	}{
		"an unknown configuration":     {ledger{}, two, simulation.Options{ConfigFile: "c.sumocfg"}, problem.Invalid},
		"a contradiction to it":        {ledger{}, two, simulation.Options{ConfigFile: "b.sumocfg", Begin: &begin}, problem.Invalid},
		"a tenant whose queue is full": {ledger{err: full}, rural, simulation.Options{}, problem.QueueFull},
	} {
		in, done := tt.ledger.intake()
		_, created, err := in.Accept(t.Context(), acme, tt.scenario, Request{Options: tt.options}, nil)
		if problem.CodeOf(err) != tt.code || created || len(tt.ledger.jobs)+len(*done) > 0 {
			t.Errorf("%s: created %t, failed with %v, then did %v", name, created, err, *done)
		}
	}
}

func TestAJobIsRetriedAsItWas(t *testing.T) {
	t.Parallel()
	finished := Job{
		ID: "old", TenantID: "acme", Namespace: "sumo-acme", Name: "morning", ScenarioDigest: "d", ScenarioKey: "k",
		State: Failed, Message: "why", CPURequest: 3, MemoryGi: 5, Priority: Low, TimeoutSeconds: 77,
		Labels: map[string]string{"a=b": "accepted by an earlier release"}, TaskToken: "t",
		ProgressWebhook: &ProgressWebhook{URL: "https://example.org"}, Options: simulation.Options{ConfigFile: "a.sumocfg", SumoVersion: "1.15"},
		Attempt: 2, Progress: 0.5, Traceparent: "00-earlier",
	}
	plain := &ProgressWebhook{URL: "http://x"}
	alter := func(change func(*Job)) ledger {
		j := finished
		change(&j)
		return ledger{jobs: map[string]Job{"old": j}}
	}
	for name, tt := range map[string]struct {
		ledger ledger
		tenant tenant.Tenant
		code   problem.Code
	}{
		"a job that failed":                {alter(func(*Job) {}), acme, ""},
		"one that runs":                    {alter(func(j *Job) { j.State = Running }), acme, problem.Conflict},
		"one of another tenant":            {alter(func(*Job) {}), tenant.Tenant{ID: "other"}, problem.NotFound},
		"more than the tenant may now use": {alter(func(j *Job) { j.CPURequest = 5 }), acme, problem.Invalid},
		"a SUMO no longer offered":         {alter(func(j *Job) { j.Options.SumoVersion = "1.1" }), acme, problem.Invalid},
		"longer than now allowed":          {alter(func(j *Job) { j.TimeoutSeconds = 7201 }), acme, problem.Invalid},
		"a webhook no longer allowed":      {alter(func(j *Job) { j.ProgressWebhook = plain }), acme, problem.Invalid},
	} {
		in, _ := tt.ledger.intake()
		got, created, err := in.Retry(t.Context(), tt.tenant, "old", "")
		if problem.CodeOf(err) != tt.code || created != (tt.code == "") {
			t.Errorf("%s: created %t, failed with %v", name, created, err)
			continue
		}
		if err != nil {
			continue
		}
		want := finished
		want.ID, want.State, want.SubmittedAt, want.Traceparent = "new-1", Queued, noon, "00-trace"
		want.Message, want.Attempt, want.Progress = "", 0, 0
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestARetryWithAKeyMakesOneJob(t *testing.T) {
	t.Parallel()
	l := ledger{jobs: map[string]Job{"old": {ID: "old", TenantID: "acme", State: Cancelled}}}
	in, _ := l.intake()
	first, created, err := in.Retry(t.Context(), acme, "old", "once")
	if err != nil || !created {
		t.Fatalf("created %t, failed with %v", created, err)
	}
	again, created, err := in.Retry(t.Context(), acme, "old", "once")
	if err != nil || created || again.ID != first.ID {
		t.Errorf("repeated it is %s, created %t, failed with %v", again.ID, created, err)
	}
}
