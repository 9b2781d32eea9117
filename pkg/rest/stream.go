package rest

import (
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// stall is how long a client may read nothing in the middle of an answer before we give up on it. It is short compared with any
// download, and long compared with a mobile network's pauses.
const stall = 30 * time.Second

// sentBody is the body of every request. One that cannot be read to its end is the client's fault, not ours.
type sentBody struct{ io.ReadCloser }

func (b sentBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // a Reader ends with EOF itself; one that is wrapped is a failure
		err = problem.Wrap(err, problem.Invalid, "The request's body broke off before its end, or is not what its headers say. Send it again.")
	}
	return n, err
}

// StreamOut returns a writer for an answer of any length. Every write is sent at once and must be accepted within the stall
// limit.
func StreamOut(ctx huma.Context) io.Writer {
	_, w := humago.Unwrap(ctx)
	return &patientWriter{w: w, control: http.NewResponseController(w)}
}

// Abort breaks the connection of an answer that cannot be written to its end. The status is sent already: only that shows the client that
// what it has is not all.
func Abort(ctx huma.Context, err error) {
	zerolog.Ctx(ctx.Context()).Warn().Err(err).Str("operation", ctx.Operation().OperationID).Str("id", ctx.Param("id")).Msg("answer aborted")
	panic(http.ErrAbortHandler)
}

// ServeContent answers with content, or the range of it that is asked for, as http.ServeContent does. Content-Type and ETag are set before.
func ServeContent(ctx huma.Context, content io.ReadSeeker) {
	r, w := humago.Unwrap(ctx)
	if strings.Contains(r.Header.Get("Range"), ",") {
		r.Header.Del("Range") // a server may answer with the whole (RFC 9110, section 14.2), and few clients read several parts
	}
	http.ServeContent(&streamed{ResponseWriter: w, path: r.URL.EscapedPath(), out: StreamOut(ctx)}, r, "", time.Time{}, content)
}

// streamed writes an answer's body to out, and refuses a range in our form.
type streamed struct {
	http.ResponseWriter
	path    string
	out     io.Writer
	refused bool
}

func (s *streamed) WriteHeader(status int) {
	if s.refused = status == http.StatusRequestedRangeNotSatisfiable; !s.refused {
		s.ResponseWriter.WriteHeader(status)
		return
	}
	p := newProblem(status, problem.Invalid, "The file has no such range. Ask for bytes that it has, or for all of it.")
	p.Instance = s.path
	write(s.ResponseWriter, p)
}

func (s *streamed) Write(b []byte) (int, error) {
	if s.refused {
		return len(b), nil
	}
	return s.out.Write(b)
}

type patientWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (p *patientWriter) Write(b []byte) (int, error) {
	_ = p.control.SetWriteDeadline(time.Now().Add(stall))
	n, err := p.w.Write(b)
	if err != nil {
		return n, err
	}
	return n, p.control.Flush()
}
