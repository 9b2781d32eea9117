package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
)

// TestRegressions covers what a client once could do to the service, and must not again.
func TestRegressions(t *testing.T) {
	t.Parallel()
	s := startService(t)
	c := s.register(t)
	square := [2]string{"@sumo_files", zipOf(t, "square")}

	t.Run("names and values of a form are not kept or repeated at any length", func(t *testing.T) {
		for name, fields := range map[string][][2]string{
			"names":  {{strings.Repeat("n", 5<<20), "1"}, {"scenario_id", "x"}, square},
			"values": {{"cpu_request", strings.Repeat("z", 60_000)}, {"scenario_id", "x"}, square},
		} {
			a := c.post(t, fields).want(t, http.StatusBadRequest)
			if p := a.problem(t); len(a.body) > 2000 || p.Detail == "" {
				t.Errorf("%s: the answer has %d bytes", name, len(a.body))
			}
		}
	})
	t.Run("a form with a long preamble is answered, even when all of it is sent first", func(t *testing.T) {
		// A machine so busy that the client is silent for some seconds makes the service close the connection: then it sends again.
		const silence = 2 * time.Second
		again := true
		for attempt := 1; again; attempt++ {
			began := time.Now()
			status, p, err := c.longPreamble(t)
			again = attempt < 10 && err != nil && time.Since(began) > time.Second+silence
			if !again && (err != nil || status != http.StatusBadRequest || !strings.Contains(p.Detail, "text before the first part")) {
				t.Errorf("answered %d with %+v, %v", status, p, err)
			}
		}
	})
	t.Run("a zip sent as text is explained", func(t *testing.T) {
		p := c.post(t, [][2]string{{"scenario_id", "x"}, {"sumo_files", "scenario.zip"}}).want(t, http.StatusBadRequest).problem(t)
		if !strings.Contains(p.Detail, "-F sumo_files=@") {
			t.Errorf("the answer does not say how to send a file: %s", p.Detail)
		}
	})
	t.Run("HEAD of a stream does not wait for the job's end", func(t *testing.T) {
		j := c.submitEndless(t)
		c.await(t, j.JobID, running)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodHead, c.url+"/jobs/"+j.JobID+"/logs/stream", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+c.key)
		response, err := http.DefaultClient.Do(r) // the document does not describe HEAD
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("answered %s with %s", response.Status, response.Header.Get("Content-Type"))
		}
		if j = c.job(t, j.JobID); !running(j) {
			t.Errorf("the stream answered when the job was %s", j.Status)
		}
		c.call(t, "DELETE", "/jobs/"+j.JobID).want(t, http.StatusOK)
		c.finish(t, j.JobID)
	})
	t.Run("an idempotency key belongs to its webhook too", func(t *testing.T) {
		store, err := s3.New(s.inputs("webhooks"))
		if err != nil {
			t.Fatal(err)
		}
		if err := store.EnsureBucket(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Put(t.Context(), "square.zip", strings.NewReader(square[1]), ""); err != nil {
			t.Fatal(err)
		}
		s.admin(t, "PATCH", "/auth/tenants/"+c.id, `{"input_buckets": ["webhooks"]}`).want(t, http.StatusOK)
		send := func(webhook string) answer {
			return s.request(t, "POST", "/jobs/s3", strings.NewReader(
				`{"scenario_id": "x", "sumo_files_s3_url": "s3://webhooks/square.zip", "progress_webhook_url": "`+webhook+`"}`,
			),
				"Authorization: Bearer "+c.key, "Content-Type: application/json", "Idempotency-Key: hooked")
		}
		send("https://receiver.invalid/a").want(t, http.StatusOK)
		send("https://receiver.invalid/a").want(t, http.StatusOK)
		send("https://receiver.invalid/b").want(t, http.StatusUnprocessableEntity)
	})
}

// longPreamble sends a form with a long preamble, and reads the answer after that.
func (c *tenantClient) longPreamble(t *testing.T) (status int, p rest.Problem, err error) {
	t.Helper()
	form, contentType := formUpTo(t, 1000)
	line := strings.Repeat("x", 78) + "\r\n"
	body := io.MultiReader(strings.NewReader(strings.Repeat(line, 16<<20/len(line))), form)
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(
		conn, "POST /jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", c.key, contentType,
		20<<20,
	); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // the answer is there before the body
	if _, err := io.Copy(conn, body); err != nil {
		return 0, p, fmt.Errorf("sending the form: %w", err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, p, fmt.Errorf("reading the answer: %w", err)
	}
	err = json.NewDecoder(response.Body).Decode(&p)
	return response.StatusCode, p, err
}

// Restarting the service does not use up the attempts of active jobs.
func TestOrderlyRestartsDoNotCountAgainstAJob(t *testing.T) {
	t.Parallel()
	settings, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	dir := localtest.Folder(t)
	program, s := start(t, dir, settings)
	c := s.register(t)
	j := c.submitEndless(t)
	const restarts = 4 // one more than the attempts that a job has
	for range restarts {
		c.await(t, j.JobID, running)
		if err := program.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := program.Wait(); err != nil {
			t.Fatalf("the orderly end failed: %v", err)
		}
		program, c.service = start(t, dir, settings)
	}
	started := c.await(t, j.JobID, func(j rest.Job) bool { return j.Message != "" })
	if !running(started) || started.Attempt != 1 {
		t.Errorf("after %d restarts the job is %s at attempt %d: %s", restarts, started.Status, started.Attempt, started.Message)
	}
	c.call(t, "DELETE", "/jobs/"+j.JobID).want(t, http.StatusOK)
	if j = c.finish(t, j.JobID); j.Status != job.Cancelled {
		t.Errorf("the job ended %s", j.Status)
	}
	if n := c.ends(t, j.JobID); n != 1 {
		t.Errorf("the job has ended %d times", n)
	}
	if err := program.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := program.Wait(); err != nil {
		t.Errorf("the orderly end failed: %v", err)
	}
}
