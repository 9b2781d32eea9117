package job_test

import (
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/job"
)

func TestWebhooksGoToWebServersAndByTLS(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]struct{ byDefault, allowed bool }{ // http, where the operator allows it
		"https://example.org/hook":      {true, true},
		"https://example.org:8443/a?b":  {true, true},
		"HTTPS://example.org":           {true, true},
		"https://[2001:db8::1]/":        {true, true},
		"http://example.org/hook":       {false, true},
		"HTTP://localhost:9000/":        {false, true},
		"ftp://example.org/hook":        {},
		"file:///etc/passwd":            {},
		"gopher://example.org:25/_HELO": {},
		"ws://example.org/":             {},
		"httpsx://example.org/":         {},
		"javascript:alert(1)":           {},
		"https:example.org":             {},
		"https:///hook":                 {},
		"https://:443/":                 {},
		"//example.org/hook":            {},
		"example.org/hook":              {},
		"https://example.org/%zz":       {},
		"https://exa mple.org/":         {},
		" https://example.org/":         {},
		"":                              {},
	} {
		hook := job.ProgressWebhook{URL: url}
		if byDefault, allowed := hook.Fault(false), hook.Fault(true); (byDefault == "") != want.byDefault || (allowed == "") != want.allowed {
			t.Errorf("%q %q by default, and %q where http is allowed", url, byDefault, allowed)
		}
	}
}
