package study

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/fairness"
	"github.com/sumo-k8/sumo-k8/pkg/idempotency"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// Request is what a caller asks for.
type Request struct {
	Name        string
	Plan        Plan
	MaxParallel int // 0 for as many as the tenant's limits allow
}

// Intake makes studies from requests. Each point is settled as a job is, by the same rules.
type Intake struct {
	Studies IntakeStore
	// Jobs has the rules of single runs.
	Jobs *job.Intake
	// Read turns fields of a submission into a request, and reports those that cannot be. Their locations are "body.FIELD".
	Read func(Fields) (job.Request, []problem.Item)
	// Trial judges a configuration of a scenario with other values in its files.
	Trial func(ctx context.Context, s scenario.Scenario, configFile string) (*scenario.Trial, error)
	// Share bounds how many plans of one tenant are settled at once, together with the checks of its scenarios; nil for no bound.
	Share *fairness.Bound
	NewID func() string // sorts by time
	// Changed reports that reconcile has work; nil where nothing listens.
	Changed func(context.Context)
}

// IntakeStore keeps studies.
type IntakeStore interface {
	// CreateStudy stores s with its points in one transaction, as one submission against limits. When idem is not nil, a key that is
	// already recorded wins: the study that it made is returned with created false, or problem.KeyReused when it was recorded for another
	// payload. More unfinished studies than limits allow jobs to wait are problem.QueueFull.
	CreateStudy(
		ctx context.Context, s Study, points []Point, idem *idempotency.Request, limits job.Admission,
	) (stored Study, created bool, err error)
	// Study returns one of the tenant's studies, or problem.NotFound.
	Study(ctx context.Context, tenantID, id string) (Study, error)
	// Points returns the points of a study in their order, with what has become of their runs.
	Points(ctx context.Context, tenantID, id string) ([]Point, error)
	idempotency.Ledger
	// ExtendStudy stores what after has beyond before, and makes the study RUNNING; one that had finished is another submission against
	// limits. A study that was extended by another call meanwhile, or is being purged, is problem.Conflict. An idem that is recorded
	// already changes nothing.
	ExtendStudy(
		ctx context.Context, before, after Study, added []Point, idem *idempotency.Request, limits job.Admission,
	) (Study, error)
	// RetryStudy orders the runs again that have failed or were cancelled, and makes the study RUNNING; one that had finished is another
	// submission against limits, and one that is being purged is problem.Conflict. It returns how many runs there were.
	RetryStudy(
		ctx context.Context, tenantID, id string, idem *idempotency.Request, limits job.Admission,
	) (s Study, again int, err error)
	// KnownWork returns those of works (job.WorkWithSeed) of which the tenant's cache has results.
	KnownWork(ctx context.Context, tenantID string, works []string) (map[string]bool, error)
	// CoreSeconds are what runs of the tenant's scenarios have used on average, by digest; none for scenarios without runs.
	CoreSeconds(ctx context.Context, tenantID string, digests []string) (map[string]float64, error)
}

// Plan checks r and settles its points, and stores nothing. The study has neither an id nor a state.
func (in *Intake) Plan(ctx context.Context, t tenant.Tenant, r Request) (Study, []Point, error) {
	var f faults
	checkName(&f, "body.name", r.Name, map[string]bool{})
	if r.MaxParallel != 0 {
		checkParallel(&f, r.MaxParallel)
	}
	r.Plan.check(&f)
	r.Plan.checkReplaced(&f)
	seeds := r.Plan.Replications.seeds(&f, r.Plan.Baseline != nil)
	checkSize(&f, r.Plan.count(), r.Plan.Replications.Most(len(seeds)))
	if len(f.items) > 0 {
		return Study{}, nil, refused(f.items)
	}
	points, err := in.settle(ctx, t, r.Plan, r.Plan.places(), f)
	if err != nil {
		return Study{}, nil, err
	}
	if err := r.Plan.checkDifferences(points); err != nil {
		return Study{}, nil, err
	}
	if note := r.Plan.lonely(points); note != "" {
		points[0].Warnings = simulation.Warned(append(points[0].Warnings, note))
	}
	all, _ := in.Read(fieldsOf(r.Plan.Run)) // settle has reported what is wrong
	s := Study{
		TenantID: t.ID, Namespace: t.Namespace, Name: r.Name, Plan: r.Plan, Priority: all.Priority, Labels: all.Labels, Seeds: seeds,
		MaxParallel: cmp.Or(r.MaxParallel, MaxRuns), StopShare: 1, MetricNames: append(simulation.MetricNames(), r.Plan.byClass()...),
		Counts: Counts{Runs: len(points) * len(seeds)},
	}
	if r.Plan.OnFailure != nil {
		s.StopShare = r.Plan.OnFailure.StopShare
	}
	if in.Jobs.Trace != nil {
		s.Traceparent = in.Jobs.Trace(ctx)
	}
	for i := range points {
		points[i].Counts.Runs = len(seeds)
	}
	return s, points, in.countCached(ctx, s, points)
}

// countCached counts the runs of a new study whose results can be taken from the cache.
func (in *Intake) countCached(ctx context.Context, s Study, points []Point) error {
	if s.Plan.Cache != "" && s.Plan.Cache != job.UseCache {
		return nil
	}
	works := make([]string, 0, len(points)*len(s.Seeds))
	each := func(do func(p *Point, work string)) {
		for i := range points {
			for _, seed := range s.Seeds {
				if work := job.WorkWithSeed(points[i].Work, &seed); work != "" {
					do(&points[i], work)
				}
			}
		}
	}
	each(func(_ *Point, work string) { works = append(works, work) })
	known, err := in.Studies.KnownWork(ctx, s.TenantID, works)
	if err != nil {
		return err
	}
	each(func(p *Point, work string) {
		if known[work] {
			p.Counts.Cached++
		}
	})
	return nil
}

func checkParallel(f *faults, most int) {
	if most < 1 || most > MaxRuns {
		f.add("body.max_parallel", most, "must be from 1 to %d", MaxRuns)
	}
}

// checkSize bounds a study.
func checkSize(f *faults, points, seeds int) {
	if points > MaxPoints {
		f.add("body.axes", points, "make more than %d points, the most of a study; leave out values, or split it", MaxPoints)
	} else if runs := points * seeds; runs > MaxRuns {
		f.add("body.replications", runs, "make %d runs of %d points, more than the %d of a study; name fewer seeds, or split it", runs, points,
			MaxRuns)
	}
}

func refused(items []problem.Item) *problem.Error {
	return problem.New(problem.Invalid, "The study cannot be accepted: %s %s.", items[0].Location, strings.TrimSuffix(items[0].Message, ".")).
		WithItems(bounded(items)...)
}

// maxItems is how many faults a refusal lists.
const maxItems = 50

func bounded(items []problem.Item) []problem.Item {
	if len(items) <= maxItems {
		return items
	}
	return append(slices.Clip(items[:maxItems]), problem.Item{Message: fmt.Sprintf("… and %d more faults", len(items)-maxItems)})
}

// Accept stores the study that r asks for. A request that idem stands for already returns the study that it made, with created false.
func (in *Intake) Accept(
	ctx context.Context, t tenant.Tenant, r Request, idem *idempotency.Request,
) (s Study, points []Point, created bool, err error) {
	if s, found, err := in.repeated(ctx, t, idem); found || err != nil {
		points, err := in.pointsOf(ctx, s, err)
		return s, points, false, err
	}
	if s, points, err = in.Plan(ctx, t, r); err != nil {
		return s, nil, false, err
	}
	s.ID, s.State = in.NewID(), Running
	if s, created, err = in.Studies.CreateStudy(ctx, s, points, idem, in.Jobs.Admission); err != nil {
		return s, nil, false, err
	}
	if !created {
		points, err = in.pointsOf(ctx, s, nil)
		return s, points, false, err
	}
	in.changed(ctx)
	return s, points, true, nil
}

// repeated returns the study that idem stands for already.
func (in *Intake) repeated(ctx context.Context, t tenant.Tenant, idem *idempotency.Request) (s Study, found bool, err error) {
	return idempotency.Repeated(ctx, in.Studies, t.ID, idem, in.Studies.Study)
}

// pointsOf returns the points of a stored study unless there is an error already.
func (in *Intake) pointsOf(ctx context.Context, s Study, err error) ([]Point, error) {
	if err != nil {
		return nil, err
	}
	return in.Studies.Points(ctx, s.TenantID, s.ID)
}

func (in *Intake) changed(ctx context.Context) {
	if in.Changed != nil {
		in.Changed(ctx)
	}
}

// settler settles the points of one plan. What they share is looked up once.
type settler struct {
	*Intake
	jobs      job.Intake
	tenant    tenant.Tenant
	plan      Plan
	faults    faults
	invalid   *problem.Error // the first fault that a scenario has
	scenarios map[string]scenario.Scenario
	trials    map[[2]string]*trial // by scenario and configuration
}

// trial judges the values that axes set in the files of one configuration, each once.
type trial struct {
	*scenario.Trial
	judged map[simulation.Attribute]judgement
	// apart is whether axes are known to set different attributes. Elements are selected by what the stored file says, so that what holds
	// for one point holds for all.
	apart bool
}

type judgement struct {
	config scenario.Config
	err    error
}

func (t *trial) with(a simulation.Attribute) (scenario.Config, error) {
	j, known := t.judged[a]
	if !known {
		j.config, j.err = t.With([]simulation.Attribute{a})
		t.judged[a] = j
	}
	return j.config, j.err
}

// overlap is what is wrong with values that are fine one by one: two of them are for the same attribute of an element.
func (t *trial) overlap(values []simulation.Attribute) error {
	files := map[string]bool{}
	for _, a := range values {
		files[a.File] = true
	}
	if t.apart || len(files) == len(values) {
		return nil
	}
	if _, err := t.With(values); err != nil {
		return err
	}
	t.apart = true
	return nil
}

// settle makes the points at places. It reports every fault of every point, in f.
func (in *Intake) settle(ctx context.Context, t tenant.Tenant, p Plan, places []place, f faults) ([]Point, error) {
	ctx, end, err := in.Share.Begin(ctx, t.ID)
	if err != nil {
		return nil, err
	}
	defer end()
	w := settler{Intake: in, jobs: *in.Jobs, tenant: t, plan: p, faults: f, scenarios: map[string]scenario.Scenario{},
		trials: map[[2]string]*trial{}}
	w.jobs.Config = remembered(in.Jobs.Config)
	if err := w.findScenarios(ctx); err != nil {
		return nil, err
	}
	points := make([]Point, 0, len(places))
	for _, at := range places {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		point, err := w.point(ctx, at)
		if err != nil {
			return nil, err
		}
		points = append(points, point)
	}
	items := w.faults.all()
	switch {
	case w.invalid != nil:
		first := items[0]
		return nil, problem.New(w.invalid.Code, "The study cannot be accepted. %s", first.Sentence()).WithItems(bounded(items)...)
	case len(items) > 0:
		return nil, refused(items)
	}
	var digests []string
	for _, s := range w.scenarios {
		digests = append(digests, s.Digest)
	}
	slices.Sort(digests)
	known, err := in.Studies.CoreSeconds(ctx, t.ID, digests)
	if err != nil {
		return nil, err
	}
	for i := range points {
		points[i].Number = i
		if used, ok := known[points[i].ScenarioDigest]; ok {
			points[i].CoreSeconds = &used
		}
	}
	return points, nil
}

// remembered asks config once for each configuration of a scenario.
func remembered(
	config func(context.Context, scenario.Scenario, string) (scenario.Config, error),
) func(context.Context, scenario.Scenario, string) (scenario.Config, error) {
	type answer struct {
		config scenario.Config
		err    error
	}
	answers := map[[2]string]answer{}
	return func(ctx context.Context, s scenario.Scenario, requested string) (scenario.Config, error) {
		of := [2]string{s.Digest, requested}
		a, ok := answers[of]
		if !ok {
			a.config, a.err = config(ctx, s, requested)
			answers[of] = a
		}
		return a.config, a.err
	}
}

// findScenarios reads the scenarios of the variants, and reports all that are not there.
func (w *settler) findScenarios(ctx context.Context) error {
	var missing []problem.Item
	for i, v := range w.plan.Variants {
		if _, known := w.scenarios[v.Scenario]; known {
			continue
		}
		s, err := w.jobs.Scenario(ctx, w.tenant.ID, v.Scenario)
		if problem.CodeOf(err) == problem.NotFound {
			missing = append(missing, problem.Item{
				Location: w.faults.where(fmt.Sprintf("body.variants[%d].scenario", i)), Message: "is not a scenario of this tenant", Value: v.Scenario,
			})
			continue
		}
		if err != nil {
			return err
		}
		w.scenarios[v.Scenario] = s
	}
	if len(missing) > 0 {
		return problem.New(problem.NotFound, "No scenario %.80q, of variant %s. Check the id, or upload the scenario again.",
			missing[0].Value, w.nameOf(missing[0].Value)).WithItems(missing...)
	}
	return nil
}

func (w *settler) nameOf(digest any) string {
	i := slices.IndexFunc(w.plan.Variants, func(v Variant) bool { return v.Scenario == digest })
	return w.plan.Variants[i].Name
}

// point settles one point. Faults of the request are collected; an error is anything else.
func (w *settler) point(ctx context.Context, at place) (Point, error) {
	v := w.plan.Variants[at.variant]
	setting := w.plan.setting(at)
	label := Label(v.Name, setting)
	fields, given := w.plan.fields(at)
	located := func(i problem.Item) problem.Item {
		name, ours := strings.CutPrefix(i.Location, "body.")
		if !ours || strings.HasPrefix(name, "axes[") { // the fault of an attribute is located already
			return i
		}
		field, _, _ := strings.Cut(name, ".")
		field, _, _ = strings.Cut(field, "[")
		if place, ok := given[field]; ok {
			i.Location = place + strings.TrimPrefix(name, field)
		} else {
			i.Location = "body.run." + name
		}
		return i
	}
	point := Point{Variant: v.Name, Setting: setting}
	r, items := w.Read(fields)
	for _, i := range items {
		w.faults.at(label, located(i))
	}
	if len(items) > 0 {
		return point, nil
	}
	wrong := w.settings(at, label, &r.Options)
	r.Options.Seed = new(int64) // so that none is drawn
	s := w.scenarios[v.Scenario]
	err := w.jobs.Check(w.tenant, r)
	if err == nil && !wrong {
		if r, err = w.jobs.Settle(ctx, w.tenant, s, r, ""); err == nil {
			r.Warnings, err = w.attributes(ctx, s, r, at)
		}
	}
	if p, ok := errors.AsType[*problem.Error](err); ok && (p.Code == problem.Invalid || p.Code == problem.ScenarioInvalid) {
		if p.Code == problem.ScenarioInvalid && w.invalid == nil {
			w.invalid = p
		}
		for _, i := range p.Items {
			w.faults.at(label, located(i))
		}
		if len(p.Items) == 0 {
			w.faults.at(label, problem.Item{Message: p.Detail})
		}
		return point, nil
	}
	r.Options.Seed = nil
	if err == nil && !wrong && !r.Options.Program() {
		config, err := w.jobs.Config(ctx, s, r.Options.ConfigFile)
		if err != nil {
			return point, err
		}
		r.Warnings = simulation.Warned(append(r.Warnings, w.plan.unmeasured(config, r.Options)...))
		if given["cpu_request"] == "" {
			// SUMO runs with fewer cores than threads, only slower.
			r.CPURequest = max(r.CPURequest, min(config.Threads, w.tenant.Limits.MaxCPU))
		}
	}
	point.ScenarioDigest, point.ScenarioKey, point.OverlayKey = s.Digest, s.Key, s.OverlayKey
	point.CPURequest, point.MemoryGi, point.TimeoutSeconds = r.CPURequest, r.MemoryGi, r.TimeoutSeconds
	point.Options, point.Warnings = r.Options, r.Warnings
	point.Options.Metrics = w.plan.byClass()
	if w.plan.Cache != job.NoCache {
		point.Work = w.jobs.Work(s.Digest, point.Options, true)
	}
	return point, err
}

// settings puts the options, arguments and attributes of a point into o; it reports whether one of them is wrong.
func (w *settler) settings(at place, label string, o *simulation.Options) (wrong bool) {
	for i, a := range w.plan.Axes {
		text, _ := textOf(a.Values[at.values[i]])
		if name, ok := strings.CutPrefix(a.Set, optionPrefix); ok {
			if fault := scenario.OptionFault(name, text); fault != "" {
				w.faults.at(label, problem.Item{Location: fmt.Sprintf("body.axes[%d].values[%d]", i, at.values[i]), Message: fault, Value: text})
				wrong = true
			}
			if own, ok := scenario.OptionName(name); ok {
				name = own
			}
			if _, twice := o.SUMOOptions[name]; twice { // by another name of the option
				w.faults.at(label, problem.Item{Location: fmt.Sprintf("body.axes[%d].set", i), Message: setTwice, Value: a.Set})
				wrong = true
			}
			if o.SUMOOptions == nil {
				o.SUMOOptions = map[string]string{}
			}
			o.SUMOOptions[name] = text
		}
		if name, ok := strings.CutPrefix(a.Set, argumentPrefix); ok {
			if o.Controller == nil {
				w.faults.at(label, problem.Item{
					Location: fmt.Sprintf("body.axes[%d].set", i), Value: a.Set,
					Message: "sets an argument of the controller, and there is none: name it in run.controller",
				})
				wrong = true
				continue
			}
			steering := *o.Controller
			steering.Args = simulation.SetArgument(steering.Args, name, text)
			o.Controller = &steering
		}
		if path, ok := strings.CutPrefix(a.Set, attributePrefix); ok {
			attribute, _ := simulation.ParseAttribute(path) // the plan has been checked
			attribute.Value = text
			o.Attributes = append(o.Attributes, attribute)
		}
	}
	return wrong
}

// attributes checks those of a settled request, and returns its warnings with those of the check. Each value is judged by itself, because
// the points of a study are too many to read a large scenario for each of them.
func (w *settler) attributes(ctx context.Context, s scenario.Scenario, r job.Request, at place) ([]string, error) {
	if len(r.Options.Attributes) == 0 {
		return r.Warnings, nil
	}
	of := [2]string{s.Digest, r.Options.ConfigFile}
	t := w.trials[of]
	if t == nil {
		begun, err := w.Trial(ctx, s, r.Options.ConfigFile)
		if err != nil {
			return nil, err
		}
		t = &trial{Trial: begun, judged: map[simulation.Attribute]judgement{}}
		w.trials[of] = t
	}
	warnings := r.Warnings
	var items []problem.Item
	interval := t.Config.Interval(r.Options.Begin, r.Options.End)
	for _, a := range r.Options.Attributes {
		c, err := t.with(a)
		if p, ok := errors.AsType[*problem.Error](err); ok && p.Code == problem.ScenarioInvalid {
			items = append(items, w.located([]simulation.Attribute{a}, at, p)...)
			continue
		}
		if err != nil {
			return nil, err
		}
		items = append(items, c.Unfit(r.Options.SumoVersion)...)
		warnings = append(warnings, t.News(c, interval)...)
	}
	if len(items) == 0 {
		err := t.overlap(r.Options.Attributes)
		if p, ok := errors.AsType[*problem.Error](err); ok && p.Code == problem.ScenarioInvalid {
			items = w.located(r.Options.Attributes, at, p)
		} else if err != nil {
			return nil, err
		}
	}
	if len(items) > 0 {
		return nil, problem.New(problem.ScenarioInvalid, "%s", items[0].Sentence()).WithItems(items...)
	}
	return simulation.Warned(warnings), nil
}

// located are the faults of values, those about one of them where the request has it.
func (w *settler) located(values []simulation.Attribute, at place, p *problem.Error) []problem.Item {
	if len(p.Items) == 0 {
		p = p.WithItems(problem.Item{Message: p.Detail})
	}
	items := slices.Clone(p.Items)
	for n, axis := range w.plan.Axes {
		path, ok := strings.CutPrefix(axis.Set, attributePrefix)
		named, err := simulation.ParseAttribute(path)
		if !ok || err != nil {
			continue
		}
		named.Value, _ = textOf(axis.Values[at.values[n]])
		for i := range items {
			about := len(values) == 1 || items[i].Value == named.String()
			if items[i].Location == "" && about && slices.Contains(values, named) {
				items[i].Location = fmt.Sprintf("body.axes[%d].values[%d]", n, at.values[n])
			}
		}
	}
	return items
}
