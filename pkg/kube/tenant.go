package kube

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"text/template"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// fieldManager owns the fields that we set; the API server remembers it with each of them.
const fieldManager = "sumo-k8"

const (
	// TenantLabel is on a tenant's namespace and on its workflows. Its value is the namespace's name, for a tenant's id is not
	// always a label.
	TenantLabel      = "sumo-k8.io/tenant"
	tenantAnnotation = "sumo-k8.io/tenant-id"
)

// Provisioner makes and repairs the namespaces of tenants.
type Provisioner struct {
	Client rest.Interface
	// Home is the namespace of the functions' own service accounts, which get their rights on runs with each tenant.
	Home  string
	Store ObjectStore
	// APIServer is where pods reach the API server; empty to ask the cluster.
	APIServer []Destination
	// Templates write the manifests of the WorkflowTemplates of a namespace, one for each version of SUMO.
	Templates []func(namespace string) ([]byte, error)
}

// ObjectStore is how pods reach the object store.
type ObjectStore struct {
	Endpoint  string // URL; empty for AWS
	Region    string
	Bucket    string
	AccessKey string // empty for the node's or the service account's own rights
	SecretKey string
	// CIDRs are the store's addresses. Without them the endpoint's host decides: see Destinations.
	CIDRs []netip.Prefix
}

// Destination is where connections may go: to addresses, or to the pods of a namespace.
type Destination struct {
	CIDR      string
	Except    []string
	Namespace string // in place of CIDR and Except
	Port      int
}

//go:embed tenant.yaml
var tenantSource string

var tenantPage = Manifest("tenant.yaml", tenantSource)

// Manifest parses a template of manifests. Its delimiters are [[ and ]], because Argo has {{ and }} for its own, and its
// function json quotes a value: JSON is YAML.
func Manifest(name, source string) *template.Template {
	toJSON := func(v any) (string, error) {
		text, err := json.Marshal(v)
		return string(text), err
	}
	page := template.New(name).Delims("[[", "]]").Option("missingkey=error").Funcs(template.FuncMap{"json": toJSON})
	return template.Must(page.Parse(source))
}

// Provision brings the tenant's namespace and everything in it into the state that it must have. It answers
// problem.Conflict for a namespace that is not the tenant's.
func (p *Provisioner) Provision(ctx context.Context, t tenant.Tenant) error {
	apiServer := p.APIServer
	if len(apiServer) == 0 {
		var err error
		if apiServer, err = p.apiServer(ctx); err != nil {
			return err
		}
	}
	objects, err := p.objects(t, apiServer)
	if err != nil {
		return err
	}
	if err := p.claim(ctx, t, objects[0]); err != nil {
		return err
	}
	for _, o := range objects {
		if err := p.apply(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// Deprovision deletes the tenant's namespace with everything in it; a namespace that does not exist is no error. The
// cluster may take minutes to finish.
func (p *Provisioner) Deprovision(ctx context.Context, t tenant.Tenant) error {
	ns, err := p.namespace(ctx, t.Namespace)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := check(ns, t); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()
	// The precondition keeps us from deleting a namespace that was made anew since it was checked.
	options := metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(ns.UID))}
	err = p.Client.Delete().AbsPath("/api/v1/namespaces", t.Namespace).Body(&options).Do(ctx).Error()
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) && ns.DeletionTimestamp != nil {
		return nil
	}
	return Failed(err, "delete namespace "+t.Namespace)
}

func (p *Provisioner) namespace(ctx context.Context, name string) (*corev1.Namespace, error) {
	ns := &corev1.Namespace{}
	return ns, read(ctx, p.Client, "/api/v1/namespaces/"+name, metav1.ListOptions{}, ns)
}

// check reports why the namespace is not t's.
func check(ns *corev1.Namespace, t tenant.Tenant) error {
	if err := refuse(t.Namespace); err != nil {
		return err
	}
	if ns.Labels[TenantLabel] != t.Namespace || ns.Annotations[tenantAnnotation] != t.ID {
		return problem.New(problem.Conflict,
			"The namespace %s exists and is not tenant %s's. Delete it, or choose another tenant_id.", t.Namespace, t.ID)
	}
	return nil
}

// refuse reports why no tenant may have a namespace of this name.
func refuse(name string) error {
	if name == "" || name == "default" || strings.HasPrefix(name, "kube-") {
		return problem.New(problem.Conflict, "The namespace %q is the cluster's own and cannot be a tenant's.", name)
	}
	return nil
}

// claim makes sure that the namespace exists and is t's. Creating it, rather than applying it, is what makes sure that
// nobody else's is taken over.
func (p *Provisioner) claim(ctx context.Context, t tenant.Tenant, o object) error {
	if err := refuse(t.Namespace); err != nil {
		return err
	}
	ns, err := p.namespace(ctx, t.Namespace)
	if apierrors.IsNotFound(err) {
		createCtx, cancel := context.WithTimeout(ctx, CallTimeout)
		defer cancel()
		err = p.Client.Post().AbsPath("/api/v1/namespaces").Param("fieldManager", fieldManager).Body(o.body).Do(createCtx).Error()
		if err == nil {
			return nil
		}
		if !apierrors.IsAlreadyExists(err) {
			return Failed(err, "create namespace "+t.Namespace)
		}
		ns, err = p.namespace(ctx, t.Namespace)
	}
	if err != nil {
		return err
	}
	if err := check(ns, t); err != nil {
		return err
	}
	if ns.DeletionTimestamp != nil {
		return problem.New(problem.Unavailable,
			"The namespace %s is still being deleted; try again shortly.", t.Namespace).WithRetryAfter(retryAfter)
	}
	return nil
}

// functions have to do with runs; deploy/base/rbac.yaml has the role of each.
var functions = []string{"submit", "logs", "reconcile"}

// object is one document of a manifest.
type object struct {
	name string // its path on the API server
	body []byte // JSON
}

// resources are the kinds that we apply, as the API server names them in paths.
var resources = map[string]string{
	"Namespace": "namespaces", "ResourceQuota": "resourcequotas", "LimitRange": "limitranges", "NetworkPolicy": "networkpolicies",
	"ServiceAccount": "serviceaccounts", "Secret": "secrets", "ConfigMap": "configmaps", "RoleBinding": "rolebindings",
	"WorkflowTemplate": "workflowtemplates",
}

// objects are all that a tenant's namespace holds, the namespace itself first.
func (p *Provisioner) objects(t tenant.Tenant, apiServer []Destination) ([]object, error) {
	repository, err := p.Store.repository(t.Namespace)
	if err != nil {
		return nil, err
	}
	destinations, err := p.Store.Destinations()
	if err != nil {
		return nil, err
	}
	jobs := t.Limits.MaxConcurrentJobs
	var manifest bytes.Buffer
	err = tenantPage.Execute(&manifest, struct {
		tenant.Tenant
		CPU, Memory, Pods      string
		Home                   string
		Functions              []string
		APIServer, ObjectStore []Destination
		Store                  ObjectStore
		Repository             string
	}{
		Tenant: t,
		// Twice what the gate admits: the end of a run is on record some seconds before its pod is gone, and the next may start.
		CPU:       fmt.Sprintf("%dm", 2*(t.Limits.MaxCPU*1000+jobs*besideSUMO*agentMilliCPU)),
		Memory:    fmt.Sprintf("%dMi", 2*(t.Limits.MaxMemoryGi<<10+jobs*besideSUMO*agentMebibytes)),
		Pods:      strconv.Itoa(2 * jobs),
		Home:      p.Home,
		Functions: functions,
		APIServer: apiServer, ObjectStore: destinations, Store: p.Store, Repository: repository,
	})
	if err != nil {
		return nil, fmt.Errorf("writing the manifest of tenant %s: %w", t.ID, err)
	}
	for _, template := range p.Templates {
		text, err := template(t.Namespace)
		if err != nil {
			return nil, err
		}
		manifest.WriteString("\n---\n")
		manifest.Write(text)
	}
	return parse(manifest.Bytes())
}

// What each container beside SUMO's needs: Argo's two, of which one has ended when the others begin, and the keeper of results. One of them
// downloads or uploads in parts of a few MiB and needs some 50 MiB itself; the tenth of a core keeps a gigabit line busy.
const (
	besideSUMO     = 2
	agentMilliCPU  = 100
	agentMebibytes = 256
)

// AgentCPU is the CPU request of each container beside SUMO's, in Kubernetes' notation.
func AgentCPU() string { return fmt.Sprintf("%dm", agentMilliCPU) }

// AgentMemory is their memory request.
func AgentMemory() string { return fmt.Sprintf("%dMi", agentMebibytes) }

// parse reads a manifest of several documents.
func parse(manifest []byte) ([]object, error) {
	var objects []object
	for _, document := range bytes.Split(manifest, []byte("\n---\n")) {
		body, err := yaml.YAMLToJSONStrict(document)
		if err != nil {
			return nil, fmt.Errorf("reading a manifest: %w", err)
		}
		var o struct {
			APIVersion, Kind string
			Metadata         struct{ Name, Namespace string }
		}
		if err := json.Unmarshal(body, &o); err != nil {
			return nil, fmt.Errorf("reading a manifest: %w", err)
		}
		resource, known := resources[o.Kind]
		if !known {
			return nil, fmt.Errorf("reading a manifest: no path is known for kind %q", o.Kind)
		}
		name := "/apis/" + o.APIVersion
		if !strings.Contains(o.APIVersion, "/") {
			name = "/api/" + o.APIVersion
		}
		if o.Metadata.Namespace != "" {
			name += "/namespaces/" + o.Metadata.Namespace
		}
		objects = append(objects, object{name: name + "/" + resource + "/" + o.Metadata.Name, body: body})
	}
	return objects, nil
}

// apply restores the object's required state. What others have added beside our fields stays.
func (p *Provisioner) apply(ctx context.Context, o object) error {
	ctx, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()
	err := p.Client.Patch(types.ApplyYAMLPatchType).AbsPath(o.name).
		Param("fieldManager", fieldManager).Param("force", "true").Body(o.body).Do(ctx).Error()
	return Failed(err, "apply "+o.name)
}

// apiServer asks the cluster where its API server is. Policies see the address behind the Service, not the Service's.
func (p *Provisioner) apiServer(ctx context.Context) ([]Destination, error) {
	var list discoveryv1.EndpointSliceList
	err := read(ctx, p.Client, "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
		metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=kubernetes"}, &list)
	if err != nil {
		return nil, err
	}
	var found []Destination
	for _, slice := range list.Items {
		for _, endpoint := range slice.Endpoints {
			for _, address := range endpoint.Addresses {
				for _, port := range slice.Ports {
					cidr, err := hostCIDR(address)
					if err != nil {
						return nil, fmt.Errorf("reading the API server's address: %w", err)
					}
					if port.Port != nil { // nil for any port, which an API server never has
						found = append(found, Destination{CIDR: cidr, Port: int(*port.Port)})
					}
				}
			}
		}
	}
	if len(found) == 0 {
		return nil, errors.New("the Service kubernetes has no endpoints, so that the API server's address is unknown")
	}
	return found, nil
}

func hostCIDR(address string) (string, error) {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return "", err
	}
	return netip.PrefixFrom(ip, ip.BitLen()).String(), nil
}

const awsEndpoint = "https://s3.amazonaws.com"

// An object store with a public name has public addresses, which change. Policies match addresses, not names, so runs may
// connect to every public address on the store's port, and to no private one.
const (
	publicV4 = "0.0.0.0/0"
	// publicV6 is IPv6's global unicast space. Loopback, link-local, private and NAT64 addresses are outside it.
	publicV6 = "2000::/3"
)

var (
	privateV4 = []string{
		"0.0.0.0/8",        // this network
		"10.0.0.0/8",       // private
		"100.64.0.0/10",    // carriers' NAT; pods on some clouds, Alibaba's metadata
		"127.0.0.0/8",      // loopback
		"168.63.129.16/32", // Azure's platform, which hands out nodes' settings
		"169.254.0.0/16",   // link-local; the metadata of most clouds, which hands out nodes' credentials
		"172.16.0.0/12",    // private
		"192.0.0.0/24",     // protocol assignments; Oracle's metadata
		"192.168.0.0/16",   // private
		"198.18.0.0/15",    // benchmarks; pods of some clusters
		"224.0.0.0/3",      // multicast, and class E, which GKE gives to pods
	}
	// privateV6 are the tunnels that carry IPv4 addresses within public ones: Teredo and 6to4.
	privateV6 = []string{"2001::/32", "2002::/16"}
)

func (s ObjectStore) url() (*url.URL, error) {
	text := s.Endpoint
	if text == "" {
		text = awsEndpoint
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("the object store's endpoint for pods is %q; it must be an http or https URL", s.Endpoint)
	}
	return u, nil
}

// Destinations are where pods must be allowed to connect to reach the store: its CIDRs, or its address when the endpoint is
// one, or the namespace of a Service, or else every public address. A Service must have the same port as its pods, since
// policies match the pods' port. An endpoint that is not a URL, or whose host has no dot, is an error.
func (s ObjectStore) Destinations() ([]Destination, error) {
	u, err := s.url()
	if err != nil {
		return nil, err
	}
	port := map[string]int{"http": 80, "https": 443}[u.Scheme]
	if u.Port() != "" {
		if port, err = strconv.Atoi(u.Port()); err != nil {
			return nil, fmt.Errorf("the object store's port: %w", err)
		}
	}
	if len(s.CIDRs) > 0 {
		var all []Destination
		for _, cidr := range s.CIDRs {
			all = append(all, Destination{CIDR: cidr.Masked().String(), Port: port})
		}
		return all, nil
	}
	host := strings.TrimSuffix(u.Hostname(), ".")
	if cidr, err := hostCIDR(host); err == nil {
		return []Destination{{CIDR: cidr, Port: port}}, nil
	}
	if service, ok := strings.CutSuffix(strings.TrimSuffix(host, ".cluster.local"), ".svc"); ok {
		namespace := service[strings.LastIndexByte(service, '.')+1:]
		return []Destination{{Namespace: namespace, Port: port}}, nil
	}
	if !strings.Contains(host, ".") {
		return nil, fmt.Errorf("the object store's host %q resolves differently in each namespace: "+
			"write S3_ENDPOINT as http://SERVICE.NAMESPACE.svc.cluster.local:PORT, or set S3_CIDRS", host)
	}
	return []Destination{{CIDR: publicV4, Except: privateV4, Port: port}, {CIDR: publicV6, Except: privateV6, Port: port}}, nil
}

// repository is Argo's description of the store, as YAML.
func (s ObjectStore) repository(namespace string) (string, error) {
	u, err := s.url()
	if err != nil {
		return "", err
	}
	s3 := map[string]any{
		"endpoint": u.Host, "insecure": u.Scheme == "http", "bucket": s.Bucket, "region": s.Region,
		// Our templates name every key; this is for anyone else's workflows.
		"keyFormat": artifact.ResultPrefix + namespace + "/{{workflow.name}}/{{pod.name}}",
	}
	if s.AccessKey == "" {
		s3["useSDKCreds"] = true
	} else {
		s3["accessKeySecret"] = map[string]string{"name": "object-store", "key": "access-key"}
		s3["secretKeySecret"] = map[string]string{"name": "object-store", "key": "secret-key"}
	}
	text, err := yaml.Marshal(map[string]any{"s3": s3})
	if err != nil {
		return "", fmt.Errorf("writing the artifact repository: %w", err)
	}
	return string(text), nil
}
