// Package server runs an HTTP handler as a process should: slow clients time out, SIGTERM drains requests, and streams
// end cleanly.
package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/rs/zerolog"
	"knative.dev/pkg/network/handlers"
)

const (
	// headerTimeout bounds how long a client may take to send its headers, which needs no more than one packet.
	headerTimeout = 10 * time.Second
	// bodyTimeout bounds how long a client may take to send a whole request, whether its body is read or not: net/http waits
	// for what is left of a body before it sends an answer. It fits the megabyte of JSON that calls accept at the speed of a
	// poor mobile network. Handlers of larger bodies move the deadline along while bytes come.
	bodyTimeout = 40 * time.Second
	// idleTimeout closes kept-alive connections; it is longer than the 60 s after which common proxies close theirs, so
	// that a proxy never sends a request into a connection that we are closing.
	idleTimeout = 75 * time.Second
	// maxHeaderBytes is ample for a key, a trace and cookies that a browser may add.
	maxHeaderBytes = 64 << 10
)

type stoppingKey struct{}

// Stopping returns a channel that is closed when the server that handles ctx begins to shut down. Handlers that stream
// end then; others finish their work. It is nil, and blocks forever, outside of Serve.
func Stopping(ctx context.Context) <-chan struct{} {
	ch, _ := ctx.Value(stoppingKey{}).(<-chan struct{})
	return ch
}

// Shutdown configures how a server ends.
type Shutdown struct {
	// Quiet is how long no request must have come before the listener is closed: their senders, a proxy or a Kubernetes
	// Service, learn of the shutdown later than we do. Zero closes it at once.
	Quiet time.Duration
	// Grace bounds the whole: what has not been answered by then is cut off.
	Grace time.Duration
}

// Serve answers on listener until ctx ends, and then shuts down as configured.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler, shutdown Shutdown, log zerolog.Logger) error {
	return serve(ctx, listener, handler, timeouts{headerTimeout, bodyTimeout, shutdown, lingerLimits{lingerSilence, lingerTime}}, log)
}

type timeouts struct {
	headers, body time.Duration
	shutdown      Shutdown
	linger        lingerLimits
}

func serve(ctx context.Context, listener net.Listener, handler http.Handler, limits timeouts, log zerolog.Logger) error {
	stopping := make(chan struct{})
	inner := lastOnItsConnection(stopping, handler)
	// Knative's drainer takes requests until none has come for the quiet period, while it answers Kubernetes' probes that
	// we are stopping. Until then probes are ordinary requests. It also answers the probes of Knative's network.
	drainer := &handlers.Drainer{Inner: inner, HealthCheck: inner.ServeHTTP, QuietPeriod: limits.shutdown.Quiet}
	srv := &http.Server{
		ReadHeaderTimeout: limits.headers,
		ReadTimeout:       limits.body,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.Background(), stoppingKey{}, (<-chan struct{})(stopping))
		},
	}
	linger(srv, drainer)
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(lingering{listener, limits.linger}) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving HTTP: %w", err)
	case <-ctx.Done():
	}
	close(stopping)
	drain, cancel := context.WithTimeout(context.Background(), limits.shutdown.Grace)
	defer cancel()
	if limits.shutdown.Quiet > 0 {
		quiet := make(chan struct{})
		go func() {
			drainer.Drain()
			close(quiet)
		}()
		select {
		case <-quiet:
		case <-time.After(limits.shutdown.Grace / 2): // they keep coming; those that are under way need the rest
			drainer.Reset()
		}
	}
	err := srv.Shutdown(drain)
	if err != nil {
		log.Warn().Dur("grace", limits.shutdown.Grace).Msg("some requests did not finish in time and were cut off")
		err = srv.Close()
	}
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// lastOnItsConnection has clients make a new connection for their next request once we stop: it reaches another server.
func lastOnItsConnection(stopping <-chan struct{}, handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-stopping:
			w.Header().Set("Connection", "close")
		default:
		}
		handler.ServeHTTP(w, r)
	})
}
