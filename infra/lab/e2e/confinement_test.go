package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/infra/images/oci"
	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/chunk"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

// loadProbe loads the probe onto the node as an image.
func (c *cluster) loadProbe(t *testing.T) (name string) {
	t.Helper()
	return c.loadPrograms(t, oci.Image{Name: "dev.local/probe:e2e", Entrypoint: []string{"/probe"}}, map[string]string{"/probe": "./probe"})
}

// loadPrograms builds programs, by their paths in the image, into one image and loads it onto the node.
func (c *cluster) loadPrograms(t *testing.T, i oci.Image, programs map[string]string) (name string) {
	t.Helper()
	var files []oci.File
	for path, source := range programs {
		program := filepath.Join(t.TempDir(), filepath.Base(path))
		build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", program, source)
		build.Env = append(build.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("building %s: %v: %s", source, err, out)
		}
		files = append(files, oci.File{Path: path, Mode: 0o755, Source: program})
	}
	i.Architecture, i.User, i.Layers = runtime.GOARCH, "65532:65532", []oci.Layer{oci.Files(files...)}
	archive := filepath.Join(t.TempDir(), "image.tar")
	if _, err := i.WriteFile(archive); err != nil {
		t.Fatal(err)
	}
	if out, err := c.run("", c.program, "load", archive); err != nil {
		t.Fatalf("loading %s: %v: %s", i.Name, err, out)
	}
	return i.Name
}

// newestTemplate is the name of the workflow template for the newest SUMO.
var newestTemplate = fmt.Sprintf("sumo-%s-g%d", strings.ReplaceAll(release.Newest().Version, ".", "-"), chunk.Generation)

// inPlaceOfSUMO runs a workflow of the tenant's own template with the container changed, on the tenant's only scenario, and
// returns what it logged until the given word.
func (c *cluster) inPlaceOfSUMO(t *testing.T, a *tenant, name string, change func(container map[string]any), last string) (log string) {
	t.Helper()
	var template map[string]any
	if err := json.Unmarshal(
		[]byte(c.kubectl(t, "get", "workflowtemplate", newestTemplate, "-n", a.namespace, "-o", "json")), &template,
	); err != nil {
		t.Fatal(err)
	}
	template["metadata"] = map[string]any{"name": name, "namespace": a.namespace}
	spec := template["spec"].(map[string]any)
	delete(spec, "podGC") // its log is read after its end
	run := spec["templates"].([]any)[0].(map[string]any)
	change(run["container"].(map[string]any))
	raw, err := json.Marshal(template)
	if err != nil {
		t.Fatal(err)
	}
	c.apply(t, string(raw))
	objects, err := s3.New(s3.Config{
		Endpoint: c.settings["S3_ENDPOINT"], Bucket: "sumo-k8", AccessKey: c.settings["S3_ACCESS_KEY"], SecretKey: c.settings["S3_SECRET_KEY"],
		UsePathStyle: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	list, err := json.Marshal(chunk.ListOf(job.Single(job.Job{
		ID: name, Namespace: a.namespace, ResultsKey: artifact.ResultsOf(a.namespace, name), TimeoutSeconds: 60, MemoryGi: 1,
	})))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := objects.Put(t.Context(), artifact.ChunkList(a.namespace, name), bytes.NewReader(list), "application/json"); err != nil {
		t.Fatal(err)
	}
	var parameters []string
	for parameter, value := range map[string]string{
		"list-key":     artifact.ChunkList(a.namespace, name),
		"scenario-key": c.query(t, "SELECT object_key FROM scenarios WHERE tenant_id = $1", a.id),
		"parallel":     "1", "deadline": "300", "cpu": "1", "memory": "1Gi",
	} {
		parameters = append(parameters, fmt.Sprintf("{name: %s, value: %q}", parameter, value))
	}
	c.apply(t, fmt.Sprintf(`
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: %[1]s, namespace: %[2]s}
spec: {workflowTemplateRef: {name: %[1]s}, arguments: {parameters: [%[3]s]}}
`, name, a.namespace, strings.Join(parameters, ", ")))
	until(t, name+" has ended", func() (bool, string) {
		state, _ := c.tryKubectl(t, "get", "workflow", name, "-n", a.namespace, "-o", "jsonpath={.status.phase} {.status.message}")
		log, _ = c.tryKubectl(t, "logs", "-n", a.namespace, "-l", "workflows.argoproj.io/workflow="+name, "-c", "main", "--tail=-1")
		return strings.Contains(log, last), state + log
	})
	t.Log(log)
	return log
}

// tried returns the result of each attempt in the probe's log.
func tried(log string) map[string]string {
	got := map[string]string{}
	for line := range strings.Lines(log) {
		var seen struct{ What, Is string }
		if json.Unmarshal([]byte(line), &seen) == nil {
			got[seen.What] = seen.Is
		}
	}
	return got
}

// testConfinement runs a probe in SUMO's place: a workflow of the tenant's own template, with another image and other
// arguments. It finds what a scenario could reach that made SUMO run code of its choice.
func testConfinement(t *testing.T, c *cluster) {
	victim, a := c.register(t, ""), c.register(t, "")
	secret := victim.submit(t, ready(t, "square"), nil)
	if j := victim.finish(t, secret.JobID); j.Status != job.Succeeded {
		t.Fatalf("the other tenant's job ended %s: %s", j.Status, why(j))
	}
	own := a.submit(t, ready(t, "square"), nil)
	if j := a.finish(t, own.JobID); j.Status != job.Succeeded {
		t.Fatalf("the job ended %s: %s", j.Status, why(j))
	}

	postgres := regexp.MustCompile(`@([^/]+)/`).FindStringSubmatch(c.settings["DATABASE_URL"])[1]
	store := c.settings["S3_ENDPOINT"]
	host, _, _ := strings.Cut(postgres, ":")
	args := []string{"--for=20s"}
	refused := map[string]string{
		"Postgres":              postgres,
		"the kubelet":           host + ":10250",
		"a pod of the cluster":  c.podIP(t, "kube-system", "k8s-app=kube-dns") + ":8080",
		"Argo's controller":     c.podIP(t, "argo", "app=workflow-controller") + ":9090",
		"the gateway":           c.podIP(t, "traefik", "app=traefik") + ":80",
		"the gateway from here": strings.TrimPrefix(gateway, "http://"),
	}
	for what, address := range refused {
		// Policies do not apply to the node: its connections show that something listens, and that policies refuse the others.
		connection, err := net.DialTimeout("tcp", address, patience)
		if err != nil {
			t.Fatalf("%s is unreachable even without policies: %v", what, err)
		}
		connection.Close()
		args = append(args, "--connect="+what+"="+address)
	}
	api := "https://" + c.kubectl(
		t, "get", "endpoints", "kubernetes", "-o", "jsonpath={.subsets[0].addresses[0].ip}:{.subsets[0].ports[0].port}",
	)
	forbidden := map[string]string{
		"secrets of its own namespace":        api + "/api/v1/namespaces/" + a.namespace + "/secrets",
		"pods of its own namespace":           api + "/api/v1/namespaces/" + a.namespace + "/pods",
		"another tenant's results":            store + "/sumo-k8/results/" + victim.namespace + "/" + secret.JobID + "/log.txt",
		"its own results without a link":      store + "/sumo-k8/results/" + a.namespace + "/" + own.JobID + "/log.txt",
		"the list of everything in the store": store + "/sumo-k8?list-type=2",
	}
	for what, address := range forbidden {
		args = append(args, "--get="+what+"="+address)
	}

	log := c.inPlaceOfSUMO(t, a, "probe", func(container map[string]any) {
		container["image"], container["imagePullPolicy"] = c.loadProbe(t), "Never"
		container["command"], container["args"] = []string{"/probe"}, args
	}, `"done"`)
	got := tried(log)
	want := map[string]string{
		"a service account's token": "none", "credentials in the environment": "none", "writing to the root": "refused",
		"capabilities": "0000000000000000", "new privileges": "never", "system calls": "filtered", "user": "65532",
		"its own results folder": "written", "the keeper's desk": "refused",
	}
	for what := range refused {
		want[what] = "refused"
	}
	for what := range forbidden {
		want[what] = "forbidden"
	}
	for what, is := range want {
		if got[what] != is {
			t.Errorf("%s: %q, want %q", what, got[what], is)
		}
	}
}

// testTakenOver runs, confined by sumo-run in a pod, a program that tries what a compromised SUMO could try. The probe above
// tests what the pod alone confines; this tests what sumo-run adds.
func testTakenOver(t *testing.T, c *cluster) {
	a := c.register(t, "")
	postgres := regexp.MustCompile(`@([^/]+)/`).FindStringSubmatch(c.settings["DATABASE_URL"])[1]
	store := strings.TrimPrefix(c.settings["S3_ENDPOINT"], "http://")
	tries := []string{
		"read /scenario/scenario.zip", "read /var/run/argo/argoexec", "list /var/run/argo", "write /job/out/other",
		"change /job/out/hostile/log.txt",
		"read /chunk/runs.json", "list /desk", "write /desk/stored/hostile",
		"read /proc/1/environ", "become /bin/sh", "memory",
	}
	for _, address := range []string{postgres, store} { // the pod reaches the store: Argo's container fetches the scenario there
		connection, err := net.DialTimeout("tcp", address, patience)
		if err != nil {
			t.Fatal(err)
		}
		connection.Close()
		tries = append(tries, "tcp "+strings.Replace(address, ":", " ", 1))
	}
	zip, err := networks.Reading("square", "tries.txt", strings.Join(tries, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	scenario := a.submit(t, string(zip), nil)
	if j := a.finish(t, scenario.JobID); j.Status != job.Succeeded || j.Confinement == nil || !j.Confinement.Filter {
		t.Errorf("the scenario's own job ended %s, confined by %+v: %s", j.Status, j.Confinement, why(j))
	}
	name := c.loadPrograms(t, oci.Image{
		Name: "dev.local/hostile:e2e", Entrypoint: []string{"/usr/bin/sumo-run"}, Env: []string{"PATH=/usr/bin", "SUMO_BINARY=/usr/bin/hostile"},
	}, map[string]string{
		"/usr/bin/sumo-run": "github.com/sumo-k8/sumo-k8/pkg/sumo/sumo-run",
		"/usr/bin/hostile":  "github.com/sumo-k8/sumo-k8/pkg/confine/internal/hostile",
	})
	log := c.inPlaceOfSUMO(t, a, "hostile", func(container map[string]any) {
		container["image"], container["imagePullPolicy"] = name, "Never"
	}, "hostile: all tried")
	if !strings.Contains(log, "confined by Landlock") {
		t.Error("it was not confined by Landlock")
	}
	for line := range strings.Lines(log) {
		if strings.HasPrefix(line, "DONE") {
			t.Error(strings.TrimSpace(line))
		}
	}
	if n := strings.Count(log, "\nrefused: "); n < 170+len(tries) {
		t.Errorf("only %d tries", n)
	}
	if !regexp.MustCompile(`refused: memory \(cannot allocate memory\) after 9\d\d MiB`).MatchString(log) {
		t.Error("sumo-run's memory limit, a little below the pod's, is not enforced")
	}
}

// testPublicAddress checks that internal operations are unavailable at the public address.
func testPublicAddress(t *testing.T, c *cluster) {
	for _, call := range []struct{ method, path string }{{"POST", "/reconcile"}, {"POST", "/reconcile/"}, {"GET", "/metrics"}, {"POST", "/"}} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, call.method, c.url+call.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Admin-Key", c.adminKey)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusNotFound && response.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s %s answers %s", call.method, call.path, response.Status)
		}
	}
}
