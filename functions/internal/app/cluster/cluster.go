// Package cluster adds Kubernetes and Argo to the parts from which functions are assembled. It stands apart from
// package app so that one machine's program holds neither.
package cluster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"github.com/sumo-k8/sumo-k8/functions/internal/app"
	"github.com/sumo-k8/sumo-k8/pkg/config"
	"github.com/sumo-k8/sumo-k8/pkg/engine/argo"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/kube"
	"github.com/sumo-k8/sumo-k8/pkg/reconcile"
	"github.com/sumo-k8/sumo-k8/pkg/store/postgres"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// Add adds the parts of the cluster that the selected function needs and has rights for (see deploy).
func Add(parts *app.Parts) (stop func(), err error) {
	cfg := parts.Config
	if cfg.Target == "status" {
		return func() {}, nil // it needs nothing from the cluster and has no rights there, so its pods hold no token either
	}
	client, err := kube.Connect(kube.Connection{Kubeconfig: cfg.Kubeconfig, UserAgent: "sumo-k8-" + cfg.Target, Wrap: parts.Trace.Transport})
	if err != nil {
		return nil, err
	}
	cluster := kube.Cluster{Client: client}
	stop = func() {}
	switch cfg.Target {
	case "auth":
		parts.Nodes, parts.Pods = cluster.Nodes, cluster.Pods
		if parts.Provisioner, err = provisioner(cfg, client); err != nil {
			return nil, err
		}
		parts.Warmer = kube.Warmups{
			Client: client, Namespace: cfg.Namespace, Image: cfg.SumoImages[cfg.Offer(nil).Newest()], PullPolicy: cfg.PullPolicy,
			NodeSelector: cfg.NodeSelector, Tolerations: tolerations(cfg), NewID: uuid.NewString,
		}
	case "submit":
		if stop, err = addEngine(parts, client); err != nil {
			return nil, err
		}
	case "reconcile":
		if parts.Provisioner, err = provisioner(cfg, client); err != nil {
			return nil, err
		}
		if len(cfg.ReconcileCallers) > 0 {
			parts.ServiceAccount = kube.NewAccounts(client, cfg.ReconcileAudience, cfg.ReconcileCallers, time.Now).Verify
		}
		if stop, err = addEngine(parts, client); err != nil {
			return nil, err
		}
	case "logs":
		parts.Live = kube.NewLogs(client)
	}
	parts.Kubernetes = kube.Ping(client)
	return stop, nil
}

// addEngine makes jobs run as workflows.
func addEngine(parts *app.Parts, client *kube.Client) (stop func(), err error) {
	settings := argo.Config{Installation: parts.Config.Installation, PriorityClasses: priorityClasses}
	if parts.Provisioner != nil {
		settings.Provide = provide(parts.DB, parts.Provisioner)
	}
	engine, err := argo.New(settings, client, parts.Objects, time.Now, parts.Log)
	if err != nil {
		return nil, err
	}
	parts.Engine = engine
	return engine.Close, nil
}

// provide returns what provisions the tenant of a namespace ahead of its turn.
func provide(db *postgres.DB, p tenant.Provisioner) func(ctx context.Context, namespace string) error {
	return func(ctx context.Context, namespace string) error {
		all, err := db.Tenants(ctx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(t tenant.Tenant) bool { return t.Namespace == namespace })
		if i < 0 {
			return fmt.Errorf("the namespace %s is no tenant's", namespace)
		}
		return reconcile.Provision(ctx, db, p, all[i])
	}
}

// priorityClasses are those of deploy/base/priorities.yaml.
var priorityClasses = map[job.Priority]string{job.Low: "sumo-k8-low", job.Normal: "sumo-k8-normal", job.High: "sumo-k8-high"}

// provisioner returns an error for settings that cannot make a tenant's namespace, so that a revision with them never becomes ready.
func provisioner(cfg config.Config, client rest.Interface) (*kube.Provisioner, error) {
	access, secret := cfg.RunS3Keys()
	p := &kube.Provisioner{Client: client, Home: cfg.Namespace, Store: kube.ObjectStore{
		Endpoint: cfg.S3Endpoint, Region: cfg.S3Region, Bucket: cfg.S3Bucket, AccessKey: access, SecretKey: secret,
		CIDRs: cfg.S3CIDRs,
	}}
	if _, err := p.Store.Destinations(); err != nil {
		return nil, err
	}
	for _, version := range slices.Sorted(maps.Keys(cfg.SumoImages)) {
		template := argo.Template{
			Version: version, Image: cfg.SumoImages[version], PullPolicy: cfg.PullPolicy,
			NodeSelector: nodeSelector(cfg, version), Tolerations: tolerations(cfg), PodSpecPatch: cfg.PodSpecPatch,
			Store: p.Store, Confinement: cfg.Confinement, Unpacked: cfg.MaxUnpackedMiB << 20, Output: cfg.MaxOutputMiB << 20,
		}
		p.Templates = append(p.Templates, template.Manifest)
		if image := cfg.ControllerImages[version]; image != "" {
			template.Programs, template.Image = true, image
			template.NodeSelector = maps.Clone(template.NodeSelector)
			if template.NodeSelector == nil {
				template.NodeSelector = map[string]string{}
			}
			maps.Copy(template.NodeSelector, cfg.ControllerNodeSelector)
			p.Templates = append(p.Templates, template.Manifest)
		}
	}
	return p, nil
}

// nodeSelector chooses the nodes for a version of SUMO: those that its image runs on, where the operator has not chosen an architecture.
func nodeSelector(cfg config.Config, version string) map[string]string {
	v, _ := cfg.Offer(nil).Find(version)
	if _, chosen := cfg.NodeSelector[corev1.LabelArchStable]; chosen || len(v.Architectures) != 1 {
		return cfg.NodeSelector
	}
	selector := map[string]string{corev1.LabelArchStable: v.Architectures[0]}
	maps.Copy(selector, cfg.NodeSelector)
	return selector
}

func tolerations(cfg config.Config) (all []corev1.Toleration) {
	for _, t := range cfg.Tolerations {
		all = append(all, corev1.Toleration{
			Key: t.Key, Operator: corev1.TolerationOperator(t.Operator), Value: t.Value, Effect: corev1.TaintEffect(t.Effect),
		})
	}
	return all
}
