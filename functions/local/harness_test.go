package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/functions/internal/app"
	"github.com/sumo-k8/sumo-k8/functions/internal/testing/contract"
	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

// asLocal makes the test binary run as the program itself, with the variable's value as its data folder, so that a test
// can kill it.
const asLocal = "SUMO_K8_TEST_RUN_LOCAL"

func TestMain(m *testing.M) {
	if os.Getenv(asLocal) != "" {
		main()
		return
	}
	// Task tokens stand for what only a tenant may see, and no state machine waits for these.
	if err := os.Setenv("LEGACY_CALLBACKS", "ignore"); err != nil {
		panic(err)
	}
	// Most of these tests wait, for a job or for a limit of time to pass, and leave the processors to others.
	if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
	localtest.Main(m)
}

// patience is how long a test waits for what takes a second or two on an idle machine.
const patience = 2 * time.Minute

// programs builds the programs that the service starts.
var programs = sync.OnceValues(func() (settings Settings, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if settings.ObjectStore, err = localtest.ObjectStoreBinary(ctx); err != nil {
		return settings, err
	}
	settings.SumoRun, err = localtest.SumoRunBinary()
	return settings, err
})

// service is a running service with a client that checks every answer against the OpenAPI document.
type service struct {
	url, adminKey string
	checker       *contract.Checker
	client        *http.Client
	inputs        func(bucket string) s3.Config // for another bucket on the same store
}

// startService runs the very same Service that the program runs, in this process, until the test ends.
func startService(t testing.TB) *service {
	t.Helper()
	settings, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	s, _ := startWith(t, settings)
	return s
}

func startWith(t testing.TB, settings Settings) (*service, *Service) {
	t.Helper()
	settings.Dir, settings.Listen = localtest.Folder(t), "127.0.0.1:0"
	ctx, stop := context.WithCancel(context.Background())
	running, err := Open(ctx, settings)
	if err != nil {
		stop()
		t.Fatalf("opening the service: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- running.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the service ended with an error: %v", err)
		}
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(settings.Dir, "logs", "service.log"))
			t.Logf("service log:\n%s", log)
		}
	})
	s := connect(t, running.Endpoint)
	s.inputs = func(bucket string) s3.Config {
		cfg := running.cfg
		return s3.Config{
			Endpoint: cfg.S3Endpoint, Region: cfg.S3Region, Bucket: bucket, AccessKey: cfg.S3AccessKey, SecretKey: cfg.S3SecretKey,
			UsePathStyle: true,
		}
	}
	return s, running
}

func connect(t testing.TB, at Endpoint) *service {
	checker := contract.New(t, app.OpenAPI, http.DefaultTransport)
	return &service{url: at.URL, adminKey: at.AdminKey, checker: checker, client: &http.Client{Transport: checker, Timeout: patience}}
}

// answer is the response to a request.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) into(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		t.Fatalf("reading the answer %s: %v", a.body, err)
	}
}

// problem decodes the error that an answer must be.
func (a answer) problem(t testing.TB) rest.Problem {
	t.Helper()
	var p rest.Problem
	a.into(t, &p)
	return p
}

func (a answer) want(t testing.TB, status int) answer {
	t.Helper()
	if a.status != status {
		t.Fatalf("answered %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

// request sends one request. A header is "Name: value".
func (s *service) request(t testing.TB, method, path string, body io.Reader, headers ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	response, err := s.client.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s %s: reading the answer: %v", method, path, err)
	}
	return answer{response.StatusCode, response.Header, content}
}

// well asks /health or /ready until all is well. On a busy machine a check may exceed its time limit.
func (s *service) well(t testing.TB, path string) answer {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		a := s.request(t, "GET", path, nil)
		if a.status != http.StatusServiceUnavailable || time.Now().After(deadline) {
			return a.want(t, http.StatusOK)
		}
	}
}

func (s *service) admin(t testing.TB, method, path, body string) answer {
	t.Helper()
	return s.request(t, method, path, strings.NewReader(body), "X-Admin-Key: "+s.adminKey, "Content-Type: application/json")
}

// tenant is a registered tenant with its key.
type tenantClient struct {
	*service
	id, key string
}

var tenantSerial struct {
	sync.Mutex
	n int
}

// register makes a tenant. extra is more JSON members, such as `"max_concurrent_jobs": 1`.
func (s *service) register(t testing.TB, extra ...string) *tenantClient {
	t.Helper()
	tenantSerial.Lock()
	tenantSerial.n++
	id := fmt.Sprintf("tenant-%d", tenantSerial.n)
	tenantSerial.Unlock()
	members := append([]string{fmt.Sprintf(`"tenant_id": %q`, id)}, extra...)
	var out struct {
		APIKey string `json:"api_key"`
	}
	s.admin(t, "POST", "/auth/register", "{"+strings.Join(members, ", ")+"}").want(t, http.StatusOK).into(t, &out)
	return &tenantClient{service: s, id: id, key: out.APIKey}
}

func (c *tenantClient) call(t testing.TB, method, path string, headers ...string) answer {
	t.Helper()
	return c.request(t, method, path, nil, append(headers, "Authorization: Bearer "+c.key)...)
}

// post submits a form. A field whose name begins with "@" is a file.
func (c *tenantClient) post(t testing.TB, fields [][2]string, headers ...string) answer {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for _, f := range fields {
		if name, isFile := strings.CutPrefix(f[0], "@"); isFile {
			w, err := form.CreateFormFile(name, "scenario.zip")
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(w, f[1])
		} else if err := form.WriteField(f[0], f[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	return c.request(
		t, "POST", "/jobs", &body, append(headers, "Authorization: Bearer "+c.key, "Content-Type: "+form.FormDataContentType())...,
	)
}

// submit submits one of the ready networks and returns the job.
func (c *tenantClient) submit(t testing.TB, network string, fields ...[2]string) rest.Job {
	t.Helper()
	var j rest.Job
	c.post(t, append([][2]string{{"scenario_id", network}, {"@sumo_files", zipOf(t, network)}}, fields...)).want(t, http.StatusOK).into(t, &j)
	return j
}

func zipOf(t testing.TB, network string) string {
	t.Helper()
	zip, err := networks.ReadyZip(network)
	if err != nil {
		t.Fatal(err)
	}
	return string(zip)
}

func (c *tenantClient) job(t testing.TB, id string) rest.Job {
	t.Helper()
	var j rest.Job
	c.call(t, "GET", "/jobs/"+id).want(t, http.StatusOK).into(t, &j)
	return j
}

// await polls, as the predecessor's clients do, until done returns true.
func (c *tenantClient) await(t testing.TB, id string, done func(rest.Job) bool) rest.Job {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		j := c.job(t, id)
		if done(j) {
			return j
		}
		if time.Now().After(deadline) {
			t.Fatalf("job %s is still %s after %s (message %q)", id, j.Status, patience, j.Message)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (c *tenantClient) finish(t testing.TB, id string) rest.Job {
	t.Helper()
	return c.await(t, id, func(j rest.Job) bool { return j.Status.Terminal() })
}

func running(j rest.Job) bool { return j.Status == job.Running }
