package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// starts are the milestones of a function's start from zero for a request, each since the request was sent.
type starts struct {
	pod, process, listening, handler, answer time.Duration
}

// tries is how often each function is started. The figures are printed one by one, as an average would hide their spread.
const tries = 5

// BenchmarkFromZero measures what a first request to a function at zero waits for, and how long the next ones take. Each
// function has a request that does next to nothing, so that all of it is the start.
func BenchmarkFromZero(b *testing.B) {
	c := find(b)
	private := c.kubectl(b, "get", "service", "traefik-private", "-n", "traefik", "-o", "jsonpath={.spec.clusterIP}")
	nobody := "/jobs/00000000-0000-7000-8000-000000000000"
	type function struct{ name, method, url, host string }
	all := []function{
		{"auth", "GET", c.url + "/auth/tenants/nobody", ""},
		{"submit", "DELETE", c.url + nobody, ""},
		{"status", "GET", c.url + nobody, ""},
		{"logs", "GET", c.url + nobody + "/logs", ""},
		{"reconcile", "POST", "http://" + private + "/reconcile?window_seconds=0", "reconcile.sumo-k8.svc.cluster.local"},
	}
	call := func(f function) {
		r, err := http.NewRequestWithContext(b.Context(), f.method, f.url, nil)
		if err != nil {
			b.Fatal(err)
		}
		r.Host = f.host
		r.Header.Set("X-Admin-Key", c.adminKey)
		r.Header.Set("Authorization", "Bearer sk-nobody")
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body) // the content does not matter
		response.Body.Close()
		if response.StatusCode >= 500 {
			b.Fatalf("%s %s answers %s", f.method, f.url, response.Status)
		}
	}
	// Of what a benchmark logs only the first ten lines are shown.
	fmt.Println("since the request, in ms: pod made | process started | listening | handler began | answered | the next five requests")
	for range tries {
		for _, f := range all {
			s, next := c.fromZero(b, f.name, func() { call(f) })
			fmt.Printf("%-10s %5d | %5d | %5d | %5d | %5d | %v\n", f.name, s.pod.Milliseconds(), s.process.Milliseconds(),
				s.listening.Milliseconds(), s.handler.Milliseconds(), s.answer.Milliseconds(), next)
		}
	}
}

// fromZero waits until the function is at zero and its last pod is gone, makes a call, and measures the milestones.
func (c *cluster) fromZero(b *testing.B, function string, call func()) (s starts, next []int64) {
	b.Helper()
	selector := "serving.knative.dev/service=" + function
	until(b, function+" is at zero", func() (bool, string) {
		pods := c.kubectl(b, "get", "pods", "-n", "sumo-k8", "-l", selector, "-o", "name")
		return pods == "", pods
	})
	watch := exec.Command(filepath.Join(c.lab, "kubectl"), "get", "pods", "-n", "sumo-k8", "-l", selector, "--watch-only", "-o", "name")
	watch.Env = append(os.Environ(), "KUBECONFIG="+c.settings["KUBECONFIG"])
	made := &firstByte{}
	watch.Stdout = made
	if err := watch.Start(); err != nil {
		b.Fatal(err)
	}
	time.Sleep(time.Second) // until it watches
	sent := time.Now()
	call()
	s.answer = time.Since(sent)
	for range tries {
		again := time.Now()
		call()
		next = append(next, time.Since(again).Milliseconds())
	}
	_ = watch.Process.Kill()
	_ = watch.Wait() // it was killed
	s.pod, s.process = made.at.Sub(sent), processOf(b, function).Sub(sent)
	for line := range strings.Lines(c.kubectl(b, "logs", "-n", "sumo-k8", "-l", selector, "-c", "function", "--tail=-1")) {
		var entry struct {
			Time           time.Time
			Message, Route string
			MS             float64
		}
		if json.Unmarshal([]byte(line), &entry) != nil {
			continue
		}
		switch {
		case entry.Message == "serving":
			s.listening = entry.Time.Sub(sent)
		case entry.Message == "request" && !strings.HasSuffix(entry.Route, "/ready") && s.handler == 0:
			s.handler = entry.Time.Sub(sent) - time.Duration(entry.MS*float64(time.Millisecond))
		}
	}
	return s, next
}

// firstByte records the time of the first write.
type firstByte struct {
	mu sync.Mutex
	at time.Time
}

func (f *firstByte) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.at.IsZero() {
		f.at = time.Now()
	}
	return len(p), nil
}

// processOf returns when the process of a function was started. The lab's pods are processes of this machine.
func processOf(b *testing.B, function string) time.Time {
	b.Helper()
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		b.Fatal(err)
	}
	uptime, err := os.ReadFile("/proc/uptime")
	if err != nil {
		b.Fatal(err)
	}
	seconds, err := strconv.ParseFloat(strings.Fields(string(uptime))[0], 64)
	if err != nil {
		b.Fatal(err)
	}
	boot := time.Now().Add(-time.Duration(seconds * float64(time.Second)))
	var latest time.Time
	for _, folder := range folders {
		command, _ := os.ReadFile(filepath.Join(folder, "cmdline")) // a process that has just ended has none
		environment, _ := os.ReadFile(filepath.Join(folder, "environ"))
		if string(bytes.TrimRight(command, "\x00")) != "/usr/bin/functions" || !bytes.Contains(
			environment, []byte("FUNCTION_TARGET="+function+"\x00"),
		) {
			continue
		}
		stat, _ := os.ReadFile(filepath.Join(folder, "stat"))
		_, fields, _ := strings.Cut(string(stat), ") ") // proc(5): the 22nd, counted in hundredths of a second
		ticks, err := strconv.ParseInt(strings.Fields(fields + strings.Repeat(" 0", 22))[19], 10, 64)
		if started := boot.Add(time.Duration(ticks) * 10 * time.Millisecond); err == nil && started.After(latest) {
			latest = started
		}
	}
	if latest.IsZero() {
		b.Fatal(fmt.Errorf("found no process of %s", function))
	}
	return latest
}
