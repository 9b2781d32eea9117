package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/sumo-k8/sumo-k8/infra/lab/internal/daemon"
	"github.com/sumo-k8/sumo-k8/infra/lab/internal/host"
)

const (
	// ready is many times what any program takes on a busy machine of two cores.
	ready = 90 * time.Second
	// probe bounds one readiness check of a program.
	probe = 2 * time.Second
)

// configure writes the files that the programs read.
func configure(l layout) error {
	err := errors.Join(os.MkdirAll(l.config("cni"), 0o755), os.MkdirAll(l.containerd(""), 0o700))
	for name, text := range map[string]string{
		// No masquerading: pods have no way out of this machine.
		"cni/10-lab.conflist": fmt.Sprintf(`{"cniVersion": "0.4.0", "name": %q, "plugins": [{
  "type": "bridge", "bridge": %[1]q, "isGateway": true, "ipMasq": false, "hairpinMode": true,
  "ipam": {"type": "host-local", "dataDir": %q, "ranges": [[{"subnet": %q}]], "routes": [{"dst": "0.0.0.0/0"}]}
}]}
`, bridge, filepath.Join(l.run, "addresses"), podNet),
		// restrict_oom_score_adj: in a container or a small virtual machine root may lack the right to protect a process from
		// the kernel's out-of-memory killer, and runc fails when it tries.
		"containerd.toml": fmt.Sprintf(`version = 2
root = %q
state = %q
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = %q
[plugins."io.containerd.internal.v1.opt"]
  path = %q
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %q
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = %q
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
      Root = %q
`, l.containerd("root"), l.containerd("state"), l.containerd("containerd.sock"), l.containerd("opt"), pauseImage,
			l.config("cni"), l.containerd("runc")),
		// Anonymous requests are allowed only for health checks.
		"authentication.yaml": `apiVersion: apiserver.config.k8s.io/v1beta1
kind: AuthenticationConfiguration
anonymous: {enabled: true, conditions: [{path: /livez}, {path: /readyz}, {path: /healthz}]}
`,
		// Images are local and cannot be pulled again, so they are never collected.
		"kubelet.yaml": fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: %s
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: %q}}
authorization: {mode: Webhook}
tlsCertFile: %q
tlsPrivateKeyFile: %q
readOnlyPort: 0
containerRuntimeEndpoint: %q
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
clusterDNS: [%s]
clusterDomain: cluster.local
podLogsDir: %q
volumePluginDir: %q
imageGCHighThresholdPercent: 100
evictionHard: {nodefs.available: "1%%", imagefs.available: "1%%", memory.available: "100Mi"}
`, address, l.pair(clusterAuthority).Certificate, l.pair("kubelet-server").Certificate, l.pair("kubelet-server").Key,
			"unix://"+l.containerd("containerd.sock"), dnsService, filepath.Join(l.run, "pod-logs"), filepath.Join(l.run, "volume-plugins")),
	} {
		err = errors.Join(err, os.WriteFile(l.config(name), []byte(text), 0o644))
	}
	return err
}

// Names of the programs that others wait for.
const (
	etcdDaemon       = "etcd"
	containerdDaemon = "containerd"
	apiserverDaemon  = "kube-apiserver"
	kubeletDaemon    = "kubelet"
	s3Daemon         = "s3"
	postgresDaemon   = "postgres"
)

// containerd is where Debian installs it. It is one of its own inputs, since an upgrade keeps the path; the paths of
// programs that we build identify what they were built from.
const containerd = "/usr/bin/containerd"

// graceOf returns how long a program may take to finish its work.
func graceOf(name string) time.Duration {
	if name == s3Daemon {
		// The gateway waits for idle connections of clients. Stored objects do not depend on a clean end.
		return time.Second
	}
	return 10 * time.Second
}

// stages returns the programs in order of dependency: those of one stage start together.
func stages(l layout, p programs, c credentials) ([][]daemon.Spec, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ca := l.pair(clusterAuthority).Certificate
	apiserver, kubelet, store := l.pair("apiserver"), l.pair("apiserver-kubelet"), l.pair("apiserver-etcd")
	web := func(url string) func(context.Context) error {
		return func(ctx context.Context) error { return healthy(ctx, url, "") }
	}
	spec := func(name string, isReady func(context.Context) error, inputs []string, command ...string) daemon.Spec {
		return daemon.Spec{Name: name, Command: command, Inputs: inputs, Grace: graceOf(name), Limit: ready, Ready: isReady}
	}
	s3Spec := spec(s3Daemon, answers(s3), nil, p["objectstore"], "--listen", s3, "--root", filepath.Join(l.run, "s3"))
	s3Spec.Env = []string{"ROOT_ACCESS_KEY=" + c.S3AccessKey, "ROOT_SECRET_KEY=" + c.S3SecretKey}
	postgres := spec(postgresDaemon, answers(database), nil, self, "postgres")
	postgres.Env = []string{"LAB_DATABASE_PASSWORD=" + c.DatabasePassword}
	if cache := os.Getenv("XDG_CACHE_HOME"); cache != "" {
		postgres.Env = append(postgres.Env, "XDG_CACHE_HOME="+cache)
	}
	return [][]daemon.Spec{
		{
			// No flush to disk for each write: the lab does not have to survive a power cut.
			spec(etcdDaemon, web("http://127.0.0.1:2381/health"), []string{l.pair("etcd").Certificate, l.pair(etcdAuthority).Certificate},
				p["etcd"], "--data-dir", filepath.Join(l.run, "etcd"), "--unsafe-no-fsync",
				"--listen-client-urls", etcd, "--advertise-client-urls", etcd, "--client-cert-auth",
				"--cert-file", l.pair("etcd").Certificate, "--key-file", l.pair("etcd").Key,
				"--trusted-ca-file", l.pair(etcdAuthority).Certificate,
				"--listen-peer-urls", "http://127.0.0.1:2380", "--listen-metrics-urls", "http://127.0.0.1:2381"),
			spec(containerdDaemon, func(ctx context.Context) error {
				ctx, cancel := context.WithTimeout(ctx, probe)
				defer cancel()
				_, err := host.Run(ctx, "", "ctr", "--address", l.containerd("containerd.sock"), "version")
				return err
			}, []string{l.config("containerd.toml"), containerd}, containerd, "--config", l.config("containerd.toml")),
			s3Spec, postgres,
		},
		{
			spec(apiserverDaemon, func(ctx context.Context) error { return healthy(ctx, apiServer+"/readyz", ca) },
				[]string{l.config("authentication.yaml"), ca, apiserver.Certificate, kubelet.Certificate, store.Certificate},
				p["kube-apiserver"], "--bind-address", address, "--secure-port", "6443", "--advertise-address", address,
				"--etcd-servers", etcd, "--etcd-cafile", l.pair(etcdAuthority).Certificate,
				"--etcd-certfile", store.Certificate, "--etcd-keyfile", store.Key,
				"--client-ca-file", ca, "--tls-cert-file", apiserver.Certificate, "--tls-private-key-file", apiserver.Key,
				"--kubelet-certificate-authority", ca, "--kubelet-client-certificate", kubelet.Certificate,
				"--kubelet-client-key", kubelet.Key, "--kubelet-preferred-address-types", "InternalIP",
				"--authentication-config", l.config("authentication.yaml"), "--authorization-mode", "Node,RBAC",
				"--enable-admission-plugins", "NodeRestriction", "--allow-privileged",
				"--service-account-issuer", "https://kubernetes.default.svc.cluster.local",
				"--service-account-key-file", l.pair(serviceAccounts).Key, "--service-account-signing-key-file", l.pair(serviceAccounts).Key,
				"--service-cluster-ip-range", serviceNet, "--profiling=false"),
		},
		{
			// There is one of each, so leader election is off.
			spec("kube-controller-manager", web("https://127.0.0.1:10257/healthz"), []string{l.kubeconfig("controller-manager"), ca},
				p["kube-controller-manager"], "--bind-address", "127.0.0.1", "--leader-elect=false",
				"--kubeconfig", l.kubeconfig("controller-manager"), "--authentication-kubeconfig", l.kubeconfig("controller-manager"),
				"--authorization-kubeconfig", l.kubeconfig("controller-manager"), "--client-ca-file", ca, "--root-ca-file", ca,
				"--service-account-private-key-file", l.pair(serviceAccounts).Key, "--use-service-account-credentials",
				"--cluster-cidr", podNet, "--allocate-node-cidrs=false"),
			spec("kube-scheduler", web("https://127.0.0.1:10259/healthz"), []string{l.kubeconfig("scheduler")},
				p["kube-scheduler"], "--bind-address", "127.0.0.1", "--leader-elect=false",
				"--kubeconfig", l.kubeconfig("scheduler"), "--authentication-kubeconfig", l.kubeconfig("scheduler"),
				"--authorization-kubeconfig", l.kubeconfig("scheduler")),
			spec(kubeletDaemon, web("http://127.0.0.1:10248/healthz"),
				[]string{l.config("kubelet.yaml"), l.kubeconfig("kubelet"), ca, l.pair("kubelet-server").Certificate},
				p["kubelet"], "--config", l.config("kubelet.yaml"), "--kubeconfig", l.kubeconfig("kubelet"),
				"--hostname-override", node, "--node-ip", address, "--root-dir", filepath.Join(l.run, "kubelet"),
				"--node-labels", "node-type=simulation"),
			// The kernel's limits on connections stay unchanged.
			spec("kube-proxy", web("http://127.0.0.1:10256/healthz"), []string{l.kubeconfig("proxy")},
				p["kube-proxy"], "--kubeconfig", l.kubeconfig("proxy"), "--hostname-override", node, "--cluster-cidr", podNet,
				"--proxy-mode", "iptables", "--nodeport-addresses", address+"/32", "--healthz-bind-address", "127.0.0.1:10256",
				"--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0"),
		},
		{
			// Last, because its rights are part of what is deployed. It only enforces network policies here. Its health server would
			// listen on every address.
			spec("kube-router", func(ctx context.Context) error {
				ctx, cancel := context.WithTimeout(ctx, probe)
				defer cancel()
				_, err := host.Run(ctx, "", "iptables", "--numeric", "--list", "KUBE-ROUTER-FORWARD")
				return err
			}, []string{l.kubeconfig("router")},
				p["kube-router"], "--kubeconfig", l.kubeconfig("router"), "--hostname-override", node,
				"--run-firewall=true", "--run-router=false", "--run-service-proxy=false", "--run-loadbalancer=false",
				"--service-cluster-ip-range", serviceNet, "--health-port=0", "--metrics-port=0"),
		},
	}, nil
}

// healthy returns nil when a GET is answered with 200. For programs that make their own certificate, which listen only on
// loopback, the certificate is not verified.
func healthy(ctx context.Context, url, authority string) error {
	ctx, cancel := context.WithTimeout(ctx, probe)
	defer cancel()
	trust := &tls.Config{InsecureSkipVerify: authority == ""}
	if authority != "" {
		text, err := os.ReadFile(authority)
		if err != nil {
			return err
		}
		trust.RootCAs = x509.NewCertPool()
		trust.RootCAs.AppendCertsFromPEM(text)
	}
	transport := &http.Transport{TLSClientConfig: trust, DisableKeepAlives: true}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	return nil
}

// answers returns nil when the address accepts connections.
func answers(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		connection, err := (&net.Dialer{Timeout: probe}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return connection.Close()
	}
}
