// Package simulation defines one SUMO run: its options, why it ended, and its results.
package simulation

import (
	"slices"
	"strings"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// Options are the choices a user has about a run. The zero value runs the scenario as it was uploaded.
// A nil pointer leaves the matter to the scenario's own configuration.
type Options struct {
	// ConfigFile is the configuration to run, by its path inside the scenario or its base name; needed only when there are several.
	ConfigFile string `json:"config_file,omitempty"`
	// Seed of SUMO's random number generator; nil leaves it to the configuration.
	Seed *int64 `json:"seed,omitempty"`
	// Begin and End of the simulated interval, in seconds of simulated time.
	Begin *float64 `json:"begin,omitempty"`
	End   *float64 `json:"end,omitempty"`
	// StepLength in seconds.
	StepLength *float64 `json:"step_length,omitempty"`
	// Scale multiplies the demand: 0.5 keeps every second vehicle, 2 doubles each.
	Scale *float64 `json:"scale,omitempty"`
	// SumoVersion is one of the operator's versions of SUMO, such as "1.18"; empty for the default.
	SumoVersion string `json:"sumo_version,omitempty"`
	// AcceptedVersion is the version for which the job was accepted, where SumoVersion runs in its place because it is not ready.
	AcceptedVersion string `json:"accepted_version,omitempty"`
	// Outputs asked for beyond those that every run writes (see DefaultOutputs).
	Outputs []Output `json:"outputs,omitempty"`
	// Tables are made from the outputs when SUMO has ended, and are results (Table.File).
	Tables []Table `json:"tables,omitempty"`
	// UnfinishedTrips counts the trips of vehicles that are still on the road at the end, in tripinfo and in the means.
	UnfinishedTrips bool `json:"unfinished_trips,omitempty"`
	// SUMOOptions are further options of SUMO by name, as a study sets them ("time-to-teleport": "-1").
	SUMOOptions map[string]string `json:"sumo_options,omitempty"`
	// Attributes are changed in the run's own copies of the scenario's files, in this order.
	Attributes []Attribute `json:"attributes,omitempty"`
	// Metrics are those by class of vehicle that the summary has beside the others: see ClassOf.
	Metrics []string `json:"metrics,omitempty"`
	// Replay asks for a recording of the run; nil for none.
	Replay *Replay `json:"replay,omitempty"`
	// Strict refuses a scenario about which there is a warning that SUMO drops or ignores part of it.
	Strict bool `json:"strict,omitempty"`
	// Check only lets SUMO load the scenario and examine the routes of all that departs: nothing else is simulated, and the run keeps no
	// results.
	Check bool `json:"check,omitempty"`
	// Controller steers the simulation, or Tool runs in its place; at most one of them is set.
	Controller *Controller `json:"controller,omitempty"`
	Tool       *Tool       `json:"tool,omitempty"`
}

// WithTables are the options of a run that also writes the outputs that its tables are made from.
func (o Options) WithTables() Options {
	outputs := slices.Clone(o.Outputs)
	for _, t := range o.Tables {
		if output := t.Output(); output != "" && !slices.Contains(DefaultOutputs(), output) {
			outputs = append(outputs, output)
		}
	}
	slices.Sort(outputs)
	o.Outputs = slices.Compact(outputs)
	tables := slices.Clone(o.Tables)
	slices.Sort(tables)
	o.Tables = slices.Compact(tables)
	return o
}

// DefaultSeed is the seed of a run that names none. It is SUMO's own default, so that such a run gives what the same
// scenario gives on a desk.
const DefaultSeed = 23423

// Output is one of SUMO's output files, by the name of its option without "-output".
type Output string

// The outputs that can be asked for.
const (
	OutputSummary    Output = "summary"
	OutputTripinfo   Output = "tripinfo"
	OutputStatistics Output = "statistics"
	OutputFCD        Output = "fcd"
	OutputEmission   Output = "emission"
	OutputEdgeData   Output = "edgedata"
	OutputQueue      Output = "queue"
	OutputLaneChange Output = "lanechange"
	OutputStop       Output = "stop"
)

// OutputPersoninfo is for scenarios to ask for: SUMO then writes what became of persons and containers there, not into tripinfo.
const OutputPersoninfo Output = "personinfo"

// DefaultOutputs are written by every run: together they are small, and the summary and the plots need them.
func DefaultOutputs() []Output { return []Output{OutputSummary, OutputTripinfo, OutputStatistics} }

// Outputs lists every output that can be asked for.
func Outputs() []Output {
	return []Output{
		OutputSummary, OutputTripinfo, OutputStatistics, OutputFCD, OutputEmission, OutputEdgeData, OutputQueue, OutputLaneChange, OutputStop,
	}
}

// KnownOutputs lists every output that is known by its role in the results: those that can be asked for, and what only scenarios ask for.
func KnownOutputs() []Output { return append(Outputs(), OutputPersoninfo) }

// Valid reports whether o is an output that can be asked for.
func (o Output) Valid() bool { return slices.Contains(Outputs(), o) }

// Reason says, for a program, why a run did not succeed. It is empty for one that did.
type Reason string

// Why a run did not succeed.
const (
	InvalidScenario  Reason = "InvalidScenario"  // the scenario cannot be run as it is: the user's to fix
	SimulationError  Reason = "SimulationError"  // SUMO stopped with an error
	ControllerError  Reason = "ControllerError"  // the scenario's own program, or a tool of SUMO's, ended with an error
	TooManyTeleports Reason = "TooManyTeleports" // the scenario's own max-num-teleports ended the run
	OutOfMemory      Reason = "OutOfMemory"      // more memory than the job's memory_gi
	DiskFull         Reason = "DiskFull"         // the machine's disk was full
	OutputTooLarge   Reason = "OutputTooLarge"   // more output than a run may write
	DeadlineExceeded Reason = "DeadlineExceeded" // longer than the job's timeout
	Cancelled        Reason = "Cancelled"        // a person cancelled it
	Interrupted      Reason = "Interrupted"      // asked to stop by the machine: a shutdown or an eviction; safe to run again
	ResultsNotStored Reason = "ResultsNotStored" // the run ended well, and the object store refused its results for good
	InternalError    Reason = "InternalError"    // our fault
	ImagePullFailed  Reason = "ImagePullFailed"  // the SUMO image could not be fetched
	WorkflowLost     Reason = "WorkflowLost"     // the run vanished from its engine, more often than we retry
	Preempted        Reason = "Preempted"        // the node was taken away, more often than we retry
	// ConfinementUnavailable is the end of a program that may only run where it can be confined, on a machine that cannot.
	ConfinementUnavailable Reason = "ConfinementUnavailable"
	NotRecorded            Reason = "NotRecorded" // the job failed in the predecessor, which recorded a message at most
)

// Repeating lists the reasons for which a run ends again whenever it is run as it is: their cause is in what was asked for.
func Repeating() []Reason {
	return []Reason{InvalidScenario, SimulationError, ControllerError, TooManyTeleports, OutOfMemory, OutputTooLarge}
}

// Exit codes of sumo-run, one for each way out. They stay clear of 1 and 2, which Go's runtime and shells use, and of
// 126 and above, which shells use for signals.
const (
	ExitOK                     = 0
	ExitInvalidScenario        = 10
	ExitSimulationError        = 20
	ExitTooManyTeleports       = 21
	ExitOutOfMemory            = 22
	ExitDiskFull               = 23
	ExitOutputTooLarge         = 24
	ExitControllerError        = 25
	ExitConfinementUnavailable = 26
	ExitDeadlineExceeded       = 30
	ExitInterrupted            = 31
	ExitInternalError          = 70 // EX_SOFTWARE of sysexits.h
)

// ExitCode is the code with which sumo-run ends for r.
func (r Reason) ExitCode() int {
	switch r {
	case "":
		return ExitOK
	case InvalidScenario:
		return ExitInvalidScenario
	case SimulationError:
		return ExitSimulationError
	case TooManyTeleports:
		return ExitTooManyTeleports
	case ControllerError:
		return ExitControllerError
	case ConfinementUnavailable:
		return ExitConfinementUnavailable
	case OutOfMemory:
		return ExitOutOfMemory
	case DiskFull:
		return ExitDiskFull
	case OutputTooLarge:
		return ExitOutputTooLarge
	case DeadlineExceeded:
		return ExitDeadlineExceeded
	case Interrupted, Cancelled:
		return ExitInterrupted
	default:
		return ExitInternalError
	}
}

// Judged lists the reasons with which sumo-run itself ends. To sumo-run, a cancelled run is an interrupted one.
func Judged() []Reason {
	return []Reason{
		InvalidScenario, SimulationError, TooManyTeleports, ControllerError, OutOfMemory, DiskFull, OutputTooLarge, DeadlineExceeded,
		ConfinementUnavailable, Interrupted, InternalError,
	}
}

// ReasonOf returns the reason for an exit code of sumo-run, or "" for success and for codes that are not its own.
func ReasonOf(code int) Reason {
	for _, r := range Judged() {
		if r.ExitCode() == code {
			return r
		}
	}
	return ""
}

// Names of the files that every run leaves in its output folder, besides SUMO's own outputs.
const (
	LogFile     = "log.txt"      // SUMO's messages and ours, one line each, complete lines only
	SummaryFile = "summary.json" // a Summary
	OutcomeFile = "outcome.json" // an Outcome; written last and atomically, so its presence means the run has finished
	// EdgeColumnsFile has the values of the edgedata output by attribute, of a study's run that has that output: see package outputs.
	EdgeColumnsFile = "edgedata.columns"
	// KeptFile is what a tool was to keep: a zip of the run's folder. ConvergenceFile has the Convergence of a tool that iterates.
	KeptFile        = "kept.zip"
	ConvergenceFile = "convergence.json"
	// ChecksumFile has the SHA-256 of every other file but the outcome.
	ChecksumFile = "sha256sums.txt"
	// PartialSuffix follows the name of a file of ours until it is complete.
	PartialSuffix = ".partial"
)

// Unfinished reports whether a name at the top of an output folder is that of a file of ours which is not complete. What a run that was
// killed leaves under such a name is no result. A scenario's outputs never have it there, whatever else they end in.
func Unfinished(name string) bool {
	whole, partial := strings.CutSuffix(name, PartialSuffix)
	return partial && slices.Contains([]string{SummaryFile, OutcomeFile, ConvergenceFile, ReplayFile}, whole)
}

// MaxOwnFiles bounds how many files a scenario, or its program, may add to the results: each becomes an object in the store.
const MaxOwnFiles = 1000

// Outcome is how a run ended.
type Outcome struct {
	Reason Reason `json:"reason,omitempty"` // empty for success
	// Message is for a person: empty on success, else what went wrong, with SUMO's own error lines that matter.
	Message    string    `json:"message,omitempty"`
	StartedAt  time.Time `json:"started_at"`
	FinishedAt time.Time `json:"finished_at"`
	// Summary is nil when the run ended before SUMO wrote anything worth reading.
	Summary *Summary `json:"summary,omitempty"`
	// Confinement is what held SUMO; nil when SUMO was never started.
	Confinement *Confinement `json:"confinement,omitempty"`
	// Image is the container image in which it ran, as the operator names it, with its digest if the name has one; empty outside containers.
	Image string `json:"image,omitempty"`
	// Files are the names, in the output folder, of the outputs that views read: the scenario's own names where it asks for such an
	// output, else ours. It is nil only in an outcome that an earlier release wrote, when all names were ours.
	Files map[Output]string `json:"files,omitzero"`
	// Warnings say what a person should know of a run, whether or not it succeeded: what SUMO dropped, what was replaced.
	Warnings []string `json:"warnings,omitempty"`
	// Problems are what a check found (Options.Check), as SUMO said it.
	Problems []problem.Item `json:"problems,omitempty"`
}

// Unreported is the outcome of a run that ended for r without leaving one.
func (r Reason) Unreported() Outcome {
	return Outcome{Reason: r, Message: r.Message(), Files: map[Output]string{}}
}

// Succeeded reports whether the run did all it was asked to.
func (o Outcome) Succeeded() bool { return o.Reason == "" }

// Summary is what a run did, in numbers with their units.
type Summary struct {
	SumoVersion string `json:"sumo_version"`
	ConfigFile  string `json:"config_file"`
	// Partial is true when the run stopped early, so that the metrics cover only a part of it.
	Partial bool `json:"partial"`
	// Warnings is how many warnings SUMO printed.
	Warnings int      `json:"warnings"`
	Metrics  []Metric `json:"metrics"`
}

// Metric is one number with its unit.
type Metric struct {
	Name  string  `json:"name"`  // snake_case, stable
	Value float64 `json:"value"` // never NaN or infinite
	Unit  string  `json:"unit"`  // "s", "m", "m/s", "veh", "mg", "Wh", "1/s", "1" for a bare ratio or count
}

// Metric returns the value of the metric called name.
func (s *Summary) Metric(name string) (float64, bool) {
	if s == nil {
		return 0, false
	}
	for _, m := range s.Metrics {
		if m.Name == name {
			return m.Value, true
		}
	}
	return 0, false
}
