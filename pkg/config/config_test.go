package config

import (
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// table is the README's table of settings.
func table() string {
	var b strings.Builder
	b.WriteString("| variable | default | meaning |\n|---|---|---|\n")
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		fallback := f.Tag.Get("envDefault")
		if fallback != "" {
			fallback = "`" + fallback + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.Tag.Get("env"), fallback, f.Tag.Get("doc"))
	}
	return b.String()
}

func TestTheReadmeNamesEverySetting(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "<!-- config table: a test compares it with pkg/config -->\n")
	got, _, found := strings.Cut(rest, "<!-- end of config table -->")
	if !found {
		t.Fatal("README.md has no table of settings")
	}
	if diff := cmp.Diff(table(), got); diff != "" {
		t.Errorf("README.md differs from the code; put this in its place:\n%s\n%s", table(), diff)
	}
}

func TestUnusableSettingsAreNamed(t *testing.T) {
	for name, value := range map[string]string{
		"MAX_UPLOAD_MIB": "0", "DEFAULT_TIMEOUT": "48h", "CONFINEMENT": "maybe", "MAX_OUTPUT_MIB": "0", "LINK_LIFETIME": "-1s", "ENGINE": "steam",
		"MAX_QUEUED_JOBS": "many", "STREAM_LIMIT": "0s",
		"SUBMISSIONS_PER_MINUTE": "-1", "CALLS_PER_SECOND": "-1", "WRONG_KEYS_PER_MINUTE": "-1", "MAX_CONCURRENT_UPLOADS": "-1",
		"MIN_UPLOAD_KIB_PER_SECOND": "-1", "TRUSTED_PROXIES": "10.0.0.0",
		"S3_CIDRS":    "10.0.0.0",
		"TOLERATIONS": "pool=spot:Never", "S3_ACCESS_KEY": "without its secret", "RUN_S3_SECRET_KEY": "without its key",
		"RECONCILE_URL": "reconcile", "RECONCILE_CALLERS": "sumo-k8/schedule,submit", "DATABASE_CONNECTIONS": "1",
		"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "/v1/traces", "SHUTDOWN_QUIET": "-1s",
		"DATABASE_POOLED": "perhaps", "WEBHOOK_HTTP": "perhaps",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			_, err := Load()
			// The library names the field rather than the variable when a value cannot be parsed.
			if err == nil || !strings.Contains(strings.ToUpper(strings.ReplaceAll(err.Error(), " ", "_")), strings.ReplaceAll(name, "_", "")) &&
				!strings.Contains(err.Error(), name) {
				t.Errorf("%s=%s: the error is %v", name, value, err)
			}
		})
	}
}

func TestOriginsAreExact(t *testing.T) {
	for value, ok := range map[string]bool{
		"https://app.example.org": true, "http://localhost:5173,https://app.example.org": true, "*": true, "": true,
		"app.example.org": false, "https://app.example.org/": false, "https://*.example.org": false, "https://a.example,*.example": false,
		"https://app.example.org/page": false, "null": false,
	} {
		t.Setenv("CORS_ORIGINS", value)
		if _, err := Load(); (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "CORS_ORIGINS") {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func TestRunsHaveAKeyOfTheirOwnOrThatOfTheFunctions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		c              Config
		access, secret string
	}{
		{Config{}, "", ""},
		{Config{S3AccessKey: "a", S3SecretKey: "b"}, "a", "b"},
		{Config{RunS3AccessKey: "c", RunS3SecretKey: "d"}, "c", "d"},
		{Config{S3AccessKey: "a", S3SecretKey: "b", RunS3AccessKey: "c", RunS3SecretKey: "d"}, "c", "d"},
	} {
		if access, secret := tt.c.RunS3Keys(); access != tt.access || secret != tt.secret {
			t.Errorf("of %+v runs have %q and %q", tt.c, access, secret)
		}
	}
}

func TestTheDefaultsAreUsable(t *testing.T) {
	c, err := Load()
	if err != nil {
		t.Error(err)
	}
	if len(c.TrustedProxies) > 0 {
		t.Errorf("X-Forwarded-For is believed from %v, though the operator has named no proxy", c.TrustedProxies)
	}
}

func TestTrustedProxiesAreNetworks(t *testing.T) {
	t.Setenv("TRUSTED_PROXIES", "127.0.0.0/8,fd00::/8")
	c, err := Load()
	if want := []netip.Prefix{
		netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("fd00::/8"),
	}; err != nil || !slices.Equal(c.TrustedProxies, want) {
		t.Errorf("trusted are %v: %v", c.TrustedProxies, err)
	}
}

func TestTracesAreMadeForWhoeverSaysWhereTo(t *testing.T) {
	t.Parallel()
	const collector = "http://collector:4318"
	for _, test := range []struct {
		cfg  Config
		want bool
	}{
		{Config{}, false},
		{Config{TraceEndpoint: collector}, true},
		{Config{TracesEndpoint: collector + "/v1/traces"}, true},
		{Config{TraceEndpoint: collector, TracingDisabled: true}, false},
	} {
		if got := test.cfg.Tracing(); got != test.want {
			t.Errorf("%+v: %t", test.cfg, got)
		}
	}
}
