package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/store/postgres/internal/db"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

// oversized is the message of an unfinished study with runs that do not fit into the tenant's limits.
const oversized = "Some runs need more CPU or memory than your limits allow. They wait until the limits are raised; " +
	"otherwise cancel the study."

// judged is a study as the statement UpdateStudies reads it.
type judged struct {
	ID          string      `json:"id"`
	Version     int64       `json:"version"`
	State       study.State `json:"state"`
	Message     string      `json:"message"`
	Stop        bool        `json:"stop"`
	Unplaced    bool        `json:"unplaced"`
	Succeeded   int         `json:"succeeded"`
	Failed      int         `json:"failed"`
	Cancelled   int         `json:"cancelled"`
	Active      int         `json:"active"`
	Running     int         `json:"running"`
	Cached      int         `json:"cached"`
	CoreSeconds float64     `json:"core_seconds"`
}

// StepStudies implements reconcile.Jobs. It takes the same few statements however many studies and runs there are, and repeating it changes
// nothing. A study that is changed while it is counted has its turn in the next step.
func (d *DB) StepStudies(ctx context.Context) (changed int, err error) {
	if err := d.lookUp(ctx); err != nil {
		return 0, err
	}
	rows, err := d.q.CountStudies(ctx, repeating())
	if err != nil {
		return 0, translate(err, "counting runs of studies")
	}
	var updates []judged
	var ended []string                        // studies whose runs have ended
	var stopping db.CancelRunsOfStudiesParams // studies whose runs are to be stopped
	for _, r := range rows {
		s := study.Study{StopShare: r.StopShare, CancelRequested: r.CancelRequested}
		if r.Oversized {
			s.Message = oversized
		}
		c := study.Counts{
			Runs: r.Runs, Succeeded: r.NowSucceeded, Failed: r.NowFailed, Repeating: r.NowRepeating, Cancelled: r.NowCancelled,
			Active: r.NowActive, Running: r.NowRunning, Cached: r.NowCached,
		}
		state, message, stop := s.Judge(c)
		if r.Sequential && (state == study.Succeeded || state == study.Incomplete) {
			next, remark, err := d.round(ctx, r)
			if problem.CodeOf(err) == problem.NotFound {
				continue // it was deleted meanwhile
			}
			if err != nil {
				return 0, err
			}
			switch {
			case len(next) == 0:
				message = strings.TrimSpace(message + " " + remark)
			case r.CancelRequested:
				state, message = study.Cancelled, "Cancelled on request, before another round. "+remark
			default:
				n, err := d.q.NextRound(ctx, db.NextRoundParams{Seeds: next, ID: r.ID, Version: r.Version})
				if err != nil {
					return 0, translate(err, "ordering another round of a study")
				}
				changed += int(n)
				continue // it is counted again in the next step
			}
		}
		u := judged{
			ID: r.ID, Version: r.Version, State: state, Message: message, Stop: r.CancelRequested || stop != "", Unplaced: r.Placed < r.Runs,
			Succeeded: c.Succeeded, Failed: c.Failed, Cancelled: c.Cancelled, Active: c.Active, Running: c.Running, Cached: c.Cached,
			CoreSeconds: r.CoreSeconds,
		}
		if state == study.Succeeded || state == study.Incomplete {
			u.Stop = false // it came too late
		}
		if stop != "" && c.Active > 0 {
			stopping.Studies, stopping.Messages = append(stopping.Studies, r.ID), append(stopping.Messages, stop)
		}
		before := judged{
			ID: r.ID, Version: r.Version, State: study.Running, Message: r.Message, Stop: r.CancelRequested, Unplaced: r.Unplaced,
			Succeeded: r.Succeeded, Failed: r.Failed, Cancelled: r.Cancelled, Active: r.Active, Running: r.Running, Cached: r.Cached,
			CoreSeconds: r.CoreSeconds,
		}
		if u == before && (r.StartedAt != nil || !r.Begun) {
			continue
		}
		updates = append(updates, u)
		if c.Done() > r.Succeeded+r.Failed+r.Cancelled {
			ended = append(ended, r.ID)
		}
	}
	if err := d.writeStudies(ctx, updates, ended, stopping); err != nil {
		return 0, translate(err, "writing what has become of studies")
	}
	// Chunks without active jobs hold nothing any longer.
	return changed + len(updates), translate(d.q.DeleteIdleChunks(ctx), "removing chunks that have ended")
}

func repeating() []string {
	return each(simulation.Repeating(), func(r simulation.Reason) string { return string(r) })
}

// round is another one of a sequential study whose runs have all ended: its seeds, if one is due, and what has become of the aim.
func (d *DB) round(ctx context.Context, r db.CountStudiesRow) (next []int64, remark string, err error) {
	s, err := d.Study(ctx, r.TenantID, r.ID)
	if err != nil {
		return nil, "", err
	}
	points, err := d.Points(ctx, r.TenantID, r.ID)
	if err != nil {
		return nil, "", err
	}
	results, err := d.StudyResults(ctx, r.TenantID, r.ID)
	if err != nil {
		return nil, "", err
	}
	data := study.NewData(s, points, results)
	return data.Next(), data.Remark(), nil
}

// writeStudies writes what a runs takes before the counts that show that some have ended: if that fails, it is repeated with them.
func (d *DB) writeStudies(ctx context.Context, updates []judged, ended []string, stopping db.CancelRunsOfStudiesParams) error {
	if len(stopping.Studies) > 0 {
		if err := d.q.CancelRunsOfStudies(ctx, stopping); err != nil {
			return err
		}
	}
	if len(ended) > 0 {
		if err := d.q.UpdateExpectations(ctx, ended); err != nil {
			return err
		}
	}
	if len(updates) == 0 {
		return nil
	}
	doc, err := json.Marshal(updates)
	if err != nil {
		return fmt.Errorf("writing what has become of studies: %w", err)
	}
	return d.q.UpdateStudies(ctx, doc)
}

// Parallel implements reconcile.Jobs.
func (d *DB) Parallel(ctx context.Context, chunkIDs []string) (map[string]int, error) {
	rows, err := d.q.ParallelOf(ctx, onlyIDs(chunkIDs))
	if err != nil {
		return nil, translate(err, "looking up chunks")
	}
	parallel := make(map[string]int, len(rows))
	for _, r := range rows {
		parallel[r.ID] = r.Parallel
	}
	return parallel, nil
}

// ExpiredStudies implements reconcile.Jobs, longest finished first.
func (d *DB) ExpiredStudies(ctx context.Context, before time.Time, limit int) ([]study.Study, error) {
	rows, err := d.q.ExpiredStudies(ctx, db.ExpiredStudiesParams{Before: before, Most: limit})
	if err != nil {
		return nil, translate(err, "listing studies with expired results")
	}
	return each(rows, func(r db.ExpiredStudiesRow) study.Study {
		return study.Study{ID: r.ID, TenantID: r.TenantID, Namespace: r.Namespace}
	}), nil
}

// MarkStudyPruned implements reconcile.Jobs.
func (d *DB) MarkStudyPruned(ctx context.Context, id string, before time.Time) error {
	err := d.inTx(ctx, func(q *db.Queries) error {
		if err := q.MarkRunsPruned(ctx, db.MarkRunsPrunedParams{StudyID: &id, Before: before}); err != nil {
			return err
		}
		return q.MarkStudyPruned(ctx, db.MarkStudyPrunedParams{ID: id, Before: before})
	})
	return translate(err, "marking a study's results as pruned")
}
