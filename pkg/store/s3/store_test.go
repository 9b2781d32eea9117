package s3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
)

// partSize is where a body becomes an upload in parts.
const partSize = 5 << 20

func TestMain(m *testing.M) { localtest.Main(m) }

func newStore(t testing.TB) (*s3.Store, s3.Config) {
	t.Helper()
	cfg := localtest.Bucket(t)
	return open(t, cfg), cfg
}

func open(t testing.TB, cfg s3.Config) *s3.Store {
	t.Helper()
	store, err := s3.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// random gives n bytes that no compression or deduplication on the way could shorten, the same at every call.
func random(n int64) io.Reader { return io.LimitReader(rand.NewChaCha8([32]byte{1}), n) }

func put(t testing.TB, store *s3.Store, key, body string) {
	t.Helper()
	if _, err := store.Put(t.Context(), key, strings.NewReader(body), "text/plain"); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, store *s3.Store, key string, offset, length int64) string {
	t.Helper()
	body, err := store.Open(t.Context(), key, offset, length)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func wantCode(t testing.TB, err error, want problem.Code) {
	t.Helper()
	if got := problem.CodeOf(err); got != want {
		t.Errorf("error %v has code %q, want %q", err, got, want)
	}
}

func TestWhatWasPutIsReadBack(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	for _, size := range []int64{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, partSize - 1, partSize, partSize + 1, 3*partSize + 5} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			key := fmt.Sprintf("results/%d bytes/ü.xml", size)
			n, err := store.Put(t.Context(), key, random(size), "application/xml")
			if err != nil || n != size {
				t.Fatalf("Put() = %d, %v, want %d", n, err, size)
			}
			want, _ := io.ReadAll(random(size))
			if got := read(t, store, key, 0, -1); got != string(want) {
				t.Errorf("read back %d bytes that differ from the %d stored", len(got), size)
			}
			o, err := store.Stat(t.Context(), key)
			if err != nil || o.Size != size || o.Key != key || o.ETag == "" || time.Since(o.Modified).Abs() > time.Hour {
				t.Errorf("Stat() = %+v, %v", o, err)
			}
		})
	}
}

func TestPutReplaces(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	put(t, store, "key", "before")
	put(t, store, "key", "after")
	if got := read(t, store, "key", 0, -1); got != "after" {
		t.Errorf("read %q, want the later body", got)
	}
}

func TestOpenReadsRanges(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	put(t, store, "key", "0123456789")
	put(t, store, "empty", "")
	for _, test := range []struct {
		key            string
		offset, length int64
		want           string
	}{
		{"key", 0, -1, "0123456789"},
		{"key", 0, 4, "0123"},
		{"key", 3, 4, "3456"},
		{"key", 3, -1, "3456789"},
		{"key", 8, 100, "89"},
		{"key", 10, -1, ""},
		{"key", 50, 5, ""},
		{"key", 2, 0, ""},
		{"empty", 0, -1, ""},
		{"empty", 0, 7, ""},
		{"empty", 1, -1, ""},
	} {
		if got := read(t, store, test.key, test.offset, test.length); got != test.want {
			t.Errorf("Open(%s, %d, %d) gives %q, want %q", test.key, test.offset, test.length, got, test.want)
		}
	}
}

func TestFailedPutLeavesNothing(t *testing.T) {
	t.Parallel()
	broken := errors.New("the client disconnected")
	for name, test := range map[string]struct {
		size int64
		err  error
	}{
		"at once":           {0, broken},
		"in a small body":   {100, broken},
		"in the first part": {partSize / 2, broken},
		"in a later part":   {2*partSize + 100, broken},
		"between parts":     {2 * partSize, broken},
		// A body that is cut off by the network ends in this error, and must not pass for one that is complete.
		"small body cut off": {100, io.ErrUnexpectedEOF},
		"large body cut off": {2*partSize + 100, io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, cfg := newStore(t)
			_, err := store.Put(t.Context(), "key", io.MultiReader(random(test.size), iotest.ErrReader(test.err)), "")
			if !errors.Is(err, test.err) {
				t.Errorf("Put() = %v, want the reader's error", err)
			}
			wantEmpty(t, store, cfg)
		})
	}
}

func TestCancelledPutLeavesNothing(t *testing.T) {
	t.Parallel()
	store, cfg := newStore(t)
	ctx, cancel := context.WithCancel(t.Context())
	after := io.MultiReader(random(3*partSize), readerFunc(func([]byte) (int, error) { cancel(); return 0, nil }), random(partSize))
	if _, err := store.Put(ctx, "key", after, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("Put() = %v, want context.Canceled", err)
	}
	wantEmpty(t, store, cfg)
}

func TestACancelledPutWaitsForThePartsOnTheirWay(t *testing.T) {
	t.Parallel()
	_, cfg := newStore(t)
	target, err := url.Parse(cfg.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	behind := httputil.NewSingleHostReverseProxy(target)
	var cut atomic.Bool
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && r.URL.Query().Has("partNumber") {
			part, err := io.ReadAll(r.Body)
			if err != nil {
				cut.Store(true)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(part))
			cancel()
			select { // long enough to notice that the caller hangs up
			case <-r.Context().Done():
				cut.Store(true)
			case <-time.After(100 * time.Millisecond):
			}
		}
		behind.ServeHTTP(w, r)
	}))
	t.Cleanup(gateway.Close)
	cfg.Endpoint = gateway.URL
	store := open(t, cfg)
	if _, err := store.Put(ctx, "key", random(3*partSize), ""); !errors.Is(err, context.Canceled) {
		t.Errorf("Put() = %v, want context.Canceled", err)
	}
	if cut.Load() {
		t.Error("a part was cut off, which the store may take in after the upload was aborted")
	}
	wantEmpty(t, store, cfg)
}

// readerFunc is called once and then has ended.
type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) {
	if _, err := f(p); err != nil {
		return 0, err
	}
	return 0, io.EOF
}

func wantEmpty(t *testing.T, store *s3.Store, cfg s3.Config) {
	t.Helper()
	_, err := store.Stat(t.Context(), "key")
	wantCode(t, err, problem.NotFound)
	if uploads := pendingUploads(t, cfg); len(uploads) > 0 {
		t.Errorf("uploads left behind: %v", uploads)
	}
}

func rawClient(cfg s3.Config) *awss3.Client {
	return awss3.New(awss3.Options{
		BaseEndpoint: &cfg.Endpoint, Region: "us-east-1", UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(cfg.AccessKey, cfg.SecretKey, ""),
	})
}

func pendingUploads(t *testing.T, cfg s3.Config) (keys []string) {
	t.Helper()
	out, err := rawClient(cfg).ListMultipartUploads(t.Context(), &awss3.ListMultipartUploadsInput{Bucket: &cfg.Bucket})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range out.Uploads {
		keys = append(keys, *u.Key)
	}
	return keys
}

func TestAbortUploadsFreesOldOnesOnly(t *testing.T) {
	t.Parallel()
	store, cfg := newStore(t)
	if _, err := rawClient(cfg).CreateMultipartUpload(t.Context(), &awss3.CreateMultipartUploadInput{
		Bucket: &cfg.Bucket, Key: aws.String("scenarios/killed.zip"),
	}); err != nil {
		t.Fatal(err)
	}
	if n, err := store.AbortUploads(t.Context(), time.Now().Add(-time.Hour)); n != 0 || err != nil {
		t.Errorf("AbortUploads(an hour ago) = %d, %v, want none", n, err)
	}
	if got := pendingUploads(t, cfg); len(got) != 1 {
		t.Errorf("pending uploads %v, want the one begun now", got)
	}
	if n, err := store.AbortUploads(t.Context(), time.Now().Add(time.Hour)); n != 1 || err != nil {
		t.Errorf("AbortUploads(all) = %d, %v, want 1", n, err)
	}
	if got := pendingUploads(t, cfg); len(got) != 0 {
		t.Errorf("pending uploads %v, want none", got)
	}
}

func TestConcurrentPutsDoNotMix(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	const puts = 8
	body := func(i int) io.Reader {
		return io.LimitReader(rand.NewChaCha8([32]byte{byte(i)}), partSize+int64(i)*1000)
	}
	var group errgroup.Group
	for i := range puts {
		group.Go(func() error {
			_, err := store.Put(t.Context(), fmt.Sprint(i), body(i), "")
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	for i := range puts {
		want, _ := io.ReadAll(body(i))
		if got := read(t, store, fmt.Sprint(i), 0, -1); got != string(want) {
			t.Errorf("object %d differs from what was stored", i)
		}
	}
}

func TestListAndDeleteGoBeyondOnePage(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	const objects = 1100
	var want []string
	var group errgroup.Group
	group.SetLimit(16)
	for i := range objects {
		key := fmt.Sprintf("results/a/%04d", i)
		want = append(want, key)
		group.Go(func() error {
			_, err := store.Put(t.Context(), key, strings.NewReader("x"), "")
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	put(t, store, "results/b", "another prefix")

	if diff := cmp.Diff(want, list(t, store, "results/a/", objects+1)); diff != "" {
		t.Errorf("List() (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want[:3], list(t, store, "results/a/", 3)); diff != "" {
		t.Errorf("List() that is stopped (-want +got):\n%s", diff)
	}
	for after, rest := range map[string][]string{want[40]: want[41:], "results/a/": want, want[40] + "gone": want[41:], want[objects-1]: nil} {
		var got []string
		if err := store.ListAfter(t.Context(), "results/a/", after, func(o artifact.Object) bool {
			got = append(got, o.Key)
			return true
		}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(rest, got); diff != "" {
			t.Errorf("ListAfter(%s) (-want +got):\n%s", after, diff)
		}
	}
	if err := store.Delete(t.Context(), append(want, "never/there")...); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"results/b"}, list(t, store, "", objects)); diff != "" {
		t.Errorf("List() after Delete() (-want +got):\n%s", diff)
	}
	if err := store.Delete(t.Context()); err != nil {
		t.Errorf("Delete() of nothing = %v", err)
	}
}

func list(t *testing.T, store *s3.Store, prefix string, atMost int) (keys []string) {
	t.Helper()
	err := store.List(t.Context(), prefix, func(o artifact.Object) bool {
		if o.Size == 0 || o.ETag == "" || o.Modified.IsZero() {
			t.Errorf("List() yields an incomplete object %+v", o)
		}
		keys = append(keys, o.Key)
		return len(keys) < atMost
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestPresignedURLNeedsNoCredentials(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	put(t, store, "results/ns/job/fcd out.xml", "<fcd/>")
	for filename, disposition := range map[string]string{
		"":                  "",
		"fcd.xml":           `attachment; filename="fcd.xml"`,
		"my fcd.xml":        `attachment; filename="my fcd.xml"`,
		"../../etc/passwd":  `attachment; filename="passwd"`,
		"größe.xml":         `attachment; filename="gr__e.xml"; filename*=UTF-8''gr%C3%B6%C3%9Fe.xml`,
		"a\"b\r\nX: y.html": `attachment; filename="a_b__X_ y.html"; filename*=UTF-8''a_b__X_%20y.html`,
	} {
		link, err := store.PresignGet(t.Context(), "results/ns/job/fcd out.xml", filename, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.Get(link)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || string(body) != "<fcd/>" {
			t.Errorf("%q: GET gives %s, %q, %v", filename, resp.Status, body, err)
		}
		if got := resp.Header.Get("Content-Disposition"); got != disposition {
			t.Errorf("%q: Content-Disposition %q, want %q", filename, got, disposition)
		}
		if got := resp.Header.Get("Content-Type"); filename == "fcd.xml" && got != "application/xml" {
			t.Errorf("%q: Content-Type %q", filename, got)
		}
	}
}

func TestAPresignedUploadTakesExactlyItsSize(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	const key = "uploads/ns/1.zip"
	link, err := store.PresignPut(t.Context(), key, 5, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	send := func(link string, body io.Reader) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, link, body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/zip") // as a client's library may add
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for name, status := range map[string]int{
		"shorter":           send(link, strings.NewReader("1234")),
		"longer":            send(link, strings.NewReader("123456")),
		"of unknown length": send(link, io.MultiReader(strings.NewReader("12345"))),
		"to another key":    send(strings.Replace(link, "1.zip", "2.zip", 1), strings.NewReader("12345")),
	} {
		if status < 400 || status >= 500 {
			t.Errorf("an upload %s is answered %d", name, status)
		}
	}
	for _, key := range []string{key, "uploads/ns/2.zip"} {
		if _, err := store.Stat(t.Context(), key); problem.CodeOf(err) != problem.NotFound {
			t.Fatalf("%s was stored: %v", key, err)
		}
	}
	if status := send(link, strings.NewReader("12345")); status != http.StatusOK {
		t.Fatalf("the upload is answered %d", status)
	}
	if o, err := store.Stat(t.Context(), key); err != nil || o.Size != 5 {
		t.Errorf("stored %+v, %v", o, err)
	}
}

func TestPresignedURLIsForThePublicEndpoint(t *testing.T) {
	t.Parallel()
	_, cfg := newStore(t)
	target, err := url.Parse(cfg.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	// A gateway in front of the store that keeps the Host header, as the signature needs.
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out, err := http.NewRequestWithContext(r.Context(), r.Method, target.JoinPath(r.URL.Path).String()+"?"+r.URL.RawQuery, nil)
		if err != nil {
			t.Error(err)
			return
		}
		out.Host = r.Host
		resp, err := http.DefaultClient.Do(out)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	}))
	t.Cleanup(gateway.Close)
	cfg.PublicEndpoint = gateway.URL
	store := open(t, cfg)
	put(t, store, "key", "through the gateway")

	link, err := store.PresignGet(t.Context(), "key", "", time.Minute)
	if err != nil || !strings.HasPrefix(link, gateway.URL+"/") {
		t.Fatalf("PresignGet() = %q, %v, want a link to %s", link, err, gateway.URL)
	}
	resp, err := http.Get(link)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "through the gateway" {
		t.Errorf("GET gives %s: %s", resp.Status, body)
	}
}

func TestMissingObjectIsNotFound(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	_, err := store.Open(t.Context(), "absent", 0, -1)
	wantCode(t, err, problem.NotFound)
	_, err = store.Open(t.Context(), "absent", 5, 0)
	wantCode(t, err, problem.NotFound)
	_, err = store.Stat(t.Context(), "absent")
	wantCode(t, err, problem.NotFound)
}

func TestMissingBucketIsRefusedUntilItIsMade(t *testing.T) {
	t.Parallel()
	cfg := localtest.Endpoint(t)
	cfg.Bucket = fmt.Sprintf("made-later-%d", rand.Uint64()) // by nobody before, not even when this test is repeated
	store := open(t, cfg)
	wantCode(t, store.Ping(t.Context()), problem.Unavailable)
	_, err := store.Put(t.Context(), "key", strings.NewReader("x"), "")
	wantCode(t, err, problem.StorageRefused)
	for range 2 {
		if err := store.EnsureBucket(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	err = store.Ping(t.Context())
	for end := time.Now().Add(time.Minute); err != nil && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		err = store.Ping(t.Context()) // which has little patience with a busy machine
	}
	if err != nil {
		t.Errorf("Ping() = %v", err)
	}
	put(t, store, "key", "x")
}

func TestRefusalsAreDistinguishedFromOutages(t *testing.T) {
	t.Parallel()
	_, cfg := newStore(t)
	target, err := url.Parse(cfg.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	behind := httputil.NewSingleHostReverseProxy(target)
	for name, c := range map[string]struct {
		status int
		code   string // of the answer's body; without one there is no body
		want   problem.Code
	}{
		"507 alone":             {507, "", problem.StorageRefused},
		"MinIO's full disk":     {507, "XMinioStorageFull", problem.StorageRefused},
		"MinIO's quota":         {400, "XMinioAdminBucketQuotaExceeded", problem.StorageRefused},
		"a quota":               {403, "QuotaExceeded", problem.StorageRefused},
		"no permission":         {403, "AccessDenied", problem.StorageRefused},
		"a key that is revoked": {403, "InvalidAccessKeyId", problem.StorageRefused},
		"no bucket":             {404, "NoSuchBucket", problem.StorageRefused},
		"an object too large":   {400, "EntityTooLarge", problem.TooLarge},
		"a body too large":      {413, "", problem.TooLarge},
		"load":                  {503, "SlowDown", problem.Unavailable},
		"an outage":             {502, "", problem.Unavailable},
		"a fault of the store":  {500, "InternalError", problem.Unavailable},
		"too many requests":     {429, "", problem.Unavailable},
		"what nobody expects":   {400, "InvalidRequest", problem.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodPut {
					behind.ServeHTTP(w, r)
					return
				}
				_, _ = io.Copy(io.Discard, r.Body)
				w.WriteHeader(c.status)
				if c.code != "" {
					fmt.Fprintf(w, "<Error><Code>%s</Code><Message>refused</Message></Error>", c.code)
				}
			}))
			t.Cleanup(refusing.Close)
			cfg := cfg
			cfg.Endpoint = refusing.URL
			store := open(t, cfg)
			_, err := store.Put(t.Context(), "whole", strings.NewReader("x"), "")
			wantCode(t, err, c.want)
			_, err = store.Put(t.Context(), "in parts", random(partSize+1), "")
			wantCode(t, err, c.want)
		})
	}
}

func TestInputsComeFromOtherBuckets(t *testing.T) {
	t.Parallel()
	theirs, cfg := newStore(t)
	store, _ := newStore(t)
	put(t, theirs, "in/scenario.zip", "zip")

	body, size, err := store.OpenInput(t.Context(), cfg.Bucket, "in/scenario.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if text, err := io.ReadAll(body); err != nil || string(text) != "zip" || size != 3 {
		t.Errorf("OpenInput() gives %q of %d bytes, %v", text, size, err)
	}
	_, _, err = store.OpenInput(t.Context(), cfg.Bucket, "in/absent.zip")
	wantCode(t, err, problem.NotFound)
	_, _, err = store.OpenInput(t.Context(), cfg.Bucket, strings.Repeat("x", 1000))
	wantCode(t, err, problem.Invalid)
	_, _, err = store.OpenInput(t.Context(), "no-such-bucket", "in/scenario.zip")
	wantCode(t, err, problem.NotFound)
}

func TestForeignInputThatWeMayNotReadIsForbidden(t *testing.T) {
	t.Parallel()
	cfg := localtest.Bucket(t)
	cfg.SecretKey = "wrong"
	_, _, err := open(t, cfg).OpenInput(t.Context(), cfg.Bucket, "key")
	wantCode(t, err, problem.Forbidden)
}

func TestAnUnreachableStoreIsUnavailable(t *testing.T) {
	t.Parallel()
	const secret = "a-secret-key-to-look-for"
	store := open(t, s3.Config{
		// Nobody listens there, or will in the meantime, as on a port that was free a moment ago.
		Endpoint: "http://127.0.0.1:1", Bucket: "b", AccessKey: "access", SecretKey: secret, UsePathStyle: true,
	})
	for name, call := range map[string]func() error{
		"Put":   func() error { _, err := store.Put(t.Context(), "k", strings.NewReader("x"), ""); return err },
		"parts": func() error { _, err := store.Put(t.Context(), "k", random(partSize+1), ""); return err },
		"Open":  func() error { _, err := store.Open(t.Context(), "k", 0, -1); return err },
		"Stat":  func() error { _, err := store.Stat(t.Context(), "k"); return err },
		"List":  func() error { return store.List(t.Context(), "", func(artifact.Object) bool { return true }) },
		"Delete": func() error {
			var p *problem.Error
			err := store.Delete(t.Context(), "k")
			if !errors.As(err, &p) || p.RetryAfter <= 0 {
				t.Errorf("Delete() = %v, want it to say when to retry", err)
			}
			return err
		},
		"OpenInput":    func() error { _, _, err := store.OpenInput(t.Context(), "b", "k"); return err },
		"Ping":         func() error { return store.Ping(t.Context()) },
		"EnsureBucket": func() error { return store.EnsureBucket(t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := call()
			wantCode(t, err, problem.Unavailable)
			for _, forbidden := range []string{secret, "Signature"} {
				if strings.Contains(fmt.Sprint(err), forbidden) {
					t.Errorf("the error reveals %q: %v", forbidden, err)
				}
			}
		})
	}
}

func TestPingGivesUpOnASilentStore(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts in the kernel, never answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	store := open(t, s3.Config{
		Endpoint: "http://" + l.Addr().String(), Bucket: "b", AccessKey: "a", SecretKey: "s", UsePathStyle: true,
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	wantCode(t, store.Ping(ctx), problem.Unavailable)
	if ctx.Err() != nil {
		t.Error("Ping() waited for its caller's deadline")
	}
}

func TestURLGrantsNothing(t *testing.T) {
	t.Parallel()
	store := open(t, s3.Config{Bucket: "artifacts", AccessKey: "a", SecretKey: "s"})
	if got, want := store.URL("results/x.xml"), "s3://artifacts/results/x.xml"; got != want {
		t.Errorf("URL() = %s, want %s", got, want)
	}
}

func TestNewRefusesAnIncompleteConfig(t *testing.T) {
	t.Parallel()
	for _, cfg := range []s3.Config{{}, {Bucket: "b", AccessKey: "a"}, {Bucket: "b", SecretKey: "s"}} {
		if _, err := s3.New(cfg); err == nil {
			t.Errorf("New(%+v) gives no error", cfg)
		}
	}
}

func TestMemoryOfALargePutIsBounded(t *testing.T) {
	// Not parallel: it measures this process. Garbage counts too, so there must be little of it: how much there is
	// at a moment is chance.
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	store, _ := newStore(t)
	// Three parts, as many in the pool, and the SDK.
	const limit = 40 << 20
	before := liveHeap()
	var peak atomic.Uint64
	watched := io.TeeReader(random(20*partSize), writerFunc(func(p []byte) (int, error) {
		peak.Store(max(peak.Load(), liveHeap()))
		return len(p), nil
	}))
	if _, err := store.Put(t.Context(), "key", watched, ""); err != nil {
		t.Fatal(err)
	}
	if used := int64(peak.Load()) - int64(before); used > limit {
		t.Errorf("a Put of %d MiB uses %d MiB, want at most %d", 20*partSize>>20, used>>20, limit>>20)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func liveHeap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// BenchmarkPut stores 1 GiB and reports beside the speed how much resident memory that takes at most, above what this process
// had before.
func BenchmarkPut(b *testing.B) {
	store, _ := newStore(b)
	put(b, store, "warm", "up")
	const size = 1 << 30
	block := bytes.Repeat([]byte("sumo-k8 "), 1<<17)
	b.SetBytes(size)
	idle := memory(b, "VmRSS:")
	for b.Loop() {
		blocks := make([]io.Reader, size/len(block))
		for i := range blocks {
			blocks[i] = bytes.NewReader(block)
		}
		if _, err := store.Put(b.Context(), "scenario.zip", io.MultiReader(blocks...), "application/zip"); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((memory(b, "VmHWM:")-idle)/(1<<20), "MiB-peak")
}

// memory is a figure of the kernel about this process, in bytes.
func memory(b *testing.B, name string) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), name)
	var kib float64
	if _, err := fmt.Sscan(after, &kib); err != nil {
		b.Fatal(err)
	}
	return kib * (1 << 10)
}
