package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// newStalling returns a store at address that may be silent for a tenth of a second, and a context that outlasts that by far.
func newStalling(t *testing.T, endpoint string) (*Store, context.Context) {
	t.Helper()
	store, err := New(Config{
		Endpoint: endpoint, Bucket: "b", AccessKey: "a", SecretKey: "s", UsePathStyle: true, stall: 100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return store, ctx
}

func TestAStoreThatStopsInTheMiddleIsUnavailable(t *testing.T) {
	t.Parallel()
	for name, stops := range map[string]func(http.ResponseWriter, *http.Request){
		"silent": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"closed": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", "100")
				_, _ = io.WriteString(w, "<some>")
				_ = http.NewResponseController(w).Flush()
				stops(w, r)
			}))
			t.Cleanup(server.Close)
			store, ctx := newStalling(t, server.URL)
			readAll := func(body io.ReadCloser, err error) error {
				if err != nil {
					return err
				}
				defer body.Close()
				text, err := io.ReadAll(body)
				if string(text) != "<some>" {
					t.Errorf("read %q before the end", text)
				}
				return err
			}
			for name, call := range map[string]func() error{
				"Open": func() error { return readAll(store.Open(ctx, "k", 0, -1)) },
				"OpenInput": func() error {
					body, _, err := store.OpenInput(ctx, "other", "k")
					return readAll(body, err)
				},
				"List": func() error { return store.List(ctx, "", func(artifact.Object) bool { return true }) },
			} {
				err := call()
				if code := problem.CodeOf(err); code != problem.Unavailable || ctx.Err() != nil {
					t.Errorf("%s: %v has code %q", name, err, code)
				}
				if errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("%s: %v passes for a fault of the data", name, err)
				}
			}
		})
	}
}

func TestAReaderMayPauseAsLongAsItLikes(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("x", 1<<20)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(text); i += len(text) / 8 { // the whole takes longer than a silence may
			_, _ = io.WriteString(w, text[i:i+len(text)/8])
			_ = http.NewResponseController(w).Flush()
			time.Sleep(30 * time.Millisecond)
		}
	}))
	t.Cleanup(server.Close)
	store, ctx := newStalling(t, server.URL)
	body, err := store.Open(ctx, "k", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	var got bytes.Buffer
	_, err = io.CopyN(&got, body, 1)
	time.Sleep(200 * time.Millisecond)
	if _, more := io.Copy(&got, body); err != nil || more != nil || got.String() != text {
		t.Errorf("read %d of %d bytes (%v, %v)", got.Len(), len(text), err, more)
	}
}

func TestAStoreThatStopsReadingIsUnavailable(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts in the kernel, and never reads
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	store, ctx := newStalling(t, "http://"+l.Addr().String())
	api, _, err := store.connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, err = store.putWhole(ctx, api, "k", make([]byte, 64<<20), "") // more than the kernel takes
	if code := problem.CodeOf(err); code != problem.Unavailable || ctx.Err() != nil {
		t.Errorf("Put() = %v with code %q", err, code)
	}
}
