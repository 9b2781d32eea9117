package rest

import (
	"encoding/json"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/study"
)

// StudySummary is a study in a list.
type StudySummary struct {
	StudyID     string            `json:"study_id,omitempty" format:"uuid" doc:"Absent in the answer to a dry run."`
	Name        string            `json:"name"`
	Status      study.State       `json:"status,omitempty" enum:"RUNNING,SUCCEEDED,INCOMPLETE,FAILED,CANCELLED" doc:"SUCCEEDED: every run has. INCOMPLETE: every run has ended, and some have not succeeded. FAILED: more runs failed than on_failure allows, so the rest was stopped or not started. Absent in the answer to a dry run."`
	Message     string            `json:"message" doc:"A remark on the current state, for people."`
	Runs        StudyRuns         `json:"runs"`
	CoreSeconds float64           `json:"core_seconds" doc:"Used by the runs that have ended."`
	Priority    string            `json:"priority" enum:"low,normal,high"`
	Labels      map[string]string `json:"labels"`
	MaxParallel int               `json:"max_parallel" doc:"The most runs at work at a time, within the tenant's limits."`
	Cancelling  bool              `json:"cancel_requested"`
	CreatedAt   *time.Time        `json:"created_at" doc:"Null in the answer to a dry run."`
	StartedAt   *time.Time        `json:"started_at" doc:"Of the first run."`
	FinishedAt  *time.Time        `json:"finished_at"`
	UpdatedAt   *time.Time        `json:"updated_at" doc:"Null in the answer to a dry run."`
}

// StudyRuns are what has become of the runs of a study.
type StudyRuns struct {
	Planned int `json:"planned"`
	PointRuns
}

// StudyRunsOf puts c on the wire.
func StudyRunsOf(c study.Counts) StudyRuns {
	return StudyRuns{Planned: c.Runs, PointRuns: PointRunsOf(c)}
}

// Study is a study with its plan and points.
type Study struct {
	StudySummary
	Plan      study.Plan   `json:"plan" doc:"What was asked for, with what was added since."`
	MostRuns  int          `json:"most_runs" doc:"How many runs it may come to: those that are planned, or, with replications.until, those of all rounds up to max."`
	Seeds     []int64      `json:"seeds" doc:"Of the replications, the first one at place 0."`
	Metrics   []string     `json:"metrics" doc:"The metrics that are kept of each run, as numbers that outlive its results."`
	Points    []StudyPoint `json:"points"`
	Estimate  Forecast     `json:"estimate" doc:"What all planned runs are expected to take, from earlier runs of the same scenarios; null while there are none."`
	Remaining Forecast     `json:"remaining" doc:"The same for the runs that have not ended; null when the study has finished or is being cancelled."`
	ETA       *time.Time   `json:"eta" doc:"When the last run is expected to end; null while that is not known, or when the study has finished or is being cancelled."`
}

// StudyPoint is a variant with one value of each axis.
type StudyPoint struct {
	Point       int       `json:"point" minimum:"0" doc:"Its number, as jobs name it."`
	Variant     string    `json:"variant"`
	Setting     Setting   `json:"setting"`
	Scenario    string    `json:"scenario" doc:"Id of the scenario."`
	ConfigFile  string    `json:"config_file"`
	SumoVersion string    `json:"sumo_version"`
	CPURequest  int       `json:"cpu_request" doc:"Cores of one run."`
	MemoryGi    int       `json:"memory_gi" doc:"GiB of one run."`
	Warnings    []string  `json:"warnings" doc:"What to know about each of its runs."`
	CoreSeconds *float64  `json:"core_seconds" doc:"Expected of one run; null while there are no earlier ones."`
	Needed      int       `json:"needed" doc:"How many runs it is to have."`
	Runs        PointRuns `json:"runs"`
}

// PointRuns are what has become of the runs of a point.
type PointRuns struct {
	Done      int `json:"done" doc:"Ended, in whatever way."`
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
	Cancelled int `json:"cancelled"`
	Active    int `json:"active" doc:"Handed over, and not ended: those that are running, and those that wait for their turn. Runs are handed over in groups of up to 200, of which a few run at a time."`
	Running   int `json:"running" doc:"Those of active that are being simulated now: at most max_parallel."`
	Cached    int `json:"cached" doc:"How many of the succeeded runs have results that were taken from the cache; in the answer to a submission or a dry run, how many will. Lists of studies say 0."`
}

// PointRunsOf puts c on the wire.
func PointRunsOf(c study.Counts) PointRuns {
	return PointRuns{
		Done: c.Done(), Succeeded: c.Succeeded, Failed: c.Failed, Cancelled: c.Cancelled, Active: c.Active, Running: c.Running, Cached: c.Cached,
	}
}

// Setting is the value of each axis, by the axis.
type Setting map[string]json.RawMessage

// Schema makes a setting nullable.
func (Setting) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: &huma.Schema{}, Nullable: true}
}

// SettingOf puts s on the wire.
func SettingOf(s study.Setting) Setting {
	out := Setting{}
	for _, v := range s {
		out[v.Axis] = v.Value
	}
	return out
}

// Forecast is a study.Forecast that may be null.
type Forecast struct{ *study.Forecast }

type forecast struct {
	CoreSeconds float64 `json:"core_seconds"`
	Seconds     float64 `json:"seconds" doc:"From the first start to the last end, if the tenant's limits, and the machine where the service has one, are free for this study."`
}

// Schema makes a forecast nullable.
func (Forecast) Schema(r huma.Registry) *huma.Schema {
	s := huma.SchemaFromType(r, typeOf[forecast]())
	s.Nullable = true
	return s
}

// MarshalJSON writes null for none.
func (f Forecast) MarshalJSON() ([]byte, error) {
	if f.Forecast == nil {
		return []byte("null"), nil
	}
	return json.Marshal(forecast{CoreSeconds: f.CoreSeconds, Seconds: f.Seconds})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (f *Forecast) UnmarshalJSON(raw []byte) error {
	var read *forecast
	if err := json.Unmarshal(raw, &read); err != nil || read == nil {
		return err
	}
	f.Forecast = &study.Forecast{CoreSeconds: read.CoreSeconds, Seconds: read.Seconds}
	return nil
}

// StudySummaryOf puts s on the wire, without its plan.
func StudySummaryOf(s study.Study) StudySummary {
	out := StudySummary{
		StudyID: s.ID, Name: s.Name, Status: s.State, Message: s.Message, Runs: StudyRunsOf(s.Counts), CoreSeconds: s.Counts.CoreSeconds,
		Priority: s.Priority.String(), Labels: labelsOf(s.Labels), MaxParallel: s.MaxParallel, Cancelling: s.CancelRequested,
		StartedAt: inUTC(s.StartedAt), FinishedAt: inUTC(s.FinishedAt),
	}
	if !s.CreatedAt.IsZero() {
		out.CreatedAt, out.UpdatedAt = inUTC(&s.CreatedAt), inUTC(&s.UpdatedAt)
	}
	return out
}

// StudyOf puts s on the wire, as it is at now. The counts are those of the points, which are read live.
func StudyOf(s study.Study, points []study.Point, room study.Room, now time.Time) Study {
	out := Study{
		Plan: s.Plan, MostRuns: len(points) * s.Plan.Replications.Most(len(s.Seeds)), Seeds: orEmpty(s.Seeds),
		Metrics: orEmpty(s.MetricNames), Points: make([]StudyPoint, len(points)),
		Estimate: Forecast{study.Planned(s, points, room)},
	}
	s.Counts = s.Counts.Sum(points)
	out.StudySummary = StudySummaryOf(s)
	for i, p := range points {
		out.Points[i] = StudyPoint{
			Point: p.Number, Variant: p.Variant, Setting: SettingOf(p.Setting), Scenario: p.ScenarioDigest, ConfigFile: p.Options.ConfigFile,
			SumoVersion: p.Options.SumoVersion, CPURequest: p.CPURequest, MemoryGi: p.MemoryGi, Warnings: orEmpty(p.Warnings),
			CoreSeconds: p.CoreSeconds, Needed: len(s.Seeds), Runs: PointRunsOf(p.Counts),
		}
	}
	if s.State == study.Running && !s.CancelRequested {
		if left := study.Remaining(s, points, room); left != nil {
			end := now.Add(time.Duration(left.Seconds * float64(time.Second))).UTC().Truncate(time.Second)
			out.Remaining, out.ETA = Forecast{left}, &end
		}
	}
	return out
}

// StudyProgress is the data of an event of a study's stream.
type StudyProgress struct {
	Status  study.State     `json:"status"`
	Message string          `json:"message"`
	Runs    StudyRuns       `json:"runs"`
	ETA     *time.Time      `json:"eta"`
	Points  []PointProgress `json:"points"` // those that have changed
}

// PointProgress is what has become of the runs of one point.
type PointProgress struct {
	Point int `json:"point"`
	PointRuns
}

// StudyProgressOf says how a study stands at now, and which of its points have changed.
func StudyProgressOf(s study.Study, points, changed []study.Point, room study.Room, now time.Time) StudyProgress {
	whole := StudyOf(s, points, room, now)
	out := StudyProgress{
		Status: s.State, Message: s.Message, Runs: whole.Runs, ETA: whole.ETA, Points: make([]PointProgress, len(changed)),
	}
	for i, p := range changed {
		out.Points[i] = PointProgress{Point: p.Number, PointRuns: PointRunsOf(p.Counts)}
	}
	return out
}
