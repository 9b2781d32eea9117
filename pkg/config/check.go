package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

// check returns all that is wrong with the settings.
func (c Config) check() error {
	_, _, webhooks := c.WebhookReceivers()
	_, tokens := c.TokenReceivers()
	return errors.Join(c.checkNumbers(), c.checkAddresses(), c.checkChoices(), webhooks, tokens, c.checkVersions())
}

func (c Config) checkNumbers() error {
	var faults []error
	for _, d := range []struct {
		name  string
		value int64
	}{
		{"MAX_UPLOAD_MIB", c.MaxUploadMiB}, {"MAX_UNPACKED_MIB", c.MaxUnpackedMiB}, {"MAX_OUTPUT_MIB", c.MaxOutputMiB},
		{"MAX_QUEUED_JOBS", int64(c.MaxQueuedJobs)},
		{"DEFAULT_TIMEOUT", int64(c.DefaultTimeout)}, {"MAX_TIMEOUT", int64(c.MaxTimeout)}, {"LINK_LIFETIME", int64(c.LinkLifetime)},
		{"RESULT_RETENTION", int64(c.Retention)}, {"RECONCILE_WINDOW", int64(c.Window)},
	} {
		if d.value <= 0 {
			faults = append(faults, fmt.Errorf("%s must be greater than zero", d.name))
		}
	}
	for _, d := range []struct {
		name  string
		value int64
		zero  string // what 0 means
	}{
		{"STREAM_LIMIT", int64(c.StreamLimit), "lets a stream last as long as its job"},
		{"SHUTDOWN_QUIET", int64(c.ShutdownQuiet), "stops accepting requests at once"},
		{"SUBMISSIONS_PER_MINUTE", int64(c.SubmissionsPerMinute), "switches the limit off"},
		{"CALLS_PER_SECOND", int64(c.CallsPerSecond), "switches the limit off"},
		{"WRONG_KEYS_PER_MINUTE", int64(c.WrongKeysPerMinute), "switches the limit off"},
		{"MAX_CONCURRENT_UPLOADS", int64(c.MaxConcurrentUploads), "switches the limit off"},
		{"MIN_UPLOAD_KIB_PER_SECOND", c.MinUploadRateKiB, "switches the limit off"},
	} {
		if d.value < 0 {
			faults = append(faults, fmt.Errorf("%s must not be negative; 0 %s", d.name, d.zero))
		}
	}
	if c.DatabaseConnections < 2 {
		faults = append(faults, errors.New("DATABASE_CONNECTIONS must be 2 at least: reconcile holds one for its lock while it works"))
	}
	if c.DefaultTimeout > c.MaxTimeout {
		faults = append(faults, fmt.Errorf("DEFAULT_TIMEOUT (%s) must not exceed MAX_TIMEOUT (%s)", c.DefaultTimeout, c.MaxTimeout))
	}
	return errors.Join(faults...)
}

func (c Config) checkAddresses() error {
	var faults []error
	for _, setting := range []struct{ name, value, example string }{
		{"PUBLIC_URL", c.PublicURL, "https://sumo.example.org"},
		{"S3_ENDPOINT", c.S3Endpoint, "http://minio.example.org:9000"},
		{"S3_PUBLIC_ENDPOINT", c.S3PublicEndpoint, "https://files.example.org"},
		{"RECONCILE_URL", c.ReconcileURL, "http://reconcile.sumo-k8.svc.cluster.local/reconcile"},
		{"STEP_FUNCTIONS_ENDPOINT", c.TaskEndpoint, "https://states.eu-central-1.amazonaws.com"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", c.TraceEndpoint, "http://collector:4318"},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", c.TracesEndpoint, "http://collector:4318/v1/traces"},
	} {
		u, err := url.Parse(setting.value)
		if setting.value != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
			faults = append(faults, fmt.Errorf("%s is %q; it must be an http or https URL, such as %s",
				setting.name, setting.value, setting.example))
		}
	}
	for _, caller := range c.ReconcileCallers {
		if namespace, name, ok := strings.Cut(caller, "/"); !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
			faults = append(faults, fmt.Errorf("RECONCILE_CALLERS has %q; write each as namespace/name", caller))
		}
	}
	for _, origin := range c.CORSOrigins {
		if u, err := url.Parse(origin); origin != "*" && (err != nil || u.Host == "" || origin != u.Scheme+"://"+u.Host ||
			strings.Contains(origin, "*")) {
			faults = append(faults, fmt.Errorf("CORS_ORIGINS has %q; write each as a browser sends it: scheme://host or scheme://host:port, "+
				"without a path", origin))
		}
	}
	return errors.Join(faults...)
}

// checkChoices checks settings that have a few values, and those that need others.
func (c Config) checkChoices() error {
	var faults []error
	for _, pair := range []struct{ name, access, secret string }{
		{"S3", c.S3AccessKey, c.S3SecretKey}, {"RUN_S3", c.RunS3AccessKey, c.RunS3SecretKey},
	} {
		if (pair.access == "") != (pair.secret == "") {
			faults = append(faults, fmt.Errorf("%s_ACCESS_KEY and %[1]s_SECRET_KEY must be set together", pair.name))
		}
	}
	if !slices.Contains([]string{"", EngineLocal, EngineArgo}, c.Engine) {
		faults = append(faults, fmt.Errorf("ENGINE is %q; it must be %s, %s or empty", c.Engine, EngineArgo, EngineLocal))
	}
	if !slices.Contains([]string{refuseCallbacks, ignoreCallbacks}, c.LegacyCallbacks) {
		faults = append(faults, fmt.Errorf("LEGACY_CALLBACKS is %q; it must be %s or %s", c.LegacyCallbacks, refuseCallbacks, ignoreCallbacks))
	}
	if c.TaskEndpoint != "" && c.TaskRegion == "" {
		faults = append(faults,
			errors.New("STEP_FUNCTIONS_ENDPOINT is set without STEP_FUNCTIONS_REGION, which enables answers to task tokens"))
	}
	if c.Controllers != "" && !c.Programs() {
		faults = append(faults, fmt.Errorf("CONTROLLERS is %q; it must be %s or empty", c.Controllers, ControllersPython))
	}
	if c.Engine == EngineArgo && len(c.SumoImages) == 0 {
		faults = append(faults, errors.New("SUMO_IMAGES is not set; with ENGINE=argo it names an image for each version of SUMO on offer"))
	}
	if c.Programs() && c.Engine == EngineArgo && len(c.ControllerImages) == 0 {
		faults = append(faults,
			errors.New("CONTROLLERS is set without CONTROLLER_IMAGES, which names the images with Python, with ENGINE=argo"))
	}
	return errors.Join(faults...)
}

// checkVersions refuses a restriction to versions that nothing here can run, and images of versions that are not on offer.
func (c Config) checkVersions() error {
	var faults []error
	for version := range c.ControllerImages {
		if c.SumoImages[version] == "" {
			faults = append(faults, fmt.Errorf("CONTROLLER_IMAGES has %s, for which SUMO_IMAGES names no image", version))
		}
	}
	for _, version := range c.SumoVersions {
		_, known := release.Find(version)
		_, imaged := c.SumoImages[version]
		switch {
		case len(c.SumoImages) > 0 && !imaged:
			faults = append(faults, fmt.Errorf("SUMO_VERSIONS has %s, for which SUMO_IMAGES names no image", version))
		case c.Engine == EngineLocal && !known:
			faults = append(faults, fmt.Errorf("SUMO_VERSIONS has %s, which is not on offer", version))
		}
	}
	return errors.Join(faults...)
}
