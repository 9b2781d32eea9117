package local_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/confine"
	"github.com/sumo-k8/sumo-k8/pkg/engine/local"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/process"
	"github.com/sumo-k8/sumo-k8/pkg/process/processtest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

// asEngine makes this test binary an engine that can be killed.
const asEngine = "LOCAL_ENGINE"

// deployment is what survives the engine's process. Its record of ends is a folder with a file for each job.
type deployment struct {
	Objects s3.Config
	Engine  local.Config
	Chunk   job.Chunk
	Record  string
}

// serve carries out the chunk as reconcile would have it: ends are recorded, and what is lost is started again.
func (d deployment) serve(ctx context.Context) error {
	objects, err := s3.New(d.Objects)
	if err != nil {
		return err
	}
	e, err := local.New(d.Engine, objects, time.Now, zerolog.Nop())
	if err != nil {
		return err
	}
	recorded := func(id string) bool { return exists(d.Record, id) }
	for ; ; <-e.Changed() {
		seen, err := e.Observe(ctx)
		if err != nil {
			return err
		}
		known := false
		for _, s := range seen {
			for _, o := range s.Runs {
				if o.State.Terminal() && !recorded(o.JobID) {
					if err := d.record(o); err != nil {
						return err
					}
				}
			}
			if known = !s.Ended; s.Ended {
				if err := e.Forget(ctx, []string{s.ChunkID}); err != nil {
					return err
				}
			}
		}
		left := d.Chunk
		left.Jobs = slices.DeleteFunc(slices.Clone(d.Chunk.Jobs), func(j job.Job) bool { return recorded(j.ID) })
		if len(left.Jobs) == 0 && !known {
			closing, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			return e.Close(closing)
		}
		if !known {
			if err := e.Start(ctx, left); err != nil {
				return err
			}
		}
	}
}

func (d deployment) record(o job.Observation) error {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	fresh := filepath.Join(d.Record, o.JobID+".new")
	if err := os.WriteFile(fresh, text, 0o600); err != nil {
		return err
	}
	return os.Rename(fresh, filepath.Join(d.Record, o.JobID))
}

func (d deployment) start(t *testing.T) *process.Process {
	t.Helper()
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env, cmd.Stderr = append(os.Environ(), asEngine+"="+string(text)), os.Stderr
	p, err := process.Start(cmd, process.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

// sumoRuns are the processes below pid that are sumo-run's.
func sumoRuns(pid int) (found []int) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for _, child := range strings.Fields(string(text)) {
			name, _ := os.ReadFile("/proc/" + child + "/comm")
			if n, err := strconv.Atoi(child); err == nil && strings.TrimSpace(string(name)) == "sumo-run" {
				found = append(found, n)
			}
		}
	}
	return found
}

// TestAChunkSurvivesKillsAtRandomMoments runs SUMO. Kills meet the engine's process or sumo-run alone; in the end every run has ended once
// with the results of an undisturbed one, and no more was repeated than what was at work at a kill.
func TestAChunkSurvivesKillsAtRandomMoments(t *testing.T) {
	t.Parallel()
	const runs, kills, parallel = 50, 8, 2
	settings := localtest.Bucket(t)
	store, err := s3.New(settings)
	if err != nil {
		t.Fatal(err)
	}
	r := newReal(t, "square", store)
	undisturbed := r.study("undisturbed", 1, runs)
	if err := r.Start(t.Context(), undisturbed); err != nil {
		t.Fatal(err)
	}

	// SUMO's starts are counted by a program in its place, which no wall keeps from writing.
	scratch := t.TempDir()
	counted := r.sumo
	counted.Binary = filepath.Join(scratch, "sumo")
	started := filepath.Join(scratch, "started")
	script := fmt.Sprintf("#!/bin/sh\necho x >>'%s'\nexec '%s' \"$@\"\n", started, r.sumo.Binary)
	processtest.WriteProgram(t, counted.Binary, script)
	d := deployment{Objects: settings, Engine: r.cfg, Chunk: r.study("disturbed", 1, runs), Record: filepath.Join(scratch, "record")}
	d.Engine.Dir, d.Engine.Confinement = filepath.Join(localtest.Folder(t), "runs"), confine.Off
	d.Engine.Installations = []release.Installation{counted}
	if err := os.Mkdir(d.Record, 0o700); err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	engine := d.start(t)
	met := 0
	for range kills {
		select {
		case <-engine.Done():
		case <-time.After(time.Duration(random.IntN(1000)) * time.Millisecond):
		}
		if random.IntN(2) == 0 {
			for _, pid := range sumoRuns(engine.Pid()) {
				if p, err := os.FindProcess(pid); err == nil && p.Kill() == nil {
					met++
				}
			}
			continue
		}
		engine.Kill()
		_ = engine.Wait()
		met++
		engine = d.start(t)
	}
	select {
	case <-engine.Done():
		if err := engine.Wait(); err != nil {
			t.Errorf("the engine ended with %v", err)
		}
	case <-time.After(4 * patience):
		t.Fatal("the chunk does not end")
	}
	want := r.seeEnded(t, undisturbed.ID)
	for i, j := range d.Chunk.Jobs {
		var o job.Observation
		text, err := os.ReadFile(filepath.Join(d.Record, j.ID))
		if err == nil {
			err = json.Unmarshal(text, &o)
		}
		if err != nil {
			t.Errorf("no end of %s is on record: %v", j.ID, err)
			continue
		}
		w := want.Of(undisturbed.Jobs[i].ID)
		if o.State != job.Succeeded || w.State != job.Succeeded {
			t.Errorf("%s ended %s %q, undisturbed %s %q", j.ID, o.State, o.Message, w.State, w.Message)
			continue
		}
		timeless := cmpopts.IgnoreSliceElements(func(m simulation.Metric) bool {
			return slices.Contains([]string{"wall_time", "real_time_factor", "vehicle_updates_per_second"}, m.Name)
		})
		if diff := cmp.Diff(w.Summary, o.Summary, timeless); diff != "" {
			t.Errorf("the summary of %s (-undisturbed +disturbed):\n%s", j.ID, diff)
		}
		if diff := cmp.Diff(names(w.Results), names(o.Results)); diff != "" {
			t.Errorf("results of %s (-undisturbed +disturbed):\n%s", j.ID, diff)
			continue
		}
		for k, f := range o.Results {
			if !slices.Contains([]string{"tripinfo.xml", "summary.xml", "statistics.xml"}, f.Name) {
				continue // has times of the day
			}
			got, want := r.text(t, j, f), r.text(t, undisturbed.Jobs[i], w.Results[k])
			if !bytes.Equal(got, want) {
				t.Errorf("%s of %s differs from that of an undisturbed run", f.Name, j.ID)
			}
		}
	}
	text, err := os.ReadFile(started)
	if starts := len(strings.Fields(string(text))); err != nil || starts < runs || starts > runs+met*parallel {
		t.Errorf("SUMO was started %d times for %d runs, with %d kills (%v)", starts, runs, met, err)
	} else {
		t.Logf("SUMO was started %d times for %d runs, with %d kills", starts, runs, met)
	}
}

// ofMachine is what SUMO writes of the machine, the time and the paths.
var ofMachine = regexp.MustCompile(`(?s)<!--.*?-->|<performance .*?/>|duration="[^"]*"`)

// text is a packed result without what differs between equal runs.
func (r *real) text(t *testing.T, j job.Job, f job.ResultFile) []byte {
	t.Helper()
	key := j.ResultsKey + artifact.PackFile
	if f.Offset == 0 {
		key = j.ResultsKey + f.Name
	}
	b := bench{objects: r.objects}
	return ofMachine.ReplaceAll([]byte(b.read(t, key, f.Offset, f.Size)), nil)
}

func (r *real) seeEnded(t *testing.T, id string) job.Sight {
	t.Helper()
	b := bench{Engine: r.Engine}
	return b.seeEnded(t, id)
}
