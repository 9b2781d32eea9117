package keeper_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/chunk"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/replay"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// record writes a recording of n segments as sumo-run does.
func (b *bench) record(t *testing.T, id, attempt string, n int) {
	t.Helper()
	folder := filepath.Join(b.Out, id, simulation.ReplayFolder)
	x := replay.NewIndex(attempt, replay.FromRun)
	err := os.MkdirAll(folder, 0o755)
	for i := range n {
		x.Segments = append(x.Segments, replay.Segment{N: i})
		err = errors.Join(err, os.WriteFile(filepath.Join(folder, strconv.Itoa(i)), []byte(attempt+strconv.Itoa(i)), 0o644))
	}
	text, jsonErr := json.Marshal(x)
	at := filepath.Join(folder, simulation.ReplayIndexFile)
	err = errors.Join(err, jsonErr, os.WriteFile(at+".partial", text, 0o644), os.Rename(at+".partial", at))
	if err != nil {
		t.Fatal(err)
	}
}

// object reads what the store has at a key, "" for nothing.
func (b *bench) object(t *testing.T, key string) string {
	t.Helper()
	body, err := b.objects.Open(t.Context(), key, 0, -1)
	if problem.CodeOf(err) == problem.NotFound {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// shows waits until the store has an index of n segments, and checks these.
func (b *bench) shows(t *testing.T, results, attempt string, n int) {
	t.Helper()
	b.await(t, "the recording is stored", func() bool {
		var x replay.Index
		return json.Unmarshal([]byte(b.object(t, artifact.LiveReplayIndex(results))), &x) == nil && x.Attempt == attempt && len(x.Segments) == n
	})
	for i := range n {
		if got, want := b.object(t, artifact.LiveReplaySegment(results, attempt, i)), attempt+strconv.Itoa(i); got != want {
			t.Errorf("segment %d of attempt %s is %q", i, attempt, got)
		}
	}
}

func TestTheRecordingOfARunIsStoredWhileItGoesOn(t *testing.T) {
	t.Parallel()
	b := newBench(t, "j", "quiet")
	b.List.Runs[0].Options.Replay = &simulation.Replay{}
	b.start(t)
	release := b.lock(t)
	const results = "results/ns/j/"
	b.record(t, "j", "a1", 1)
	b.record(t, "quiet", "a1", 1) // nobody asked for it
	b.shows(t, results, "a1", 1)
	b.record(t, "j", "a1", 3)
	b.shows(t, results, "a1", 3)
	// Another attempt begins anew.
	b.record(t, "j", "b2", 2)
	b.shows(t, results, "b2", 2)
	// What a program could have put there in the place of an index or a segment is not followed.
	secret := filepath.Join(t.TempDir(), "secret")
	at := filepath.Join(b.Out, "j", simulation.ReplayFolder, "2")
	if err := errors.Join(os.WriteFile(secret, []byte("secret"), 0o600), os.RemoveAll(at), os.Symlink(secret, at)); err != nil {
		t.Fatal(err)
	}
	x := replay.NewIndex("b2", replay.FromRun)
	x.Segments = make([]replay.Segment, 3)
	text, err := json.Marshal(x)
	if err == nil {
		err = os.WriteFile(filepath.Join(b.Out, "j", simulation.ReplayFolder, simulation.ReplayIndexFile), text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}

	if err := os.RemoveAll(filepath.Join(b.Out, "j", simulation.ReplayFolder)); err != nil {
		t.Fatal(err)
	}
	b.begin(t, "j", map[string]string{simulation.ReplayFile: "{}", simulation.ReplaySegmentsFile: "whole"})
	b.end(t, "j", simulation.Outcome{})
	b.await(t, "the run is stored", func() bool { return b.has(chunk.StoredFolder, "j") })
	if got := b.object(t, results+simulation.ReplaySegmentsFile); got != "whole" {
		t.Errorf("the recording of the run that has ended is %q", got)
	}
	if got := b.object(t, artifact.LiveReplaySegment(results, "b2", 2)); got != "" {
		t.Errorf("a link was followed: %q", got)
	}
	if got := b.object(t, artifact.LiveReplayIndex("results/ns/quiet/")); got != "" {
		t.Errorf("a run without a recording: %q", got)
	}
	release()
	b.Close()
	b.finished(t)
}

func TestAStoreThatFailsIsNotAskedForTheRecordingWithEveryLook(t *testing.T) {
	t.Parallel()
	b := newBench(t, "j", "a", "b")
	b.List.Runs[0].Options.Replay = &simulation.Replay{}
	began := time.Now()
	var later atomic.Int64 // how far the clock, which stands still, was put forward
	b.Now = func() time.Time { return began.Add(time.Duration(later.Load())) }
	const results = "results/ns/j/"
	var tries atomic.Int32
	b.Objects = faults{Objects: b.objects, fail: func(key string) error {
		if !strings.HasPrefix(key, artifact.LiveReplay(results)) || tries.Add(1) > 1 {
			return nil
		}
		return problem.New(problem.Unavailable, "The object store is unreachable.")
	}}
	b.start(t)
	defer b.lock(t)()
	b.record(t, "j", "a1", 1)
	b.await(t, "the store has failed", func() bool { return tries.Load() == 1 })
	for _, id := range []string{"a", "b"} { // each is found by a look of its own
		b.begin(t, id, map[string]string{simulation.LogFile: "log"})
		b.end(t, id, simulation.Outcome{})
		b.await(t, "the run is stored", func() bool { return b.has(chunk.StoredFolder, id) })
	}
	if n := tries.Load(); n != 1 {
		t.Errorf("the store was asked %d times at one moment", n)
	}
	later.Add(int64(time.Second))
	b.shows(t, results, "a1", 1)
}

func TestARunHasEndedOnceNothingOfItsRecordingIsOnTheWay(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*testing.T, *bench){
		"with results": func(t *testing.T, b *bench) {
			if err := os.RemoveAll(filepath.Join(b.Out, "j", simulation.ReplayFolder)); err != nil {
				t.Fatal(err)
			}
			b.begin(t, "j", map[string]string{simulation.LogFile: "log"})
			b.end(t, "j", simulation.Outcome{})
		},
		"with nothing left": func(t *testing.T, b *bench) {
			b.Cancel("j")
			if err := os.RemoveAll(filepath.Join(b.Out, "j")); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "j")
			b.List.Runs[0].Options.Replay = &simulation.Replay{}
			var arrived atomic.Bool
			sending, ended := make(chan struct{}), make(chan struct{})
			closeEnded := sync.OnceFunc(func() { close(ended) })
			b.Objects = faults{Objects: b.objects, fail: func(key string) error {
				if key == artifact.LiveReplayIndex("results/ns/j/") {
					close(sending)
					select {
					case <-ended:
					case <-time.After(time.Second): // far longer than the end takes to be reported
					}
					arrived.Store(true)
				}
				return nil
			}}
			report := b.Report
			b.Report = func(ctx context.Context, s chunk.State) error {
				if s.Runs["j"].Ended() {
					if !arrived.Load() {
						t.Error("the end is reported while the recording is sent")
					}
					closeEnded()
				}
				return report(ctx, s)
			}
			b.start(t)
			defer b.lock(t)()
			b.record(t, "j", "a1", 1)
			<-sending
			end(t, b)
			b.await(t, "the run is stored", func() bool { return b.has(chunk.StoredFolder, "j") })
		})
	}
}

func TestWhatIsLeftOfARecordingIsNoResult(t *testing.T) {
	t.Parallel()
	b := newBench(t, "j", "own")
	b.List.Runs[0].Options.Replay = &simulation.Replay{}
	b.begin(t, "j", map[string]string{simulation.LogFile: "log", "tripinfo.xml": "trips"})
	b.record(t, "j", "a1", simulation.MaxOwnFiles+200) // more than there may be results
	b.end(t, "j", simulation.Outcome{})
	// Nothing records this run, so that the folder is its scenario's.
	b.begin(t, "own", map[string]string{simulation.LogFile: "log", simulation.ReplayFolder + "/tripinfo.xml": "trips"})
	b.end(t, "own", simulation.Outcome{})
	b.start(t)
	for id, trips := range map[string]string{"j": "tripinfo.xml", "own": simulation.ReplayFolder + "/tripinfo.xml"} {
		b.await(t, "the run is stored", func() bool { return b.has(chunk.StoredFolder, id) })
		var names []string
		for _, f := range b.last().Runs[id].Results {
			names = append(names, f.Name)
		}
		want := []string{simulation.LogFile, simulation.OutcomeFile, trips}
		slices.Sort(want)
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("the results of %s (-want +got):\n%s", id, diff)
		}
	}
}
