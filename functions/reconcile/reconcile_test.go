package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/reconcile"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/server"
)

const (
	operatorKey = "the-operator"
	goodToken   = "good.token.of-the-schedule"
	otherToken  = "good.token.of-another"
)

func handler(f *Function, accounts bool) http.Handler {
	mux := http.NewServeMux()
	keys := rest.Keys{Admin: operatorKey}
	if accounts {
		keys.ServiceAccount = func(_ context.Context, token string) (string, error) {
			switch token {
			case goodToken:
				return "sumo-k8/schedule", nil
			case otherToken:
				return "", problem.New(problem.Forbidden, "Not you.")
			default:
				return "", problem.New(problem.Unauthorized, "Not a token.")
			}
		}
	}
	f.Register(rest.NewAPI(mux, keys))
	return rest.Handler(mux, nil, zerolog.Nop())
}

// pingEvent is what a PingSource sends.
func pingEvent() http.Header {
	return http.Header{
		"Ce-Id": {"1"}, "Ce-Specversion": {"1.0"}, "Ce-Type": {"dev.knative.sources.ping"},
		"Ce-Source": {"/apis/v1/namespaces/sumo-k8/pingsources/reconcile"}, "Content-Type": {"application/json"},
	}
}

func without(h http.Header, name string) http.Header {
	h.Del(name)
	return h
}

func TestEveryFormOfTheCallReachesTheReconcilerWithAKeyOnly(t *testing.T) {
	t.Parallel()
	structured := http.Header{"Content-Type": {"application/cloudevents+json; charset=utf-8"}}
	const whole = `{"specversion":"1.0","id":"1","type":"dev.knative.sources.ping","source":"/x","data":{}}`
	forms := []struct {
		name, body string
		header     http.Header
		status     int // with a good key
	}{
		{"a plain call", "", http.Header{}, 200},
		{"a call with JSON of no meaning", "{}", http.Header{"Content-Type": {"application/json"}}, 200},
		{"a binary event", "{}", pingEvent(), 200},
		{"a binary event without a body", "", without(pingEvent(), "Content-Type"), 200},
		{"a structured event", whole, structured, 200},
		{"a binary event without an id", "{}", without(pingEvent(), "Ce-Id"), 400},
		{"a binary event of no version", "{}", http.Header{"Ce-Specversion": {"7.0"}, "Ce-Id": {"1"}, "Ce-Type": {"x"}, "Ce-Source": {"x"}}, 400},
		{"a structured event without a source", `{"specversion":"1.0","id":"1","type":"x"}`, structured, 400},
		{"a structured event that is none", `{`, structured, 400},
		{"a structured event that is huge", strings.Replace(whole, "{}", `"`+strings.Repeat("x", maxEvent)+`"`, 1), structured, 400},
		{"several events at once", "[" + whole + "]", http.Header{"Content-Type": {"application/cloudevents-batch+json"}}, 400},
	}
	keys := []struct {
		name     string
		header   http.Header
		accounts bool
		status   int // 0 for that of the form
	}{
		{"the operator's key", http.Header{"X-Admin-Key": {operatorKey}}, true, 0},
		{"the schedule's token", http.Header{"Authorization": {"Bearer " + goodToken}}, true, 0},
		{"no key", http.Header{}, true, 401},
		{"another account's token", http.Header{"Authorization": {"Bearer " + otherToken}}, true, 403},
		{"a wrong token", http.Header{"Authorization": {"Bearer sk-x"}}, true, 401},
		{"the operator's key in a token's place", http.Header{"Authorization": {"Bearer " + operatorKey}}, true, 401},
		{"a wrong key beside a good token", http.Header{"X-Admin-Key": {"x"}, "Authorization": {"Bearer " + goodToken}}, true, 401},
		{"a token where none are accepted", http.Header{"Authorization": {"Bearer " + goodToken}}, false, 401},
	}
	for _, form := range forms {
		for _, key := range keys {
			ran := 0
			f := &Function{Window: time.Second, Run: func(_ context.Context, window time.Duration) (reconcile.Report, error) {
				if window != time.Second {
					t.Errorf("%s: the window is %s", form.name, window)
				}
				ran++
				return reconcile.Report{Passes: 7}, nil
			}}
			r := httptest.NewRequest("POST", "/reconcile", strings.NewReader(form.body))
			for _, h := range []http.Header{form.header, key.header} {
				for name, values := range h {
					r.Header[name] = values
				}
			}
			w := httptest.NewRecorder()
			handler(f, key.accounts).ServeHTTP(w, r)
			want := form.status
			if key.status != 0 {
				want = key.status
			}
			if w.Code != want || (ran == 1) != (want == 200) || want == 200 && !strings.Contains(w.Body.String(), `"passes":7`) {
				t.Errorf("%s with %s: answered %d, ran %d times: %s", form.name, key.name, w.Code, ran, w.Body)
			}
		}
	}
}

func TestAFailureMakesTheSenderRetry(t *testing.T) {
	t.Parallel()
	f := &Function{Run: func(context.Context, time.Duration) (reconcile.Report, error) {
		return reconcile.Report{}, problem.New(problem.Unavailable, "Unreachable.")
	}}
	r := httptest.NewRequest("POST", "/reconcile", nil)
	r.Header = pingEvent()
	r.Header.Set("X-Admin-Key", operatorKey)
	w := httptest.NewRecorder()
	handler(f, false).ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("answered %d: %s", w.Code, w.Body)
	}
}

func TestAPassOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	ctx, leave := context.WithCancel(t.Context())
	f := &Function{Run: func(ctx context.Context, _ time.Duration) (reconcile.Report, error) {
		leave()
		return reconcile.Report{}, ctx.Err()
	}}
	if _, err := f.run(ctx, 0); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

func TestAStopEndsTheWindowWithWhatWasDone(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	f := &Function{Run: func(ctx context.Context, _ time.Duration) (reconcile.Report, error) {
		close(entered)
		<-ctx.Done()
		return reconcile.Report{Passes: 3}, errors.Join(ctx.Err())
	}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- server.Serve(ctx, listener, handler(f, false), server.Shutdown{Grace: time.Minute}, zerolog.Nop())
	}()
	go func() {
		<-entered
		stop()
	}()
	r, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+listener.Addr().String()+"/reconcile", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Admin-Key", operatorKey)
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var report reconcile.Report
	if err := json.NewDecoder(response.Body).Decode(&report); err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK || report.Passes != 3 || !report.Interrupted {
		t.Errorf("answered %d with %+v", response.StatusCode, report)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
