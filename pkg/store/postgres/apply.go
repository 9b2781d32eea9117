package postgres

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// observed is a job.Update as the statement Apply reads it.
type observed struct {
	ID          string                  `json:"id"`
	State       job.State               `json:"state"`
	Reason      simulation.Reason       `json:"reason,omitempty"`
	Message     string                  `json:"message,omitempty"`
	Progress    float64                 `json:"progress"`
	StartedAt   *time.Time              `json:"started_at,omitempty"`
	FinishedAt  *time.Time              `json:"finished_at,omitempty"`
	SumoVersion string                  `json:"sumo_version,omitempty"`
	Summary     *simulation.Summary     `json:"summary,omitempty"`
	Results     []job.ResultFile        `json:"results,omitempty"`
	Confinement *simulation.Confinement `json:"confinement,omitempty"`
	Warnings    []string                `json:"warnings,omitempty"`
	Problems    []problem.Item          `json:"problems,omitempty"`

	KeptScenario string `json:"kept_scenario,omitempty"`
	Image        string `json:"image,omitempty"`
}

// Apply implements reconcile.Jobs. Several updates of one job count as the furthest of them. A job whose cancelling was
// requested ends CANCELLED unless it succeeded first. A finished job without an end time gets the database's.
//
// Updates come from engines, whose texts contain what SUMO printed. One that the database cannot store must not keep the
// others from being written, so such texts are repaired rather than refused.
func (d *DB) Apply(ctx context.Context, updates []job.Update) (changed []string, err error) {
	furthest := make(map[string]job.Update, len(updates))
	for _, u := range updates {
		last, seen := furthest[u.ID]
		if isID(u.ID) && (!seen || last.State == u.State || last.State.CanBecome(u.State)) {
			furthest[u.ID] = u
		}
	}
	if len(furthest) == 0 {
		return nil, nil
	}
	batch := make([]observed, 0, len(furthest))
	for _, u := range furthest {
		batch = append(batch, observed{
			ID: u.ID, State: u.State, Reason: u.Reason, Message: u.Message, Progress: fraction(u.Progress),
			StartedAt: u.StartedAt, FinishedAt: u.FinishedAt, SumoVersion: u.SumoVersion, Summary: u.Summary, Results: u.Results,
			Confinement: u.Confinement, Warnings: u.Warnings, Problems: u.Problems, KeptScenario: u.KeptScenario,
			Image: u.Image,
		})
	}
	doc, err := json.Marshal(batch)
	if err != nil {
		return nil, fmt.Errorf("writing what was observed of jobs: %w", err)
	}
	changed, err = d.q.Apply(ctx, withoutNUL(doc))
	return changed, translate(err, "writing what was observed of jobs")
}

// fraction clamps p to 0 to 1; NaN is no progress.
func fraction(p float64) float64 {
	if p > 0 {
		return min(p, 1)
	}
	return 0
}

// storable is s without what PostgreSQL cannot hold in a text: NUL characters and broken UTF-8.
func storable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}

// withoutNUL removes the escapes of NUL characters from a JSON document, since jsonb cannot hold them.
func withoutNUL(doc []byte) []byte {
	escape := []byte(`\u0000`)
	if !bytes.Contains(doc, escape) {
		return doc
	}
	out := make([]byte, 0, len(doc))
	for len(doc) > 0 {
		switch {
		case bytes.HasPrefix(doc, escape):
			doc = doc[len(escape):]
		case doc[0] == '\\': // another escape: the character after the backslash begins none
			out, doc = append(out, doc[:2]...), doc[2:]
		default:
			out, doc = append(out, doc[0]), doc[1:]
		}
	}
	return out
}
