package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

// call sends one request and decodes the answer, which must have the status want, into v when v is not nil. While the
// cluster is disturbed, a GET that gets no answer is repeated, as clients do.
func (c *cluster) call(t testing.TB, method, path string, headers map[string]string, body io.Reader, want int, v any) {
	t.Helper()
	var status int
	var raw []byte
	var err error
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Second) {
		status, raw, err = c.send(t, method, path, headers, body)
		unavailable := err != nil || status >= http.StatusInternalServerError
		if !unavailable || !c.disturbed || method != http.MethodGet || time.Now().After(deadline) {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if status != want {
		t.Fatalf("%s %s answered %d, want %d: %s", method, path, status, want, raw)
	}
	if v != nil {
		if err := json.Unmarshal(raw, v); err != nil {
			t.Fatalf("%s %s answered %s: %v", method, path, raw, err)
		}
	}
}

func (c *cluster) send(
	t testing.TB, method, path string, headers map[string]string, body io.Reader,
) (status int, answer []byte, err error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, c.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	return exchange(r)
}

// exchange sends a request and reads the whole answer.
func exchange(r *http.Request) (status int, answer []byte, err error) {
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

func (c *cluster) admin(t testing.TB, method, path, body string, want int, v any) {
	t.Helper()
	c.call(t, method, path, map[string]string{"X-Admin-Key": c.adminKey, "Content-Type": "application/json"}, strings.NewReader(body), want, v)
}

// tenant is a registered tenant.
type tenant struct {
	*cluster
	id, namespace, key string
}

var serial atomic.Int64

// register makes a tenant, and deletes it at the end of the test.
func (c *cluster) register(t testing.TB, limits string) *tenant {
	t.Helper()
	id := fmt.Sprintf("e2e-%d-%d", time.Now().Unix(), serial.Add(1))
	var made struct {
		Namespace string `json:"namespace"`
		APIKey    string `json:"api_key"`
	}
	c.admin(t, "POST", "/auth/register", fmt.Sprintf(`{"tenant_id": %q%s}`, id, limits), http.StatusOK, &made)
	t.Cleanup(func() {
		r, _ := http.NewRequest("DELETE", c.url+"/auth/tenants/"+id+"?force=true", nil)
		r.Header.Set("X-Admin-Key", c.adminKey)
		if response, err := http.DefaultClient.Do(r); err == nil {
			response.Body.Close()
		}
	})
	return &tenant{cluster: c, id: id, namespace: made.Namespace, key: made.APIKey}
}

func (c *tenant) call(t testing.TB, method, path string, want int, v any) {
	t.Helper()
	c.cluster.call(t, method, path, map[string]string{"Authorization": "Bearer " + c.key}, nil, want, v)
}

func (c *tenant) submit(t testing.TB, scenario string, fields map[string]string) rest.Job {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	all := map[string]string{"scenario_id": "e2e", "cpu_request": "1", "memory_gi": "1"}
	for name, value := range fields {
		all[name] = value
	}
	for name, value := range all {
		if err := form.WriteField(name, value); err != nil {
			t.Fatal(err)
		}
	}
	file, err := form.CreateFormFile("sumo_files", "scenario.zip")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(file, scenario)
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	var j rest.Job
	c.cluster.call(
		t, "POST", "/jobs", map[string]string{"Authorization": "Bearer " + c.key, "Content-Type": form.FormDataContentType()}, &body,
		http.StatusOK, &j,
	)
	return j
}

func ready(t testing.TB, network string) string {
	t.Helper()
	raw, err := networks.ReadyZip(network)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// edited returns a ready network with its files changed.
func edited(t testing.TB, network string, edit func(name, content string) string) string {
	t.Helper()
	zip, err := networks.Edited(network, edit)
	if err != nil {
		t.Fatal(err)
	}
	return string(zip)
}

// endless runs until it is stopped.
func endless(t testing.TB) string {
	t.Helper()
	zip, err := networks.Endless()
	if err != nil {
		t.Fatal(err)
	}
	return string(zip)
}

// await polls until done returns true.
func (c *tenant) await(t testing.TB, id string, done func(rest.Job) bool) rest.Job {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		var j rest.Job
		c.call(t, "GET", "/jobs/"+id, http.StatusOK, &j)
		if done(j) {
			return j
		}
		if time.Now().After(deadline) {
			t.Fatalf("job %s is still %s (%s)\n%s", id, j.Status, j.Message, c.kubectl(t, "get", "workflows,pods", "-n", c.namespace, "-o", "wide"))
		}
	}
}

// start waits until the job runs.
func (c *tenant) start(t testing.TB, id string) {
	t.Helper()
	c.await(t, id, func(j rest.Job) bool {
		if j.Status.Terminal() {
			t.Fatalf("job %s ended %s before it was seen running: %s", id, j.Status, why(j))
		}
		return j.Status == job.Running
	})
}

func (c *tenant) finish(t testing.TB, id string) rest.Job {
	t.Helper()
	return c.await(t, id, func(j rest.Job) bool { return j.Status.Terminal() })
}

func why(j rest.Job) string {
	if j.Error == nil {
		return ""
	}
	return *j.Error
}
