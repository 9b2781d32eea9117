package logs

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/study"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// progressing is a study that goes on at each look at its version, as no real one does in a test's time.
type progressing struct {
	mu     sync.Mutex
	study  study.Study
	points []study.Point
	steps  []func(*progressing)
}

func (p *progressing) Study(_ context.Context, tenantID, id string) (study.Study, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if tenantID != "acme" || id != p.study.ID {
		return study.Study{}, problem.New(problem.NotFound, "No study.")
	}
	return p.study, nil
}

func (p *progressing) Points(context.Context, string, string) ([]study.Point, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]study.Point(nil), p.points...), nil
}

func (p *progressing) StudyVersion(context.Context, string, string) (int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.steps) > 0 {
		p.steps[0](p)
		p.steps = p.steps[1:]
		p.study.Version++
	}
	return p.study.Version, nil
}

func TestAStudyIsFollowedToItsEndAndResumed(t *testing.T) {
	t.Parallel()
	p := &progressing{
		study: study.Study{
			ID: "s", TenantID: "acme", State: study.Running, Version: 4, Seeds: []int64{1, 2}, MaxParallel: 9, Counts: study.Counts{Runs: 4},
		},
		points: []study.Point{{Number: 0, CPURequest: 1, MemoryGi: 1}, {Number: 1, CPURequest: 1, MemoryGi: 1}},
		steps: []func(*progressing){
			func(p *progressing) { p.points[1].Counts.Succeeded = 2 },
			func(p *progressing) {
				p.points[0].Counts.Failed, p.study.State, p.study.Message = 2, study.Incomplete, "2 runs failed."
			},
		},
	}
	text, key, err := tenant.NewKey(strings.NewReader(strings.Repeat("some bytes of no randomness. ", 9)), "acme", "default", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	f := &Function{Studies: p, Now: time.Now}
	mux := http.NewServeMux()
	f.Register(rest.NewAPI(mux, rest.Keys{TenantByKey: func(_ context.Context, id string, hash []byte) (tenant.Tenant, error) {
		if id != key.ID || !bytes.Equal(hash, key.Hash) {
			return tenant.Tenant{}, tenant.ErrUnknownKey()
		}
		return tenant.Tenant{ID: "acme"}, nil
	}}))
	server := httptest.NewServer(rest.Handler(mux, nil, zerolog.Nop()))
	t.Cleanup(server.Close)
	get := func(id, last string, status int) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/studies/"+id+"/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+text)
		if last != "" {
			r.Header.Set("Last-Event-ID", last)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != status {
			t.Fatalf("%s after %q answers %d %s, %v", id, last, resp.StatusCode, body, err)
		}
		return string(body)
	}
	all := get("s", "", http.StatusOK)
	at := 0
	for _, want := range []string{
		"id: 4\nevent: progress\n", `"planned":4,"done":0`, `"point":0`, `"point":1`,
		"id: 5\nevent: progress\n", `"done":2`, `"points":[{"point":1,"done":2,`,
		"id: 6\nevent: progress\n", `"points":[{"point":0,"done":2,"succeeded":0,"failed":2`,
		"event: end\ndata: {\"status\":\"INCOMPLETE\",\"message\":\"2 runs failed.\"}\n", "id: 6-end\n",
	} {
		i := strings.Index(all[at:], want)
		if i < 0 {
			t.Fatalf("%q is missing behind %q in\n%s", want, all[:at], all)
		}
		at += i
	}
	if rest := get("s", "5", http.StatusOK); strings.Contains(rest, "id: 5\n") || !strings.Contains(rest, "id: 6\nevent: progress") {
		t.Errorf("resumed after 5:\n%s", rest)
	}
	if rest := get("s", "6", http.StatusOK); strings.Contains(rest, "progress") || !strings.Contains(rest, "event: end") {
		t.Errorf("resumed after 6:\n%s", rest)
	}
	get("s", "6-end", http.StatusNoContent)
	get("s", "x", http.StatusBadRequest)
	get("other", "", http.StatusNotFound)
}
