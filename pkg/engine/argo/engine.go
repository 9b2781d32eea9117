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
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	typed "github.com/argoproj/argo-workflows/v3/pkg/client/clientset/versioned/typed/workflow/v1alpha1"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/kube"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// Config is how workflows are made.
type Config struct {
	// Installation distinguishes the installations in one cluster; a label's value. Empty means sumo-k8.
	Installation string
	// PriorityClasses name the cluster's classes of pods; a priority without one gets the cluster's default.
	PriorityClasses map[job.Priority]string
	// Provide brings a tenant's namespace, with the templates in it, into the state that it must have. It may be nil.
	Provide func(ctx context.Context, namespace string) error
}

const (
	// parallelism bounds the calls that one operation on many runs makes at once. Eight hide the latency of an API server or
	// an object store without being a load for either.
	parallelism = 8
	// maxListings bounds the runs whose results one observation looks up; the rest have their turn with the next.
	maxListings = 500
	// missedAfter is how long Argo may leave a workflow without a phase. It takes a second; while its controller is down this is
	// a change of the workflow now and then, and maxTouches keeps those few.
	missedAfter = 15 * time.Second
	maxTouches  = 10
)

// Engine is a job.Engine.
type Engine struct {
	cfg       Config
	cluster   *kube.Client
	workflows typed.WorkflowsGetter
	objects   artifact.Store
	now       func() time.Time
	log       zerolog.Logger
	runs      *runs
	providing singleflight.Group // by namespace
}

var _ job.Engine = (*Engine)(nil)

// New makes an engine. It makes no connection before it is used.
func New(cfg Config, cluster *kube.Client, objects artifact.Store, now func() time.Time, log zerolog.Logger) (*Engine, error) {
	workflows, err := typed.NewForConfig(cluster.Config)
	if err != nil {
		return nil, fmt.Errorf("preparing the client of Argo: %w", err)
	}
	cfg.Installation = cmp.Or(cfg.Installation, defaultInstallation)
	runs := newRuns(workflows.Workflows(metav1.NamespaceAll), installationLabel+"="+cfg.Installation, now, log)
	return &Engine{cfg: cfg, cluster: cluster, workflows: workflows, objects: objects, now: now, log: log, runs: runs}, nil
}

// Close ends the watch.
func (e *Engine) Close() { e.runs.close() }

// Changed implements job.Engine.
func (e *Engine) Changed() <-chan struct{} { return e.runs.changed }

// Start implements job.Engine.
func (e *Engine) Start(ctx context.Context, c job.Chunk) error {
	for _, j := range c.Jobs {
		if err := e.start(ctx, j); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) start(ctx context.Context, j job.Job) error {
	w, err := e.cfg.workflowOf(j)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, kube.CallTimeout)
	defer cancel()
	workflows, name := e.workflows.Workflows(w.Namespace), w.Name
	w, err = workflows.Create(ctx, w, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		w, err = workflows.Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil // it was removed just now: the next reconciliation finds it missing
		}
	}
	if err != nil {
		return kube.Failed(err, "start the workflow of job "+j.ID)
	}
	// The next observation must see it, though the watch may not have reported it yet.
	e.runs.put(w)
	return nil
}

// Stop implements job.Engine. Argo signals sumo-run, which closes SUMO's outputs, and its executor stores what there is.
func (e *Engine) Stop(ctx context.Context, id string, _ ...string) error {
	ctx, cancel := context.WithTimeout(ctx, kube.CallTimeout)
	defer cancel()
	w, err := e.find(ctx, id)
	if err != nil || w == nil || w.Status.Phase.Completed() || w.Spec.Shutdown.Enabled() {
		return err
	}
	return kube.Failed(e.patch(ctx, w, fmt.Sprintf(`{"spec":{"shutdown":%q}}`, wfv1.ShutdownStrategyStop)), "stop the workflow of job "+id)
}

// patch changes a workflow, and what is known of it here. One that no longer exists is no error.
func (e *Engine) patch(ctx context.Context, w *wfv1.Workflow, change string) error {
	changed, err := e.workflows.Workflows(w.Namespace).Patch(ctx, w.Name, types.MergePatchType, []byte(change), metav1.PatchOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err == nil {
		e.runs.put(changed)
	}
	return err
}

// find returns the workflow of a job; nil when there is none.
func (e *Engine) find(ctx context.Context, id string) (*wfv1.Workflow, error) {
	if w := e.runs.get(id); w != nil {
		return w, nil
	}
	var found *wfv1.Workflow
	_, err := e.runs.list(ctx, e.runs.selector+","+jobLabel+"="+id, func(w *wfv1.Workflow) { found = w })
	return found, kube.Failed(err, "find the workflow of job "+id)
}

// Observe implements job.Engine.
func (e *Engine) Observe(ctx context.Context) ([]job.Sight, error) {
	all, err := e.runs.observe(ctx)
	if err != nil {
		return nil, kube.Failed(err, "list workflows")
	}
	now := e.now()
	seen := make([]job.Observation, len(all))
	listings, touches := 0, 0
	var work errgroup.Group
	work.SetLimit(parallelism)
	for i, r := range all {
		if touches < maxTouches && missed(r.workflow, now) {
			touches++
			work.Go(func() error { e.touch(ctx, r.workflow, now); return nil })
		}
		if tooEarly(r.workflow, now) {
			seen[i] = job.Observation{JobID: jobOf(r.workflow), State: job.Pending}
			work.Go(func() error { e.remake(ctx, r.workflow); return nil })
			continue
		}
		o := observe(r.workflow, now)
		if o.State != job.Pending && o.StartedAt == nil && !r.started.IsZero() {
			o.StartedAt = &r.started
		}
		seen[i] = o
		if !o.State.Terminal() {
			continue
		}
		if r.results == nil {
			if listings++; listings > maxListings {
				seen[i] = storing(o)
				continue
			}
		}
		work.Go(func() error {
			seen[i] = e.withResults(ctx, r, o)
			return nil
		})
	}
	_ = work.Wait() // each leaves its own observation
	sights := make([]job.Sight, len(seen))
	for i, o := range seen {
		sights[i] = job.Sight{ChunkID: o.JobID, Runs: []job.Observation{o}, Ended: o.State.Terminal()}
	}
	return sights, ctx.Err()
}

// touch changes a workflow that Argo has missed. Argo's controller writes what it has worked on into its own cache as well; when
// the workflow was deleted meanwhile and another one made under its name, the old copy takes the new one's place there
// ("Rejecting stale copy of a completed workflow", 3.7.16). The next change puts that right.
func (e *Engine) touch(ctx context.Context, w *wfv1.Workflow, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, kube.CallTimeout)
	defer cancel()
	err := e.patch(ctx, w, fmt.Sprintf(`{"metadata":{"uid":%q,"annotations":{%q:%q}}}`,
		w.UID, touchedAnnotation, now.UTC().Format(time.RFC3339)))
	if err != nil && !apierrors.IsConflict(err) { // another has its name by now
		e.log.Warn().Err(err).Str("job", jobOf(w)).Msg("a workflow that Argo has missed could not be touched")
	}
}

// remake makes a workflow anew that has ended before it began, once its namespace has the templates: those of versions that came with
// an upgrade may still be missing there. If that breaks off, the job counts as lost and is started again.
func (e *Engine) remake(ctx context.Context, ended *wfv1.Workflow) {
	if e.cfg.Provide != nil {
		_, err, _ := e.providing.Do(ended.Namespace, func() (any, error) { return nil, e.cfg.Provide(ctx, ended.Namespace) })
		if err != nil {
			e.log.Warn().Err(err).Str("job", jobOf(ended)).Str("namespace", ended.Namespace).Msg("the templates were not brought up to date")
		}
	}
	ctx, cancel := context.WithTimeout(ctx, kube.CallTimeout)
	defer cancel()
	workflows := e.workflows.Workflows(ended.Namespace)
	w, err := workflows.Get(ctx, ended.Name, metav1.GetOptions{})
	if err == nil {
		err = workflows.Delete(ctx, ended.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &ended.UID}})
	}
	if err == nil {
		annotations := map[string]string{remadeAnnotation: e.now().UTC().Format(time.RFC3339)}
		maps.Copy(annotations, only(w.Annotations, titleAnnotation, descriptionAnnotation, traceAnnotation, remadeAnnotation))
		w, err = workflows.Create(ctx, &wfv1.Workflow{
			ObjectMeta: metav1.ObjectMeta{
				Name: w.Name, Namespace: w.Namespace, Annotations: annotations,
				Labels: only(w.Labels, jobLabel, kube.TenantLabel, installationLabel),
			},
			Spec: w.Spec,
		}, metav1.CreateOptions{})
	}
	if err != nil {
		e.log.Warn().Err(err).Str("job", jobOf(ended)).Msg("a workflow whose template Argo did not know yet could not be made again")
		return
	}
	e.runs.put(w)
}

// withResults adds the results to the observation of a run that has ended.
func (e *Engine) withResults(ctx context.Context, r run, o job.Observation) job.Observation {
	if r.results != nil {
		o.Stored(*r.results)
		return o
	}
	results, w, err := e.collect(ctx, r.workflow)
	if err != nil {
		e.log.Warn().Err(err).Str("job", o.JobID).Msg("results not known; retrying")
	}
	if err != nil || results == nil {
		return storing(o)
	}
	e.runs.keepResults(w, results)
	if w != r.workflow {
		o = observe(w, e.now())
	}
	o.Stored(results)
	return o
}

// collect lists what a run that has ended left; nil while more of it may come.
//
// Argo ends a workflow that was stopped at once, while its pod still closes and uploads what there is, and does
// not note the outcome. So we wait for the pods of such a workflow and read the outcome ourselves.
func (e *Engine) collect(ctx context.Context, w *wfv1.Workflow) ([]job.ResultFile, *wfv1.Workflow, error) {
	stopped := w.Spec.Shutdown.Enabled()
	if stopped {
		if busy, err := e.busy(ctx, w); err != nil || busy {
			return nil, w, err
		}
	}
	prefix := artifact.ResultsOf(w.Namespace, jobOf(w))
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
	if stopped && slices.ContainsFunc(results, func(r job.ResultFile) bool { return r.Name == simulation.OutcomeFile }) {
		text, err := e.read(ctx, prefix+simulation.OutcomeFile, simulation.MaxOutcome)
		if err != nil {
			return nil, w, err
		}
		w = withOutcome(w, string(text))
	}
	return results, w, nil
}

// busy reports whether the workflow has pods that have not ended.
func (e *Engine) busy(ctx context.Context, w *wfv1.Workflow) (busy bool, err error) {
	err = kube.EachPodOf(ctx, e.cluster, w.Namespace, jobOf(w), func(p *corev1.Pod) {
		busy = busy || p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed
	})
	return busy, err
}

// maxChecksums is enough for the thousand files that a scenario may add, with long names.
const maxChecksums = 4 << 20

// addChecksums adds the checksums that sumo-run has noted of its files. The file that holds them is summed here.
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

// read returns an object, no more than limit bytes of it.
func (e *Engine) read(ctx context.Context, key string, limit int64) ([]byte, error) {
	body, err := e.objects.Open(ctx, key, 0, limit)
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

// storing is what is reported of a run that has ended while its results are not known.
func storing(o job.Observation) job.Observation {
	return job.Observation{
		JobID: o.JobID, State: job.Running, Progress: o.Progress, StartedAt: o.StartedAt,
		Message: "The run has ended. Its results are being stored.",
	}
}

// Forget implements job.Engine.
func (e *Engine) Forget(ctx context.Context, ids []string) error {
	var work errgroup.Group
	work.SetLimit(parallelism)
	for _, id := range ids {
		work.Go(func() error { return e.forget(ctx, id) })
	}
	return work.Wait()
}

func (e *Engine) forget(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, kube.CallTimeout)
	defer cancel()
	w, err := e.find(ctx, id)
	if err != nil || w == nil {
		return err
	}
	withPods := metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)}
	err = e.workflows.Workflows(w.Namespace).Delete(ctx, w.Name, withPods)
	if err != nil && !apierrors.IsNotFound(err) {
		return kube.Failed(err, "delete the workflow of job "+id)
	}
	e.runs.remove(w)
	return nil
}
