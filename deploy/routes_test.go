package deploy

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/sumo-k8/sumo-k8/functions/auth"
	"github.com/sumo-k8/sumo-k8/functions/logs"
	"github.com/sumo-k8/sumo-k8/functions/reconcile"
	"github.com/sumo-k8/sumo-k8/functions/status"
	"github.com/sumo-k8/sumo-k8/functions/submit"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
)

// operation is one that a function serves.
type operation struct {
	function string
	// checksAdminKey says whether the operator's key opens the operation.
	checksAdminKey bool
}

// operations returns what the functions serve, by method and path.
func operations() map[[2]string]operation {
	served := map[[2]string]operation{}
	for name, register := range map[string]func(huma.API){
		"auth": (&auth.Function{}).Register, "submit": (&submit.Function{Scenarios: &scenario.Intake{}}).Register,
		"status": (&status.Function{}).Register, "logs": (&logs.Function{}).Register, "reconcile": (&reconcile.Function{}).Register,
	} {
		api := rest.NewAPI(http.NewServeMux(), rest.Keys{})
		register(api)
		for path, item := range api.OpenAPI().Paths {
			for method, op := range map[string]*huma.Operation{
				"GET": item.Get, "POST": item.Post, "PUT": item.Put, "PATCH": item.Patch, "DELETE": item.Delete,
			} {
				if op != nil {
					admin := slices.ContainsFunc(op.Security, func(scheme map[string][]string) bool { return scheme[string(rest.Admin)] != nil })
					served[[2]string{method, path}] = operation{function: name, checksAdminKey: admin}
				}
			}
		}
	}
	return served
}

// rank orders matches as the Gateway API does: an exact path, then the longest prefix, then a method. The API leaves the rank
// of regular expressions open; as our manifest says, they come before prefixes.
func rank(m gatewayv1.HTTPRouteMatch) int {
	rank := len(*m.Path.Value) * 10
	switch *m.Path.Type {
	case gatewayv1.PathMatchExact:
		rank += 1_000_000
	case gatewayv1.PathMatchRegularExpression:
		rank += 100_000
	}
	if m.Method != nil {
		rank++
	}
	return rank
}

func matches(m gatewayv1.HTTPRouteMatch, method, path string) bool {
	if m.Method != nil && string(*m.Method) != method {
		return false
	}
	switch value := *m.Path.Value; *m.Path.Type {
	case gatewayv1.PathMatchExact:
		return path == value
	case gatewayv1.PathMatchRegularExpression:
		return regexp.MustCompile(`^(?:` + value + `)$`).MatchString(path)
	default: // a prefix counts whole segments
		return value == "/" || path == value || strings.HasPrefix(path, strings.TrimSuffix(value, "/")+"/")
	}
}

// reached returns the function that a request is routed to; empty for none.
func reached(routes []*gatewayv1.HTTPRoute, method, path string) string {
	best, function := -1, ""
	for _, route := range routes {
		for _, rule := range route.Spec.Rules {
			for _, m := range rule.Matches {
				if r := rank(m); r > best && matches(m, method, path) {
					host := string(*rule.Filters[0].URLRewrite.Hostname)
					best, function = r, strings.TrimSuffix(host, ".sumo-k8.svc.cluster.local")
				}
			}
		}
	}
	return function
}

func TestEachOperationReachesTheFunctionThatServesIt(t *testing.T) {
	t.Parallel()
	served := operations()
	if len(served) < 40 {
		t.Fatalf("the functions have only %d operations", len(served))
	}
	variable := regexp.MustCompile(`\{[^}]+\}`)
	for _, i := range all(t) {
		routes := of[gatewayv1.HTTPRoute](i)
		for call, operation := range served {
			method, path := call[0], variable.ReplaceAllString(call[1], "01a205c4-bcb6-78c2-ba85-cff183741aa4")
			function := operation.function
			want := function
			if function == "reconcile" {
				want = "status" // which does not know the path
			}
			methods := []string{method}
			if method == "GET" {
				methods = append(methods, "HEAD")
			}
			for _, method := range methods {
				for _, path := range []string{path, path + "/"} { // the function itself redirects from the slash
					if got := reached(routes, method, path); got != want {
						t.Errorf("%s: %s %s reaches %q; %s serves it", i.name, method, path, got, function)
					}
				}
			}
		}
		for _, path := range []string{
			"/", "/ui/index.js", "/docs", "/openapi.json", "/health", "/ready", "/metrics", "/reconcile", "/reconcile/", "/jobsandmore",
			"/jobs/x/logs/other",
		} {
			for _, method := range []string{"GET", "POST", "OPTIONS"} {
				if got := reached(routes, method, path); got == "reconcile" || method == "GET" && got != "status" {
					t.Errorf("%s: %s %s reaches %q", i.name, method, path, got)
				}
			}
		}
	}
}

// Defaults that the API server fills into a list would differ each time the list is applied.
func TestRoutesAreWrittenOut(t *testing.T) {
	t.Parallel()
	for _, i := range all(t) {
		gateways := of[gatewayv1.Gateway](i)
		if len(gateways) != 1 || gateways[0].Spec.GatewayClassName == "sumo-k8" {
			t.Errorf("%s: the class of the gateway is not chosen: choose a component of deploy/components/ingress", i.name)
		}
		for _, l := range gateways[0].Spec.Listeners {
			if l.AllowedRoutes == nil || l.AllowedRoutes.Namespaces == nil || l.AllowedRoutes.Namespaces.From == nil {
				t.Errorf("%s: the listener %s leaves open whose routes it takes", i.name, l.Name)
			}
			if l.TLS != nil && (l.TLS.Mode == nil || l.TLS.CertificateRefs[0].Group == nil || l.TLS.CertificateRefs[0].Kind == nil) {
				t.Errorf("%s: the listener %s leaves out members of tls", i.name, l.Name)
			}
		}
		for _, route := range of[gatewayv1.HTTPRoute](i) {
			for _, p := range route.Spec.ParentRefs {
				if p.Group == nil || p.Kind == nil || string(p.Name) != gateways[0].Name {
					t.Errorf("%s: a parent is %+v", i.name, p)
				}
			}
			for n, rule := range route.Spec.Rules {
				for _, m := range rule.Matches {
					if m.Path == nil || m.Path.Type == nil || m.Path.Value == nil {
						t.Errorf("%s: rule %d leaves out members of a match", i.name, n)
					}
				}
				for _, b := range rule.BackendRefs {
					if b.Group == nil || b.Kind == nil || b.Weight == nil || b.Port == nil || b.Name == "knative-local" ||
						*b.Namespace == "knative-ingress" {
						t.Errorf("%s: rule %d leads to %+v", i.name, n, b)
					}
				}
			}
		}
	}
}
