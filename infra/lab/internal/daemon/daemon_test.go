package daemon_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/infra/lab/internal/daemon"
)

// limit is far beyond what a shell takes to start, so that it only ends tests that hang.
const limit = 20 * time.Second

func folder(t *testing.T, names ...string) daemon.Folder {
	t.Helper()
	dir := t.TempDir()
	f := daemon.Folder{Pids: filepath.Join(dir, "pid"), Logs: filepath.Join(dir, "log")}
	t.Cleanup(func() {
		for _, name := range names {
			if err := f.Stop(context.Background(), name, 0); err != nil {
				t.Error(err)
			}
		}
	})
	return f
}

// shell is a program that is ready once it has created the file $READY.
func shell(t *testing.T, name, script string) daemon.Spec {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ready")
	return daemon.Spec{
		Name: name, Command: []string{"/bin/sh", "-c", script}, Env: []string{"READY=" + file}, Grace: limit, Limit: limit,
		Ready: func(context.Context) error {
			_, err := os.Stat(file)
			return err
		},
	}
}

const serve = `touch "$READY"; exec sleep 600`

func start(t *testing.T, f daemon.Folder, s daemon.Spec) (pid int, started bool) {
	t.Helper()
	started, err := f.Start(t.Context(), s)
	if err == nil {
		err = f.Await(t.Context(), s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f.Pid(s.Name), started
}

func TestStartKeepsWhatRunsAndRepairsTheRest(t *testing.T) {
	t.Parallel()
	f := folder(t, "server")
	s := shell(t, "server", serve)
	input := filepath.Join(t.TempDir(), "settings")
	s.Inputs = []string{input}
	set := func(text string) {
		if err := os.WriteFile(input, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set("one")
	first, started := start(t, f, s)
	if !started || first == 0 {
		t.Fatalf("the first start: started %v, pid %d", started, first)
	}
	if again, started := start(t, f, s); started || again != first {
		t.Errorf("it ran as %d and was started as %d", first, again)
	}
	set("two")
	second, started := start(t, f, s)
	if !started || second == first {
		t.Error("its inputs changed, but it was not restarted")
	}
	if err := syscall.Kill(second, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for f.Pid("server") != 0 {
		time.Sleep(time.Millisecond)
	}
	if third, started := start(t, f, s); !started || third == 0 {
		t.Error("it was killed, but not restarted")
	}
}

func TestAReusedPidIsNotOurs(t *testing.T) {
	t.Parallel()
	f := folder(t)
	s := shell(t, "server", serve)
	pid, _ := start(t, f, s)
	file := filepath.Join(f.Pids, "server.json")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for field, other := range map[string]any{"started": 1, "boot": "another"} {
		var record map[string]any
		if err := json.Unmarshal(text, &record); err != nil {
			t.Fatal(err)
		}
		record[field] = other
		changed, err := json.Marshal(record)
		if err == nil {
			err = os.WriteFile(file, changed, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Pid("server"); got != 0 {
			t.Errorf("%s differs, and %d still counts as ours", field, got)
		}
		if err := f.Stop(t.Context(), "server", limit); err != nil {
			t.Error(err)
		}
		if err := syscall.Kill(pid, 0); err != nil {
			t.Fatalf("%s differs, but the process was ended", field)
		}
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Stop(t.Context(), "server", limit); err != nil || f.Pid("server") != 0 {
		t.Errorf("stop: %v", err)
	}
	// It has ended, and its number is free when Start's goroutine has reaped it.
	for deadline := time.Now().Add(limit); !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d is still there", pid)
		}
	}
}

func TestStopKillsWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	f := folder(t, "deaf")
	s := shell(t, "deaf", `trap '' TERM; touch "$READY"; while :; do sleep 0.05; done`)
	pid, _ := start(t, f, s)
	if err := f.Stop(t.Context(), "deaf", 100*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if _, there := daemon.StartTime(pid); there {
		t.Errorf("process %d is still there", pid)
	}
	names, err := f.Names()
	if err != nil || len(names) != 0 {
		t.Errorf("after stop there are %q, error %v", names, err)
	}
}

func TestAwaitReportsWhyAProgramIsNotReady(t *testing.T) {
	t.Parallel()
	hanging := shell(t, "hanging", `echo still thinking; exec sleep 600`)
	hanging.Limit = 100 * time.Millisecond
	for name, s := range map[string]daemon.Spec{
		"its last words": shell(t, "failing", `echo no such luck >&2; exit 3`),
		"what it said":   hanging,
	} {
		f := folder(t, s.Name)
		if _, err := f.Start(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		// The log is read when the error is made, so the words have to be there by then.
		for !said(t, f.Log(s.Name)) {
			time.Sleep(time.Millisecond)
		}
		err := f.Await(t.Context(), s)
		if err == nil || !strings.Contains(err.Error(), s.Name) ||
			!strings.Contains(err.Error(), "no such luck") && !strings.Contains(err.Error(), "still thinking") {
			t.Errorf("%s is missing in: %v", name, err)
		}
	}
}

func said(t *testing.T, log string) bool {
	t.Helper()
	info, err := os.Stat(log)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size() > 0
}
