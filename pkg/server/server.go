// Package server runs an HTTP handler as a process should: slow clients time out, SIGTERM lets requests finish, and
// streams hear of it early enough to end cleanly.
package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/rs/zerolog"
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

// Serve answers on listener until ctx ends, then waits up to grace for requests that are under way.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler, grace time.Duration, log zerolog.Logger) error {
	return serve(ctx, listener, handler, timeouts{headerTimeout, bodyTimeout, grace}, log)
}

type timeouts struct{ headers, body, grace time.Duration }

func serve(ctx context.Context, listener net.Listener, handler http.Handler, limits timeouts, log zerolog.Logger) error {
	stopping := make(chan struct{})
	srv := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: limits.headers,
		ReadTimeout:       limits.body,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.Background(), stoppingKey{}, (<-chan struct{})(stopping))
		},
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving HTTP: %w", err)
	case <-ctx.Done():
	}
	close(stopping)
	drain, cancel := context.WithTimeout(context.Background(), limits.grace)
	defer cancel()
	err := srv.Shutdown(drain)
	if err != nil {
		log.Warn().Dur("grace", limits.grace).Msg("some requests did not finish in time and were cut off")
		err = srv.Close()
	}
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
