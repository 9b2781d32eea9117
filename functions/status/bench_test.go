package status_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

// wholeStudy records a finished study of so many points, each with 10 runs of 20 metrics, and returns its id.
func (in *installation) wholeStudy(t testing.TB, points int) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), in.parts.Config.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	names := simulation.MetricNames()
	plan := study.Plan{
		Variants: []study.Variant{{Name: "base"}}, Axes: []study.Axis{{Name: "demand", Set: "scale"}}, Metrics: names[:20],
		Baseline: &study.Baseline{Values: map[string]json.RawMessage{"demand": json.RawMessage("0")}},
	}
	for n := range points {
		plan.Axes[0].Values = append(plan.Axes[0].Values, json.RawMessage(fmt.Sprint(n)))
	}
	id := uuid.NewString()
	for _, statement := range []struct {
		sql  string
		args []any
	}{
		{`SELECT setseed(0.19)`, nil},
		{`INSERT INTO studies (id, tenant_id, name, state, plan, priority, seeds, max_parallel, stop_share, metric_names, runs, succeeded,
			finished_at)
		VALUES ($1, 'acme', 'whole', 'SUCCEEDED', $2, 0, '{1,2,3,4,5,6,7,8,9,10}', 1, 1, $3, 10 * $4, 10 * $4, now())`,
			[]any{id, plan, names, points}},
		{`INSERT INTO study_points (study_id, point, variant, setting, scenario_digest, scenario_key, cpu_request, memory_gi, options,
			timeout_seconds, warnings)
		SELECT $1, n, 'base', jsonb_build_array(jsonb_build_object('axis', 'demand', 'value', n)), $2, 'key', 1, 1, '{}', 60, '[]'
		FROM generate_series(0, $3 - 1) AS n`, []any{id, in.digest, points}},
		{`INSERT INTO jobs (id, tenant_id, namespace, name, scenario_digest, scenario_key, state, cpu_request, memory_gi, priority, options,
			timeout_seconds, task_token, sumo_version, submitted_at, dispatched_at, started_at, finished_at, updated_at, study_id, point,
			replication, chunk_id, metrics)
		SELECT gen_random_uuid(), 'acme', 'n', 'run', $2, 'key', 'SUCCEEDED', 1, 1, 0, '{}', 60, '', '1.28.0', now(), now(), now(), now(), now(),
			$1, p, r, gen_random_uuid(), (SELECT array_agg(70 + m + 20 * random() + 0 * p * r) FROM generate_series(1, $4) AS m)
		FROM generate_series(0, $3 - 1) AS p, generate_series(0, 9) AS r`, []any{id, in.digest, points, len(names)}},
		{`ANALYZE`, nil},
	} {
		if _, err := conn.Exec(t.Context(), statement.sql, statement.args...); err != nil {
			t.Fatalf("%s: %v", statement.sql, err)
		}
	}
	return id
}

// counter is a client that counts what it gets.
type counter struct {
	header        http.Header
	status, bytes int
}

func (c *counter) Header() http.Header              { return c.header }
func (c *counter) WriteHeader(status int)           { c.status = status }
func (c *counter) SetWriteDeadline(time.Time) error { return nil }
func (c *counter) Flush()                           {}
func (c *counter) Write(p []byte) (int, error) {
	c.bytes += len(p)
	return len(p), nil
}

// BenchmarkStudyNumbers measures the answers about the largest study, 1,000 points with 10 runs of 20 metrics, from the request to the last
// byte.
func BenchmarkStudyNumbers(b *testing.B) {
	in := install(b)
	id := in.wholeStudy(b, 1000)
	handler, err := in.parts.Handler("status")
	if err != nil {
		b.Fatal(err)
	}
	ask := func(view string) (took time.Duration, size int) {
		r := httptest.NewRequestWithContext(b.Context(), "GET", "/studies/"+id+view, nil)
		name, value, _ := strings.Cut(in.acme, ": ")
		r.Header.Set(name, value)
		w := &counter{header: http.Header{}}
		began := time.Now()
		handler.ServeHTTP(w, r)
		took = time.Since(began)
		if w.status != http.StatusOK {
			b.Fatalf("%s answers %d", view, w.status)
		}
		return took, w.bytes
	}
	views := map[string]string{"statistics": "/statistics", "comparison": "/comparison", "table": "/table?format=csv"}
	for _, view := range views {
		ask(view) // opens what is opened once
	}
	total, size := map[string]time.Duration{}, map[string]int{}
	n := 0
	for b.Loop() {
		for name, view := range views {
			took, bytes := ask(view)
			total[name], size[name] = total[name]+took, bytes
		}
		n++
	}
	for name := range views {
		b.ReportMetric(float64(total[name].Milliseconds())/float64(n), "ms/"+name)
		b.ReportMetric(float64(size[name])/(1<<20), "MiB/"+name)
	}
	b.ReportMetric(0, "ns/op")
}
