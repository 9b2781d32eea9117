package delivery_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/delivery"
	"github.com/sumo-k8/sumo-k8/pkg/delivery/post"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/process"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/store/postgres"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// asSender makes this test binary send what is due in the database that it names, until it is killed.
const asSender = "DELIVERY_TEST_DATABASE"

func TestMain(m *testing.M) {
	if url := os.Getenv(asSender); url != "" {
		if err := send(context.Background(), url); err != nil {
			panic(err)
		}
		return
	}
	localtest.Main(m)
}

// send sends as the reconcile function does.
func send(ctx context.Context, url string) error {
	db, err := postgres.Open(ctx, postgres.Config{URL: url})
	if err != nil {
		return err
	}
	defer db.Close()
	for ctx.Err() == nil {
		_, err := db.TryLock(ctx, "sender", func(ctx context.Context) error {
			s := newSender(db)
			for ctx.Err() == nil {
				if _, err := s.Round(ctx); err != nil {
					return err
				}
				select {
				case <-ctx.Done():
				case <-s.Changed():
				case <-time.After(10 * time.Millisecond):
				}
			}
			s.Finish()
			return nil
		})
		if err != nil && ctx.Err() == nil {
			return err
		}
		time.Sleep(5 * time.Millisecond) // the lock of a killed predecessor ends soon
	}
	return nil
}

func newSender(db *postgres.DB) *delivery.Sender {
	poster := post.New(post.Config{Plain: true, Wall: post.NewWall(nil, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}), Now: time.Now})
	return delivery.NewSender(db, poster, nil, time.Now, mathrand.Float64, zerolog.Nop())
}

// site is a database with a scenario for each of its tenants.
type site struct {
	url string
	db  *postgres.DB
}

const digest = "0000000000000000000000000000000000000000000000000000000000000000"

func newSite(t testing.TB, tenants ...string) site {
	t.Helper()
	s := site{url: localtest.Database(t, postgres.Migrate)}
	var err error
	if s.db, err = postgres.Open(context.Background(), postgres.Config{URL: s.url, MaxConns: 8}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.db.Close)
	for _, id := range tenants {
		_, key, err := tenant.NewKey(rand.Reader, id, "first", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		limits := tenant.Limits{MaxCPU: 8, MaxMemoryGi: 8, MaxConcurrentJobs: 8}
		if _, err := s.db.CreateTenant(
			context.Background(), tenant.Tenant{ID: id, Namespace: tenant.NamespaceFor(id), Limits: limits}, key,
		); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.db.PutScenario(
			context.Background(), scenario.Scenario{TenantID: id, Digest: digest, Key: "scenarios/" + id + "/1.zip", Size: 1},
		); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s site) hook(t testing.TB, tenantID, url string) {
	t.Helper()
	_, _, err := s.db.CreateHook(context.Background(), delivery.Hook{
		ID: newID(), TenantID: tenantID, URL: url, Format: delivery.Standard, Events: delivery.Types(), Enabled: true,
		Secrets: []delivery.Secret{{Value: delivery.NewSecret()}},
	}, nil, 1000)
	if err != nil {
		t.Fatal(err)
	}
}

// submit makes a job and with it the event job.queued.
func (s site) submit(tenantID string) (id string, err error) {
	j := job.Job{
		ID: newID(), TenantID: tenantID, Name: "a job", ScenarioDigest: digest, CPURequest: 1, MemoryGi: 1, TimeoutSeconds: 60,
	}
	_, _, err = s.db.CreateJob(context.Background(), j, nil, job.Admission{MaxQueued: 1_000_000})
	return j.ID, err
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// inbox is a receiver. It notes the webhook-ids that came for each job.
type inbox struct {
	mu   sync.Mutex
	ids  map[string][]string
	came chan struct{} // one value for each request that is held
	hold chan struct{} // while not nil, requests wait for it to be closed and get no answer that counts
}

func (i *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var event delivery.Event
	body, err := io.ReadAll(r.Body)
	if err != nil || json.Unmarshal(body, &event) != nil {
		return // of a sender that was killed while it wrote
	}
	i.mu.Lock()
	i.ids[event.Job.ID] = append(i.ids[event.Job.ID], r.Header.Get("webhook-id"))
	hold := i.hold
	i.mu.Unlock()
	if hold != nil {
		select {
		case i.came <- struct{}{}:
		default:
		}
		<-hold
	}
}

func (i *inbox) setHold(hold chan struct{}) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.hold = hold
}

// TestAKilledSenderLosesNothing kills senders between what is recorded and what is sent: before the request, or after the receiver
// has it and before the answer is on record.
func TestAKilledSenderLosesNothing(t *testing.T) {
	t.Parallel()
	const times = 100
	s := newSite(t, "acme")
	in := &inbox{ids: map[string][]string{}, came: make(chan struct{}, 1)}
	server := httptest.NewServer(in)
	t.Cleanup(server.Close)
	s.hook(t, "acme", server.URL)

	var jobs []string
	for i := range times {
		hold := make(chan struct{})
		in.setHold(hold)
		id, err := s.submit("acme")
		if err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, id)
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), asSender+"="+s.url)
		cmd.Stderr = os.Stderr
		p, err := process.Start(cmd, process.Options{})
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-in.came:
		case <-time.After(map[bool]time.Duration{true: 30 * time.Second, false: mathrand.N(200 * time.Millisecond)}[i%2 == 0]):
		}
		p.Kill()
		in.setHold(nil)
		close(hold)
		select {
		case <-in.came: // of the moment of the kill
		default:
		}
	}

	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- send(ctx, s.url) }()
	s.await(t, "acme", delivery.Delivered, times)
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	repeated := 0
	for _, id := range jobs {
		got := in.ids[id]
		if len(got) == 0 {
			t.Errorf("the event of job %s never arrived", id)
			continue
		}
		for _, other := range got[1:] {
			repeated++
			if other != got[0] || other == "" {
				t.Errorf("a repetition has the id %s, the first %s", other, got[0])
			}
		}
	}
	t.Logf("%d senders killed, %d events, %d repetitions", times, len(jobs), repeated)
	if repeated == 0 {
		t.Error("no sender was killed between sending and recording")
	}
}

// await waits until n deliveries of a tenant are in a state.
func (s site) await(t testing.TB, tenantID string, state delivery.State, n int) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		got, _, err := s.db.Deliveries(context.Background(), tenantID, delivery.Filter{State: state}, "", n+1)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d deliveries are %s, want %d", len(got), state, n)
		}
	}
}

// BenchmarkADeadReceiver has 10,000 deliveries due for a receiver that takes connections and never answers, and 1,000 for ten other
// receivers of two tenants. It reports when the last of those arrives; without-dead is the reference.
func BenchmarkADeadReceiver(b *testing.B) {
	for _, dead := range []int{0, 10_000} {
		name := map[bool]string{true: "without-dead", false: "with-dead"}[dead == 0]
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				s := newSite(b, "acme", "other")
				never := make(chan struct{})
				hanging := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-never }))
				if dead > 0 {
					s.hook(b, "acme", hanging.URL)
					s.queue(b, "acme", dead)
				}
				var servers []*httptest.Server
				for i := range 10 {
					server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
					servers = append(servers, server)
					s.hook(b, []string{"acme", "other"}[i%2], server.URL)
				}
				// What follows would be due for the dead one too; that it is already has been measured.
				s.queue(b, "acme", 100)
				s.queue(b, "other", 100)
				ctx, cancel := context.WithCancel(context.Background())
				ended := make(chan error, 1)
				b.StartTimer()
				began := time.Now()
				go func() { ended <- send(ctx, s.url) }()
				s.await(b, "other", delivery.Delivered, 500)
				other := time.Since(began)
				s.await(b, "acme", delivery.Delivered, 500)
				b.ReportMetric(other.Seconds(), "s-other-tenant")
				b.ReportMetric(time.Since(began).Seconds(), "s-same-tenant")
				b.StopTimer()
				cancel()
				close(never)
				hanging.CloseClientConnections()
				if err := <-ended; err != nil {
					b.Fatal(err)
				}
				for _, server := range append(servers, hanging) {
					server.Close()
				}
				s.db.Close()
				b.StartTimer()
			}
		})
	}
}

// queue submits n jobs.
func (s site) queue(t testing.TB, tenantID string, n int) {
	t.Helper()
	var all errgroup.Group
	all.SetLimit(8)
	for range n {
		all.Go(func() error {
			_, err := s.submit(tenantID)
			return err
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
}
