package run

import (
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
)

// A chunk's runs share one checked copy of the scenario, of which a program changes only its own.
func TestProgramsOfAChunkHaveCopiesOfTheirOwn(t *testing.T) {
	t.Parallel()
	const text = `
with open("shared.txt") as f:
    assert f.read() == "as uploaded", "another run has changed it"
with open("shared.txt", "w") as f:
    f.write("changed")
`
	first := programRun(t, sumotest.Newest(t), map[string]string{"control.py": text, "shared.txt": "as uploaded"})
	first.Options.Controller = &simulation.Controller{File: "control.py", Interface: simulation.TraCI}
	kept := &library{folder: t.TempDir()}
	first.shared = kept.files(first)
	second := newRun(t)
	second.Python, second.Scenario, second.Options, second.shared = first.Python, first.Scenario, first.Options, first.shared
	known := proofs{}
	for _, r := range []Run{first, second} {
		outcome := known.carryOut(t.Context(), r, false, kept.open)
		got := result{outcome, r}
		if !outcome.Succeeded() {
			t.Fatalf("%s: %s\n%s", outcome.Reason, outcome.Message, got.read(t, simulation.LogFile))
		}
		if text := got.read(t, "shared.txt"); text != "changed" {
			t.Errorf("the changed file is a result with %q", text)
		}
	}
	if len(known.valid) > 0 {
		t.Error("a program's run counts as proof that XML is valid")
	}
	plain := first
	plain.Options.Controller = nil
	if kept.name(plain) == kept.name(first) {
		t.Error("a plain run gets a program's copy of the scenario")
	}
}
