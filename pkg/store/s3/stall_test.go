package s3

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
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
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
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

func TestOnlySilenceIsLimited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		arrives, sent := io.Pipe()
		ctx, cancel := context.WithCancelCause(t.Context())
		context.AfterFunc(ctx, func() { _ = arrives.Close() }) // as http.Transport does
		body := &answerBody{arrives, t.Context(), ctx, cancel, stallTimeout}
		const bytes = 100 // which take far longer than a silence may
		go func() {
			for range bytes {
				time.Sleep(stallTimeout - time.Second)
				_, _ = sent.Write([]byte("x"))
			}
		}()
		for range bytes {
			if _, err := body.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * stallTimeout) // the reader's own pause
		}
		began := time.Now()
		_, err := body.Read(make([]byte, 1))
		if silent := time.Since(began); !errors.Is(err, interruption{errStalled}) || silent != stallTimeout {
			t.Errorf("Read() = %v after %s of silence", err, silent)
		}
	})
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
