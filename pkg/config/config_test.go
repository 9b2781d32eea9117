package config

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
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
		"MAX_UPLOAD_MIB": "0", "DEFAULT_TIMEOUT": "48h", "CONFINEMENT": "maybe", "CONTROLLERS": "ruby", "MAX_OUTPUT_MIB": "0",
		"LINK_LIFETIME": "-1s", "ENGINE": "steam",
		"MAX_QUEUED_JOBS": "many", "STREAM_LIMIT": "-1s",
		"SUBMISSIONS_PER_MINUTE": "-1", "CALLS_PER_SECOND": "-1", "WRONG_KEYS_PER_MINUTE": "-1", "MAX_CONCURRENT_UPLOADS": "-1",
		"MIN_UPLOAD_KIB_PER_SECOND": "-1", "TRUSTED_PROXIES": "10.0.0.0",
		"S3_CIDRS":    "10.0.0.0",
		"TOLERATIONS": "pool=spot:Never", "S3_ACCESS_KEY": "without its secret", "RUN_S3_SECRET_KEY": "without its key",
		"RECONCILE_URL": "reconcile", "S3_ENDPOINT": "minio:9000", "S3_PUBLIC_ENDPOINT": "files.example.org", "PUBLIC_URL": "sumo.example.org",
		"RECONCILE_CALLERS": "sumo-k8/schedule,submit", "DATABASE_CONNECTIONS": "1", "STEP_FUNCTIONS_ENDPOINT": "states:443",
		"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "/v1/traces", "SHUTDOWN_QUIET": "-1s",
		"DATABASE_POOLED": "perhaps", "WEBHOOK_HTTP": "perhaps",
		"WEBHOOK_ALLOW": "https://hooks.internal", "WEBHOOK_TOKEN_HOSTS": "https://hooks.internal",
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

// An operator who corrects one setting at a time would deploy once for each.
func TestAllUnusableSettingsAreNamedAtOnce(t *testing.T) {
	wrong := map[string]string{
		"MAX_UPLOAD_MIB": "0", "CALLS_PER_SECOND": "-1", "DATABASE_CONNECTIONS": "1", "PUBLIC_URL": "sumo.example.org", "ENGINE": "steam",
		"LEGACY_CALLBACKS": "call", "WEBHOOK_ALLOW": "https://hooks.internal", "WEBHOOK_TOKEN_HOSTS": "https://hooks.internal",
	}
	for name, value := range wrong {
		t.Setenv(name, value)
	}
	_, err := Load()
	for name := range wrong {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is missing in: %v", name, err)
		}
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

func TestVersionsOnOfferAreThoseWithAnImageOrTheReleases(t *testing.T) {
	t.Parallel()
	installed := func(versions ...string) (all []release.Installation) {
		for _, version := range versions {
			all = append(all, release.Installation{Version: version})
		}
		return all
	}
	var released []string
	for _, r := range release.All() {
		if r.Wheels[runtime.GOARCH] != "" {
			released = append(released, r.Version)
		}
	}
	all := []string{"1.9", "1.15", "1.18", "1.28"}
	images := map[string]string{"1.28": "i", "1.9": "i", "1.15": "i", "1.18": "i"}
	for name, tt := range map[string]struct {
		config         Config
		installed      []release.Installation
		offered, ready []string
		unsupported    []string
	}{
		"images": {Config{SumoImages: images}, nil, all, all, []string{"1.9", "1.15"}},
		"images, restricted": {
			Config{SumoImages: images, SumoVersions: []string{"1.28", "1.15"}}, nil, []string{"1.15", "1.28"}, []string{"1.15", "1.28"},
			[]string{"1.15"},
		},
		"installed": {Config{}, installed("1.28"), released, []string{"1.28"}, nil},
		"a package beside": {
			Config{}, installed("1.28", "1.15"), append([]string{"1.15"}, released...), []string{"1.15", "1.28"}, []string{"1.15"},
		},
		"installed, but left": {Config{SumoVersions: []string{"1.26"}}, installed("1.28"), []string{"1.26"}, nil, nil},
	} {
		var offered, unsupported []string
		offer := tt.config.Offer(tt.installed)
		for _, v := range offer {
			offered = append(offered, v.Name)
			if !v.Supported {
				unsupported = append(unsupported, v.Name)
			}
		}
		if diff := cmp.Diff([][]string{tt.offered, tt.ready, tt.unsupported}, [][]string{offered, offer.Ready(), unsupported}); diff != "" {
			t.Errorf("%s: offered, ready, unsupported (-want +got):\n%s", name, diff)
		}
	}
}

func TestVersionsRunProgramsWherePythonIsThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	interpreter := release.InterpreterFile(dir)
	for _, folder := range []string{release.Packages(dir, "cp311"), release.Libsumo(dir, "1.28", "cp311"), filepath.Join(dir, "1.26")} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(interpreter, []byte(interpreter+"\ncp311\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	images := map[string]string{"1.26": "i", "1.28": "i"}
	installed := []release.Installation{{Version: "1.26"}, {Version: "1.28"}}
	for name, tt := range map[string]struct {
		config Config
		want   map[string]bool
	}{
		"installed":            {Config{Controllers: ControllersPython, SumoDir: dir}, map[string]bool{"1.26": false, "1.28": true}},
		"not enabled":          {Config{SumoDir: dir}, map[string]bool{"1.26": false, "1.28": false}},
		"nothing for programs": {Config{Controllers: ControllersPython, SumoDir: t.TempDir()}, map[string]bool{"1.26": false, "1.28": false}},
		"images": {
			Config{Controllers: ControllersPython, SumoImages: images, ControllerImages: map[string]string{"1.26": "p"}, SumoDir: dir},
			map[string]bool{"1.26": true, "1.28": false},
		},
	} {
		for version, want := range tt.want {
			if v, _ := tt.config.Offer(installed).Find(version); v.Programs != want {
				t.Errorf("%s: SUMO %s runs programs: %t", name, version, v.Programs)
			}
		}
	}
}

func TestARestrictionToWhatCannotRunIsRefused(t *testing.T) {
	t.Parallel()
	usable, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	one := map[string]string{"1.15": "i"}
	for name, tt := range map[string]struct {
		change func(*Config)
		fault  string
	}{
		"no restriction":          {func(c *Config) { c.Engine, c.SumoImages = EngineArgo, one }, ""},
		"a version with an image": {func(c *Config) { c.SumoVersions, c.SumoImages = []string{"1.15"}, one }, ""},
		"one without":             {func(c *Config) { c.SumoVersions, c.SumoImages = []string{"1.18"}, one }, "SUMO_VERSIONS has 1.18"},
		"one that nobody has":     {func(c *Config) { c.Engine, c.SumoVersions = EngineLocal, []string{"1.19"} }, "SUMO_VERSIONS has 1.19"},
		"programs without images": {
			func(c *Config) { c.Engine, c.SumoImages, c.Controllers = EngineArgo, one, "python" }, "CONTROLLER_IMAGES",
		},
		"programs with a version that is not on offer": {
			func(c *Config) { c.SumoImages, c.ControllerImages = one, map[string]string{"1.28": "i"} }, "CONTROLLER_IMAGES has 1.28",
		},
		"no image at all": {func(c *Config) { c.Engine = EngineArgo }, "SUMO_IMAGES is not set"},
	} {
		c := usable
		tt.change(&c)
		if err := c.check(); (err == nil) != (tt.fault == "") || err != nil && !strings.Contains(err.Error(), tt.fault) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if c := (Config{}); c.EarlierDefault() != "1.15" || (Config{SumoVersion: "1.18"}).EarlierDefault() != "1.18" {
		t.Errorf("the earlier default is %s", c.EarlierDefault())
	}
}

func TestReceiversAreHostNamesAddressesAndNetworks(t *testing.T) {
	t.Parallel()
	hosts, networks, err := Config{WebhookAllow: []string{
		"hooks.internal", "localhost", "10.1.2.3", "10.20.30.40/16", "fd00::1", "fd00:1::/64", "::ffff:10.1.2.4", "Web-Hooks_1.example.org.",
	}}.WebhookReceivers()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"hooks.internal", "localhost", "Web-Hooks_1.example.org."}, hosts); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
	want := []string{"10.1.2.3/32", "10.20.0.0/16", "fd00::1/128", "fd00:1::/64", "10.1.2.4/32"}
	if diff := cmp.Diff(fmt.Sprint(want), fmt.Sprint(networks)); diff != "" {
		t.Errorf("networks (-want +got):\n%s", diff)
	}
	for _, wrong := range []string{
		"", "hooks.internal:443", "http://hooks.internal", "10.20.0.0/33", "10.20.0", "10.20.0.256", "*.internal", "hooks internal", "a..b", ".a",
		"fe80::1%eth0", "::ffff:10.0.0.0/104", "hooks.internal/path", "[fd00::1]",
	} {
		if hosts, networks, err := (Config{WebhookAllow: []string{wrong}}).WebhookReceivers(); err == nil {
			t.Errorf("%q is %v and %v", wrong, hosts, networks)
		}
	}
}

func TestReceiversOfTheTokenAreHostsAndPorts(t *testing.T) {
	t.Parallel()
	got, err := Config{WebhookTokenHosts: []string{
		"hooks.internal", "hooks.internal:8443", "Web-Hooks_1.example.org.", "10.1.2.3", "10.1.2.3:08443", "fd00::1", "[fd00::1]:8443",
	}}.TokenReceivers()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"hooks.internal:443", "hooks.internal:8443", "Web-Hooks_1.example.org.:443", "10.1.2.3:443", "10.1.2.3:8443", "[fd00::1]:443",
		"[fd00::1]:8443",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("receivers (-want +got):\n%s", diff)
	}
	for _, wrong := range []string{
		"", "https://hooks.internal", "hooks.internal/path", "*.internal", "hooks.internal:", "hooks.internal:0", "hooks.internal:65536",
		"hooks.internal:https", ":8443", "[fd00::1]", "10.20.0.0/16",
	} {
		if got, err := (Config{WebhookTokenHosts: []string{wrong}}).TokenReceivers(); err == nil {
			t.Errorf("%q is %q", wrong, got)
		}
	}
}

func TestStepFunctionsNeedARegion(t *testing.T) {
	for name, tt := range map[string]struct {
		region, endpoint string
		ok               bool
	}{
		"AWS":                {"eu-central-1", "", true},
		"another endpoint":   {"eu-central-1", "https://vpce-1.states.eu-central-1.vpce.amazonaws.com", true},
		"no region":          {"", "http://localhost:8083", false},
		"an endpoint of TCP": {"eu-central-1", "localhost:8083", false},
	} {
		t.Setenv("STEP_FUNCTIONS_REGION", tt.region)
		t.Setenv("STEP_FUNCTIONS_ENDPOINT", tt.endpoint)
		if c, err := Load(); (err == nil) != tt.ok || tt.ok && !c.Callbacks().Tasks {
			t.Errorf("%s: loaded with %v", name, err)
		}
	}
}
