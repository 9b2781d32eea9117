package rest

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// arrival is bytes that come after a pause.
type arrival struct {
	after time.Duration
	bytes int
}

// steadily is so many arrivals of the same kind.
func steadily(n int, a arrival) (out []arrival) {
	for range n {
		out = append(out, a)
	}
	return out
}

const testRate = 16 << 10

// paces are what clients do, and when they are too slow, counted from the start; 0 for never.
var paces = map[string]struct {
	arrivals []arrival
	slowAt   time.Duration
}{
	"at once":                            {[]arrival{{0, 5 << 20}}, 0},
	"just fast enough":                   {steadily(600, arrival{time.Second, testRate}), 0},
	"just fast enough in odd steps":      {steadily(700, arrival{700 * time.Millisecond, testRate * 8 / 10}), 0},
	"in bursts with pauses of a minute":  {steadily(10, arrival{time.Minute, 61 * testRate}), 0},
	"small and complete within a minute": {steadily(59, arrival{time.Second, 10}), 0},
	"a little too slow":                  {steadily(600, arrival{time.Second, testRate - 1024}), 61 * time.Second},
	"nothing":                            {[]arrival{{time.Hour, 1}}, 61 * time.Second},
	"a byte a second":                    {steadily(600, arrival{time.Second, 1}), 61 * time.Second},
	"fast, then nothing":                 {[]arrival{{5 * time.Second, 50 << 20}, {time.Hour, 1}}, 66 * time.Second},
	"fast, then a byte a second": {
		append([]arrival{{5 * time.Second, 50 << 20}}, steadily(600, arrival{time.Second, 1})...), 66 * time.Second,
	},
	"steady, then nothing": {
		append(steadily(300, arrival{time.Second, 2 * testRate}), arrival{time.Hour, 1}), 332 * time.Second,
	},
	"a pause of a minute after a minute": {
		append(steadily(60, arrival{time.Second, testRate}), arrival{62 * time.Second, 50 << 20}), 62 * time.Second,
	},
	"nothing, much later than fast": {
		append(steadily(30, arrival{30 * time.Second, 2 << 20}), arrival{time.Hour, 1}), 961 * time.Second,
	},
	"a byte short of the rate in a minute": {[]arrival{{time.Second, 60*testRate - 1}, {time.Hour, 1}}, 61 * time.Second},
}

func TestAPaceIsKeptOverAnyMinute(t *testing.T) {
	t.Parallel()
	for name, test := range paces {
		p := newPace(testRate)
		var now, slowAt time.Duration
		for _, a := range test.arrivals {
			if left := p.patience(); left < a.after { // silence lasts until patience ends
				slowAt = now + max(0, left)
				break
			}
			now += a.after
			p.received(a.bytes, a.after)
			if p.patience() <= 0 {
				slowAt = now
				break
			}
		}
		if slowAt != test.slowAt {
			t.Errorf("%s: too slow after %s, want %s", name, slowAt, test.slowAt)
		}
	}
}

// uploadServer is a service with one upload, in the bubble of a test: time there is the test's.
type uploadServer struct {
	conns chan net.Conn
	keys  map[string]string
	took  func(*http.Request) error // reads the body
}

func (s *uploadServer) Accept() (net.Conn, error) {
	if c, ok := <-s.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (s *uploadServer) Close() error   { return nil }
func (s *uploadServer) Addr() net.Addr { return &net.TCPAddr{} }

type streamedRequest struct{ http *http.Request }

func (in *streamedRequest) Resolve(ctx huma.Context) []error {
	in.http = StreamIn(ctx)
	return nil
}

func startUploads(t *testing.T, limits Limits) *uploadServer {
	t.Helper()
	s := &uploadServer{conns: make(chan net.Conn), keys: map[string]string{}, took: func(r *http.Request) error {
		_, err := io.Copy(io.Discard, r.Body)
		return err
	}}
	owners := map[string]string{}
	for _, id := range []string{"acme", "other"} {
		text, key, err := tenant.NewKey(rand.Reader, id, "default", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		s.keys[id], owners[key.ID] = text, id
	}
	mux := http.NewServeMux()
	api := NewAPI(mux, Keys{Limits: limits, TenantByKey: func(_ context.Context, id string, _ []byte) (tenant.Tenant, error) {
		if owners[id] == "" {
			return tenant.Tenant{}, tenant.ErrUnknownKey()
		}
		return tenant.Tenant{ID: owners[id]}, nil
	}})
	Register(api, Tenant, huma.Operation{OperationID: "upload", Method: http.MethodPost, Path: "/upload"},
		func(_ context.Context, in *streamedRequest) (*struct{}, error) { return nil, s.took(in.http) })
	api.OpenAPI().Paths["/upload"].Post.RequestBody = &huma.RequestBody{}
	server := &http.Server{Handler: Handler(mux, nil, zerolog.Nop()), ReadTimeout: 40 * time.Second}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(s)
	}()
	t.Cleanup(func() {
		close(s.conns)
		_ = server.Close()
		<-ended
		time.Sleep(time.Second) // net/http leaves clients as long to read their answer
	})
	return s
}

// upload sends a request whose body comes as arrivals say, and reads the answer beside.
func (s *uploadServer) upload(t *testing.T, key string, arrivals ...arrival) <-chan *uploadAnswer {
	t.Helper()
	length := 0
	for _, a := range arrivals {
		length += a.bytes
	}
	client, served := net.Pipe()
	s.conns <- served
	start, answered := time.Now(), make(chan struct{})
	go func() {
		// What fails here shows in the answer.
		_, _ = fmt.Fprintf(client, "POST /upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", key, length)
		for _, a := range arrivals {
			select {
			case <-time.After(a.after):
			case <-answered:
				return
			}
			if _, err := io.Copy(client, io.LimitReader(endless{}, int64(a.bytes))); err != nil {
				return
			}
		}
	}()
	out := make(chan *uploadAnswer, 1)
	go func() {
		defer client.Close()
		defer close(answered)
		answer := &uploadAnswer{}
		defer func() { out <- answer }()
		response, err := http.ReadResponse(bufio.NewReader(client), nil)
		if answer.err = err; err != nil {
			return
		}
		answer.status, answer.header, answer.closes, answer.after = response.StatusCode, response.Header, response.Close, time.Since(start)
		if response.StatusCode >= 400 {
			answer.err = json.NewDecoder(response.Body).Decode(&answer.problem)
		}
	}()
	return out
}

type uploadAnswer struct {
	status  int
	header  http.Header
	closes  bool // the connection
	after   time.Duration
	problem Problem
	err     error
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestAnUploadThatIsTooSlowIsAnsweredSo(t *testing.T) {
	t.Parallel()
	for name, test := range paces {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := startUploads(t, Limits{MinUploadRate: testRate})
				got := <-s.upload(t, s.keys["acme"], test.arrivals...)
				if test.slowAt == 0 {
					if got.err != nil || got.status != http.StatusNoContent || got.closes {
						t.Errorf("answered %+v", got)
					}
					return
				}
				if got.status != http.StatusRequestTimeout || !got.closes || got.after != test.slowAt ||
					got.header.Get("Content-Type") != "application/problem+json" {
					t.Errorf("answered %+v, want 408 after %s", got, test.slowAt)
				}
				p := got.problem
				if says := strings.Contains(p.Detail, "at least 16.0 KiB/s") || strings.Contains(
					p.Detail, "Nothing of the upload arrived in the last 60 s",
				); !says ||
					p.Code != requestTimeout || !strings.Contains(p.Detail, "POST /scenarios/uploads") {
					t.Errorf("the problem is %+v", p)
				}
			})
		})
	}
}

func TestWithoutARateOnlySilenceEndsAnUpload(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := startUploads(t, Limits{})
		if got := <-s.upload(t, s.keys["acme"], steadily(100, arrival{50 * time.Second, 1})...); got.status != http.StatusNoContent {
			t.Errorf("a slow upload is answered %+v", got)
		}
		if got := <-s.upload(t, s.keys["acme"], arrival{0, 1 << 20}, arrival{time.Hour, 1}); got.status != http.StatusRequestTimeout {
			t.Errorf("a silent upload is answered %+v", got)
		}
	})
}

// What we do with a body, while it comes and after, is not the client's time.
func TestAHandlerMayWorkLongerThanAClientMayStall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := startUploads(t, Limits{MinUploadRate: testRate})
		s.took = func(r *http.Request) error {
			part := make([]byte, 5<<20)
			for {
				_, err := io.ReadFull(r.Body, part)
				time.Sleep(10 * time.Minute) // as long as an object store may take
				switch {
				case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
					return r.Context().Err()
				case err != nil:
					return err
				}
			}
		}
		if got := <-s.upload(
			t, s.keys["acme"], steadily(3, arrival{time.Second, 5 << 20})...,
		); got.err != nil || got.status != http.StatusNoContent {
			t.Errorf("answered %+v", got)
		}
	})
}

func TestATenantUploadsNoMoreAtATimeThanItMay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := startUploads(t, Limits{ConcurrentUploads: 4, MinUploadRate: testRate})
		slow := steadily(100, arrival{time.Second, testRate})
		var underWay []<-chan *uploadAnswer
		for range 4 {
			underWay = append(underWay, s.upload(t, s.keys["acme"], slow...))
		}
		synctest.Wait()
		for range 10 {
			got := <-s.upload(t, s.keys["acme"], slow...)
			if got.status != http.StatusTooManyRequests || got.problem.Code != problem.RateLimited || got.header.Get("Retry-After") != "5" ||
				got.after != 0 || !got.closes ||
				!strings.Contains(got.problem.Detail, "4 uploads under way") || !strings.Contains(got.problem.Detail, "in 5s") {
				t.Errorf("one more is answered %+v", got)
			}
		}
		if got := <-s.upload(t, s.keys["other"], arrival{0, 1 << 20}); got.status != http.StatusNoContent {
			t.Errorf("another tenant's is answered %+v", got)
		}
		for _, answer := range underWay {
			if got := <-answer; got.status != http.StatusNoContent {
				t.Errorf("one of the four is answered %+v", got)
			}
		}
	})
}

// However an upload ends, another may begin.
func TestUploadsThatEndedAreNotCounted(t *testing.T) {
	t.Parallel()
	refusal := problem.New(problem.Invalid, "Refused.")
	for name, test := range map[string]struct {
		took     func(*http.Request) error // nil for all of the body
		arrivals []arrival
		status   int
	}{
		"complete":       {nil, []arrival{{0, 1000}}, http.StatusNoContent},
		"too slow":       {nil, []arrival{{0, 1}, {time.Hour, 1}}, http.StatusRequestTimeout},
		"refused unread": {func(*http.Request) error { return refusal }, []arrival{{0, 1}, {time.Hour, 1}}, http.StatusBadRequest},
		"refused in between": {
			func(r *http.Request) error { _, _ = r.Body.Read(make([]byte, 1)); return refusal },
			[]arrival{{0, 1}, {time.Hour, 1}}, http.StatusBadRequest,
		},
		"a handler's crash": {
			func(*http.Request) error { panic("a fault of ours") }, []arrival{{0, 1}, {time.Hour, 1}}, http.StatusInternalServerError,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := startUploads(t, Limits{ConcurrentUploads: 1, MinUploadRate: testRate})
				if test.took != nil {
					s.took = test.took
				}
				for range 3 {
					if got := <-s.upload(t, s.keys["acme"], test.arrivals...); got.status != test.status {
						t.Errorf("answered %+v, want %d", got, test.status)
					}
				}
			})
		})
	}
	t.Run("its body has come and it is worked on", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := startUploads(t, Limits{ConcurrentUploads: 1, MinUploadRate: testRate})
			s.took = func(r *http.Request) error {
				_, err := io.Copy(io.Discard, r.Body)
				time.Sleep(time.Hour)
				return err
			}
			first := s.upload(t, s.keys["acme"], arrival{0, 1000})
			synctest.Wait()
			for _, answer := range []<-chan *uploadAnswer{s.upload(t, s.keys["acme"], arrival{0, 1000}), first} {
				if got := <-answer; got.status != http.StatusNoContent {
					t.Errorf("answered %+v", got)
				}
			}
		})
	})
}

// net/http holds an answer back until the rest of a body has come, so that a slow client would hear of its refusal late.
func TestAnUploadIsRefusedBeforeItsBodyHasCome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := startUploads(t, Limits{})
		if got := <-s.upload(
			t, "wrong", arrival{0, 1}, arrival{time.Hour, 1},
		); got.status != http.StatusUnauthorized || got.after != 0 || !got.closes {
			t.Errorf("a wrong key is answered %+v", got)
		}
	})
}
