package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/kube"
	domain "github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// visitor is a pod with the probe, which tries to connect to each place.
type visitor struct {
	namespace, name string
	labels          map[string]string
	want            map[string]string // by place
}

// everywhere returns what a pod without policies reaches.
func everywhere(places map[string]string) map[string]string {
	want := map[string]string{}
	for place := range places {
		want[place] = "connected"
	}
	return want
}

// nowhereBut returns what a pod reaches whose policies allow only these places.
func nowhereBut(places map[string]string, open ...string) map[string]string {
	want := map[string]string{}
	for place := range places {
		want[place] = "refused"
	}
	for _, place := range open {
		want[place] = "connected"
	}
	return want
}

// visit runs all visitors at once and compares what each reached with what it should. One of them, without policies, is the
// positive control: it must reach every place, so that refusals to the others come from their policies.
func (c *cluster) visit(t *testing.T, places map[string]string, visitors ...visitor) {
	t.Helper()
	open := visitor{namespace: c.namespace(t, "open"), name: "open", want: everywhere(places)}
	visitors = append(visitors, open)
	// A policy applies to a new pod within a second of its getting an address; this is for a busy machine.
	args := []string{"--for=20s"}
	for place, address := range places {
		args = append(args, "--connect="+place+"="+address)
	}
	image := c.loadProbe(t)
	for _, v := range visitors {
		pod, err := json.Marshal(map[string]any{
			"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": v.name, "namespace": v.namespace, "labels": v.labels},
			"spec": map[string]any{
				"restartPolicy": "Never", "automountServiceAccountToken": false,
				"securityContext": map[string]any{"runAsNonRoot": true, "seccompProfile": map[string]any{"type": "RuntimeDefault"}},
				"containers": []any{map[string]any{
					"name": "main", "image": image, "imagePullPolicy": "Never", "args": args,
					"securityContext": map[string]any{"allowPrivilegeEscalation": false, "capabilities": map[string]any{"drop": []string{"ALL"}}},
					"resources":       map[string]any{"limits": map[string]any{"cpu": "50m", "memory": "32Mi"}},
				}},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		c.apply(t, string(pod))
		t.Cleanup(func() {
			_, _ = c.tryKubectl(t, "delete", "pod", v.name, "-n", v.namespace, "--ignore-not-found", "--wait=false")
		})
	}
	for _, v := range visitors {
		var log string
		until(t, v.name+" has tried", func() (bool, string) {
			log, _ = c.tryKubectl(t, "logs", "-n", v.namespace, v.name, "--tail=-1")
			state, _ := c.tryKubectl(t, "get", "pod", "-n", v.namespace, v.name, "-o", "jsonpath={.status}")
			return strings.Contains(log, `"done"`), state + log
		})
		got := tried(log)
		maps.DeleteFunc(got, func(what, _ string) bool { return places[what] == "" })
		if diff := cmp.Diff(v.want, got); diff != "" {
			t.Errorf("what %s in %s reaches (-want +got):\n%s", v.name, v.namespace, diff)
		}
	}
}

// namespace makes a namespace without policies.
func (c *cluster) namespace(t *testing.T, what string) string {
	t.Helper()
	name := fmt.Sprintf("e2e-%s-%d-%d", what, time.Now().Unix(), serial.Add(1))
	c.kubectl(t, "create", "namespace", name)
	t.Cleanup(func() { _, _ = c.tryKubectl(t, "delete", "namespace", name, "--wait=false") })
	return name
}

// podIP returns the address of the pod that a selector finds.
func (c *cluster) podIP(t *testing.T, namespace, selector string) string {
	t.Helper()
	return c.kubectl(t, "get", "pods", "-n", namespace, "-l", selector, "-o", "jsonpath={.items[0].status.podIP}")
}

// publicAddress gives the lab's bridge a non-private address, one reserved for documentation, and listens there on the port.
func publicAddress(t *testing.T, port string) (address string) {
	t.Helper()
	const ip = "198.51.100.7"
	if out, err := exec.CommandContext(t.Context(), "ip", "address", "add", ip+"/32", "dev", "sumo-k8-lab").CombinedOutput(); err != nil {
		t.Fatalf("adding an address to the bridge: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("ip", "address", "delete", ip+"/32", "dev", "sumo-k8-lab").CombinedOutput(); err != nil {
			t.Errorf("removing the address of the bridge: %v: %s", err, out)
		}
	})
	address = net.JoinHostPort(ip, port)
	listen(t, address)
	return address
}

// listen accepts connections at an address of this machine until the test ends.
func listen(t *testing.T, address string) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			connection.Close()
		}
	}()
}

// testReachOfRuns tests what pods reach in tenants' namespaces that were made for stores at different addresses.
func testReachOfRuns(t *testing.T, c *cluster) {
	store := strings.TrimPrefix(c.settings["S3_ENDPOINT"], "http://")
	_, port, err := net.SplitHostPort(store)
	if err != nil {
		t.Fatal(err)
	}
	places := map[string]string{
		"a private address":    store,
		"a public address":     publicAddress(t, port),
		"a pod of the Service": c.podIP(t, "kube-system", "k8s-app=kube-dns") + ":8080",
		"a pod of another's":   c.podIP(t, "traefik", "app=traefik") + ":8080",
	}
	client, err := kube.Connect(kube.Connection{Kubeconfig: c.settings["KUBECONFIG"], UserAgent: "e2e"})
	if err != nil {
		t.Fatal(err)
	}
	tenantOf := func(name string, s kube.ObjectStore) string {
		id := fmt.Sprintf("e2e-%s-%d", name, time.Now().Unix())
		who := domain.Tenant{ID: id, Namespace: "sumo-" + id, Limits: domain.Limits{MaxCPU: 1, MaxMemoryGi: 1, MaxConcurrentJobs: 1}}
		p := &kube.Provisioner{Client: client, Home: "sumo-k8", Store: s}
		if err := p.Provision(t.Context(), who); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = c.tryKubectl(t, "delete", "namespace", who.Namespace, "--wait=false") })
		return who.Namespace
	}
	c.visit(t, places,
		visitor{
			namespace: tenantOf("name", kube.ObjectStore{Endpoint: "http://s3.example.org:" + port}), name: "name",
			want: nowhereBut(places, "a public address"),
		},
		visitor{
			namespace: tenantOf(
				"networks", kube.ObjectStore{Endpoint: "http://s3.example.org:" + port, CIDRs: []netip.Prefix{netip.MustParsePrefix("10.244.0.1/32")}},
			),
			name: "networks",
			want: nowhereBut(places, "a private address"),
		},
		visitor{
			namespace: tenantOf("service", kube.ObjectStore{Endpoint: "http://kube-dns.kube-system.svc.cluster.local:8080"}), name: "service",
			want: nowhereBut(places, "a pod of the Service"),
		},
	)
}

// testReachOfFunctions runs the probe beside the functions, with the labels of their pods.
func testReachOfFunctions(t *testing.T, c *cluster) {
	_, rest, _ := strings.Cut(c.settings["DATABASE_URL"], "@")
	postgres, _, _ := strings.Cut(rest, "/")
	host, _, _ := strings.Cut(postgres, ":")
	dns := c.podIP(t, "kube-system", "k8s-app=kube-dns")
	receiver := host + ":8099" // the port that the overlay opens for reconcile
	listen(t, receiver)
	places := map[string]string{
		"a receiver":        receiver,
		"Postgres":          postgres,
		"S3":                strings.TrimPrefix(c.settings["S3_ENDPOINT"], "http://"),
		"names":             dns + ":53",
		"the API server":    host + ":6443",
		"Knative's ingress": c.podIP(t, "traefik", "app=traefik") + ":8080",
		"the kubelet":       host + ":10250",
		"CoreDNS' health":   dns + ":8080",
		"Argo's controller": c.podIP(t, "argo", "app=workflow-controller") + ":9090",
		"Knative's webhook": c.podIP(t, "knative-serving", "app=webhook") + ":8443",
	}
	reached := map[string][]string{
		"auth":      {"Postgres", "S3", "names", "the API server", "Knative's ingress"},
		"submit":    {"Postgres", "S3", "names", "the API server", "Knative's ingress"},
		"status":    {"Postgres", "S3", "names", "Knative's ingress"},
		"logs":      {"Postgres", "S3", "names", "the API server"},
		"reconcile": {"Postgres", "S3", "names", "the API server", "a receiver"},
	}
	visitors := []visitor{
		{
			name: "e2e-migrate", labels: map[string]string{"app.kubernetes.io/component": "migrate"},
			want: nowhereBut(places, "Postgres", "S3", "names"),
		},
		{
			name: "e2e-schedule", labels: map[string]string{"app.kubernetes.io/component": "schedule"},
			want: nowhereBut(places, "names", "Knative's ingress"),
		},
		{name: "e2e-warmup", want: nowhereBut(places)},
	}
	for _, name := range functions {
		var template struct{ Labels map[string]string }
		raw := c.kubectl(
			t, "get", "deployments", "-n", "sumo-k8", "-l", "serving.knative.dev/service="+name, "-o", "jsonpath={.items[0].spec.template.metadata}",
		)
		if err := json.Unmarshal([]byte(raw), &template); err != nil {
			t.Fatal(err)
		}
		// The Deployment and the Service select their pods by this label. The probe is not one of them.
		delete(template.Labels, "serving.knative.dev/revisionUID")
		visitors = append(visitors, visitor{name: "e2e-" + name, labels: template.Labels, want: nowhereBut(places, reached[name]...)})
	}
	for i := range visitors {
		visitors[i].namespace = "sumo-k8"
	}
	c.visit(t, places, visitors...)
}

// testAdminKey inspects the environment of each function's process, which runs on this machine.
func testAdminKey(t *testing.T, c *cluster) {
	if keys := c.kubectl(t, "get", "secret", "sumo-k8", "-n", "sumo-k8", "-o", "jsonpath={.data}"); strings.Contains(keys, "ADMIN_KEY") {
		t.Error("the Secret that every function reads has ADMIN_KEY")
	}
	const noJob = "/jobs/01a205c4-bcb6-78c2-ba85-cff183741aa4"
	start := map[string]func(){
		"auth":      func() { _, _, _ = c.send(t, "GET", "/auth/tenants", nil, nil) },
		"submit":    func() { _, _, _ = c.send(t, "DELETE", noJob, nil, nil) },
		"status":    func() { _, _, _ = c.send(t, "GET", noJob, nil, nil) },
		"logs":      func() { _, _, _ = c.send(t, "GET", noJob+"/logs", nil, nil) },
		"reconcile": func() { _, _ = c.sendEvent(t, "") },
	}
	for name, checks := range map[string]bool{"auth": true, "status": true, "reconcile": true, "submit": false, "logs": false} {
		var variables map[string]string
		until(t, name+" runs", func() (bool, string) {
			start[name]()
			variables = environmentOf(name)
			return variables != nil, ""
		})
		if variables["DATABASE_URL"] != c.settings["DATABASE_URL"] {
			t.Errorf("the environment read for %s is not the one it uses: it lacks the lab's DATABASE_URL", name)
		}
		if _, given := variables["ADMIN_KEY"]; given != checks {
			t.Errorf("%s is given ADMIN_KEY: %t, want %t", name, given, checks)
		}
		for variable, value := range variables {
			if variable != "ADMIN_KEY" && strings.Contains(value, c.adminKey) {
				t.Errorf("%s is given the operator's key as %s", name, variable)
			}
		}
	}
}

// environmentOf returns the environment of a process that Knative runs for the function; nil when there is none.
func environmentOf(function string) map[string]string {
	processes, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range processes {
		raw, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		variables := map[string]string{}
		for variable := range strings.SplitSeq(string(raw), "\x00") {
			if name, value, ok := strings.Cut(variable, "="); ok {
				variables[name] = value
			}
		}
		// The first is ours, the second Knative's; its queue-proxy has neither.
		if variables["FUNCTION_TARGET"] == function && variables["K_SERVICE"] == function {
			return variables
		}
	}
	return nil
}
