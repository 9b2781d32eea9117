// Package tenant defines who may use the service: tenants, their limits and their API keys.
package tenant

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
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

// LimitRanges are the least and greatest value of each limit that an operator may set.
var (
	LeastLimits    = Limits{MaxCPU: 1, MaxMemoryGi: 1, MaxConcurrentJobs: 1}
	GreatestLimits = Limits{MaxCPU: 1000, MaxMemoryGi: 5000, MaxConcurrentJobs: 200}
)

// Tenant is one customer, project or department.
type Tenant struct {
	ID        string
	Namespace string // the Kubernetes namespace of its jobs, and the prefix of its objects
	Limits    Limits
	// InputBuckets are the buckets ("bucket" or "bucket/prefix/") from which its s3:// inputs may be read.
	InputBuckets []string
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// Patch changes the fields that are not nil.
type Patch struct {
	MaxCPU            *int
	MaxMemoryGi       *int
	MaxConcurrentJobs *int
	InputBuckets      *[]string
}

// Store keeps tenants and their keys.
type Store interface {
	// CreateTenant stores t with its first key, or answers problem.Exists.
	CreateTenant(ctx context.Context, t Tenant, k Key) (Tenant, error)
	// Tenant answers problem.NotFound for an unknown id.
	Tenant(ctx context.Context, id string) (Tenant, error)
	// Tenants lists all tenants by id.
	Tenants(ctx context.Context) ([]Tenant, error)
	// UpdateTenant applies p, or answers problem.NotFound.
	UpdateTenant(ctx context.Context, id string, p Patch) (Tenant, error)
	// ReplaceKeys makes k the tenant's only key: all others stop working in the same instant.
	ReplaceKeys(ctx context.Context, tenantID string, k Key) error
	// DueTenant returns a tenant whose provision (see Provisioner) should be looked at by now, the one that has waited
	// longest; false when there is none. No other caller gets it before retry has passed. A tenant is due when it was made
	// or changed, and when the time given to Provisioned is over; one that was retired never is.
	DueTenant(ctx context.Context, retry time.Duration) (Tenant, bool, error)
	// Provisioned notes that t, as DueTenant returned it, has what it should have, and is due again after next; when t was
	// changed since, it stays due. It answers problem.NotFound when t was retired since: nobody then will look at what was
	// provided for it after that.
	Provisioned(ctx context.Context, t Tenant, next time.Duration) error
	// RetireTenant revokes all keys of the tenant, so that nothing new is accepted for it, and asks for its active jobs to
	// be cancelled. Unless force is set, a tenant with jobs waiting or running is problem.Conflict and stays as it is.
	RetireTenant(ctx context.Context, id string, force bool) (Tenant, error)
	// DeleteTenant forgets the tenant with its keys, scenarios and jobs. One that is gone already is no error.
	DeleteTenant(ctx context.Context, id string) error
	// TenantByKey returns the tenant for which the key with this id and hash speaks now: neither expired nor revoked.
	// Anything else is problem.Unauthorized, in the same words whatever is wrong.
	TenantByKey(ctx context.Context, id string, hash []byte) (Tenant, error)
	// KeyHints maps each tenant id to the first characters of its newest working key, for masked display.
	KeyHints(ctx context.Context) (map[string]string, error)
}

// Provisioner keeps what a tenant has outside of the Store: on Kubernetes its namespace, quota and policies.
type Provisioner interface {
	// Provision brings it into the state that t asks for, however it was before.
	Provision(ctx context.Context, t Tenant) error
	// Deprovision removes it. What is gone already is no error.
	Deprovision(ctx context.Context, t Tenant) error
}

// MaxIDLength of a tenant id, in characters.
const MaxIDLength = 100

var idPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9 ._@-]*[A-Za-z0-9])?$`)

// CheckID reports why id cannot name a tenant, or nil.
func CheckID(id string) error {
	switch {
	case id == "":
		return problem.New(problem.Invalid, "tenant_id is missing. Give 1 to %d letters, digits, spaces, '.', '_', '@' or '-'.", MaxIDLength)
	case len(id) > MaxIDLength || !idPattern.MatchString(id):
		return problem.New(problem.Invalid, "tenant_id %.120q is not usable. Give 1 to %d letters, digits, spaces, '.', '_', '@' or '-', "+
			"beginning and ending with a letter or digit.", id, MaxIDLength)
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

// hashSuffix is the length of "-" and the hexadecimal digits that tell apart ids with one readable form.
const hashSuffix = 9

var looksHashed = regexp.MustCompile(fmt.Sprintf(`-[0-9a-f]{%d}$`, hashSuffix-1))

// MayRead reports whether an s3:// input of t may come from this object. A key that means another object to some servers
// is always refused.
func (t Tenant) MayRead(bucket, key string) bool {
	if artifact.InputKeyFault(key) != "" {
		return false
	}
	for _, allowed := range t.InputBuckets {
		name, prefix, _ := strings.Cut(allowed, "/")
		if name == bucket && strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}
