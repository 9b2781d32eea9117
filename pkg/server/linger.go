package server

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// A client that is answered before it has sent its whole body keeps sending. If the connection were closed then, the kernel
// would reset it, and a client that reads only after sending would see the reset instead of the answer (RFC 9112,
// section 9.6). net/http waits half a second without reading. So we keep reading for a while and discard the rest.
const (
	// lingerTime is enough for a body of lingerBytes at 50 Mbit/s, and half of the functions' shutdown grace.
	lingerTime = 10 * time.Second
	// lingerSilence is long for a client that is still sending. One that has stopped has its answer.
	lingerSilence = 2 * time.Second
	// lingerBytes is larger than most scenarios. Clients with more to send mostly watch for an early answer.
	lingerBytes = 64 << 20
)

type connKey struct{}

// lingerLimits are lingerSilence and lingerTime.
type lingerLimits struct{ silence, whole time.Duration }

// lingering is a listener whose connections linger where a request's body was not read to its end.
type lingering struct {
	net.Listener
	limits lingerLimits
}

func (l lingering) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &lingeringConn{Conn: c, limits: l.limits}, nil
}

type lingeringConn struct {
	net.Conn
	limits lingerLimits
	unread atomic.Bool // whether the client may still be sending a body
}

// CloseWrite closes the sending side; net/http calls it, where a connection has it, to end an answer.
func (c *lingeringConn) CloseWrite() error {
	if tcp, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return tcp.CloseWrite()
	}
	return nil
}

// Close lingers if a body is unread. A second call stops that.
func (c *lingeringConn) Close() error {
	if c.unread.Swap(false) && c.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, &untilSilent{c.Conn, c.limits.silence, time.Now().Add(c.limits.whole)}, lingerBytes) // however it ends
	}
	return c.Conn.Close()
}

// untilSilent reads until the client is silent for so long, and not beyond end.
type untilSilent struct {
	net.Conn
	silence time.Duration
	end     time.Time
}

func (u *untilSilent) Read(p []byte) (int, error) {
	deadline := time.Now().Add(u.silence)
	if deadline.After(u.end) {
		deadline = u.end
	}
	if err := u.SetReadDeadline(deadline); err != nil {
		return 0, err
	}
	return u.Conn.Read(p)
}

// linger marks the connection of each request whose body handler has not read to its end, which srv then closes in its own time.
func linger(srv *http.Server, handler http.Handler) {
	srv.ConnContext = func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) }
	srv.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateIdle { // net/http has read the rest itself and keeps the connection
			c.(*lingeringConn).unread.Store(false)
		}
	}
	srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength == 0 {
			handler.ServeHTTP(w, r)
			return
		}
		body := &watchedBody{ReadCloser: r.Body}
		watched := r.WithContext(r.Context()) // net/http still uses r, and expects its own body there
		watched.Body = body
		handler.ServeHTTP(w, watched)
		if !body.ended.Load() {
			r.Context().Value(connKey{}).(*lingeringConn).unread.Store(true)
		}
	})
}

// watchedBody knows whether it was read to its end.
type watchedBody struct {
	io.ReadCloser
	ended atomic.Bool
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.ended.Store(true)
	}
	return n, err
}
