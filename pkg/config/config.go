// Package config reads a process's settings from its environment, once, at the start.
package config

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/sumo-k8/sumo-k8/pkg/confine"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

// Config is every setting of a function. The README's table is made from these tags and a test compares the two.
type Config struct {
	Port                string `env:"PORT" envDefault:"8080" doc:"TCP port of the function's HTTP server."`
	Target              string `env:"FUNCTION_TARGET" doc:"The function to serve: auth, submit, status, logs or reconcile; or what to do once: migrate (bring the schema up to date and make the bucket) or schedule (call reconcile)."`
	LogLevel            string `env:"LOG_LEVEL" envDefault:"info" doc:"debug, info, warn or error."`
	AdminKey            string `env:"ADMIN_KEY" doc:"The operator's key; use at least 20 random characters, since nothing else stops guessing. Without it every admin call answers 503."`
	DatabaseURL         string `env:"DATABASE_URL" doc:"Postgres, as a URL: postgres://user:password@host/database."`
	DatabaseConnections int    `env:"DATABASE_CONNECTIONS" envDefault:"4" doc:"Most connections of one instance to Postgres, 2 at least. They are made when they are needed, and closed after half a minute without use; instances times connections must fit the server."`
	DatabasePooled      bool   `env:"DATABASE_POOLED" envDefault:"false" doc:"Whether DATABASE_URL leads to a pooler in transaction mode, such as PgBouncer: nothing is then kept in a session, prepared statements neither. FUNCTION_TARGET=migrate needs the server itself."`

	S3Endpoint       string `env:"S3_ENDPOINT" doc:"URL of the S3 server; empty for AWS."`
	S3PublicEndpoint string `env:"S3_PUBLIC_ENDPOINT" doc:"URL by which clients reach the S3 server, when it differs; links for downloads and uploads use it."`
	S3Region         string `env:"S3_REGION" envDefault:"us-east-1" doc:"Region of the bucket."`
	S3Bucket         string `env:"S3_BUCKET" envDefault:"sumo-k8" doc:"Bucket for scenarios and results."`
	S3AccessKey      string `env:"S3_ACCESS_KEY" doc:"Access key; empty for the SDK's own chain (IRSA, instance role, files)."`
	S3SecretKey      string `env:"S3_SECRET_KEY" doc:"Secret key that goes with S3_ACCESS_KEY."`
	RunS3AccessKey   string `env:"RUN_S3_ACCESS_KEY" doc:"Access key by which runs fetch scenarios and store results, with ENGINE=argo; empty for S3_ACCESS_KEY."`
	RunS3SecretKey   string `env:"RUN_S3_SECRET_KEY" doc:"Secret key that goes with RUN_S3_ACCESS_KEY."`

	S3CIDRs []netip.Prefix `env:"S3_CIDRS" doc:"Networks of the S3 server, for the network policies of runs, with ENGINE=argo: 10.20.0.0/16,10.30.1.7/32. Empty for the address in S3_ENDPOINT, the namespace of SERVICE.NAMESPACE.svc.cluster.local, or, with any other name, every public address and no private one."`

	Engine  string `env:"ENGINE" doc:"What runs jobs: argo (workflows on a Kubernetes cluster), local (processes of the reconcile function, which then must not scale to zero), or empty for none."`
	RunsDir string `env:"RUNS_DIR" envDefault:"/var/lib/sumo-k8/runs" doc:"Folder of runs under way, with ENGINE=local; shared with the logs function."`
	SumoRun string `env:"SUMO_RUN" envDefault:"sumo-run" doc:"The sumo-run program, with ENGINE=local."`
	Slots   int    `env:"SLOTS" envDefault:"0" doc:"Runs at a time, with ENGINE=local; 0 for one for each CPU."`

	ChunkCores    int `env:"CHUNK_CORES" envDefault:"4" doc:"Most cores that runs of a study ask for together, as one pod or process: no more than one node has free for them. A run that needs more has a pod of its own."`
	ChunkMemoryGi int `env:"CHUNK_MEMORY_GI" envDefault:"16" doc:"The same for memory, in GiB."`

	Kubeconfig   string            `env:"KUBECONFIG" doc:"Kubeconfig file, with ENGINE=argo; empty inside a cluster."`
	Namespace    string            `env:"NAMESPACE" envDefault:"sumo-k8" doc:"Our own namespace, where warm-up pods run."`
	Installation string            `env:"INSTALLATION" envDefault:"sumo-k8" doc:"Distinguishes the installations in one cluster; a Kubernetes label value."`
	SumoImages   map[string]string `env:"SUMO_IMAGES" envKeyValSeparator:"=" doc:"Image for each version of SUMO, with ENGINE=argo: 1.18=registry/sumo:1.18,1.28=registry/sumo:1.28. Versions that this release is not tested with are offered as unsupported."`
	PullPolicy   string            `env:"IMAGE_PULL_POLICY" envDefault:"IfNotPresent" doc:"Pull policy of SUMO's images."`
	NodeSelector map[string]string `env:"NODE_SELECTOR" envKeyValSeparator:"=" doc:"Labels of the nodes that run jobs: pool=simulation,spot=true."`
	Tolerations  []Toleration      `env:"TOLERATIONS" doc:"Taints of the nodes that run jobs, as kubectl taint writes them: pool=simulation:NoSchedule,spot:NoSchedule."`
	PodSpecPatch string            `env:"POD_SPEC_PATCH" doc:"YAML that is merged into the pod of every job, for what has no setting of its own, such as affinity or topology spread."`

	SumoVersions []string `env:"SUMO_VERSIONS" doc:"The versions of SUMO that jobs may choose: 1.22,1.28. Empty for every version that has an image (ENGINE=argo) or is installed (ENGINE=local)."`
	SumoVersion  string   `env:"SUMO_VERSION" doc:"The version that ran all jobs in releases that offered no choice. The migration makes it the default of the tenants that exist then, so that an upgrade changes nobody's numbers. It also runs the jobs that instances of such a release submit without a version while they are being replaced. Empty for 1.15, the default of those releases. make dev takes the SUMO in PATH."`
	SumoDir      string   `env:"SUMO_DIR" doc:"Folder with the installed versions of SUMO, with ENGINE=local; empty for sumo-k8/sumo in the user's cache folder."`

	Controllers            string            `env:"CONTROLLERS" doc:"Whether jobs may run programs of their scenarios (controller) and tools of SUMO's (tool): python enables both, for tenants whose limit controllers is true; empty for neither. They run only where the machine confines them, whatever CONFINEMENT says."`
	ControllerImages       map[string]string `env:"CONTROLLER_IMAGES" envKeyValSeparator:"=" doc:"Image with SUMO, Python and libsumo for each version of SUMO that runs them, with ENGINE=argo: 1.28=registry/sumo:1.28-python. Other versions refuse them."`
	ControllerNodeSelector map[string]string `env:"CONTROLLER_NODE_SELECTOR" envKeyValSeparator:"=" doc:"Labels of the nodes that run them, besides those of NODE_SELECTOR: nodes whose kernel can confine a program that opens connections. Such as sumo-k8.io/controllers=true."`

	Confinement confine.Mode `env:"CONFINEMENT" doc:"Whether SUMO may run where the machine cannot restrict it to the run's own files and the system calls that it needs: require refuses, prefer runs it with what the machine offers and records what held, off does not confine it. Empty for require on one machine and prefer with ENGINE=argo, where the pod is a wall as well."`

	MaxUploadMiB         int64          `env:"MAX_UPLOAD_MIB" envDefault:"2048" doc:"Largest scenario zip, in MiB."`
	MaxUnpackedMiB       int64          `env:"MAX_UNPACKED_MIB" envDefault:"16384" doc:"Largest scenario once unpacked, in MiB."`
	MaxOutputMiB         int64          `env:"MAX_OUTPUT_MIB" envDefault:"16384" doc:"Disk space that one run may write, in MiB; beyond it the run ends FAILED with reason OutputTooLarge."`
	MaxQueuedJobs        int            `env:"MAX_QUEUED_JOBS" envDefault:"1000" doc:"Jobs that one tenant may have waiting, and unfinished studies; more answer 429."`
	SubmissionsPerMinute int            `env:"SUBMISSIONS_PER_MINUTE" envDefault:"600" doc:"Jobs that one tenant may submit in a minute, over all instances together; more answer 429. 0 for no limit."`
	CallsPerSecond       int            `env:"CALLS_PER_SECOND" envDefault:"100" doc:"Calls that one tenant may make each second at one instance of a function, twice as many in a burst; more answer 429. 0 for no limit."`
	WrongKeysPerMinute   int            `env:"WRONG_KEYS_PER_MINUTE" envDefault:"60" doc:"Invalid keys that one client address may try in a minute at one instance; more answer 429 instead of 401. A valid key still works. 0 for no limit."`
	MaxConcurrentUploads int            `env:"MAX_CONCURRENT_UPLOADS" envDefault:"4" doc:"Scenarios that one tenant may be uploading at a time at one instance; more answer 429. 0 for no limit. Direct uploads to the object store do not count."`
	MinUploadRateKiB     int64          `env:"MIN_UPLOAD_KIB_PER_SECOND" envDefault:"16" doc:"Lowest rate of a scenario's upload, averaged over any minute; a slower one answers 408. With 0, something must arrive in each minute."`
	TrustedProxies       []netip.Prefix `env:"TRUSTED_PROXIES" doc:"Networks of the gateways and proxies in front of us, whose X-Forwarded-For says who the client is: 127.0.0.0/8,10.244.0.0/16. Empty trusts none: the client is the peer of the connection."`
	CORSOrigins          []string       `env:"CORS_ORIGINS" doc:"Web sites whose pages may call us from a browser, separated by commas: https://app.example.org. Empty for none, * for any."`
	DefaultTimeout       time.Duration  `env:"DEFAULT_TIMEOUT" envDefault:"6h" doc:"Wall clock time of a run that names no timeout."`
	MaxTimeout           time.Duration  `env:"MAX_TIMEOUT" envDefault:"24h" doc:"Longest timeout that a run may name."`
	LinkLifetime         time.Duration  `env:"LINK_LIFETIME" envDefault:"1h" doc:"How long a link for a download or a direct upload works."`
	PublicURL            string         `env:"PUBLIC_URL" doc:"URL by which clients reach the service, https://sumo.example.org: links to small results of a study's runs begin with it. Empty takes it from each request (X-Forwarded-Host, X-Forwarded-Proto, Host)."`
	StreamLimit          time.Duration  `env:"STREAM_LIMIT" envDefault:"280s" doc:"A log stream ends cleanly after this time, before a gateway cuts it (Knative: 300 s); clients resume. 0 for no limit, which is the default of local mode."`
	Retention            time.Duration  `env:"RESULT_RETENTION" envDefault:"720h" doc:"Age at which results are removed."`
	Window               time.Duration  `env:"RECONCILE_WINDOW" envDefault:"50s" doc:"How long one reconcile call stays while jobs are active."`

	Webhooks          bool     `env:"WEBHOOKS" envDefault:"true" doc:"Whether events of jobs are sent to web servers that tenants name (webhooks, webhook_url, progress_webhook_url). The reconcile function must then reach them."`
	WebhookHTTP       bool     `env:"WEBHOOK_HTTP" envDefault:"false" doc:"Whether webhooks may use http as well as https. Anyone on the network path can read what is sent over http."`
	WebhookAllow      []string `env:"WEBHOOK_ALLOW" doc:"Receivers of webhooks on private networks, which are otherwise refused: host names, addresses or networks, hooks.internal,10.20.0.0/16. A host name is allowed whatever it resolves to."`
	WebhookToken      string   `env:"WEBHOOK_SHARED_TOKEN" doc:"Sent as X-Webhook-Token with progress to the hosts in WEBHOOK_TOKEN_HOSTS, by https only. The predecessor sent it to any host."`
	WebhookTokenHosts []string `env:"WEBHOOK_TOKEN_HOSTS" doc:"Receivers that get WEBHOOK_SHARED_TOKEN: hooks.example.org,hooks.internal:8443. A host without a port gets it on port 443 only. Empty for none."`
	TaskRegion        string   `env:"STEP_FUNCTIONS_REGION" doc:"AWS region of the state machines whose task tokens are answered. Empty refuses submissions with a task_token."`
	TaskEndpoint      string   `env:"STEP_FUNCTIONS_ENDPOINT" doc:"URL of the Step Functions API; empty for AWS's in STEP_FUNCTIONS_REGION. Credentials come from the SDK's own chain (AWS_ACCESS_KEY_ID, IRSA, instance role, files)."`
	LegacyCallbacks   string   `env:"LEGACY_CALLBACKS" envDefault:"refuse" doc:"What happens to a submission with a task_token or progress_webhook_url that is not enabled here: refuse answers 400, ignore accepts it with a warning."`

	ReconcileURL       string   `env:"RECONCILE_URL" doc:"Where reconcile is called: by FUNCTION_TARGET=schedule, and by functions that have given it something to do. Empty leaves that to the schedule."`
	ReconcileTokenFile string   `env:"RECONCILE_TOKEN_FILE" doc:"File with the service account's token for these calls, read anew for each. Without one they carry ADMIN_KEY."`
	ReconcileAudience  string   `env:"RECONCILE_AUDIENCE" envDefault:"sumo-k8-reconcile" doc:"The audience for which these tokens must be made."`
	ReconcileCallers   []string `env:"RECONCILE_CALLERS" doc:"Service accounts that may call reconcile, with ENGINE=argo: sumo-k8/schedule,sumo-k8/submit. Empty for none; ADMIN_KEY works always."`

	MetricsPort string `env:"METRICS_PORT" doc:"TCP port of Prometheus metrics, at /metrics; apart from PORT, so that the public address never shows them. Empty for none."`

	TraceEndpoint   string `env:"OTEL_EXPORTER_OTLP_ENDPOINT" doc:"URL of an OpenTelemetry collector that takes OTLP over HTTP: http://collector:4318. It gets traces of requests and jobs; without it there are none. OpenTelemetry's SDK reads its other variables itself: OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS and so on."`
	TracesEndpoint  string `env:"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" doc:"The same with its path, for traces alone: http://collector:4318/v1/traces. It goes before OTEL_EXPORTER_OTLP_ENDPOINT."`
	TracingDisabled bool   `env:"OTEL_SDK_DISABLED" envDefault:"false" doc:"Makes no traces, whatever else is set."`

	ShutdownQuiet time.Duration `env:"SHUTDOWN_QUIET" envDefault:"1s" doc:"After SIGTERM new requests are still served until none has come for this long, since proxies learn of the shutdown later; half of SHUTDOWN_GRACE at most. Kubernetes' probes fail at once. 0s where nothing is in front, longer without Knative, which holds the signal back until it sends nothing more."`
	ShutdownGrace time.Duration `env:"SHUTDOWN_GRACE" envDefault:"20s" doc:"How long requests may go on after SIGTERM."`
}

// Values of Engine.
const (
	EngineLocal = "local"
	EngineArgo  = "argo"
)

// Load reads the environment. It reports every unusable value at once.
func Load() (Config, error) {
	var c Config
	if err := env.Parse(&c); err != nil {
		return Config{}, fmt.Errorf("reading the configuration from the environment: %w", err)
	}
	return c, c.check()
}

// EngineSlots is how many runs go on at a time at most, whatever the limits of tenants are; 0 where the engine has no bound of its own.
func (c Config) EngineSlots() int {
	if c.Engine != EngineLocal {
		return 0
	}
	return cmp.Or(c.Slots, runtime.NumCPU())
}

// Programs reports whether jobs may run programs of their scenarios and tools of SUMO's.
func (c Config) Programs() bool { return c.Controllers == ControllersPython }

// ControllersPython is the value of Controllers that enables them.
const ControllersPython = "python"

// hostName is a DNS name. Its last label has a letter, so that a mistyped address is none.
var hostName = regexp.MustCompile(`^([\w-]+\.)*[\w-]*[A-Za-z][\w-]*\.?$`)

func isAddress(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

// WebhookReceivers are the receivers that WEBHOOK_ALLOW names: host names, and networks, with single addresses among them.
func (c Config) WebhookReceivers() (hosts []string, networks []netip.Prefix, err error) {
	for _, receiver := range c.WebhookAllow {
		if addr, err := netip.ParseAddr(receiver); err == nil && addr.Zone() == "" {
			addr = addr.Unmap()
			networks = append(networks, netip.PrefixFrom(addr, addr.BitLen()))
		} else if network, err := netip.ParsePrefix(receiver); err == nil && !network.Addr().Is4In6() {
			networks = append(networks, network.Masked())
		} else if hostName.MatchString(receiver) {
			hosts = append(hosts, receiver)
		} else {
			return nil, nil, fmt.Errorf("WEBHOOK_ALLOW has %q; write each as a host name, an address or a network, without a scheme or port: "+
				"hooks.internal,10.20.0.0/16", receiver)
		}
	}
	return hosts, networks, nil
}

// TokenReceivers are the receivers that WEBHOOK_TOKEN_HOSTS names, each with its port.
func (c Config) TokenReceivers() ([]string, error) {
	receivers := make([]string, len(c.WebhookTokenHosts))
	for i, receiver := range c.WebhookTokenHosts {
		host, port, err := net.SplitHostPort(receiver)
		if err != nil || isAddress(receiver) {
			host, port = receiver, "443"
		}
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil || number == 0 || !hostName.MatchString(host) && !isAddress(host) {
			return nil, fmt.Errorf("WEBHOOK_TOKEN_HOSTS has %q; write each as a host, or a host and a port, without a scheme: "+
				"hooks.example.org,hooks.internal:8443", receiver)
		}
		receivers[i] = net.JoinHostPort(host, strconv.FormatUint(number, 10))
	}
	return receivers, nil
}

// RunS3Keys are the access key and the secret key of runs, or empty.
func (c Config) RunS3Keys() (access, secret string) {
	if c.RunS3AccessKey != "" {
		return c.RunS3AccessKey, c.RunS3SecretKey
	}
	return c.S3AccessKey, c.S3SecretKey
}

// Tracing reports whether traces are made.
func (c Config) Tracing() bool {
	return !c.TracingDisabled && (c.TraceEndpoint != "" || c.TracesEndpoint != "")
}

// Values of LegacyCallbacks.
const (
	refuseCallbacks = "refuse"
	ignoreCallbacks = "ignore"
)

// Callbacks are the ways in which jobs report to others.
func (c Config) Callbacks() job.Callbacks {
	return job.Callbacks{
		Webhooks: c.Webhooks, Plain: c.WebhookHTTP, Tasks: c.TaskRegion != "", IgnoreLegacy: c.LegacyCallbacks == ignoreCallbacks,
	}
}

// Admission bounds what one tenant may submit.
func (c Config) Admission() job.Admission {
	return job.Admission{MaxQueued: c.MaxQueuedJobs, PerMinute: c.SubmissionsPerMinute}
}

// EarlierDefault is the version that ran all jobs before versions could be chosen.
func (c Config) EarlierDefault() string { return cmp.Or(c.SumoVersion, "1.15") }

// SumoFolder is the folder with this machine's versions of SUMO.
func (c Config) SumoFolder() (string, error) {
	if c.SumoDir != "" {
		return c.SumoDir, nil
	}
	dir, err := release.Dir()
	if err != nil {
		return "", fmt.Errorf("finding the folder of SUMO's versions: %w; set SUMO_DIR", err)
	}
	return dir, nil
}

// Offer is what jobs may choose: the versions with an image, or else the releases that run on this machine; those installed are ready.
// Other installations are offered as they are.
func (c Config) Offer(installed []release.Installation) simulation.Offer {
	var offer simulation.Offer
	add := func(version string, ready bool) {
		if len(c.SumoVersions) > 0 && !slices.Contains(c.SumoVersions, version) {
			return
		}
		v := simulation.Version{Name: version, Ready: ready, Programs: ready && c.runsPrograms(version),
			Image: c.SumoImages[version], ProgramImage: c.ControllerImages[version]}
		if r, ok := release.Find(version); ok {
			v.Build, v.Supported, v.Architectures = r.Full, true, slices.Sorted(maps.Keys(r.Wheels))
		}
		offer = append(offer, v)
	}
	isInstalled := func(version string) bool {
		return slices.ContainsFunc(installed, func(at release.Installation) bool { return at.Version == version })
	}
	if len(c.SumoImages) > 0 {
		for version := range c.SumoImages {
			add(version, true)
		}
	} else {
		for _, r := range release.All() {
			if r.Wheels[runtime.GOARCH] != "" {
				add(r.Version, isInstalled(r.Version))
			}
		}
		for _, at := range installed {
			if _, listed := offer.Find(at.Version); !listed {
				add(at.Version, true)
			}
		}
	}
	slices.SortFunc(offer, func(a, b simulation.Version) int { return release.Compare(a.Name, b.Name) })
	return offer
}

// runsPrograms reports whether programs are enabled, and Python and libsumo are there for a version that is ready.
func (c Config) runsPrograms(version string) bool {
	if !c.Programs() {
		return false
	}
	if len(c.SumoImages) > 0 {
		return c.ControllerImages[version] != ""
	}
	dir, err := c.SumoFolder()
	if err != nil {
		return false
	}
	python, err := release.PythonIn(dir, version)
	return err == nil && python.Libsumo
}

// Limits of a scenario under this configuration.
func (c Config) Limits() scenario.Limits {
	limits := scenario.DefaultLimits()
	limits.SUMOVersion = "" // a scenario belongs to no version: what it needs of one is checked when a job chooses
	limits.Upload = c.MaxUploadMiB << 20
	limits.Unpacked = c.MaxUnpackedMiB << 20
	return limits
}
