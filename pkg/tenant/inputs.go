package tenant

import (
	"regexp"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// An input bucket reads "bucket" or "bucket/prefix/". bucketPattern is S3's naming rule for buckets; the prefix ends in a
// slash so that "team/" does not open "team-secret/".
var bucketPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/([^/]+/)*)?$`)

// splitInputBucket returns the bucket and the prefix below it, which is empty where all of the bucket is open.
func splitInputBucket(text string) (bucket, prefix string) {
	bucket, prefix, _ = strings.Cut(text, "/")
	return bucket, prefix
}

// checkInputBuckets reports why a tenant cannot have buckets for its inputs; own is the service's bucket.
func checkInputBuckets(buckets []string, own string) error {
	for _, b := range buckets {
		bucket, prefix := splitInputBucket(b)
		if fault := artifact.InputKeyFault(prefix); fault != "" {
			return problem.New(problem.Invalid, "input_buckets has %.100q. Its prefix %s.", b, fault)
		}
		if !bucketPattern.MatchString(b) {
			return problem.New(problem.Invalid, "input_buckets has %.100q, which is neither a bucket name nor bucket/prefix/ with a "+
				"slash at its end.", b)
		}
		if bucket == own {
			return problem.New(problem.Invalid, "input_buckets has %.100q. The bucket %s is this service's own, with every tenant's "+
				"data, and cannot be opened to a tenant; copy the inputs to another bucket.", b, bucket)
		}
	}
	return nil
}

// MayRead reports whether an s3:// input of t may come from this object. A key that means another object to some servers
// is always refused.
func (t Tenant) MayRead(bucket, key string) bool {
	if artifact.InputKeyFault(key) != "" {
		return false
	}
	for _, allowed := range t.InputBuckets {
		if name, prefix := splitInputBucket(allowed); name == bucket && strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}
