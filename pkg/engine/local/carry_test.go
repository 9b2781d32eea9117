package local

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/chunk"
)

func TestAnEngineThatClosesWaitsForRunsAndNotForTheStore(t *testing.T) {
	t.Parallel()
	tk := &task{dir: filepath.Join(t.TempDir(), "[runs]")}
	if err := os.MkdirAll(tk.file(outFolder), 0o700); err != nil {
		t.Fatal(err)
	}
	add := func(id string, goesOn bool) *run {
		r := &run{Run: chunk.Run{ID: id}}
		tk.runs = append(tk.runs, r)
		if goesOn {
			if err := os.WriteFile(tk.progress(r), []byte("1/1000"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return r
	}
	w := watch{Engine: &Engine{}, task: tk}
	add("next", false)
	add("lost", true).lost = true // with a sumo-run that was killed
	ended := add("ended", false)
	if w.onlyWaits() {
		t.Error("nothing waits for the store")
	}
	ended.waits = true
	if !w.onlyWaits() {
		t.Error("a run that was lost counts as one that goes on")
	}
	add("going", true)
	if w.onlyWaits() {
		t.Error("a run that goes on does not count")
	}
}
