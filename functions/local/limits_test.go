package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
)

// program is the program in its own process, with access to what it does not show over HTTP.
type program struct {
	*service
	cmd *exec.Cmd
	dir string
}

// startProgram runs the program over dir until the test ends.
func startProgram(t testing.TB, dir string, env ...string) *program {
	t.Helper()
	settings, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	cmd, s := start(t, dir, settings, env...)
	p := &program{service: s, cmd: cmd, dir: dir}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Signal(syscall.SIGTERM)
			if err := cmd.Wait(); err != nil {
				t.Errorf("the program ended with %v", err)
			}
		}
		if t.Failed() {
			log, _ := os.ReadFile(p.logFile())
			t.Logf("service log:\n%s", log)
		}
	})
	return p
}

func (p *program) logFile() string { return filepath.Join(p.dir, "logs", "service.log") }

// logged returns the last line of the program's log with this message.
func (p *program) logged(t *testing.T, message string) map[string]any {
	t.Helper()
	return logged(t, p.logFile(), message)
}

func logged(t testing.TB, file, message string) map[string]any {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var last map[string]any
	for line := range bytes.Lines(raw) {
		var fields map[string]any
		if json.Unmarshal(line, &fields) == nil && fields["message"] == message {
			last = fields
		}
	}
	if last == nil {
		t.Fatalf("the log has no line %q", message)
	}
	return last
}

// signal signals the server that logged message when it was ready.
func (p *program) signal(t *testing.T, message string, sig syscall.Signal) {
	t.Helper()
	pid, _ := p.logged(t, message)["pid"].(float64)
	if pid <= 1 {
		t.Fatalf("the log lacks the pid of %q", message)
	}
	if err := syscall.Kill(int(pid), sig); err != nil {
		t.Fatal(err)
	}
}

const (
	postgresReady    = "database is ready"
	objectStoreReady = "object store is ready"
)

// uploads lists the scenarios in the object store, aborts unfinished uploads and returns their number.
func (p *program) uploads(t *testing.T) (keys []string, unfinished int) {
	t.Helper()
	var credentials struct {
		Access string `json:"access_key"`
		Secret string `json:"secret_key"`
	}
	raw, err := os.ReadFile(filepath.Join(p.dir, "objects", "credentials.json"))
	if err == nil {
		err = json.Unmarshal(raw, &credentials)
	}
	if err != nil {
		t.Fatal(err)
	}
	endpoint, _ := p.logged(t, objectStoreReady)["endpoint"].(string)
	store, err := s3.New(s3.Config{
		Endpoint: endpoint, Bucket: "sumo-k8", AccessKey: credentials.Access, SecretKey: credentials.Secret, UsePathStyle: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	err = store.List(t.Context(), artifact.ScenarioPrefix, func(o artifact.Object) bool {
		keys = append(keys, o.Key)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	if unfinished, err = store.AbortUploads(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	return keys, unfinished
}

// databaseURL returns the URL of the database of the service that wrote the log, with the password stored beside it.
func databaseURL(t testing.TB, log string) string {
	t.Helper()
	ready := logged(t, log, postgresReady)
	sockets, _ := ready["sockets"].(string)
	folder, _ := ready["folder"].(string)
	password, err := os.ReadFile(filepath.Join(folder, "password"))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("postgres://postgres:%s@/%s?host=%s", bytes.TrimSpace(password), database, url.QueryEscape(sockets))
}

// scenarios counts the recorded scenarios.
func (p *program) scenarios(t *testing.T) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), databaseURL(t, p.logFile()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM scenarios").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func (p *program) wantNothingKept(t *testing.T) {
	t.Helper()
	if keys, unfinished := p.uploads(t); len(keys) > 0 || unfinished > 0 {
		t.Errorf("the store keeps %v and %d unfinished uploads", keys, unfinished)
	}
	if n := p.scenarios(t); n > 0 {
		t.Errorf("%d scenarios are recorded", n)
	}
}

func wantRetry(t *testing.T, a answer) {
	t.Helper()
	if seconds, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || seconds < 1 {
		t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
	}
}

func TestLimitsOfTheEnvironment(t *testing.T) {
	t.Parallel()
	p := startProgram(t, localtest.Folder(t), "MAX_UPLOAD_MIB=1", "MAX_QUEUED_JOBS=2")
	c := p.register(t, `"max_concurrent_jobs": 1`)

	// An upload over the limit, by a little and by so much that its body need not be read.
	for size, shown := range map[int]string{2 << 20: "2.0 MiB", 9 << 20: "9.0 MiB"} {
		a := c.post(t, [][2]string{{"scenario_id", "big"}, {"@sumo_files", strings.Repeat("x", size)}}).want(t, http.StatusRequestEntityTooLarge)
		if detail := a.problem(t).Detail; !strings.Contains(detail, shown) || !strings.Contains(detail, "1.0 MiB") {
			t.Errorf("the refusal of %s does not name both sizes: %s", shown, detail)
		}
	}
	p.wantNothingKept(t)

	running := c.submitEndless(t)
	c.await(t, running.JobID, func(j rest.Job) bool { return j.Status != job.Queued })
	c.submitEndless(t)
	waiting := c.submitEndless(t)
	full := [][2]string{{"scenario_id", "one too many"}, {"@sumo_files", endless(t)}}
	a := c.post(t, full).want(t, http.StatusTooManyRequests)
	if got := a.problem(t); got.Code != problem.QueueFull {
		t.Errorf("the code is %s", got.Code)
	}
	wantRetry(t, a)
	c.call(t, "DELETE", "/jobs/"+waiting.JobID).want(t, http.StatusOK)
	c.post(t, full).want(t, http.StatusOK) // there is room again
}

func TestRatesOfTheEnvironment(t *testing.T) {
	t.Parallel()
	p := startProgram(
		t, localtest.Folder(t), "CALLS_PER_SECOND=2", "WRONG_KEYS_PER_MINUTE=2", "SUBMISSIONS_PER_MINUTE=1",
		"CORS_ORIGINS=https://app.example.org",
	)
	c, other := p.register(t), p.register(t)
	// until repeats a request until it is refused: how soon depends on how fast this machine is.
	until := func(what, says string, send func() answer) {
		t.Helper()
		for range 1000 {
			a := send()
			if a.status != http.StatusTooManyRequests {
				continue
			}
			if got := a.problem(t); got.Code != problem.RateLimited || !strings.Contains(got.Detail, says) {
				t.Errorf("%s: refused with %+v", what, got)
			}
			wantRetry(t, a)
			return
		}
		t.Errorf("%s are never refused", what)
	}
	until("submissions", "1 jobs within a minute", func() answer {
		return c.post(t, [][2]string{{"scenario_id", "x"}, {"@sumo_files", zipOf(t, "square")}})
	})
	until("calls", "2 calls a second", func() answer { return c.call(t, "GET", "/tenants/me/dashboard") })
	until("wrong keys", "more than 2 invalid keys", func() answer { return p.request(t, "GET", "/jobs", nil, "Authorization: wrong") })
	// No trusted proxy is configured, so a client may not claim another client's address.
	p.request(t, "GET", "/jobs", nil, "Authorization: wrong", "X-Forwarded-For: 198.51.100.7").want(t, http.StatusTooManyRequests)
	p.admin(t, "GET", "/auth/tenants", "").want(t, http.StatusOK)
	p.request(t, "GET", "/jobs", nil, "Authorization: "+other.key).want(t, http.StatusOK) // its first call
	fromPage := p.request(
		t, "GET", "/jobs", nil, "Authorization: "+other.key, "X-Forwarded-For: 203.0.113.9", "Origin: https://app.example.org",
	).want(t, http.StatusOK)
	if got := fromPage.header.Get("Access-Control-Allow-Origin"); got != "https://app.example.org" {
		t.Errorf("a page of the allowed site gets Access-Control-Allow-Origin %q", got)
	}
}

func TestWhenPostgresDiesTheProgramSaysSoAndLosesNothing(t *testing.T) {
	t.Parallel()
	settings, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	dir := localtest.Folder(t)
	var output bytes.Buffer
	cmd, s := startWithOutput(t, dir, settings, &output)
	first := &program{service: s, cmd: cmd, dir: dir}
	c := s.register(t, `"max_concurrent_jobs": 1`)
	finished := c.submit(t, "square").JobID
	c.finish(t, finished)
	ids := []string{finished, c.submit(t, "corridor").JobID, c.submit(t, "cross").JobID}

	first.signal(t, postgresReady, syscall.SIGKILL)
	err = cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("the program ended with %v", err)
	}
	for _, part := range []string{"Postgres exited unexpectedly", "Start again", dir} {
		if !strings.Contains(output.String(), part) {
			t.Errorf("the program does not report %q: %s", part, &output)
		}
	}

	second := startProgram(t, dir)
	c.service = second.service
	for _, id := range ids {
		if j := c.finish(t, id); j.Status != job.Succeeded {
			t.Errorf("job %s ended %s: %s", id, j.Status, deref(j.Error))
		}
		if n := c.ends(t, id); n != 1 {
			t.Errorf("job %s has ended %d times", id, n)
		}
	}
}

func TestAnObjectStoreThatHangsIsReported(t *testing.T) {
	t.Parallel()
	p := startProgram(t, localtest.Folder(t))
	c := p.register(t)
	p.signal(t, objectStoreReady, syscall.SIGSTOP)
	t.Cleanup(func() { p.signal(t, objectStoreReady, syscall.SIGCONT) }) // before the program stops
	p.awaitHealth(t, http.StatusServiceUnavailable, rest.HealthReport{Status: "unhealthy", DBAvailable: true})
	fields := [][2]string{{"scenario_id", "later"}, {"@sumo_files", zipOf(t, "square")}}
	a := c.post(t, fields).want(t, http.StatusServiceUnavailable)
	if got := a.problem(t); got.Code != problem.Unavailable || !strings.Contains(got.Detail, "object store") {
		t.Errorf("answered %+v", got)
	}
	wantRetry(t, a)
	if n := p.scenarios(t); n > 0 {
		t.Errorf("%d scenarios are recorded", n)
	}

	p.signal(t, objectStoreReady, syscall.SIGCONT)
	p.awaitHealth(t, http.StatusOK, rest.HealthReport{Status: "healthy", DBAvailable: true, StorageAvailable: true})
	var j rest.Job
	c.post(t, fields).want(t, http.StatusOK).into(t, &j)
	if j = c.finish(t, j.JobID); j.Status != job.Succeeded {
		t.Errorf("the job ended %s: %s", j.Status, deref(j.Error))
	}
}

func TestADiskThatFillsUpIsReported(t *testing.T) {
	t.Parallel()
	dir := localtest.Folder(t)
	disk := func(options string) error { return syscall.Mount("sumo-k8-test", dir, "tmpfs", 0, options) }
	if err := disk("size=512m,mode=711"); err != nil {
		t.Skipf("only root can make a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	p := startProgram(t, dir)
	var full rest.HealthReport
	a := p.request(t, "GET", "/health", nil).want(t, http.StatusServiceUnavailable)
	if a.into(t, &full); full.Status != "unhealthy" || !strings.Contains(full.Disk, "of 512") {
		t.Errorf("answered %s", a.body)
	}
	p.well(t, "/ready")
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT, "size=4g,mode=711"); err != nil {
		t.Fatal(err)
	}
	p.awaitHealth(t, http.StatusOK, rest.HealthReport{Status: "healthy", DBAvailable: true, StorageAvailable: true})
}

// awaitHealth polls health until it is as wanted. A signal takes effect when the kernel next runs the target process, and on a
// busy machine a check may exceed its time limit.
func (p *program) awaitHealth(t *testing.T, status int, want rest.HealthReport) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		a := p.request(t, "GET", "/health", nil)
		var got rest.HealthReport
		a.into(t, &got)
		want.Timestamp, want.Confinement = got.Timestamp, got.Confinement
		if a.status == status && got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("answered %d with %+v, want %d with %+v", a.status, got, status, want)
		}
	}
}

func TestAClientThatVanishesInTheMiddleOfAnUploadLeavesNothing(t *testing.T) {
	t.Parallel()
	p := startProgram(t, localtest.Folder(t))
	c := p.register(t)
	for name, sent := range map[string]int{"in its first part": 1 << 20, "in a later part": 12 << 20} {
		body, contentType := formUpTo(t, sent)
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		id := fmt.Sprintf("vanishes-%d", sent)
		_, err = fmt.Fprintf(conn, "POST /jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nX-Request-Id: %s\r\nContent-Type: "+
			"%s\r\nContent-Length: %d\r\n\r\n",
			c.key, id, contentType, 64<<20)
		if err == nil {
			_, err = io.Copy(conn, body)
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		conn.Close()
		if status := p.served(t, id); status != http.StatusBadRequest {
			t.Errorf("%s: the logged status is %d", name, status)
		}
	}
	p.wantNothingKept(t)
}

// The rate is measured over a minute, so this test takes one.
func TestASlowUploadIsAnsweredAndLeavesNothing(t *testing.T) {
	t.Parallel()
	// So low a rate makes 60 KiB enough for a minute: the last ones of an upload that arrives at once arrive together on a busy machine too.
	p := startProgram(t, localtest.Folder(t), "MIN_UPLOAD_KIB_PER_SECOND=1")
	c := p.register(t)
	form, formType := formUpTo(t, 12<<20)
	const silence, slowness = "Nothing of the upload arrived in the last 60 s", "at least 1.0 KiB/s is required"
	var uploads sync.WaitGroup
	for _, upload := range []struct {
		path, contentType string
		beginning         io.Reader // arrives at once
		later             int       // bytes that arrive after some seconds
		says              string
	}{
		{"/jobs", formType, form, 0, silence},
		{"/scenarios", "application/zip", strings.NewReader("PK"), 30 << 10, slowness},
		{"/scenarios/validate", "application/zip", bytes.NewReader(make([]byte, 6<<20)), 0, silence},
		{"/scenarios", formType, strings.NewReader("--"), 0, silence},
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		uploads.Go(func() {
			_, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n",
				upload.path, c.key, upload.contentType, 64<<20)
			if err == nil {
				_, err = io.Copy(conn, upload.beginning)
			}
			if err == nil && upload.later > 0 {
				time.Sleep(20 * time.Second)
				_, err = conn.Write(make([]byte, upload.later))
			}
			if err != nil {
				t.Errorf("%s: sending: %v", upload.path, err)
				return
			}
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Errorf("%s: reading the answer: %v", upload.path, err)
				return
			}
			var got rest.Problem
			err = json.NewDecoder(response.Body).Decode(&got)
			if err != nil || response.StatusCode != http.StatusRequestTimeout || !response.Close || !strings.Contains(got.Detail, upload.says) {
				t.Errorf("%s: answered %s with %+v, %v", upload.path, response.Status, got, err)
			}
		})
	}
	uploads.Wait()
	p.wantNothingKept(t)
}

// formUpTo returns the beginning of a form, up to this many bytes of its zip.
func formUpTo(t *testing.T, sent int) (io.Reader, string) {
	t.Helper()
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	if err := w.WriteField("scenario_id", "vanishes"); err != nil {
		t.Fatal(err)
	}
	file, err := w.CreateFormFile("sumo_files", "scenario.zip")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = file.Write(bytes.Repeat([]byte("x"), sent))
	return &form, w.FormDataContentType()
}

// served waits until a request has finished, and returns its logged status.
func (p *program) served(t *testing.T, id string) int {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		raw, err := os.ReadFile(p.logFile())
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(raw) {
			var fields struct {
				Message   string
				RequestID string `json:"request_id"`
				Status    int
			}
			if json.Unmarshal(line, &fields) == nil && fields.Message == "request" && fields.RequestID == id {
				return fields.Status
			}
		}
	}
	t.Fatalf("the request %s does not finish", id)
	return 0
}
