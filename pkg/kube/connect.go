// Package kube manages the cluster around the runs: tenants' namespaces with their limits, nodes, warm-up pods, and pod
// logs.
//
// It speaks to the API server in JSON through client-go's REST client and decodes what it needs into structs of its own.
// The typed clients would bring every kind of Kubernetes into a process that starts from zero in milliseconds.
package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

const (
	// qps and burst replace client-go's 5 a second, with which a thousand jobs would take three minutes to dispatch. An
	// API server protects itself (priority and fairness); these only keep one process of ours from being the one
	// that it throttles.
	qps   = 50
	burst = 100
	// callTimeout bounds a call that is no stream. The API server itself ends calls after a minute.
	callTimeout = 30 * time.Second
	// retryAfter is how long an API server usually needs to come back from a restart.
	retryAfter = 5 * time.Second
)

// Connection says how to reach the cluster.
type Connection struct {
	// Kubeconfig is a file; empty inside a cluster, where the pod's own service account is used.
	Kubeconfig string
	UserAgent  string
	// Wrap may put something around the transport of every request; nil leaves it as it is.
	Wrap func(http.RoundTripper) http.RoundTripper
}

// Connect prepares a client. It makes no connection yet.
func Connect(c Connection) (*rest.RESTClient, error) {
	var cfg *rest.Config
	var err error
	if c.Kubeconfig == "" {
		cfg, err = rest.InClusterConfig()
	} else {
		cfg, err = clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
			&clientcmd.ClientConfigLoadingRules{ExplicitPath: c.Kubeconfig}, &clientcmd.ConfigOverrides{}).ClientConfig()
	}
	if err != nil {
		return nil, fmt.Errorf("finding the cluster: %w", err)
	}
	cfg.UserAgent = c.UserAgent
	if c.Wrap != nil {
		cfg.Wrap(c.Wrap)
	}
	return Client(cfg)
}

// Client prepares a client of the API server that cfg names.
func Client(cfg *rest.Config) (*rest.RESTClient, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.QPS, cfg.Burst = qps, burst
	// The one kind that the client itself decodes is Status, as which the API server reports failures.
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	cfg.ContentConfig = rest.ContentConfig{
		AcceptContentTypes: runtime.ContentTypeJSON, ContentType: runtime.ContentTypeJSON,
		NegotiatedSerializer: serializer.NewCodecFactory(scheme).WithoutConversion(),
	}
	client, err := rest.UnversionedRESTClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("preparing the client of the cluster: %w", err)
	}
	return client, nil
}

// read gets path into v.
func read(ctx context.Context, client rest.Interface, path string, query map[string]string, v any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	request := client.Get().AbsPath(path)
	for name, value := range query {
		request = request.Param(name, value)
	}
	body, err := request.Do(ctx).Raw()
	if err != nil {
		return failed(err, "read "+path)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("decode %s: %w", path, err)
	}
	return nil
}

// failed turns an error of the API server into ours; nil stays nil. What was tried goes into the text, for the log.
func failed(err error, tried string) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s: %w", tried, err)
	var network net.Error
	switch {
	case apierrors.IsNotFound(err):
		return problem.Wrap(err, problem.NotFound, "The cluster does not have it.")
	case apierrors.IsServerTimeout(err), apierrors.IsTimeout(err), apierrors.IsTooManyRequests(err), apierrors.IsServiceUnavailable(err),
		apierrors.IsInternalError(err), errors.As(err, &network), errors.Is(err, context.DeadlineExceeded):
		return problem.Wrap(err, problem.Unavailable, "The cluster is not available; try again shortly.").WithRetryAfter(retryAfter)
	default:
		return err
	}
}

// Ping reports whether the API server answers this process.
func Ping(client rest.Interface) func(context.Context) error {
	return func(ctx context.Context) error {
		code := 0
		err := client.Get().AbsPath("/version").MaxRetries(0).Do(ctx).StatusCode(&code).Error()
		if err == nil && code != http.StatusOK {
			err = fmt.Errorf("status %d", code)
		}
		return failed(err, "reach the API server")
	}
}
