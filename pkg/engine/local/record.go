package local

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/uuid"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/chunk"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// Names in a chunk's folder.
const (
	recordFile  = "chunk.json"
	listFile    = "runs.json"
	workFolder  = "work"
	outFolder   = "out"
	deskFolder  = "desk"
	logsFolder  = "logs"
	messageFile = "termination-log"
	consoleFile = "console.log" // the standard error of sumo-run
)

// record is chunk.json.
type record struct {
	Namespace string     `json:"namespace"`
	List      chunk.List `json:"list"` // of all runs of the chunk
	// Jobs is set by an orderly Close: those that have not come to their end and shall begin again.
	Jobs []job.Job `json:"jobs,omitempty"`
	// Interrupted are those of them that had begun.
	Interrupted []string `json:"interrupted,omitempty"`
}

func (t *task) record() record { return record{Namespace: t.namespace, List: t.list(t.runs)} }

// resume takes up the folders that an earlier engine left.
func (e *Engine) resume() error {
	e.mu.Lock() // chunks that are taken up go on at once
	defer e.mu.Unlock()
	entries, err := os.ReadDir(e.cfg.Dir)
	if err != nil {
		return fmt.Errorf("reading the folder of runs: %w", err)
	}
	for _, entry := range entries {
		dir := filepath.Join(e.cfg.Dir, entry.Name())
		if err := adopt(dir); err != nil {
			return fmt.Errorf("taking up a run of an earlier release: %w", err)
		}
		var rec record
		if readJSON(filepath.Join(dir, recordFile), &rec) != nil || rec.List.ID != entry.Name() || len(rec.List.Runs) == 0 {
			// A chunk whose start was cut short is made anew when it is started, if it ever is. What has no name of a
			// chunk was not made by us.
			if uuid.Validate(entry.Name()) == nil {
				if err := removeTask(dir); err != nil {
					return fmt.Errorf("removing a chunk that never began: %w", err)
				}
			}
			continue
		}
		if err := e.take(rec); err != nil {
			return fmt.Errorf("removing an unfinished chunk: %w", err)
		}
	}
	e.fillSlots()
	return nil
}

// take makes a chunk known that an earlier engine had, as far as that has come. One that is lost as a whole is removed. The
// caller holds e.mu.
func (e *Engine) take(rec record) error {
	runs := make([]*run, len(rec.List.Runs))
	for i, entry := range rec.List.Runs {
		runs[i] = &run{
			Run: entry, seen: job.Observation{JobID: entry.ID}, again: slices.Contains(rec.Interrupted, entry.ID),
			job: job.Job{ID: entry.ID, Namespace: rec.Namespace},
		}
	}
	t := e.add(rec.List.ID, rec.Namespace, runs)
	t.parallel, t.single, t.made = rec.List.Parallel, rec.List.Single, true
	if len(rec.Jobs) > 0 {
		t.urge(rec.Jobs[0])
	}
	unstored := false
	for _, r := range runs {
		var stored chunk.RunState
		var outcome simulation.Outcome
		if at := slices.IndexFunc(rec.Jobs, func(j job.Job) bool { return j.ID == r.ID }); at >= 0 && e.cfg.has(r.Options.SumoVersion) {
			r.job = rec.Jobs[at]
		} else {
			r.lost = true // unless it has ended
		}
		switch {
		case readJSON(t.desk(chunk.StoredFolder, r.ID), &stored) == nil && stored.Ended() && stored.Outcome.Reason != simulation.Interrupted:
			r.lost = false
			r.running(stored)
			r.end(*stored.Outcome, stored.Results, stored.StoredAt)
		case readJSON(t.out(r, simulation.OutcomeFile), &outcome) == nil && outcome.Reason != simulation.Interrupted:
			r.lost, r.simulated, unstored = false, true, true
			r.running(chunk.RunState{StartedAt: outcome.StartedAt})
		}
	}
	switch {
	case !slices.ContainsFunc(runs, func(r *run) bool { return !r.lost }):
		if err := removeTask(t.dir); err != nil {
			return err
		}
		delete(e.tasks, t.id)
	case unstored:
		e.work.Go(func() {
			e.deliver(t)
			e.goOn(t)
		})
	case len(t.left()) > 0:
		e.queue.add(t)
	default:
		t.ended = true
	}
	return nil
}

// keep leaves the runs of t that have not ended to the next engine, which begins them again. Should that fail, they count as lost.
func (e *Engine) keep(t *task) {
	rec := t.record()
	var err error
	for _, r := range t.runs {
		e.mu.Lock()
		done, begun := r.finished() || r.lost || r.simulated, r.again || r.seen.State == job.Running
		e.mu.Unlock()
		if done {
			continue
		}
		j := r.job
		j.TaskToken, j.ProgressWebhook, j.Webhook = "", nil, nil // secrets of the tenant's, of no use to a run
		rec.Jobs = append(rec.Jobs, j)
		if begun {
			rec.Interrupted = append(rec.Interrupted, r.ID)
		}
		err = errors.Join(err, os.RemoveAll(t.out(r, "")))
	}
	if !t.made {
		err = errors.Join(err, removeTask(t.dir))
	}
	err = errors.Join(err, os.RemoveAll(t.file(workFolder)), t.writeJSON(recordFile, rec))
	if err != nil {
		e.log.Warn().Err(err).Str("chunk", t.id).Msg("runs not kept for the next start; they will count as lost")
	}
}

// desk is the path of a file that the keeper writes.
func (t *task) desk(folder, name string) string {
	return filepath.Join(t.dir, deskFolder, folder, name)
}

// removeTask removes the folder of a chunk. The record goes last, so that resume completes a removal that was cut short.
func removeTask(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, entry := range entries {
		if entry.Name() != recordFile {
			if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return os.RemoveAll(dir)
}

func readJSON(path string, v any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}

// writeJSON replaces a file of t as a whole, or not at all. It is prepared outside of out/, where everything is a result.
func (t *task) writeJSON(name string, v any) error { return writeJSON(t.dir, name, v) }

func writeJSON(dir, name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", name, err)
	}
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("making the folder of %s: %w", name, err)
	}
	fresh := filepath.Join(dir, "new.json")
	if err := os.WriteFile(fresh, text, 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := os.Rename(fresh, path); err != nil {
		return fmt.Errorf("replacing %s: %w", name, err)
	}
	return nil
}

// Names in a run's folder of the releases that had one for each job: the record, and what was left in out/ while it is moved.
const (
	earlierFile   = "run.json"
	earlierFolder = "earlier"
)

// adopt gives the folder of a run that an earlier release left the layout of ours. It can be repeated.
func adopt(dir string) error {
	var earlier struct {
		ID          string   `json:"id"`
		Namespace   string   `json:"namespace"`
		Job         *job.Job `json:"job"`
		Interrupted bool     `json:"interrupted"`
	}
	path := filepath.Join(dir, earlierFile)
	if readJSON(path, &earlier) != nil || earlier.ID != filepath.Base(dir) {
		return nil
	}
	results := artifact.ResultsOf(earlier.Namespace, earlier.ID)
	j := job.Job{ID: earlier.ID, Namespace: earlier.Namespace, ResultsKey: results}
	kept := earlier.Job != nil && earlier.Job.ID == earlier.ID
	if kept {
		j = *earlier.Job
		j.ResultsKey = cmp.Or(j.ResultsKey, results)
	}
	rec := record{Namespace: earlier.Namespace, List: chunk.ListOf(job.Single(j))}
	if kept {
		rec.Jobs = []job.Job{j}
		rec.List.Runs[0].Memory += memoryAllowance
	}
	if earlier.Interrupted {
		rec.Interrupted = []string{j.ID}
	}
	var outcome simulation.Outcome
	from, to := filepath.Join(dir, earlierFolder), filepath.Join(dir, outFolder)
	if readJSON(filepath.Join(to, simulation.OutcomeFile), &outcome) == nil {
		if err := os.Rename(to, from); err != nil {
			return err
		}
	}
	if _, err := os.Stat(from); err == nil {
		if err := os.MkdirAll(to, 0o700); err != nil {
			return err
		}
		if err := os.Rename(from, filepath.Join(to, j.ID)); err != nil {
			return err
		}
	}
	for _, name := range []string{workFolder, scenarioFile} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	if err := writeJSON(dir, recordFile, rec); err != nil {
		return err
	}
	return os.Remove(path)
}
