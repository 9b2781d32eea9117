package rest

import (
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// Job is a job on the wire. The first fields are the predecessor's; the rest extends them.
type Job struct {
	JobID          string       `json:"job_id" format:"uuid"`
	Status         job.State    `json:"status" enum:"QUEUED,PENDING,RUNNING,SUCCEEDED,FAILED,CANCELLED"`
	SubmittedAt    time.Time    `json:"submitted_at"`
	StartedAt      *time.Time   `json:"started_at"`
	FinishedAt     *time.Time   `json:"finished_at"`
	ResultLocation *string      `json:"result_location" doc:"Where the results are, once the job has finished." example:"s3://sumo-k8/results/sumo-acme/0198/"`
	ResultFiles    *ResultFiles `json:"result_files"`
	Error          *string      `json:"error" doc:"Null, or one readable sentence saying why the job did not succeed."`

	TenantID   string            `json:"tenant_id"`
	ScenarioID string            `json:"scenario_id" doc:"The name given at submission."`
	Scenario   string            `json:"scenario" doc:"Id of the scenario. Empty if imported."`
	ConfigFile string            `json:"config_file" doc:"The configuration that runs."`
	CPURequest int               `json:"cpu_request" doc:"Cores."`
	MemoryGi   int               `json:"memory_gi" doc:"GiB."`
	Progress   float64           `json:"progress" minimum:"0" maximum:"1"`
	Reason     simulation.Reason `json:"reason" doc:"Machine-readable reason why the job did not succeed; empty otherwise." example:"SimulationError"`
	Message    string            `json:"message" doc:"A remark on the current state, for people."`
	Priority   string            `json:"priority" enum:"low,normal,high"`
	Seed       *int64            `json:"seed" doc:"Seed of SUMO's random number generator in every attempt: the one asked for, the configuration's, or one drawn for a configuration with random; null means SUMO's default, 23423."`
	Timeout    int               `json:"timeout_seconds" doc:"Wall-clock seconds that the run may take."`
	Attempt    int               `json:"attempt" doc:"How often the job was started; more than 1 when a run was lost and repeated."`
	Cancelling bool              `json:"cancel_requested"`
	Version    string            `json:"sumo_version" doc:"The SUMO version that ran; empty until the job has finished. options.sumo_version is the one to run."`
	TaskToken  string            `json:"task_token,omitempty" doc:"As given at submission."`

	Confinement *Confinement `json:"confinement" doc:"What confined SUMO to the run's folder. Null until the job has finished, or if SUMO never started."`

	Warnings []string       `json:"warnings" doc:"What to know about the scenario and the run: what SUMO drops or ignores, what was replaced, changed defaults."`
	Problems []problem.Item `json:"problems" doc:"What SUMO says about the scenario, if the job only checks it (options.check)."`

	CachedFrom *string `json:"cached_from" format:"uuid" doc:"The job whose results these are, if they were taken from the cache; otherwise null. It may have been deleted since."`

	KeptScenario string `json:"kept_scenario,omitempty" doc:"Id of the stored scenario that the tool's result has become (options.tool.keep_as), if it was accepted; otherwise a warning says why not. It may have been deleted since."`

	Options simulation.Options `json:"options" doc:"What was chosen for the run. Anything absent is left to the scenario."`
	Labels  map[string]string  `json:"labels" doc:"As given at submission."`

	StudyID     *string `json:"study_id" format:"uuid" doc:"The study that the job is a run of; null for other jobs."`
	Point       *int    `json:"point" minimum:"0" doc:"The study's point; null for jobs of no study."`
	Replication *int    `json:"replication" minimum:"0" doc:"The place of the seed among those of the study; null for jobs of no study."`
	Variant     *string `json:"variant" doc:"Name of the point's variant. GET /jobs and GET /jobs/{id} have it; null elsewhere, and for jobs of no study."`
	Setting     Setting `json:"setting" doc:"The value of each axis at the point, where variant is given; otherwise null."`

	Superseded bool `json:"superseded,omitempty" doc:"Whether this run of a study failed and was ordered again, so that it counts no longer."`

	Imported bool `json:"imported" doc:"True if the predecessor of this service ran the job: its scenario, log and results are not here."`
}

// Confinement is a simulation.Confinement on the wire.
type Confinement struct {
	Landlock  int  `json:"landlock" minimum:"0" doc:"ABI version of the kernel's Landlock that confined SUMO to its files; 0 if Landlock was not used."`
	Namespace bool `json:"namespace" doc:"A mount namespace confined SUMO to its files."`
	Filter    bool `json:"filter" doc:"A system call filter (seccomp) was in force."`
	User      bool `json:"user" doc:"SUMO ran as a user of its own, shared with no other process."`
}

// Schema makes confinement nullable.
func (Confinement) Schema(r huma.Registry) *huma.Schema {
	type fields Confinement // without this method
	s := huma.SchemaFromType(r, typeOf[fields]())
	s.Nullable = true
	return s
}

// JobOf puts j on the wire. url returns the s3:// address of an object key.
func JobOf(j job.Job, url func(key string) string) Job {
	out := Job{
		JobID: j.ID, Status: j.State, SubmittedAt: j.SubmittedAt.UTC(), StartedAt: inUTC(j.StartedAt), FinishedAt: inUTC(j.FinishedAt),
		TenantID: j.TenantID, ScenarioID: j.Name, Scenario: j.ScenarioDigest, ConfigFile: j.Options.ConfigFile,
		CPURequest: j.CPURequest, MemoryGi: j.MemoryGi, Progress: j.Progress, Reason: j.Reason, Message: j.Message,
		Priority: j.Priority.String(), Seed: j.Options.Seed, Timeout: j.TimeoutSeconds, Attempt: j.Attempt,
		Cancelling: j.CancelRequested, Version: j.SumoVersion, TaskToken: j.TaskToken,
		Confinement: (*Confinement)(j.Confinement),
		Warnings:    orEmpty(j.Warnings), Problems: orEmpty(j.Problems),
		KeptScenario: j.KeptScenario,
		Options:      j.Options, Labels: labelsOf(j.Labels), Imported: j.Imported != nil,
	}
	if j.CachedFrom != "" {
		out.CachedFrom = &j.CachedFrom
	}
	if run := j.Study; run != nil {
		out.StudyID, out.Point, out.Replication, out.Superseded = &run.ID, &run.Point, &run.Replication, run.Superseded
	}
	if j.State == job.Failed || j.State == job.Cancelled {
		message := job.ErrorText(j.Reason, j.Message)
		out.Error = &message
	}
	if i := j.Imported; i != nil {
		out.ResultFiles = importedFiles(*i)
		if i.Location != "" {
			out.ResultLocation = &i.Location
		}
	}
	if j.State.Terminal() && len(j.Results) > 0 && !j.ResultsPruned {
		location := url(j.ResultsKey)
		out.ResultLocation = &location
		out.ResultFiles = resultFiles(j, url)
	}
	return out
}

func inUTC(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}
