package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sumo-k8/sumo-k8/infra/lab/internal/certificate"
	"github.com/sumo-k8/sumo-k8/infra/lab/internal/component"
	"github.com/sumo-k8/sumo-k8/infra/lab/internal/daemon"
)

const (
	// bridge carries the pods. The kernel takes 15 letters at most.
	bridge = "sumo-k8-lab"
	// address is the host's address on the bridge, where pods and the host reach the node, the API server, S3 and Postgres.
	// Nothing in the lab listens on an address that other machines reach.
	address = "10.244.0.1"
	// podNet has the addresses of pods, all on one node.
	podNet = "10.244.0.0/24"
	// serviceNet has the addresses of Services. The first is the API server's.
	serviceNet = "10.96.0.0/16"
	apiService = "10.96.0.1"
	dnsService = "10.96.0.10"
	node       = "node1"

	apiServer = "https://" + address + ":6443"
	etcd      = "https://127.0.0.1:2379"
	s3        = address + ":7070"
	database  = address + ":5432"

	kubernetesVersion = "v1.34.4"
	argoVersion       = "v3.7.16"
	coreDNSVersion    = "v1.12.4"
	knativeVersion    = "v0.48.0"
	eventingVersion   = "v0.47.0"
	traefikVersion    = "v3.7.11"
)

// controlGroup is where the kubelet puts its pods.
const controlGroup = "kubepods"

// chains are the prefixes of the packet filter's chains that we, kube-proxy, kube-router and the kubelet make.
var chains = []string{"SUMO-K8-LAB", "KUBE-"}

// sets are the prefixes of the packet filter's address sets that kube-router makes.
var sets = []string{"KUBE-SRC-", "KUBE-DST-", "kube-router-", "inet6:KUBE-", "inet6:kube-router-"}

// settings are the kernel settings that we, kube-proxy, the kubelet and the bridge plugin change.
var settings = []string{
	"net.ipv4.ip_forward", "net.ipv4.conf.all.route_localnet", "net.bridge.bridge-nf-call-iptables",
	"vm.overcommit_memory", "vm.panic_on_oom", "kernel.panic", "kernel.panic_on_oops",
}

// layout has the lab's folders.
type layout struct {
	source string // this repository
	cache  string // programs and images, kept
	run    string // everything of the running cluster, removed by down
	logs   string // kept until the next up
	// eventing says whether Knative Eventing belongs to this lab.
	eventing bool
}

// socketPathLimit is the kernel's limit for the path of a unix socket, without the terminating zero.
const socketPathLimit = 107

func newLayout() (layout, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return layout{}, fmt.Errorf("find the cache folder: %w", err)
	}
	lab := filepath.Join(cache, "sumo-k8", "lab")
	l := layout{cache: lab, run: filepath.Join(lab, "run"), logs: filepath.Join(lab, "logs")}
	if len(l.containerd("containerd.sock.ttrpc")) > socketPathLimit {
		return layout{}, fmt.Errorf("the path %s is too long for a socket: set XDG_CACHE_HOME to a shorter folder", l.run)
	}
	// An up without Eventing still repairs it in a lab that has it.
	_, err = os.Stat(l.eventingMark())
	l.eventing = err == nil
	return l, nil
}

// eventingMark is a file that exists when the running lab has Knative Eventing.
func (l layout) eventingMark() string { return filepath.Join(l.run, "eventing") }

// findSource sets the folder of this repository, which is the working folder or one above it.
func (l *layout) findSource() error {
	dir, err := os.Getwd()
	for err == nil {
		if _, found := os.Stat(filepath.Join(dir, "infra", "lab", "modules")); found == nil {
			l.source = dir
			return nil
		}
		if dir == filepath.Dir(dir) {
			err = errors.New("run this inside a clone of the sumo-k8 repository")
		}
		dir = filepath.Dir(dir)
	}
	return err
}

func (l layout) daemons() daemon.Folder {
	return daemon.Folder{Pids: filepath.Join(l.run, "pid"), Logs: l.logs}
}

func (l layout) pair(name string) certificate.Pair {
	return certificate.In(filepath.Join(l.run, "pki"), name)
}

func (l layout) kubeconfig(user string) string {
	return filepath.Join(l.run, "kubeconfig", user)
}

// containerd is a file of the container runtime.
func (l layout) containerd(name string) string { return filepath.Join(l.run, "containerd", name) }

// config is a file that a program of the lab reads.
func (l layout) config(name string) string { return filepath.Join(l.run, "config", name) }

// components are what the lab builds, the quickest first, so that mistakes show early.
func (l layout) components() []component.Component {
	module := func(name string) string { return filepath.Join(l.source, "infra", "lab", "modules", name) }
	const (
		version    = "-X k8s.io/component-base/version."
		argo       = "github.com/argoproj/argo-workflows/v3"
		serving    = "knative.dev/serving"
		eventing   = "knative.dev/eventing"
		traefik    = "github.com/traefik/traefik/v3"
		kubernetes = "k8s.io/kubernetes/cmd/"
	)
	all := []component.Component{
		{
			Name: "pause", Module: filepath.Join(l.source, "infra", "lab", "pause"),
			Programs: []component.Program{{Name: "pause", Package: "."}},
		},
		{
			Name: "objectstore", Module: filepath.Join(l.source, "infra", "local", "objectstore"),
			Programs: []component.Program{{Name: "objectstore", Package: "."}},
		},
		{
			Name: "etcd", Module: module("etcd"),
			Programs: []component.Program{{Name: "etcd", Package: "go.etcd.io/etcd/server/v3"}},
		},
		{
			Name: "coredns", Module: module("coredns"),
			Programs: []component.Program{{Name: "coredns", Package: "github.com/coredns/coredns"}},
		},
		{
			Name: "kube-router", Module: module("kube-router"),
			Programs: []component.Program{{Name: "kube-router", Package: "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router"}},
		},
		{
			Name: "argo", Module: module("argo"),
			Programs: []component.Program{
				{Name: "workflow-controller", Package: argo + "/cmd/workflow-controller"},
				{Name: "argoexec", Package: argo + "/cmd/argoexec"},
			},
			Flags: "-X " + argo + ".version=" + argoVersion, Repair: argo,
			Addition: map[string]string{"osspecific/signal_linux.go": "workflow/executor/osspecific/signal_linux.go"},
			Keep:     map[string]string{"manifests": argo + "//manifests"},
		},
		{
			Name: "knative", Module: module("knative"),
			Programs: []component.Program{
				{Name: "knative-activator", Package: serving + "/cmd/activator"},
				{Name: "knative-autoscaler", Package: serving + "/cmd/autoscaler"},
				{Name: "knative-controller", Package: serving + "/cmd/controller"},
				{Name: "knative-queue", Package: serving + "/cmd/queue"},
				{Name: "knative-webhook", Package: serving + "/cmd/webhook"},
			},
			Keep: map[string]string{
				"manifests/serving":    serving + "//config/core",
				"manifests/networking": "knative.dev/networking//config",
				"manifests/caching":    "knative.dev/caching//config",
			},
		},
		{
			Name: "traefik", Module: module("traefik"),
			Programs: []component.Program{{Name: "traefik", Package: traefik + "/cmd/traefik"}},
			Flags:    "-X " + traefik + "/pkg/version.Version=" + traefikVersion,
			// Its two hundred clients for DNS services take as long to build as everything else.
			Repair:   "github.com/go-acme/lego/v5",
			Addition: map[string]string{"dns/dns.go": "providers/dns/zz_gen_dns_providers.go"},
			Keep:     map[string]string{"gateway-api": "sigs.k8s.io/gateway-api//config/crd/standard"},
		},
		{
			Name: "kubernetes", Module: module("kubernetes"),
			Programs: []component.Program{
				{Name: "kube-apiserver", Package: kubernetes + "kube-apiserver"},
				{Name: "kube-controller-manager", Package: kubernetes + "kube-controller-manager"},
				{Name: "kube-scheduler", Package: kubernetes + "kube-scheduler"},
				{Name: "kubelet", Package: kubernetes + "kubelet"},
				{Name: "kube-proxy", Package: kubernetes + "kube-proxy"},
				{Name: "kubectl", Package: kubernetes + "kubectl"},
			},
			// Without these, clients see v0.0.0, which some refuse.
			Flags: version + "gitVersion=" + kubernetesVersion + " " + version + "gitMajor=1 " + version + "gitMinor=34 " +
				version + "gitTreeState=clean",
		},
	}
	if l.eventing {
		all = append(all, component.Component{
			Name: "eventing", Module: module("eventing"),
			Programs: []component.Program{
				{Name: "eventing-controller", Package: eventing + "/cmd/controller"},
				{Name: "eventing-mtping", Package: eventing + "/cmd/mtping"},
				{Name: "eventing-webhook", Package: eventing + "/cmd/webhook"},
			},
			Keep: map[string]string{
				"manifests/core":         eventing + "//config/core",
				"manifests/integrations": eventing + "//third_party/eventing-integrations-latest",
			},
		})
	}
	return all
}

// programs are the paths of the built programs, by name.
type programs map[string]string
