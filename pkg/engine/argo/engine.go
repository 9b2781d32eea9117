// Package argo runs jobs as Argo Workflows: one workflow per job, in the tenant's namespace, from our template with
// arguments and nothing else.
//
// A workflow is named after its job, so that starting a job twice makes one workflow. The cluster is the engine's only
// memory; what it holds itself is a copy that a watch keeps up to date while somebody observes.
package argo

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// Config is how workflows are made.
type Config struct {
	// Installation tells the installations in one cluster apart; a label's value. Empty means sumo-k8.
	Installation string
	// SumoVersion is that of jobs that name none. There must be a template for it.
	SumoVersion string
	// PriorityClasses name the cluster's classes of pods; a priority without one gets the cluster's default.
	PriorityClasses map[job.Priority]string
}

const (
	// callTimeout bounds a call that is no stream. The API server itself ends calls after a minute.
	callTimeout = 30 * time.Second
	// retryAfter is how long an API server usually needs to come back from a restart.
	retryAfter = 5 * time.Second
	// atATime bounds the calls that one operation on many runs makes at once. Eight hide the latency of an API server or
	// an object store without being a load for either.
	atATime = 8
	// maxListings bounds the runs whose results one observation looks up; those beyond have their turn with the next.
	maxListings = 500
	// overlookedAfter is how long Argo may leave a workflow without a phase. It takes a second; with its controller away this is a
	// change of the workflow now and then, and maxTouches keeps those few.
	overlookedAfter = 15 * time.Second
	maxTouches      = 10
)

// Engine is a job.Engine.
type Engine struct {
	cfg     Config
	client  rest.Interface
	objects artifact.Store
	now     func() time.Time
	log     zerolog.Logger
	runs    *runs
}

var _ job.Engine = (*Engine)(nil)

// New makes an engine. It makes no connection before it is used.
func New(cfg Config, client rest.Interface, objects artifact.Store, now func() time.Time, log zerolog.Logger) *Engine {
	cfg.Installation = cmp.Or(cfg.Installation, defaultInstallation)
	runs := newRuns(client, installationLabel+"="+cfg.Installation, now, log)
	return &Engine{cfg: cfg, client: client, objects: objects, now: now, log: log, runs: runs}
}

// Close ends the watch.
func (e *Engine) Close() { e.runs.close() }

// Changed implements job.Engine.
func (e *Engine) Changed() <-chan struct{} { return e.runs.changed }

// Start implements job.Engine.
func (e *Engine) Start(ctx context.Context, j job.Job) error {
	body, err := e.cfg.workflowOf(j)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := e.client.Post().AbsPath(path(j.Namespace)).Body(body).Do(ctx).Raw()
	if apierrors.IsAlreadyExists(err) {
		answer, err = e.client.Get().AbsPath(path(j.Namespace), namePrefix+j.ID).Do(ctx).Raw()
		if apierrors.IsNotFound(err) {
			return nil // it was removed just now: whoever reconciles will see that it is gone
		}
	}
	if err != nil {
		return failed(err, "start the workflow of job "+j.ID)
	}
	var w workflow
	if err := json.Unmarshal(answer, &w); err != nil {
		return fmt.Errorf("decode the workflow of job %s: %w", j.ID, err)
	}
	// Whoever observes next must see it, though the watch may not have told of it yet.
	e.runs.put(w)
	return nil
}

// Stop implements job.Engine. Argo signals sumo-run, which closes SUMO's outputs, and its executor stores what there is.
func (e *Engine) Stop(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	w, err := e.find(ctx, id)
	if err != nil || w == nil || w.over() || w.Spec.Shutdown != "" {
		return err
	}
	return failed(e.patch(ctx, w, `{"spec":{"shutdown":"Stop"}}`), "stop the workflow of job "+id)
}

// patch changes a workflow, and what is known of it here. One that is gone is no error.
func (e *Engine) patch(ctx context.Context, w *workflow, change string) error {
	answer, err := e.client.Patch(types.MergePatchType).AbsPath(path(w.Metadata.Namespace), w.Metadata.Name).Body([]byte(change)).Do(ctx).Raw()
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	var changed workflow
	if err := json.Unmarshal(answer, &changed); err != nil {
		return fmt.Errorf("decode the workflow of job %s: %w", w.jobID(), err)
	}
	e.runs.put(changed)
	return nil
}

// find returns the workflow of a job; nil when there is none.
func (e *Engine) find(ctx context.Context, id string) (*workflow, error) {
	if w := e.runs.get(id); w != nil {
		return w, nil
	}
	var found []workflow
	_, err := list(ctx, e.client, e.runs.selector+","+jobLabel+"="+id, func(w workflow) { found = append(found, w) })
	if err != nil || len(found) == 0 {
		return nil, failed(err, "find the workflow of job "+id)
	}
	return &found[0], nil
}

// Observe implements job.Engine.
func (e *Engine) Observe(ctx context.Context) ([]job.Observation, error) {
	all, err := e.runs.observe(ctx)
	if err != nil {
		return nil, failed(err, "list workflows")
	}
	now := e.now()
	seen := make([]job.Observation, len(all))
	listings, touches := 0, 0
	var work errgroup.Group
	work.SetLimit(atATime)
	for i, r := range all {
		if touches < maxTouches && r.workflow.overlooked(now) {
			touches++
			work.Go(func() error { e.touch(ctx, r.workflow, now); return nil })
		}
		o := r.workflow.observe(now)
		if o.State != job.Pending && o.StartedAt == nil && !r.started.IsZero() {
			o.StartedAt = &r.started
		}
		seen[i] = o
		if !o.State.Terminal() {
			continue
		}
		if r.results == nil {
			if listings++; listings > maxListings {
				seen[i] = unfinished(o)
				continue
			}
		}
		work.Go(func() error {
			seen[i] = e.withResults(ctx, r, o)
			return nil
		})
	}
	_ = work.Wait() // each leaves its own observation
	return seen, ctx.Err()
}

// touch changes a workflow that Argo has overlooked. Argo's controller writes what it has worked on into its own cache as well; when
// the workflow was deleted meanwhile and another one made under its name, the old copy takes the new one's place there
// ("Rejecting stale copy of a completed workflow", 3.7.16). The next change puts that right.
func (e *Engine) touch(ctx context.Context, w *workflow, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := e.patch(ctx, w, fmt.Sprintf(`{"metadata":{"uid":%q,"annotations":{%q:%q}}}`, w.Metadata.UID, touchedAnnotation, now.UTC().Format(time.RFC3339)))
	if err != nil && !apierrors.IsConflict(err) { // another has its name by now
		e.log.Warn().Err(err).Str("job", w.jobID()).Msg("a workflow that Argo has not looked at could not be touched")
	}
}

// withResults adds the names of the results to the observation of a run that is over.
func (e *Engine) withResults(ctx context.Context, r run, o job.Observation) job.Observation {
	if r.results != nil {
		o.Results = *r.results
		return o
	}
	results, w, err := e.collect(ctx, r.workflow)
	if err != nil {
		e.log.Warn().Err(err).Str("job", o.JobID).Msg("results not known; it will be tried again")
	}
	if err != nil || results == nil {
		return unfinished(o)
	}
	e.runs.keepResults(w, results)
	if w != r.workflow {
		o = w.observe(e.now())
	}
	o.Results = results
	return o
}

// collect lists what a run that is over has left; nil while more of it may come.
//
// Argo calls a workflow that was stopped over at once, while its pod still closes and uploads what there is, and does
// not note the outcome. So we wait for the pods of such a workflow and read the outcome ourselves.
func (e *Engine) collect(ctx context.Context, w *workflow) ([]job.ResultFile, *workflow, error) {
	if w.Spec.Shutdown != "" {
		if busy, err := e.busy(ctx, w); err != nil || busy {
			return nil, w, err
		}
	}
	prefix := artifact.ResultsOf(w.Metadata.Namespace, w.jobID())
	results := []job.ResultFile{}
	err := e.objects.List(ctx, prefix, func(object artifact.Object) bool {
		if name := strings.TrimPrefix(object.Key, prefix); name != "" && !strings.HasSuffix(name, "/") {
			results = append(results, job.ResultFile{Name: name, Size: object.Size})
		}
		return true
	})
	if err != nil {
		return nil, w, err
	}
	slices.SortFunc(results, func(a, b job.ResultFile) int { return strings.Compare(a.Name, b.Name) })
	if err := e.addChecksums(ctx, prefix, results); err != nil {
		return nil, w, err
	}
	if w.Spec.Shutdown != "" && slices.ContainsFunc(results, func(r job.ResultFile) bool { return r.Name == simulation.OutcomeFile }) {
		text, err := e.read(ctx, prefix+simulation.OutcomeFile, maxOutcome)
		if err != nil {
			return nil, w, err
		}
		w = w.withOutcome(string(text))
	}
	return results, w, nil
}

// busy reports whether the workflow has pods that have not ended.
func (e *Engine) busy(ctx context.Context, w *workflow) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	body, err := e.client.Get().AbsPath("/api/v1/namespaces", w.Metadata.Namespace, "pods").
		Param("labelSelector", workflowLabel+"="+w.Metadata.Name).Do(ctx).Raw()
	if err != nil {
		return false, failed(err, "list the pods of workflow "+w.Metadata.Name)
	}
	var pods struct {
		Items []struct {
			Status struct {
				Phase string `json:"phase"`
			} `json:"status"`
		} `json:"items"`
	}
	if err := json.Unmarshal(body, &pods); err != nil {
		return false, fmt.Errorf("decode the pods of workflow %s: %w", w.Metadata.Name, err)
	}
	for _, pod := range pods.Items {
		if pod.Status.Phase == phasePending || pod.Status.Phase == phaseRunning || pod.Status.Phase == "Unknown" {
			return true, nil
		}
	}
	return false, nil
}

// maxOutcome is far more than an outcome has: sumo-run bounds the messages in it.
const maxOutcome = 1 << 20

// maxChecksums is enough for the thousand files that a scenario may add, with long names.
const maxChecksums = 4 << 20

// addChecksums adds what sumo-run has noted of its files. The file in which it did is summed here.
func (e *Engine) addChecksums(ctx context.Context, prefix string, results []job.ResultFile) error {
	at := slices.IndexFunc(results, func(r job.ResultFile) bool { return r.Name == simulation.ChecksumFile })
	if at < 0 {
		return nil
	}
	text, err := e.read(ctx, prefix+simulation.ChecksumFile, maxChecksums)
	if err != nil {
		return err
	}
	sums := simulation.ParseChecksums(text)
	for i := range results {
		results[i].SHA256 = sums[results[i].Name]
	}
	own := sha256.Sum256(text)
	results[at].SHA256 = hex.EncodeToString(own[:])
	return nil
}

// read returns an object, no more than max bytes of it.
func (e *Engine) read(ctx context.Context, key string, max int64) ([]byte, error) {
	body, err := e.objects.Open(ctx, key, 0, max)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	return text, nil
}

// unfinished is what may be said of a run that is over while its results are not known.
func unfinished(o job.Observation) job.Observation {
	return job.Observation{
		JobID: o.JobID, State: job.Running, Progress: o.Progress, StartedAt: o.StartedAt,
		Message: "The run has ended. Its results are being stored.",
	}
}

// Forget implements job.Engine.
func (e *Engine) Forget(ctx context.Context, ids []string) error {
	var work errgroup.Group
	work.SetLimit(atATime)
	for _, id := range ids {
		work.Go(func() error { return e.forget(ctx, id) })
	}
	return work.Wait()
}

func (e *Engine) forget(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	w, err := e.find(ctx, id)
	if err != nil || w == nil {
		return err
	}
	// Its pods go with it.
	err = e.client.Delete().AbsPath(path(w.Metadata.Namespace), w.Metadata.Name).
		Body([]byte(`{"apiVersion":"v1","kind":"DeleteOptions","propagationPolicy":"Background"}`)).Do(ctx).Error()
	if err != nil && !apierrors.IsNotFound(err) {
		return failed(err, "delete the workflow of job "+id)
	}
	e.runs.remove(*w)
	return nil
}

// failed turns an error of the API server into ours; nil stays nil. What was tried goes into the text, for the log.
func failed(err error, tried string) error {
	if err == nil || problem.CodeOf(err) != problem.Internal {
		return err
	}
	err = fmt.Errorf("%s: %w", tried, err)
	var network net.Error
	switch {
	case apierrors.IsServerTimeout(err), apierrors.IsTimeout(err), apierrors.IsTooManyRequests(err), apierrors.IsServiceUnavailable(err),
		apierrors.IsInternalError(err), errors.As(err, &network), errors.Is(err, context.DeadlineExceeded):
		return problem.Wrap(err, problem.Unavailable, "The cluster is not available; try again shortly.").WithRetryAfter(retryAfter)
	default:
		return err
	}
}
