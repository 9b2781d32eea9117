package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// stallTimeout is how long a store may pass no byte in the middle of a request or of an answer: several times as long as one that is
// merely busy pauses. It limits silence only, so that a body of any size may take as long as it takes. The SDK's own read timeout also
// counts while a request is sent: it would cut off slow uploads.
const stallTimeout = 30 * time.Second

var errStalled = errors.New("nothing has arrived for too long")

// interruption is why an answer ends in the middle: the store, or the way to it, has failed, which may pass. It does not unwrap, for
// readers take an io.ErrUnexpectedEOF for a fault of the data.
type interruption struct{ cause error }

func (i interruption) Error() string {
	return "the object store's answer was interrupted: " + i.cause.Error()
}

// transport is the SDK's client as what Config.Wrap takes. It cuts off answers that stall.
type transport struct {
	client s3.HTTPClient
	stall  time.Duration
}

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	answer, err := t.client.Do(r.WithContext(ctx))
	if err != nil || answer.Body == http.NoBody {
		cancel(nil)
		return answer, err
	}
	answer.Body = &answerBody{answer.Body, r.Context(), ctx, cancel, t.stall}
	return answer, nil
}

// answerBody is the body of an answer. Each Read has the limit for itself: the pauses in between are the reader's own.
type answerBody struct {
	io.ReadCloser
	caller, ctx context.Context // ctx is the request's, which ends with the caller's
	cancel      context.CancelCauseFunc
	stall       time.Duration
}

func (b *answerBody) Read(p []byte) (int, error) {
	timer := time.AfterFunc(b.stall, func() { b.cancel(errStalled) })
	defer timer.Stop()
	n, err := b.ReadCloser.Read(p)
	if err == nil || err == io.EOF || b.caller.Err() != nil { //nolint:errorlint // a Reader ends with EOF itself
		return n, err
	}
	if stalled := context.Cause(b.ctx); stalled != nil {
		err = stalled
	}
	return n, interruption{err}
}

func (b *answerBody) Close() error {
	defer b.cancel(nil)
	return b.ReadCloser.Close()
}

// limitWrites has what dial connects to cut off when it stalls.
func limitWrites(dial dialer, stall time.Duration) dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return connection{conn, stall}, nil
	}
}

type dialer = func(ctx context.Context, network, address string) (net.Conn, error)

// connection cuts off requests that stall: the limit on how long an answer may take counts only once the request is sent.
type connection struct {
	net.Conn
	stall time.Duration
}

func (c connection) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// content is the body of the object with this key.
type content struct {
	io.ReadCloser
	key string
}

func (c content) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if unavailable(err) {
		err = unreachable(fmt.Errorf("read %s: %w", c.key, err))
	}
	return n, err
}
