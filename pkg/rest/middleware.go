package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/telemetry/traceparent"
)

type pathKey struct{}

// requestIDHeader carries the id that links an answer to our log lines. A caller may choose it.
const requestIDHeader = "X-Request-Id"

var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// responseDeadline is how long a client may take to read one answer, from its first byte; the handler's work before that does
// not count. Handlers that stream extend it as they go.
const responseDeadline = 60 * time.Second

// Observer is called as each request begins, with the pattern of its route, which is empty if nothing is registered for it. The
// request continues with the context that it returns; ended is called at its end.
type Observer func(r *http.Request, route string) (ctx context.Context, ended func(status int, took time.Duration))

// Handler wraps mux in what every request needs: an id, a log line, a deadline, an answer in our form if nothing is registered
// for it, and recovery from a panic. Pages of the origins may call it from a browser.
func Handler(mux *http.ServeMux, origins []string, log zerolog.Logger, observers ...Observer) http.Handler {
	answer := allowOrigins(origins, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if to := withoutSlash(mux, r); to != "" {
			w.Header().Set("Location", to)
			if r.ContentLength != 0 {
				w.Header().Set("Connection", "close") // the client sends its body to the other path; nobody reads it here
			}
			w.WriteHeader(http.StatusTemporaryRedirect)
			return
		}
		if routeOf(r.Context()) == "" {
			unmatched(w, r, mux)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		id := r.Header.Get(requestIDHeader)
		if !requestIDPattern.MatchString(id) {
			id = uuid.NewString()
		}
		setHeaders(w.Header(), id)
		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		line := &accessLine{route: route(mux, r)}
		ctx := traceparent.FromHeader(r.Context(), r.Header)
		var ended []func(int, time.Duration)
		for _, observe := range observers {
			observed, end := observe(r.WithContext(ctx), line.route)
			ctx, ended = observed, append(ended, end)
		}
		about := log.With().Str("request_id", id)
		if trace := traceparent.ID(ctx); trace != "" {
			about = about.Str("trace_id", trace)
		}
		requestLog := about.Logger()
		ctx = requestLog.WithContext(ctx)
		ctx = context.WithValue(ctx, pathKey{}, r.URL.EscapedPath())
		ctx = context.WithValue(ctx, accessLineKey{}, line)
		r = r.WithContext(ctx)
		if r.Body != nil {
			r.Body = sentBody{r.Body}
		}

		defer func() {
			cut := rec.recovered(ctx, recover())
			took := time.Since(start)
			for _, end := range ended {
				end(rec.status, took)
			}
			event := requestLog.Info()
			if rec.status >= http.StatusInternalServerError {
				event = requestLog.Error()
			}
			event.Str("method", r.Method).Str("route", line.route).Int("status", rec.status).
				Int64("bytes", rec.bytes).Dur("ms", took).Str("tenant", line.tenant).Bool("cut", cut).Msg("request")
			if cut {
				// net/http's own way to cut a connection, so that the client does not take what it has for the whole answer.
				panic(http.ErrAbortHandler)
			}
		}()
		answer.ServeHTTP(rec, r)
	})
}

// setHeaders sets what every answer says about itself, unless its handler says otherwise.
func setHeaders(header http.Header, id string) {
	header.Set(requestIDHeader, id)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store") // answers belong to one tenant; handlers that may be cached say so
	// An answer that a browser shows on its own is data: it loads nothing, appears in no other site's page, and reveals its
	// address to no other site. Handlers of pages say what these may load.
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Referrer-Policy", "no-referrer")
}

// recovered answers for a handler that panicked with cause, and reports whether it is too late for that, so that the
// connection must be cut.
func (r *recorder) recovered(ctx context.Context, cause any) (cut bool) {
	if cause == nil {
		return false
	}
	if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		return true
	}
	zerolog.Ctx(ctx).Error().Str("panic", fmt.Sprint(cause)).Bytes("stack", debug.Stack()).Msg("handler panicked")
	if r.wrote {
		return true
	}
	write(r, newProblem(http.StatusInternalServerError, problem.Internal, internalDetail))
	return false
}

// route is the pattern that r matches in mux, or "".
func route(mux *http.ServeMux, r *http.Request) string {
	if r.URL.Path != cleanPath(r.URL.Path) {
		return "" // net/http would redirect to what it takes the path for, with a page for people
	}
	_, pattern := mux.Handler(r)
	return pattern
}

// withoutSlash is where r leads without the slash at the end of its path, if something is registered there. The predecessor redirected
// such requests.
func withoutSlash(mux *http.ServeMux, r *http.Request) string {
	escaped, ok := strings.CutSuffix(r.URL.EscapedPath(), "/")
	if !ok || escaped == "" {
		return ""
	}
	bare := r.Clone(r.Context())
	bare.URL.Path, bare.URL.RawPath = strings.TrimSuffix(r.URL.Path, "/"), strings.TrimSuffix(r.URL.RawPath, "/")
	if route(mux, bare) == "" {
		return ""
	}
	if r.URL.RawQuery != "" {
		escaped += "?" + r.URL.RawQuery
	}
	return escaped
}

// cleanPath is p without "//", "." and "..", as net/http compares it.
func cleanPath(p string) string {
	clean := path.Clean("/" + p)
	if len(clean) > 1 && strings.HasSuffix(p, "/") {
		clean += "/"
	}
	return clean
}

// unmatched answers a request that no handler is registered for: 405 when the path exists with other methods.
func unmatched(w http.ResponseWriter, r *http.Request, mux *http.ServeMux) {
	probe := &discard{header: http.Header{}}
	mux.ServeHTTP(probe, r)
	var p *Problem
	if probe.status == http.StatusMethodNotAllowed {
		allow := probe.header.Get("Allow")
		w.Header().Set("Allow", allow)
		p = newProblem(probe.status, methodNotAllowed, r.Method+" is not allowed here. This path accepts "+allow+".")
	} else {
		p = newProblem(http.StatusNotFound, problem.NotFound, "There is nothing at this path. /docs lists every call.")
	}
	p.Instance = r.URL.EscapedPath()
	write(w, p)
}

// write sends p outside of huma.
func write(w http.ResponseWriter, p *Problem) {
	for name, values := range p.GetHeaders() {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // nobody to report to: the client has gone
}

// accessLine gathers what each request logs in its one line.
type accessLine struct{ route, tenant string }

type accessLineKey struct{}

func routeOf(ctx context.Context) string { return ctx.Value(accessLineKey{}).(*accessLine).route }

func logTenant(ctx context.Context, id string) {
	if line, ok := ctx.Value(accessLineKey{}).(*accessLine); ok {
		line.tenant = id
	}
}

// recorder remembers what was answered. Unwrap keeps flushing and deadlines reachable for http.ResponseController.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
	wrote  bool
}

func (r *recorder) WriteHeader(status int) {
	if r.wrote {
		return // huma reports the failure of a handler that had already begun to answer; it is too late to send it
	}
	r.begin(status)
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	r.begin(http.StatusOK)
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}

func (r *recorder) begin(status int) {
	if r.wrote {
		return
	}
	r.status, r.wrote = status, true
	_ = http.NewResponseController(r.ResponseWriter).SetWriteDeadline(time.Now().Add(responseDeadline)) // recorders in tests have none
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// discard records how the mux would answer, and drops the body.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
