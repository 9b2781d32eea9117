package kube

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

var update = flag.Bool("update", false, "write testdata/tenant.yaml again")

func aTenant() tenant.Tenant {
	return tenant.Tenant{ID: "acme", Namespace: "sumo-acme", Limits: tenant.Limits{MaxCPU: 32, MaxMemoryGi: 128, MaxConcurrentJobs: 4}}
}

func aProvisioner() *Provisioner {
	return &Provisioner{
		Home: "sumo-k8",
		Store: ObjectStore{
			Endpoint: "http://10.244.0.1:7070", Region: "us-east-1", Bucket: "sumo-k8", AccessKey: "key: 1", SecretKey: `s"ecret`,
		},
		APIServer: []Destination{{CIDR: "10.244.0.1/32", Port: 6443}},
		Templates: []func(string) ([]byte, error){workflowTemplate("sumo-1-15"), workflowTemplate("sumo-1-18")},
	}
}

func workflowTemplate(name string) func(string) ([]byte, error) {
	return func(namespace string) ([]byte, error) {
		return fmt.Appendf(nil, "{apiVersion: argoproj.io/v1alpha1, kind: WorkflowTemplate, metadata: {name: %s, namespace: %s}}",
			name, namespace), nil
	}
}

func manifest(t *testing.T, p *Provisioner) []object {
	t.Helper()
	objects, err := p.objects(aTenant(), p.APIServer)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func TestWhatATenantsNamespaceHolds(t *testing.T) {
	t.Parallel()
	var got bytes.Buffer
	for _, o := range manifest(t, aProvisioner()) {
		text, err := yaml.JSONToYAML(o.body)
		if err != nil {
			t.Fatal(err)
		}
		got.WriteString("# " + o.name + "\n" + string(text) + "---\n")
	}
	if *update {
		if err := os.WriteFile("testdata/tenant.yaml", got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/tenant.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("-want +got (write it again with -update):\n%s", diff)
	}
}

func TestKubernetesCanReadEveryObject(t *testing.T) {
	t.Parallel()
	for _, o := range manifest(t, aProvisioner()) {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			var kind struct{ Kind string }
			if err := json.Unmarshal(o.body, &kind); err != nil {
				t.Fatal(err)
			}
			into := map[string]any{
				"Namespace": &corev1.Namespace{}, "ResourceQuota": &corev1.ResourceQuota{}, "LimitRange": &corev1.LimitRange{},
				"ServiceAccount": &corev1.ServiceAccount{}, "Secret": &corev1.Secret{}, "ConfigMap": &corev1.ConfigMap{},
				"NetworkPolicy": &networkingv1.NetworkPolicy{}, "RoleBinding": &rbacv1.RoleBinding{},
				"WorkflowTemplate": &wfv1.WorkflowTemplate{},
			}[kind.Kind]
			if err := yaml.UnmarshalStrict(o.body, into); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWhereTheObjectStoreIs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		store ObjectStore
		want  []Destination
	}{
		{"an address", ObjectStore{Endpoint: "http://10.1.2.3:9000"}, []Destination{{CIDR: "10.1.2.3/32", Port: 9000}}},
		{"an address of version 6", ObjectStore{Endpoint: "https://[fd00::1]"}, []Destination{{CIDR: "fd00::1/128", Port: 443}}},
		{"a name", ObjectStore{Endpoint: "https://s3.example:8443"}, public(8443)},
		{"AWS", ObjectStore{}, public(443)},
		{"a Service", ObjectStore{Endpoint: "http://minio.storage.svc.cluster.local:9000"}, []Destination{{Namespace: "storage", Port: 9000}}},
		{"a Service, in short", ObjectStore{Endpoint: "http://minio.storage.svc:9000"}, []Destination{{Namespace: "storage", Port: 9000}}},
		{"a pod of a Service", ObjectStore{Endpoint: "http://minio-0.minio.storage.svc.cluster.local.:9000"},
			[]Destination{{Namespace: "storage", Port: 9000}}},
		{"a public name that reads like a Service", ObjectStore{Endpoint: "https://s3.svc.example.org"}, public(443)},
		{"as the operator configures", ObjectStore{Endpoint: "http://minio.storage.svc:9000", CIDRs: prefixes("10.1.2.3/8", "172.16.0.0/12")},
			[]Destination{{CIDR: "10.0.0.0/8", Port: 9000}, {CIDR: "172.16.0.0/12", Port: 9000}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.store.Destinations()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	for _, bad := range []ObjectStore{{Endpoint: "s3.example"}, {Endpoint: "ftp://s3.example"}, {Endpoint: "http://minio:9000"},
		{Endpoint: "http://localhost:9000"}} {
		if got, err := bad.Destinations(); err == nil {
			t.Errorf("%+v was taken for %+v", bad, got)
		}
	}
}

func public(port int) []Destination {
	return []Destination{{CIDR: "0.0.0.0/0", Except: privateV4, Port: port}, {CIDR: "2000::/3", Except: privateV6, Port: port}}
}

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// TestAPublicStoreOpensNoPrivateNetwork reads the policy as Kubernetes does: an address is let through when a block has it and
// no exception of that block does.
func TestAPublicStoreOpensNoPrivateNetwork(t *testing.T) {
	t.Parallel()
	p := aProvisioner()
	p.Store.Endpoint = "https://s3.eu-central-1.amazonaws.com"
	var policy networkingv1.NetworkPolicy
	for _, o := range manifest(t, p) {
		if strings.HasSuffix(o.name, "/networkpolicies/allow-object-store") {
			if err := yaml.UnmarshalStrict(o.body, &policy); err != nil {
				t.Fatal(err)
			}
		}
	}
	through := func(address netip.Addr) bool {
		for _, rule := range policy.Spec.Egress {
			for _, peer := range rule.To {
				in := func(cidr string) bool { return netip.MustParsePrefix(cidr).Contains(address) }
				if in(peer.IPBlock.CIDR) && !slices.ContainsFunc(peer.IPBlock.Except, in) {
					return true
				}
			}
		}
		return false
	}
	for address, want := range map[string]bool{
		"52.219.47.1": true, "3.5.140.2": true, "2a05:d050:4040::1": true, // AWS's S3 in Frankfurt
		"172.32.0.1": true, "100.128.0.1": true, "11.0.0.0": true, "192.0.1.1": true, "198.20.0.1": true, "223.255.255.255": true,
		"10.0.0.1": false, "10.255.255.255": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false, "100.64.0.1": false,
		"127.0.0.1": false, "0.0.0.0": false, "169.254.169.254": false, "100.100.100.200": false, "192.0.0.192": false, "168.63.129.16": false,
		"198.18.0.1": false, "224.0.0.1": false, "240.0.0.1": false, "255.255.255.255": false,
		"::1": false, "::": false, "fc00::1": false, "fd00:ec2::254": false, "fe80::1": false, "ff02::1": false, "::ffff:10.0.0.1": false,
		"64:ff9b::a00:1": false, "2002:a00:1::1": false, "2001::1": false,
	} {
		if got := through(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s is let through: %t, want %t", address, got, want)
		}
	}
}

func TestWithoutKeysPodsUseTheirOwnRights(t *testing.T) {
	t.Parallel()
	p := aProvisioner()
	p.Store.AccessKey = ""
	for _, o := range manifest(t, p) {
		if strings.HasSuffix(o.name, "/secrets/object-store") {
			t.Error("there is a Secret without anything to keep secret")
		}
		if strings.HasSuffix(o.name, "/configmaps/artifact-repositories") && !bytes.Contains(o.body, []byte("useSDKCreds: true")) {
			t.Errorf("Argo does not use the pod's own rights: %s", o.body)
		}
	}
}

func TestTheQuotaHoldsWhatTheRecordAdmits(t *testing.T) {
	t.Parallel()
	agent := corev1.ResourceList{}
	if err := yaml.Unmarshal([]byte("{cpu: "+AgentCPU()+", memory: "+AgentMemory()+"}"), &agent); err != nil {
		t.Fatal(err)
	}
	if cpu, memory := agent.Cpu().MilliValue(), agent.Memory().Value(); cpu != agentMilliCPU || memory != agentMebibytes<<20 {
		t.Errorf("the quota reckons with %dm and %dMi beside SUMO, the pods with %dm and %d bytes", agentMilliCPU, agentMebibytes, cpu, memory)
	}
	var quota corev1.ResourceQuota
	if err := json.Unmarshal(manifest(t, aProvisioner())[1].body, &quota); err != nil {
		t.Fatal(err)
	}
	cpu, memory := quota.Spec.Hard["limits.cpu"], quota.Spec.Hard["limits.memory"]
	if cpu.String() != "65600m" || memory.String() != "260Gi" { // twice 4 jobs with 200m and 512Mi beside 32 cores and 128 GiB
		t.Errorf("the quota is %s and %s", cpu.String(), memory.String())
	}
}

// cluster is an API server that stores what it is given.
type cluster struct {
	mu      sync.Mutex
	objects map[string]map[string]any // by path
	calls   []string
	answers map[string]string // fixed ones, by path
}

func newCluster(t *testing.T) (*cluster, rest.Interface) {
	t.Helper()
	c := &cluster{objects: map[string]map[string]any{}, answers: map[string]string{}}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	client, err := NewClient(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return c, client
}

func (c *cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if answer, fixed := c.answers[r.URL.Path]; fixed {
		_, _ = w.Write([]byte(answer))
		return
	}
	c.calls = append(c.calls, r.Method+" "+r.URL.Path)
	var body map[string]any
	if r.Method == http.MethodPost || r.Method == http.MethodPatch {
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			answerStatus(w, http.StatusBadRequest)
			return
		}
	}
	switch r.Method {
	case http.MethodGet:
		if selector := r.URL.Query().Get("labelSelector"); selector != "" {
			body = map[string]any{"items": c.labelled(r.URL.Path, selector)}
			break
		}
		if c.objects[r.URL.Path] == nil {
			answerStatus(w, http.StatusNotFound)
			return
		}
		body = c.objects[r.URL.Path]
	case http.MethodPost:
		path := r.URL.Path + "/" + body["metadata"].(map[string]any)["name"].(string)
		if c.objects[path] != nil {
			answerStatus(w, http.StatusConflict)
			return
		}
		c.objects[path] = body
	case http.MethodPatch:
		if r.URL.Query().Get("fieldManager") != fieldManager || r.URL.Query().Get("force") != "true" ||
			r.Header.Get("Content-Type") != "application/apply-patch+yaml" {
			answerStatus(w, http.StatusBadRequest)
			return
		}
		c.objects[r.URL.Path] = body
	case http.MethodDelete:
		if c.objects[r.URL.Path] == nil {
			answerStatus(w, http.StatusNotFound)
			return
		}
		delete(c.objects, r.URL.Path)
	}
	_ = json.NewEncoder(w).Encode(body)
}

// labelled are the objects of a collection that have the label of selector, which is name=value.
func (c *cluster) labelled(collection, selector string) []map[string]any {
	name, value, _ := strings.Cut(selector, "=")
	found := []map[string]any{}
	for path, object := range c.objects {
		labels, _ := object["metadata"].(map[string]any)["labels"].(map[string]any)
		if strings.HasPrefix(path, collection+"/") && labels[name] == value {
			found = append(found, object)
		}
	}
	return found
}

func answerStatus(w http.ResponseWriter, code int) {
	w.WriteHeader(code)
	reason := map[int]string{400: "BadRequest", 404: "NotFound", 409: "AlreadyExists"}[code]
	_ = json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code})
}

func (c *cluster) paths() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.objects))
}

func TestProvisioningMakesEverythingAndRepairsWhatHasDrifted(t *testing.T) {
	t.Parallel()
	c, client := newCluster(t)
	p := aProvisioner()
	p.Client = client
	if err := p.Provision(t.Context(), aTenant()); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, o := range manifest(t, p) {
		want = append(want, o.name)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, c.paths()); diff != "" {
		t.Fatalf("-want +got:\n%s", diff)
	}
	const quota = "/api/v1/namespaces/sumo-acme/resourcequotas/sumo-k8"
	const policy = "/apis/networking.k8s.io/v1/namespaces/sumo-acme/networkpolicies/deny-all"
	c.mu.Lock()
	before := c.objects[quota]
	c.objects[quota] = map[string]any{"spec": "by hand"}
	delete(c.objects, policy)
	c.mu.Unlock()
	if err := p.Provision(t.Context(), aTenant()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, c.objects[quota]); diff != "" {
		t.Errorf("the quota is not what it was (-want +got):\n%s", diff)
	}
	if !slices.Contains(c.paths(), policy) {
		t.Error("the policy is still missing")
	}
}

func TestOnlyOurOwnNamespacesAreTouched(t *testing.T) {
	t.Parallel()
	foreign := func(labels, annotations map[string]any) map[string]any {
		return map[string]any{"metadata": map[string]any{"name": "n", "uid": "u", "labels": labels, "annotations": annotations}}
	}
	ours := map[string]any{TenantLabel: "sumo-acme"}
	for _, tt := range []struct {
		name, namespace string
		existing        map[string]any
		code            problem.Code
	}{
		{"the cluster's", "kube-system", nil, problem.Conflict},
		{"the default", "default", nil, problem.Conflict},
		{"none", "", nil, problem.Conflict},
		{"somebody's", "sumo-acme", foreign(nil, nil), problem.Conflict},
		{"another tenant's", "sumo-acme", foreign(ours, map[string]any{tenantAnnotation: "other"}), problem.Conflict},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, client := newCluster(t)
			p := aProvisioner()
			p.Client = client
			who := aTenant()
			who.Namespace = tt.namespace
			if tt.existing != nil {
				c.objects["/api/v1/namespaces/"+tt.namespace] = tt.existing
			}
			before := c.paths()
			if err := p.Provision(t.Context(), who); problem.CodeOf(err) != tt.code {
				t.Errorf("provisioning answers %v, want %s", err, tt.code)
			}
			if tt.existing != nil {
				if err := p.Deprovision(t.Context(), who); problem.CodeOf(err) != tt.code {
					t.Errorf("deprovisioning answers %v, want %s", err, tt.code)
				}
			}
			if diff := cmp.Diff(before, c.paths()); diff != "" {
				t.Errorf("the cluster was changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestANamespaceThatIsBeingDeletedIsWaitedFor(t *testing.T) {
	t.Parallel()
	c, client := newCluster(t)
	p := aProvisioner()
	p.Client = client
	c.objects["/api/v1/namespaces/sumo-acme"] = map[string]any{"metadata": map[string]any{
		"labels": map[string]any{TenantLabel: "sumo-acme"}, "annotations": map[string]any{tenantAnnotation: "acme"},
		"deletionTimestamp": "2026-11-22T10:00:00Z",
	}}
	if err := p.Provision(t.Context(), aTenant()); problem.CodeOf(err) != problem.Unavailable {
		t.Errorf("provisioning answers %v, want %s", err, problem.Unavailable)
	}
}

func TestDeprovisioningRemovesTheNamespaceAndMayBeRepeated(t *testing.T) {
	t.Parallel()
	c, client := newCluster(t)
	p := aProvisioner()
	p.Client = client
	if err := p.Provision(t.Context(), aTenant()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.Deprovision(t.Context(), aTenant()); err != nil {
			t.Fatal(err)
		}
	}
	if slices.Contains(c.paths(), "/api/v1/namespaces/sumo-acme") {
		t.Error("the namespace is still there")
	}
}

func TestTheAPIServersAddressIsAskedFor(t *testing.T) {
	t.Parallel()
	c, client := newCluster(t)
	c.answers["/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"] =
		`{"items":[{"endpoints":[{"addresses":["10.244.0.1","10.244.0.2"]}],"ports":[{"port":6443}]}]}`
	p := aProvisioner()
	p.Client, p.APIServer = client, nil
	if err := p.Provision(t.Context(), aTenant()); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(c.objects["/apis/networking.k8s.io/v1/namespaces/sumo-acme/networkpolicies/allow-api-server"])
	if err != nil {
		t.Fatal(err)
	}
	var policy networkingv1.NetworkPolicy
	if err := json.Unmarshal(text, &policy); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, rule := range policy.Spec.Egress {
		got[rule.To[0].IPBlock.CIDR] = rule.Ports[0].Port.IntValue()
	}
	if diff := cmp.Diff(map[string]int{"10.244.0.1/32": 6443, "10.244.0.2/32": 6443}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
