package delivery

import (
	"crypto/rand"
	"encoding/base64"
	"net/url"
	"time"
)

// Hook is a web server that wants to hear of a tenant's jobs.
type Hook struct {
	ID       string // UUIDv7
	TenantID string
	// JobID is the job whose submission named the hook (webhook_url); empty for a hook of all jobs.
	JobID  string
	URL    string
	Events []Type // sorted, without repeats
	// Labels narrow the hook to jobs that have all of them.
	Labels map[string]string
	Format Format
	// Studies also wants the events of a study's runs. Those of the study itself come without.
	Studies bool
	Enabled bool
	// Remark says why the hook was disabled by us; empty otherwise.
	Remark string
	// Secrets sign what is sent: the current one first. While a secret is being replaced, both sign.
	Secrets   []Secret
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Format is the form of the body.
type Format string

// The formats.
const (
	Standard    Format = "standard"    // {type, timestamp, data}, as Standard Webhooks (https://www.standardwebhooks.com) recommends
	CloudEvents Format = "cloudevents" // a structured CloudEvent 1.0 in JSON
)

// Secret is a key for HMAC-SHA256.
type Secret struct {
	Value string `json:"value"` // whsec_ and 32 bytes in base 64
	// ExpiresAt ends a secret that was replaced; nil for the current one.
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

// NewSecret makes the value of a secret.
func NewSecret() string {
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails
	return "whsec_" + base64.StdEncoding.EncodeToString(key[:])
}

// Receiver is what a URL leads to, without its query: what is slow or down. A web server serves many, so it is not the host.
func Receiver(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return ""
	}
	return HostOf(target) + u.EscapedPath()
}

// HostOf is the web server that a URL leads to. Hooks of single jobs share a line for each host: their URLs are too many to look after
// each.
func HostOf(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// ShortForm are the events of a hook that a submission names: its answer has said already that the job is queued.
func ShortForm() []Type { return []Type{JobFinished, JobRunning} }
