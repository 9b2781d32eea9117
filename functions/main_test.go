package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/infra/laptop/laptoptest"
	"github.com/sumo-k8/sumo-k8/pkg/postgres"
	"github.com/sumo-k8/sumo-k8/pkg/s3store"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

// asFunction makes the test binary the program itself.
const asFunction = "SUMO_K8_TEST_RUN_FUNCTION"

func TestMain(m *testing.M) {
	if os.Getenv(asFunction) != "" {
		main()
		return
	}
	laptoptest.Main(m)
}

const adminKey = "the-operator"

// deployment is what the functions of one installation share.
type deployment struct {
	env []string
}

func deploy(t *testing.T) *deployment {
	t.Helper()
	database := laptoptest.Database(t, postgres.Migrate)
	cfg := laptoptest.Bucket(t)
	store, err := s3store.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.EnsureBucket(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &deployment{env: []string{
		asFunction + "=1", "DATABASE_URL=" + database, "ADMIN_KEY=" + adminKey,
		"S3_ENDPOINT=" + cfg.Endpoint, "S3_BUCKET=" + cfg.Bucket, "S3_ACCESS_KEY=" + cfg.AccessKey, "S3_SECRET_KEY=" + cfg.SecretKey,
		"RUNS_DIR=" + t.TempDir(), "SUMO_RUN=" + buildSumoRun(t), "ENGINE=local", "RECONCILE_WINDOW=30s",
	}}
}

func buildSumoRun(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sumo-run")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "github.com/sumo-k8/sumo-k8/templates/sumo-run").CombinedOutput(); err != nil {
		t.Fatalf("building sumo-run: %v: %s", err, out)
	}
	return path
}

// start runs one function as a process of its own and returns its URL. At the end of the test it must stop cleanly.
func (d *deployment) start(t *testing.T, target string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	listener.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), d.env...), "FUNCTION_TARGET="+target, "PORT="+port)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s ended with %v: %s", target, err, &log)
		}
		for line := range strings.Lines(log.String()) {
			if !json.Valid([]byte(line)) {
				t.Errorf("%s logged a line that is not JSON: %s", target, line)
			}
		}
	})
	url := "http://127.0.0.1:" + port
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			conn.Close()
			return url
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen: %s", target, &log)
		}
	}
}

func send(t *testing.T, method, url string, body io.Reader, headers map[string]string, into any) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if into != nil {
		if err := json.Unmarshal(content, into); err != nil {
			t.Fatalf("%s %s answered %d: %s", method, url, response.StatusCode, content)
		}
	}
	return response.StatusCode
}

func TestEachFunctionIsAProcessOfItsOwn(t *testing.T) {
	t.Parallel()
	d := deploy(t)
	auth, submit, status, logs := d.start(t, "auth"), d.start(t, "submit"), d.start(t, "status"), d.start(t, "logs")
	reconcile := d.start(t, eventTarget)

	var tenant struct {
		APIKey string `json:"api_key"`
	}
	send(t, "POST", auth+"/auth/register", strings.NewReader(`{"tenant_id": "acme"}`), map[string]string{"X-Admin-Key": adminKey}, &tenant)
	key := map[string]string{"Authorization": "Bearer " + tenant.APIKey}

	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	_ = form.WriteField("scenario_id", "square")
	file, err := form.CreateFormFile("sumo_files", "square.zip")
	if err != nil {
		t.Fatal(err)
	}
	zip, err := networks.ReadyZip("square")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = file.Write(zip)
	form.Close()
	var j struct {
		JobID  string `json:"job_id"`
		Status string
	}
	if code := send(t, "POST", submit+"/jobs", &body, map[string]string{"Authorization": key["Authorization"], "Content-Type": form.FormDataContentType()}, &j); code != http.StatusOK || j.Status != "QUEUED" {
		t.Fatalf("submission answered %d, %+v", code, j)
	}

	// What a PingSource sends, in CloudEvents' binary mode.
	if code := send(t, "POST", reconcile, strings.NewReader(`{}`), map[string]string{
		"Ce-Id": "1", "Ce-Specversion": "1.0", "Ce-Type": "dev.knative.sources.ping", "Ce-Source": "/apis/v1/namespaces/x/pingsources/reconcile", "Content-Type": "application/json",
	}, nil); code != http.StatusOK {
		t.Errorf("the event was answered with %d", code)
	}
	send(t, "GET", status+"/jobs/"+j.JobID, nil, key, &j)
	if j.Status != "SUCCEEDED" {
		t.Errorf("the job is %s after its reconciliation", j.Status)
	}
	var snapshot struct{ Logs string }
	send(t, "GET", logs+"/jobs/"+j.JobID+"/logs", nil, key, &snapshot)
	if !strings.Contains(snapshot.Logs, "Inserted: 32") {
		t.Errorf("the log is %q", snapshot.Logs)
	}

	// Each answers its own calls only, and each has its probes.
	for _, url := range []string{auth, submit, status, logs} {
		if code := send(t, "GET", url+"/ready", nil, nil, nil); code != http.StatusOK {
			t.Errorf("%s/ready answered %d", url, code)
		}
	}
	if code := send(t, "GET", auth+"/jobs/"+j.JobID, nil, key, nil); code != http.StatusNotFound {
		t.Errorf("auth answered a call of status with %d", code)
	}
}

func TestAnUnknownTargetIsRefused(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asFunction+"=1", "FUNCTION_TARGET=coffee", "DATABASE_URL=postgres:///x", "S3_ENDPOINT=http://localhost:1", "S3_ACCESS_KEY=a", "S3_SECRET_KEY=b")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), fmt.Sprintf("%q", "coffee")) || !strings.Contains(string(out), "reconcile-event") {
		t.Errorf("ended with %v: %s", err, out)
	}
}
