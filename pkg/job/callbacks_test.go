package job_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/job"
)

func TestWebhooksGoToWebServersAndByTLS(t *testing.T) {
	t.Parallel()
	permits := func(addr netip.Addr) bool {
		return addr != netip.MustParseAddr("10.0.0.1") && addr != netip.MustParseAddr("fe80::1%eth0")
	}
	strict, lenient := job.Callbacks{Permits: permits}, job.Callbacks{Plain: true, Permits: permits}
	for url, want := range map[string]struct{ byDefault, allowed bool }{ // http, where the operator allows it
		"https://example.org/hook":                         {true, true},
		"https://example.org:8443/a?b":                     {true, true},
		"HTTPS://example.org":                              {true, true},
		"https://[2001:db8::1]/":                           {true, true},
		"https://192.0.2.1/":                               {true, true},
		"http://example.org/hook":                          {false, true},
		"HTTP://localhost:9000/":                           {false, true},
		"ftp://example.org/hook":                           {},
		"file:///etc/passwd":                               {},
		"gopher://example.org:25/_HELO":                    {},
		"ws://example.org/":                                {},
		"httpsx://example.org/":                            {},
		"javascript:alert(1)":                              {},
		"https:example.org":                                {},
		"https:///hook":                                    {},
		"https://:443/":                                    {},
		"//example.org/hook":                               {},
		"example.org/hook":                                 {},
		"https://example.org/%zz":                          {},
		"https://exa mple.org/":                            {},
		" https://example.org/":                            {},
		"https://example.org/\n":                           {},
		"":                                                 {},
		"https://user:word@example.org":                    {},
		"https://user@example.org/":                        {},
		"https://@example.org/":                            {},
		"https://example.org:0/":                           {},
		"https://example.org:65536/":                       {},
		"https://10.0.0.1/":                                {},
		"http://10.0.0.1:8080/":                            {},
		"https://[fe80::1%25eth0]/":                        {},
		"https://example.org/" + strings.Repeat("x", 2028): {true, true},
		"https://example.org/" + strings.Repeat("x", 2029): {},
	} {
		byDefault, allowed := strict.URLFault(url), lenient.URLFault(url)
		if (byDefault == "") != want.byDefault || (allowed == "") != want.allowed {
			t.Errorf("%.60q %q by default, and %q where http is allowed", url, byDefault, allowed)
		}
	}
}
