package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/functions/status"
	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
)

// start runs the program in its own process on a data folder, and returns once it serves. env is added to our environment,
// such as "MAX_UPLOAD_MIB=1".
func start(t testing.TB, dir string, settings Settings, env ...string) (*exec.Cmd, *service) {
	t.Helper()
	return startWithOutput(t, dir, settings, os.Stderr, env...)
}

// startWithOutput is start with a writer for the program's output.
func startWithOutput(t testing.TB, dir string, settings Settings, output io.Writer, env ...string) (*exec.Cmd, *service) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "--data", dir, "--objectstore", settings.ObjectStore, "--sumo-run", settings.SumoRun)
	cmd.Env = append(append(os.Environ(), asLocal+"=1"), env...)
	cmd.Stderr = output
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(patience)
	for {
		raw, err := os.ReadFile(filepath.Join(dir, endpointFile))
		var at Endpoint
		if err == nil && json.Unmarshal(raw, &at) == nil && at.PID == cmd.Process.Pid {
			return cmd, connect(t, at)
		}
		if time.Now().After(deadline) {
			t.Fatal("the program does not serve")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestKilledInTheMiddleOfTenJobs(t *testing.T) {
	t.Parallel()
	settings, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	dir := localtest.Folder(t)
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "logs", "service.log"))
			t.Logf("service log:\n%s", log)
		}
	})
	first, s := start(t, dir, settings)
	c := s.register(t, `"max_concurrent_jobs": 5`)
	lasting := c.submitEndless(t).JobID // runs for certain when the process is killed
	var ids []string
	for range 10 {
		ids = append(ids, c.submit(t, "corridor").JobID)
	}
	// Some jobs have finished, some run, some wait: now the power fails.
	c.await(t, ids[1], func(j rest.Job) bool { return j.Status.Terminal() })
	c.await(t, lasting, running)
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait() // always an error: it was killed

	second, s := start(t, dir, settings)
	c.service = s
	c.await(t, lasting, func(j rest.Job) bool { return running(j) && j.Attempt > 1 })
	c.call(t, "DELETE", "/jobs/"+lasting).want(t, http.StatusOK)
	if j := c.finish(t, lasting); j.Status != job.Cancelled {
		t.Errorf("the job without an end ended %s: %s", j.Status, deref(j.Error))
	}
	repeated := 0
	for _, id := range ids {
		j := c.finish(t, id)
		if j.Status != job.Succeeded {
			t.Errorf("job %s ended %s: %s", id, j.Status, deref(j.Error))
		}
		if j.Attempt > 1 {
			repeated++
		}
	}
	t.Logf("%d others were running when the process was killed", repeated)
	for _, id := range append(ids, lasting) {
		if n := c.ends(t, id); n != 1 {
			t.Errorf("job %s has ended %d times", id, n)
		}
	}
	if err := second.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := second.Wait(); err != nil {
		t.Errorf("the orderly end failed: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, endpointFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the endpoint file is still there: %v", err)
	}
}

// ends counts how often a job has ended.
func (c *tenantClient) ends(t *testing.T, id string) (n int) {
	t.Helper()
	var list struct{ Events []status.Event }
	c.call(t, "GET", "/jobs/"+id+"/events").want(t, http.StatusOK).into(t, &list)
	for i, e := range list.Events {
		if e.Seq != i+1 || i > 0 && e.From != list.Events[i-1].To {
			t.Errorf("the events of job %s have a gap: %+v", id, list.Events)
		}
		if e.To.Terminal() {
			n++
		}
	}
	return n
}
