// Package s3 keeps artifacts in S3, or in any store that speaks its protocol.
package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

const (
	// defaultRegion is what stores other than AWS expect, and where AWS itself signs by default.
	defaultRegion = "us-east-1"
	// attempts per request: one hiccup of the network is hidden, an outage is reported soon.
	// The SDK would wait up to 20 s between attempts, with the caller's own client waiting behind.
	attempts   = 3
	maxBackoff = 500 * time.Millisecond
	// dialTimeout is short: a store that does not accept a connection in this time is unreachable.
	dialTimeout = 3 * time.Second
	// answerTimeout is how long a store may take to begin its answer to a request of at most one part. With the attempts, a store
	// that hangs is reported within half a minute, while the caller's own client is still there.
	answerTimeout = 10 * time.Second
	// completeTimeout is long: completing an upload of many parts may keep a store busy before it answers.
	completeTimeout = 2 * time.Minute
	// pingTimeout keeps health checks well inside a probe's own second or two of patience.
	pingTimeout = 2 * time.Second
	// deleteBatch is the most keys that S3 takes in one request.
	deleteBatch = 1000
)

// Config names our bucket and how to reach it.
type Config struct {
	Endpoint string // base URL of the store; empty means AWS
	Region   string // empty means the environment's on AWS, otherwise us-east-1
	Bucket   string
	// AccessKey and SecretKey sign requests. Without an AccessKey the SDK's default chain is asked: environment,
	// shared files, IRSA, instance role.
	AccessKey, SecretKey string
	// PublicEndpoint is the base URL under which browsers reach the store, for presigned URLs; empty means Endpoint.
	PublicEndpoint string
	// UsePathStyle puts the bucket into the path rather than the host name, as stores without wildcard DNS need.
	UsePathStyle bool
	// Wrap may wrap the transport of every request; nil leaves it as it is.
	Wrap func(http.RoundTripper) http.RoundTripper `json:"-"`

	stall time.Duration // for tests: in place of stallTimeout
}

// Store is an artifact.Store and artifact.Inputs.
type Store struct {
	cfg Config

	mu      sync.Mutex
	api     *s3.Client
	presign *s3.PresignClient
	patient s3.HTTPClient // for the one request that may take long
}

var (
	_ artifact.Store  = (*Store)(nil)
	_ artifact.Inputs = (*Store)(nil)
)

// New checks cfg. It does no I/O: credentials are looked up at the first request.
func New(cfg Config) (*Store, error) {
	if cfg.Bucket == "" {
		return nil, errors.New("s3: no bucket is named")
	}
	if (cfg.AccessKey == "") != (cfg.SecretKey == "") {
		return nil, errors.New("s3: an access key and a secret key must be given together")
	}
	return &Store{cfg: cfg}, nil
}

// connect returns the clients for requests and for presigned URLs, which it makes at the first call.
func (s *Store) connect(ctx context.Context) (*s3.Client, *s3.PresignClient, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.api != nil {
		return s.api, s.presign, nil
	}
	opts := s3.Options{
		Region:       s.cfg.Region,
		UsePathStyle: s.cfg.UsePathStyle,
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts, o.MaxBackoff = attempts, maxBackoff
		}),
		HTTPClient: s.cfg.httpClient(answerTimeout),
		// Every body is signed with its SHA-256 already; the SDK's further checksums are unknown to many other stores.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
	}
	if s.cfg.AccessKey != "" {
		opts.Credentials = credentials.NewStaticCredentialsProvider(s.cfg.AccessKey, s.cfg.SecretKey, "")
	} else {
		loaded, err := config.LoadDefaultConfig(ctx)
		if err != nil {
			return nil, nil, problem.Wrap(err, problem.Unavailable, "The object store's credentials are not available; try again later.")
		}
		opts.Credentials = loaded.Credentials
		if opts.Region == "" {
			opts.Region = loaded.Region
		}
	}
	if opts.Region == "" {
		opts.Region = defaultRegion
	}
	if s.cfg.Endpoint != "" {
		opts.BaseEndpoint = aws.String(s.cfg.Endpoint)
	}
	s.api, s.patient = s3.New(opts), s.cfg.httpClient(completeTimeout)
	if s.cfg.PublicEndpoint != "" {
		opts.BaseEndpoint = aws.String(s.cfg.PublicEndpoint)
	}
	s.presign = s3.NewPresignClient(s3.New(opts))
	return s.api, s.presign, nil
}

func (c Config) httpClient(timeout time.Duration) s3.HTTPClient {
	stall := cmp.Or(c.stall, stallTimeout)
	client := awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = dialTimeout }).
		WithTransportOptions(func(t *http.Transport) {
			t.ResponseHeaderTimeout = timeout
			t.DialContext = limitWrites(t.DialContext, stall)
		})
	var rt http.RoundTripper = transport{client, stall}
	if c.Wrap != nil {
		rt = c.Wrap(rt)
	}
	return wrapped{rt}
}

// wrapped is what Wrap returns, as a client of the SDK.
type wrapped struct{ transport http.RoundTripper }

func (w wrapped) Do(r *http.Request) (*http.Response, error) { return w.transport.RoundTrip(r) }

// EnsureBucket makes our bucket when it is missing.
func (s *Store) EnsureBucket(ctx context.Context) error {
	api, _, err := s.connect(ctx)
	if err != nil {
		return err
	}
	_, err = api.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &s.cfg.Bucket})
	if !missing(err) {
		return s.failed(err, "look for bucket", s.cfg.Bucket)
	}
	in := &s3.CreateBucketInput{Bucket: &s.cfg.Bucket}
	if region := api.Options().Region; region != defaultRegion {
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(region)}
	}
	_, err = api.CreateBucket(ctx, in)
	if apiCode(err) == "BucketAlreadyOwnedByYou" {
		return nil // another process was faster
	}
	return s.failed(err, "create bucket", s.cfg.Bucket)
}

// Open implements artifact.Store. Reading from the object's end or beyond gives no bytes and no error.
func (s *Store) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if length == 0 {
		// HTTP has no way to ask for an empty range.
		_, err := s.Stat(ctx, key)
		return http.NoBody, err
	}
	api, _, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	in := &s3.GetObjectInput{Bucket: &s.cfg.Bucket, Key: &key}
	switch {
	case length > 0:
		in.Range = aws.String(fmt.Sprintf("bytes=%d-%d", offset, offset+length-1))
	case offset > 0:
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", offset))
	}
	out, err := api.GetObject(ctx, in)
	if apiCode(err) == "InvalidRange" {
		return http.NoBody, nil
	}
	if err != nil {
		return nil, s.failed(err, "read", key)
	}
	return content{out.Body, key}, nil
}

// OpenInput implements artifact.Inputs, with the credentials that reach our own bucket.
func (s *Store) OpenInput(ctx context.Context, bucket, key string) (io.ReadCloser, int64, error) {
	api, _, err := s.connect(ctx)
	if err != nil {
		return nil, 0, err
	}
	out, err := api.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return nil, 0, inputFailed(err, bucket, key)
	}
	return content{out.Body, "s3://" + bucket + "/" + key}, aws.ToInt64(out.ContentLength), nil
}

// Stat implements artifact.Store.
func (s *Store) Stat(ctx context.Context, key string) (artifact.Object, error) {
	api, _, err := s.connect(ctx)
	if err != nil {
		return artifact.Object{}, err
	}
	out, err := api.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.cfg.Bucket, Key: &key})
	if err != nil {
		return artifact.Object{}, s.failed(err, "look at", key)
	}
	return object(key, out.ContentLength, out.ETag, out.LastModified), nil
}

// List implements artifact.Store, a page of 1,000 objects per request.
func (s *Store) List(ctx context.Context, prefix string, yield func(artifact.Object) bool) error {
	return s.ListAfter(ctx, prefix, "", yield)
}

// ListAfter implements reconcile.Objects.
func (s *Store) ListAfter(ctx context.Context, prefix, after string, yield func(artifact.Object) bool) error {
	api, _, err := s.connect(ctx)
	if err != nil {
		return err
	}
	request := &s3.ListObjectsV2Input{Bucket: &s.cfg.Bucket, Prefix: &prefix}
	if after != "" {
		request.StartAfter = &after
	}
	pages := s3.NewListObjectsV2Paginator(api, request)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return s.failed(err, "list", prefix)
		}
		for _, o := range page.Contents {
			if !yield(object(aws.ToString(o.Key), o.Size, o.ETag, o.LastModified)) {
				return nil
			}
		}
	}
	return nil
}

func object(key string, size *int64, etag *string, modified *time.Time) artifact.Object {
	return artifact.Object{
		Key:      key,
		Size:     aws.ToInt64(size),
		ETag:     strings.Trim(aws.ToString(etag), `"`),
		Modified: aws.ToTime(modified).UTC(),
	}
}

// Delete implements artifact.Store, 1,000 keys per request. It goes on to the last key and returns what failed.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	api, _, err := s.connect(ctx)
	if err != nil {
		return err
	}
	var failures []error
	for len(keys) > 0 {
		batch := keys[:min(deleteBatch, len(keys))]
		keys = keys[len(batch):]
		ids := make([]types.ObjectIdentifier, len(batch))
		for i := range batch {
			ids[i].Key = &batch[i]
		}
		out, err := api.DeleteObjects(ctx, &s3.DeleteObjectsInput{
			Bucket: &s.cfg.Bucket,
			Delete: &types.Delete{Objects: ids, Quiet: aws.Bool(true)},
		})
		if err != nil {
			failures = append(failures, s.failed(err, "delete", batch[0]))
			continue
		}
		for _, e := range out.Errors {
			if code := aws.ToString(e.Code); code != "NoSuchKey" {
				failures = append(failures, fmt.Errorf("delete %s: %s: %s", aws.ToString(e.Key), code, aws.ToString(e.Message)))
			}
		}
	}
	return errors.Join(failures...)
}

// PresignGet implements artifact.Store. The URL names the public endpoint, for which it is signed.
func (s *Store) PresignGet(ctx context.Context, key, filename string, valid time.Duration) (string, error) {
	_, presign, err := s.connect(ctx)
	if err != nil {
		return "", err
	}
	in := &s3.GetObjectInput{Bucket: &s.cfg.Bucket, Key: &key}
	if filename != "" {
		in.ResponseContentDisposition = aws.String(artifact.Disposition(path.Base(filename)))
		// Its writer, Argo for one, may have given it another type.
		in.ResponseContentType = aws.String(artifact.ContentType(filename))
	}
	req, err := presign.PresignGetObject(ctx, in, s3.WithPresignExpires(valid))
	if err != nil {
		return "", s.failed(err, "sign a link to", key)
	}
	return req.URL, nil
}

// PresignPut implements artifact.Store. The length is a signed header: the store refuses a body of another one.
func (s *Store) PresignPut(ctx context.Context, key string, size int64, valid time.Duration) (string, error) {
	_, presign, err := s.connect(ctx)
	if err != nil {
		return "", err
	}
	req, err := presign.PresignPutObject(
		ctx, &s3.PutObjectInput{Bucket: &s.cfg.Bucket, Key: &key, ContentLength: &size}, s3.WithPresignExpires(valid),
	)
	if err != nil {
		return "", s.failed(err, "sign an upload to", key)
	}
	return req.URL, nil
}

// URL implements artifact.Store.
func (s *Store) URL(key string) string { return "s3://" + s.cfg.Bucket + "/" + key }

// Ping implements artifact.Store. It tries once, for at most two seconds.
func (s *Store) Ping(ctx context.Context) error {
	api, _, err := s.connect(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	_, err = api.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &s.cfg.Bucket}, func(o *s3.Options) { o.RetryMaxAttempts = 1 })
	if missing(err) || errors.Is(err, context.DeadlineExceeded) {
		return unreachable(fmt.Errorf("bucket %s: %w", s.cfg.Bucket, err))
	}
	return s.failed(err, "reach bucket", s.cfg.Bucket)
}
