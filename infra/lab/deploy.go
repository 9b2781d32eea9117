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

// layManifests puts together what is applied: our manifests, and those that came with what we built.
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
	for place, from := range map[string]string{
		"knative-webhooks/published": filepath.Join(filepath.Dir(p["knative-controller"]), "manifests", "serving", "webhooks"),
		"argo/published":             filepath.Join(filepath.Dir(p["workflow-controller"]), "manifests"),
		"knative/published":          filepath.Join(filepath.Dir(p["knative-controller"]), "manifests"),
		"gateway-api":                filepath.Join(filepath.Dir(p["traefik"]), "gateway-api"),
		"gateway/published":          filepath.Join(l.source, "infra", "gateway"),
	} {
		err = errors.Join(err, os.CopyFS(filepath.Join(dir, place), os.DirFS(from)))
	}
	return dir, err
}

// deploy applies what runs in the cluster. What needs an answer of something else that is applied here has to wait for it
// in rollout.
func deploy(ctx context.Context, l layout, p programs) (string, error) {
	dir, err := layManifests(l, p)
	if err != nil {
		return "", err
	}
	if err := ensureNamespace(ctx, l, p, "sumo-k8"); err != nil {
		return "", err
	}
	in := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	for _, what := range [][]string{
		{"--filename", in("cluster.yaml")},
		{"--kustomize", in("argo")},
		// Kinds come before the things that are of them.
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
	} {
		if err := apply(ctx, l, p, what...); err != nil {
			return "", err
		}
	}
	return "applied", nil
}

// ensureNamespace makes a namespace that belongs to others, and leaves one that is there as it is.
func ensureNamespace(ctx context.Context, l layout, p programs, name string) error {
	return retry(ctx, func() error {
		there, err := kubectl(ctx, l, p, "", "get", "namespace", name, "--ignore-not-found", "--output", "name")
		if err == nil && there == "" {
			_, err = kubectl(ctx, l, p, "", "create", "namespace", name)
		}
		return err
	})
}

// deployments are what has to run in the cluster, by namespace.
var deployments = []struct{ namespace, name string }{
	{"kube-system", "coredns"},
	knativeWebhook,
	{"knative-serving", "activator"},
	{"knative-serving", "autoscaler"},
	{"knative-serving", "controller"},
	{"argo", "workflow-controller"},
	{"traefik", "traefik"},
}

var knativeWebhook = struct{ namespace, name string }{"knative-serving", "webhook"}

// rollout returns when everything that was applied runs.
func rollout(ctx context.Context, l layout, p programs) (string, error) {
	for _, d := range deployments {
		if _, err := kubectl(ctx, l, p, "", "--namespace", d.namespace, "rollout", "status", "deployment/"+d.name, "--timeout=120s"); err != nil {
			return "", err
		}
		if d != knativeWebhook {
			continue
		}
		// Not earlier: the webhook is asked about what is written to Knative, its own settings included.
		if err := apply(ctx, l, p, "--kustomize", filepath.Join(l.run, "manifests", "knative-webhooks")); err != nil {
			return "", err
		}
		_, err := kubectl(ctx, l, p, "", "wait", "--for=jsonpath={.webhooks[0].clientConfig.caBundle}", "--timeout=60s",
			"mutatingwebhookconfiguration/webhook.serving.knative.dev", "validatingwebhookconfiguration/validation.webhook.serving.knative.dev",
			"validatingwebhookconfiguration/config.webhook.serving.knative.dev")
		if err != nil {
			return "", err
		}
	}
	return "CoreDNS, Knative, Argo, Traefik", nil
}

// unavailable are the deployments that do not run.
func unavailable(ctx context.Context, l layout, p programs) (names []string, err error) {
	const available = `{range .items[?(@.status.availableReplicas)]}{.metadata.namespace}/{.metadata.name}{"\n"}{end}`
	there, err := kubectl(ctx, l, p, "", "get", "deployments", "--all-namespaces", "--output", "jsonpath="+available)
	if err != nil {
		return nil, err
	}
	for _, d := range deployments {
		if name := d.namespace + "/" + d.name; !slices.Contains(strings.Fields(there), name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// apply makes the cluster have what the manifests say.
func apply(ctx context.Context, l layout, p programs, what ...string) error {
	args := append([]string{"apply", "--server-side", "--force-conflicts", "--field-manager", "lab"}, what...)
	return retry(ctx, func() error {
		_, err := kubectl(ctx, l, p, "", args...)
		return err
	})
}

// retry repeats what fails while the API server still makes its built-in objects.
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
