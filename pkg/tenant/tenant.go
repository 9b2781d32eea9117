// Package tenant defines who may use the service: tenants, their limits and their API keys.
package tenant

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// Limits bound what a tenant's dispatched jobs may use together. Jobs beyond them wait; they are not refused.
type Limits struct {
	MaxCPU            int `json:"max_cpu"`             // cores
	MaxMemoryGi       int `json:"max_memory_gi"`       // GiB
	MaxConcurrentJobs int `json:"max_concurrent_jobs"` // jobs PENDING or RUNNING at a time
}

// DefaultLimits are those of a tenant registered without any, as the predecessor's clients expect them.
func DefaultLimits() Limits { return Limits{MaxCPU: 32, MaxMemoryGi: 128, MaxConcurrentJobs: 2} }

// Tenant is one customer, project or department.
type Tenant struct {
	ID        string
	Namespace string // the Kubernetes namespace of its jobs, and the prefix of its objects
	Limits    Limits
	// InputBuckets are the buckets ("bucket" or "bucket/prefix/") from which its s3:// inputs may be read.
	InputBuckets []string
	// DefaultSumoVersion runs the jobs that name no version of SUMO; empty for the newest.
	DefaultSumoVersion string
	// Controllers allows jobs whose scenario brings a program of its own, and tools of SUMO's, where the operator has enabled them.
	Controllers bool
	// Imported says that it comes from the predecessor, and is not another one of the same id.
	Imported  bool
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Patch changes the fields that are not nil.
type Patch struct {
	MaxCPU            *int
	MaxMemoryGi       *int
	MaxConcurrentJobs *int
	InputBuckets      *[]string
	// DefaultSumoVersion "" goes back to the newest.
	DefaultSumoVersion *string
	Controllers        *bool
}

// apply returns t changed by p.
func (p Patch) apply(t Tenant) Tenant {
	set(&t.Limits.MaxCPU, p.MaxCPU)
	set(&t.Limits.MaxMemoryGi, p.MaxMemoryGi)
	set(&t.Limits.MaxConcurrentJobs, p.MaxConcurrentJobs)
	set(&t.InputBuckets, p.InputBuckets)
	set(&t.DefaultSumoVersion, p.DefaultSumoVersion)
	set(&t.Controllers, p.Controllers)
	return t
}

func set[T any](field, to *T) {
	if to != nil {
		*field = *to
	}
}

// maxIDLength of a tenant id, in characters.
const maxIDLength = 100

var idPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9 ._@-]*[A-Za-z0-9])?$`)

// CheckID reports why id cannot name a tenant, or nil.
func CheckID(id string) error {
	switch {
	case id == "":
		return problem.New(problem.Invalid, "tenant_id is missing. Give 1 to %d letters, digits, spaces, '.', '_', '@' or '-'.", maxIDLength)
	case len(id) > maxIDLength || !idPattern.MatchString(id):
		return problem.New(problem.Invalid, "tenant_id %.120q is not usable. Give 1 to %d letters, digits, spaces, '.', '_', '@' or '-', "+
			"beginning and ending with a letter or digit.", id, maxIDLength)
	}
	return nil
}

const (
	namespacePrefix = "sumo-"
	// maxNamespace is the length of a DNS label (RFC 1123), which a Kubernetes namespace must be.
	maxNamespace = 63
)

// NamespaceFor derives the namespace of the tenant called id: readable, a valid DNS label (RFC 1123), and different for
// different ids even where their readable parts agree.
func NamespaceFor(id string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(id) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else {
			b.WriteByte('-')
		}
	}
	// An id that ends as if it had a hash gets one as well: it could be the namespace of another id.
	if label := namespacePrefix + id; b.String() == id && len(label) <= maxNamespace-hashSuffix && !looksHashed.MatchString(id) {
		return label
	}
	sum := sha256.Sum256([]byte(id))
	readable := strings.TrimRight(b.String()[:min(b.Len(), maxNamespace-len(namespacePrefix)-hashSuffix)], "-")
	return namespacePrefix + readable + "-" + hex.EncodeToString(sum[:])[:hashSuffix-1]
}

// hashSuffix is the length of "-" and the hexadecimal digits that distinguish ids with the same readable form.
const hashSuffix = 9

var looksHashed = regexp.MustCompile(fmt.Sprintf(`-[0-9a-f]{%d}$`, hashSuffix-1))
