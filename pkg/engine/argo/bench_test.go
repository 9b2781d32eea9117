package argo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	typed "github.com/argoproj/argo-workflows/v3/pkg/client/clientset/versioned/typed/workflow/v1alpha1"
	"github.com/rs/zerolog"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

// BenchmarkTenThousandWorkflows lists 10,000 workflows that have ended, each with the template that Argo stores in it, and
// measures what the copy holds and what listing needs at its peak.
func BenchmarkTenThousandWorkflows(b *testing.B) {
	const count = 10_000
	server := httptest.NewServer(pages(b, count))
	b.Cleanup(server.Close)
	client, err := typed.NewForConfig(&rest.Config{Host: server.URL, QPS: -1})
	if err != nil {
		b.Fatal(err)
	}
	var held, peak uint64
	for b.Loop() {
		s := newRuns(client.Workflows(""), "", time.Now, zerolog.Nop())
		before := heap(true)
		var top atomic.Uint64
		done := make(chan struct{})
		go func() {
			for {
				select {
				case <-done:
					return
				case <-time.After(5 * time.Millisecond):
					top.Store(max(top.Load(), heap(false)))
				}
			}
		}()
		if _, err := s.relist(b.Context()); err != nil {
			b.Fatal(err)
		}
		close(done)
		held, peak = max(held, heap(true)-before), max(peak, top.Load()-before)
		if len(s.byChunk) != count {
			b.Fatalf("the copy has %d workflows, want %d", len(s.byChunk), count)
		}
		s.close()
	}
	b.ReportMetric(float64(held)/count, "B/workflow")
	b.ReportMetric(float64(peak)/(1<<20), "MiB-peak")
}

func heap(collect bool) uint64 {
	if collect {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// pages serves a list of so many workflows like a recorded one. It makes them as it sends them, so that the heap is the client's.
func pages(b *testing.B, count int) http.HandlerFunc {
	b.Helper()
	text, err := os.ReadFile("testdata/Succeeded_1.18.json")
	if err != nil {
		b.Fatal(err)
	}
	manifest, err := os.ReadFile("testdata/sumo-1-18.yaml")
	if err != nil {
		b.Fatal(err)
	}
	var template wfv1.WorkflowTemplate
	if err := yaml.Unmarshal(manifest, &template); err != nil {
		b.Fatal(err)
	}
	w := decode(b, string(text))
	w.Status.StoredWorkflowSpec = &template.Spec
	id := chunkOf(w)
	item, err := json.Marshal(w)
	if err != nil {
		b.Fatal(err)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
		size, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		next := ""
		if from+size < count {
			next = strconv.Itoa(from + size)
		}
		fmt.Fprintf(w, `{"kind":"WorkflowList","apiVersion":"argoproj.io/v1alpha1",
			"metadata":{"resourceVersion":"1","continue":%q},"items":[`, next)
		for i := from; i < min(from+size, count); i++ {
			if i > from {
				_, _ = w.Write([]byte(","))
			}
			_, _ = w.Write(bytes.ReplaceAll(item, []byte(id), fmt.Appendf(nil, "%036d", i)))
		}
		_, _ = w.Write([]byte("]}"))
	}
}
