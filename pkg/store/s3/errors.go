package s3

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// retryAfter is how long a store usually needs to come back from a restart or a burst of load.
const retryAfter = 5 * time.Second

// failed turns an error of the SDK into ours; nil stays nil. What was tried goes into the text, for the log.
func (s *Store) failed(err error, verb, key string) error {
	if err == nil {
		return nil
	}
	tried := fmt.Errorf("%s %s: %w", verb, key, err)
	switch {
	case apiCode(err) == "NoSuchBucket":
		return problem.Wrap(
			tried, problem.StorageRefused, "The bucket %s of the object store is missing; the operator must create it.", s.cfg.Bucket,
		)
	case full(err):
		return problem.Wrap(tried, problem.StorageRefused, artifact.StoreFull)
	case apiCode(err) == "EntityTooLarge", status(err) == http.StatusRequestEntityTooLarge:
		return problem.Wrap(tried, problem.TooLarge, "The object store rejects %s as too large; make it smaller.", key)
	case status(err) == http.StatusForbidden:
		return problem.Wrap(tried, problem.StorageRefused,
			"The object store denies this service access to the bucket %s; the operator must check the key and its permissions.", s.cfg.Bucket)
	case missing(err):
		return problem.Wrap(tried, problem.NotFound, "There is no object %s.", key)
	case unavailable(err):
		return unreachable(tried)
	default:
		return tried
	}
}

// inputFailed is failed for an object that a tenant named: the tenant can fix most failures.
func inputFailed(err error, bucket, key string) error {
	url := "s3://" + bucket + "/" + key
	tried := fmt.Errorf("read %s: %w", url, err)
	switch {
	case apiCode(err) == "NoSuchBucket":
		return problem.Wrap(tried, problem.NotFound, "There is no bucket %s; check the URL %s.", bucket, url)
	case missing(err):
		return problem.Wrap(tried, problem.NotFound, "There is no object %s; check the URL, and that its upload has finished.", url)
	case status(err) == http.StatusForbidden:
		return problem.Wrap(tried, problem.Forbidden, "We may not read %s; allow s3:GetObject on it to this service.", url)
	case apiCode(err) == "KeyTooLongError":
		// A server on a file system takes 255 bytes between two slashes, fewer than S3.
		return problem.Wrap(tried, problem.Invalid, "The key of %.200q is longer than the object store allows; check the URL.", url)
	case status(err) == http.StatusMovedPermanently:
		return problem.Wrap(tried, problem.Invalid, "The bucket %s is in another region; copy the object to a bucket in ours.", bucket)
	case unavailable(err):
		return unreachable(tried)
	default:
		return tried
	}
}

func unreachable(cause error) error {
	return problem.Wrap(cause, problem.Unavailable, "The object store is not available; try again shortly.").WithRetryAfter(retryAfter)
}

// apiCode is the error code in the store's answer, or "".
func apiCode(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// missing reports whether the store reported that the bucket or object is not there. An answer to HEAD has no body to
// distinguish the two.
func missing(err error) bool {
	switch apiCode(err) {
	case "NoSuchKey", "NoSuchBucket", "NotFound":
		return true
	}
	return false
}

// full reports whether the store has no room. There is no standard for saying so: 507 is WebDAV's, which MinIO and
// VersityGW answer on a full disk; stores with quotas answer 4xx and a code of their own.
func full(err error) bool {
	switch apiCode(err) {
	case "QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded":
		return true
	}
	return status(err) == http.StatusInsufficientStorage
}

// status is the HTTP status of the store's answer, or 0 when there was none.
func status(err error) int {
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		return response.HTTPStatusCode()
	}
	return 0
}

// unavailable reports whether the same request may succeed later without any change.
func unavailable(err error) bool {
	var send *smithyhttp.RequestSendError
	if _, ok := errors.AsType[interruption](err); ok || errors.As(err, &send) {
		return true
	}
	code := status(err)
	return code >= 500 || code == http.StatusTooManyRequests
}
