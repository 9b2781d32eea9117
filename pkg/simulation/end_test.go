package simulation

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEachEndHasAMessageThatSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for reason, want := range map[Reason]string{
		OutOfMemory: "memory_gi", DiskFull: "operator has to free space", OutputTooLarge: "fewer outputs", DeadlineExceeded: "timeout_seconds",
		Cancelled: "was cancelled", Interrupted: "can be run again", Preempted: "Submit it again", ImagePullFailed: "operator",
		InternalError: "our side", SimulationError: "The log has the reason", "Unheard": "our side",
	} {
		if got := reason.Message(); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q in it", reason, got, want)
		}
	}
	if got := Reason("").Message(); got != "" {
		t.Errorf("success: %q", got)
	}
}

func TestLastWordsExplainAnEnd(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		reason    Reason
		lastWords string
		want      string
	}{
		{"as sumo-run wrote them", SimulationError, LastWords(SimulationError, "SUMO stopped with an error."), "SUMO stopped with an error."},
		{"as Argo quotes them", SimulationError, "main: Error (exit code 20): SimulationError: SUMO stopped.", "SUMO stopped."},
		{"of several lines", InvalidScenario, "InvalidScenario: two faults\na.xml:1: one\n", "two faults\na.xml:1: one"},
		{"of another reason", DiskFull, "main: Error (exit code 20): SimulationError: SUMO stopped.", DiskFullMessage},
		{"none", DiskFull, "", DiskFullMessage},
		{"cut short", SimulationError, "SimulationError: ", SimulationError.Message()},
		{"a fault of ours", InternalError, "InternalError: --options: unknown field", InternalError.Message()},
	} {
		if got := tt.reason.Explain(tt.lastWords); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestARunWhoseResultsAreRefusedSaysWhyAndKeepsItsOwnFailure(t *testing.T) {
	t.Parallel()
	const full = "The object store is full; the operator must free space."
	for _, tt := range []struct {
		name string
		end  Outcome
		why  string
		want Outcome
	}{
		{"success", Outcome{}, full, Outcome{Reason: ResultsNotStored,
			Message: "The run ended successfully. Not all of its results could be stored. " + full + " Then submit the job again."}},
		{"success, for a reason that is not known", Outcome{}, "", Outcome{Reason: ResultsNotStored,
			Message: "The run ended successfully. Not all of its results could be stored. " +
				"Submit the job again; if that does not help, tell the operator the job's id."}},
		{"failure", Outcome{Reason: SimulationError, Message: "SUMO stopped."}, full, Outcome{Reason: SimulationError,
			Message: "SUMO stopped. Not all of its results could be stored. " + full + " Then submit the job again."}},
	} {
		if diff := cmp.Diff(tt.want, tt.end.Unstored(tt.why)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestProgressIsAPartOfOne(t *testing.T) {
	t.Parallel()
	if got := ParseProgress("250/1000\n"); got != 0.25 {
		t.Errorf("with a newline it reads as %v", got)
	}
	for text, want := range map[string]float64{
		"0/1000": 0, "250/1000": 0.25, "1000/1000": 1, "1001/1000": 1, "1/2": 0.5,
		"": 0, "/": 0, "250": 0, "250/": 0, "-1/1000": 0, "1/-2": 0, "1/0": 0, "x/1000": 0, "0.5/1": 0, "5000000000/6000000000": 0,
		"0/1": 0, "1/1": 0, // Argo's own
	} {
		if got := ParseProgress(text); got != want {
			t.Errorf("%q reads as %v, want %v", text, got, want)
		}
	}
}
