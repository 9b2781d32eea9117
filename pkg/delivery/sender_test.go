package delivery

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/job"
)

// memory is an Outbox in memory.
type memory struct {
	mu         sync.Mutex
	deliveries []Delivery
	blocked    map[Line]time.Time
	failures   map[Line]int
	disabled   []string
	reports    []Signal
	due        map[string]time.Time // of reports, by target
	ended      map[string]bool      // jobs
}

func (m *memory) line(d Delivery) Line { return Line{d.TenantID, Receiver(d.URL)} }

func (m *memory) Due(_ context.Context, now time.Time, w Wanted) (due []Receiving, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.deliveries {
		l := m.line(d)
		seen := slices.ContainsFunc(due, func(r Receiving) bool { return r.Line == l })
		busy := slices.Contains(w.Full, d.TenantID) || slices.Contains(w.Busy, l) || m.blocked[l].After(now)
		if d.State == Waiting && !d.DueAt.After(now) && !seen && !busy {
			due = append(due, Receiving{Line: l, Failures: m.failures[l]})
		}
	}
	slices.SortStableFunc(due, func(a, b Receiving) int { return a.Failures - b.Failures })
	ofTenant, turn := map[string]int{}, map[Line]int{}
	for _, r := range due {
		ofTenant[r.TenantID]++
		turn[r.Line] = ofTenant[r.TenantID]
	}
	due = slices.DeleteFunc(due, func(r Receiving) bool { return turn[r.Line] > w.Each })
	slices.SortStableFunc(due, func(a, b Receiving) int { return turn[a.Line] - turn[b.Line] })
	due = due[:min(len(due), w.Most)]
	return due, nil
}

func (m *memory) DueFor(_ context.Context, now time.Time, l Line, most int) (due []Delivery, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.deliveries {
		if m.line(d) == l && d.State == Waiting && !d.DueAt.After(now) && len(due) < most {
			due = append(due, d)
		}
	}
	return due, nil
}

func (m *memory) Current(_ context.Context, id string, now time.Time) (Delivery, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.deliveries, func(d Delivery) bool { return d.ID == id })
	d := m.deliveries[i]
	return d, d.State == Waiting && !d.DueAt.After(now), nil
}

func (m *memory) Attempted(_ context.Context, before, after Delivery) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.deliveries, func(d Delivery) bool { return d.ID == before.ID })
	m.deliveries[i] = after
	return nil
}

func (m *memory) Block(_ context.Context, l Line, failures int, until time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.blocked[l], m.failures[l] = until, failures
	return nil
}

func (m *memory) Unblock(_ context.Context, l Line) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.blocked, l)
	delete(m.failures, l)
	return nil
}

func (m *memory) DisableHook(_ context.Context, id, _ string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.disabled = append(m.disabled, id)
	for i := range m.deliveries {
		if m.deliveries[i].Hook.ID == id && m.deliveries[i].State == Waiting {
			m.deliveries[i].State = Paused
		}
	}
	return nil
}

func (m *memory) Signals(_ context.Context, now time.Time, _ Wanted) (due []Signal, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.reports {
		if !m.due[s.Target].After(now) && !m.ended[s.JobID] && (s.Percent > s.Sent || s.Target == TargetTask) {
			due = append(due, s)
		}
	}
	return due, nil
}

func (m *memory) Running(_ context.Context, jobID string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.ended[jobID], nil
}

func (m *memory) Signalled(_ context.Context, s Signal, due time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.reports {
		if m.reports[i].JobID == s.JobID && m.reports[i].Target == s.Target {
			m.reports[i].Sent, m.reports[i].Failures = s.Sent, s.Failures
		}
	}
	m.due[s.Target] = due
	return nil
}

func (m *memory) add(tenant, host string, n int) {
	for range n {
		m.deliveries = append(m.deliveries, Delivery{
			ID: fmt.Sprint(len(m.deliveries)), TenantID: tenant, State: Waiting, DueAt: time.Now(), URL: "https://" + host + "/",
			Hook: &Hook{ID: host}, Event: Event{Type: JobRunning},
		})
	}
}

func (m *memory) states(host string) map[State]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	states := map[State]int{}
	for _, d := range m.deliveries {
		if d.URL == "https://"+host+"/" {
			states[d.State]++
		}
	}
	return states
}

// receivers are the other side: post answers for each host.
type receivers struct {
	post     func(ctx context.Context, d Delivery) Attempt
	progress func(percent int) Attempt
}

func (r receivers) Post(ctx context.Context, d Delivery) Attempt { return r.post(ctx, d) }
func (r receivers) Progress(_ context.Context, _ job.ProgressWebhook, percent int) Attempt {
	return r.progress(percent)
}

func hang(ctx context.Context) Attempt {
	select {
	case <-time.After(10 * time.Second):
	case <-ctx.Done():
	}
	return Attempt{Error: "The receiver did not answer.", Down: true}
}

func newMemory() *memory {
	return &memory{
		blocked: map[Line]time.Time{}, failures: map[Line]int{}, due: map[string]time.Time{}, ended: map[string]bool{},
	}
}

func sender(m *memory, r receivers) *Sender {
	return NewSender(m, r, nil, time.Now, func() float64 { return 0.5 }, zerolog.Nop())
}

// drive makes rounds, as reconcile does, until the time is up.
func drive(t *testing.T, s *Sender, during time.Duration) {
	t.Helper()
	for end := time.Now().Add(during); time.Now().Before(end); {
		if _, err := s.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		select {
		case <-s.Changed():
		case <-time.After(time.Second):
		}
	}
}

func TestASlowReceiverDelaysNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		for i := range 20 {
			m.add("busy", fmt.Sprintf("dead%d.example.org", i), 100)
		}
		m.add("busy", "alive.example.org", 10)
		m.add("quiet", "quiet.example.org", 10)
		start := time.Now()
		last := map[string]time.Duration{}
		var mu sync.Mutex
		s := sender(m, receivers{post: func(ctx context.Context, d Delivery) Attempt {
			if Receiver(d.URL) != "https://alive.example.org/" && d.TenantID == "busy" {
				return hang(ctx)
			}
			mu.Lock()
			defer mu.Unlock()
			last[Receiver(d.URL)] = time.Since(start)
			return Attempt{Status: 200}
		}})
		drive(t, s, time.Minute)
		s.Finish()
		if got := last["https://quiet.example.org/"]; got > time.Second || m.states("quiet.example.org")[Delivered] != 10 {
			t.Errorf("another tenant's deliveries take %s: %v", got, m.states("quiet.example.org"))
		}
		// Of the same tenant only so many go at a time, until the dead ones are known.
		if got := last["https://alive.example.org/"]; got > 25*time.Second || m.states("alive.example.org")[Delivered] != 10 {
			t.Errorf("the same tenant's other receiver waits %s: %v", got, m.states("alive.example.org"))
		}
	})
}

func TestSlowReceiversOfManyTenantsDelayNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		for tenant := range 15 {
			for i := range 10 {
				m.add(fmt.Sprint("slow", tenant), fmt.Sprintf("slow%d-%d.example.org", tenant, i), 5)
			}
		}
		var arrived time.Duration
		start := time.Now()
		s := sender(m, receivers{post: func(_ context.Context, d Delivery) Attempt {
			if d.TenantID == "quick" {
				arrived = time.Since(start)
			} else {
				time.Sleep(9 * time.Second)
			}
			return Attempt{Status: 200}
		}})
		go func() {
			time.Sleep(15 * time.Second)
			m.mu.Lock()
			defer m.mu.Unlock()
			m.add("quick", "quick.example.org", 1)
		}()
		drive(t, s, time.Minute)
		s.Finish()
		if arrived == 0 || arrived > 16*time.Second {
			t.Errorf("a delivery that is due after 15 s arrives after %s", arrived)
		}
	})
}

// TestAReceiverThatFailsNowAndThenIsNotInTrouble has one that answers 500 to each tenth request.
func TestAReceiverThatFailsNowAndThenIsNotInTrouble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.add("acme", "a.example.org", 1000)
		var n atomic.Int64
		s := sender(m, receivers{post: func(context.Context, Delivery) Attempt {
			time.Sleep(10 * time.Millisecond)
			if n.Add(1)%10 == 0 {
				return Attempt{Status: 500, Error: "The receiver answered 500.", Down: true}
			}
			return Attempt{Status: 200}
		}})
		drive(t, s, 10*time.Second)
		s.Finish()
		if got := m.states("a.example.org"); got[Delivered] < 900 {
			t.Errorf("after ten seconds %v", got)
		}
	})
}

func TestALineWaitsAsLongAsItsReceiverAsks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.add("acme", "a.example.org", 50)
		attempts := 0
		var mu sync.Mutex
		s := sender(m, receivers{post: func(context.Context, Delivery) Attempt {
			mu.Lock()
			defer mu.Unlock()
			attempts++
			return Attempt{Status: 429, Error: "The receiver answered 429.", Down: true, RetryAfter: time.Hour}
		}})
		drive(t, s, 50*time.Minute)
		s.Finish()
		if attempts > maxPerLine {
			t.Errorf("%d attempts within the hour that the receiver asks for", attempts)
		}
	})
}

func TestAReceiverInTroubleIsProbedAndCatchesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.add("acme", "a.example.org", 500)
		back := time.Now().Add(2 * time.Minute)
		var before, after int
		var mu sync.Mutex
		s := sender(m, receivers{post: func(context.Context, Delivery) Attempt {
			mu.Lock()
			defer mu.Unlock()
			if time.Now().Before(back) {
				before++
				return Attempt{Error: "The receiver refused the connection.", Down: true}
			}
			after++
			return Attempt{Status: 200}
		}})
		drive(t, s, 10*time.Minute)
		// The fourth failure ends the first batch, when the other workers have one more attempt under way each; then the receiver is probed
		// after 5, 15, 35 and 75 s.
		if before > 2*maxPerLine-1+4 {
			t.Errorf("%d attempts at a receiver that was down for two minutes", before)
		}
		if got := m.states("a.example.org"); got[Delivered] != 500 {
			t.Errorf("%v after it was back; %d attempts", got, after)
		}
	})
}

func TestASenderStaysForTheSecondAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.add("acme", "a.example.org", 1)
		attempts := 0
		s := sender(m, receivers{post: func(context.Context, Delivery) Attempt {
			attempts++
			return Attempt{Status: 400, Error: "The receiver answered 400."}
		}})
		began := time.Now()
		for busy := true; busy; time.Sleep(time.Second) {
			var err error
			if busy, err = s.Round(t.Context()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		s.Finish()
		if took := time.Since(began); attempts != 2 || took > 15*time.Second {
			t.Errorf("%d attempts in %s; the third is five minutes later", attempts, took)
		}
	})
}

func TestFinishWaitsForAttemptsAndStartsNoOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.add("acme", "a.example.org", 50)
		s := sender(m, receivers{post: func(context.Context, Delivery) Attempt {
			time.Sleep(10 * time.Second)
			return Attempt{Status: 200}
		}})
		if busy, err := s.Round(t.Context()); !busy || err != nil {
			t.Fatalf("busy=%t, %v", busy, err)
		}
		synctest.Wait()
		start := time.Now()
		if diff := cmp.Diff(Sent{Delivered: maxPerLine}, s.Finish()); diff != "" || time.Since(start) > 10*time.Second {
			t.Errorf("after %s (-want +got):\n%s", time.Since(start), diff)
		}
		if _, err := s.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := s.Finish().Delivered; got != maxPerLine {
			t.Errorf("the next round delivers %d", got)
		}
	})
}

func TestAnInterruptedAttemptIsMadeAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.add("acme", "a.example.org", 1)
		s := sender(m, receivers{post: func(ctx context.Context, _ Delivery) Attempt { return hang(ctx) }})
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := s.Round(ctx); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		cancel()
		s.Finish()
		if d := m.deliveries[0]; d.State != Waiting || d.Attempts != 0 || len(m.blocked) > 0 {
			t.Errorf("an attempt that we interrupted counts: %+v", d)
		}
	})
}

func TestAReceiverThatIsGoneIsDisabled(t *testing.T) {
	t.Parallel()
	for name, ofJob := range map[string]bool{"of the tenant": false, "of one job": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := newMemory()
				m.add("acme", "a.example.org", 50)
				if ofJob {
					for i := range m.deliveries {
						m.deliveries[i].Hook.JobID = "j"
					}
				}
				s := sender(m, receivers{post: func(context.Context, Delivery) Attempt {
					time.Sleep(time.Millisecond)
					return Attempt{Status: 410, Error: "The receiver answered 410.", Gone: true, Final: true}
				}})
				drive(t, s, 20*time.Second)
				s.Finish()
				got := m.states("a.example.org")
				if ofJob && (len(m.disabled) > 0 || got[GivenUp] != 50) {
					t.Errorf("hooks %v are disabled; %v", m.disabled, got)
				}
				if !ofJob && (!slices.Contains(m.disabled, "a.example.org") || got[GivenUp] > maxPerLine || got[Waiting] > 0) {
					t.Errorf("hooks %v are disabled; %v", m.disabled, got)
				}
			})
		})
	}
}

func TestProgressIsTheNewestOnceASecondAndNeverBehindTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.reports = []Signal{{JobID: "j", TenantID: "acme", Target: "a.example.org", Sent: -1, Hook: &Hook{ID: "a.example.org"}}}
		var got []string
		var mu sync.Mutex
		note := func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, fmt.Sprintf(format, args...))
		}
		s := sender(m, receivers{
			post: func(_ context.Context, d Delivery) Attempt {
				if d.Event.Type == JobFinished {
					note("end")
					return Attempt{Status: 200}
				}
				time.Sleep(700 * time.Millisecond)
				note("%s", d.ID[strings.LastIndex(d.ID, "_")+1:])
				return Attempt{Status: 200}
			},
		})
		go func() { // 10 per cent a second, for six seconds
			for range 60 {
				time.Sleep(100 * time.Millisecond)
				m.mu.Lock()
				m.reports[0].Percent++
				m.mu.Unlock()
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			m.ended["j"] = true
			m.add("acme", "a.example.org", 1)
			m.deliveries[0].JobID, m.deliveries[0].HookID, m.deliveries[0].Event.Type = "j", "a.example.org", JobFinished
		}()
		drive(t, s, 20*time.Second)
		s.Finish()
		if len(got) < 4 || len(got) > 7 || got[0] != "0" || got[len(got)-1] != "end" {
			t.Errorf("the receiver gets %v", got)
		}
	})
}
