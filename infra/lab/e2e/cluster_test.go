// Package e2e tests the whole service on the lab's real cluster, over HTTP only: the very manifests that users apply, with
// the functions as Knative Services that start from zero behind a real gateway, real Argo Workflows, S3 and Postgres.
//
// `make e2e` installs the service and runs it; without the lab's folder in SUMO_K8_LAB there is nothing to run it on.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// gateway is where the lab's gateway answers.
	gateway = "http://10.244.0.1:30080"
	// patience is how long a test waits for what takes some seconds on an idle machine.
	patience = 5 * time.Minute
)

// functions are the Knative Services.
var functions = []string{"auth", "submit", "status", "logs", "reconcile"}

// cluster is the installation under test.
type cluster struct {
	lab      string            // folder of the lab
	program  string            // the lab's own program
	settings map[string]string // the lab's environment
	url      string            // where the gateway answers
	adminKey string
	// disturbed is set while something that the service depends on is unreachable.
	disturbed bool
}

// find looks up the installation that `make e2e` made on the lab.
func find(t testing.TB) *cluster {
	t.Helper()
	lab := os.Getenv("SUMO_K8_LAB")
	if lab == "" {
		t.Skip("SUMO_K8_LAB is not set: make e2e runs these tests on the lab")
	}
	c := &cluster{
		lab: lab, program: os.Getenv("SUMO_K8_LAB_PROGRAM"), settings: environment(t, filepath.Join(lab, "run", "environment")), url: gateway,
	}
	key, err := base64.StdEncoding.DecodeString(
		c.kubectl(t, "get", "secret", "sumo-k8-admin", "-n", "sumo-k8", "-o", "jsonpath={.data.ADMIN_KEY}"),
	)
	if err != nil || len(key) == 0 {
		t.Fatalf("the Secret sumo-k8-admin has no ADMIN_KEY (%v): install the service with make deploy OVERLAY=lab", err)
	}
	c.adminKey = string(key)
	return c
}

// explain logs what the cluster runs and the functions' messages about a failure, as one message.
func (c *cluster) explain(t testing.TB) {
	t.Helper()
	var all strings.Builder
	out, _ := c.tryKubectl(t, "get", "pods,workflows", "-A", "-o", "wide")
	all.WriteString(out)
	for _, name := range functions {
		out, _ := c.tryKubectl(t, "logs", "-n", "sumo-k8", "-l", "serving.knative.dev/service="+name, "-c", "function", "--tail=-1", "--prefix")
		for line := range strings.Lines(out) {
			if strings.Contains(line, `"level":"warn"`) || strings.Contains(line, `"level":"error"`) {
				fmt.Fprintf(&all, "%s: %s", name, line)
			}
		}
	}
	t.Log(all.String())
}

// environment reads the lab's settings, one NAME=value a line.
func environment(t testing.TB, path string) map[string]string {
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

// query queries the database, to read what no call reports, or to change what otherwise only time changes.
func (c *cluster) query(t testing.TB, sql string, args ...any) (first string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.settings["DATABASE_URL"])
	if err != nil {
		t.Fatalf("the lab's Postgres: %v", err)
	}
	defer conn.Close(context.Background())
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&first); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return first
}

// kubectl runs kubectl as the administrator and returns what it prints.
func (c *cluster) kubectl(t testing.TB, args ...string) string {
	t.Helper()
	out, err := c.tryKubectl(t, args...)
	if err != nil {
		t.Fatalf("kubectl %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return out
}

func (c *cluster) tryKubectl(t testing.TB, args ...string) (string, error) {
	t.Helper()
	return c.run("", filepath.Join(c.lab, "kubectl"), args...)
}

// apply applies manifests made by the tests.
func (c *cluster) apply(t testing.TB, manifest string) {
	t.Helper()
	if out, err := c.run(manifest, filepath.Join(c.lab, "kubectl"), "apply", "-f", "-"); err != nil {
		t.Fatalf("kubectl apply: %v: %s", err, out)
	}
}

func (c *cluster) run(input, program string, args ...string) (string, error) {
	// Not the test's own context, which has ended by the time the test cleans up.
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.settings["KUBECONFIG"], "PATH="+c.lab+":"+os.Getenv("PATH"))
	cmd.Stdin = strings.NewReader(input)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		return out.String() + stderr.String(), err
	}
	return out.String(), nil
}

// atZero waits until no function has a pod other than terminating ones.
func (c *cluster) atZero(t testing.TB) {
	t.Helper()
	until(t, "every function is at zero", func() (bool, string) {
		// A Deployment without pods leaves the number out.
		pods := c.kubectl(t, "get", "deployments", "-n", "sumo-k8", "-l", "serving.knative.dev/service", "-o",
			`jsonpath={range .items[?(@.status.replicas)]}{.metadata.name} {end}`)
		return pods == "", pods
	})
}

// until polls until a condition holds.
func until(t testing.TB, what string, is func() (done bool, state string)) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(300 * time.Millisecond) {
		done, state := is()
		if done {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("gave up waiting until %s: %s", what, state)
		}
	}
}
