package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/process"
	"github.com/sumo-k8/sumo-k8/pkg/store/postgres"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

// asFunction makes the test binary run as the program itself.
const asFunction = "SUMO_K8_TEST_RUN_FUNCTION"

func TestMain(m *testing.M) {
	if os.Getenv(asFunction) != "" {
		main()
		return
	}
	localtest.Main(m)
}

const adminKey = "the-operator"

// patience is for what takes a second on an idle machine. Reconcile's schedule, which would bring it about too, does not run here.
const patience = 3 * time.Minute

// deployment is what the functions of one installation share.
type deployment struct {
	env []string
}

func deploy(t testing.TB) *deployment {
	t.Helper()
	database := localtest.Database(t, postgres.Migrate)
	cfg := localtest.Bucket(t)
	store, err := s3.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.EnsureBucket(context.Background()); err != nil {
		t.Fatal(err)
	}
	sumoRun, err := localtest.SumoRunBinary()
	if err != nil {
		t.Fatal(err)
	}
	return &deployment{env: []string{
		asFunction + "=1", "DATABASE_URL=" + database, "ADMIN_KEY=" + adminKey,
		"S3_ENDPOINT=" + cfg.Endpoint, "S3_BUCKET=" + cfg.Bucket, "S3_ACCESS_KEY=" + cfg.AccessKey, "S3_SECRET_KEY=" + cfg.SecretKey,
		"RUNS_DIR=" + t.TempDir(), "SUMO_RUN=" + sumoRun, "ENGINE=local", "SHUTDOWN_QUIET=0s",
		// Without a schedule nobody calls again: one call is to last as long as any run on a busy machine.
		"RECONCILE_WINDOW=" + patience.String(),
	}}
}

// start runs one function in its own process and returns its URL. At the end of the test it must stop cleanly.
func (d *deployment) start(t *testing.T, target string, env ...string) string {
	t.Helper()
	return d.instance(t, target, env...).url
}

// instance is a process of a function.
type instance struct {
	url  string
	stop func() // stops it, and checks that it ends cleanly
}

func (d *deployment) instance(t testing.TB, target string, env ...string) instance {
	t.Helper()
	port := freePort(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = slices.Concat(os.Environ(), d.env, []string{"FUNCTION_TARGET=" + target, "PORT=" + port}, env)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	p, err := process.Start(cmd, process.Options{})
	if err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceFunc(func() {
		if err := p.Stop(context.Background(), patience); err != nil {
			t.Errorf("%s ended with %v: %s", target, err, &log)
		}
		for line := range strings.Lines(log.String()) {
			if !json.Valid([]byte(line)) {
				t.Errorf("%s logged a line that is not JSON: %s", target, line)
			}
		}
	})
	t.Cleanup(stop)
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			conn.Close()
			return instance{"http://127.0.0.1:" + port, stop}
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen", target)
		}
	}
}

// startMeasured starts a function with metrics, and returns what reads them.
func (d *deployment) startMeasured(t *testing.T, target string) (url string, metrics func() string) {
	t.Helper()
	port := freePort(t)
	return d.start(t, target, "METRICS_PORT="+port), func() string {
		t.Helper()
		response, err := http.Get("http://127.0.0.1:" + port + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
}

// handedOut are the ports that tests of this process have been given.
var handedOut sync.Map

// freePort returns a port on which nothing listens. It is none of those that the kernel gives to connections (from 32768), one of which
// could take it before the function listens there.
func freePort(t testing.TB) string {
	t.Helper()
	const lowest, highest = 20_000, 32_000
	for range 1000 {
		port := strconv.Itoa(lowest + rand.IntN(highest-lowest))
		listener, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		listener.Close()
		if _, given := handedOut.LoadOrStore(port, true); !given {
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}

func send(t *testing.T, method, url string, body io.Reader, headers map[string]string, into any) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
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

// awaitReady waits until a function answers its probe. On a busy machine a check can take longer than the second that a probe leaves it.
func awaitReady(t *testing.T, url string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		code := send(t, "GET", url+"/ready", nil, nil, nil)
		if code == http.StatusOK {
			return
		}
		if code != http.StatusServiceUnavailable || time.Now().After(deadline) {
			t.Fatalf("%s/ready answered %d", url, code)
		}
	}
}

// client is a tenant.
type client struct{ key map[string]string }

type madeJob struct {
	ID     string `json:"job_id"`
	Status string
	Reason string
}

func newClient(t *testing.T, auth string) client {
	t.Helper()
	return newTenant(t, auth, "acme")
}

func newTenant(t *testing.T, auth, id string) client {
	t.Helper()
	var tenant struct {
		APIKey string `json:"api_key"`
	}
	if code := send(
		t, "POST", auth+"/auth/register", strings.NewReader(`{"tenant_id": "`+id+`"}`), map[string]string{"X-Admin-Key": adminKey}, &tenant,
	); code != http.StatusOK {
		t.Fatalf("registering answered %d", code)
	}
	return client{map[string]string{"Authorization": "Bearer " + tenant.APIKey}}
}

// submit submits a scenario of test_networks and returns the job's id.
func (c client) submit(t *testing.T, submit, network string, fields ...string) string {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	_ = form.WriteField("scenario_id", network)
	for _, field := range fields {
		name, value, _ := strings.Cut(field, "=")
		_ = form.WriteField(name, value)
	}
	file, err := form.CreateFormFile("sumo_files", network+".zip")
	if err != nil {
		t.Fatal(err)
	}
	zip, err := networks.ReadyZip(network)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = file.Write(zip)
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	var j madeJob
	headers := maps.Clone(c.key)
	headers["Content-Type"] = form.FormDataContentType()
	code := send(t, "POST", submit+"/jobs", &body, headers, &j)
	if code != http.StatusOK || j.Status != "QUEUED" {
		t.Fatalf("submission answered %d, %+v", code, j)
	}
	return j.ID
}

// wait waits for a job's end.
func (c client) wait(t *testing.T, status, id string) (j madeJob) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		send(t, "GET", status+"/jobs/"+id+"?wait=10s", nil, c.key, &j)
		switch j.Status {
		case "SUCCEEDED", "FAILED", "CANCELLED":
			return j
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s the job is %+v", patience, j)
		}
	}
}

func TestEachFunctionIsAProcessOfItsOwn(t *testing.T) {
	t.Parallel()
	d := deploy(t)
	auth, submit, status, logs := d.start(t, "auth"), d.start(t, "submit"), d.start(t, "status"), d.start(t, "logs")
	reconcile := d.start(t, "reconcile") + "/reconcile"

	c := newClient(t, auth)
	key := c.key
	j := madeJob{ID: c.submit(t, submit, "square")}
	// What a PingSource sends, in CloudEvents' binary mode.
	event := map[string]string{
		"Ce-Id": "1", "Ce-Specversion": "1.0", "Ce-Type": "dev.knative.sources.ping", "Ce-Source": "/apis/v1/namespaces/x/pingsources/reconcile",
		"Content-Type": "application/json",
	}
	if code := send(t, "POST", reconcile, strings.NewReader(`{}`), event, nil); code != http.StatusUnauthorized {
		t.Errorf("an event without a key was answered with %d", code)
	}
	event["X-Admin-Key"] = adminKey
	if code := send(t, "POST", reconcile, strings.NewReader(`{}`), event, nil); code != http.StatusOK {
		t.Errorf("the event was answered with %d", code)
	}
	send(t, "GET", status+"/jobs/"+j.ID, nil, key, &j)
	if j.Status != "SUCCEEDED" {
		t.Errorf("the job is %s after its reconciliation", j.Status)
	}
	var snapshot struct{ Logs string }
	send(t, "GET", logs+"/jobs/"+j.ID+"/logs", nil, key, &snapshot)
	if !strings.Contains(snapshot.Logs, "Inserted: 32") {
		t.Errorf("the log is %q", snapshot.Logs)
	}

	// Each answers its own calls only, and each has its probes.
	for _, url := range []string{auth, submit, status, logs} {
		awaitReady(t, url)
	}
	if code := send(t, "GET", auth+"/jobs/"+j.ID, nil, key, nil); code != http.StatusNotFound {
		t.Errorf("auth answered a call of status with %d", code)
	}
}

// once runs a task in its own process.
func once(t *testing.T, env ...string) (out string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(append(os.Environ(), asFunction+"=1"), env...)
	raw, err := cmd.CombinedOutput()
	return string(raw), err
}

// Its pods have no token for the cluster, so it must not need one.
func TestStatusRunsWithoutACluster(t *testing.T) {
	t.Parallel()
	d := deploy(t)
	d.env = append(
		d.env, "ENGINE=argo", "SUMO_VERSION=1.15", "SUMO_IMAGES=1.15=dev.local/sumo:1.15", "KUBERNETES_SERVICE_HOST=", "KUBECONFIG=",
	)
	awaitReady(t, d.start(t, "status"))
}

func TestWhatCannotBeServedIsRefused(t *testing.T) {
	t.Parallel()
	database := "DATABASE_URL=postgres:///x"
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(
		kubeconfig,
		[]byte(
			"{clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}], contexts: [{name: c, context: {cluster: c}}], current-context: c}",
		),
		0o600,
	); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		env  []string
		want []string
	}{
		"an unknown target":           {[]string{"FUNCTION_TARGET=coffee", database}, []string{`"coffee"`, "reconcile", "migrate"}},
		"events without a key":        {[]string{"FUNCTION_TARGET=reconcile-event", database}, []string{`"reconcile-event"`}},
		"no target":                   {[]string{database}, []string{"FUNCTION_TARGET"}},
		"a function without database": {[]string{"FUNCTION_TARGET=auth"}, []string{"DATABASE_URL"}},
		"migration of nothing":        {[]string{"FUNCTION_TARGET=migrate"}, []string{"DATABASE_URL"}},
		"migration through a pooler":  {[]string{"FUNCTION_TARGET=migrate", database, "DATABASE_POOLED=true"}, []string{"DATABASE_POOLED"}},
		"a schedule without a URL":    {[]string{"FUNCTION_TARGET=schedule"}, []string{"RECONCILE_URL"}},
		"a store that no policy can name": {[]string{
			"FUNCTION_TARGET=reconcile", database, "ENGINE=argo", "SUMO_IMAGES=1.15=dev.local/sumo:1.15", "KUBECONFIG=" + kubeconfig,
			"S3_ENDPOINT=http://minio:9000",
		}, []string{`"minio"`, "S3_CIDRS"}},
	} {
		out, err := once(t, test.env...)
		if err == nil {
			t.Errorf("%s: it succeeded: %s", name, out)
		}
		for _, want := range test.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: %q is not in %s", name, want, out)
			}
		}
	}
}

func TestMigratePreparesWhatTheFunctionsNeed(t *testing.T) {
	t.Parallel()
	store := localtest.Endpoint(t)
	d := &deployment{env: []string{
		asFunction + "=1", "DATABASE_URL=" + localtest.Database(t, nil), "ADMIN_KEY=" + adminKey,
		"S3_ENDPOINT=" + store.Endpoint, "S3_BUCKET=made-by-migrate", "S3_ACCESS_KEY=" + store.AccessKey, "S3_SECRET_KEY=" + store.SecretKey,
	}}
	for range 2 {
		if out, err := once(t, append(d.env, "FUNCTION_TARGET=migrate")...); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	auth := d.start(t, "auth")
	awaitReady(t, auth)
	if code := send(
		t, "POST", auth+"/auth/register", strings.NewReader(`{"tenant_id": "acme"}`), map[string]string{"X-Admin-Key": adminKey}, nil,
	); code != http.StatusOK {
		t.Errorf("registering answered %d", code)
	}

	for name, env := range map[string][]string{
		"no database": {"DATABASE_URL=postgres://nobody@127.0.0.1:1/none"},
		"no store":    {"S3_ENDPOINT=http://127.0.0.1:1"},
	} {
		if out, err := once(t, slices.Concat(d.env, env, []string{"FUNCTION_TARGET=migrate"})...); err == nil {
			t.Errorf("with %s it succeeded: %s", name, out)
		}
	}
}

func TestTheScheduleCallsOnceAndEndsWithTheAnswer(t *testing.T) {
	t.Parallel()
	d := deploy(t)
	url := d.start(t, "reconcile") + "/reconcile"
	if out, err := once(
		t, "FUNCTION_TARGET=schedule", "RECONCILE_URL="+url, "ADMIN_KEY="+adminKey,
	); err != nil || !strings.Contains(out, `"passes":1`) {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := once(
		t, "FUNCTION_TARGET=schedule", "RECONCILE_URL="+url, "ADMIN_KEY=wrong",
	); err == nil || !strings.Contains(out, "admin key") {
		t.Errorf("with a wrong key: %v: %s", err, out)
	}
}

// Only the functions that make work for reconcile call it here.
func TestChangesWakeReconcile(t *testing.T) {
	t.Parallel()
	d := deploy(t)
	silent := d.start(t, "submit")
	d.env = append(d.env, "RECONCILE_URL="+d.start(t, "reconcile")+"/reconcile")
	auth, submit, status := d.start(t, "auth"), d.start(t, "submit"), d.start(t, "status")
	c := newClient(t, auth)
	if j := c.wait(t, status, c.submit(t, submit, "square")); j.Status != "SUCCEEDED" {
		t.Errorf("the job is %+v", j)
	}
	// This one waits until auth makes room.
	waiting := c.submit(t, silent, "square")
	if code := send(
		t, "PATCH", auth+"/auth/tenants/acme?max_cpu=40", nil, map[string]string{"X-Admin-Key": adminKey}, nil,
	); code != http.StatusOK {
		t.Fatalf("raising the limit answered %d", code)
	}
	if j := c.wait(t, status, waiting); j.Status != "SUCCEEDED" {
		t.Errorf("the job that waited is %+v", j)
	}
}

// Routes are patterns and labels have few values, whatever the requests: tenants, ids and paths that do not exist.
func TestMetricsAreOnAPortOfTheirOwnAndStaySmall(t *testing.T) {
	t.Parallel()
	d := deploy(t)
	status, metrics := d.startMeasured(t, "status")
	c := newClient(t, d.start(t, "auth"))
	series := func(text string) int { return strings.Count(text, "\nsumo_k8_") }
	ask := func(from, to int) {
		for i := from; i < to; i++ {
			id := fmt.Sprintf("01a205c4-bcb6-78c2-ba85-%012d", i)
			send(t, "GET", status+"/jobs/"+id, nil, c.key, nil)
			send(t, "GET", status+"/nothing/"+id, nil, c.key, nil)
		}
	}
	ask(0, 1)
	before := series(metrics())
	ask(1, 20)
	text := metrics()
	if after := series(text); before != after {
		t.Errorf("%d series became %d:\n%s", before, after, text)
	}
	if !strings.Contains(
		text, `sumo_k8_requests_total{function="status",route="GET /jobs/{id}",status="4xx"} 20`,
	) || strings.Contains(text, "acme") || strings.Contains(text, "01a205c4") {
		t.Errorf("the metrics are\n%s", text)
	}
	if code := send(t, "GET", status+"/metrics", nil, nil, nil); code != http.StatusNotFound {
		t.Errorf("the public port answered /metrics with %d", code)
	}
}

func TestReconcileHasMetricsOfJobs(t *testing.T) {
	t.Parallel()
	d := deploy(t)
	reconcile, metrics := d.startMeasured(t, "reconcile")
	c := newClient(t, d.start(t, "auth"))
	c.submit(t, d.start(t, "submit"), "square")
	if text := metrics(); !strings.Contains(text, `sumo_k8_jobs{status="QUEUED"} 1`) {
		t.Errorf("with a waiting job the metrics are\n%s", text)
	}
	if code := send(t, "POST", reconcile+"/reconcile", nil, map[string]string{"X-Admin-Key": adminKey}, nil); code != http.StatusOK {
		t.Fatalf("reconcile answered %d", code)
	}
	text := metrics()
	for _, want := range []string{
		`sumo_k8_jobs{status="QUEUED"} 0`, `sumo_k8_queue_oldest_wait_seconds 0`, `sumo_k8_jobs_dispatched_total 1`,
		`sumo_k8_jobs_ended_total{reason="",status="SUCCEEDED"} 1`, `sumo_k8_reconcile_failures_total 0`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("%s is missing in\n%s", want, text)
		}
	}
}
