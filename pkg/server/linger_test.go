package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A client that sends everything before it reads anything is the one that a reset hurts.
func TestAClientIsAnsweredThatSendsItsWholeBodyFirst(t *testing.T) {
	t.Parallel()
	const size = 16 << 20 // more than the buffers of both ends hold
	for name, request := range map[string]struct {
		header string
		body   func(io.Writer) error
	}{
		"of a known length": {fmt.Sprintf("Content-Length: %d", size), func(w io.Writer) error {
			_, err := io.Copy(w, io.LimitReader(endless{}, size))
			return err
		}},
		"in chunks": {"Transfer-Encoding: chunked", func(w io.Writer) error {
			chunk := fmt.Sprintf("%x\r\n%s\r\n", 1<<20, strings.Repeat("x", 1<<20))
			for range size >> 20 {
				if _, err := io.WriteString(w, chunk); err != nil {
					return err
				}
			}
			_, err := io.WriteString(w, "0\r\n\r\n")
			return err
		}},
	} {
		for _, read := range []int64{0, 100 << 10} {
			s := runWith(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.CopyN(io.Discard, r.Body, read)
				http.Error(w, "refused", http.StatusBadRequest)
			}, timeouts{patience, patience, Shutdown{Grace: patience}, lingerLimits{patience, patience}}) // a busy client may be silent for long
			conn, err := net.Dial("tcp", s.address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n", request.header); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second) // net/http by itself closes after half of one
			if err := request.body(conn); err != nil {
				t.Errorf("%s, %d bytes read: sending the body: %v", name, read, err)
				continue
			}
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Errorf("%s, %d bytes read: reading the answer: %v", name, read, err)
				continue
			}
			if text, err := io.ReadAll(response.Body); response.StatusCode != http.StatusBadRequest || string(text) != "refused\n" || err != nil {
				t.Errorf("%s, %d bytes read: answered %d with %q, %v", name, read, response.StatusCode, text, err)
			}
		}
	}
}

func TestNobodyKeepsAConnectionBySendingForEver(t *testing.T) {
	t.Parallel()
	s := run(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) }, patience, patience)
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", int64(1)<<40); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetWriteDeadline(time.Now().Add(patience))
	sent, err := io.Copy(conn, endless{})
	if isTimeout(err) || sent > 2*lingerBytes {
		t.Errorf("after %d bytes: %v", sent, err)
	}
}

// A connection that is kept does not hold up the server's end.
func TestAConnectionThatIsKeptDoesNotLinger(t *testing.T) {
	t.Parallel()
	const long = 2 * patience // longer than the test waits for the end
	s := runWith(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) },
		timeouts{patience, patience, Shutdown{Grace: long}, lingerLimits{long, long}})
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	for range 2 {
		if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(answers, nil)
		if err != nil || response.Close {
			t.Fatalf("answered %+v, %v", response, err)
		}
	}
	s.stop()
	if err := s.wait(t); err != nil {
		t.Errorf("Serve() = %v", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
