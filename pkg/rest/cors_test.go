package rest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

func TestPagesOfOtherSitesCallOnlyWhereTheOperatorAllowsIt(t *testing.T) {
	t.Parallel()
	const app, evil = "https://app.example.org", "https://app.example.org.evil.example"
	for name, test := range map[string]struct {
		origins          []string
		method, from     string
		preflight        bool
		status           int
		allowed, exposed string
	}{
		"nothing is configured":         {nil, "GET", app, false, 200, "", ""},
		"nothing is configured, asking": {nil, "OPTIONS", app, true, 405, "", ""},
		"an allowed site":               {[]string{app}, "GET", app, false, 200, app, "X-Request-Id"},
		"an allowed site, asking":       {[]string{app}, "OPTIONS", app, true, 204, app, ""},
		"another site":                  {[]string{app}, "GET", evil, false, 200, "", ""},
		"another site, asking":          {[]string{app}, "OPTIONS", evil, true, 204, "", ""},
		"another scheme":                {[]string{app}, "GET", "http://app.example.org", false, 200, "", ""},
		"a second site": {
			[]string{app, "http://localhost:5173"}, "GET", "http://localhost:5173", false, 200, "http://localhost:5173", "X-Request-Id",
		},
		"any site":                   {[]string{"*"}, "GET", evil, false, 200, "*", "X-Request-Id"},
		"any site, asking":           {[]string{"*"}, "OPTIONS", evil, true, 204, "*", ""},
		"no site":                    {[]string{app}, "GET", "", false, 200, "", ""},
		"an allowed site on no path": {[]string{app}, "DELETE", app, false, 405, app, "X-Request-Id"},
	} {
		mux := http.NewServeMux()
		mux.HandleFunc("GET /jobs", func(http.ResponseWriter, *http.Request) {})
		r := httptest.NewRequest(test.method, "/jobs", nil)
		if test.from != "" {
			r.Header.Set("Origin", test.from)
		}
		if test.preflight {
			r.Header.Set("Access-Control-Request-Method", "GET")
			r.Header.Set("Access-Control-Request-Headers", "authorization,idempotency-key")
		}
		w := httptest.NewRecorder()
		Handler(mux, test.origins, zerolog.Nop()).ServeHTTP(w, r)
		h := w.Header()
		if w.Code != test.status || h.Get("Access-Control-Allow-Origin") != test.allowed {
			t.Errorf("%s: answered %d with %v", name, w.Code, h)
		}
		if h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: credentials are allowed", name)
		}
		if exposed := h.Get("Access-Control-Expose-Headers"); !strings.Contains(exposed, test.exposed) || test.exposed == "" && exposed != "" {
			t.Errorf("%s: exposes %q", name, exposed)
		}
		if headers := h.Get("Access-Control-Allow-Headers"); test.preflight &&
			(test.allowed != "") != strings.Contains(headers, "idempotency-key") {
			t.Errorf("%s: allows the headers %q", name, headers)
		}
		if h.Get("X-Request-Id") == "" || h.Get("Referrer-Policy") == "" || !strings.Contains(
			h.Get("Content-Security-Policy"), "default-src 'none'",
		) {
			t.Errorf("%s: has the headers %v", name, h)
		}
		if test.origins != nil && test.origins[0] != "*" && !strings.Contains(strings.Join(h.Values("Vary"), ","), "Origin") {
			t.Errorf("%s: a cache could give one site's answer to another: %v", name, h)
		}
	}
}

func TestPagesOfAnySiteSendAnyHeaderWhereTheOperatorAllowsAll(t *testing.T) {
	t.Parallel()
	for origin, want := range map[string]bool{"*": true, "https://app.example.org": false} {
		r := httptest.NewRequest("OPTIONS", "/jobs", nil)
		r.Header.Set("Origin", "https://app.example.org")
		r.Header.Set("Access-Control-Request-Method", "PATCH")
		r.Header.Set("Access-Control-Request-Headers", "x-of-their-own")
		w := httptest.NewRecorder()
		mux := http.NewServeMux()
		mux.HandleFunc("PATCH /jobs", func(http.ResponseWriter, *http.Request) {})
		Handler(mux, []string{origin}, zerolog.Nop()).ServeHTTP(w, r)
		if got := w.Header().Get("Access-Control-Allow-Headers"); (got != "") != want {
			t.Errorf("for %s it allows the headers %q", origin, got)
		}
	}
}
