package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// gateway forwards to one instance at a time. If the connection is refused it tries the newest one, as a proxy may, because
// nothing was sent yet. It retries nothing else.
type gateway struct{ to atomic.Pointer[url.URL] }

func (g *gateway) lead(t *testing.T, to string) {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	g.to.Store(u)
}

func (g *gateway) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := http.DefaultTransport.RoundTrip(r)
	if errors.Is(err, syscall.ECONNREFUSED) {
		r = r.Clone(r.Context())
		r.URL.Host = g.to.Load().Host
		return http.DefaultTransport.RoundTrip(r)
	}
	return response, err
}

func (g *gateway) serve(t *testing.T) (url string) {
	t.Helper()
	s := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(g.to.Load()) },
		Transport:     g,
		FlushInterval: -1,
	})
	t.Cleanup(s.Close)
	return s.URL
}

// The instances of status and logs are replaced three times, while requests come at a steady rate and a log is followed.
func TestInstancesAreReplacedWithoutAFailedRequestOrALostLine(t *testing.T) {
	t.Parallel()
	d := deploy(t)
	d.env = append(d.env, "RECONCILE_URL="+d.start(t, "reconcile")+"/reconcile", "CALLS_PER_SECOND=0")
	// Requests must find the old instance until the gateway leads to the new one. This is ample for that, and SHUTDOWN_GRACE allows no more.
	const quiet = "SHUTDOWN_QUIET=10s"
	c, submit := newClient(t, d.start(t, "auth")), d.start(t, "submit")
	behind := map[string]*gateway{"status": {}, "logs": {}}
	now := map[string]instance{}
	for name, g := range behind {
		now[name] = d.instance(t, name, quiet)
		g.lead(t, now[name].url)
	}
	id := c.submit(t, submit, "grid", "step_length=0.01") // runs for longer than the replacements take
	status, logs := behind["status"].serve(t), behind["logs"].serve(t)

	var work sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var sent, failed atomic.Int32
	work.Go(func() {
		var requests sync.WaitGroup
		defer requests.Wait()
		ticks := time.NewTicker(20 * time.Millisecond)
		defer ticks.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticks.C:
			}
			requests.Go(func() {
				sent.Add(1)
				r, _ := http.NewRequest("GET", status+"/jobs/"+id, nil)
				r.Header.Set("Authorization", c.key["Authorization"])
				response, err := http.DefaultTransport.RoundTrip(r)
				if err != nil {
					failed.Add(1)
					t.Errorf("a request failed: %v", err)
					return
				}
				defer response.Body.Close()
				if body, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusOK {
					failed.Add(1)
					t.Errorf("a request was answered %d, %v: %s", response.StatusCode, err, body)
				}
			})
		}
	})
	var lines []string
	var streams int
	work.Go(func() { lines, streams = follow(t, logs+"/jobs/"+id+"/logs/stream", c.key["Authorization"]) })
	var stopping sync.WaitGroup
	for range 3 {
		time.Sleep(500 * time.Millisecond)
		for name, g := range behind {
			old := now[name]
			now[name] = d.instance(t, name, quiet)
			stopping.Go(old.stop)
			time.Sleep(100 * time.Millisecond) // the gateway learns of it later than the instance
			g.lead(t, now[name].url)
		}
	}
	stopping.Wait()
	if code := send(t, "DELETE", submit+"/jobs/"+id, nil, c.key, nil); code != http.StatusOK {
		t.Errorf("cancelling is answered %d", code)
	}
	if j := c.wait(t, status, id); j.Status != "CANCELLED" {
		t.Errorf("the job is %+v", j)
	}
	stop()
	work.Wait()
	defer stopping.Wait()
	defer func() {
		for _, last := range now { // both at once, as each waits for silence
			stopping.Go(last.stop)
		}
	}()
	t.Logf("%d requests, %d failed; the log came in %d streams, %d lines", sent.Load(), failed.Load(), streams, len(lines))
	if sent.Load() < 50 || streams < 3 {
		t.Errorf("only %d requests and %d streams: the test has not exercised the replacement", sent.Load(), streams)
	}
	var whole struct{ Logs string }
	send(t, "GET", logs+"/jobs/"+id+"/logs", nil, c.key, &whole)
	if got := strings.Join(lines, "\n") + "\n"; got != whole.Logs {
		t.Errorf("the streams together have %d bytes, the log has %d:\n%s", len(got), len(whole.Logs), got)
	}
}

// follow follows a log to its end as a browser does: it resumes after the last event when a stream ends.
func follow(t *testing.T, url, authorization string) (lines []string, streams int) {
	last := ""
	for {
		streams++
		r, _ := http.NewRequestWithContext(t.Context(), "GET", url, nil)
		r.Header.Set("Authorization", authorization)
		if last != "" {
			r.Header.Set("Last-Event-ID", last)
		}
		response, err := http.DefaultTransport.RoundTrip(r)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Errorf("following failed: %v", err)
			return lines, streams
		}
		events := bufio.NewScanner(response.Body)
		id := ""
		for events.Scan() {
			if text, ok := strings.CutPrefix(events.Text(), "id: "); ok {
				id = text
			}
			data, ok := strings.CutPrefix(events.Text(), "data: ")
			if !ok {
				continue
			}
			var event struct{ Message, Status string }
			if err := json.Unmarshal([]byte(data), &event); err != nil {
				t.Errorf("a part of an event: %q", data)
			}
			if id != "" {
				lines, last, id = append(lines, event.Message), id, ""
			} else if event.Message != "" && event.Status != "" {
				response.Body.Close()
				return lines, streams
			}
		}
		response.Body.Close()
		if err := events.Err(); err != nil {
			t.Errorf("a stream was cut: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
