package simulation

import (
	"strconv"
	"strings"
)

const (
	// DiskFullMessage explains DiskFull to users. A full disk is not the scenario's fault, and only the operator can fix it.
	DiskFullMessage = "The disk of the machine that ran the job is full. The operator has to free space on it; " +
		"then the job can be resubmitted unchanged."

	// ScenarioGoneMessage explains a run whose scenario was removed before it began.
	ScenarioGoneMessage = "The scenario's files are no longer in the object store. Upload the scenario again and submit a new job."

	// CancelledUnstoredMessage explains Cancelled when it came while results were being stored.
	CancelledUnstoredMessage = "The run was cancelled. The results are those that could be stored until then."
)

// Message explains to a person a run that ended for r when sumo-run has left no explanation of its own.
func (r Reason) Message() string {
	switch r {
	case "":
		return ""
	case OutOfMemory:
		return "The run ran out of memory and was killed. Submit it with a larger memory_gi, fewer outputs or less demand."
	case DiskFull:
		return DiskFullMessage
	case OutputTooLarge:
		return "The run exceeded its output limit and was stopped. Request fewer outputs, or a longer period between their entries."
	case DeadlineExceeded:
		return "The run took longer than its timeout and had to be killed. Submit it with a larger timeout_seconds, " +
			"a shorter interval or less demand."
	case Cancelled:
		return "The run was cancelled. The results are those written until then."
	case Interrupted:
		return "The run was stopped by the machine. It can be run again as it is."
	case Preempted:
		return "The run lost its machine on every attempt. Submit it again when the cluster is less busy."
	case ImagePullFailed:
		return "SUMO's image could not be fetched. Tell the operator the job's id; once the image is there, submit the job again."
	case ControllerError:
		return "The program ended with an error. The log has its output."
	case ConfinementUnavailable:
		return "The machine that was to run the program cannot confine it. The operator has to offer one with Linux 5.13 or later, and Landlock."
	case InvalidScenario, SimulationError, TooManyTeleports:
		return "SUMO did not complete the run. The log has the reason."
	default:
		return "The run could not be carried out because of a fault on our side. Submit it again; " +
			"if it fails again, tell the operator the job's id."
	}
}

// LastWords is what a failing sumo-run leaves for Kubernetes or the local engine: the reason, then the message.
func LastWords(r Reason, message string) string { return string(r) + ": " + message }

// Explain is the message of a run that ended for r and left no outcome: from sumo-run's last words, which Argo
// quotes inside its own message, or r's Message when there are none.
func (r Reason) Explain(lastWords string) string {
	if r == InternalError {
		return r.Message() // its words are for operators, who find them in the log
	}
	if _, message, found := strings.Cut(lastWords, LastWords(r, "")); found {
		if message = strings.TrimSpace(message); message != "" {
			return message
		}
	}
	return r.Message()
}

// Unstored is o for a run whose results the object store refused for good. A run that failed keeps its reason. why is the
// store's reason as a sentence that says who can fix it; empty when it is not known.
func (o Outcome) Unstored(why string) Outcome {
	if o.Succeeded() {
		o.Reason, o.Message = ResultsNotStored, "The run ended successfully."
	}
	cure := why + " Then submit the job again."
	if why == "" {
		cure = "Submit the job again; if that does not help, tell the operator the job's id."
	}
	o.Message += " Not all of its results could be stored. " + cure
	return o
}

// ParseProgress reads what sumo-run writes of its progress, "N/M", as a part of 1; anything else is 0. So is a total of
// one: Argo counts a pod that reports nothing as 0/1 and, at its end, 1/1.
func ParseProgress(text string) float64 {
	done, all, _ := strings.Cut(strings.TrimSpace(text), "/")
	n, err := strconv.ParseUint(done, 10, 32)
	m, err2 := strconv.ParseUint(all, 10, 32)
	if err != nil || err2 != nil || m <= 1 {
		return 0
	}
	return min(float64(n)/float64(m), 1)
}
