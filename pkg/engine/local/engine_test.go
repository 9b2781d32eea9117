package local_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/engine/local"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

func TestMain(m *testing.M) {
	if os.Getenv(asStub) != "" {
		os.Exit(runStub())
	}
	if text := os.Getenv(asEngine); text != "" {
		var d deployment
		err := json.Unmarshal([]byte(text), &d)
		if err == nil {
			err = d.serve(context.Background())
		}
		if err != nil {
			panic(err)
		}
		return
	}
	localtest.Main(m)
}

// patience is far more than any step of a test takes, even on a busy machine.
const patience = 2 * time.Minute

// tooLong is what the engine gives runs that hang in tests beyond their timeout of a second: enough for those beside them to begin and end.
const tooLong = 10 * time.Second

// bench is an engine on a real object store, whose runs are shell scripts (see stub).
type bench struct {
	*local.Engine
	cfg     local.Config
	objects artifact.Store
	scratch string // a folder for scripts to leave traces in
}

func newBench(t *testing.T, change func(*local.Config)) *bench {
	t.Helper()
	store, err := s3.New(localtest.Bucket(t))
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{objects: store, scratch: t.TempDir()}
	b.cfg = local.Config{
		Dir: filepath.Join(t.TempDir(), "runs"), SumoRun: program, Slots: 4, StopGrace: patience,
		Env: []string{asStub + "=1", "SCRATCH=" + b.scratch},
	}
	if change != nil {
		change(&b.cfg)
	}
	b.open(t)
	return b
}

// open starts an engine on the folder and the objects of b.
func (b *bench) open(t *testing.T) {
	t.Helper()
	e, err := local.New(b.cfg, b.objects, time.Now, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // what still runs is killed
		_ = e.Close(ctx)
	})
	b.Engine = e
}

func (b *bench) close(t *testing.T) {
	t.Helper()
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// start hands over a job that runs script.
func (b *bench) start(t *testing.T, id, script string, change func(*job.Job)) job.Job {
	t.Helper()
	j := job.Job{
		ID: id, Namespace: "sumo-t", ScenarioKey: artifact.ScenarioKey("sumo-t", id), MemoryGi: 1, TimeoutSeconds: 60,
		SubmittedAt: time.Now(), ResultsKey: artifact.ResultsOf("sumo-t", id),
	}
	if change != nil {
		change(&j)
	}
	if script != "" {
		if _, err := b.objects.Put(t.Context(), j.ScenarioKey, strings.NewReader(script), "application/zip"); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Start(t.Context(), job.Single(j)); err != nil {
		t.Fatal(err)
	}
	return j
}

// see waits until is accepts the run, and returns what is seen of it then.
func (b *bench) see(t *testing.T, id, what string, is func(job.Observation, bool) bool) job.Observation {
	t.Helper()
	deadline := time.After(patience)
	for {
		seen, err := b.Observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		o, known := of(seen, id)
		if is(o, known) {
			return o
		}
		select {
		case <-b.Changed():
		case <-deadline:
			t.Fatalf("run %s is not %s: %+v", id, what, o)
		}
	}
}

// seeChunk waits until is accepts the chunk.
func (b *bench) seeChunk(t *testing.T, id, what string, is func(job.Sight) bool) job.Sight {
	t.Helper()
	deadline := time.After(patience)
	for {
		seen, err := b.Observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(seen, func(s job.Sight) bool { return s.ChunkID == id })
		if at >= 0 && is(seen[at]) {
			return seen[at]
		}
		select {
		case <-b.Changed():
		case <-deadline:
			t.Fatalf("chunk %s is not %s: %+v", id, what, seen)
		}
	}
}

// folders lists those of the chunks.
func (b *bench) folders() (names []string, err error) {
	entries, err := os.ReadDir(b.cfg.Dir)
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), ".") {
			names = append(names, entry.Name())
		}
	}
	return names, err
}

// of returns what is seen of a job that is a chunk of its own.
func of(seen []job.Sight, id string) (o job.Observation, known bool) {
	at := slices.IndexFunc(seen, func(s job.Sight) bool { return s.ChunkID == id })
	if at < 0 {
		return job.Observation{}, false
	}
	return seen[at].Of(id), true
}

func (b *bench) seeState(t *testing.T, id string, want job.State) job.Observation {
	t.Helper()
	return b.see(t, id, string(want), func(o job.Observation, _ bool) bool { return o.State == want })
}

func (b *bench) seeEnd(t *testing.T, id string) job.Observation {
	t.Helper()
	return b.see(t, id, "finished", func(o job.Observation, _ bool) bool { return o.State.Terminal() })
}

// trace waits for a file that a script leaves in its scratch folder.
func (b *bench) trace(t *testing.T, name string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(b.scratch, name)); err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("no script left %s", name)
		}
	}
}

// allow makes the file that a script waits for.
func (b *bench) allow(t *testing.T, name string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(b.scratch, name), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) traces(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(b.scratch, name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(text))
}

// traceLines waits until scripts have left n lines in a file.
func (b *bench) traceLines(t *testing.T, name string, n int) {
	t.Helper()
	b.trace(t, name)
	for end := time.Now().Add(patience); len(b.traces(t, name)) < n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("scripts left %d lines in %s, want %d", len(b.traces(t, name)), name, n)
		}
	}
}

// stored returns the results of a job in the object store, by name.
func (b *bench) stored(t *testing.T, j job.Job) map[string]string {
	t.Helper()
	prefix := artifact.ResultsOf(j.Namespace, j.ID)
	found := map[string]string{}
	err := b.objects.List(t.Context(), prefix, func(o artifact.Object) bool {
		body, err := b.objects.Open(t.Context(), o.Key, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		text, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		found[strings.TrimPrefix(o.Key, prefix)] = string(text)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func names(results []job.ResultFile) []string {
	var list []string
	for _, r := range results {
		list = append(list, r.Name)
	}
	return list
}

func TestHowRunsEnd(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		script      string
		state       job.State
		reason      simulation.Reason
		message     string // a part of it
		wantResults []string
	}{
		{
			name: "a run that succeeds", script: `echo hello >"$out/log.txt"; finish ""`,
			state: job.Succeeded, message: "reported by the run", wantResults: []string{"log.txt", "outcome.json"},
		}, {
			name: "a run that reports why it failed", script: `finish InvalidScenario; exit 10`,
			state: job.Failed, reason: simulation.InvalidScenario, message: "reported by the run", wantResults: []string{"outcome.json"},
		}, {
			name:   "results in folders, and no links",
			script: `mkdir -p "$out/a/b"; echo 1 >"$out/a/b/c.xml"; ln -s /etc/passwd "$out/link"; finish ""`,
			state:  job.Succeeded, wantResults: []string{"a/b/c.xml", "outcome.json"},
		}, {
			name:   "a run that could only leave its exit code and a message",
			script: `echo "DiskFull: the disk is full" >"$termination_log"; exit 23`,
			state:  job.Failed, reason: simulation.DiskFull, message: "the disk is full", wantResults: []string{"outcome.json"},
		}, {
			name: "a run that had no room for a message", script: `exit 23`,
			state: job.Failed, reason: simulation.DiskFull, message: "The operator has to free space", wantResults: []string{"outcome.json"},
		}, {
			name: "a run killed for its memory", script: `echo part >"$out/summary.xml"; kill -9 $$`,
			state: job.Failed, reason: simulation.OutOfMemory, message: "larger memory_gi", wantResults: []string{"outcome.json", "summary.xml"},
		}, {
			name: "a run that crashes", script: `exit 2`,
			state: job.Failed, reason: simulation.InternalError, message: "fault on our side", wantResults: []string{"outcome.json"},
		}, {
			name: "a run that ends well and reports nothing", script: `exit 0`,
			state: job.Failed, reason: simulation.InternalError, message: "fault on our side", wantResults: []string{"outcome.json"},
		}, {
			name:  "a run whose scenario is missing",
			state: job.Failed, reason: simulation.InternalError, message: "Upload the scenario again", wantResults: []string{"outcome.json"},
		},
	}
	b := newBench(t, nil)
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := b.start(t, fmt.Sprintf("job-%d", i), tt.script, nil)
			o := b.seeEnd(t, j.ID)
			if o.State != tt.state || o.Reason != tt.reason || !strings.Contains(o.Message, tt.message) {
				t.Errorf("ended %s %s %q, want %s %s %q", o.State, o.Reason, o.Message, tt.state, tt.reason, tt.message)
			}
			if diff := cmp.Diff(tt.wantResults, names(o.Results)); diff != "" {
				t.Errorf("results (-want +got):\n%s", diff)
			}
			stored := b.stored(t, j)
			if diff := cmp.Diff(tt.wantResults, slices.Sorted(maps.Keys(stored))); diff != "" {
				t.Errorf("objects (-want +got):\n%s", diff)
			}
			for _, r := range o.Results {
				if int(r.Size) != len(stored[r.Name]) {
					t.Errorf("%s has %d bytes, reported as %d", r.Name, len(stored[r.Name]), r.Size)
				}
			}
			if o.FinishedAt == nil || o.FinishedAt.IsZero() || o.StartedAt == nil || o.StartedAt.IsZero() {
				t.Errorf("started at %v, finished at %v, want both known", o.StartedAt, o.FinishedAt)
			}
			if o.StoredAt == nil || o.StoredAt.Before(*o.FinishedAt) {
				t.Errorf("finished at %v, stored at %v", o.FinishedAt, o.StoredAt)
			}
		})
	}
}

func TestARunThatCannotBeginOnAFullDiskReportsIt(t *testing.T) {
	t.Parallel()
	disk := t.TempDir()
	if err := syscall.Mount("sumo-k8-test", disk, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("only root can make a small disk: %v", err)
	}
	t.Cleanup(func() {
		// A process that another test is forking at this moment may have a file there open still.
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	b := newBench(t, func(c *local.Config) { c.Dir = disk })
	b.start(t, "large", "finish ''\n# "+strings.Repeat("x", 1<<20), nil)
	o := b.seeEnd(t, "large")
	if o.State != job.Failed || o.Reason != simulation.DiskFull || !strings.Contains(o.Message, "The operator has to free space") {
		t.Errorf("ended %s %s %q", o.State, o.Reason, o.Message)
	}
}

func TestWhatHeldARunIsReportedWithItsEnd(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	j := b.start(
		t, "j",
		`echo '{"started_at":"2026-05-04T12:00:00Z","confinement":{"landlock":7,"namespace":false,"filter":true,"user":true}}' >"$outcome"`,
		nil,
	)
	o := b.seeEnd(t, j.ID)
	if diff := cmp.Diff(&simulation.Confinement{Landlock: 7, Filter: true, User: true}, o.Confinement); diff != "" {
		t.Errorf("confinement (-want +got):\n%s", diff)
	}
}

func TestARunFindsTheVersionOfItsJobAndOutputsHaveRoles(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *local.Config) {
		c.Installations = []release.Installation{{Version: "1.15"}, {Version: "1.28", Binary: "/opt/1.28/bin/sumo", Home: "/opt/1.28"}}
		c.Python = map[string]release.Python{"1.28": {Interpreter: "/usr/bin/python3", Path: []string{"/opt/a", "/opt/b"}}}
	})
	const script = `echo "$SUMO_VERSION $SUMO_BINARY $SUMO_HOME $SUMO_PYTHON $SUMO_PYTHONPATH" >"$out/a.txt"; echo x >"$out/mine.xml"` + "\n" +
		`echo '{"started_at":"2026-05-04T12:00:00Z","files":{"summary":"mine.xml","tripinfo":"mine.xml"},` +
		`"warnings":["w","w"],"problems":[{"message":"p"}]}' >"$outcome"`
	for version, want := range map[string]string{
		"1.15": "1.15    \n", "1.28": "1.28 /opt/1.28/bin/sumo /opt/1.28 /usr/bin/python3 /opt/a:/opt/b\n", "": "    \n",
	} {
		j := b.start(t, "on-"+version, script, func(j *job.Job) { j.Options.SumoVersion = version })
		o := b.seeEnd(t, j.ID)
		if got := b.stored(t, j)["a.txt"]; got != want {
			t.Errorf("a job on %q gets %q, want %q", version, got, want)
		}
		roles := map[string][]simulation.Output{}
		for _, r := range o.Results {
			if roles[r.Name] = r.Roles; r.Roles == nil {
				t.Errorf("%s has no roles on record", r.Name)
			}
		}
		want := map[string][]simulation.Output{
			"mine.xml": {simulation.OutputSummary, simulation.OutputTripinfo}, "a.txt": {}, "outcome.json": {},
		}
		if diff := cmp.Diff(want, roles); diff != "" {
			t.Errorf("roles (-want +got):\n%s", diff)
		}
		if len(o.Warnings) != 1 || len(o.Problems) != 1 {
			t.Errorf("the end has the warnings %q and the problems %v", o.Warnings, o.Problems)
		}
	}
	j := b.start(t, "gone", script, func(j *job.Job) { j.Options.SumoVersion = "1.20" })
	if o := b.seeEnd(t, j.ID); o.Reason != simulation.InternalError {
		t.Errorf("a version that is not installed ends %s %q", o.State, o.Reason)
	}
}

func TestARunThatIgnoresItsTimeoutIsKilled(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *local.Config) { c.StopGrace = tooLong })
	scripts := map[string]string{
		"slow":  `trap '' TERM; echo part >"$out/log.txt"; sleep 200`,
		"stuck": `trap '' TERM; rm -r "$out"; sleep 200`, // before it has made its folder
	}
	for id, script := range scripts {
		b.start(t, id, script, func(j *job.Job) { j.TimeoutSeconds = 1 })
	}
	for id, want := range map[string][]string{"slow": {"log.txt", "outcome.json"}, "stuck": {"outcome.json"}} {
		o := b.seeEnd(t, id)
		if o.State != job.Failed || o.Reason != simulation.DeadlineExceeded || !strings.Contains(o.Message, "timeout_seconds") {
			t.Errorf("%s ended %s %s %q, want FAILED DeadlineExceeded with the cure", id, o.State, o.Reason, o.Message)
		}
		if diff := cmp.Diff(want, names(o.Results)); diff != "" {
			t.Errorf("results of %s (-want +got):\n%s", id, diff)
		}
	}
}

// Its keeper ends when the output folder cannot be read, and the run is killed with it: it has neither failed nor taken the memory.
func TestARunWhoseKeeperFailsIsLost(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.start(t, "unkept", `: >"$SCRATCH/unkept"; wait_for "$SCRATCH/go"; rm -r "${out%/*}"; sleep 200`, nil)
	b.seeState(t, "unkept", job.Running)
	if err := os.WriteFile(filepath.Join(b.scratch, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b.see(t, "unkept", "lost", func(o job.Observation, known bool) bool {
		if o.State.Terminal() {
			t.Fatalf("ended %s %s %q", o.State, o.Reason, o.Message)
		}
		return !known || o.State == ""
	})
}

func TestRunsGetTheirOptionsAndLimits(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *local.Config) { c.MaxOutput = 5 << 30 })
	seed := int64(42)
	j := b.start(t, "given", `
		[ -d "$work" ] && echo "$options" "$timeout" >"$out/given.txt"
		env | cut -d= -f1 | sort | tr '\n' ' ' >"$out/env.txt"
		echo "$confinement $memory $output" >"$out/limits.txt"
		finish ""`, func(j *job.Job) { j.Options = simulation.Options{Seed: &seed}; j.MemoryGi = 2 })
	b.seeEnd(t, j.ID)
	got := b.stored(t, j)
	if want := "{\"seed\":42} 60\n"; got["given.txt"] != want {
		t.Errorf("given %q, want %q", got["given.txt"], want)
	}
	for _, name := range strings.Fields(got["env.txt"]) {
		if !slices.Contains([]string{"PATH", "SCRATCH", "PWD", "OLDPWD", "SHLVL", "_"}, name) {
			t.Errorf("the run sees %s in its environment", name)
		}
	}
	if want := fmt.Sprintln("require", 2<<30+256<<20, 5<<30); got["limits.txt"] != want {
		t.Errorf("limits are %q, want %q", got["limits.txt"], want)
	}
}

func TestSlotsAreRespectedAndFilledInOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *local.Config) { c.Slots = 1 })
	now := time.Now()
	script := func(name string) string { return `echo ` + name + ` >>"$SCRATCH/order"; finish ""` }
	b.start(t, "first", `echo first >>"$SCRATCH/order"; wait_for "$SCRATCH/go"; finish ""`, nil)
	for _, w := range []struct {
		id       string
		priority job.Priority
		after    time.Duration
	}{
		{"low", job.Low, 1}, {"later", job.Normal, 3}, {"sooner", job.Normal, 2}, {"high", job.High, 4},
	} {
		b.start(t, w.id, script(w.id), func(j *job.Job) { j.Priority, j.SubmittedAt = w.priority, now.Add(w.after*time.Second) })
	}
	b.seeState(t, "first", job.Running)
	for _, id := range []string{"low", "later", "sooner", "high"} {
		b.seeState(t, id, job.Pending)
	}
	if nodes, err := b.Nodes(t.Context()); err != nil || nodes[0].PodsRunning != 1 {
		t.Errorf("Nodes() = %+v, %v, want one run", nodes, err)
	}
	b.allow(t, "go")
	b.seeEnd(t, "low")
	if diff := cmp.Diff([]string{"first", "high", "sooner", "later", "low"}, b.traces(t, "order")); diff != "" {
		t.Errorf("order of runs (-want +got):\n%s", diff)
	}
}

func TestStartingARunTwiceRunsItOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	j := b.start(t, "once", `echo run >>"$SCRATCH/runs"; finish ""`, nil)
	b.start(t, "once", "", nil)
	b.seeEnd(t, j.ID)
	b.start(t, "once", "", nil)
	b.start(t, "other", `finish ""`, nil)
	b.seeEnd(t, "other")
	if got := b.traces(t, "runs"); len(got) != 1 {
		t.Errorf("ran %d times, want once", len(got))
	}
}

func TestAnIDThatIsNoFolderNameIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	for _, id := range []string{"", ".", "..", "a/b", "../a", ".hidden"} {
		if err := b.Start(t.Context(), job.Single(job.Job{ID: id})); err == nil {
			t.Errorf("Start took the id %q", id)
		}
	}
}

func TestStoppingARun(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		script  string
		grace   time.Duration
		results []string
	}{
		{
			name:    "that ends when asked keeps what it wrote",
			script:  `trap 'finish Interrupted; exit 31' TERM; echo part >"$out/log.txt"; : >"$SCRATCH/up"; while :; do sleep 0.01; done`,
			grace:   patience,
			results: []string{"log.txt", "outcome.json"},
		}, {
			name:    "that does not listen kills it",
			script:  `trap '' TERM; echo part >"$out/log.txt"; : >"$SCRATCH/up"; while :; do sleep 0.01; done`,
			grace:   50 * time.Millisecond,
			results: []string{"log.txt", "outcome.json"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, func(c *local.Config) { c.StopGrace = tt.grace })
			j := b.start(t, "j", tt.script, nil)
			b.trace(t, "up")
			for range 2 {
				if err := b.Stop(t.Context(), j.ID); err != nil {
					t.Fatal(err)
				}
			}
			o := b.seeEnd(t, j.ID)
			if o.State != job.Cancelled || o.Reason != simulation.Cancelled {
				t.Errorf("ended %s %s, want CANCELLED", o.State, o.Reason)
			}
			if diff := cmp.Diff(tt.results, names(o.Results)); diff != "" {
				t.Errorf("results (-want +got):\n%s", diff)
			}
			if outcome := b.stored(t, j)["outcome.json"]; !strings.Contains(outcome, "Cancelled") {
				t.Errorf("stored outcome is %s, want Cancelled in it", outcome)
			}
		})
	}
}

func TestStoppingAQueuedRunTakesItOutOfTheQueue(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *local.Config) { c.Slots = 1 })
	b.start(t, "first", `wait_for "$SCRATCH/go"; finish ""`, nil)
	b.start(t, "second", `echo ran >"$SCRATCH/second"; finish ""`, nil)
	if err := b.Stop(t.Context(), "second"); err != nil {
		t.Fatal(err)
	}
	if o := b.seeEnd(t, "second"); o.State != job.Cancelled || o.StartedAt != nil {
		t.Errorf("ended %s, started at %v, want CANCELLED and never started", o.State, o.StartedAt)
	}
	b.allow(t, "go")
	b.seeEnd(t, "first")
	if _, err := os.Stat(filepath.Join(b.scratch, "second")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the stopped run ran")
	}
	if err := b.Stop(t.Context(), "unknown"); err != nil {
		t.Errorf("stopping a run that does not exist: %v", err)
	}
}

func TestARunInterruptedByOthersIsNotReportedAsFinished(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	j := b.start(t, "j", `: >"$SCRATCH/up"; finish Interrupted; exit 31`, nil)
	b.trace(t, "up")
	b.seeChunk(t, j.ID, "ended", func(s job.Sight) bool { return s.Ended })
	if o := b.see(t, j.ID, "lost", func(o job.Observation, known bool) bool { return known }); o.State != "" {
		t.Fatalf("reported as %s", o.State)
	}
	if err := b.Forget(t.Context(), []string{j.ID}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(b.cfg.Dir, j.ID)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its folder is still there: %v", err)
	}
}

func TestProgressIsSeenWhileTheRunGoesOn(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	j := b.start(t, "j", `echo 250/1000 >"$progress"; wait_for "$SCRATCH/go"; finish ""`, nil)
	b.see(t, j.ID, "at a quarter", func(o job.Observation, _ bool) bool { return o.State == job.Running && o.Progress == 0.25 })
	b.allow(t, "go")
	if o := b.seeEnd(t, j.ID); o.Progress != 1 {
		t.Errorf("progress at the end is %v, want 1", o.Progress)
	}
}

func TestForgetRemovesOnlyFinishedRuns(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.start(t, "running", `wait_for "$SCRATCH/go"; finish ""`, nil)
	b.start(t, "finished", `finish ""`, nil)
	b.seeChunk(t, "finished", "ended", func(s job.Sight) bool { return s.Ended })
	b.seeState(t, "running", job.Running)
	if err := b.Forget(t.Context(), []string{"finished", "running", "unknown"}); err != nil {
		t.Fatal(err)
	}
	seen, err := b.Observe(t.Context())
	if err != nil || len(seen) != 1 || seen[0].ChunkID != "running" {
		t.Errorf("Observe() = %+v, %v, want the running one only", seen, err)
	}
	left, err := b.folders()
	if err != nil || len(left) != 1 || left[0] != "running" {
		t.Errorf("folders %v, %v, want that of the running one only", left, err)
	}
	b.allow(t, "go")
	b.seeEnd(t, "running")
}

// TestForgettingTwiceSparesAChunkThatIsStartedAgain: passes of reconcile may overlap.
func TestForgettingTwiceSparesAChunkThatIsStartedAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	const id = "again"
	for range 3 {
		j := b.start(t, id, `finish ""`, nil)
		b.seeChunk(t, id, "ended", func(s job.Sight) bool { return s.Ended })
		for i := range 500 { // which removing takes a while
			if err := os.WriteFile(filepath.Join(b.cfg.Dir, id, strconv.Itoa(i)), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		forgotten := make(chan error, 2)
		for range cap(forgotten) {
			go func() { forgotten <- b.Forget(t.Context(), []string{id}) }()
		}
		first := <-forgotten
		startErr := b.Start(t.Context(), job.Single(j))
		if err := errors.Join(first, startErr, <-forgotten); err != nil {
			t.Fatal(err)
		}
		seen, err := b.Observe(t.Context())
		if _, known := of(seen, id); !known || err != nil {
			t.Fatalf("the chunk that was started again is forgotten (%v)", err)
		}
		if o := b.seeEnd(t, id); o.State != job.Succeeded {
			t.Fatalf("the run ended %s: %s", o.State, o.Message)
		}
		b.seeChunk(t, id, "ended", func(s job.Sight) bool { return s.Ended })
		if err := b.Forget(t.Context(), []string{id}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenLogGivesCompleteLinesFromAnOffset(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	long := strings.Repeat("x", 5000)
	j := b.start(t, "j", `
		printf 'one\ntwo\nthr' >"$out/log.txt"; : >"$SCRATCH/begun"; wait_for "$SCRATCH/more"
		printf 'ee\n`+long+`' >>"$out/log.txt"; : >"$SCRATCH/long"; wait_for "$SCRATCH/go"; finish ""`, nil)
	read := func(offset int64) string {
		t.Helper()
		r, err := b.OpenLog(t.Context(), j, offset)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	b.trace(t, "begun")
	for offset, want := range map[int64]string{0: "one\ntwo\n", 4: "two\n", 8: "", 100: "", -1: "one\ntwo\n"} {
		if got := read(offset); got != want {
			t.Errorf("log from %d is %q, want %q", offset, got, want)
		}
	}
	b.allow(t, "more")
	b.trace(t, "long")
	if got := read(8); got != "three\n" {
		t.Errorf("log from 8 is %q, want %q", got, "three\n")
	}
	b.allow(t, "go")
	b.seeEnd(t, j.ID)

	began := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	dated := b.start(
		t, "dated", `echo "`+simulation.LogStart(began)+`" >"$out/log.txt"; echo more >>"$out/log.txt"; : >"$SCRATCH/dated"; finish ""`, nil,
	)
	b.trace(t, "dated")
	log, err := b.OpenLog(t.Context(), dated, 1000)
	if err != nil {
		t.Fatal(err)
	}
	log.Close()
	size := int64(len(simulation.LogStart(began)) + len("\nmore\n"))
	if !log.Began.Equal(began) || log.Offset != size || log.Size != size {
		t.Errorf("the log began at %v and has %d bytes, reading from %d; want %v and %d", log.Began, log.Size,
			log.Offset, began, size)
	}

	quiet := b.start(t, "quiet", `: >"$out/log.txt"; : >"$SCRATCH/quiet"; finish ""`, nil)
	b.trace(t, "quiet")
	elsewhere := local.Logs(b.cfg)
	for _, j := range []job.Job{quiet, {ID: "unknown"}, {ID: "../runs/j"}} {
		if _, err := elsewhere.OpenLog(t.Context(), j, 0); problem.CodeOf(err) != problem.NotFound {
			t.Errorf("OpenLog of %s: %v, want not found", j.ID, err)
		}
	}
	r, err := elsewhere.OpenLog(t.Context(), j, 0)
	if err != nil {
		t.Fatalf("another process cannot open the log: %v", err)
	}
	r.Close()
}

// flaky is an object store that is unreachable for some calls.
type flaky struct {
	artifact.Store
	opens, puts atomic.Int32 // how many calls still fail
}

func (f *flaky) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if f.opens.Add(-1) >= 0 {
		return nil, problem.New(problem.Unavailable, "The object store is unreachable.")
	}
	return f.Store.Open(ctx, key, offset, length)
}

func (f *flaky) Put(ctx context.Context, key string, r io.Reader, contentType string) (int64, error) {
	if f.puts.Add(-1) >= 0 {
		return 0, problem.New(problem.Unavailable, "The object store is unreachable.")
	}
	return f.Store.Put(ctx, key, r, contentType)
}

func TestAnUnreachableObjectStoreDelaysRunsAndLosesNone(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	j := job.Job{ID: "j", Namespace: "sumo-t", ScenarioKey: "scenarios/sumo-t/j.zip", SubmittedAt: time.Now()}
	script := `echo run >>"$SCRATCH/runs"; echo log >"$out/log.txt"; finish ""`
	if _, err := b.objects.Put(t.Context(), j.ScenarioKey, strings.NewReader(script), ""); err != nil {
		t.Fatal(err)
	}
	b.close(t)
	store := &flaky{Store: b.objects}
	const always = 1 << 30
	store.opens.Store(always)
	store.puts.Store(always)
	b.objects = store
	b.open(t)

	if err := b.Start(t.Context(), job.Single(j)); err != nil {
		t.Fatal(err)
	}
	b.see(t, j.ID, "waiting for its scenario", func(o job.Observation, _ bool) bool {
		return o.State == job.Pending && strings.Contains(o.Message, "object store")
	})
	store.opens.Store(0)
	b.see(t, j.ID, "waiting with its results", func(o job.Observation, _ bool) bool {
		return o.State == job.Running && strings.Contains(o.Message, "object store")
	})
	store.puts.Store(1) // one of the two files fails once more
	o := b.seeEnd(t, j.ID)
	if o.State != job.Succeeded || len(o.Results) != 2 || len(b.traces(t, "runs")) != 1 {
		t.Errorf("ended %s with results %v after %d runs, want SUCCEEDED with 2 after 1", o.State, o.Results, len(b.traces(t, "runs")))
	}
}

// between puts a gateway between the engine and the real store. Answer returns the status with which the store refuses to store
// the object of a path, 0 for one that it takes.
func (b *bench) between(t *testing.T, answer func(path string) int) {
	t.Helper()
	cfg := localtest.Bucket(t)
	target, err := url.Parse(cfg.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	behind := httputil.NewSingleHostReverseProxy(target)
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			if status := answer(r.URL.Path); status != 0 {
				_, _ = io.Copy(io.Discard, r.Body)
				w.WriteHeader(status)
				return
			}
		}
		behind.ServeHTTP(w, r)
	}))
	t.Cleanup(gateway.Close)
	cfg.Endpoint = gateway.URL
	store, err := s3.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.close(t)
	b.objects = store
	b.open(t)
}

func TestAnObjectStoreThatRefusesResultsForGoodEndsTheJob(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		status  int
		script  string
		state   job.State
		reason  simulation.Reason
		message []string // parts of it
	}{
		"a full store": {
			507, `echo log >"$out/log.txt"; echo 1 >"$out/big.xml"; finish ""`,
			job.Failed, simulation.ResultsNotStored, []string{"could be stored", "full", "operator"},
		},
		"a store that denies access": {
			403, `echo log >"$out/log.txt"; echo 1 >"$out/big.xml"; finish ""`,
			job.Failed, simulation.ResultsNotStored, []string{"could be stored", "denies", "operator"},
		},
		"a file that is too large": {
			413, `echo log >"$out/log.txt"; echo 1 >"$out/big.xml"; finish ""`,
			job.Failed, simulation.ResultsNotStored, []string{"could be stored", "big.xml", "smaller"},
		},
		"a refusal that nobody knows": {
			418, `echo log >"$out/log.txt"; echo 1 >"$out/big.xml"; finish ""`,
			job.Failed, simulation.ResultsNotStored, []string{"could be stored", "operator"},
		},
		"a full store, after a failure of the run's own": {
			507, `echo log >"$out/log.txt"; echo 1 >"$out/big.xml"; finish SimulationError; exit 20`,
			job.Failed, simulation.SimulationError, []string{"reported by the run", "could be stored", "full"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, func(c *local.Config) { c.RefusalPatience = 500 * time.Millisecond })
			b.between(t, func(path string) int {
				if strings.HasSuffix(path, "/big.xml") {
					return tt.status
				}
				return 0
			})
			j := b.start(t, "j", tt.script, nil)
			o := b.seeEnd(t, j.ID)
			if o.State != tt.state || o.Reason != tt.reason {
				t.Errorf("ended %s %s, want %s %s", o.State, o.Reason, tt.state, tt.reason)
			}
			for _, part := range tt.message {
				if !strings.Contains(o.Message, part) {
					t.Errorf("the message is %q, want %q in it", o.Message, part)
				}
			}
			want := []string{"log.txt", "outcome.json"}
			if diff := cmp.Diff(want, names(o.Results)); diff != "" {
				t.Errorf("results (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(want, slices.Sorted(maps.Keys(b.stored(t, j)))); diff != "" {
				t.Errorf("objects (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnObjectStoreThatRefusesForAWhileDelaysRunsAndLosesNone(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	var full atomic.Bool
	b.between(t, func(path string) int {
		if full.Load() && strings.Contains(path, "results/") {
			return 507
		}
		return 0
	})
	full.Store(true)
	j := b.start(t, "j", `echo log >"$out/log.txt"; finish ""`, nil)
	b.see(t, j.ID, "waiting for a store that is full", func(o job.Observation, _ bool) bool {
		return o.State == job.Running && strings.Contains(o.Message, "The run has ended.") && strings.Contains(o.Message, "full")
	})
	full.Store(false)
	if o := b.seeEnd(t, j.ID); o.State != job.Succeeded || o.Message != "reported by the run" || len(o.Results) != 2 {
		t.Errorf("ended %s %q with results %v", o.State, o.Message, o.Results)
	}
}

func TestStoppingARunThatWaitsForTheObjectStoreEndsTheWait(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{"a store that is full": 507, "a store that is overloaded": 503} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, func(c *local.Config) { c.RefusalPatience = time.Hour })
			b.between(t, func(path string) int {
				if strings.HasSuffix(path, "/z.xml") { // the last of the files
					return status
				}
				return 0
			})
			j := b.start(t, "j", `echo log >"$out/log.txt"; echo 1 >"$out/z.xml"; finish ""`, nil)
			b.see(t, j.ID, "waiting for the store", func(o job.Observation, _ bool) bool {
				return strings.Contains(o.Message, "wait for the object store")
			})
			if err := b.Stop(t.Context(), j.ID); err != nil {
				t.Fatal(err)
			}
			o := b.seeEnd(t, j.ID)
			if o.State != job.Cancelled || o.Reason != simulation.Cancelled || !strings.Contains(o.Message, "could be stored until then") {
				t.Errorf("ended %s %s %q, want CANCELLED", o.State, o.Reason, o.Message)
			}
			if diff := cmp.Diff(slices.Sorted(maps.Keys(b.stored(t, j))), names(o.Results)); diff != "" {
				t.Errorf("results (-objects +reported):\n%s", diff)
			}
			if !slices.Contains(names(o.Results), "log.txt") {
				t.Errorf("what was stored is not listed: %v", o.Results)
			}
		})
	}
}

// The run ends in another folder than the one that its keeper has open, so that a second keeper stores it.
func TestStoppingARunThatWaitsWithItsSecondKeeperEndsTheWait(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *local.Config) { c.RefusalPatience = time.Hour })
	b.between(t, func(path string) int {
		if strings.HasSuffix(path, "/z.xml") {
			return 507
		}
		return 0
	})
	j := b.start(t, "j", `runs=$(dirname "$out"); mv "$runs" "$runs.gone"; mkdir -p "$out"; echo 1 >"$out/z.xml"; finish ""
mv "$outcome" "$out/outcome.json"; kill -KILL $PPID`, nil)
	b.see(t, j.ID, "waiting for the store", func(o job.Observation, _ bool) bool {
		return strings.Contains(o.Message, "wait for the object store")
	})
	if err := b.Stop(t.Context(), j.ID); err != nil {
		t.Fatal(err)
	}
	if o := b.seeEnd(t, j.ID); o.State != job.Cancelled {
		t.Errorf("ended %s %s %q, want CANCELLED", o.State, o.Reason, o.Message)
	}
}

func TestAScenarioThatTheObjectStoreRefusesToHandOutFailsTheRun(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *local.Config) { c.RefusalPatience = 500 * time.Millisecond })
	b.close(t)
	b.objects = &denying{b.objects}
	b.open(t)
	b.start(t, "j", `finish ""`, nil)
	o := b.seeEnd(t, "j")
	if o.State != job.Failed || o.Reason != simulation.InternalError || !strings.Contains(o.Message, "The store denies access.") {
		t.Errorf("ended %s %s %q", o.State, o.Reason, o.Message)
	}
}

// denying is an object store that lets nothing be read.
type denying struct{ artifact.Store }

func (*denying) Open(context.Context, string, int64, int64) (io.ReadCloser, error) {
	return nil, problem.New(problem.StorageRefused, "The store denies access.")
}

func TestARestartStoresResultsOfAFinishedRunWithoutRunningItAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.close(t)
	store := &flaky{Store: b.objects}
	b.objects = store
	b.open(t)

	j := b.start(
		t, "j", `echo run >>"$SCRATCH/runs"; wait_for "$SCRATCH/go"; finish TooManyTeleports; exit 21`, nil,
	)
	store.puts.Store(1 << 30)
	b.allow(t, "go")
	b.see(t, j.ID, "waiting with its results", func(o job.Observation, _ bool) bool { return strings.Contains(o.Message, "results wait") })
	b.close(t)

	b.objects = store.Store
	b.open(t)
	if err := b.Start(t.Context(), job.Single(j)); err != nil {
		t.Fatal(err)
	}
	o := b.seeEnd(t, j.ID)
	if o.State != job.Failed || o.Reason != simulation.TooManyTeleports || len(b.stored(t, j)) != 1 {
		t.Errorf("ended as %+v, want FAILED TooManyTeleports with its results", o)
	}
	if got := b.traces(t, "runs"); len(got) != 1 {
		t.Errorf("ran %d times, want once", len(got))
	}
}

func TestClosingInterruptsRunsWhichThenRunAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *local.Config) { c.Slots = 1 })
	script := `trap 'finish Interrupted; exit 31' TERM
		echo run >>"$SCRATCH/runs"; : >"$SCRATCH/up"
		until [ -e "$SCRATCH/go" ]; do sleep 0.01; done; finish ""`
	running := b.start(t, "running", script, nil)
	queued := b.start(t, "queued", `finish ""`, nil)
	b.trace(t, "up")
	b.close(t)
	if _, err := b.Observe(t.Context()); problem.CodeOf(err) != problem.Unavailable {
		t.Errorf("a closed engine is observed with %v, want unavailable", err)
	}
	if err := b.Start(t.Context(), job.Single(queued)); problem.CodeOf(err) != problem.Unavailable {
		t.Errorf("a closed engine starts with %v, want unavailable", err)
	}

	// Nobody needs to start them again, and doing so changes nothing. A second restart finds them just the same.
	b.open(t)
	b.traceLines(t, "runs", 2)
	b.close(t)
	b.open(t)
	if err := b.Start(t.Context(), job.Single(running)); err != nil {
		t.Fatal(err)
	}
	if o := b.seeState(t, running.ID, job.Running); o.Message == "" {
		t.Error("nothing reports that the run was started again")
	}
	if o := b.seeState(t, queued.ID, job.Pending); o.Message != "" {
		t.Errorf("the run that had only waited reports %q", o.Message)
	}
	b.allow(t, "go")
	for _, j := range []job.Job{running, queued} {
		o := b.seeEnd(t, j.ID)
		if o.State != job.Succeeded || o.Message != "reported by the run" {
			t.Errorf("%s ended %s with the message %q, want SUCCEEDED and the run's own", j.ID, o.State, o.Message)
		}
		if diff := cmp.Diff([]string{"outcome.json"}, names(o.Results)); diff != "" {
			t.Errorf("results of %s: %s", j.ID, diff)
		}
	}
	if got := b.traces(t, "runs"); len(got) != 3 {
		t.Errorf("ran %d times, want three times", len(got))
	}
}

func TestAKilledEngineDoesNotBeginARunAgainThatAnOrderlyCloseHadKeptBefore(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	j := b.start(t, "j", `trap 'finish Interrupted; exit 31' TERM
		echo run >>"$SCRATCH/runs"; while :; do sleep 0.01; done`, nil)
	b.traceLines(t, "runs", 1)
	b.close(t)
	b.open(t)
	b.traceLines(t, "runs", 2)
	// What a kill leaves is the folder as it stands while the run goes on.
	killed := b.cfg
	killed.Dir = filepath.Join(t.TempDir(), "killed")
	if err := os.CopyFS(killed.Dir, os.DirFS(b.cfg.Dir)); err != nil {
		t.Fatal(err)
	}
	after := &bench{cfg: killed, objects: b.objects, scratch: b.scratch}
	after.open(t)
	if seen, err := after.Observe(t.Context()); err != nil || len(seen) != 0 {
		t.Errorf("after the kill Observe() = %+v, %v, want nothing of %s", seen, err, j.ID)
	}
}

func TestARestartRemovesWhatDidNotEndAndNothingElse(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.close(t)
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(b.cfg.Dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("half/run.json", `{"id":"half","namespace":"sumo-t"}`)
	write("half/out/log.txt", "part")
	write("torn/run.json", `{"id":"torn","namespace":"sumo-t"}`)
	write("torn/out/outcome.json", `{"reas`)
	write("stopped/run.json", `{"id":"stopped","namespace":"sumo-t"}`)
	write("stopped/out/outcome.json", `{"reason":"Interrupted"}`)
	write("0198c0de-0000-7000-8000-000000000001/new.json", `{"id"`)
	write("photos/cat.jpg", "not ours")
	b.open(t)
	left, err := b.folders()
	if err != nil || len(left) != 1 || left[0] != "photos" {
		t.Errorf("folders left: %v, %v, want photos only", left, err)
	}
	if seen, err := b.Observe(t.Context()); err != nil || len(seen) != 0 {
		t.Errorf("Observe() = %+v, %v, want nothing", seen, err)
	}
}

func TestNewReportsAMissingSumoRun(t *testing.T) {
	t.Parallel()
	cfg := local.Config{Dir: t.TempDir(), SumoRun: "/does/not/exist"}
	if _, err := local.New(cfg, nil, time.Now, zerolog.Nop()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("New() = %v, want fs.ErrNotExist", err)
	}
}

func TestNodesDescribeThisMachine(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	nodes, err := b.Nodes(t.Context())
	if err != nil || len(nodes) != 1 {
		t.Fatalf("Nodes() = %+v, %v, want one", nodes, err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if n := nodes[0]; n.Name != host || !n.Ready || n.Capacity["cpu"] == "0" || !strings.HasSuffix(n.Capacity["memory"], "Ki") {
		t.Errorf("node %+v, want %s, ready, with CPUs and memory", n, host)
	}
}
