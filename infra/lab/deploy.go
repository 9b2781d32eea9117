package main

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sumo-k8/sumo-k8/infra/lab/internal/host"
)

//go:embed manifests
var manifests embed.FS

// layManifests collects the manifests to apply: our own, and those of the components that we built.
func layManifests(l layout, p programs) (dir string, err error) {
	dir = filepath.Join(l.run, "manifests")
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	ours, err := fs.Sub(manifests, "manifests")
	if err != nil {
		return "", err
	}
	err = os.CopyFS(dir, ours)
	places := map[string]string{
		"knative-webhooks/published": filepath.Join(filepath.Dir(p["knative-controller"]), "manifests", "serving", "webhooks"),
		"argo/published":             filepath.Join(filepath.Dir(p["workflow-controller"]), "manifests"),
		"knative/published":          filepath.Join(filepath.Dir(p["knative-controller"]), "manifests"),
		"gateway-api":                filepath.Join(filepath.Dir(p["traefik"]), "gateway-api"),
		"gateway/published":          filepath.Join(l.source, "infra", "gateway"),
	}
	if l.eventing {
		published := filepath.Join(filepath.Dir(p["eventing-controller"]), "manifests")
		places["eventing/published"] = published
		places["eventing-webhooks/published"] = filepath.Join(published, "core", "webhooks")
	}
	for place, from := range places {
		err = errors.Join(err, os.CopyFS(filepath.Join(dir, place), os.DirFS(from)))
	}
	return dir, err
}

// deploy applies what runs in the cluster. Whatever depends on something else that is applied here waits for it in
// rollout.
func deploy(ctx context.Context, l layout, p programs) (string, error) {
	dir, err := layManifests(l, p)
	if err != nil {
		return "", err
	}
	if err := ensureNamespace(ctx, l, p, "sumo-k8"); err != nil {
		return "", err
	}
	in := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	steps := [][]string{
		{"--filename", in("cluster.yaml")},
		{"--kustomize", in("argo")},
		// Custom resource definitions come before their objects.
		{
			"--filename", in("knative/published/serving/300-resources"),
			"--filename", in("knative/published/networking/certificate.yaml"),
			"--filename", in("knative/published/networking/domain-claim.yaml"),
			"--filename", in("knative/published/networking/ingress.yaml"),
			"--filename", in("knative/published/networking/serverlessservice.yaml"),
			"--filename", in("knative/published/caching"),
			"--filename", in("gateway-api"),
		},
		{"--kustomize", in("knative")},
		{"--kustomize", in("gateway")},
	}
	if l.eventing {
		steps = append(steps,
			// All kinds: the controller waits for the unused ones, too.
			[]string{"--filename", in("eventing/published/core/resources")},
			[]string{"--kustomize", in("eventing")})
	}
	for _, what := range steps {
		if err := apply(ctx, l, p, what...); err != nil {
			return "", err
		}
	}
	return "applied", nil
}

// ensureNamespace makes a namespace that belongs to others, and leaves an existing one unchanged.
func ensureNamespace(ctx context.Context, l layout, p programs, name string) error {
	return retry(ctx, func() error {
		there, err := kubectl(ctx, l, p, "", "get", "namespace", name, "--ignore-not-found", "--output", "name")
		if err == nil && there == "" {
			_, err = kubectl(ctx, l, p, "", "create", "namespace", name)
		}
		return err
	})
}

// workload is a Deployment that has to run in the cluster.
type workload struct {
	namespace, name string
	// hooks are the manifests that make the API server call the workload, and configurations the webhook configurations among
	// them. They are applied once the workload answers: it checks every write to Knative, its own settings included.
	hooks          string
	configurations []string
}

// workloads are the Deployments that have to run in the cluster.
func (l layout) workloads() []workload {
	all := []workload{
		{namespace: "kube-system", name: "coredns"},
		{
			namespace: "knative-serving", name: "webhook", hooks: "knative-webhooks", configurations: []string{
				"mutatingwebhookconfiguration/webhook.serving.knative.dev", "validatingwebhookconfiguration/validation.webhook.serving.knative.dev",
				"validatingwebhookconfiguration/config.webhook.serving.knative.dev",
			},
		},
		{namespace: "knative-serving", name: "activator"},
		{namespace: "knative-serving", name: "autoscaler"},
		{namespace: "knative-serving", name: "controller"},
		{namespace: "argo", name: "workflow-controller"},
		{namespace: "traefik", name: "traefik"},
	}
	if l.eventing {
		all = append(all,
			workload{
				namespace: "knative-eventing", name: "eventing-webhook", hooks: "eventing-webhooks", configurations: []string{
					"mutatingwebhookconfiguration/webhook.eventing.knative.dev",
					"mutatingwebhookconfiguration/sinkbindings.webhook.sources.knative.dev",
					"validatingwebhookconfiguration/validation.webhook.eventing.knative.dev",
					"validatingwebhookconfiguration/config.webhook.eventing.knative.dev",
				},
			},
			workload{namespace: "knative-eventing", name: "eventing-controller"},
			workload{namespace: "knative-eventing", name: "pingsource-mt-adapter"},
		)
	}
	return all
}

// rollout returns once everything that was applied runs.
func rollout(ctx context.Context, l layout, p programs) (string, error) {
	for _, w := range l.workloads() {
		if _, err := kubectl(ctx, l, p, "", "--namespace", w.namespace, "rollout", "status", "deployment/"+w.name, "--timeout=120s"); err != nil {
			return "", err
		}
		if w.hooks == "" {
			continue
		}
		if err := apply(ctx, l, p, "--kustomize", filepath.Join(l.run, "manifests", w.hooks)); err != nil {
			return "", err
		}
		wait := []string{"wait", "--for=jsonpath={.webhooks[0].clientConfig.caBundle}", "--timeout=60s"}
		if _, err := kubectl(ctx, l, p, "", append(wait, w.configurations...)...); err != nil {
			return "", err
		}
	}
	if l.eventing {
		return "CoreDNS, Knative with Eventing, Argo, Traefik", nil
	}
	return "CoreDNS, Knative, Argo, Traefik", nil
}

// unavailable returns the deployments that do not run.
func unavailable(ctx context.Context, l layout, p programs) (names []string, err error) {
	const available = `{range .items[?(@.status.availableReplicas)]}{.metadata.namespace}/{.metadata.name}{"\n"}{end}`
	there, err := kubectl(ctx, l, p, "", "get", "deployments", "--all-namespaces", "--output", "jsonpath="+available)
	if err != nil {
		return nil, err
	}
	for _, w := range l.workloads() {
		if name := w.namespace + "/" + w.name; !slices.Contains(strings.Fields(there), name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// apply applies the manifests to the cluster.
func apply(ctx context.Context, l layout, p programs, what ...string) error {
	args := append([]string{"apply", "--server-side", "--force-conflicts", "--field-manager", "lab"}, what...)
	return retry(ctx, func() error {
		_, err := kubectl(ctx, l, p, "", args...)
		return err
	})
}

// retry repeats what fails while the API server is still creating its built-in objects.
func retry(ctx context.Context, do func() error) error {
	const within, every = 30 * time.Second, 200 * time.Millisecond
	deadline := time.Now().Add(within)
	for {
		err := do()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(every):
		}
	}
}

func kubectl(ctx context.Context, l layout, p programs, input string, args ...string) (string, error) {
	return host.Run(ctx, input, append([]string{p["kubectl"], "--kubeconfig", l.kubeconfig(admin)}, args...)...)
}
