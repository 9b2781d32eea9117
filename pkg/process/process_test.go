package process_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/process"
)

// asParent makes this test binary start a child, print its pid, and wait to be killed.
const asParent = "PROCESS_TEST_PARENT"

func TestMain(m *testing.M) {
	if os.Getenv(asParent) != "" {
		p, err := process.Start(exec.Command("sleep", "60"), process.Options{})
		if err != nil {
			panic(err)
		}
		fmt.Println(p.Pid())
		_ = p.Wait()
		return
	}
	os.Exit(m.Run())
}

func start(t *testing.T, script string, opts process.Options) (*process.Process, *bufio.Reader) {
	t.Helper()
	// An *os.File as standard output keeps the end of the child apart from the end of its output.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.Stdout = w
	p, err := process.Start(cmd, opts)
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p, bufio.NewReader(r)
}

func line(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	text, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("reading from the child: %v", err)
	}
	return strings.TrimSpace(text)
}

// patience is far more than a process takes to end that was killed, even on a busy machine, and less than the minute for which ours sleep.
const patience = 40 * time.Second

// exits reports whether a process that is not our child ends soon. Nobody may be there to collect it, so a zombie counts as ended.
func exits(pid string) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

func TestWaitGivesTheExitCode(t *testing.T) {
	t.Parallel()
	p, _ := start(t, "exit 7", process.Options{})
	var exit *exec.ExitError
	if err := p.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("Wait() = %v, want exit code 7", err)
	}
	if err := p.Signal(syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("Signal() after the end = %v, want os.ErrProcessDone", err)
	}
}

func TestStartReportsAMissingProgram(t *testing.T) {
	t.Parallel()
	if _, err := process.Start(exec.Command("/does/not/exist"), process.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Start() = %v, want os.ErrNotExist", err)
	}
}

func TestStopLetsTheChildEndByItself(t *testing.T) {
	t.Parallel()
	p, out := start(t, "trap 'exit 3' INT; echo ready; while :; do sleep 0.01; done", process.Options{StopSignal: syscall.SIGINT})
	line(t, out)
	var exit *exec.ExitError
	if err := p.Stop(t.Context(), patience); !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("Stop() = %v, want exit code 3", err)
	}
}

func TestStopKillsAChildThatDoesNotListen(t *testing.T) {
	t.Parallel()
	p, out := start(t, "trap '' TERM; echo ready; while :; do sleep 0.01; done", process.Options{})
	line(t, out)
	var exit *exec.ExitError
	err := p.Stop(t.Context(), 20*time.Millisecond)
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("Stop() = %v, want killed", err)
	}
}

func TestNothingOfTheGroupIsLeftWhenItsLeaderEnds(t *testing.T) {
	t.Parallel()
	p, out := start(t, "sleep 60 & echo $!", process.Options{})
	grandchild := line(t, out)
	if err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	if !exits(grandchild) {
		t.Errorf("process %s still runs", grandchild)
	}
}

func TestTheChildDiesWithUs(t *testing.T) {
	t.Parallel()
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), asParent+"=1")
	stdout, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	child := line(t, bufio.NewReader(stdout))
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, stdout)
	_ = parent.Wait()
	if !exits(child) {
		t.Errorf("process %s outlived its parent", child)
	}
}
