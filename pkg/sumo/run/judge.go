package run

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// fate is all that is known about how SUMO ended.
type fate struct {
	observed
	code   int            // exit code, unless it was killed
	signal syscall.Signal // that killed it, or 0
	wall   time.Duration
	held   simulation.Confinement
	// stop is why we asked SUMO to stop, or empty, with what to do about it.
	stop       simulation.Reason
	stopAdvice string
	broken     []string // outputs that are not complete
	strict     bool     // what SUMO drops or ignores fails the run
	writeErr   error    // of keeping what the scenario wrote
	broke      error    // the limit of its processes for which a program was ended: confine.ErrMemory or confine.ErrProcesses
	words      []string // the last lines of a program's standard error
}

// What is said of runs of SUMO and of programs alike.
const (
	strictMessage = "SUMO ignored parts of the scenario, and the job is strict: fix them and resubmit."
	resubmittable = " The job can be resubmitted unchanged."
)

// SUMO's reasons for the end of a simulation.
const (
	reasonNoVehicles = "All vehicles have left the simulation."
	reasonEnd        = "The final simulation step has been reached."
	reasonTeleports  = "Too many teleports."
	reasonInterrupt  = "Interrupted."
)

// A wrapper script around SUMO reports a signal as shells do.
const shellSignal = 128

// secondSIGTERM is SUMO's exit code when it is asked twice to stop.
const secondSIGTERM = 15

// interrupts are the signals with which a machine ends its programs, and the one for a log that nobody reads any more.
var interrupts = []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE}

// lateFaults are parts of SUMO's messages about inputs that it reads while simulating: it loads routes a little ahead of
// their departure. An error in the first step or before is always about an input.
var lateFaults = []string{
	"no valid route", "not known", "not accessible", "In file '", "already exists", "Another ", "nvalid ", "nknown ",
	"is not defined",
	"does not exist", "is not allowed", "must be",
	"missing", "should be",
	"definition of ", "has no ", "is needed in ", "ends before ", "is too high", "is not downstream", "Cannot read file", "zlib: ",
}

// reading is what a run shows about the XML that SUMO has read.
type reading int

const (
	unread   reading = iota // nothing
	sound                   // SUMO reached its end without any error: what it has read is valid, if it validated that
	doubtful                // SUMO complains of what it has read, which validation may change
)

// beyondXML are parts of SUMO's errors about routes through the network, which stay the same whether SUMO validates or not.
var beyondXML = []string{"no valid route", "No connection between edge"}

// reading decides what the run has shown.
func (f fate) reading() reading {
	switch {
	case f.stop != "" || f.signal != 0 || f.code > shellSignal:
		return unread
	case len(f.errors) == 0 && f.code == 0:
		return sound
	}
	doubt := slices.ContainsFunc(f.errors, func(e string) bool {
		return !slices.ContainsFunc(beyondXML, func(part string) bool { return strings.Contains(e, part) })
	})
	if doubt {
		return doubtful
	}
	return unread
}

// judge returns the empty reason if the run did what it was meant to, or else why not, with a message for people.
func (f fate) judge() (simulation.Reason, string) {
	switch {
	case f.signal != 0:
	case f.code > shellSignal && f.code < shellSignal+65:
		f.signal = syscall.Signal(f.code - shellSignal)
	case f.code == secondSIGTERM:
		f.signal = syscall.SIGTERM
	}
	finished := f.code == 0 && f.signal == 0 && (f.reason == reasonNoVehicles || f.reason == reasonEnd)
	text := strings.Join(append(slices.Clone(f.errors), f.other...), "\n")
	mentions := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(text, part) })
	}
	switch {
	case f.stop == simulation.OutputTooLarge, f.stop != "" && !finished:
		return f.stop, f.stopMessage()
	case mentions("bad_alloc", "failed to map segment", "Cannot allocate memory"), f.signal == syscall.SIGKILL:
		return simulation.OutOfMemory, "SUMO ran out of memory. Give the job more memory_gi, or make the scenario smaller." + f.where()
	case f.signal == syscall.SIGXFSZ, mentions("File too large"):
		return simulation.OutputTooLarge, "An output grew larger than a file may be. " +
			"Request fewer outputs, or a longer period between their entries." + f.where()
	// Of a compressed output, SUMO notices that the disk is full, by this exception.
	case mentions("No space left on device", "Disk quota exceeded", "__ios_failure"):
		return simulation.DiskFull, simulation.DiskFullMessage + f.where()
	case f.signal == syscall.SIGXCPU:
		return simulation.DeadlineExceeded, "SUMO used more CPU time than its machine allows." + f.where()
	case slices.Contains(interrupts, f.signal), f.code == 0 && f.reason == reasonInterrupt:
		return simulation.Interrupted, "The machine interrupted SUMO." + f.where() + resubmittable
	case f.signal != 0:
		return simulation.SimulationError, fmt.Sprintf("SUMO crashed (%v): a bug in SUMO that this scenario triggers.%s%s",
			f.signal, f.where(), f.messages())
	case f.code == 126 || f.code == 127:
		return simulation.InternalError, "SUMO could not be started." + f.messages()
	case f.code != 0:
		return f.judgeError(mentions)
	case f.reason == reasonTeleports:
		kept := ""
		if len(f.broken) == 0 && f.writeErr == nil {
			kept = " The results until then are complete."
		}
		return simulation.TooManyTeleports, "SUMO gave up because more vehicles got stuck and were teleported " +
			"than the scenario's max-num-teleports allows. " +
			"The teleport warnings in the log name the places: fix them, or raise the limit." + f.where() + kept
	case !finished && f.reason == "":
		return simulation.SimulationError, "SUMO ended without simulating anything. The log has the reason." + f.messages()
	case !finished:
		return simulation.SimulationError, fmt.Sprintf("SUMO ended the simulation early: %s%s%s", clean(f.reason), f.where(), f.messages())
	case len(f.broken) > 0:
		return simulation.DiskFull, fmt.Sprintf("SUMO reached the end, but these outputs are incomplete, as a full disk leaves them: %s. %s",
			strings.Join(f.broken, ", "), simulation.DiskFullMessage)
	case f.writeErr != nil:
		return blame(f.writeErr, "The scenario's own outputs could not be kept")
	case f.strict && len(f.errors) > 0:
		return simulation.InvalidScenario, strictMessage + f.messages()
	case f.strict && f.dropped > 0:
		return simulation.InvalidScenario, "The job is strict. " + f.unsorted()
	}
	return "", ""
}

// judgeError decides whether an error of SUMO's is the scenario's fault, SUMO's or ours.
func (f fate) judgeError(mentions func(...string) bool) (simulation.Reason, string) {
	for _, e := range f.errors {
		for _, o := range simulation.Outputs() {
			if strings.HasPrefix(e, "Could not build output file '"+resultFolder+"/"+string(o)+"/") {
				return simulation.InternalError, "SUMO could not write its outputs." + f.messages()
			}
		}
	}
	if len(f.errors) > 0 && (f.steps == 0 || f.last.time <= f.begin || mentions(lateFaults...)) {
		return simulation.InvalidScenario, "SUMO rejected the scenario: fix the errors below and resubmit." + f.where() + f.messages()
	}
	return simulation.SimulationError, fmt.Sprintf("SUMO stopped with an error (exit code %d).%s%s", f.code, f.where(), f.messages())
}

// atStart reports whether a run that failed for reason did so before it simulated anything, so that it lacks more than its recording.
func (f fate) atStart(reason simulation.Reason) bool {
	return reason != "" && f.steps == 0 || reason == simulation.InvalidScenario && f.last.time <= f.begin
}

func (f fate) stopMessage() string {
	what := "The run was stopped before its end"
	switch f.stop {
	case simulation.DeadlineExceeded:
		what = "The run was stopped because its time limit expired"
	case simulation.OutputTooLarge:
		what = "The run was stopped because it exceeded its output limit"
	case simulation.Cancelled:
		what = "The run was cancelled"
	}
	kept := "What SUMO had written by then is kept."
	if f.signal == syscall.SIGKILL {
		kept = "SUMO had to be killed, so its outputs may be cut off."
	}
	if f.stopAdvice != "" {
		kept = f.stopAdvice + " " + kept
	}
	return fmt.Sprintf("%s.%s %s", what, f.where(), kept)
}

// where says how far the simulation got, as a sentence to append.
func (f fate) where() string {
	switch {
	case f.steps == 0:
		return " The simulation had not started."
	case f.fraction > 0:
		return fmt.Sprintf(" The simulation was at %g s (%.1f %%).", f.last.time, 100*f.fraction)
	default:
		return fmt.Sprintf(" The simulation was at %g s.", f.last.time)
	}
}

// messages are SUMO's own messages, one line each, to append.
func (f fate) messages() string {
	lines := f.errors
	if len(lines) == 0 {
		lines = f.other
	}
	var b strings.Builder
	seen := map[string]bool{}
	for _, line := range lines {
		if !seen[line] {
			seen[line] = true
			b.WriteString("\n" + line)
		}
	}
	return b.String()
}
