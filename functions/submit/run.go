package submit

import (
	"encoding/json"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// Run is what a caller says about a job, in either form of submission.
type Run struct {
	ScenarioID     string                 `json:"scenario_id" minLength:"1" maxLength:"100" doc:"Your name for the run."`
	CPURequest     int                    `json:"cpu_request,omitempty" minimum:"1" maximum:"32" default:"2" doc:"Cores."`
	MemoryGi       int                    `json:"memory_gi,omitempty" minimum:"1" maximum:"128" default:"4" doc:"GiB."`
	TaskToken      string                 `json:"task_token,omitempty" maxLength:"4096" doc:"Of an AWS Step Functions task: it gets SendTaskSuccess or SendTaskFailure when the job has ended. Refused unless the operator has enabled it."`
	ConfigFile     string                 `json:"config_file,omitempty" maxLength:"500" doc:"Which configuration to run, whatever its name; needed only if the zip has several that can run, or none called *.sumocfg. In a form, put it before the zip."`
	Seed           *int64                 `json:"seed,omitempty" minimum:"0" maximum:"2147483647" doc:"Seed of SUMO's random number generator."`
	Begin          *float64               `json:"begin,omitempty" minimum:"0" maximum:"1000000000" doc:"Start of the simulated interval, in seconds."`
	End            *float64               `json:"end,omitempty" minimum:"0" maximum:"1000000000" doc:"End of the simulated interval, in seconds."`
	StepLength     *float64               `json:"step_length,omitempty" minimum:"0.001" maximum:"60" doc:"Seconds per step."`
	Scale          *float64               `json:"scale,omitempty" minimum:"0" maximum:"1000" doc:"Multiplies the demand."`
	SumoVersion    string                 `json:"sumo_version,omitempty" maxLength:"20" doc:"One of the SUMO versions that the operator offers; if left out, the tenant's default, or else the newest that can run the scenario. GET /versions lists them." example:"1.28"`
	Outputs        []simulation.Output    `json:"outputs,omitempty" maxItems:"20" enum:"summary,tripinfo,statistics,fcd,emission,edgedata,queue,lanechange,stop" doc:"Output files wanted besides summary, tripinfo and statistics. Not with tool or check."`
	Tables         []simulation.Table     `json:"tables,omitempty" maxItems:"20" enum:"summary,tripinfo,personinfo,edgedata,fcd,emission,queue,lanechange,stops,detectors" doc:"Tables to make when the run has ended, as results tables/NAME.parquet, from outputs that it then writes as well. Others are made on request, from outputs of up to 2 GiB of XML. Not with tool or check."`
	Unfinished     bool                   `json:"unfinished_trips,omitempty" doc:"Also counts the trips of vehicles that are still on the road at the end, in tripinfo and in the means."`
	Strict         bool                   `json:"strict,omitempty" doc:"Refuses a scenario of which SUMO would drop or ignore a part; otherwise that is a warning."`
	Check          bool                   `json:"check,omitempty" doc:"Only lets SUMO load the scenario and examine all routes of the interval: nothing else is simulated and no results are kept. What SUMO says is in the job's problems. SUMO ends at the first route that is not connected. Finding the routes of trips takes time: a warning says if it was cut short. It does not see: roads that are closed for a time, speeds that are too high at a departure, routes behind a saved state or in included files that are cut off. It reports an id that is used twice even if the first vehicle would have left."`
	Controller     *simulation.Controller `json:"controller,omitempty" doc:"A Python program of the scenario that steers SUMO while it simulates; in a form, a JSON object, before the zip. The operator must have enabled it (CONTROLLERS) and allowed it for the tenant. The program may write, and make, files of the scenario: those that are new or changed when it ends are results."`
	Tool           *simulation.Tool       `json:"tool,omitempty" doc:"One of SUMO's own tools, which runs in place of a simulation; in a form, a JSON object, before the zip. It is enabled and allowed as controller is, and excludes it."`
	Replay         *ReplayChoice          `json:"replay,omitempty" doc:"Records the run, so that it can be watched while it goes on and afterwards: true, or an object that says what to record; in a form, as JSON. It changes no other result. Not with tool or check."`
	Cache          job.Cache              `json:"cache,omitempty" enum:"use,refresh,off" doc:"off, the default: the job runs, and no other job takes its results. use: if the tenant has run the same scenario with the same options, seed and build of SUMO, and the results are still there, the job has SUCCEEDED at once with them (cached_from); otherwise it runs. refresh: it runs, and later jobs take its results. Never taken from the cache: tools with keep_as, jobs with a task_token that is answered. use and refresh not with check."`
	Labels         map[string]string      `json:"labels,omitempty" doc:"Up to 20 key-value pairs of your own, to find the job by."`
	Priority       string                 `json:"priority,omitempty" enum:"low,normal,high" default:"normal"`
	TimeoutSeconds int                    `json:"timeout_seconds,omitempty" minimum:"1" doc:"Wall-clock seconds that the run may take."`
	WebhookURL     string                 `json:"webhook_url,omitempty" maxLength:"2048" doc:"An https URL that is called when the job starts and when it has ended, signed with webhook_secret of the answer; http only where the operator allows it."`
}

// ReplayChoice is what a caller says about the recording of a run.
type ReplayChoice struct{ replay *simulation.Replay }

// Schema takes true for a recording of all.
func (ReplayChoice) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{{Type: huma.TypeBoolean}, huma.SchemaFromType(r, reflect.TypeFor[simulation.Replay]())}}
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *ReplayChoice) UnmarshalJSON(text []byte) (err error) {
	c.replay, err = simulation.ParseReplay(text)
	return err
}

// MarshalJSON implements json.Marshaler.
func (c ReplayChoice) MarshalJSON() ([]byte, error) { return json.Marshal(c.replay) }

func (c *ReplayChoice) chosen() *simulation.Replay {
	if c == nil {
		return nil
	}
	return c.replay
}

// program reports whether a program or a tool runs the scenario.
func (r Run) program() bool { return r.Controller != nil || r.Tool != nil }

func (r Run) request() (job.Request, error) {
	priority, err := job.ParsePriority(r.Priority)
	if err != nil {
		return job.Request{}, err
	}
	controller := r.Controller
	if controller != nil && controller.Interface == "" {
		steering := *controller
		steering.Interface = simulation.TraCI
		controller = &steering
	}
	return job.Request{
		Name: r.ScenarioID, CPURequest: r.CPURequest, MemoryGi: r.MemoryGi, Priority: priority, TimeoutSeconds: r.TimeoutSeconds,
		Cache: r.Cache, Labels: r.Labels, TaskToken: r.TaskToken, WebhookURL: r.WebhookURL, Options: simulation.Options{
			ConfigFile: r.ConfigFile, Seed: r.Seed, Begin: r.Begin, End: r.End, StepLength: r.StepLength, Scale: r.Scale,
			SumoVersion: r.SumoVersion, Outputs: r.Outputs, Tables: r.Tables, UnfinishedTrips: r.Unfinished, Strict: r.Strict, Check: r.Check,
			Controller: controller, Tool: r.Tool, Replay: r.Replay.chosen(),
		},
	}, nil
}
