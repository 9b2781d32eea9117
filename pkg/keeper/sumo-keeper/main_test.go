package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/chunk"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
)

// asKeeper makes this test binary be sumo-keeper, so that signals and exit codes are the real thing.
const asKeeper = "TEST_AS_SUMO_KEEPER"

func TestMain(m *testing.M) {
	if os.Getenv(asKeeper) != "" {
		main()
		os.Exit(0)
	}
	localtest.Main(m)
}

// pod is the place of a keeper.
type pod struct {
	settings s3.Config
	objects  *s3.Store
	dir      string
}

// console is what the keeper has logged.
func (p *pod) console() string {
	text, _ := os.ReadFile(p.in("console"))
	return string(text)
}

func newPod(t *testing.T, list chunk.List) *pod {
	t.Helper()
	p := &pod{settings: localtest.Bucket(t), dir: t.TempDir()}
	objects, err := s3.New(p.settings)
	if err != nil {
		t.Fatal(err)
	}
	p.objects = objects
	text, err := json.Marshal(list)
	err = errors.Join(err, os.WriteFile(p.in("runs.json"), text, 0o644), os.Mkdir(p.in("out"), 0o755), os.Mkdir(p.in("desk"), 0o755))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *pod) in(names ...string) string { return filepath.Join(append([]string{p.dir}, names...)...) }

func (p *pod) start(t *testing.T, environment ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe,
		"--list", p.in("runs.json"), "--out", p.in("out"), "--desk", p.in("desk"), "--namespace", "ns")
	cmd.Env = append([]string{
		asKeeper + "=1", "S3_ENDPOINT=" + p.settings.Endpoint, "S3_BUCKET=" + p.settings.Bucket,
		"S3_ACCESS_KEY=" + p.settings.AccessKey, "S3_SECRET_KEY=" + p.settings.SecretKey, "LOG_LEVEL=debug",
	}, environment...)
	console, err := os.Create(p.in("console"))
	if err != nil {
		t.Fatal(err)
	}
	defer console.Close()
	cmd.Stderr = console
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func (p *pod) put(t *testing.T, key string, v any) {
	t.Helper()
	text, err := json.Marshal(v)
	if s, ok := v.(chunk.State); ok {
		text, err = s.Encode()
	}
	if err == nil {
		_, err = p.objects.Put(t.Context(), key, bytes.NewReader(text), "")
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (p *pod) state(t *testing.T) chunk.State {
	t.Helper()
	body, err := p.objects.Open(t.Context(), artifact.ChunkState("ns", "c"), 0, -1)
	if err != nil {
		return chunk.State{}
	}
	defer body.Close()
	s, err := chunk.ReadState(body)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// patience is far more than any step of a test takes, even on a busy machine.
const patience = 2 * time.Minute

func await(t *testing.T, what string, met func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !met(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func (p *pod) finish(t *testing.T, run string) {
	t.Helper()
	text, err := json.Marshal(simulation.Outcome{})
	fresh := p.in(run + ".json") // the outcome is there as a whole or not at all, as sumo-run leaves it
	err = errors.Join(err, os.Mkdir(p.in("out", run), 0o755), os.WriteFile(fresh, text, 0o644),
		os.Rename(fresh, p.in("out", run, simulation.OutcomeFile)))
	if err != nil {
		t.Fatal(err)
	}
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

func run(id string) chunk.Run {
	return chunk.Run{ID: id, Results: "results/ns/s/" + id + "/", Pack: true}
}

func TestAKeeperGoesOnWhereAnEarlierOneStopped(t *testing.T) {
	t.Parallel()
	p := newPod(t, chunk.List{Generation: chunk.Generation, ID: "c", Parallel: 1, Runs: []chunk.Run{run("a"), run("b"), run("c")}})
	p.put(t, artifact.ChunkState("ns", "c"), chunk.State{ID: "c", Runs: map[string]chunk.RunState{"a": {Outcome: &simulation.Outcome{}}}})
	p.put(t, artifact.ChunkCancelled("ns", "c"), chunk.Cancelled{Runs: []string{"b"}})
	cmd := p.start(t)
	await(t, "the keeper is ready", func() bool { return exists(p.in("desk", chunk.ReadyFile)) })
	if text, err := os.ReadFile(p.in("desk", chunk.ReadyFile)); err != nil || string(text) != `{"skip":["a","b"]}` {
		t.Errorf("it is ready with %s, %v", text, err)
	}
	p.finish(t, "c")
	if err := cmd.Wait(); err != nil {
		t.Fatalf("the keeper ends with %v:\n%s", err, p.console())
	}
	s := p.state(t)
	if len(s.Runs) != 3 || s.Runs["b"].Outcome.Reason != simulation.Cancelled || !s.Runs["c"].Ended() || len(s.Runs["c"].Results) != 1 {
		t.Errorf("the state is %+v", s)
	}
	if _, err := p.objects.Stat(t.Context(), "results/ns/s/c/"+artifact.PackFile); err != nil {
		t.Error(err)
	}
	if strings.Contains(p.console(), p.settings.SecretKey) {
		t.Errorf("the log has a secret:\n%s", p.console())
	}
}

func TestAStateThatCannotBeReadCountsAsNone(t *testing.T) {
	t.Parallel()
	p := newPod(t, chunk.List{Generation: chunk.Generation, ID: "c", Parallel: 1, Runs: []chunk.Run{run("a")}})
	p.put(t, artifact.ChunkState("ns", "c"), "no gzip")
	cmd := p.start(t)
	await(t, "the keeper is ready", func() bool { return exists(p.in("desk", chunk.ReadyFile)) })
	p.finish(t, "a")
	if err := cmd.Wait(); err != nil || !p.state(t).Runs["a"].Ended() || !strings.Contains(p.console(), "not readable") {
		t.Errorf("the keeper ends with %v:\n%s", err, p.console())
	}
}

func TestASignalEndsTheKeeperOnceSumoRunHasEnded(t *testing.T) {
	t.Parallel()
	p := newPod(t, chunk.List{Generation: chunk.Generation, ID: "c", Parallel: 1, Runs: []chunk.Run{run("a"), run("b")}})
	lock, err := os.Create(p.in("out", chunk.LockFile))
	if err == nil {
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	cmd := p.start(t)
	await(t, "the keeper is ready", func() bool { return exists(p.in("desk", chunk.ReadyFile)) })
	for range 3 {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	p.finish(t, "a")
	await(t, "the run is stored", func() bool { return exists(p.in("desk", chunk.StoredFolder, "a")) })
	lock.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("the keeper ends with %v:\n%s", err, p.console())
	}
	if s := p.state(t); len(s.Runs) != 1 || !s.Runs["a"].Ended() {
		t.Errorf("the state is %+v", s)
	}
}

func TestASignalEndsAKeeperThatHasNotBegun(t *testing.T) {
	t.Parallel()
	p := newPod(t, chunk.List{Generation: chunk.Generation, ID: "c", Runs: []chunk.Run{run("a")}})
	cmd := p.start(t, "S3_ENDPOINT=http://127.0.0.1:1")
	await(t, "it waits for the store", func() bool { return strings.Contains(p.console(), "object store failed") })
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the keeper ends with %v:\n%s", err, p.console())
	}
}

func TestAListOfAnotherGenerationIsRefused(t *testing.T) {
	t.Parallel()
	p := newPod(t, chunk.List{Generation: chunk.Generation + 1, ID: "c", Runs: []chunk.Run{run("a")}})
	var exit *exec.ExitError
	if err := p.start(t).Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(p.console(), "generation") {
		t.Errorf("the keeper ends with %v: %s", err, p.console())
	}
}
