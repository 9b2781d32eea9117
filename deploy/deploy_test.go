// Package deploy tests the manifests: that they are what Kubernetes, Knative and the Gateway API take, and that they
// agree with the code that they run.
package deploy

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	psa "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	gatewayv1beta1 "sigs.k8s.io/gateway-api/apis/v1beta1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/config"
	"github.com/sumo-k8/sumo-k8/pkg/kube"
)

const ours = "sumo-k8" // the namespace, and the name of ConfigMap and Secret

var functions = []string{"auth", "submit", "status", "logs", "reconcile"}

// pingSource is the part of Eventing's kind that we use.
type pingSource struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Schedule string             `json:"schedule"`
		Sink     duckv1.Destination `json:"sink"`
	} `json:"spec"`
}

// podMonitor and prometheusRule are the parts of the Prometheus Operator's kinds that we use.
type podMonitor struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Selector            metav1.LabelSelector `json:"selector"`
		PodMetricsEndpoints []struct {
			Port        string `json:"port"`
			Path        string `json:"path"`
			Interval    string `json:"interval"`
			HonorLabels bool   `json:"honorLabels"`
			Relabelings []struct {
				SourceLabels []string `json:"sourceLabels"`
				TargetLabel  string   `json:"targetLabel"`
				Replacement  string   `json:"replacement"`
			} `json:"relabelings"`
		} `json:"podMetricsEndpoints"`
	} `json:"spec"`
}

type prometheusRule struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Groups []struct {
			Name  string `json:"name"`
			Rules []struct {
				Alert       string            `json:"alert,omitempty"`
				Record      string            `json:"record,omitempty"`
				Expr        string            `json:"expr"`
				For         string            `json:"for,omitempty"`
				Labels      map[string]string `json:"labels,omitempty"`
				Annotations map[string]string `json:"annotations,omitempty"`
			} `json:"rules"`
		} `json:"groups"`
	} `json:"spec"`
}

// kinds are all the kinds in the manifests, by apiVersion and kind.
var kinds = map[string]func() any{
	"v1 Namespace": blank[corev1.Namespace], "v1 ServiceAccount": blank[corev1.ServiceAccount], "v1 ConfigMap": blank[corev1.ConfigMap],
	"v1 Secret": blank[corev1.Secret], "v1 Service": blank[corev1.Service], "v1 PersistentVolumeClaim": blank[corev1.PersistentVolumeClaim],
	"apps/v1 Deployment": blank[appsv1.Deployment], "batch/v1 Job": blank[batchv1.Job], "batch/v1 CronJob": blank[batchv1.CronJob],
	"rbac.authorization.k8s.io/v1 Role": blank[rbacv1.Role], "rbac.authorization.k8s.io/v1 RoleBinding": blank[rbacv1.RoleBinding],
	"rbac.authorization.k8s.io/v1 ClusterRole":                         blank[rbacv1.ClusterRole],
	"rbac.authorization.k8s.io/v1 ClusterRoleBinding":                  blank[rbacv1.ClusterRoleBinding],
	"admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy":        blank[admissionv1.ValidatingAdmissionPolicy],
	"admissionregistration.k8s.io/v1 ValidatingAdmissionPolicyBinding": blank[admissionv1.ValidatingAdmissionPolicyBinding],
	"scheduling.k8s.io/v1 PriorityClass":                               blank[schedulingv1.PriorityClass],
	"networking.k8s.io/v1 NetworkPolicy":                               blank[networkingv1.NetworkPolicy],
	"serving.knative.dev/v1 Service":                                   blank[servingv1.Service],
	"sources.knative.dev/v1 PingSource":                                blank[pingSource],
	"monitoring.coreos.com/v1 PodMonitor":                              blank[podMonitor],
	"monitoring.coreos.com/v1 PrometheusRule":                          blank[prometheusRule],
	"gateway.networking.k8s.io/v1 Gateway":                             blank[gatewayv1.Gateway],
	"gateway.networking.k8s.io/v1 HTTPRoute":                           blank[gatewayv1.HTTPRoute],
	"gateway.networking.k8s.io/v1beta1 ReferenceGrant":                 blank[gatewayv1beta1.ReferenceGrant],
}

func blank[T any]() any { return new(T) }

// installation is one overlay, rendered.
type installation struct {
	name    string
	objects []any
}

// of returns the installation's objects of one type.
func of[T any](i installation) (found []*T) {
	for _, o := range i.objects {
		if o, ok := o.(*T); ok {
			found = append(found, o)
		}
	}
	return found
}

// render builds a kustomization and decodes every object into its type, refusing fields that the type does not have.
func render(t *testing.T, files filesys.FileSystem, folder string) installation {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(files, folder)
	if err != nil {
		t.Fatalf("%s: %v", folder, err)
	}
	out := installation{name: folder}
	for _, r := range built.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		kind := r.GetApiVersion() + " " + r.GetKind()
		fresh, known := kinds[kind]
		if !known {
			t.Errorf("%s: %s %s is of a kind that this test does not know", folder, kind, r.GetName())
			continue
		}
		o := fresh()
		if err := yaml.UnmarshalStrict(text, o); err != nil {
			t.Errorf("%s: %s %s: %v", folder, kind, r.GetName(), err)
			continue
		}
		out.objects = append(out.objects, o)
	}
	return out
}

// load copies the folder into memory, so that a test can add to it.
func load(t *testing.T) filesys.FileSystem {
	t.Helper()
	files := filesys.MakeFsInMemory()
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return files.WriteFile("/"+path, content)
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// bare is an installation of the base and the components that no overlay uses.
const bare = "/overlays/kourier-pingsource-and-monitoring"

var (
	renderOnce sync.Once
	rendered   []installation
)

// all are the installations of every overlay, and the bare one. Tests share them, and change nothing in them.
func all(t *testing.T) []installation {
	t.Helper()
	renderOnce.Do(func() { rendered = renderAll(t) })
	if len(rendered) == 0 {
		t.Fatal("the overlays were not rendered, as the test that tried first says")
	}
	return rendered
}

func renderAll(t *testing.T) (found []installation) {
	t.Helper()
	files := load(t)
	err := files.WriteFile(bare+"/kustomization.yaml",
		[]byte("resources: [../../base]\ncomponents: [../../components/ingress/kourier, ../../components/egress, "+
			"../../components/pingsource, ../../components/webhooks, ../../components/monitoring]\n"))
	if err != nil {
		t.Fatal(err)
	}
	overlays, err := files.ReadDir("/overlays")
	if err != nil || len(overlays) < 4 {
		t.Fatalf("the overlays are %v: %v", overlays, err)
	}
	for _, name := range overlays {
		found = append(found, render(t, files, "/overlays/"+name))
	}
	return found
}

// pods returns the templates of all pods, by their owner.
func (i installation) pods() map[string]corev1.PodTemplateSpec {
	found := map[string]corev1.PodTemplateSpec{}
	for _, s := range of[servingv1.Service](i) {
		found["function "+s.Name] = corev1.PodTemplateSpec{ObjectMeta: s.Spec.Template.ObjectMeta, Spec: s.Spec.Template.Spec.PodSpec}
	}
	for _, j := range of[batchv1.Job](i) {
		found["job "+j.Name] = j.Spec.Template
	}
	for _, j := range of[batchv1.CronJob](i) {
		found["job "+j.Name] = j.Spec.JobTemplate.Spec.Template
	}
	for _, d := range of[appsv1.Deployment](i) {
		found["deployment "+d.Name] = d.Spec.Template
	}
	return found
}

// settings returns the settings in the functions' ConfigMap.
func (i installation) settings(t *testing.T) map[string]string {
	t.Helper()
	for _, c := range of[corev1.ConfigMap](i) {
		if strings.HasPrefix(c.Name, ours+"-") {
			return c.Data
		}
	}
	t.Fatalf("%s has no settings", i.name)
	return nil
}

func TestTheFunctionsAreWhatKnativeTakes(t *testing.T) {
	t.Parallel()
	for _, i := range all(t) {
		var names []string
		for _, s := range of[servingv1.Service](i) {
			names = append(names, s.Name)
			before := s.DeepCopy()
			s.SetDefaults(apis.WithinCreate(t.Context()))
			if err := s.Validate(apis.WithinCreate(t.Context())); err != nil {
				t.Errorf("%s: %s: %v", i.name, s.Name, err)
			}
			// kubectl compares lists as a whole. Anything that Knative adds to one would differ each time.
			if diff := cmp.Diff(before.Spec.Template.Spec.Containers, s.Spec.Template.Spec.Containers); diff != "" {
				t.Errorf("%s: Knative changes the container of %s, so that applying it again is not a no-op:\n%s", i.name, s.Name, diff)
			}
			if s.Labels["networking.knative.dev/visibility"] != "cluster-local" {
				t.Errorf("%s: %s can be reached past the gateway", i.name, s.Name)
			}
		}
		slices.Sort(names)
		if want := slices.Sorted(slices.Values(functions)); !slices.Equal(names, want) {
			t.Errorf("%s has the functions %v; want %v", i.name, names, want)
		}
	}
}

func TestEveryPodIsRestricted(t *testing.T) {
	t.Parallel()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks())
	if err != nil {
		t.Fatal(err)
	}
	level := psa.LevelVersion{Level: psa.LevelRestricted, Version: psa.LatestVersion()}
	for _, i := range all(t) {
		pods := i.pods()
		if len(pods) < len(functions)+1 {
			t.Errorf("%s has the pods %v", i.name, slices.Sorted(maps.Keys(pods)))
		}
		for name, pod := range pods {
			if result := policy.AggregateCheckResults(evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec)); !result.Allowed {
				t.Errorf("%s: %s is not restricted: %s", i.name, name, result.ForbiddenDetail())
			}
			for _, c := range pod.Spec.Containers {
				if c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() {
					t.Errorf("%s: %s asks for %v", i.name, name, c.Resources)
				}
				if strings.HasSuffix(c.Image, ":latest") || !strings.Contains(c.Image, ":") {
					t.Errorf("%s: the image %s of %s is not pinned", i.name, c.Image, name)
				}
				if strings.HasPrefix(name, "function ") && c.ReadinessProbe == nil {
					t.Errorf("%s: %s has no readiness probe", i.name, name)
				}
			}
		}
	}
}

func TestAccountsAndTokensMatch(t *testing.T) {
	t.Parallel()
	for _, i := range all(t) {
		accounts := map[string]bool{}
		for _, a := range of[corev1.ServiceAccount](i) {
			accounts[a.Namespace+"/"+a.Name] = true
		}
		for _, s := range of[pingSource](i) { // Eventing creates this one
			accounts[s.Namespace+"/"+strings.ToLower(s.Name+"-oidc-sources.knative.dev-PingSource")] = true
		}
		settings := i.settings(t)
		callers := strings.Split(settings["RECONCILE_CALLERS"], ",")
		for _, caller := range callers {
			if !accounts[caller] {
				t.Errorf("%s: %s may call reconcile and does not exist", i.name, caller)
			}
		}
		scheduled := false
		for name, pod := range i.pods() {
			kind, short, _ := strings.Cut(name, " ")
			if kind == "deployment" {
				continue
			}
			if pod.Spec.ServiceAccountName != short || !accounts[ours+"/"+short] {
				t.Errorf("%s: %s has the account %q", i.name, name, pod.Spec.ServiceAccountName)
			}
			env := map[string]string{}
			for _, e := range pod.Spec.Containers[0].Env {
				env[e.Name] = e.Value
			}
			if env["FUNCTION_TARGET"] != short {
				t.Errorf("%s: %s runs %q", i.name, name, env["FUNCTION_TARGET"])
			}
			calls := slices.Contains([]string{"auth", "submit", "status", "schedule"}, short)
			if calls != (env["RECONCILE_URL"] == "http://reconcile.sumo-k8.svc.cluster.local/reconcile") {
				t.Errorf("%s: %s calls reconcile at %q", i.name, name, env["RECONCILE_URL"])
			}
			if !calls {
				continue
			}
			if !slices.Contains(callers, ours+"/"+short) {
				t.Errorf("%s: %s calls reconcile, and RECONCILE_CALLERS lacks it", i.name, name)
			}
			token := pod.Spec.Volumes[0].Projected.Sources[0].ServiceAccountToken
			mounted := pod.Spec.Containers[0].VolumeMounts[0].MountPath + "/" + token.Path
			if token.Audience != settings["RECONCILE_AUDIENCE"] || mounted != env["RECONCILE_TOKEN_FILE"] {
				t.Errorf("%s: %s has a token for %s at %s", i.name, name, token.Audience, mounted)
			}
			scheduled = scheduled || short == "schedule"
		}
		for _, s := range of[pingSource](i) {
			scheduled = true
			if *s.Spec.Sink.Audience != settings["RECONCILE_AUDIENCE"] || s.Spec.Sink.Ref.Name != "reconcile" ||
				s.Spec.Sink.URI.Path != "/reconcile" {
				t.Errorf("%s: the schedule calls %+v", i.name, s.Spec.Sink)
			}
		}
		if !scheduled {
			t.Errorf("%s has no schedule", i.name)
		}
	}
}

// The roles of auth and reconcile apply to every namespace; the policy restricts them to those of tenants.
func TestClusterWideRightsAreRestrictedToTenantNamespaces(t *testing.T) {
	t.Parallel()
	for _, i := range all(t) {
		policies, bindings := of[admissionv1.ValidatingAdmissionPolicy](i), of[admissionv1.ValidatingAdmissionPolicyBinding](i)
		if len(policies) != 1 || len(bindings) != 1 || bindings[0].Spec.PolicyName != policies[0].Name || !slices.Equal(
			bindings[0].Spec.ValidationActions, []admissionv1.ValidationAction{admissionv1.Deny},
		) {
			t.Fatalf("%s has the policies %v and the bindings %v", i.name, policies, bindings)
		}
		held := map[string]bool{}
		for _, rule := range policies[0].Spec.MatchConstraints.ResourceRules {
			for _, resource := range rule.Resources {
				for _, operation := range rule.Operations {
					held[rule.APIGroups[0]+"/"+resource+" "+string(operation)] = true
				}
			}
		}
		changing := map[string][]string{}
		for _, role := range of[rbacv1.ClusterRole](i) {
			changing[role.Name] = changes(role)
		}
		for _, binding := range of[rbacv1.ClusterRoleBinding](i) {
			for _, change := range changing[binding.RoleRef.Name] {
				if !held[change] {
					t.Errorf("%s: %s may change %s in every namespace", i.name, binding.RoleRef.Name, change)
				}
				for _, s := range binding.Subjects {
					if !strings.Contains(policies[0].Spec.MatchConditions[0].Expression, `"system:serviceaccount:`+s.Namespace+":"+s.Name+`"`) {
						t.Errorf("%s: %s may change %s in every namespace", i.name, s.Name, change)
					}
				}
			}
		}
	}
}

// changes returns what a role may change, in the form of an admission policy: "group/resource OPERATION".
func changes(role *rbacv1.ClusterRole) (all []string) {
	operations := map[string]string{
		"create": "CREATE", "patch": "UPDATE", "update": "UPDATE", "delete": "DELETE", "deletecollection": "DELETE",
	}
	for _, rule := range role.Rules {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				// Creating a token review changes nothing: it is a query.
				if operation := operations[verb]; operation != "" && resource != "tokenreviews" {
					all = append(all, rule.APIGroups[0]+"/"+resource+" "+operation)
				}
			}
		}
	}
	return all
}

// known are the variables that the code reads.
func known() map[string]bool {
	names := map[string]bool{
		"GOMEMLIMIT":          true,                                  // Go's own
		"OTEL_TRACES_SAMPLER": true, "OTEL_TRACES_SAMPLER_ARG": true, // OpenTelemetry's
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[config.Config]()) {
		names[f.Tag.Get("env")] = true
	}
	return names
}

func TestEverySettingIsOneOfTheCode(t *testing.T) {
	t.Parallel()
	names := known()
	for _, i := range all(t) {
		for name := range i.settings(t) {
			if !names[name] {
				t.Errorf("%s: the settings have %s, which nothing reads", i.name, name)
			}
		}
		for pod, spec := range i.pods() {
			if strings.HasPrefix(pod, "deployment ") {
				continue
			}
			for _, e := range spec.Spec.Containers[0].Env {
				if !names[e.Name] {
					t.Errorf("%s: %s sets %s, which nothing reads", i.name, pod, e.Name)
				}
			}
		}
	}
}

// examples are the Secrets that an overlay for a real cluster does not create itself, by name.
var examples = map[string]string{
	"sumo-k8": "secret.env.example", "sumo-k8-admin": "admin.env.example", "sumo-k8-runs": "runs.env.example",
	"sumo-k8-webhooks": "webhooks.env.example",
}

// secrets returns the settings in each Secret of our namespace: from the overlay itself, or from production's example files.
func (i installation) secrets(t *testing.T) map[string]map[string]string {
	t.Helper()
	found := map[string]map[string]string{}
	for name, file := range examples {
		text, err := os.ReadFile("overlays/production/" + file)
		if err != nil {
			t.Fatal(err)
		}
		found[name] = map[string]string{}
		for line := range strings.Lines(string(text)) {
			if setting, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, "#") {
				found[name][setting] = value
			}
		}
	}
	for _, s := range of[corev1.Secret](i) {
		if s.Namespace != ours {
			continue
		}
		found[s.Name] = map[string]string{}
		for setting, value := range s.Data {
			found[s.Name][setting] = string(value)
		}
	}
	return found
}

// used are the variables from Secrets that each function's code uses.
func (i installation) used(t *testing.T) map[string][]string {
	t.Helper()
	// All of them, and the migration, use Postgres and the object store.
	shared := []string{"DATABASE_URL", "S3_ENDPOINT", "S3_PUBLIC_ENDPOINT", "S3_REGION", "S3_BUCKET", "S3_ACCESS_KEY", "S3_SECRET_KEY"}
	uses := map[string][]string{"job migrate": shared, "job schedule": nil}
	for _, name := range functions {
		uses["function "+name] = slices.Clone(shared)
	}
	for _, operation := range operations() {
		if operation.checksAdminKey {
			uses["function "+operation.function] = append(uses["function "+operation.function], "ADMIN_KEY")
		}
	}
	// The functions that make tenants' namespaces put the runs' key into them.
	for _, binding := range of[rbacv1.ClusterRoleBinding](i) {
		for _, account := range binding.Subjects {
			if binding.RoleRef.Name == "sumo-k8-provision" {
				uses["function "+account.Name] = append(uses["function "+account.Name], "RUN_S3_ACCESS_KEY", "RUN_S3_SECRET_KEY")
			}
		}
	}
	if i.settings(t)["WEBHOOKS"] == "true" {
		uses["function reconcile"] = append(uses["function reconcile"], "WEBHOOK_SHARED_TOKEN")
	}
	return uses
}

func TestSecretsHoldWhatTheirReadersUseAndNoMore(t *testing.T) {
	t.Parallel()
	for _, i := range all(t) {
		secrets, uses := i.secrets(t), i.used(t)
		for pod, spec := range i.pods() {
			if strings.HasPrefix(pod, "deployment ") {
				continue
			}
			if len(spec.Spec.Containers) != 1 || len(spec.Spec.InitContainers) != 0 {
				t.Fatalf("%s: %s has containers that this test does not check", i.name, pod)
			}
			var got []string
			for _, from := range spec.Spec.Containers[0].EnvFrom {
				if from.SecretRef == nil {
					continue
				}
				secret, known := secrets[from.SecretRef.Name]
				if !known {
					t.Errorf("%s: %s reads the Secret %s, which nothing creates", i.name, pod, from.SecretRef.Name)
				}
				got = slices.AppendSeq(got, maps.Keys(secret))
			}
			for _, name := range got {
				if !slices.Contains(uses[pod], name) {
					t.Errorf("%s: %s is given %s, which it does not use", i.name, pod, name)
				}
			}
			for _, keys := range secrets {
				for name := range keys {
					if slices.Contains(uses[pod], name) && !slices.Contains(got, name) {
						t.Errorf("%s: %s uses %s, which it is not given", i.name, pod, name)
					}
				}
			}
			for _, volume := range spec.Spec.Volumes {
				if volume.Secret != nil {
					t.Errorf("%s: %s mounts the Secret %s", i.name, pod, volume.Secret.SecretName)
				}
			}
			for _, variable := range spec.Spec.Containers[0].Env {
				if from := variable.ValueFrom; from != nil && from.SecretKeyRef != nil && !slices.Contains(uses[pod], variable.Name) {
					t.Errorf("%s: %s is given %s, which it does not use", i.name, pod, variable.Name)
				}
			}
		}
		for name, keys := range secrets {
			for setting := range keys {
				if !known()[setting] {
					t.Errorf("%s: the Secret %s has %s, which nothing reads", i.name, name, setting)
				}
			}
		}
	}
}

// A pod may reach what the policies that select it allow together.
func TestPodsReachWhatTheyUseAndNoMore(t *testing.T) {
	t.Parallel()
	for _, i := range all(t) {
		policies := map[string]*networkingv1.NetworkPolicy{}
		for _, p := range of[networkingv1.NetworkPolicy](i) {
			if p.Namespace != ours {
				t.Errorf("%s: the policy %s is for the namespace %q", i.name, p.Name, p.Namespace)
			}
			if slices.Contains(p.Spec.PolicyTypes, networkingv1.PolicyTypeEgress) {
				policies[p.Name] = p
			}
		}
		if deny := policies["deny-egress"]; deny == nil || len(deny.Spec.Egress) > 0 ||
			len(deny.Spec.PodSelector.MatchLabels)+len(deny.Spec.PodSelector.MatchExpressions) > 0 {
			t.Fatalf("%s: traffic that no policy allows is not refused: %v", i.name, deny)
		}
		for name, pod := range i.pods() {
			kind, short, _ := strings.Cut(name, " ")
			if kind == "deployment" {
				continue
			}
			set := labels.Set(pod.Labels)
			if kind == "function" { // as Knative labels its pods
				set = labels.Merge(set, labels.Set{"serving.knative.dev/service": short})
			}
			var got []string
			for name, p := range policies {
				selector, err := metav1.LabelSelectorAsSelector(&p.Spec.PodSelector)
				if err != nil {
					t.Fatal(err)
				}
				if selector.Matches(set) {
					got = append(got, name)
				}
			}
			want := []string{"deny-egress", "allow-dns"}
			if kind == "function" {
				want = append(want, "allow-collector")
			}
			if short == "reconcile" {
				want = append(want, "allow-webhooks")
			}
			container := pod.Spec.Containers[0]
			if slices.ContainsFunc(
				container.EnvFrom, func(from corev1.EnvFromSource) bool { return from.SecretRef != nil && from.SecretRef.Name == ours },
			) {
				want = append(want, "allow-postgres", "allow-object-store")
			}
			if mounts := pod.Spec.AutomountServiceAccountToken; mounts == nil || *mounts {
				want = append(want, "allow-api-server")
			}
			if slices.ContainsFunc(container.Env, func(e corev1.EnvVar) bool { return e.Name == "RECONCILE_URL" }) {
				want = append(want, map[string]string{"function": "allow-waking", "job": "allow-schedule"}[kind])
			}
			slices.Sort(want)
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: what %s may reach (-want +got):\n%s", i.name, name, diff)
			}
		}
		// In its own namespace the gateway may reach what the routes lead to.
		ingress := string(*of[gatewayv1.HTTPRoute](i)[0].Spec.Rules[0].BackendRefs[0].Namespace)
		for _, name := range []string{"allow-waking", "allow-schedule"} {
			want := []networkingv1.NetworkPolicyEgressRule{{To: []networkingv1.NetworkPolicyPeer{inNamespace(ingress)}}}
			if diff := cmp.Diff(want, policies[name].Spec.Egress); diff != "" {
				t.Errorf("%s: %s differs from the routes (-want +got):\n%s", i.name, name, diff)
			}
		}
		// Functions and runs share the rule for the object store's address.
		endpoint := i.secrets(t)["sumo-k8"]["S3_ENDPOINT"]
		if strings.HasPrefix(i.name, "/overlays/lab") {
			endpoint = "http://10.244.0.1:7070" // of infra/lab, whose Secrets infra/deploy.sh makes
		}
		destinations, err := kube.ObjectStore{Endpoint: endpoint}.Destinations()
		if err != nil {
			t.Fatal(err)
		}
		var store []networkingv1.NetworkPolicyEgressRule
		for _, d := range destinations {
			peer := networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: d.CIDR, Except: d.Except}}
			if d.Namespace != "" {
				peer = inNamespace(d.Namespace)
			}
			port, tcp := intstr.FromInt(d.Port), corev1.ProtocolTCP
			store = append(store, networkingv1.NetworkPolicyEgressRule{
				To: []networkingv1.NetworkPolicyPeer{peer}, Ports: []networkingv1.NetworkPolicyPort{{Protocol: &tcp, Port: &port}},
			})
		}
		if diff := cmp.Diff(store, policies["allow-object-store"].Spec.Egress); diff != "" {
			t.Errorf("%s: functions and runs reach the store at %q differently (-runs +functions):\n%s", i.name, endpoint, diff)
		}
		if diff := cmp.Diff(i.receivers(t), policies["allow-webhooks"].Spec.Egress); diff != "" {
			t.Errorf("%s: reconcile reaches other receivers of webhooks than its settings allow (-settings +policy):\n%s", i.name, diff)
		}
		for _, name := range []string{"allow-postgres", "allow-api-server"} {
			if len(policies[name].Spec.Egress) == 0 && i.name != bare {
				t.Errorf("%s: %s allows no address", i.name, name)
			}
		}
	}
}

// receivers returns what reconcile must reach to send webhooks by the installation's settings.
func (i installation) receivers(t *testing.T) (rules []networkingv1.NetworkPolicyEgressRule) {
	t.Helper()
	settings := i.settings(t)
	if settings["WEBHOOKS"] != "true" {
		return nil
	}
	port := func(number int) networkingv1.NetworkPolicyPort {
		port, tcp := intstr.FromInt(number), corev1.ProtocolTCP
		return networkingv1.NetworkPolicyPort{Protocol: &tcp, Port: &port}
	}
	public, err := kube.ObjectStore{}.Destinations()
	if err != nil {
		t.Fatal(err)
	}
	open := networkingv1.NetworkPolicyEgressRule{Ports: []networkingv1.NetworkPolicyPort{port(443)}}
	if settings["WEBHOOK_HTTP"] == "true" {
		open.Ports = append(open.Ports, port(80))
	}
	for _, d := range public {
		open.To = append(open.To, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: d.CIDR, Except: d.Except}})
	}
	rules = append(rules, open)
	if allowed := settings["WEBHOOK_ALLOW"]; allowed != "" {
		inside := networkingv1.NetworkPolicyEgressRule{Ports: []networkingv1.NetworkPolicyPort{port(8099)}} // the lab's
		for network := range strings.SplitSeq(allowed, ",") {
			inside.To = append(inside.To, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: network}})
		}
		rules = append(rules, inside)
	}
	return rules
}

func inNamespace(name string) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": name}},
	}
}

// Prometheus has to scrape the port on which the functions serve metrics, and policies have to admit it.
func TestPrometheusReachesTheMetrics(t *testing.T) {
	t.Parallel()
	monitored := 0
	for _, i := range all(t) {
		port := i.settings(t)["METRICS_PORT"]
		for _, m := range of[podMonitor](i) {
			monitored++
			if got := m.Spec.PodMetricsEndpoints[0].Relabelings[0].Replacement; got != "$1:"+port {
				t.Errorf("%s: metrics are read at %s; METRICS_PORT is %s", i.name, got, port)
			}
			for _, s := range of[servingv1.Service](i) {
				for name, value := range m.Spec.Selector.MatchLabels {
					if s.Spec.Template.Labels[name] != value {
						t.Errorf("%s: %s is not among the pods that are monitored: it lacks %s=%s", i.name, s.Name, name, value)
					}
				}
			}
		}
		for _, p := range of[networkingv1.NetworkPolicy](i) {
			if p.Name == "allow-metrics" && p.Spec.Ingress[0].Ports[0].Port.String() != port {
				t.Errorf("%s: Prometheus is admitted to port %s", i.name, p.Spec.Ingress[0].Ports[0].Port)
			}
		}
		for _, reserved := range []string{"8008", "8012", "8013", "8022", "8080", "8112", "9090", "9091"} {
			if port == reserved {
				t.Errorf("%s: METRICS_PORT is %s, which is taken in every pod", i.name, port)
			}
		}
	}
	if monitored == 0 {
		t.Error("no installation is monitored")
	}
}

// The code itself must accept the settings. It reads the environment, which all tests share.
func TestTheCodeTakesTheSettings(t *testing.T) {
	for _, i := range all(t) {
		for name, value := range i.settings(t) {
			t.Setenv(name, value)
		}
		c, err := config.Load()
		if err != nil {
			t.Errorf("%s: %v", i.name, err)
			continue
		}
		trusted := func(address string) bool {
			return slices.ContainsFunc(c.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(netip.MustParseAddr(address)) })
		}
		if !trusted("127.0.0.1") {
			t.Errorf("%s: every client has one address, that of queue-proxy: it is not among TRUSTED_PROXIES", i.name)
		}
		if i.name != bare && !slices.ContainsFunc(c.TrustedProxies, func(p netip.Prefix) bool { return p.Addr().IsPrivate() }) {
			t.Errorf("%s: every client has one address, that of the gateway: TRUSTED_PROXIES lacks the network of pods", i.name)
		}
		if trusted("192.0.2.1") || trusted("192.168.1.1") {
			t.Errorf("%s: any client may claim any address: TRUSTED_PROXIES is %v", i.name, c.TrustedProxies)
		}
		for _, s := range of[servingv1.Service](i) {
			limit := time.Duration(*s.Spec.Template.Spec.TimeoutSeconds) * time.Second
			switch {
			case s.Name == "logs" && (c.StreamLimit == 0 || limit <= c.StreamLimit):
				t.Errorf("%s: Knative cuts streams after %s, and they end by themselves only after %s", i.name, limit, c.StreamLimit)
			case s.Name == "reconcile" && limit <= 2*c.Window:
				t.Errorf("%s: Knative cuts a pass of reconcile after %s; its window is %s", i.name, limit, c.Window)
			}
		}
	}
}

// Figures that several manifests have to respect.
const (
	// The memory of one upload, and of a process without any: docs/benchmarks.md.
	uploadMiB, idleMiB = 56, 30
	// Of one process: pkg/store/postgres.
	connections = 4
	// Postgres' own default of 100, less three for its superuser and a few for the migration and an operator.
	maxConnections = 90
)

func TestScalesFitMemoryAndPostgres(t *testing.T) {
	t.Parallel()
	for _, i := range all(t) {
		instances := 0
		for _, s := range of[servingv1.Service](i) {
			most, err := strconv.Atoi(s.Spec.Template.Annotations["autoscaling.knative.dev/max-scale"])
			if err != nil || most == 0 {
				t.Errorf("%s: %s may have any number of instances: %v", i.name, s.Name, err)
			}
			instances += most
			limit := s.Spec.Template.Spec.Containers[0].Resources.Limits.Memory().Value() >> 20
			if at := *s.Spec.Template.Spec.ContainerConcurrency; s.Name == "submit" && (at == 0 || idleMiB+at*uploadMiB > limit) {
				t.Errorf("%s: %d concurrent uploads do not fit into %d MiB", i.name, at, limit)
			}
			if s.Name == "reconcile" && most != 1 {
				t.Errorf("%s: reconcile has up to %d instances, but only one works at a time", i.name, most)
			}
		}
		if instances*connections > maxConnections {
			t.Errorf("%s: %d instances have %d connections to Postgres", i.name, instances, instances*connections)
		}
	}
}

func TestEveryChoiceHasItsReason(t *testing.T) {
	t.Parallel()
	choice := regexp.MustCompile(
		`^\s*(autoscaling\.knative\.dev/\S+|containerConcurrency|timeoutSeconds|responseStartTimeoutSeconds|limits|automountServiceAccountToken):`,
	)
	for _, name := range functions {
		text, err := os.ReadFile("base/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		previous := ""
		for line := range strings.Lines(string(text)) {
			if choice.MatchString(line) && !strings.HasPrefix(strings.TrimSpace(previous), "#") {
				t.Errorf("base/%s.yaml says %q without saying why", name, strings.TrimSpace(line))
			}
			previous = line
		}
	}
}

// The policy in docs/production.md for the runs' key must name the keys that runs read and write.
func TestThePolicyOfTheRunsKeyAllowsWhatRunsDo(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/production.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "<!-- runs' policy: a test compares it with the keys of objects -->\n```json\n")
	document, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("docs/production.md has no policy for the runs' key")
	}
	var got struct {
		Version   string
		Statement []struct {
			Sid, Effect, Resource string
			Action                any
		}
	}
	if err := json.Unmarshal([]byte(document), &got); err != nil {
		t.Fatal(err)
	}
	allowed := map[string]string{}
	for _, s := range got.Statement {
		if s.Effect != "Allow" {
			t.Errorf("%s has the effect %q", s.Sid, s.Effect)
		}
		allowed[s.Resource] += fmt.Sprint(s.Action)
	}
	want := map[string]string{
		"arn:aws:s3:::BUCKET/" + artifact.ScenarioPrefix + "*": "s3:GetObject",
		"arn:aws:s3:::BUCKET/" + artifact.ResultPrefix + "*":   "[s3:PutObject s3:AbortMultipartUpload]",
		"arn:aws:s3:::BUCKET/" + artifact.ChunkPrefix + "*":    "s3:GetObject",
		"arn:aws:s3:::BUCKET/" + artifact.StatePrefix + "*":    "[s3:GetObject s3:PutObject]",
	}
	if diff := cmp.Diff(want, allowed); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// The lab and kind give Argo the same settings for its own containers, so that a test on one holds for the other.
func TestArgoIsSetUpAlikeOnKindAndInTheLab(t *testing.T) {
	t.Parallel()
	executor := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, found := strings.Cut(string(text), "      executor: |\n")
		if !found {
			t.Fatalf("%s does not configure the executor", path)
		}
		var block strings.Builder
		for line := range strings.Lines(rest) {
			if !strings.HasPrefix(line, "        ") {
				break
			}
			block.WriteString(line)
		}
		return block.String()
	}
	if diff := cmp.Diff(
		executor("../infra/lab/manifests/argo/kustomization.yaml"), executor("../infra/kind/argo/kustomization.yaml"),
	); diff != "" {
		t.Errorf("-lab +kind:\n%s", diff)
	}
}
