// Package argo runs jobs as Argo Workflows: one workflow per chunk of jobs, in the tenant's namespace, from our template with
// arguments and nothing else.
//
// A workflow is named after its chunk, so that starting a chunk twice makes one workflow. The list of its runs is an object. A
// sidecar of the pod, the keeper, stores each run that has ended, and writes how the runs stand into another object. The cluster
// and these objects are the engine's only memory; what it holds itself is a copy that a watch, and a listing each second, keep up
// to date while somebody observes.
//
// Workflows of the first generation run one job each, whose results Argo stores. They are still followed to their end.
package argo

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
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
	"github.com/sumo-k8/sumo-k8/pkg/chunk"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/kube"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
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
	// skipTime is how long a pod may take to skip or stop the runs that are left when all of them are cancelled. It reads that within
	// chunk.CancelEvery, and ends by itself; the workflow of one that does not is stopped.
	skipTime = 15 * time.Second
	// cancelAgain is how long the engine goes by what it remembers of cancelled runs. Another process may have written their object since.
	cancelAgain = 30 * time.Second
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
	states    *states
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
	ours := fmt.Sprintf("%s in (%s,%s)", installationLabel, cfg.Installation, cfg.Installation+studiesSuffix)
	runs := newRuns(workflows.Workflows(metav1.NamespaceAll), ours, now, log)
	states := &states{objects: objects, now: now, log: log, later: runs.notify}
	return &Engine{
		cfg: cfg, cluster: cluster, workflows: workflows, objects: objects, now: now, log: log, runs: runs, states: states,
	}, nil
}

// Close ends the watch.
func (e *Engine) Close() { e.runs.close() }

// Changed implements job.Engine.
func (e *Engine) Changed() <-chan struct{} { return e.runs.changed }

// Start implements job.Engine.
func (e *Engine) Start(ctx context.Context, c job.Chunk) error {
	w := e.cfg.workflowOf(c)
	ctx, cancel := context.WithTimeout(ctx, kube.CallTimeout)
	defer cancel()
	workflows, name := e.workflows.Workflows(w.Namespace), w.Name
	there, err := workflows.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		if err := e.putObjects(ctx, w.Namespace, c); err != nil {
			return err
		}
		there, err = workflows.Create(ctx, w, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			there, err = workflows.Get(ctx, name, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				return nil // it was removed just now: the next reconciliation finds it missing
			}
		}
	}
	if err != nil {
		return kube.Failed(err, "start the workflow of chunk "+c.ID)
	}
	if there.DeletionTimestamp != nil {
		// Argo would take a pod that is left of it for one of another workflow of that name.
		return problem.New(problem.Unavailable, "The earlier workflow of chunk %s is being removed; try again shortly.", c.ID)
	}
	// The next observation must see it, though the watch may not have reported it yet.
	e.runs.put(there)
	return nil
}

// putObjects stores the list of the chunk's runs. It also makes the objects that the keeper reads, unless they are there: the key
// of runs need not list the bucket, and without that right what is missing looks like what is forbidden.
func (e *Engine) putObjects(ctx context.Context, namespace string, c job.Chunk) error {
	list, err := json.Marshal(chunk.ListOf(c))
	if err != nil {
		return fmt.Errorf("writing the list of chunk %s: %w", c.ID, err)
	}
	var work errgroup.Group
	work.Go(func() error { return e.put(ctx, artifact.ChunkList(namespace, c.ID), list) })
	for key, encode := range map[string]func() ([]byte, error){
		artifact.ChunkState(namespace, c.ID):     chunk.State{ID: c.ID}.Encode,
		artifact.ChunkCancelled(namespace, c.ID): func() ([]byte, error) { return json.Marshal(chunk.Cancelled{}) },
	} {
		work.Go(func() error {
			_, err := e.objects.Stat(ctx, key)
			if problem.CodeOf(err) != problem.NotFound {
				return err
			}
			text, err := encode()
			if err != nil {
				return fmt.Errorf("writing %s: %w", key, err)
			}
			return e.put(ctx, key, text)
		})
	}
	return work.Wait()
}

func (e *Engine) put(ctx context.Context, key string, text []byte) error {
	_, err := e.objects.Put(ctx, key, bytes.NewReader(text), artifact.ContentType(key))
	return err
}

// Stop implements job.Engine. A workflow is stopped as a whole: Argo signals sumo-run, which closes SUMO's outputs, and the keeper
// stores what there is. Single runs of a chunk are named in an object that the keeper reads.
func (e *Engine) Stop(ctx context.Context, id string, jobs ...string) error {
	ctx, cancel := context.WithTimeout(ctx, kube.CallTimeout)
	defer cancel()
	w, err := e.find(ctx, id)
	if err != nil || w == nil || w.Status.Phase.Completed() || w.Spec.Shutdown.Enabled() {
		return err
	}
	if !single(w) && len(jobs) > 0 {
		if unwanted, err := e.cancel(ctx, w, jobs); err != nil || !unwanted {
			return err
		}
	}
	return kube.Failed(e.patch(ctx, w, fmt.Sprintf(`{"spec":{"shutdown":%q}}`, wfv1.ShutdownStrategyStop)), "stop the workflow of chunk "+id)
}

// cancelled is what the engine remembers of a chunk with cancelled runs, so that asking again takes no request.
type cancelled struct {
	runs  []string  // of the chunk
	named []string  // in the object
	at    time.Time // when the object was read
	since time.Time // when the last of its names was added
}

// cancel names runs that are to be stopped or not begun, and reports whether nothing else is left of the chunk and its pod cannot
// see to that by itself. Two that write at the same time may lose a name; reconcile asks again.
func (e *Engine) cancel(ctx context.Context, w *wfv1.Workflow, jobs []string) (unwanted bool, err error) {
	known := e.runs.cancelled(w)
	isNews := func(id string) bool { return !slices.Contains(known.named, id) }
	if e.now().Sub(known.at) > cancelAgain || slices.ContainsFunc(jobs, isNews) {
		if known, err = e.name(ctx, w, known, jobs); err != nil {
			return false, err
		}
		e.runs.keepCancelled(w, known)
	}
	state := e.states.get(stateKey(w))
	wanted := func(id string) bool { return !state.Runs[id].Ended() && !slices.Contains(known.named, id) }
	if slices.ContainsFunc(known.runs, wanted) {
		return false, nil
	}
	return observe(w, e.now()).State == job.Pending || e.now().Sub(known.since) > skipTime, nil
}

// name adds jobs to the object that names cancelled runs of a chunk, unless they are there.
func (e *Engine) name(ctx context.Context, w *wfv1.Workflow, known cancelled, jobs []string) (cancelled, error) {
	key := artifact.ChunkCancelled(w.Namespace, chunkOf(w))
	var there chunk.Cancelled
	if err := e.readJSON(ctx, key, &there); err != nil && problem.CodeOf(err) != problem.NotFound {
		return cancelled{}, err
	}
	now := e.now()
	next := cancelled{runs: known.runs, named: there.Runs, at: now, since: cmp.Or(known.since, now)}
	for _, id := range jobs {
		if !slices.Contains(next.named, id) {
			next.named = append(next.named, id)
		}
	}
	if len(next.named) > len(there.Runs) {
		text, err := json.Marshal(chunk.Cancelled{Runs: next.named})
		if err != nil {
			return cancelled{}, fmt.Errorf("writing %s: %w", key, err)
		}
		if err := e.put(ctx, key, text); err != nil {
			return cancelled{}, err
		}
		next.since = now
	}
	if next.runs == nil {
		var list chunk.List
		if err := e.readJSON(ctx, artifact.ChunkList(w.Namespace, chunkOf(w)), &list); err != nil {
			return cancelled{}, err
		}
		for _, r := range list.Runs {
			next.runs = append(next.runs, r.ID)
		}
	}
	return next, nil
}

// maxList bounds the list of a chunk's runs, in bytes: the options of one run are a few KiB at most.
const maxList = 16 << 20

func (e *Engine) readJSON(ctx context.Context, key string, into any) error {
	text, err := e.read(ctx, key, maxList)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	return nil
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

// find returns the workflow of a chunk; nil when there is none.
func (e *Engine) find(ctx context.Context, id string) (*wfv1.Workflow, error) {
	if w := e.runs.get(id); w != nil {
		return w, nil
	}
	var found *wfv1.Workflow
	for _, label := range []string{chunkLabel, jobLabel} {
		_, err := e.runs.list(ctx, e.runs.selector+","+label+"="+id, func(w *wfv1.Workflow) { found = w })
		if err != nil || found != nil {
			return found, kube.Failed(err, "find the workflow of chunk "+id)
		}
	}
	return nil, nil
}

// Observe implements job.Engine.
func (e *Engine) Observe(ctx context.Context) ([]job.Sight, error) {
	all, err := e.runs.observe(ctx)
	if err != nil {
		return nil, kube.Failed(err, "list workflows")
	}
	now := e.now()
	keepers := map[string]bool{}
	for _, r := range all {
		if kept(r.workflow) {
			keepers[stateKey(r.workflow)] = true
		}
	}
	var states reading
	if len(keepers) > 0 {
		states = e.states.read(ctx, func(key string) bool { return keepers[key] })
	}
	sights := make([]job.Sight, len(all))
	var listings atomic.Int32
	touches := 0
	var work errgroup.Group
	work.SetLimit(parallelism)
	for i, r := range all {
		w := r.workflow
		if touches < maxTouches && missed(w, now) {
			touches++
			work.Go(func() error { e.touch(ctx, w, now); return nil })
		}
		o := observe(w, now)
		switch {
		case tooEarly(w, now):
			sights[i] = job.Sight{ChunkID: chunkOf(w), Others: job.Observation{State: job.Pending}}
			work.Go(func() error { e.remake(ctx, w); return nil })
			continue
		case o.State != job.Pending && o.StartedAt == nil && !r.started.IsZero():
			o.StartedAt = &r.started
		}
		state, at, err := states.of(stateKey(w))
		settled := !kept(w) || at.After(r.ended) || errors.Is(err, errNoState) && now.Sub(r.ended) > patience // no keeper will write it anew
		if !o.State.Terminal() || !settled {
			sights[i] = sight(w, o, state, false)
			continue
		}
		work.Go(func() error {
			sights[i] = e.last(ctx, r, o, state, func() bool { return listings.Add(1) <= maxListings })
			return nil
		})
	}
	_ = work.Wait() // each leaves its own sight
	e.pin(ctx, all, sights)
	return sights, ctx.Err()
}

// last is the sight of a chunk whose workflow has ended, or is given up, and whose state was read since. The results of a job that
// the keeper has not reported are looked up if that is still permitted.
func (e *Engine) last(ctx context.Context, r run, o job.Observation, state chunk.State, permitted func() bool) job.Sight {
	w := r.workflow
	if kept(w) && w.Spec.Shutdown.Enabled() && !r.closed { // its pods may still be closing
		if busy, err := e.busy(ctx, w); err == nil && !busy {
			e.runs.keepClosed(w)
		}
		return sight(w, o, state, false)
	}
	s := sight(w, o, state, true)
	if !single(w) || kept(w) && final(w, state.Runs[chunkOf(w)]) {
		return s
	}
	if r.results != nil || permitted() {
		o = e.withResults(ctx, r, o)
	} else {
		o = storing(o)
	}
	s.Runs, s.Ended = []job.Observation{o}, o.State.Terminal()
	return s
}

func stateKey(w *wfv1.Workflow) string { return artifact.ChunkState(w.Namespace, chunkOf(w)) }

// touch changes a workflow that Argo has missed. Argo's controller writes what it has worked on into its own cache as well; when
// the workflow was deleted meanwhile and another one made under its name, the old copy takes the new one's place there
// ("Rejecting stale copy of a completed workflow", 3.7.16). The next change puts that right.
func (e *Engine) touch(ctx context.Context, w *wfv1.Workflow, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, kube.CallTimeout)
	defer cancel()
	err := e.patch(ctx, w, fmt.Sprintf(`{"metadata":{"uid":%q,"annotations":{%q:%q}}}`,
		w.UID, touchedAnnotation, now.UTC().Format(time.RFC3339)))
	if err != nil && !apierrors.IsConflict(err) { // another has its name by now
		e.log.Warn().Err(err).Str("chunk", chunkOf(w)).Msg("a workflow that Argo has missed could not be touched")
	}
}

// remake makes a workflow anew that has ended before it began, once its namespace has the templates: those of versions that came with
// an upgrade may still be missing there. If that breaks off, the job counts as lost and is started again.
func (e *Engine) remake(ctx context.Context, ended *wfv1.Workflow) {
	if e.cfg.Provide != nil {
		_, err, _ := e.providing.Do(ended.Namespace, func() (any, error) { return nil, e.cfg.Provide(ctx, ended.Namespace) })
		if err != nil {
			e.log.Warn().Err(err).Str("chunk", chunkOf(ended)).Str("namespace", ended.Namespace).Msg("the templates were not brought up to date")
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
				Labels: only(w.Labels, jobLabel, chunkLabel, kube.TenantLabel, installationLabel),
			},
			Spec: w.Spec,
		}, metav1.CreateOptions{})
	}
	if err != nil {
		e.log.Warn().Err(err).Str("chunk", chunkOf(ended)).Msg("a workflow whose template Argo did not know yet could not be made again")
		return
	}
	e.runs.put(w)
}

// withResults adds the results to the observation of a single job that has ended.
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
	if stopped && !kept(w) {
		if busy, err := e.busy(ctx, w); err != nil || busy {
			return nil, w, err
		}
	}
	prefix := artifact.ResultsOf(w.Namespace, chunkOf(w))
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
	err = kube.EachPodOf(ctx, e.cluster, w.Namespace, chunkOf(w), func(p *corev1.Pod) {
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

// forget removes the workflow last, since the objects are found by it. The workflow's name is free when its pods are gone: Argo
// names pods after it.
func (e *Engine) forget(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, kube.CallTimeout)
	defer cancel()
	w, err := e.find(ctx, id)
	if err != nil || w == nil {
		return err
	}
	if kept(w) {
		ns := w.Namespace
		err := e.objects.Delete(ctx, artifact.ChunkState(ns, id), artifact.ChunkList(ns, id), artifact.ChunkCancelled(ns, id))
		if err != nil {
			return err
		}
	}
	withPods := metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationForeground)}
	err = e.workflows.Workflows(w.Namespace).Delete(ctx, w.Name, withPods)
	if err != nil && !apierrors.IsNotFound(err) {
		return kube.Failed(err, "delete the workflow of chunk "+id)
	}
	e.runs.remove(w)
	return nil
}
