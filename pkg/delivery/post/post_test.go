package post

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/sumo-k8/sumo-k8/pkg/delivery"
	"github.com/sumo-k8/sumo-k8/pkg/job"
)

var (
	berlin = time.FixedZone("", 2*60*60)
	began  = time.Date(2026, 3, 4, 10, 0, 0, 500_000_000, berlin)
)

// finished is a delivery of the end of a job to url.
func finished(url string, format delivery.Format, secrets ...delivery.Secret) delivery.Delivery {
	if len(secrets) == 0 {
		secrets = []delivery.Secret{{Value: delivery.NewSecret()}}
	}
	return delivery.Delivery{
		ID: "0198f3a0-0000-7000-8000-00000000000d", TenantID: "acme", JobID: "0198f3a0-0000-7000-8000-000000000001",
		Hook: &delivery.Hook{ID: "h", URL: url, Format: format, Secrets: secrets},
		Event: delivery.Event{Type: delivery.JobFinished, At: began.Add(time.Minute), Job: delivery.Job{
			ID: "0198f3a0-0000-7000-8000-000000000001", TenantID: "acme", Name: "morning <peak>", State: job.Succeeded, Progress: 1, Attempt: 1,
			Labels: map[string]string{"b": "2", "a": "1"}, SubmittedAt: began, StartedAt: &began, SumoVersion: "1.28.0",
		}},
	}
}

// got is a request as a receiver saw it.
type got struct {
	header http.Header
	body   []byte
}

// receiver is a web server that keeps what it gets and then lets answer speak; nil answers 200.
type receiver struct {
	*httptest.Server
	mu  sync.Mutex
	got []got
}

func receive(t *testing.T, answer http.HandlerFunc) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		r.got = append(r.got, got{req.Header, body})
		r.mu.Unlock()
		if answer != nil {
			answer(w, req)
		}
	}))
	r.Config.ErrorLog = quiet()
	r.StartTLS()
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) all() []got {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got
}

// poster makes a Poster that trusts the certificates of httptest's servers, and for which their address is public.
func poster(change func(*Config)) *Poster {
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	s.Close()
	cfg := Config{Wall: NewWall(nil, []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}), Now: time.Now, Roots: roots, Log: zerolog.Nop()}
	if change != nil {
		change(&cfg)
	}
	return New(cfg)
}

func TestAnEventIsSigned(t *testing.T) {
	t.Parallel()
	r := receive(t, nil)
	now := time.Now()
	p := poster(func(c *Config) { c.Now = func() time.Time { return now } })
	d := finished(r.URL+"/hook", delivery.Standard)
	for range 2 {
		if diff := cmp.Diff(delivery.Attempt{Status: 200}, p.Post(t.Context(), d)); diff != "" {
			t.Fatalf("attempt (-want +got):\n%s", diff)
		}
		now = now.Add(time.Minute)
		// The record may come back in another zone.
		d.Event.At, d.Event.Job.SubmittedAt = d.Event.At.UTC(), d.Event.Job.SubmittedAt.In(time.FixedZone("", 3600))
	}
	first, again := r.all()[0], r.all()[1]

	verifier, err := webhooks.NewWebhook(d.Hook.Secrets[0].Value)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range r.all() {
		if err := verifier.Verify(g.body, g.header); err != nil {
			t.Error(err)
		}
	}
	if err := verifier.Verify(append(first.body, ' '), first.header); err == nil {
		t.Error("a changed body verifies")
	}
	const want = `{"type":"job.finished","timestamp":"2026-03-04T08:01:00.5Z","data":{"job_id":"0198f3a0-0000-7000-8000-000000000001",` +
		`"tenant_id":"acme","scenario_id":"morning \u003cpeak\u003e","status":"SUCCEEDED","reason":"","message":"","progress":1,"attempt":1,` +
		`"check":false,"labels":{"a":"1","b":"2"},"submitted_at":"2026-03-04T08:00:00.5Z","started_at":"2026-03-04T08:00:00.5Z",` +
		`"finished_at":null,"sumo_version":"1.28.0","summary":null}}`
	if diff := cmp.Diff(want, string(first.body)); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(string(first.body), string(again.body)); diff != "" {
		t.Errorf("the second attempt's body (-first +second):\n%s", diff)
	}
	for key, want := range map[string]string{
		"Webhook-Id": "msg_0198f3a0-0000-7000-8000-00000000000d", "User-Agent": "SUMO-K8", "Content-Type": "application/json",
		"Idempotency-Key": "", "Accept-Encoding": "", "X-Webhook-Token": "",
	} {
		if first.header.Get(key) != want || again.header.Get(key) != want {
			t.Errorf("%s is %q, and %q in the second attempt; want %q", key, first.header.Get(key), again.header.Get(key), want)
		}
	}
	if first.header.Get("Webhook-Timestamp") == again.header.Get("Webhook-Timestamp") {
		t.Error("both attempts have the same timestamp")
	}
}

func TestBothSecretsSignWhileOneIsReplaced(t *testing.T) {
	t.Parallel()
	r := receive(t, nil)
	now := time.Now()
	at := func(d time.Duration) *time.Time { t := now.Add(d); return &t }
	current, earlier, expired, ends := delivery.NewSecret(), delivery.NewSecret(), delivery.NewSecret(), delivery.NewSecret()
	p := poster(func(c *Config) { c.Now = func() time.Time { return now } })
	p.Post(t.Context(), finished(r.URL, delivery.Standard, delivery.Secret{Value: current}, delivery.Secret{Value: earlier, ExpiresAt: at(1)},
		delivery.Secret{Value: expired, ExpiresAt: at(-time.Hour)}, delivery.Secret{Value: ends, ExpiresAt: at(0)}))
	g := r.all()[0]
	for secret, valid := range map[string]bool{current: true, earlier: true, expired: false, ends: false, delivery.NewSecret(): false} {
		verifier, err := webhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := verifier.Verify(g.body, g.header); (err == nil) != valid {
			t.Errorf("verified with %v, want valid %t", err, valid)
		}
	}
	first, err := webhooks.NewWebhook(current)
	if err != nil {
		t.Fatal(err)
	}
	signatures := strings.Split(g.header.Get("Webhook-Signature"), " ")
	if want, _ := first.Sign("msg_0198f3a0-0000-7000-8000-00000000000d", now, g.body); len(signatures) != 2 || signatures[0] != want {
		t.Errorf("signatures are %q, want two, %q first", signatures, want)
	}
}

func TestNothingIsSentUnsigned(t *testing.T) {
	t.Parallel()
	r := receive(t, nil)
	past := time.Now().Add(-time.Second)
	for name, secret := range map[string]delivery.Secret{
		"expired": {Value: delivery.NewSecret(), ExpiresAt: &past}, "broken": {Value: "whsec_secret?"},
	} {
		a := poster(nil).Post(t.Context(), finished(r.URL, delivery.Standard, secret))
		if a.Error == "" || a.Down || strings.Contains(a.Error, "secret?") {
			t.Errorf("%s: the attempt is %+v", name, a)
		}
	}
	if n := len(r.all()); n > 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestACloudEventIsSigned(t *testing.T) {
	t.Parallel()
	r := receive(t, nil)
	d := finished(r.URL, delivery.CloudEvents)
	d.TenantID = "a/b c"
	p := poster(nil)
	p.Post(t.Context(), d)
	p.Post(t.Context(), d)
	g := r.all()[0]
	if diff := cmp.Diff(string(g.body), string(r.all()[1].body)); diff != "" {
		t.Errorf("the second attempt's body (-first +second):\n%s", diff)
	}
	if is := g.header.Get("Content-Type"); is != "application/cloudevents+json" {
		t.Errorf("the content type is %s", is)
	}
	verifier, err := webhooks.NewWebhook(d.Hook.Secrets[0].Value)
	if err != nil {
		t.Fatal(err)
	}
	if err := verifier.Verify(g.body, g.header); err != nil {
		t.Error(err)
	}
	var e event.Event
	if err := json.Unmarshal(g.body, &e); err != nil {
		t.Fatal(err)
	}
	if err := e.Validate(); err != nil {
		t.Error(err)
	}
	type facts struct{ ID, Source, Type, Subject, Data string }
	want := facts{
		g.header.Get("Webhook-Id"), "/sumo-k8/tenants/a%2Fb%20c", "io.github.sumo-k8.job.finished", d.Event.Job.ID, "application/json",
	}
	if diff := cmp.Diff(want, facts{e.ID(), e.Source(), e.Type(), e.Subject(), e.DataContentType()}); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if !e.Time().Equal(d.Event.At) || !strings.Contains(string(g.body), `"time":"2026-03-04T08:01:00.5Z"`) {
		t.Errorf("the time is %s", e.Time())
	}
	var data delivery.Job
	if err := e.DataAs(&data); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d.Event.UTC().Job, data); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
}

func TestProgressIsThePredecessors(t *testing.T) {
	t.Parallel()
	r := receive(t, nil)
	here := r.Listener.Addr().String()
	_, port, err := net.SplitHostPort(here)
	if err != nil {
		t.Fatal(err)
	}
	listed := poster(func(c *Config) { c.Token, c.TokenReceivers = "shared", []string{here} })
	other := poster(func(c *Config) { c.Token, c.TokenReceivers = "shared", []string{"127.0.0.1:443", "127.0.0.11:" + port} })
	for i, tt := range []struct {
		poster          *Poster
		id, sent, token string
	}{
		{listed, "17", `17`, "shared"},
		{other, "17", `17`, ""},
		{poster(func(c *Config) { c.TokenReceivers = []string{here} }), "0", `0`, ""},
		{other, "007", `7`, ""},
		{other, "123456789012345678901234567890", `123456789012345678901234567890`, ""},
		{other, "-1", `"-1"`, ""},
		{other, "a \"b\"", `"a \"b\""`, ""},
		{other, "", `null`, ""},
	} {
		a := tt.poster.Progress(t.Context(), job.ProgressWebhook{URL: r.URL, SimulationID: tt.id}, 42)
		if diff := cmp.Diff(delivery.Attempt{Status: 200}, a); diff != "" {
			t.Fatalf("%s: attempt (-want +got):\n%s", tt.id, diff)
		}
		want := `{"simulation_id":` + tt.sent + `,"status_type":"progress","simulation_status":"Running","advanced_status":"Not Started",` +
			`"message":"Simulation progress: 42% (step 42)"}`
		g := r.all()[i]
		if diff := cmp.Diff(want, string(g.body)); diff != "" {
			t.Errorf("body (-want +got):\n%s", diff)
		}
		if tt.token != g.header.Get("X-Webhook-Token") || g.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: headers are %v, want the token %q", tt.id, g.header, tt.token)
		}
	}
}

func TestTheTokenGoesToListedReceiversOnly(t *testing.T) {
	t.Parallel()
	p := poster(func(c *Config) {
		c.Plain, c.Token, c.TokenReceivers = true, "shared", []string{"Hooks.example.org.:443", "hooks.internal:8443", "[fd00::1]:443"}
	})
	for target, want := range map[string]bool{
		"https://hooks.example.org/x":       true,
		"https://hooks.example.org:443/x":   true,
		"HTTPS://HOOKS.example.org./x":      true,
		"https://hooks.internal:8443":       true,
		"https://[fd00::1]/x":               true,
		"https://hooks.example.org:8443/x":  false,
		"https://hooks.internal/x":          false,
		"https://hooks.internal:443/x":      false,
		"https://x.hooks.example.org/x":     false,
		"http://hooks.example.org/x":        false,
		"http://hooks.example.org:443/x":    false,
		"http://hooks.internal:8443/x":      false,
		"https://a.example?hooks.internal:": false,
		"hooks.example.org":                 false,
		"%":                                 false,
	} {
		if got := p.getsToken(target); got != want {
			t.Errorf("%s gets the token: %t", target, got)
		}
	}
}

// TestTheTokenIsNotSentInClearText has a listed receiver, called by http.
func TestTheTokenIsNotSentInClearText(t *testing.T) {
	t.Parallel()
	headers := make(chan http.Header, 1)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { headers <- req.Header }))
	t.Cleanup(s.Close)
	p := poster(func(c *Config) {
		c.Plain, c.Token, c.TokenReceivers = true, "shared", []string{s.Listener.Addr().String()}
	})
	if diff := cmp.Diff(delivery.Attempt{Status: 200}, p.Progress(t.Context(), job.ProgressWebhook{URL: s.URL}, 42)); diff != "" {
		t.Fatalf("attempt (-want +got):\n%s", diff)
	}
	if h := <-headers; len(h.Values("X-Webhook-Token")) > 0 {
		t.Errorf("headers are %v", h)
	}
}

// raw answers with bytes of any kind.
func raw(t *testing.T, speak func(conn net.Conn)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		speak(conn)
	}
}

// drip writes piece again and again until the other side gives up.
func drip(conn net.Conn, piece string) {
	for {
		if _, err := io.WriteString(conn, piece); err != nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// slow is the error of an attempt whose time is up.
const slow = "The receiver did not answer within 10s."

func TestAReceiverCostsLittle(t *testing.T) {
	t.Parallel()
	var sent atomic.Int64
	answer := func(status int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
		}
	}
	const (
		redirect = "Redirects are not followed: change the webhook's URL to the one that it redirects to."
		garbage  = "The receiver closed the connection, or its answer was not HTTP."
	)
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   delivery.Attempt
	}{
		"confirms": {answer(204), delivery.Attempt{Status: 204}},
		"fails": {answer(500), delivery.Attempt{
			Status: 500, Error: "The receiver answered 500 (Internal Server Error).", Down: true,
		}},
		"fails strangely": {answer(799), delivery.Attempt{Status: 799, Error: "The receiver answered 799.", Down: true}},
		"does not know":   {answer(404), delivery.Attempt{Status: 404, Error: "The receiver answered 404 (Not Found)."}},
		"is gone":         {answer(410), delivery.Attempt{Status: 410, Error: "The receiver answered 410 (Gone).", Gone: true, Final: true}},
		"refuses, with a say": {answer(400, "Retry-After", "60"), delivery.Attempt{
			Status: 400, Error: "The receiver answered 400 (Bad Request).",
		}},
		"asks for a pause": {answer(429, "Retry-After", "7"), delivery.Attempt{
			Status: 429, Error: "The receiver answered 429 (Too Many Requests).", Down: true, RetryAfter: 7 * time.Second,
		}},
		"asks for a year": {answer(503, "Retry-After", "99999999999999"), delivery.Attempt{
			Status: 503, Error: "The receiver answered 503 (Service Unavailable).", Down: true, RetryAfter: 24 * time.Hour,
		}},
		"asks for nonsense": {answer(503, "Retry-After", "-5"), delivery.Attempt{
			Status: 503, Error: "The receiver answered 503 (Service Unavailable).", Down: true,
		}},
		"redirects inside": {answer(302, "Location", "http://169.254.169.254/latest/meta-data/"), delivery.Attempt{
			Status: 302, Error: "The receiver answered 302 (Found). " + redirect,
		}},
		"redirects to itself": {answer(307, "Location", "/again"), delivery.Attempt{
			Status: 307, Error: "The receiver answered 307 (Temporary Redirect). " + redirect,
		}},
		"hangs": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, delivery.Attempt{Error: slow, Down: true}},
		"drips its headers": {raw(t, func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			drip(c, "A: b\r\n")
		}), delivery.Attempt{Error: slow, Down: true}},
		"drips its status": {raw(t, func(c net.Conn) { drip(c, "H") }), delivery.Attempt{Error: slow, Down: true}},
		"drips its body": {raw(t, func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
			drip(c, "x")
		}), delivery.Attempt{Status: 200}},
		"answers 1 GB": {func(w http.ResponseWriter, _ *http.Request) {
			for piece := make([]byte, 1<<20); sent.Load() < 1<<30; {
				n, err := w.Write(piece)
				sent.Add(int64(n))
				if err != nil {
					return
				}
			}
		}, delivery.Attempt{Status: 200}},
		"answers with endless headers": {raw(t, func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			for line := "A: " + strings.Repeat("b", 8<<10) + "\r\n"; ; {
				if _, err := io.WriteString(c, line); err != nil {
					return
				}
			}
		}), delivery.Attempt{Error: garbage, Down: true}},
		"answers with 32 KiB of headers": {answer(200, "A", strings.Repeat("b", 32<<10)), delivery.Attempt{Error: garbage, Down: true}},
		"answers with endless hints": {raw(t, func(c net.Conn) {
			for {
				if _, err := io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"); err != nil {
					return
				}
			}
		}), delivery.Attempt{Error: garbage, Down: true}},
		"switches protocols": {raw(t, func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
			drip(c, "x")
		}), delivery.Attempt{Status: 101, Error: "The receiver answered 101 (Switching Protocols)."}},
		"closes the connection": {raw(t, func(net.Conn) {}), delivery.Attempt{Error: garbage, Down: true}},
		"does not speak HTTP": {raw(t, func(c net.Conn) {
			_, _ = io.WriteString(c, "220 mail\r\n\r\n")
		}), delivery.Attempt{Error: garbage, Down: true}},
		"closes amid the answer": {raw(t, func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx")
		}), delivery.Attempt{Status: 200}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := receive(t, tt.answer)
			p := poster(nil)
			start := time.Now()
			a := p.Post(t.Context(), finished(r.URL+"/hook", delivery.Standard))
			took := time.Since(start)
			if diff := cmp.Diff(tt.want, a); diff != "" {
				t.Errorf("attempt (-want +got):\n%s", diff)
			}
			if took > p.limit+time.Minute { // on a machine that is busy; what drips has no end
				t.Errorf("it took %s", took)
			}
			// A connection that is new is not tried twice, and no redirect is followed.
			if n := len(r.all()); n != 1 {
				t.Errorf("the receiver got %d requests", n)
			}
			if name == "answers 1 GB" {
				r.Close() // waits for the handler
				if n := sent.Load(); n > 64<<20 {
					t.Errorf("%d MiB were sent, more than buffers between us hold", n>>20)
				}
				t.Logf("%d MiB of 1024 left the receiver before the connection was closed", sent.Load()>>20)
			}
			t.Logf("%s after %s: %+v", name, took.Round(time.Millisecond), a)
		})
	}
}

func TestARetryAfterMayBeADate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"Fri, 02 Jan 2026 03:05:05 GMT": time.Minute, "Fri, 02 Jan 2026 03:04:04 GMT": 0, "Fri, 02 Jan 2099 03:04:04 GMT": 24 * time.Hour,
		"": 0, "soon": 0, "1.5": 0, "0": 0, "-5": 0, "-9223372036854775807": 0, "-18446744073": 0, "120": 2 * time.Minute,
		"9223372036854775807": 24 * time.Hour, "9223372036854775808": 0,
	} {
		if got := pause(header, now); got != want {
			t.Errorf("%q asks for %s, want %s", header, got, want)
		}
	}
}

// listen serves each connection with speak, on an address of this machine.
func listen(t *testing.T, address string, speak func(net.Conn)) (port string, accepted *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port, accept(t, l, speak)
}

// accept serves each connection with speak.
func accept(t *testing.T, l net.Listener, speak func(net.Conn)) (accepted *atomic.Int64) {
	t.Helper()
	t.Cleanup(func() { l.Close() })
	accepted = &atomic.Int64{}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			go func() {
				defer conn.Close()
				speak(conn)
			}()
		}
	}()
	return accepted
}

var anAddress = regexp.MustCompile(`\d+\.\d+\.\d+\.\d+|::`)

func TestAReceiverWithoutSoundTLSGetsNothing(t *testing.T) {
	t.Parallel()
	r := receive(t, nil)
	_, port, _ := net.SplitHostPort(r.Listener.Addr().String())
	broken, _ := listen(t, "127.0.0.1:0", func(c net.Conn) { _, _ = io.WriteString(c, "\x16\x03\x03\x00\x05hello, world") })
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request by http") }))
	t.Cleanup(plain.Close)
	_, plainPort, _ := net.SplitHostPort(plain.Listener.Addr().String())
	hanging, _ := listen(t, "127.0.0.1:0", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	resets, _ := listen(t, "127.0.0.1:0", func(net.Conn) {})
	dns := names(t, func(name string) string {
		return map[string]string{"hooks.example.com.": "127.0.0.1", "example.org.": "127.0.0.1"}[name]
	})

	const handshake = "The receiver does not complete the TLS handshake."
	for name, tt := range map[string]struct {
		url    string
		change func(*Config)
		want   string
	}{
		"broken TLS":     {"https://127.0.0.1:" + broken, nil, handshake},
		"no TLS":         {"https://127.0.0.1:" + plainPort, nil, handshake},
		"closes at once": {"https://127.0.0.1:" + resets, nil, handshake},
		"hangs":          {"https://127.0.0.1:" + hanging, nil, slow},
		"an unknown authority": {
			r.URL, func(c *Config) { c.Roots = x509.NewCertPool() },
			"The receiver's TLS certificate is not signed by an authority that is trusted here.",
		},
		"another host":   {"https://example.org:" + port, nil, "The receiver's TLS certificate is for another host."},
		"an old version": {"https://127.0.0.1:" + oldTLS(t), nil, handshake},
		"nobody there":   {"https://127.0.0.1:1", nil, "The receiver refuses connections."},
		"no such name":   {"https://nowhere.example.com:" + port, nil, "The host name has no address."},
		"no name server": {"https://hooks.example.com:" + port, func(c *Config) {
			c.Resolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Addr: &net.UDPAddr{IP: net.IPv4(10, 96, 0, 10)}, Err: io.ErrUnexpectedEOF}
			}}
		}, "The host name could not be looked up."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := poster(func(c *Config) {
				c.Resolver = dns
				if tt.change != nil {
					tt.change(c)
				}
			})
			a := p.Post(t.Context(), finished(tt.url, delivery.Standard))
			if diff := cmp.Diff(delivery.Attempt{Error: tt.want, Down: true}, a); diff != "" {
				t.Errorf("attempt (-want +got):\n%s", diff)
			}
			t.Logf("%s: %+v", name, a)
		})
	}
	t.Cleanup(func() {
		if n := len(r.all()); n > 0 {
			t.Errorf("the receiver got %d requests", n)
		}
	})
}

// oldTLS serves TLS 1.1.
func oldTLS(t *testing.T) (port string) {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	s.Config.ErrorLog = quiet()
	s.StartTLS()
	t.Cleanup(s.Close)
	_, port, _ = net.SplitHostPort(s.Listener.Addr().String())
	return port
}

// names is a resolver whose only name server is the test. answer returns the IPv4 address of a name, or "".
func names(t *testing.T, answer func(name string) string) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	go func() {
		for buffer := make([]byte, 1500); ; {
			n, from, err := server.ReadFrom(buffer)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if err := m.Unpack(buffer[:n]); err != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			m.Response, m.Authoritative, m.Additionals = true, true, nil
			switch addr := answer(q.Name.String()); {
			case addr == "":
				m.RCode = dnsmessage.RCodeNameError
			case q.Type == dnsmessage.TypeA:
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}, // and a TTL of 0
					Body:   &dnsmessage.AResource{A: netip.MustParseAddr(addr).As4()},
				}}
			}
			if packed, err := m.Pack(); err == nil {
				_, _ = server.WriteTo(packed, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

const inside = "The host leads to an address that is not public, so nothing was sent. An operator can allow such receivers with " +
	"WEBHOOK_ALLOW."

// twoListeners listen on the same port of two addresses.
func twoListeners(t *testing.T, address, other string) (first, second net.Listener, port string) {
	t.Helper()
	var err error
	for range 100 { // a port that is free at one may be taken at the other
		if first, err = net.Listen("tcp", address+":0"); err != nil {
			break
		}
		_, port, _ = net.SplitHostPort(first.Addr().String())
		if second, err = net.Listen("tcp", other+":"+port); err == nil {
			return first, second, port
		}
		first.Close()
	}
	t.Fatal(err)
	return nil, nil, ""
}

func TestANameIsCheckedWheneverItIsConnectedTo(t *testing.T) {
	t.Parallel()
	// 127.0.0.2 stands for a public address.
	public, private, port := twoListeners(t, "127.0.0.2", "127.0.0.1")
	r := &httptest.Server{Listener: public, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
	})}}
	r.StartTLS()
	t.Cleanup(r.Close)
	reached := accept(t, private, func(net.Conn) {})

	var attempt, lastLookup atomic.Int64 // resolvers may ask more often for one attempt
	dns := names(t, func(string) string {
		lastLookup.Store(attempt.Load())
		if attempt.Load() == 1 {
			return "127.0.0.2"
		}
		return "127.0.0.1"
	})
	p := poster(func(c *Config) {
		c.Resolver, c.Wall = dns, NewWall(nil, []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")})
	})
	d := finished("https://hooks.example.com:"+port+"/", delivery.Standard)
	for i, want := range []delivery.Attempt{{Status: 200}, {Error: inside, Down: true}, {Error: inside, Down: true}} {
		attempt.Add(1)
		a := p.Post(t.Context(), d)
		if diff := cmp.Diff(want, a); diff != "" {
			t.Errorf("attempt %d (-want +got):\n%s", i+1, diff)
		}
		if lastLookup.Load() != attempt.Load() {
			t.Errorf("attempt %d came without a look-up; the test needs one for each", i+1)
		}
		t.Logf("attempt %d: %+v", i+1, a)
	}
	if n := reached.Load(); n > 0 {
		t.Errorf("%d connections reached the private address", n)
	}
}

func TestAllowedHostsMayBeAnywhere(t *testing.T) {
	t.Parallel()
	r := receive(t, nil)
	_, port, _ := net.SplitHostPort(r.Listener.Addr().String())
	p := poster(func(c *Config) {
		c.Wall = NewWall([]string{"inside.example.com"}, nil)
		c.Resolver = names(t, func(string) string { return "127.0.0.1" })
	})
	for url, want := range map[string]delivery.Attempt{
		"https://INSIDE.example.com:" + port:           {Status: 200},
		"https://outside.example.com:" + port:          {Error: inside, Down: true},
		"https://127.0.0.1:" + port:                    {Error: inside, Down: true},
		"https://[::ffff:127.0.0.1]:" + port:           {Error: inside, Down: true},
		"https://[64:ff9b::7f00:1]:" + port:            {Error: inside, Down: true},
		"https://[::1]:" + port:                        {Error: inside, Down: true},
		"https://0.0.0.0:" + port:                      {Error: inside, Down: true},
		"https://169.254.169.254/latest/meta-data/iam": {Error: inside, Down: true},
	} {
		a := p.Post(t.Context(), finished(url, delivery.Standard))
		if diff := cmp.Diff(want, a); diff != "" {
			t.Errorf("%s (-want +got):\n%s", url, diff)
		}
		if anAddress.MatchString(a.Error) {
			t.Errorf("%s: %q names an address", url, a.Error)
		}
	}
	if n := len(r.all()); n != 1 {
		t.Errorf("the receiver got %d requests", n)
	}
}

func TestHTTPNeedsTheOperator(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	t.Cleanup(s.Close)
	if a := poster(nil).Post(t.Context(), finished(s.URL, delivery.Standard)); !strings.Contains(a.Error, "WEBHOOK_HTTP") || a.Final {
		t.Errorf("the attempt is %+v", a)
	}
	if n := requests.Load(); n > 0 {
		t.Errorf("%d requests were sent", n)
	}
	a := poster(func(c *Config) { c.Plain = true }).Post(t.Context(), finished(s.URL, delivery.Standard))
	if diff := cmp.Diff(delivery.Attempt{Status: 200}, a); diff != "" {
		t.Errorf("attempt (-want +got):\n%s", diff)
	}
}

func TestConnectionsAreKeptWithoutCookies(t *testing.T) {
	t.Parallel()
	var from sync.Map
	r := receive(t, func(w http.ResponseWriter, req *http.Request) {
		from.Store(req.RemoteAddr, true)
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "1"})
		_, _ = io.WriteString(w, "thank you")
	})
	p := poster(nil)
	for range 5 {
		p.Post(t.Context(), finished(r.URL, delivery.Standard))
	}
	for _, g := range r.all() {
		if g.header.Get("Cookie") != "" {
			t.Error("a cookie came back")
		}
	}
	connections := 0
	from.Range(func(any, any) bool { connections++; return true })
	if n := len(r.all()); n != 5 || connections != 1 {
		t.Errorf("%d events came by %d connections", n, connections)
	}
}

func TestAnInterruptedAttemptIsNotTheReceiversFault(t *testing.T) {
	t.Parallel()
	r := receive(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	want := delivery.Attempt{Error: "The attempt was interrupted."}
	if diff := cmp.Diff(want, poster(nil).Post(ctx, finished(r.URL, delivery.Standard))); diff != "" {
		t.Errorf("attempt (-want +got):\n%s", diff)
	}
}

func TestNoProxyOfTheEnvironmentIsUsed(t *testing.T) {
	t.Parallel()
	if poster(nil).transport.Proxy != nil {
		t.Error("the transport has a proxy, which would resolve names behind the wall")
	}
}

func TestConnectionsThatWereClosedMeanwhileAreReplaced(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	r := receive(t, func(w http.ResponseWriter, req *http.Request) {
		if requests.Add(1) == 2 { // on the kept connection: as if it had been closed just before
			raw(t, func(net.Conn) {})(w, req)
		}
	})
	p := poster(nil)
	for i := range 2 {
		if diff := cmp.Diff(delivery.Attempt{Status: 200}, p.Post(t.Context(), finished(r.URL, delivery.Standard))); diff != "" {
			t.Errorf("attempt %d (-want +got):\n%s", i+1, diff)
		}
	}
}
