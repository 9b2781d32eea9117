package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/idempotency"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

const (
	// pruneEvery spaces out what is cheap to look for, since runs may follow each other closely.
	pruneEvery = time.Minute
	// sweepEvery and sweepStart space out the search for orphaned objects, which lists the bucket: it is made in the
	// first minutes of every hour. The clock decides rather than the time since the last search, because a process that
	// scales to zero does not remember that.
	sweepEvery = time.Hour
	sweepStart = 5 * time.Minute
	// sweepTime bounds one search: at a thousand objects a request, some hundred thousand objects.
	sweepTime = 30 * time.Second
	// orphanAge leaves alone what is still being uploaded, or is about to be referred to.
	orphanAge = 24 * time.Hour
	// pruneBatch bounds the jobs and keys that one pruning removes, and objectBatch the keys of one look-up.
	pruneBatch  = 200
	objectBatch = 1_000
	// pruneStudies bounds the studies whose results one pruning removes: there may be ten thousand runs in each.
	pruneStudies = 5
)

// prune removes what has expired. Each part is bounded; the next call continues where this one stopped.
func (r *Reconciler) prune(ctx context.Context, rep *Report) error {
	now := r.Now()
	r.mu.Lock()
	due := now.Sub(r.pruned) >= pruneEvery
	slot := now.Truncate(sweepEvery)
	sweep := due && now.Sub(slot) < sweepStart && r.swept.Before(slot)
	if due {
		r.pruned = now
	}
	if sweep {
		r.swept = now
	}
	r.mu.Unlock()
	if !due {
		return nil
	}
	err := errors.Join(
		r.pruneResults(ctx, now, rep), r.pruneResultsOfStudies(ctx, now, rep), r.pruneKeys(ctx, now, rep),
		r.pruneUploads(ctx, now, rep), r.pruneDeliveries(ctx, now, rep),
	)
	if sweep {
		err = errors.Join(err, r.pruneOrphans(ctx, now, rep))
	}
	return err
}

// pruneResults removes the objects first: the record lists results as long as any may be left.
func (r *Reconciler) pruneResults(ctx context.Context, now time.Time, rep *Report) error {
	if r.Config.KeepResults == 0 {
		return nil
	}
	jobs, err := r.Jobs.ExpiredResults(ctx, now.Add(-r.Config.KeepResults), pruneBatch)
	if err != nil {
		return fmt.Errorf("looking for expired results: %w", err)
	}
	var removed []string
	var errs []error
	for _, j := range jobs {
		released, err := r.Jobs.ReleaseResults(ctx, j.TenantID, j.ID)
		for _, results := range released.Remove {
			err = cmp.Or(err, artifact.RemoveResults(ctx, r.Objects, results))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("removing expired results of job %s: %w", j.ID, err))
			continue
		}
		removed = append(removed, j.ID)
	}
	if len(removed) > 0 {
		if err := r.Jobs.MarkResultsPruned(ctx, removed); err != nil {
			return errors.Join(append(errs, fmt.Errorf("recording removed results: %w", err))...)
		}
		rep.PrunedResults += len(removed)
	}
	return errors.Join(errs...)
}

// pruneResultsOfStudies removes the results of all runs of a study at once.
func (r *Reconciler) pruneResultsOfStudies(ctx context.Context, now time.Time, rep *Report) error {
	if r.Config.KeepResults == 0 {
		return nil
	}
	before := now.Add(-r.Config.KeepResults)
	studies, err := r.Jobs.ExpiredStudies(ctx, before, pruneStudies)
	if err != nil {
		return fmt.Errorf("looking for studies with expired results: %w", err)
	}
	var errs []error
	for _, s := range studies {
		released, err := r.Jobs.ReleaseStudyResults(ctx, s.TenantID, s.ID, before)
		if err == nil {
			err = study.RemoveResults(ctx, r.Objects, s, released)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("removing expired results of study %s: %w", s.ID, err))
			continue
		}
		if err := r.Jobs.MarkStudyPruned(ctx, s.ID, before); err != nil {
			errs = append(errs, fmt.Errorf("recording removed results of study %s: %w", s.ID, err))
			continue
		}
		rep.PrunedStudies++
	}
	return errors.Join(errs...)
}

func (r *Reconciler) pruneKeys(ctx context.Context, now time.Time, rep *Report) error {
	n, err := r.Jobs.PruneIdempotencyKeys(ctx, now.Add(-idempotency.Lifetime), pruneBatch)
	if err != nil {
		return fmt.Errorf("removing old idempotency keys: %w", err)
	}
	rep.PrunedKeys += n
	return nil
}

// pruneUploads forgets expired direct uploads; the search for orphans removes what was sent.
func (r *Reconciler) pruneUploads(ctx context.Context, now time.Time, rep *Report) error {
	n, err := r.Scenarios.PruneUploads(ctx, now.Add(-scenario.UploadLifetime), pruneBatch)
	if err != nil {
		return fmt.Errorf("forgetting old uploads: %w", err)
	}
	rep.PrunedUploads += n
	return nil
}

func (r *Reconciler) pruneDeliveries(ctx context.Context, now time.Time, rep *Report) error {
	pruned, givenUp, err := r.Jobs.PruneDeliveries(ctx, now, pruneBatch)
	rep.PrunedDeliveries += pruned
	rep.Deliveries.GivenUp += givenUp
	if err != nil {
		return fmt.Errorf("removing old deliveries: %w", err)
	}
	return nil
}

// pruneOrphans removes objects that nothing refers to: uploads that never became a scenario, and files of jobs that
// were deleted. First comes what there is little of. Where the time does not suffice for the rest, the next search goes on with it.
func (r *Reconciler) pruneOrphans(ctx context.Context, now time.Time, rep *Report) error {
	ctx, cancel := context.WithTimeoutCause(ctx, sweepTime, errSweepTime)
	defer cancel()
	before := now.Add(-orphanAge)
	err := r.abortUploads(ctx, before, rep)
	for _, s := range []section{
		{artifact.UploadPrefix, now.Add(-scenario.UploadLifetime), noneKnown},
		{artifact.ChunkPrefix, before, r.ofActiveChunks},
		{artifact.StatePrefix, before, r.ofActiveChunks},
	} {
		_, failed := r.sweep(ctx, s, "", "", rep)
		err = errors.Join(err, failed)
	}
	err = errors.Join(err, r.sweepOn(ctx, []section{
		{artifact.ScenarioPrefix, before, r.Scenarios.KnownKeys},
		{artifact.ViewPrefix, before, r.ofKnownJobs},
		{artifact.ResultPrefix, before, r.ofKnownJobs},
	}, rep))
	if errors.Is(context.Cause(ctx), errSweepTime) {
		r.Log.Warn().Dur("limit", sweepTime).Msg("the search for orphaned objects did not reach the end of the bucket; the next one goes on")
		return nil
	}
	return err
}

// section is a part of the bucket in which orphans are looked for: objects that were last changed earlier than before, and are not known.
type section struct {
	prefix string
	before time.Time
	known  func(ctx context.Context, keys []string) (map[string]bool, error)
}

// placeTime bounds the writing of where a search has stopped, which comes after its time.
const placeTime = 5 * time.Second

// sweepOn goes once round sections, beginning where the last search had to stop.
func (r *Reconciler) sweepOn(ctx context.Context, sections []section, rep *Report) error {
	begin, err := r.sweepPlace(ctx)
	if err != nil {
		return err
	}
	turns := sections
	if begin != "" {
		first := max(0, slices.IndexFunc(sections, func(s section) bool { return strings.HasPrefix(begin, s.prefix) }))
		turns = slices.Concat(sections[first:], sections[:first+1]) // the first one again, for what is before begin
	}
	for i, s := range turns {
		after, until := "", ""
		switch i {
		case 0:
			after = begin
		case len(turns) - 1:
			until = begin
		}
		reached, failed := r.sweep(ctx, s, after, until, rep)
		if ctx.Err() != nil {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), placeTime)
			defer cancel()
			_, lost := r.Objects.Put(ctx, artifact.SweepPlace, strings.NewReader(reached), "text/plain")
			return errors.Join(err, failed, lost)
		}
		err = errors.Join(err, failed)
	}
	if begin != "" {
		err = errors.Join(err, r.Objects.Delete(ctx, artifact.SweepPlace))
	}
	return err
}

// sweepPlace is the key up to which the last search came, empty if it came through.
func (r *Reconciler) sweepPlace(ctx context.Context) (string, error) {
	place, err := r.Objects.Open(ctx, artifact.SweepPlace, 0, maxPlace)
	if problem.CodeOf(err) == problem.NotFound {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading where the search for orphaned objects is: %w", err)
	}
	defer place.Close()
	key, err := io.ReadAll(io.LimitReader(place, maxPlace))
	return string(key), err
}

// maxPlace is the most bytes of a key in S3.
const maxPlace = 1024

func (r *Reconciler) abortUploads(ctx context.Context, before time.Time, rep *Report) error {
	n, err := r.Objects.AbortUploads(ctx, before)
	rep.PrunedUploads += n
	if err != nil {
		return fmt.Errorf("aborting unfinished uploads: %w", err)
	}
	return nil
}

var errSweepTime = errors.New("the time for orphaned objects is up")

// sweep deletes the orphans of s after one key and until another, empty for the ends of s. It returns the key up to which it has come.
func (r *Reconciler) sweep(ctx context.Context, s section, after, until string, rep *Report) (reached string, err error) {
	reached = cmp.Or(after, s.prefix)
	var batch []string
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		keep, err := s.known(ctx, batch)
		if err != nil {
			return fmt.Errorf("looking up objects under %s: %w", s.prefix, err)
		}
		var orphans []string
		for _, key := range batch {
			if !keep[key] {
				orphans = append(orphans, key)
			}
		}
		batch = batch[:0]
		if len(orphans) == 0 {
			return nil
		}
		if err := r.Objects.Delete(ctx, orphans...); err != nil {
			return fmt.Errorf("removing orphaned objects under %s: %w", s.prefix, err)
		}
		rep.PrunedObjects += len(orphans)
		return nil
	}
	var flushErr error
	err = r.Objects.ListAfter(ctx, s.prefix, after, func(o artifact.Object) bool {
		if until != "" && o.Key > until {
			return false
		}
		if o.Modified.Before(s.before) {
			batch = append(batch, o.Key)
		}
		if len(batch) == objectBatch {
			flushErr = flush()
		}
		if len(batch) == 0 {
			reached = o.Key
		}
		return flushErr == nil
	})
	if err != nil {
		return reached, fmt.Errorf("listing objects under %s: %w", s.prefix, err)
	}
	if flushErr != nil {
		return reached, flushErr
	}
	return reached, flush()
}

// noneKnown is for prefixes where any object that is old enough is an orphan.
func noneKnown(context.Context, []string) (map[string]bool, error) { return nil, nil }

// ofKnownJobs returns those keys under artifact.ResultPrefix or ViewPrefix that belong to a job on record. A key that does not look
// like ours counts as known: it is not ours to delete.
func (r *Reconciler) ofKnownJobs(ctx context.Context, keys []string) (map[string]bool, error) {
	var ids []string
	for _, key := range keys {
		for _, id := range jobIDs(key) {
			if !slices.Contains(ids[max(0, len(ids)-2):], id) { // keys of one job stand together
				ids = append(ids, id)
			}
		}
	}
	jobs, err := r.Jobs.KnownJobs(ctx, ids)
	if err != nil {
		return nil, err
	}
	known := make(map[string]bool, len(keys))
	for _, key := range keys {
		ids := jobIDs(key)
		known[key] = len(ids) == 0 || slices.ContainsFunc(ids, func(id string) bool { return jobs[id] })
	}
	return known, nil
}

// jobIDs takes the ids out of the key of a result or a view that may be those of its job: what follows the namespace is a job, or a study
// with one of its runs.
func jobIDs(key string) (ids []string) {
	parts := strings.SplitN(key, "/", 5) // prefix, namespace, job or study, run or a part of the name, name
	if len(parts) < 4 {
		return nil
	}
	// The predecessor stored results under the same prefix. Its ids are random UUIDs, ours have a time.
	if id, err := uuid.Parse(parts[2]); err == nil && id.Version() != 7 {
		return nil
	}
	ids = parts[2:3]
	if len(parts) == 5 && uuid.Validate(parts[3]) == nil {
		ids = parts[2:4]
	}
	return ids
}

// ofActiveChunks returns those keys under artifact.ChunkPrefix or StatePrefix that belong to a chunk at work.
func (r *Reconciler) ofActiveChunks(ctx context.Context, keys []string) (map[string]bool, error) {
	ids := make([]string, len(keys))
	for i, key := range keys {
		ids[i] = artifact.ChunkOf(key)
	}
	active, err := r.Jobs.ActiveChunks(ctx, slices.Compact(slices.Clone(ids)))
	if err != nil {
		return nil, err
	}
	known := make(map[string]bool, len(keys))
	for i, key := range keys {
		known[key] = active[ids[i]]
	}
	return known, nil
}
