package page_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/functions/page"
)

func get(t *testing.T, path, encoding string) *http.Response {
	t.Helper()
	mux := http.NewServeMux()
	page.Register(mux)
	r := httptest.NewRequest("GET", path, nil)
	r.Header.Set("Accept-Encoding", encoding)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w.Result()
}

func read(t *testing.T, r io.Reader) string {
	t.Helper()
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// assets are the addresses that the page names.
func assets(t *testing.T) []string {
	t.Helper()
	found := regexp.MustCompile(`(?:src|href)="(/ui/[^"]+)"`).FindAllStringSubmatch(read(t, get(t, "/", "").Body), -1)
	if len(found) != 3 {
		t.Fatalf("the page names %d assets, want its script, its style and its icon", len(found))
	}
	var out []string
	for _, f := range found {
		out = append(out, f[1])
	}
	return out
}

func TestThePageIsNeverKeptAndItsAssetsForever(t *testing.T) {
	t.Parallel()
	if got := get(t, "/", "").Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("the page has Cache-Control %q, want no-store", got)
	}
	for _, a := range assets(t) {
		answer := get(t, a, "")
		if answer.StatusCode != http.StatusOK || !strings.Contains(answer.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: status %d, Cache-Control %q", a, answer.StatusCode, answer.Header.Get("Cache-Control"))
		}
	}
}

func TestThePageMayUseNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	policy := get(t, "/", "").Header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
		t.Errorf("the policy allows too much: %s", policy)
	}
}

func TestEveryAssetIsTheSamePackedAndPlain(t *testing.T) {
	t.Parallel()
	for _, a := range append(assets(t), "/") {
		plain := get(t, a, "")
		packed := get(t, a, "br, gzip")
		if plain.Header.Get("Content-Encoding") != "" || packed.Header.Get("Content-Type") != plain.Header.Get("Content-Type") {
			t.Errorf("%s: headers %v and %v", a, plain.Header, packed.Header)
		}
		body := io.Reader(packed.Body)
		if packed.Header.Get("Content-Encoding") == "gzip" {
			var err error
			if body, err = gzip.NewReader(packed.Body); err != nil {
				t.Fatalf("%s: %v", a, err)
			}
		}
		if read(t, body) != read(t, plain.Body) {
			t.Errorf("%s differs when it is packed", a)
		}
	}
}

func TestAllThatABrowserFetchesIsSmall(t *testing.T) {
	t.Parallel()
	const limit = 300 << 10 // so that the page opens at once on a mobile network
	total := 0
	for _, a := range append(assets(t), "/") {
		total += len(read(t, get(t, a, "gzip").Body))
	}
	if total > limit {
		t.Errorf("the page and its assets have %d bytes packed, want at most %d", total, limit)
	}
}
