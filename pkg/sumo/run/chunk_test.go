package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/chunk"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
)

// keeper is a small one, which follows the protocol of package chunk and keeps results in memory.
type keeper struct {
	t         testing.TB
	out, desk string
	refuses   func(run string) bool // nil for none

	mu     sync.Mutex
	stored map[string]results
	twice  []string // runs that were handed over again
}

// results are the files of a run by name.
type results map[string]string

func (r results) outcome(t testing.TB) (o simulation.Outcome) {
	t.Helper()
	if err := json.Unmarshal([]byte(r[simulation.OutcomeFile]), &o); err != nil {
		t.Fatalf("%v: %q", err, r[simulation.OutcomeFile])
	}
	return o
}

// put writes a file of the desk by a rename.
func (k *keeper) put(name string, v any) {
	text, err := json.Marshal(v)
	name = filepath.Join(k.desk, name)
	if err = errors.Join(err, os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name+"~", text, 0o644), os.Rename(name+"~", name)); err != nil {
		k.t.Error(err)
	}
}

func (k *keeper) cancel(run string) { k.put(filepath.Join(chunk.CancelFolder, run), nil) }

// open says that the keeper is ready, with what it has stored already.
func (k *keeper) open() {
	skip := []string{}
	k.mu.Lock()
	for run := range k.stored {
		skip = append(skip, run)
	}
	k.mu.Unlock()
	k.put(chunk.AliveFile, nil)
	k.put(chunk.ReadyFile, chunk.Ready{Skip: skip})
}

// serve stores runs until end is closed.
func (k *keeper) serve(end <-chan struct{}) {
	for tick := time.NewTicker(2 * time.Millisecond); ; {
		k.look()
		select {
		case <-end:
			return
		case <-tick.C:
		}
	}
}

func (k *keeper) look() {
	entries, _ := os.ReadDir(k.out)
	for _, e := range entries {
		folder := filepath.Join(k.out, e.Name())
		_, err := os.Stat(filepath.Join(folder, simulation.OutcomeFile))
		_, done := os.Lstat(filepath.Join(k.desk, chunk.StoredFolder, e.Name()))
		if err != nil || done == nil || k.refuses != nil && k.refuses(e.Name()) {
			continue
		}
		files := results{}
		err = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			name, _ := filepath.Rel(folder, path)
			files[name] = string(text)
			return err
		})
		if err != nil {
			k.t.Errorf("a run has changed after its end: %v", err)
		}
		k.mu.Lock()
		if _, again := k.stored[e.Name()]; again {
			k.twice = append(k.twice, e.Name())
		}
		k.stored[e.Name()] = files
		k.mu.Unlock()
		k.put(filepath.Join(chunk.StoredFolder, e.Name()), chunk.RunState{})
	}
}

// chunkOf is a chunk of n runs of the newest SUMO on a scenario, with seeds from 1 on, and its keeper, which is ready.
func chunkOf(t testing.TB, zip string, n, parallel int) (Chunk, *keeper) {
	t.Helper()
	return chunkWith(t, sumotest.Newest(t), zip, n, parallel)
}

func chunkWith(t testing.TB, sumo release.Installation, zip string, n, parallel int) (Chunk, *keeper) {
	t.Helper()
	r := newRunOf(t, sumo)
	r.Scenario = zip
	dir := filepath.Dir(r.Work)
	c := Chunk{Common: r, Desk: filepath.Join(dir, "desk"), List: chunk.List{Generation: chunk.Generation, ID: "c", Parallel: parallel}}
	for i := range n {
		seed := int64(i + 1)
		c.List.Runs = append(c.List.Runs, chunk.Run{ID: fmt.Sprintf("r%03d", seed), Options: simulation.Options{Seed: &seed}, Pack: true})
	}
	k := &keeper{t: t, out: r.Out, desk: c.Desk, stored: map[string]results{}}
	k.open()
	return c, k
}

// do carries out a chunk beside its keeper.
func (k *keeper) do(c Chunk) simulation.Outcome {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		k.serve(end)
		close(ended)
	}()
	outcome := c.Do(k.t.Context())
	close(end)
	<-ended
	return outcome
}

func TestAChunkHandsOverEachOfItsRuns(t *testing.T) {
	t.Parallel()
	sumotest.Each(t, func(t *testing.T, sumo release.Installation) {
		c, k := chunkWith(t, sumo, zipped(t, road(t, "", someDemand)), 5, 2)
		c.List.Runs[1].Options.ConfigFile = "nowhere.sumocfg"
		var console strings.Builder
		c.Common.Console = &console
		if outcome := k.do(c); !outcome.Succeeded() {
			t.Fatalf("%s: %s", outcome.Reason, outcome.Message)
		}
		for _, run := range c.List.Runs {
			got := k.stored[run.ID].outcome(t)
			want := simulation.Reason("")
			if run.Options.ConfigFile != "" {
				want = simulation.InvalidScenario
			}
			if got.Reason != want {
				t.Errorf("%s: %s: %s", run.ID, got.Reason, got.Message)
			}
			if want == "" && !strings.Contains(k.stored[run.ID][simulation.LogFile], fmt.Sprintf("seed %d", *run.Options.Seed)) {
				t.Errorf("%s has another's log:\n%s", run.ID, k.stored[run.ID][simulation.LogFile])
			}
		}
		if text, err := os.ReadFile(c.Common.ProgressFile); err != nil || string(text) != "5000/5000" {
			t.Errorf("progress %q, %v", text, err)
		}
		if lines := strings.Count(console.String(), "\n"); lines != 10 {
			t.Errorf("the console has %d lines:\n%s", lines, console.String())
		}
		entries, err := os.ReadDir(c.Common.Out)
		if err != nil || len(entries) != 1 || entries[0].Name() != lockFile {
			t.Errorf("left in the output folder: %v, %v", entries, err)
		}
		if left, err := os.ReadDir(filepath.Join(c.Common.Work, runsFolder)); len(left) > 0 {
			t.Errorf("left in the work folder: %v, %v", left, err)
		}
	})
}
