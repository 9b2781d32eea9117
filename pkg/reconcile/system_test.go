package reconcile_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/engine/local"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/process"
	"github.com/sumo-k8/sumo-k8/pkg/reconcile"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/store/postgres"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

// asServer makes this test binary run an engine and reconcile, until it is killed. Its value is a site in JSON.
const asServer = "RECONCILE_TEST_SITE"

func TestMain(m *testing.M) {
	if text := os.Getenv(asServer); text != "" {
		var s site
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			panic(err)
		}
		if err := s.serve(context.Background()); err != nil {
			panic(err)
		}
		return
	}
	localtest.Main(m)
}

// site is one installation: everything that survives its processes.
type site struct {
	URL     string
	Objects s3.Config
	Engine  local.Config
}

// serve runs an engine and reconciles until ctx ends.
func (s site) serve(ctx context.Context) error {
	db, err := postgres.Open(ctx, postgres.Config{URL: s.URL})
	if err != nil {
		return err
	}
	defer db.Close()
	objects, err := s3.New(s.Objects)
	if err != nil {
		return err
	}
	runs, err := local.New(s.Engine, objects, time.Now, zerolog.Nop())
	if err != nil {
		return err
	}
	r := &reconcile.Reconciler{
		Jobs: db, Scenarios: db, Engine: runs, Objects: objects, Lock: db.TryLock, Now: time.Now, Log: zerolog.Nop(),
		// Only a test kills its server all the time.
		Config: reconcile.Config{LostAfter: 100 * time.Millisecond, MaxAttempts: 50, MaxStarts: 100},
	}
	for ctx.Err() == nil {
		// A failure, such as the lock of a killed predecessor, may pass.
		_, _ = r.Run(ctx, 10*time.Second)
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
	closing, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return runs.Close(closing)
}

// client acts for a user of a site.
type client struct {
	site
	db      *postgres.DB
	objects *s3.Store
}

const (
	tenantID = "acme"
	patience = 3 * time.Minute
)

// newSite makes a site with one tenant, whose engine has the given slots.
func newSite(t *testing.T, sumoRun string, slots int, limits tenant.Limits) *client {
	t.Helper()
	c := &client{site: site{
		URL:     localtest.Database(t, postgres.Migrate),
		Objects: localtest.Bucket(t),
		Engine:  local.Config{Dir: filepath.Join(t.TempDir(), "runs"), SumoRun: sumoRun, Slots: slots},
	}}
	var err error
	if c.db, err = postgres.Open(t.Context(), postgres.Config{URL: c.URL}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.db.Close)
	if c.objects, err = s3.New(c.Objects); err != nil {
		t.Fatal(err)
	}
	_, key, err := tenant.NewKey(rand.Reader, tenantID, "first", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.db.CreateTenant(t.Context(), tenant.Tenant{ID: tenantID, Namespace: tenant.NamespaceFor(tenantID), Limits: limits}, key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// serveHere runs the site's server in this process until the test ends.
func (c *client) serveHere(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- c.serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("server: %v", err)
		}
	})
}

// serveElsewhere runs the site's server in a process of its own, which can be killed.
func (c *client) serveElsewhere(t *testing.T) *process.Process {
	t.Helper()
	text, err := json.Marshal(c.site)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asServer+"="+string(text))
	cmd.Stderr = os.Stderr
	p, err := process.Start(cmd, process.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

// submit stores the scenario in file, a path below test_networks, and a job that runs it.
func (c *client) submit(t *testing.T, file string, change func(*job.Job)) job.Job {
	t.Helper()
	zip, err := os.ReadFile(filepath.Join("../../test_networks", file))
	if err != nil {
		t.Fatal(err)
	}
	return c.store(t, file, zip, change)
}

// submitEndless submits a job that runs until it is stopped.
func (c *client) submitEndless(t *testing.T, change func(*job.Job)) job.Job {
	t.Helper()
	zip, err := networks.Endless()
	if err != nil {
		t.Fatal(err)
	}
	return c.store(t, "endless", zip, change)
}

func (c *client) store(t *testing.T, name string, zip []byte, change func(*job.Job)) job.Job {
	t.Helper()
	sum := sha256.Sum256(zip)
	digest := hex.EncodeToString(sum[:])
	namespace := tenant.NamespaceFor(tenantID)
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	s := scenario.Scenario{TenantID: tenantID, Digest: digest, Key: artifact.ScenarioKey(namespace, id.String()), Size: int64(len(zip))}
	if _, err := c.objects.Put(t.Context(), s.Key, bytes.NewReader(zip), "application/zip"); err != nil {
		t.Fatal(err)
	}
	s, _, err = c.db.PutScenario(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	j := job.Job{
		ID: id.String(), TenantID: tenantID, Namespace: namespace, Name: name, ScenarioDigest: s.Digest, ScenarioKey: s.Key,
		CPURequest: 1, MemoryGi: 1, TimeoutSeconds: 300, SubmittedAt: time.Now(),
	}
	if change != nil {
		change(&j)
	}
	j, _, err = c.db.CreateJob(t.Context(), j, nil, job.Admission{MaxQueued: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// await waits until is accepts the job.
func (c *client) await(t *testing.T, id, what string, is func(job.Job) bool) job.Job {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		j, err := c.db.Job(t.Context(), tenantID, id)
		if err != nil {
			t.Fatal(err)
		}
		if is(j) {
			return j
		}
		if time.Now().After(end) || j.State.Terminal() {
			t.Fatalf("job %s is not %s but %s %s %q", id, what, j.State, j.Reason, j.Message)
		}
	}
}

func (c *client) awaitState(t *testing.T, id string, want job.State) job.Job {
	t.Helper()
	return c.await(t, id, string(want), func(j job.Job) bool { return j.State == want })
}

// checkResults compares the results on record with the objects, and looks for those named.
func (c *client) checkResults(t *testing.T, j job.Job, names ...string) {
	t.Helper()
	var stored []job.ResultFile
	prefix := artifact.ResultsOf(j.Namespace, j.ID)
	err := c.objects.List(t.Context(), prefix, func(o artifact.Object) bool {
		stored = append(stored, job.ResultFile{Name: strings.TrimPrefix(o.Key, prefix), Size: o.Size})
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range stored {
		body, err := c.objects.Open(t.Context(), prefix+f.Name, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.New()
		stored[i].ContentSHA256, _, err = simulation.ContentSum(f.Name, io.TeeReader(body, sum))
		body.Close()
		if err != nil {
			t.Fatal(err)
		}
		stored[i].SHA256 = hex.EncodeToString(sum.Sum(nil))
	}
	recorded := slices.Clone(j.Results)
	for i := range recorded {
		recorded[i].Roles = nil // which only the run knows
	}
	if !cmp.Equal(stored, recorded) {
		t.Errorf("job %s: results on record %v, in the object store %v", j.ID, j.Results, stored)
	}
	for _, name := range names {
		if !slices.ContainsFunc(stored, func(f job.ResultFile) bool { return f.Name == name && f.Size > 0 }) {
			t.Errorf("job %s left no %s, only %v", j.ID, name, stored)
		}
	}
}

// checkEvents sees that the job went forward only, and ended once.
func (c *client) checkEvents(t *testing.T, id string) {
	t.Helper()
	events, err := c.db.Events(t.Context(), tenantID, id)
	if err != nil {
		t.Fatal(err)
	}
	ends := 0
	for i, e := range events {
		if i > 0 && (e.From != events[i-1].To || !e.From.CanBecome(e.To)) {
			t.Errorf("job %s went from %s to %s after %s", id, e.From, e.To, events[i-1].To)
		}
		if e.To.Terminal() {
			ends++
		}
	}
	if ends != 1 {
		t.Errorf("job %s ended %d times: %+v", id, ends, events)
	}
}

// TestOnRealServers runs SUMO, and keeps record in Postgres and objects in S3.
func TestOnRealServers(t *testing.T) {
	t.Parallel()
	sumoRun, err := localtest.SumoRunBinary()
	if err != nil {
		t.Fatal(err)
	}
	roomy := tenant.Limits{MaxCPU: 100, MaxMemoryGi: 100, MaxConcurrentJobs: 100}

	t.Run("a job whose results the store refuses ends and frees its slot", func(t *testing.T) {
		t.Parallel()
		c := newSite(t, sumoRun, 1, tenant.Limits{MaxCPU: 100, MaxMemoryGi: 100, MaxConcurrentJobs: 1})
		target, err := url.Parse(c.Objects.Endpoint)
		if err != nil {
			t.Fatal(err)
		}
		behind := httputil.NewSingleHostReverseProxy(target)
		var status atomic.Int32 // of the answers to results; 0 passes them on
		status.Store(http.StatusInsufficientStorage)
		gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if s := int(status.Load()); s != 0 && r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/summary.json") {
				_, _ = io.Copy(io.Discard, r.Body)
				w.WriteHeader(s)
				return
			}
			behind.ServeHTTP(w, r)
		}))
		t.Cleanup(gateway.Close)
		c.Objects.Endpoint, c.Engine.RefusalPatience = gateway.URL, time.Second
		c.serveHere(t)

		refused := c.submit(t, "ready_to_use/square.zip", nil)
		j := c.awaitState(t, refused.ID, job.Failed)
		if j.Reason != simulation.ResultsNotStored || !strings.Contains(j.Message, "the operator must free space") {
			t.Errorf("the job ended %s %q", j.Reason, j.Message)
		}
		status.Store(http.StatusServiceUnavailable)
		waiting := c.submit(t, "ready_to_use/square.zip", nil)
		c.checkResults(t, j, "log.txt", "outcome.json")
		c.await(t, waiting.ID, "waiting for the store", func(j job.Job) bool { return strings.Contains(j.Message, "wait for the object store") })
		next := c.submit(t, "ready_to_use/square.zip", nil)
		if _, err := c.db.RequestCancel(t.Context(), tenantID, waiting.ID); err != nil {
			t.Fatal(err)
		}
		j = c.awaitState(t, waiting.ID, job.Cancelled)
		c.checkResults(t, j, "outcome.json")
		status.Store(0)
		c.checkResults(t, c.awaitState(t, next.ID, job.Succeeded), "summary.json")
		for _, id := range []string{refused.ID, waiting.ID, next.ID} {
			c.checkEvents(t, id)
		}
	})

	t.Run("a job runs to its end", func(t *testing.T) {
		t.Parallel()
		c := newSite(t, sumoRun, 1, roomy)
		c.serveHere(t)
		j := c.awaitState(t, c.submit(t, "ready_to_use/square.zip", nil).ID, job.Succeeded)
		c.checkResults(t, j, "log.txt", "summary.json", "tripinfo.xml", "outcome.json")
		c.checkEvents(t, j.ID)
		if n, _ := j.Summary.Metric("vehicles_inserted"); n == 0 || j.SumoVersion == "" || j.Progress != 1 || j.Attempt != 1 {
			t.Errorf("job is %+v, want vehicles, a version, full progress and one attempt", j)
		}
		// The engine forgets it a moment after its end is on record, when sumo-run has ended too.
		folder := filepath.Join(c.Engine.Dir, j.ID)
		for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
			if _, err := os.Stat(folder); os.IsNotExist(err) {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("the engine does not forget job %s", j.ID)
			}
		}
	})

	t.Run("a scenario that SUMO cannot run fails with its fault", func(t *testing.T) {
		t.Parallel()
		c := newSite(t, sumoRun, 1, roomy)
		c.serveHere(t)
		j := c.awaitState(t, c.submit(t, "broken/missing_net.zip", nil).ID, job.Failed)
		if j.Reason != simulation.InvalidScenario || j.Message == "" {
			t.Errorf("failed with %s %q, want InvalidScenario and why", j.Reason, j.Message)
		}
		c.checkResults(t, j, "log.txt", "outcome.json")
		c.checkEvents(t, j.ID)
	})

	t.Run("a timeout ends a run and keeps what it wrote", func(t *testing.T) {
		t.Parallel()
		c := newSite(t, sumoRun, 1, roomy)
		c.serveHere(t)
		j := c.submitEndless(t, func(j *job.Job) { j.TimeoutSeconds = 10 })
		j = c.awaitState(t, j.ID, job.Failed)
		if j.Reason != simulation.DeadlineExceeded {
			t.Errorf("failed with %s %q, want DeadlineExceeded", j.Reason, j.Message)
		}
		c.checkResults(t, j, "log.txt", "summary.xml", "outcome.json")
	})

	t.Run("a job can be cancelled in any state", func(t *testing.T) {
		t.Parallel()
		c := newSite(t, sumoRun, 1, tenant.Limits{MaxCPU: 100, MaxMemoryGi: 100, MaxConcurrentJobs: 2})
		c.serveHere(t)
		end := 1e6 // its progress is seen, and it takes minutes
		running := c.submitEndless(t, func(j *job.Job) { j.Options.End = &end })
		c.await(t, running.ID, "under way", func(j job.Job) bool { return j.State == job.Running && j.Progress > 0 })
		pending := c.submitEndless(t, nil)
		c.awaitState(t, pending.ID, job.Pending)
		queued := c.submitEndless(t, nil)
		for _, j := range []job.Job{queued, pending, running} {
			if _, err := c.db.RequestCancel(t.Context(), tenantID, j.ID); err != nil {
				t.Fatal(err)
			}
			j = c.awaitState(t, j.ID, job.Cancelled)
			if j.Reason != simulation.Cancelled {
				t.Errorf("cancelled job has the reason %q", j.Reason)
			}
			c.checkEvents(t, j.ID)
			if j.ID == running.ID {
				c.checkResults(t, j, "log.txt", "summary.xml", "outcome.json")
			}
		}
	})

	t.Run("a tenant's limits hold", func(t *testing.T) {
		t.Parallel()
		limits := tenant.Limits{MaxCPU: 4, MaxMemoryGi: 100, MaxConcurrentJobs: 3}
		c := newSite(t, sumoRun, 4, limits)
		var ids []string
		for range 6 {
			ids = append(ids, c.submit(t, "ready_to_use/square.zip", func(j *job.Job) { j.CPURequest = 2 }).ID)
		}
		c.serveHere(t)
		for _, id := range ids {
			c.await(t, id, "SUCCEEDED within limits", func(j job.Job) bool {
				u, err := c.db.Usage(t.Context(), tenantID)
				if err != nil {
					t.Fatal(err)
				}
				if u.Held > limits.MaxConcurrentJobs || u.CPU > limits.MaxCPU {
					t.Fatalf("in use are %+v, beyond %+v", u, limits)
				}
				return j.State == job.Succeeded
			})
		}
	})

	// However often the process that runs everything is killed, each job ends once, and what has ended is not run again.
	for round := range 2 {
		t.Run(fmt.Sprintf("ten jobs survive a server killed at random, round %d", round), func(t *testing.T) {
			t.Parallel()
			seed := mathrand.Uint64()
			t.Logf("seed %d", seed)
			random := mathrand.New(mathrand.NewPCG(seed, 0))
			c := newSite(t, sumoRun, 3, roomy)
			server := c.serveElsewhere(t)
			var ids []string
			for range 10 {
				file := []string{"ready_to_use/square.zip", "ready_to_use/cross.zip"}[random.IntN(2)]
				ids = append(ids, c.submit(t, file, nil).ID)
			}
			c.await(t, ids[0], "started", func(j job.Job) bool { return j.State != job.Queued && j.State != job.Pending })
			for range 4 {
				time.Sleep(time.Duration(random.IntN(500)) * time.Millisecond)
				server.Kill()
				_ = server.Wait()
				before := c.attempts(t)
				server = c.serveElsewhere(t)
				defer func() {
					after := c.attempts(t)
					for id, n := range before {
						if after[id] != n {
							t.Errorf("job %s had ended after attempt %d, and was started again as %d", id, n, after[id])
						}
					}
				}()
			}
			for _, id := range ids {
				c.checkResults(t, c.awaitState(t, id, job.Succeeded), "log.txt", "tripinfo.xml", "outcome.json")
				c.checkEvents(t, id)
			}
		})
	}
}

// attempts of all jobs that have succeeded.
func (c *client) attempts(t *testing.T) map[string]int {
	t.Helper()
	jobs, _, err := c.db.AllJobs(t.Context(), job.Succeeded, "", 100)
	if err != nil {
		t.Fatal(err)
	}
	n := map[string]int{}
	for _, j := range jobs {
		n[j.ID] = j.Attempt
	}
	return n
}
