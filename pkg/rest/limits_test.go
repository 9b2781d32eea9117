package rest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// limited is a service with limits, without a network, so that a test can choose the time.
type limited struct {
	handler http.Handler
	keys    map[string]string // by tenant
	revoked bool
	lookUp  time.Duration // of a key

	mu                 sync.Mutex
	lookUps, now, most int // look-ups in all, under way, and under way at a time
}

func newLimited(t *testing.T, limits Limits) *limited {
	t.Helper()
	l := &limited{keys: map[string]string{}}
	owners := map[string]string{}
	for _, id := range []string{"acme", "other"} {
		text, key, err := tenant.NewKey(rand.Reader, id, "default", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		l.keys[id], owners[key.ID] = "Authorization: Bearer "+text, id
	}
	mux := http.NewServeMux()
	api := NewAPI(mux, Keys{Admin: operatorKey, Limits: limits, TenantByKey: func(
		_ context.Context, id string, _ []byte,
	) (tenant.Tenant, error) {
		l.began(1)
		time.Sleep(l.lookUp)
		defer l.began(-1)
		if owners[id] == "" || l.revoked {
			return tenant.Tenant{}, tenant.ErrUnknownKey()
		}
		return tenant.Tenant{ID: owners[id]}, nil
	}})
	nothing := func(context.Context, *struct{}) (*struct{}, error) { return nil, nil }
	Register(api, Tenant, huma.Operation{OperationID: "mine", Method: http.MethodGet, Path: "/mine"}, nothing)
	Register(api, Admin, huma.Operation{OperationID: "all", Method: http.MethodGet, Path: "/all"}, nothing)
	Register(api, Public, huma.Operation{OperationID: "public", Method: http.MethodGet, Path: "/public"}, nothing)
	l.handler = Handler(mux, nil, zerolog.Nop())
	return l
}

// began counts a look-up that begins, or with -1 one that ends.
func (l *limited) began(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now += n
	l.lookUps += max(0, n)
	l.most = max(l.most, l.now)
}

// call sends a request from an address and returns the status, and when the answer says to come back.
func (l *limited) call(t *testing.T, from, path string, headers ...string) (status int, after time.Duration) {
	t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	r.RemoteAddr = from + ":4711"
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	l.handler.ServeHTTP(w, r)
	if w.Code == http.StatusTooManyRequests {
		var p Problem
		seconds, err := strconv.Atoi(w.Header().Get("Retry-After"))
		if json.Unmarshal(w.Body.Bytes(), &p) != nil || err != nil || seconds < 1 || p.Code != problem.RateLimited || !strings.Contains(
			p.Detail, fmt.Sprintf("in %ds", seconds),
		) {
			t.Errorf("answered %s, Retry-After %q", w.Body, w.Header().Get("Retry-After"))
		}
		after = time.Duration(seconds) * time.Second
	}
	return w.Code, after
}

// calls counts the statuses of n equal calls.
func (l *limited) calls(t *testing.T, n int, from, path string, headers ...string) map[int]int {
	t.Helper()
	out := map[int]int{}
	for range n {
		status, _ := l.call(t, from, path, headers...)
		out[status]++
	}
	return out
}

func want(t *testing.T, what string, got, want map[int]int) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s are answered %v, want %v", what, got, want)
	}
}

func TestATenantCallsNoMoreOftenThanItMay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimited(t, Limits{CallsPerSecond: 5})
		want(t, "calls at once", l.calls(t, 15, "192.0.2.1", "/mine", l.keys["acme"]), map[int]int{204: 10, 429: 5})
		if l.lookUps != 10 {
			t.Errorf("refused calls had their key looked up: %d look-ups", l.lookUps)
		}
		want(t, "another tenant's calls", l.calls(t, 10, "192.0.2.1", "/mine", l.keys["other"]), map[int]int{204: 10})
		want(t, "the operator's calls", l.calls(t, 50, "192.0.2.1", "/all", "X-Admin-Key: "+operatorKey), map[int]int{204: 50})
		want(t, "calls without a key", l.calls(t, 50, "192.0.2.1", "/public"), map[int]int{204: 50})
		_, after := l.call(t, "192.0.2.1", "/mine", l.keys["acme"])
		time.Sleep(after)
		want(t, "calls when it was said", l.calls(t, 8, "192.0.2.1", "/mine", l.keys["acme"]), map[int]int{204: 5, 429: 3})
		time.Sleep(time.Hour)
		want(t, "calls much later", l.calls(t, 15, "192.0.2.1", "/mine", l.keys["acme"]), map[int]int{204: 10, 429: 5})
	})
}

func TestAnAddressTriesNoMoreKeysThanItMay(t *testing.T) {
	t.Parallel()
	const here, there = "192.0.2.1", "192.0.2.2"
	for name, test := range map[string]struct {
		path string
		bad  func(i int) string
		good func(*limited) string
	}{
		"unknown keys": {"/mine", func(int) string {
			text, _, _ := tenant.NewKey(rand.Reader, "nobody", "", time.Now())
			return "Authorization: Bearer " + text
		}, func(l *limited) string { return l.keys["acme"] }},
		"malformed keys": {
			"/mine", func(i int) string { return fmt.Sprint("Authorization: ", i) }, func(l *limited) string { return l.keys["acme"] },
		},
		"admin keys": {
			"/all", func(i int) string { return fmt.Sprint("X-Admin-Key: ", i) }, func(*limited) string { return "X-Admin-Key: " + operatorKey },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLimited(t, Limits{WrongKeysPerMinute: 6})
				try := func(n int, from string) map[int]int {
					out := map[int]int{}
					for i := range n {
						status, _ := l.call(t, from, test.path, test.bad(i))
						out[status]++
					}
					return out
				}
				want(t, "wrong keys", try(20, here), map[int]int{401: 6, 429: 14})
				want(t, "wrong keys from elsewhere", try(1, there), map[int]int{401: 1})
				want(t, "a right key that was never seen", l.calls(t, 20, here, test.path, test.good(l)), map[int]int{204: 20})
				want(t, "wrong keys after a right one", try(5, here), map[int]int{429: 5})
				want(t, "calls without a key", l.calls(t, 20, here, test.path), map[int]int{401: 20})
				_, after := l.call(t, here, test.path, test.bad(0))
				if after != 10*time.Second {
					t.Errorf("one of six in a minute is due in %s", after)
				}
				time.Sleep(after)
				want(t, "wrong keys when it was said", try(5, here), map[int]int{401: 1, 429: 4})
			})
		})
	}
}

// Guesses never have more than one look-up under way, and clients of other addresses do not wait behind them.
func TestGuessesAreLookedUpOneAtATime(t *testing.T) {
	t.Parallel()
	const here, there, guesses, lookUp = "192.0.2.1", "192.0.2.2", 50, time.Second
	synctest.Test(t, func(t *testing.T) {
		l := newLimited(t, Limits{WrongKeysPerMinute: 6})
		guess := func() string {
			text, _, err := tenant.NewKey(rand.Reader, "nobody", "", time.Now())
			if err != nil {
				t.Fatal(err)
			}
			return "Authorization: Bearer " + text
		}
		want(t, "a first guess", l.calls(t, 1, here, "/mine", guess()), map[int]int{401: 1})
		l.lookUp = lookUp
		begun := time.Now()
		within := func(what string, limit time.Duration, from, header string) {
			if status, _ := l.call(t, from, "/mine", header); status != http.StatusNoContent {
				t.Errorf("%s is answered %d", what, status)
			}
			if took := time.Since(begun); took > limit {
				t.Errorf("%s waits %s", what, took)
			}
		}
		var calls sync.WaitGroup
		for i := range guesses {
			header := guess()
			if i%2 == 0 {
				header = header[:len("Authorization: Bearer ")+35] // as long as an imported key
			}
			calls.Go(func() { l.call(t, here, "/mine", header) })
		}
		synctest.Wait()
		calls.Go(func() { within("a right key behind the guesses", (guesses+1)*lookUp, here, l.keys["acme"]) })
		calls.Go(func() { within("a right key from elsewhere", lookUp, there, l.keys["other"]) })
		calls.Go(func() {
			want(t, "malformed keys", l.calls(t, 10, here, "/mine", "Authorization: sk-guess"), map[int]int{401: 5, 429: 5})
		})
		calls.Go(func() {
			want(t, "the operator's key", l.calls(t, 10, here, "/all", "X-Admin-Key: "+operatorKey), map[int]int{204: 10})
			if took := time.Since(begun); took > 0 {
				t.Errorf("the operator waits %s for look-ups that its key does not need", took)
			}
		})
		calls.Wait()
		if l.most != 2 { // a guess, and the right key from elsewhere
			t.Errorf("%d keys were looked up at a time", l.most)
		}
		within("a right key that was seen", time.Since(begun)+lookUp, here, l.keys["acme"])
	})
}

func TestAClientThatLeavesItsTurnHoldsUpNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimited(t, Limits{WrongKeysPerMinute: 1})
		text, _, err := tenant.NewKey(rand.Reader, "nobody", "", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		l.call(t, "192.0.2.1", "/mine", "Authorization: "+text)
		l.lookUp = time.Hour
		var calls sync.WaitGroup
		calls.Go(func() { l.call(t, "192.0.2.1", "/mine", "Authorization: "+text) })
		synctest.Wait()
		calls.Go(func() {
			ctx, leave := context.WithTimeout(t.Context(), time.Minute)
			defer leave()
			r := httptest.NewRequestWithContext(ctx, "GET", "/mine", nil)
			r.RemoteAddr = "192.0.2.1:4711"
			r.Header.Set("Authorization", text)
			l.handler.ServeHTTP(httptest.NewRecorder(), r)
			if ctx.Err() == nil {
				t.Error("the call ended before its client left")
			}
		})
		calls.Wait()
		if l.lookUps != 2 {
			t.Errorf("there were %d look-ups, also for the client that had left", l.lookUps)
		}
	})
}

func TestAKeyThatNoLongerWorksIsAWrongOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimited(t, Limits{WrongKeysPerMinute: 3})
		want(t, "the right key", l.calls(t, 10, "192.0.2.1", "/mine", l.keys["acme"]), map[int]int{204: 10})
		l.revoked = true
		want(t, "the revoked key", l.calls(t, 10, "192.0.2.1", "/mine", l.keys["acme"]), map[int]int{401: 3, 429: 7})
	})
}

func TestWithoutLimitsNobodyIsHeldBack(t *testing.T) {
	t.Parallel()
	l := newLimited(t, Limits{})
	want(t, "calls", l.calls(t, 1000, "192.0.2.1", "/mine", l.keys["acme"]), map[int]int{204: 1000})
	want(t, "wrong keys", l.calls(t, 1000, "192.0.2.1", "/mine", "Authorization: x"), map[int]int{401: 1000})
}

func TestOnlyProxiesOfOursSayWhoTheClientIs(t *testing.T) {
	t.Parallel()
	ours := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for name, test := range map[string]struct {
		peer      string
		forwarded []string
		want      string
	}{
		"no proxy":                             {"192.0.2.1:1", nil, "192.0.2.1"},
		"a client's own word":                  {"192.0.2.1:1", []string{"198.51.100.7"}, "192.0.2.1"},
		"our proxy":                            {"10.0.0.1:1", []string{"198.51.100.7"}, "198.51.100.7"},
		"two of our proxies":                   {"10.0.0.1:1", []string{"198.51.100.7, 10.9.9.9"}, "198.51.100.7"},
		"two headers":                          {"10.0.0.1:1", []string{"198.51.100.7", "10.9.9.9"}, "198.51.100.7"},
		"a client's own word before our proxy": {"10.0.0.1:1", []string{"203.0.113.5, 198.51.100.7"}, "198.51.100.7"},
		"nonsense before our proxy":            {"10.0.0.1:1", []string{"me, 198.51.100.7"}, "198.51.100.7"},
		"nonsense from our proxy":              {"10.0.0.1:1", []string{"198.51.100.7, unknown"}, "10.0.0.1"},
		"a client inside":                      {"10.0.0.1:1", []string{"10.2.2.2"}, "10.2.2.2"},
		"our proxy without a word":             {"10.0.0.1:1", nil, "10.0.0.1"},
		"a whole site of IPv6":                 {"[2001:db8:1:2:3:4:5:6]:1", nil, "2001:db8:1:2::/64"},
		"IPv6 by our proxy":                    {"[fd00::1]:1", []string{"2001:db8:1:2::9"}, "2001:db8:1:2::/64"},
		"IPv4 in IPv6":                         {"[::ffff:10.0.0.1]:1", []string{"::ffff:198.51.100.7"}, "198.51.100.7"},
		"a zone":                               {"10.0.0.1:1", []string{"fe80::1%eth0"}, "fe80::/64"},
		"a socket":                             {"@", []string{"198.51.100.7"}, "@"},
	} {
		r := &http.Request{RemoteAddr: test.peer, Header: http.Header{"X-Forwarded-For": test.forwarded}}
		if got := clientAddress(r, ours); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	t.Parallel()
	b := newBuckets(1, 1)
	for i := range 3 * maxRemembered {
		b.take(strconv.Itoa(i))
	}
	if n := b.byName.Len(); n != maxRemembered {
		t.Errorf("%d names are remembered", n)
	}
}

func TestAnInstanceThatWasReadyOnceStaysSoForItsProbe(t *testing.T) {
	t.Parallel()
	var away atomic.Bool
	away.Store(true)
	mux := http.NewServeMux()
	api := NewAPI(mux, Keys{})
	Health{
		Database: func(context.Context) error {
			if away.Load() {
				return errors.New("away")
			}
			return nil
		},
		Objects: func(context.Context) error { return nil }, Now: time.Now,
	}.Register(api)
	ask := func(path string) int {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w.Code
	}
	for i, step := range []struct {
		away        bool
		probe, full int
	}{{true, 503, 503}, {false, 200, 200}, {true, 200, 503}} {
		away.Store(step.away)
		if probe, full := ask("/ready?once=true"), ask("/ready"); probe != step.probe || full != step.full {
			t.Errorf("step %d: the probe got %d and others %d, want %d and %d", i+1, probe, full, step.probe, step.full)
		}
	}
}

func TestAFullDiskIsReportedAndRequestsAreServed(t *testing.T) {
	t.Parallel()
	well := func(context.Context) error { return nil }
	for name, test := range map[string]struct {
		disk   func() error
		health int
		says   string
	}{
		"no disk of our own": {nil, http.StatusOK, ""},
		"room":               {func() error { return nil }, http.StatusOK, ""},
		"no room": {
			func() error { return errors.New("the disk is nearly full") }, http.StatusServiceUnavailable, "the disk is nearly full",
		},
	} {
		mux := http.NewServeMux()
		Health{Database: well, Objects: well, Disk: test.disk, Now: time.Now}.Register(NewAPI(mux, Keys{}))
		for path, status := range map[string]int{"/health": test.health, "/ready": http.StatusOK} {
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			var report HealthReport
			if err := json.Unmarshal(w.Body.Bytes(), &report); err != nil || w.Code != status || path == "/health" && report.Disk != test.says {
				t.Errorf("%s: %s answers %d with %s", name, path, w.Code, w.Body)
			}
		}
	}
}

func TestHealthAsksOnceForAllWhoAskAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		h := Health{
			Database: func(context.Context) error { asked.Add(1); time.Sleep(time.Millisecond); return nil },
			Objects:  func(context.Context) error { return nil }, Now: time.Now,
		}
		answer := h.answer("healthy", "unhealthy")
		for range 100 {
			go func() {
				ctx, leave := context.WithCancel(t.Context())
				leave() // as clients do
				if out := answer(ctx); out.Status != http.StatusOK || out.Body.Status != "healthy" {
					t.Errorf("answered %+v", out)
				}
			}()
		}
		time.Sleep(time.Second)
		if n := asked.Load(); n != 1 {
			t.Errorf("the database was asked %d times", n)
		}
	})
}

func TestHealthShowsWhatConfinesRunsAndAsksForItOnceAMinute(t *testing.T) {
	t.Parallel()
	now := time.Now()
	var held *simulation.Confinement
	var failure error
	asked := 0
	mux := http.NewServeMux()
	fine := func(context.Context) error { return nil }
	Health{
		Database: fine, Objects: fine, Now: func() time.Time { return now },
		Confinement: func(context.Context) (*simulation.Confinement, error) { asked++; return held, failure },
	}.Register(NewAPI(mux, Keys{}))
	for i, step := range []struct {
		after   time.Duration
		held    *simulation.Confinement
		failure error
		want    string
		asked   int
	}{
		{0, &simulation.Confinement{Landlock: 7, Filter: true}, nil, `{"landlock":7,"namespace":false,"filter":true,"user":false}`, 1},
		{confinementAge - 1, &simulation.Confinement{}, nil, `{"landlock":7,"namespace":false,"filter":true,"user":false}`, 1},
		{1, &simulation.Confinement{}, nil, `{"landlock":0,"namespace":false,"filter":false,"user":false}`, 2},
		{confinementAge, nil, errors.New("away"), `null`, 3},
		{confinementAge, nil, nil, `null`, 4},
	} {
		now, held, failure = now.Add(step.after), step.held, step.failure
		for _, path := range []string{"/health", "/ready"} {
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			var got struct{ Confinement json.RawMessage }
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if w.Code != http.StatusOK || string(got.Confinement) != step.want || asked != step.asked {
				t.Errorf("step %d: %s answered %d with confinement %s after asking %d times, want 200 with %s after %d",
					i+1, path, w.Code, got.Confinement, asked, step.want, step.asked)
			}
		}
	}
}
