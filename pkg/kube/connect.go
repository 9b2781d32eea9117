// Package kube manages the cluster around the runs: tenants' namespaces with their limits, nodes, warm-up pods, and pod
// logs.
//
// It reads and writes Kubernetes' own types through client-go's REST client. The typed clients import every kind of every
// group: the program would be a quarter larger, and take 10 ms longer from its start to the first answer.
package kube

import (
	"context"
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
	"k8s.io/client-go/tools/pager"
	"k8s.io/client-go/util/flowcontrol"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

const (
	// qps and burst replace client-go's 5 a second, with which a thousand jobs would take three minutes to dispatch. An
	// API server protects itself (priority and fairness); these only keep one process of ours from being the one
	// that it throttles.
	qps   = 50
	burst = 100
	// CallTimeout bounds a call that is no stream. The API server itself ends calls after a minute.
	CallTimeout = 30 * time.Second
	// retryAfter is how long an API server usually needs to come back from a restart.
	retryAfter = 5 * time.Second
)

// Connection is how to reach the cluster.
type Connection struct {
	// Kubeconfig is a file; empty inside a cluster, where the pod's own service account is used.
	Kubeconfig string
	UserAgent  string
	// Wrap may wrap the transport of every request; nil leaves it as it is.
	Wrap func(http.RoundTripper) http.RoundTripper
}

// Client speaks to the API server.
type Client struct {
	rest.Interface // of no group: its paths are absolute
	// Config is for typed clients of one group, which share the connection and the limit of requests.
	Config *rest.Config
}

// Connect prepares a client. It makes no connection yet.
func Connect(c Connection) (*Client, error) {
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
	return NewClient(cfg)
}

// version is that of what every group has in common: lists, their options, and failures.
var version = schema.GroupVersion{Version: "v1"}

// scheme has no kinds of its own: the client decodes into what it is given.
var scheme = func() *runtime.Scheme {
	s := runtime.NewScheme()
	metav1.AddToGroupVersion(s, version)
	return s
}()

var parameters = runtime.NewParameterCodec(scheme)

// NewClient prepares a client of the API server that cfg names.
func NewClient(cfg *rest.Config) (*Client, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.RateLimiter = flowcontrol.NewTokenBucketRateLimiter(qps, burst)
	cfg.ContentConfig = rest.ContentConfig{
		AcceptContentTypes: runtime.ContentTypeJSON, ContentType: runtime.ContentTypeJSON,
		NegotiatedSerializer: serializer.NewCodecFactory(scheme).WithoutConversion(),
	}
	client, err := rest.UnversionedRESTClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("preparing the client of the cluster: %w", err)
	}
	return &Client{client, cfg}, nil
}

// read gets path into v; options choose from a list.
func read(ctx context.Context, client rest.Interface, path string, options metav1.ListOptions, v runtime.Object) error {
	ctx, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()
	return Failed(client.Get().AbsPath(path).SpecificallyVersionedParams(&options, parameters, version).Do(ctx).Into(v), "read "+path)
}

// Each calls yield for each item of a list, of which page reads 500 at a time. That bounds an answer of the API server,
// and what both sides hold in memory.
func Each[T runtime.Object](ctx context.Context, options metav1.ListOptions, page pager.ListPageFunc, yield func(T)) error {
	p := pager.New(page)
	p.PageBufferSize = 0 // it reads one page ahead all the same
	return p.EachListItem(ctx, options, func(item runtime.Object) error {
		yield(item.(T))
		return nil
	})
}

// Failed turns an error of the API server into ours; nil and what is ours already stay as they are. What was tried goes
// into the text, for the log.
func Failed(err error, tried string) error {
	if problem.CodeOf(err) != problem.Internal {
		return err
	}
	err = fmt.Errorf("%s: %w", tried, err)
	var network net.Error
	switch {
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
		return Failed(err, "reach the API server")
	}
}
