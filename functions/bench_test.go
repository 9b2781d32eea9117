package main

import (
	"crypto/rand"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// BenchmarkStart measures a function that starts from zero: from the start of its process to its first answer. The first
// call finds no page of the program in memory other than those that earlier processes left there; the first call that needs
// Postgres opens the connection and checks the key.
func BenchmarkStart(b *testing.B) {
	program := filepath.Join(b.TempDir(), "functions")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	d := deploy(b)
	for _, first := range []struct {
		name, path string
		status     int
		header     http.Header
		env        []string
	}{
		{"FirstAnswer", "/none", http.StatusNotFound, http.Header{}, nil},
		// Nothing listens on port 9, so this measures the cost of tracing alone.
		{"FirstAnswerWithTraces", "/none", http.StatusNotFound, http.Header{}, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:9"}},
		{"FirstCallWithPostgres", "/jobs", http.StatusUnauthorized, http.Header{"Authorization": {"Bearer " + unknownKey(b)}}, nil},
	} {
		b.Run(first.name, func(b *testing.B) {
			var total time.Duration
			for b.Loop() {
				port := freePort(b)
				cmd := exec.Command(program)
				cmd.Env = slices.Concat(d.env, first.env, []string{"FUNCTION_TARGET=status", "PORT=" + port})
				began := time.Now()
				if err := cmd.Start(); err != nil {
					b.Fatal(err)
				}
				for {
					r, _ := http.NewRequest("GET", "http://127.0.0.1:"+port+first.path, nil)
					r.Header = first.header
					response, err := http.DefaultTransport.RoundTrip(r)
					if err == nil {
						response.Body.Close()
						if response.StatusCode != first.status {
							b.Fatalf("answered %d", response.StatusCode)
						}
						break
					}
					if time.Since(began) > patience {
						b.Fatal(err)
					}
					time.Sleep(200 * time.Microsecond)
				}
				total += time.Since(began)
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
			}
			b.ReportMetric(float64(total.Milliseconds())/float64(b.N), "ms/start")
		})
	}
}

// unknownKey is a well-formed key, so that it is looked up in Postgres.
func unknownKey(b *testing.B) string {
	b.Helper()
	text, _, err := tenant.NewKey(rand.Reader, "nobody", "", time.Now())
	if err != nil {
		b.Fatal(err)
	}
	return text
}
