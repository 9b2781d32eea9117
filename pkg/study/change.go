package study

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/idempotency"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// Extension is what is added to a study. Points and seeds that it has already stay as they are.
type Extension struct {
	Variants []Variant `json:"variants,omitempty" doc:"Further variants. One that is there already, with the same scenario and run, stays as it is."`
	// Values are further values of axes, by their names.
	Values       map[string][]json.RawMessage `json:"values,omitempty" doc:"Further values of axes, by the axis. Those that are there already stay as they are."`
	Replications Replications                 `json:"replications,omitzero"`
	MaxParallel  *int                         `json:"max_parallel,omitempty" minimum:"1" maximum:"10000"`
	OnFailure    *OnFailure                   `json:"on_failure,omitempty"`
}

// IsZero reports whether r names nothing.
func (r Replications) IsZero() bool { return r.Seeds == nil && r.Until == nil }

// lack is what of an extension a plan does not have yet: places in its lists, of values by axis.
type lack struct {
	variants []int
	values   map[string][]int
}

// lacks compares e with p.
func (p Plan) lacks(e Extension) lack {
	l := lack{values: map[string][]int{}}
	for i, v := range e.Variants {
		if !slices.ContainsFunc(p.Variants, v.equal) {
			l.variants = append(l.variants, i)
		}
	}
	for name, values := range e.Values {
		for i, v := range values {
			if !p.hasValue(e, name, i, keyOf(v)) {
				l.values[name] = append(l.values[name], i)
			}
		}
	}
	return l
}

// hasValue reports whether the axis with a name has a value that e gives it in place i. With zip, values that e gives the axes in one place
// are there only if they are together.
func (p Plan) hasValue(e Extension, name string, i int, key string) bool {
	if p.Combine != Zip {
		a := slices.IndexFunc(p.Axes, func(a Axis) bool { return a.Name == name })
		return a >= 0 && slices.ContainsFunc(p.Axes[a].Values, func(v json.RawMessage) bool { return keyOf(v) == key })
	}
	for step := range p.steps() {
		together := !slices.ContainsFunc(p.Axes, func(a Axis) bool {
			given := e.Values[a.Name]
			return i >= len(given) || keyOf(a.Values[step]) != keyOf(given[i])
		})
		if together {
			return true
		}
	}
	return false
}

// equal reports whether w is the same as v.
func (v Variant) equal(w Variant) bool {
	same := func(a, b json.RawMessage) bool { return keyOf(a) == keyOf(b) }
	return v.Name == w.Name && v.Scenario == w.Scenario && maps.EqualFunc(fieldsOf(v.Run), fieldsOf(w.Run), same)
}

// Known names the variants and values of e that p has already: "demand 1.2".
func (p Plan) Known(e Extension) (names []string) {
	l := p.lacks(e)
	for i, v := range e.Variants {
		if !slices.Contains(l.variants, i) {
			names = append(names, v.Name)
		}
	}
	for _, axis := range slices.Sorted(maps.Keys(e.Values)) {
		for i, v := range e.Values[axis] {
			if !slices.Contains(l.values[axis], i) {
				names = append(names, axis+" "+Value{Value: v}.Text())
			}
		}
	}
	return names
}

// extended is p with what e adds.
func (p Plan) extended(e Extension, l lack, f *faults) Plan {
	p.Variants = slices.Clone(p.Variants)
	for _, i := range l.variants {
		p.Variants = append(p.Variants, e.Variants[i])
	}
	p.Axes = slices.Clone(p.Axes)
	for _, name := range slices.Sorted(maps.Keys(e.Values)) {
		i := slices.IndexFunc(p.Axes, func(a Axis) bool { return a.Name == name })
		if i < 0 {
			f.add("body.values."+name, nil, "is none of the study's axes; points that are there have no value of another one")
			continue
		}
		p.Axes[i].Values = slices.Clone(p.Axes[i].Values)
		for _, place := range l.values[name] {
			p.Axes[i].Values = append(p.Axes[i].Values, e.Values[name][place])
		}
	}
	if e.OnFailure != nil {
		p.OnFailure = e.OnFailure
	}
	if e.Replications.Until != nil {
		p.Replications = Replications{Until: e.Replications.Until}
	}
	return p
}

// moreSeeds are those of a study with the ones that e names.
func (e Extension) moreSeeds(seeds []int64, baseline bool, f *faults) []int64 {
	if e.Replications.IsZero() {
		return seeds
	}
	all := slices.Clone(seeds)
	more := e.Replications.seeds(f, baseline)
	if a := e.Replications.Until; a != nil && more != nil { // what is there counts for the first look
		return append(all, NextSeeds(seeds, a.least()-len(seeds))...)
	}
	for _, s := range more {
		if !slices.Contains(seeds, s) {
			all = append(all, s)
		}
	}
	return all
}

// Extend adds replications and points to a study. A key makes repeating the call safe; it may be empty. A repeated call returns the study
// as it is now, with again.
func (in *Intake) Extend(
	ctx context.Context, t tenant.Tenant, id string, e Extension, key string,
) (s Study, points []Point, again bool, err error) {
	idem, err := idempotency.Of(key, "extend-study", e, id)
	if err != nil {
		return Study{}, nil, false, err
	}
	s, again, err = in.repeated(ctx, t, idem)
	if !again && err == nil {
		s, err = in.extend(ctx, t, id, e, idem)
	}
	points, err = in.pointsOf(ctx, s, err)
	return s, points, again, err
}

func (in *Intake) extend(ctx context.Context, t tenant.Tenant, id string, e Extension, idem *idempotency.Request) (Study, error) {
	before, err := in.Studies.Study(ctx, t.ID, id)
	if err != nil {
		return Study{}, err
	}
	if before.State == Cancelled || before.State == Failed || before.CancelRequested {
		return Study{}, problem.New(problem.Conflict, "Study %s is %s. POST /studies/{id}/retry continues it; then extend it.",
			id, stateWord(before))
	}
	if before.Purging {
		return Study{}, problem.New(problem.Conflict, "Study %s is being purged.", id)
	}
	after, added, err := in.extended(ctx, t, before, e)
	if err != nil {
		return Study{}, err
	}
	if after, err = in.Studies.ExtendStudy(ctx, before, after, added, idem, in.Jobs.Admission); err != nil {
		return Study{}, err
	}
	in.changed(ctx)
	return after, nil
}

func stateWord(s Study) string {
	if s.State == Running {
		return "being cancelled"
	}
	return string(s.State)
}

// locations in a plan that an extension has elsewhere.
var (
	variantLocation = regexp.MustCompile(`^body\.variants\[(\d+)\]`)
	valueLocation   = regexp.MustCompile(`^body\.axes\[(\d+)\]\.values\[(\d+)\]`)
)

// moved is where an extension of p has what the extended plan has at a location.
func (p Plan) moved(l lack, location string) string {
	if m := variantLocation.FindStringSubmatch(location); m != nil {
		if i, _ := strconv.Atoi(m[1]); i >= len(p.Variants) {
			return fmt.Sprintf("body.variants[%d]%s", l.variants[i-len(p.Variants)], location[len(m[0]):])
		}
	}
	if m := valueLocation.FindStringSubmatch(location); m != nil {
		axis, _ := strconv.Atoi(m[1])
		value, _ := strconv.Atoi(m[2])
		if a := p.Axes[axis]; value >= len(a.Values) {
			return fmt.Sprintf("body.values.%s[%d]%s", a.Name, l.values[a.Name][value-len(a.Values)], location[len(m[0]):])
		}
	}
	return location
}

// extended checks e, and returns the study with it and the points that it adds.
func (in *Intake) extended(ctx context.Context, t tenant.Tenant, before Study, e Extension) (after Study, added []Point, err error) {
	l := before.Plan.lacks(e)
	f := faults{moved: func(location string) string { return before.Plan.moved(l, location) }}
	after = before
	after.Plan = before.Plan.extended(e, l, &f)
	after.Plan.check(&f)
	after.Seeds = e.moreSeeds(before.Seeds, before.Plan.Baseline != nil, &f)
	checkSize(&f, after.Plan.count(), after.Plan.Replications.Most(len(after.Seeds)))
	if e.MaxParallel != nil {
		after.MaxParallel = *e.MaxParallel
		checkParallel(&f, after.MaxParallel)
	}
	if len(f.items) > 0 {
		return after, nil, refused(f.items)
	}
	if e.OnFailure != nil {
		after.StopShare = e.OnFailure.StopShare
	}
	points, err := in.Studies.Points(ctx, t.ID, before.ID)
	if err != nil {
		return after, nil, err
	}
	known := map[string]bool{}
	for _, p := range points {
		known[key(p.Variant, p.Setting)] = true
	}
	places := slices.DeleteFunc(after.Plan.places(), func(at place) bool {
		return known[key(after.Plan.Variants[at.variant].Name, after.Plan.setting(at))]
	})
	if added, err = in.settle(ctx, t, after.Plan, places, f); err != nil {
		return after, nil, err
	}
	for i := range added {
		added[i].Number = len(points) + i
	}
	if err := after.Plan.checkDifferences(slices.Concat(points, added)); err != nil {
		return after, nil, err
	}
	after.Counts.Runs = (len(points) + len(added)) * len(after.Seeds)
	if after.Counts.Runs == before.Counts.Runs && e.MaxParallel == nil && e.OnFailure == nil &&
		reflect.DeepEqual(before.Plan.Replications.Until, after.Plan.Replications.Until) {
		return after, nil, problem.New(problem.Conflict, "The study has all of that already: %d points with %d seeds. Name further seeds, "+
			"values or variants, or another aim.", len(points), len(before.Seeds))
	}
	if len(after.Seeds) > len(before.Seeds) || e.Replications.Until != nil {
		if err := in.permit(t, points); err != nil {
			return after, nil, err
		}
	}
	if len(points)+len(added) > MaxPoints || after.Counts.Runs > MaxRuns {
		return after, nil, refused([]problem.Item{{Location: "body", Message: fmt.Sprintf("makes %d points and %d runs, more than the %d and %d "+
			"of a study; make another one", len(points)+len(added), after.Counts.Runs, MaxPoints, MaxRuns)}})
	}
	return after, added, nil
}

// permit refuses further runs of points that the tenant may not have any more. Limits may have changed since the points were accepted;
// everything else was checked then.
func (in *Intake) permit(t tenant.Tenant, points []Point) error {
	var f faults
	for _, p := range points {
		err := in.Jobs.Check(t, job.Request{
			CPURequest: p.CPURequest, MemoryGi: p.MemoryGi, TimeoutSeconds: p.TimeoutSeconds,
			Options: simulation.Options{Controller: p.Options.Controller},
		})
		wrong, ok := errors.AsType[*problem.Error](err)
		if !ok {
			if err != nil {
				return err
			}
			continue
		}
		for _, i := range wrong.Items {
			i.Location = "body.run." + strings.TrimPrefix(i.Location, "body.")
			f.at(Label(p.Variant, p.Setting), i)
		}
	}
	if items := f.all(); len(items) > 0 {
		return refused(items)
	}
	return nil
}

// Retry orders the runs of a study again that have failed or were cancelled. A key makes repeating the call safe; it may be empty. A
// repeated call orders none, and returns the study as it is now.
func (in *Intake) Retry(ctx context.Context, t tenant.Tenant, id, key string) (s Study, again int, repeated bool, err error) {
	idem, err := idempotency.Of(key, "retry-study", nil, id)
	if err != nil {
		return s, 0, false, err
	}
	if s, repeated, err = in.repeated(ctx, t, idem); repeated || err != nil {
		return s, 0, repeated, err
	}
	points, err := in.Studies.Points(ctx, t.ID, id)
	if err == nil {
		err = in.permit(t, points)
	}
	if err != nil {
		return s, 0, false, err
	}
	if s, again, err = in.Studies.RetryStudy(ctx, t.ID, id, idem, in.Jobs.Admission); err == nil {
		in.changed(ctx)
	}
	return s, again, false, err
}

// PurgeStore forgets finished studies.
type PurgeStore interface {
	// PurgeStudy marks a finished study, so that it neither goes on again nor shows results, and returns what it was. One that has not
	// finished is problem.Conflict. Repeating it is no error.
	PurgeStudy(ctx context.Context, tenantID, id string) (Study, error)
	// ReleaseStudyResults gives up the results of the study's runs that finished before the given time, of all if it is zero: what lies below
	// artifact.StudyResults may be removed but for Keep, and Remove beside it. It may be repeated.
	ReleaseStudyResults(ctx context.Context, tenantID, id string, before time.Time) (job.Released, error)
	// DeleteStudyRuns forgets up to limit runs of a finished study with their events, and returns how many they were.
	DeleteStudyRuns(ctx context.Context, tenantID, id string, limit int) (int, error)
	// DeleteStudy forgets a finished study. One that has not finished is problem.Conflict.
	DeleteStudy(ctx context.Context, tenantID, id string) error
}

// purgeBatch is how many runs are forgotten in one transaction: some tenths of a second.
const purgeBatch = 500

// Purge removes a finished study with its runs and their results, and returns what it was. Objects go before rows: while any may be left,
// the study is still there to be purged again.
func Purge(ctx context.Context, studies PurgeStore, objects artifact.Remover, tenantID, id string) (Study, error) {
	s, err := studies.PurgeStudy(ctx, tenantID, id)
	if err != nil {
		return Study{}, err
	}
	released, err := studies.ReleaseStudyResults(ctx, tenantID, id, time.Time{})
	if err != nil {
		return Study{}, err
	}
	if err := RemoveResults(ctx, objects, s, released); err != nil {
		return Study{}, err
	}
	for n := purgeBatch; n == purgeBatch; {
		if n, err = studies.DeleteStudyRuns(ctx, tenantID, id, purgeBatch); err != nil {
			return Study{}, err
		}
	}
	return s, studies.DeleteStudy(ctx, tenantID, id)
}

// RemoveResults removes what a study has released.
func RemoveResults(ctx context.Context, objects artifact.Remover, s Study, released job.Released) error {
	err := artifact.RemoveResults(ctx, objects, artifact.StudyResults(s.Namespace, s.ID), released.Keep...)
	for _, results := range released.Remove {
		if err != nil {
			return err
		}
		err = artifact.RemoveResults(ctx, objects, results)
	}
	return err
}
