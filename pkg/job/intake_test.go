package job

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
		"the configuration contradicts":     {nil, nil, at(100), at(50), "a.sumocfg"},
		"both within":                       {at(10), at(20), at(0), at(100), ""},
		"both elsewhere":                    {at(200), at(300), at(0), at(100), ""},
		"end before the begin of the run":   {at(20), at(10), nil, nil, "body.end"},
		"end before the configuration's":    {nil, at(3600), at(7200), at(9000), "body.end"},
		"end at the configuration's begin":  {nil, at(7200), at(7200), nil, ""},
		"end at SUMO's begin":               {nil, at(0), nil, nil, ""},
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
	in := &Intake{Versions: offered("1.15", "1.18"), MaxTimeout: time.Hour}
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
			Options: simulation.Options{SumoVersion: "1.1", Begin: at(2), End: at(1)}, Labels: labels(21),
		}, []string{"body.cpu_request", "body.memory_gi", "body.end", "body.sumo_version", "body.timeout_seconds", "body.labels"}},
		"a label without a key":               {Request{Labels: map[string]string{"": "x"}}, []string{"body.labels"}},
		"a label's key that is too long":      {Request{Labels: map[string]string{strings.Repeat("ü", 101): ""}}, []string{"body.labels"}},
		"a label's value that is too long":    {Request{Labels: map[string]string{"x": strings.Repeat("ü", 101)}}, []string{"body.labels"}},
		"a label that no filter could name":   {Request{Labels: map[string]string{"a=b": "x"}}, []string{"body.labels"}},
		"a label's value with an equals sign": {Request{Labels: map[string]string{"a": "b=c"}}, nil},
		"a check":                             {Request{Cache: NoCache, Options: simulation.Options{Check: true}}, nil},
		"a check with what only a simulation has": {Request{Cache: UseCache, Options: simulation.Options{
			Check: true, Replay: &simulation.Replay{}, Outputs: []simulation.Output{simulation.OutputFCD},
			Tables: []simulation.Table{simulation.TableTripinfo},
		}}, []string{"body.replay", "body.outputs", "body.tables", "body.cache"}},
		"a check that refreshes the cache": {Request{Cache: RefreshCache, Options: simulation.Options{Check: true}}, []string{"body.cache"}},
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
	gone bool // the scenario, which is rural otherwise
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

func (l *ledger) JobOf(_ context.Context, _ string, idem idempotency.Request) (Job, bool, error) {
	id, found := l.keys[idem.Key]
	return l.jobs[id], found, nil
}

func (l *ledger) CreateJob(ctx context.Context, j Job, idem *idempotency.Request, limits Admission) (Job, bool, error) {
	if l.err != nil || limits.MaxQueued != 7 {
		return Job{}, false, l.err
	}
	if idem != nil {
		if known, found, err := l.JobOf(ctx, j.TenantID, *idem); found {
			return known, false, err
		}
		l.keys[idem.Key] = j.ID
	}
	l.jobs[j.ID] = j
	return j, true, nil
}

func (l *ledger) scenario(context.Context, string, string) (scenario.Scenario, error) {
	if l.gone {
		return scenario.Scenario{}, problem.New(problem.NotFound, "No such scenario.")
	}
	return rural, nil
}

func chosen(_ context.Context, s scenario.Scenario, requested string) (scenario.Config, error) {
	return s.Manifest.ChooseConfig(requested)
}

func chosenForAProgram(_ context.Context, s scenario.Scenario, requested string) (scenario.Config, error) {
	return s.Manifest.ProgramConfig(requested)
}

func offered(ready ...string) (offer simulation.Offer) {
	for _, name := range ready {
		offer = append(offer, simulation.Version{Name: name, Ready: true, Supported: true})
	}
	return offer
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
		Admission: Admission{MaxQueued: 7}, DefaultTimeout: time.Hour, MaxTimeout: 2 * time.Hour, Versions: offered("1.15", "1.28"),
		Scenario: l.scenario, Config: chosen, ProgramConfig: chosenForAProgram, DrawSeed: func() int64 { return 99 },
		Callbacks: Callbacks{Webhooks: true, Tasks: true}, NewSecret: func() string { return "whsec_x" },
	}, done
}

func TestARequestBecomesAQueuedJob(t *testing.T) {
	t.Parallel()
	var l ledger
	in, done := l.intake()
	seed := int64(7)
	r := Request{
		Name: "morning", CPURequest: 3, MemoryGi: 5, Priority: High, Labels: map[string]string{"a": "b"}, TaskToken: "t",
		ProgressWebhook: &ProgressWebhook{URL: "https://example.org"}, WebhookURL: "https://example.org/all", Warnings: []string{"mind this"},
		Options: simulation.Options{Seed: &seed, Outputs: []simulation.Output{
			simulation.OutputQueue, simulation.OutputFCD, simulation.OutputQueue,
		}},
	}
	key := &idempotency.Request{Key: "once"}
	want := Job{
		ID: "new-0", TenantID: "acme", Namespace: "sumo-acme", Name: "morning", ScenarioDigest: "d", ScenarioKey: "k",
		ResultsKey: "results/sumo-acme/new-0/", State: Queued,
		CPURequest: 3, MemoryGi: 5, Priority: High, TimeoutSeconds: 3600, Labels: r.Labels, TaskToken: "t", AnswersTask: true,
		ProgressWebhook: &ProgressWebhook{URL: "https://example.org", Begin: new(float64)},
		Webhook:         &Webhook{ID: "new-0", URL: "https://example.org/all", Secret: "whsec_x"}, Warnings: []string{"mind this"},
		Traceparent: "00-trace", SubmittedAt: noon, Options: simulation.Options{
			ConfigFile: "a.sumocfg", SumoVersion: "1.28", Seed: &seed, Outputs: []simulation.Output{simulation.OutputFCD, simulation.OutputQueue},
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
		Labels: map[string]string{"a=b": "accepted by an earlier release"}, TaskToken: "t", AnswersTask: true,
		ProgressWebhook: &ProgressWebhook{URL: "https://example.org", SimulationID: "17"},
		Options:         simulation.Options{ConfigFile: "a.sumocfg", SumoVersion: "1.15"},
		Attempt:         2, Progress: 0.5, Traceparent: "00-earlier",
	}
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
		"a scenario that was deleted":      {ledger{jobs: map[string]Job{"old": finished}, gone: true}, acme, problem.NotFound},
		"longer than now allowed":          {alter(func(j *Job) { j.TimeoutSeconds = 7201 }), acme, problem.Invalid},
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
		want.ResultsKey = "results/sumo-acme/new-1/"
		want.Message, want.Attempt, want.Progress = "", 0, 0
		want.TaskToken, want.AnswersTask = "", false
		want.ProgressWebhook = &ProgressWebhook{URL: "https://example.org", SimulationID: "17", Begin: new(float64)}
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

func TestTheVersionThatFitsIsChosen(t *testing.T) {
	t.Parallel()
	fault := problem.Item{Location: "n.net.xml:7", Message: "names the vehicle class container."}
	const why = "a.sumocfg: n.net.xml:7: names the vehicle class container"
	needs := func(since, before string) scenario.Scenario {
		c := scenario.Config{Path: "a.sumocfg", Needs: []scenario.Need{{Since: since, Before: before, Problem: fault}}}
		return scenario.Scenario{Manifest: scenario.Manifest{Configs: []scenario.Config{c}}}
	}
	by := func(standard string) tenant.Tenant {
		t := acme
		t.DefaultSumoVersion = standard
		return t
	}
	offer := append(offered("1.18", "1.20", "1.28"), simulation.Version{Name: "1.30", Supported: true})
	for name, tt := range map[string]struct {
		tenant   tenant.Tenant
		scenario scenario.Scenario
		asked    string
		want     string
		note     string
		refusal  string
	}{
		"the newest":           {acme, rural, "", "1.28", "", ""},
		"the one asked for":    {by("1.18"), rural, "1.20", "1.20", "", ""},
		"the tenant's default": {by("1.18"), rural, "", "1.18", "", ""},
		"one asked for that cannot": {
			acme, needs("1.20", ""), "1.18", "", "", "SUMO 1.18 cannot run " + why + ". These can: 1.20, 1.28. Choose one with " +
				"sumo_version, or leave it out.",
		},
		"none that can": {
			acme, needs("1.29", ""), "", "", "", "SUMO 1.28 cannot run " + why + ". No version that is ready here can; SUMO 1.30 can, " +
				"but it is not installed on this machine: install it with make sumo VERSIONS=1.30.",
		},
		"a default that cannot": {
			by("1.18"), needs("1.20", ""), "", "1.28", "Runs on SUMO 1.28: SUMO 1.18, this tenant's default, cannot run a.sumocfg (" +
				fault.Location + ": " + "names the vehicle class container).", "",
		},
		"the newest cannot any longer": {
			acme, needs("", "1.28"), "", "1.20", "Runs on SUMO 1.20: SUMO 1.28, the newest here, cannot run a.sumocfg (" +
				fault.Location + ": " + "names the vehicle class container).", "",
		},
		"a default that is not offered": {
			by("1.15"), rural, "", "1.18", "SUMO 1.15, this tenant's default, is no longer offered: jobs that name no version run on " +
				"SUMO 1.18.", "",
		},
		"a default that is not installed": {
			by("1.30"), rural, "", "1.28", "SUMO 1.30, this tenant's default, is not installed here (make sumo VERSIONS=1.30): jobs that name no " +
				"version run on SUMO 1.28.", "",
		},
	} {
		var l ledger
		in, _ := l.intake()
		in.Versions = offer
		j, _, err := in.Accept(t.Context(), tt.tenant, tt.scenario, Request{Options: simulation.Options{SumoVersion: tt.asked}}, nil)
		var p *problem.Error
		if errors.As(err, &p) != (tt.refusal != "") ||
			p != nil && (p.Detail != tt.refusal || p.Code != problem.ScenarioInvalid || len(p.Items) != 1) {
			t.Errorf("%s: refused with %v", name, err)
		}
		if diff := cmp.Diff(tt.note, strings.Join(j.Warnings, "\n")); j.Options.SumoVersion != tt.want || diff != "" {
			t.Errorf("%s: runs on %q, want %q; warnings (-want +got):\n%s", name, j.Options.SumoVersion, tt.want, diff)
		}
	}
}

func TestAVersionThatCannotBeChosenSaysWhy(t *testing.T) {
	t.Parallel()
	offer := append(offered("1.18", "1.28"), simulation.Version{Name: "1.30"})
	for name, want := range map[string]string{
		"1.28": "", "1.15": "is not offered here; choose one of 1.18, 1.28",
		"1.30": "is on offer but not installed on this machine: install it with make sumo VERSIONS=1.30, or start with local --sumo 1.30; " +
			"or choose one of 1.18, 1.28",
	} {
		if got := VersionFault(offer, name); got != want {
			t.Errorf("%s %s, want %q", name, got, want)
		}
	}
}

func TestEveryAttemptHasTheSameSeed(t *testing.T) {
	t.Parallel()
	seed := func(n int64) *int64 { return &n }
	for name, tt := range map[string]struct {
		config      scenario.Config
		asked, want *int64
	}{
		"SUMO's own":                  {scenario.Config{}, nil, nil},
		"the configuration's":         {scenario.Config{Seed: seed(42)}, nil, seed(42)},
		"one asked for":               {scenario.Config{Seed: seed(42), Random: true}, seed(0), seed(0)},
		"a drawn one, where it wants": {scenario.Config{Seed: seed(42), Random: true}, nil, seed(99)},
	} {
		var l ledger
		in, _ := l.intake()
		tt.config.Path = "a.sumocfg"
		s := scenario.Scenario{Manifest: scenario.Manifest{Configs: []scenario.Config{tt.config}}}
		j, _, err := in.Accept(t.Context(), acme, s, Request{Options: simulation.Options{Seed: tt.asked}}, nil)
		if diff := cmp.Diff(tt.want, j.Options.Seed); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

func TestAStrictRunIsRefusedForWhatSUMOWouldDrop(t *testing.T) {
	t.Parallel()
	c := scenario.Config{Path: "a.sumocfg", Warnings: []scenario.Warning{
		{Location: "a.rou.xml:3", Message: `SUMO ignores it; did you mean "vClass"?`, Strict: true}, {Message: "language has no effect."},
	}}
	s := scenario.Scenario{Manifest: scenario.Manifest{Configs: []scenario.Config{c}}}
	for _, strict := range []bool{false, true} {
		var l ledger
		in, _ := l.intake()
		j, _, err := in.Accept(t.Context(), acme, s, Request{Options: simulation.Options{Strict: strict}}, nil)
		var p *problem.Error
		switch {
		case strict && (!errors.As(err, &p) || p.Code != problem.ScenarioInvalid || len(p.Items) != 1 || p.Items[0].Location != "a.rou.xml:3" ||
			p.Detail != "SUMO would drop or ignore a part of this scenario, which strict refuses: fix what errors lists, or submit without "+
				"strict. The first is: a.rou.xml:3: SUMO ignores it; did you mean \"vClass\"?"):
			t.Errorf("strict: %v", err)
		case !strict:
			if diff := cmp.Diff([]string{`a.rou.xml:3: SUMO ignores it; did you mean "vClass"?`, "language has no effect."}, j.Warnings); err != nil || diff != "" {
				t.Errorf("not strict: %v, warnings (-want +got):\n%s", err, diff)
			}
		}
	}
}

func TestAJobIsJudgedByItsOwnInterval(t *testing.T) {
	t.Parallel()
	at := func(seconds float64) *float64 { return &seconds }
	demand := scenario.Demand{FirstDeparture: at(50), LastDeparture: at(60)}
	c := scenario.Config{Path: "a.sumocfg", Begin: at(900), End: at(100), Demand: &demand}
	s := scenario.Scenario{Manifest: scenario.Manifest{Configs: []scenario.Config{c}}}
	for name, tt := range map[string]struct {
		begin, end *float64
		strict     bool
		code       problem.Code
		warning    string
	}{
		"the configuration's is empty":       {nil, nil, false, problem.ScenarioInvalid, ""},
		"the job's has vehicles":             {at(0), nil, true, "", ""},
		"the job's has none":                 {at(70), nil, false, "", "a.sumocfg: no vehicle is simulated: "},
		"the job's has none, and is strict":  {at(70), nil, true, problem.ScenarioInvalid, ""},
		"the job's is empty with the begin":  {nil, at(800), false, problem.Invalid, ""},
		"the job's is before the departures": {at(0), at(50), false, "", "a.sumocfg: no vehicle is simulated: "},
	} {
		var l ledger
		in, _ := l.intake()
		o := simulation.Options{Begin: tt.begin, End: tt.end, Strict: tt.strict}
		j, _, err := in.Accept(t.Context(), acme, s, Request{Options: o}, nil)
		if warning := strings.Join(j.Warnings, "\n"); problem.CodeOf(err) != tt.code || !strings.HasPrefix(warning, tt.warning) ||
			(warning == "") != (tt.warning == "") {
			t.Errorf("%s: %v, warning %q", name, err, warning)
		}
	}
}

func TestATableWithoutItsOutputIsNoted(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		detectors bool
		table     simulation.Table
		warning   string
	}{
		"detectors that there are": {true, simulation.TableDetectors, ""},
		"detectors that there are not": {false, simulation.TableDetectors, "The table detectors will not be made, because the scenario has no " +
			"detectors: add inductionLoop, laneAreaDetector or entryExitDetector elements to an additional file that a.sumocfg names, and " +
			"resubmit."},
		"an output": {false, simulation.TableStops, ""},
	} {
		var l ledger
		in, _ := l.intake()
		c := scenario.Config{Path: "a.sumocfg", Detectors: tt.detectors}
		s := scenario.Scenario{Manifest: scenario.Manifest{Configs: []scenario.Config{c}}}
		r := Request{Options: simulation.Options{Tables: []simulation.Table{tt.table}}}
		j, _, err := in.Accept(t.Context(), acme, s, r, nil)
		if diff := cmp.Diff(tt.warning, strings.Join(j.Warnings, "\n")); err != nil || diff != "" {
			t.Errorf("%s: %v, warning (-want +got):\n%s", name, err, diff)
		}
		if asked := slices.Contains(j.Options.Outputs, simulation.OutputStop); asked != (tt.table == simulation.TableStops) {
			t.Errorf("%s: the outputs are %v", name, j.Options.Outputs)
		}
	}
}

func TestARecordingOfATimeThatIsNotSimulatedIsNoted(t *testing.T) {
	t.Parallel()
	at := func(seconds float64) *float64 { return &seconds }
	for name, tt := range map[string]struct {
		asked   simulation.Replay
		warning string
	}{
		"all":                  {simulation.Replay{}, ""},
		"within the run":       {simulation.Replay{From: at(0), To: at(900)}, ""},
		"from the run's begin": {simulation.Replay{From: at(100), To: at(100)}, ""},
		"from the run's end": {simulation.Replay{From: at(300)}, "The recording will be empty, because it begins (replay.from) at 300 s: the " +
			"run ends at 300 s. Choose an earlier begin, and resubmit."},
		"to a time before it": {simulation.Replay{To: at(99)}, "The recording will be empty, because it ends (replay.to) at 99 s: the run " +
			"begins at 100 s. Choose a later end, and resubmit."},
	} {
		var l ledger
		in, _ := l.intake()
		c := scenario.Config{Path: "a.sumocfg", Begin: at(100), End: at(300)}
		s := scenario.Scenario{Manifest: scenario.Manifest{Configs: []scenario.Config{c}}}
		j, _, err := in.Accept(t.Context(), acme, s, Request{Options: simulation.Options{Replay: &tt.asked}}, nil)
		if diff := cmp.Diff(tt.warning, strings.Join(j.Warnings, "\n")); err != nil || diff != "" {
			t.Errorf("%s: %v, warning (-want +got):\n%s", name, err, diff)
		}
	}
}

func TestChangedDefaultsAreNotedWhereTheJobsOutputsShowThem(t *testing.T) {
	t.Parallel()
	c := scenario.Config{Path: "a.sumocfg", Written: "1.18", Relies: []string{"emissionClass"}}
	s := scenario.Scenario{Manifest: scenario.Manifest{Configs: []scenario.Config{c}}}
	for output, noted := range map[simulation.Output]bool{simulation.OutputEmission: true, simulation.OutputFCD: false} {
		var l ledger
		in, _ := l.intake()
		r := Request{Options: simulation.Options{Outputs: []simulation.Output{output}}}
		j, _, err := in.Accept(t.Context(), acme, s, r, nil)
		if err != nil || noted != (len(j.Warnings) == 1) {
			t.Errorf("%s: %v, warnings %q", output, err, j.Warnings)
		}
	}
}

func TestARetryOfAVersionThatIsGoneRunsOnTheNextOne(t *testing.T) {
	t.Parallel()
	l := ledger{jobs: map[string]Job{"old": {ID: "old", TenantID: "acme", State: Failed, Options: simulation.Options{SumoVersion: "1.18"}}}}
	in, _ := l.intake()
	again, _, err := in.Retry(t.Context(), acme, "old", "")
	want := []string{"SUMO 1.18, for which the job was accepted, is no longer offered: it runs on SUMO 1.28."}
	if diff := cmp.Diff(want, again.Warnings); err != nil || again.Options.SumoVersion != "1.28" || diff != "" {
		t.Errorf("runs on %s, failed with %v, warnings (-want +got):\n%s", again.Options.SumoVersion, err, diff)
	}
}

func TestARetryGoesBackToTheVersionThatTheJobWasAcceptedFor(t *testing.T) {
	t.Parallel()
	l := ledger{jobs: map[string]Job{"old": {
		ID: "old", TenantID: "acme", State: Failed, Options: simulation.Options{SumoVersion: "1.28", AcceptedVersion: "1.30"},
	}}}
	in, _ := l.intake()
	for _, step := range []struct{ offer, runs, awaited string }{{"1.28", "1.28", "1.30"}, {"1.30", "1.30", ""}} {
		in.Versions = offered("1.15", step.offer)
		again, _, err := in.Retry(t.Context(), acme, "old", "")
		if o := again.Options; err != nil || o.SumoVersion != step.runs || o.AcceptedVersion != step.awaited {
			t.Errorf("with SUMO %s it runs on %q and waits for %q: %v", step.offer, o.SumoVersion, o.AcceptedVersion, err)
		}
	}
}

func TestARetryGivesUpAVersionThatCannotRunTheScenario(t *testing.T) {
	t.Parallel()
	l := ledger{jobs: map[string]Job{"old": {ID: "old", TenantID: "acme", State: Failed, Options: simulation.Options{SumoVersion: "1.15"}}}}
	in, _ := l.intake()
	in.Config = func(context.Context, scenario.Scenario, string) (scenario.Config, error) {
		return scenario.Config{Path: "a.sumocfg", Needs: []scenario.Need{{Since: "1.20", Problem: problem.Item{Message: "option too new"}}}}, nil
	}
	again, _, err := in.Retry(t.Context(), acme, "old", "")
	want := []string{"Runs on SUMO 1.28: SUMO 1.15, that of the job that is repeated, cannot run a.sumocfg (option too new)."}
	if diff := cmp.Diff(want, again.Warnings); err != nil || again.Options.SumoVersion != "1.28" || diff != "" {
		t.Errorf("runs on %q, failed with %v, warnings (-want +got):\n%s", again.Options.SumoVersion, err, diff)
	}
}

// versionLog is an engine and a VersionRecord.
type versionLog struct {
	Engine
	started []string
	notes   []string
	stale   []string
	warned  []string
	ended   []Update
	awaited string
	err     error
}

func (l *versionLog) Start(_ context.Context, c Chunk) error {
	l.started, l.warned = append(l.started, c.Jobs[0].Options.SumoVersion), c.Jobs[0].Warnings
	return nil
}

func (l *versionLog) ReplaceVersion(_ context.Context, id, version, accepted string, stale, notes []string) error {
	l.notes, l.awaited = append(l.notes, id+" "+version+": "+strings.Join(notes, "; ")), accepted
	l.stale = append(l.stale, stale...)
	return l.err
}

func (l *versionLog) Apply(_ context.Context, updates []Update) ([]string, error) {
	l.ended = append(l.ended, updates...)
	return nil, l.err
}

func TestAQueuedJobWhoseVersionIsGoneStartsWithTheNextOneThatCanRunIt(t *testing.T) {
	t.Parallel()
	const note = ", for which the job was accepted, is no longer offered"
	since := func(version string) scenario.Config {
		return scenario.Config{Path: "a.sumocfg", Needs: []scenario.Need{{Since: version, Problem: problem.Item{Message: "too new"}}}}
	}
	for name, tt := range map[string]struct {
		accepted string
		config   scenario.Config
		invalid  error
		want     string // empty: the job ends
		note     string
		message  string
	}{
		"it is there":           {accepted: "1.18", config: since("1.28"), want: "1.18"},
		"none was named":        {config: since("1.28"), want: "1.18"},
		"the nearest newer one": {accepted: "1.15", want: "1.18", note: "SUMO 1.15" + note + ": it runs on SUMO 1.18."},
		"the nearest that can": {
			accepted: "1.15", config: since("1.20"), want: "1.22",
			note: "SUMO 1.15" + note + ": it runs on SUMO 1.22. SUMO 1.18 cannot run a.sumocfg (too new).",
		},
		"none is newer": {accepted: "1.30", want: "1.28", note: "SUMO 1.30" + note + ": it runs on SUMO 1.28."},
		"none can": {
			accepted: "1.20", config: scenario.Config{
				Path: "a.sumocfg", Needs: []scenario.Need{{Before: "1.22", Problem: problem.Item{Message: "gone"}}},
			},
			message: "SUMO 1.20" + note + ", and no version here can run the scenario in its place. SUMO 1.22 cannot run a.sumocfg (gone). " +
				"SUMO 1.28 cannot run a.sumocfg (gone). Ask the operator",
		},
		"it is refused by now": {
			accepted: "1.15", invalid: problem.New(problem.ScenarioInvalid, "city.zip has a socket."),
			message: "SUMO 1.15" + note + ", and its scenario cannot run on another version. city.zip has a socket.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log versionLog
			e := Versioned{
				Engine: &log, Versions: offered("1.18", "1.22", "1.28"), Unnamed: "1.18", Record: &log,
				Config: func(context.Context, Job) (scenario.Config, error) { return tt.config, tt.invalid },
			}
			if err := e.Start(t.Context(), Single(Job{ID: "j", Options: simulation.Options{SumoVersion: tt.accepted}})); err != nil {
				t.Error(err)
			}
			var started, notes []string
			if tt.want != "" {
				started = []string{tt.want}
			}
			if tt.note != "" {
				notes = []string{"j " + tt.want + ": " + tt.note}
			}
			if diff := cmp.Diff(started, log.started); diff != "" {
				t.Errorf("started (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(notes, log.notes); diff != "" {
				t.Errorf("noted (-want +got):\n%s", diff)
			}
			switch {
			case tt.message == "" && len(log.ended) == 0:
			case len(log.ended) != 1 || log.ended[0].State != Failed || log.ended[0].Reason != simulation.InvalidScenario ||
				!strings.HasPrefix(log.ended[0].Message, tt.message) || tt.message == "":
				t.Errorf("it ended %+v", log.ended)
			}
		})
	}
}

func TestAJobThatMovesToAnotherVersionIsNotedTheDefaultsOfThatOne(t *testing.T) {
	t.Parallel()
	var log versionLog
	c := scenario.Config{Path: "a.sumocfg", Written: "1.20", Relies: []string{"weights.turnaround-penalty", "default.departspeed"}}
	e := Versioned{
		Engine: &log, Versions: offered("1.28"), Record: &log, Config: func(context.Context, Job) (scenario.Config, error) { return c, nil },
	}
	before, after := scenario.Changes(c, "1.22", nil), scenario.Changes(c, "1.28", nil)
	if len(before) != 1 || len(after) != 2 {
		t.Fatalf("notes %q, %q", before, after)
	}
	j := Job{ID: "j", Options: simulation.Options{SumoVersion: "1.22"}, Warnings: []string{"A line is odd.", before[0]}}
	if err := e.Start(t.Context(), Single(j)); err != nil {
		t.Fatal(err)
	}
	const note = "SUMO 1.22, for which the job was accepted, is no longer offered: it runs on SUMO 1.28."
	if diff := cmp.Diff([]string{"A line is odd.", note, after[0], after[1]}, log.warned); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	diff := cmp.Diff([]string{"j 1.28: " + note + "; " + after[0] + "; " + after[1]}, log.notes)
	if diff != "" || !slices.Equal(log.stale, before) {
		t.Errorf("recorded in place of %q (-want +got):\n%s", log.stale, diff)
	}
}

// A job that starts again, because its pod was lost or it waited for long, runs on the version that it was accepted for once that is back.
func TestAJobGoesBackToTheVersionItWasAcceptedFor(t *testing.T) {
	t.Parallel()
	c := scenario.Config{Path: "a.sumocfg", Written: "1.20", Relies: []string{"weights.turnaround-penalty", "default.departspeed"}}
	j := Job{ID: "j", Options: simulation.Options{SumoVersion: "1.28"}, Warnings: append([]string{"A line is odd."}, scenario.Changes(c, "1.28", nil)...)}
	accepted := j.Warnings
	for _, step := range []struct {
		offer    []string
		runs     string
		recorded bool
	}{
		{[]string{"1.18", "1.22"}, "1.22", true}, // an operator went back to an earlier release
		{[]string{"1.18", "1.22"}, "1.22", false},
		{[]string{"1.18"}, "1.18", true},
		{[]string{"1.18", "1.22", "1.28"}, "1.28", true},
		{[]string{"1.18", "1.22", "1.28"}, "1.28", false},
	} {
		var log versionLog
		e := Versioned{
			Engine: &log, Versions: offered(step.offer...), Record: &log, Config: func(context.Context, Job) (scenario.Config, error) { return c, nil },
		}
		if err := e.Start(t.Context(), Single(j)); err != nil || !slices.Equal(log.started, []string{step.runs}) || len(log.notes) > 0 != step.recorded {
			t.Fatalf("offered %v, it runs on %v, noted %q: %v", step.offer, log.started, log.notes, err)
		}
		if step.recorded {
			j.Options.SumoVersion, j.Options.AcceptedVersion = step.runs, log.awaited
		}
		j.Warnings = log.warned
		if back := step.runs == "1.28"; back != (j.Options.AcceptedVersion == "") || back && !slices.Equal(j.Warnings, accepted) ||
			!back && !slices.Contains(j.Warnings, "SUMO 1.28, for which the job was accepted, is no longer offered: it runs on SUMO "+step.runs+".") {
			t.Errorf("offered %v, it waits for %q and has the warnings %q", step.offer, j.Options.AcceptedVersion, j.Warnings)
		}
	}
}

func TestAJobDoesNotStartWithAnotherVersionUnlessThatIsNoted(t *testing.T) {
	t.Parallel()
	unreachable := errors.New("unreachable")
	for name, tt := range map[string]struct{ record, scenario error }{
		"the record is unreachable": {record: unreachable}, "the scenario is unreachable": {scenario: unreachable},
	} {
		log := versionLog{err: tt.record}
		e := Versioned{
			Engine: &log, Versions: offered("1.28"), Record: &log,
			Config: func(context.Context, Job) (scenario.Config, error) { return scenario.Config{}, tt.scenario },
		}
		if err := e.Start(t.Context(), Single(Job{Options: simulation.Options{SumoVersion: "1.15"}})); err == nil || len(log.started) > 0 {
			t.Errorf("%s: it starts: %v", name, err)
		}
	}
}

func TestOutputsAreFoundByRoleOrByTheirOldNames(t *testing.T) {
	t.Parallel()
	var o Observation
	o.End(simulation.Outcome{
		Files:    map[simulation.Output]string{simulation.OutputFCD: "out/my_fcd.csv", simulation.OutputQueue: "queue.xml.gz"},
		Warnings: []string{"a", "b", "a"},
	})
	o.Stored([]ResultFile{{Name: "fcd.xml.gz"}, {Name: "log.txt"}, {Name: "out/my_fcd.csv"}, {Name: "summary.xml"}})
	var none, one, old Observation
	none.End(simulation.OutOfMemory.Unreported())
	none.Stored([]ResultFile{{Name: "summary.xml"}})
	one.End(simulation.Outcome{Files: map[simulation.Output]string{simulation.OutputSummary: "all.xml", simulation.OutputTripinfo: "all.xml"}})
	one.Stored([]ResultFile{{Name: "all.xml"}, {Name: "fcd.xml.gz"}})
	old.End(simulation.Outcome{})
	old.Stored([]ResultFile{{Name: "summary.xml"}})
	for name, tt := range map[string]struct {
		files []ResultFile
		want  map[simulation.Output]string
	}{
		"by role": {o.Results, map[simulation.Output]string{simulation.OutputFCD: "out/my_fcd.csv"}},
		"of a job finished before": {
			[]ResultFile{{Name: "fcd.xml.gz"}, {Name: "edgedata.xml"}},
			map[simulation.Output]string{simulation.OutputFCD: "fcd.xml.gz", simulation.OutputEdgeData: "edgedata.xml"},
		},
		"of a run that wrote no output": {none.Results, nil},
		"several in one file": {
			one.Results, map[simulation.Output]string{simulation.OutputSummary: "all.xml", simulation.OutputTripinfo: "all.xml"},
		},
		"of a run by an earlier release": {old.Results, map[simulation.Output]string{simulation.OutputSummary: "summary.xml"}},
		"of a job that left nothing":     {nil, nil},
	} {
		var got map[simulation.Output]string
		for _, output := range simulation.Outputs() {
			if f, ok := (Job{Results: tt.files}).Result(output); ok {
				if got == nil {
					got = map[simulation.Output]string{}
				}
				got[output] = f.Name
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if diff := cmp.Diff([]string{"a", "b"}, o.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}
