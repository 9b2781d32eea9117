// Package e2e tests the whole service on the lab's real cluster, over HTTP only: real Kubernetes with its permissions on,
// real Argo Workflows, S3 and Postgres. Each function is a process with the rights of its own service account.
//
// `make e2e` runs it; without the lab's folder in SUMO_K8_LAB there is nothing to run it on.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sumo-k8/sumo-k8/pkg/postgres"
	"github.com/sumo-k8/sumo-k8/pkg/s3store"
)

const (
	adminKey = "the-operator"
	// patience is how long a test waits for what takes some seconds on an idle machine.
	patience = 5 * time.Minute
)

// cluster is the installation under test.
type cluster struct {
	lab      string            // folder of the lab
	settings map[string]string // the lab's environment
	url      string            // where the gateway answers
}

// functions and the calls that each answers, most specific first, as the gateway routes them.
var routes = []struct{ method, prefix, suffix, function string }{
	{"", "/auth/", "", "auth"},
	{"", "/admin/cluster", "", "auth"},
	{"", "/admin/activity", "", "auth"},
	{"", "/admin/warmup", "", "auth"},
	{"POST", "/jobs", "", "submit"},
	{"DELETE", "/jobs", "", "submit"},
	{"GET", "/jobs/", "/logs", "logs"},
	{"GET", "/jobs/", "/logs/stream", "logs"},
	{"", "/reconcile", "", "reconcile"},
	{"", "/", "", "status"},
}

// install brings the service up on the lab. Everything it makes has names of its own, so that runs do not meet.
func install(t *testing.T) *cluster {
	t.Helper()
	lab := os.Getenv("SUMO_K8_LAB")
	if lab == "" {
		t.Skip("SUMO_K8_LAB is not set: make e2e runs these tests on the lab")
	}
	c := &cluster{lab: lab, settings: environment(t, filepath.Join(lab, "run", "environment"))}
	c.kubectl(t, "apply", "--server-side", "--force-conflicts", "-f", "../../../deploy/base/rbac.yaml", "-f", "../../../deploy/base/priorities.yaml")
	database, bucket := c.storage(t)
	binary := filepath.Join(t.TempDir(), "functions")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "github.com/sumo-k8/sumo-k8/functions").CombinedOutput(); err != nil {
		t.Fatalf("building the functions: %v: %s", err, out)
	}
	env := append(os.Environ(),
		"DATABASE_URL="+database, "ADMIN_KEY="+adminKey, "ENGINE=argo", "RECONCILE_WINDOW=5s",
		"S3_ENDPOINT="+c.settings["S3_ENDPOINT"], "S3_ACCESS_KEY="+c.settings["S3_ACCESS_KEY"], "S3_SECRET_KEY="+c.settings["S3_SECRET_KEY"], "S3_BUCKET="+bucket,
		"INSTALLATION="+bucket, "SUMO_VERSION=1.15", "SUMO_IMAGES=1.15=dev.local/sumo:1.15,1.18=dev.local/sumo:1.18", "IMAGE_PULL_POLICY=Never",
	)
	upstreams := map[string]*httputil.ReverseProxy{}
	for _, name := range []string{"auth", "submit", "status", "logs", "reconcile"} {
		upstreams[name] = c.start(t, binary, name, append(env, "KUBECONFIG="+c.kubeconfig(t, name)))
	}
	c.url = c.gateway(t, upstreams)
	c.schedule(t)
	return c
}

// environment reads the lab's settings, one NAME=value a line.
func environment(t *testing.T, path string) map[string]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatalf("the lab does not run: %v", err)
	}
	defer f.Close()
	settings := map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), "="); ok {
			settings[name] = value
		}
	}
	return settings
}

// storage makes a database and a bucket for this run.
func (c *cluster) storage(t *testing.T) (database, bucket string) {
	t.Helper()
	name := fmt.Sprintf("e2e_%d", time.Now().UnixNano())
	conn, err := pgx.Connect(t.Context(), c.settings["DATABASE_URL"])
	if err != nil {
		t.Fatalf("the lab's Postgres: %v", err)
	}
	if _, err := conn.Exec(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := conn.Exec(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("dropping the database: %v", err)
		}
		conn.Close(context.Background())
	})
	u, err := url.Parse(c.settings["DATABASE_URL"])
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	if err := postgres.Migrate(t.Context(), u.String()); err != nil {
		t.Fatal(err)
	}
	bucket = strings.ReplaceAll(name, "_", "-")
	store, err := s3store.New(s3store.Config{
		Endpoint: c.settings["S3_ENDPOINT"], Region: "us-east-1", Bucket: bucket,
		AccessKey: c.settings["S3_ACCESS_KEY"], SecretKey: c.settings["S3_SECRET_KEY"], UsePathStyle: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.EnsureBucket(t.Context()); err != nil {
		t.Fatal(err)
	}
	return u.String(), bucket
}

// kubectl runs kubectl as the administrator and returns what it prints.
func (c *cluster) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := c.tryKubectl(t, args...)
	if err != nil {
		t.Fatalf("kubectl %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return out
}

func (c *cluster) tryKubectl(t *testing.T, args ...string) (string, error) {
	t.Helper()
	// Not the test's own context, which has ended when the test cleans up.
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(c.lab, "kubectl"), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.settings["KUBECONFIG"])
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// kubeconfig is one with the token of a function's service account.
func (c *cluster) kubeconfig(t *testing.T, account string) string {
	t.Helper()
	var admin map[string]any
	if err := json.Unmarshal([]byte(c.kubectl(t, "config", "view", "--raw", "--minify", "-o", "json")), &admin); err != nil {
		t.Fatal(err)
	}
	user := admin["users"].([]any)[0].(map[string]any)
	user["user"] = map[string]any{"token": strings.TrimSpace(c.kubectl(t, "create", "token", account, "-n", "sumo-k8", "--duration=2h"))}
	raw, err := json.Marshal(admin)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), account+".kubeconfig")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// start runs one function and returns the way to it. It must end cleanly.
func (c *cluster) start(t *testing.T, binary, name string, env []string) *httputil.ReverseProxy {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	_, port, _ := net.SplitHostPort(address)
	cmd := exec.Command(binary)
	cmd.Env = append(env, "FUNCTION_TARGET="+name, "PORT="+port)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s ended with %v", name, err)
		}
		for line := range strings.Lines(log.String()) {
			if t.Failed() && (strings.Contains(line, `"level":"warn"`) || strings.Contains(line, `"level":"error"`)) {
				t.Logf("%s: %s", name, line)
			}
		}
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen: %s", name, &log)
		}
	}
	return &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: address})
	}}
}

// gateway stands for the one in front of the functions: it routes by method and path.
func (c *cluster) gateway(t *testing.T, upstreams map[string]*httputil.ReverseProxy) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, route := range routes {
			if (route.method == "" || route.method == r.Method) && strings.HasPrefix(r.URL.Path, route.prefix) && strings.HasSuffix(r.URL.Path, route.suffix) {
				upstreams[route.function].ServeHTTP(w, r)
				return
			}
		}
	})}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return "http://" + listener.Addr().String()
}

// schedule calls reconcile again and again, as the cluster's schedule does.
func (c *cluster) schedule(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			r, _ := http.NewRequestWithContext(ctx, "POST", c.url+"/reconcile", nil)
			r.Header.Set("X-Admin-Key", adminKey)
			if response, err := http.DefaultClient.Do(r); err == nil {
				response.Body.Close()
			}
			select {
			case <-ctx.Done():
			case <-time.After(500 * time.Millisecond):
			}
		}
	}()
	t.Cleanup(func() { stop(); <-ended })
}
