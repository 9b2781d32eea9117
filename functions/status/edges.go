package status

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/study"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/outputs"
	"github.com/sumo-k8/sumo-k8/pkg/view"
)

func (f *Function) registerStudyEdges(api huma.API, tags []string) {
	op := huma.Operation{
		OperationID: "get-study-edgedata", Path: "/studies/{id}/edgedata",
		Summary: "Describe and compare edges over the runs of a point",
		Description: "For a study whose runs have the edgedata output. The unit is one run's value of an edge in an interval. With against, " +
			"differences are paired by seed, or judged by Welch's test where fewer than two seeds pair, and p values are adjusted by the method " +
			"of Benjamini and Hochberg over all edges and intervals of the attribute. Runs that succeed later change the answer. Once " +
			"the results were removed because of their age, it is 410.",
	}
	describeView[rest.StudyEdges](api, &op)
	op.Tags, op.Errors = tags, append(op.Errors, http.StatusGone)
	rest.Register(api, rest.Tenant, op, f.studyEdges)
}

type studyEdgesRequest struct {
	ID          string `path:"id" doc:"Its study_id."`
	Point       int    `query:"point" minimum:"0" maximum:"1000000" default:"0" doc:"Number of the point."`
	Against     int    `query:"against" minimum:"-1" maximum:"1000000" default:"-1" doc:"Number of the point to compare it with; none if left out, or -1."`
	Attribute   string `query:"attribute" maxLength:"200" doc:"Of the edgedata output, such as speed or timeLoss; speed if left out."`
	Interval    int    `query:"interval" minimum:"0" maximum:"1000000" default:"0" doc:"Number of the interval, from 0."`
	IfNoneMatch string `header:"If-None-Match" maxLength:"1000" doc:"ETag of an earlier answer. The call then answers 304 if no further run counts."`
}

func (f *Function) studyEdges(ctx context.Context, in *studyEdgesRequest) (*huma.StreamResponse, error) {
	q, err := f.edgeQuestion(ctx, in)
	if err != nil {
		return nil, err
	}
	name := q.name()
	tag := `"` + q.study.ID + "/" + name + `"`
	if matches(in.IfNoneMatch, tag) {
		return unchanged(tag, revalidate), nil
	}
	key := artifact.ViewOf(artifact.StudyResults(q.study.Namespace, q.study.ID), name)
	packed, err := f.Views.Open(ctx, key, view.JSON(func(ctx context.Context) (rest.StudyEdges, error) { return f.answerEdges(ctx, q) }))
	if err != nil {
		return nil, err
	}
	return stored(tag, revalidate, packed), nil
}

// edgeQuestion is a question about edges with the runs that answer it.
type edgeQuestion struct {
	study    study.Study
	in       *studyEdgesRequest
	pairs    []edgePair
	notes    []string
	compared bool
}

// edgePair is a run of the point and one of the other point with the same seed. Either may be missing.
type edgePair struct{ point, against *edgeRun }

type edgeRun struct {
	job  job.Job
	file job.ResultFile
}

// name is that of the view with the answer: it differs with the runs that count. The number is that of its form.
func (q edgeQuestion) name() string {
	what := []any{q.in.Point, q.in.Against, q.in.Attribute, q.in.Interval, q.notes}
	for _, p := range q.pairs {
		for _, r := range []*edgeRun{p.point, p.against} {
			if r != nil {
				what = append(what, r.job.ID)
			}
		}
		what = append(what, "")
	}
	text, _ := json.Marshal(what) // numbers and strings
	sum := sha256.Sum256(text)
	return "edges-1-" + hex.EncodeToString(sum[:16]) + ".json.gz"
}

func (f *Function) edgeQuestion(ctx context.Context, in *studyEdgesRequest) (q edgeQuestion, err error) {
	t := rest.TenantOf(ctx)
	q = edgeQuestion{in: in, compared: in.Against >= 0}
	if q.study, err = f.Studies.Study(ctx, t.ID, in.ID); err != nil {
		return q, err
	}
	points, err := f.Studies.Points(ctx, t.ID, in.ID)
	if err != nil {
		return q, err
	}
	for name, number := range map[string]int{"point": in.Point, "against": in.Against} {
		if number >= len(points) {
			return q, problem.New(problem.Invalid, "The study has no point %d. Its points are numbered from 0 to %d.", number, len(points)-1).
				WithItems(problem.Item{Location: "query." + name, Message: "is no point of the study", Value: number})
		}
	}
	if in.Against == in.Point {
		return q, problem.New(problem.Invalid, "A point cannot be compared with itself. Name another one as against.").
			WithItems(problem.Item{Location: "query.against", Message: "is the point itself", Value: in.Against})
	}
	runs, notes, err := f.edgeRuns(ctx, q.study, points[in.Point])
	if err != nil {
		return q, err
	}
	q.notes = notes
	against := map[int]*edgeRun{}
	if q.compared {
		if against, notes, err = f.edgeRuns(ctx, q.study, points[in.Against]); err != nil {
			return q, err
		}
		q.notes = append(q.notes, notes...)
	}
	seeds := slices.AppendSeq(slices.Collect(maps.Keys(runs)), maps.Keys(against))
	slices.Sort(seeds)
	for _, r := range slices.Compact(seeds) {
		q.pairs = append(q.pairs, edgePair{runs[r], against[r]})
	}
	return q, nil
}

// runsPerPage is how many jobs are read at a time.
const runsPerPage = 200

// edgeRuns are the runs of a point that have edge columns, by replication, and notes on those that do not. It is an error if none has.
func (f *Function) edgeRuns(ctx context.Context, s study.Study, p study.Point) (map[int]*edgeRun, []string, error) {
	runs := map[int]*edgeRun{}
	pruned, unread, without := 0, 0, 0
	filter := job.Filter{Study: s.ID, Point: &p.Number, State: job.Succeeded}
	for after, more := "", true; more; {
		page, err := f.Jobs.ListJobs(ctx, s.TenantID, filter, after, runsPerPage)
		if err != nil {
			return nil, nil, err
		}
		for _, j := range page {
			after = j.Place()
			columns, counts := job.FileNamed(j.Results, simulation.EdgeColumnsFile)
			_, written := j.Result(simulation.OutputEdgeData)
			switch {
			case j.ResultsPruned:
				pruned++
			case counts:
				runs[j.Study.Replication] = &edgeRun{j, columns}
			case written:
				unread++
			default:
				without++
			}
		}
		more = len(page) == runsPerPage
	}
	label := study.Label(p.Variant, p.Setting)
	if len(runs) == 0 {
		return nil, nil, noEdges(s, label, pruned, unread, without)
	}
	var notes []string
	for _, left := range []struct {
		n   int
		why string
	}{
		{pruned, "results removed because of their age"}, {unread, "edgedata output not in a form that counts, see the warnings"},
		{without, "no edgedata output"}, {p.Counts.Failed + p.Counts.Cancelled, "ended without a result, which is more likely in congestion"},
	} {
		if left.n > 0 {
			notes = append(notes, fmt.Sprintf("%d of the runs of %s left out: %s.", left.n, label, left.why))
		}
	}
	return runs, notes, nil
}

// noEdges says why no run of a point counts.
func noEdges(s study.Study, label string, pruned, unread, without int) error {
	switch {
	case pruned > 0:
		return errEdgesGone()
	case unread > 0:
		return problem.New(problem.Conflict, "The runs of %s have an edgedata output, but not in the form that statistics need: an earlier "+
			"release made them, or their warnings say why. Start the study again.", label)
	case without > 0:
		return problem.New(problem.NotFound, `The runs of %s have no edgedata output. Start the study with "outputs": ["edgedata"] in run.`,
			label)
	case s.State.Terminal():
		return problem.New(problem.NotFound, "No run of %s has succeeded. Look at the messages of its runs: fix what they name, and start "+
			"another study; where they name nothing, POST /studies/%s/retry runs them again.", label, s.ID)
	}
	return problem.New(problem.Conflict, "No run of %s has succeeded yet. Edges will be available once one has.", label)
}

func errEdgesGone() error {
	return problem.New(problem.Gone, "The results of the runs were removed because of their age, and the edges with them. Run the study "+
		"again to get them back.")
}

// answerEdges reads the runs one after the other, and keeps sums only.
func (f *Function) answerEdges(ctx context.Context, q edgeQuestion) (rest.StudyEdges, error) {
	attributes, err := f.edgeAttributes(ctx, q)
	if err != nil {
		return rest.StudyEdges{}, err
	}
	attribute := q.in.Attribute
	switch {
	case attribute == "" && slices.Contains(attributes, "speed"):
		attribute = "speed"
	case attribute == "" && len(attributes) > 0:
		attribute = attributes[0]
	case !slices.Contains(attributes, attribute):
		return rest.StudyEdges{}, problem.New(problem.Invalid, "The edgedata output has no attribute %.80q. It has %s.", attribute,
			cmp.Or(strings.Join(attributes, ", "), "none, as no vehicle was on any edge")).
			WithItems(problem.Item{Location: "query.attribute", Message: "is none of the edgedata output", Value: attribute})
	}
	sums := study.NewEdgeSums(outputs.OnEmptyEdge(attribute))
	for read := range f.edgeValues(ctx, q.pairs, attribute) {
		err := read.err
		if err == nil {
			err = sums.Add(read.point, read.against)
		}
		if err != nil {
			return rest.StudyEdges{}, err
		}
	}
	intervals := sums.Intervals()
	if q.in.Interval >= len(intervals) {
		return rest.StudyEdges{}, problem.New(problem.Invalid, "The runs have no interval %d: there are %d, numbered from 0.",
			q.in.Interval, len(intervals)).
			WithItems(problem.Item{Location: "query.interval", Message: "is no interval of the runs", Value: q.in.Interval})
	}
	n, others := sums.Runs()
	out := rest.StudyEdges{
		StudyID: q.study.ID, Point: q.in.Point, Attribute: attribute, Unit: outputs.EdgeUnit(attribute), Attributes: attributes,
		Interval: q.in.Interval, Intervals: make([]rest.EdgeInterval, len(intervals)), N: n, Edges: []rest.StudyEdge{},
		Notes: append([]string{}, q.notes...),
	}
	if q.compared {
		out.Against, out.AgainstN = &q.in.Against, &others
	}
	for i, v := range intervals {
		out.Intervals[i] = rest.EdgeInterval(v)
	}
	for _, e := range sums.Estimates(q.in.Interval) {
		out.Edges = append(out.Edges, rest.StudyEdgeOf(e, q.compared))
	}
	return out, nil
}

// edgeAttributes are those of the first run that has any.
func (f *Function) edgeAttributes(ctx context.Context, q edgeQuestion) ([]string, error) {
	attributes := []string{}
	for _, p := range q.pairs {
		columns, body, err := f.edgeColumns(ctx, cmp.Or(p.point, p.against))
		if err != nil {
			return nil, err
		}
		body.Close()
		for _, a := range columns.Attributes {
			attributes = append(attributes, a.Name)
		}
		if len(attributes) > 0 {
			break
		}
	}
	return attributes, nil
}

// readPair are the values of a pair.
type readPair struct {
	point, against *study.EdgeValues
	err            error
}

// edgeValues reads the values of pairs, in their order; the next while one is used.
func (f *Function) edgeValues(ctx context.Context, pairs []edgePair, attribute string) func(yield func(readPair) bool) {
	return func(yield func(readPair) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		read := make(chan readPair)
		go func() {
			defer close(read)
			for _, p := range pairs {
				select {
				case read <- f.readPair(ctx, p, attribute):
				case <-ctx.Done():
					return
				}
			}
		}()
		for r := range read {
			if !yield(r) {
				return
			}
		}
	}
}

func (f *Function) readPair(ctx context.Context, p edgePair, attribute string) (r readPair) {
	defer problem.Contain(&r.err)
	if r.point, r.err = f.edgeValuesOf(ctx, p.point, attribute); r.err == nil {
		r.against, r.err = f.edgeValuesOf(ctx, p.against, attribute)
	}
	return r
}

// edgeColumns opens the columns of a run, after their header.
func (f *Function) edgeColumns(ctx context.Context, r *edgeRun) (*outputs.EdgeColumns, io.ReadCloser, error) {
	body, err := f.open(ctx, r.job, r.file)
	if err != nil {
		return nil, nil, unreadable(r, err)
	}
	columns, err := outputs.ReadEdgeColumns(body)
	if err != nil {
		body.Close()
		return nil, nil, unreadable(r, err)
	}
	return columns, body, nil
}

// unreadable says why the columns of a run could not be read.
func unreadable(r *edgeRun, err error) error {
	switch {
	case problem.CodeOf(err) == problem.NotFound: // removed since the jobs were read
		return errEdgesGone()
	case errors.Is(err, outputs.ErrNoColumns):
		return problem.Wrap(err, problem.Conflict, "%s of job %s cannot be read: a later release made it, or an earlier one stored an output of "+
			"that name. Start the study again.", r.file.Name, r.job.ID)
	}
	return fmt.Errorf("reading %s of job %s: %w", r.file.Name, r.job.ID, err)
}

// passOver is how much of a file is read and dropped in place of another request for what follows, in bytes.
const passOver = 256 << 10

// edgeValuesOf reads one attribute of a run; nil for no run.
func (f *Function) edgeValuesOf(ctx context.Context, r *edgeRun, attribute string) (*study.EdgeValues, error) {
	if r == nil {
		return nil, nil
	}
	columns, body, err := f.edgeColumns(ctx, r)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	v := &study.EdgeValues{Edges: columns.Edges, Values: make([][]float64, len(columns.Intervals))}
	for _, i := range columns.Intervals {
		v.Intervals = append(v.Intervals, study.EdgeInterval{Begin: i.Begin, End: i.End})
	}
	before, length, ok := columns.Column(attribute)
	if !ok { // no edge had it
		return v, nil
	}
	column := body
	if skip := before - columns.HeaderEnd(); skip <= passOver {
		_, err = io.CopyN(io.Discard, body, skip)
	} else {
		body.Close()
		key, offset, _ := r.job.Locate(r.file)
		if column, err = f.Objects.Open(ctx, key, offset+before, length); err == nil {
			defer column.Close()
		}
	}
	if err == nil {
		v.Values, err = columns.Values(io.LimitReader(column, length))
	}
	if err != nil {
		return nil, unreadable(r, err)
	}
	return v, nil
}
