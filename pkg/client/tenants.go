package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Tenant is a tenant as the operator sees it.
type Tenant struct {
	Document
	ID           string    `json:"tenant_id"`
	Namespace    string    `json:"namespace"`
	APIKey       string    `json:"api_key"` // the key itself when it has just been issued; otherwise its beginning
	MaxCPU       int       `json:"max_cpu"`
	MaxMemoryGi  int       `json:"max_memory_gi"`
	MaxJobs      int       `json:"max_concurrent_jobs"`
	InputBuckets []string  `json:"input_buckets"`
	SumoVersion  string    `json:"default_sumo_version"` // of jobs that name none; empty for the newest
	Controllers  bool      `json:"controllers"`          // whether its jobs may run programs and tools
	CreatedAt    time.Time `json:"created_at"`
}

// Limits are a tenant's limits. Nil ones keep their value, or get the service's default.
type Limits struct {
	MaxCPU       *int      `json:"max_cpu,omitempty"`
	MaxMemoryGi  *int      `json:"max_memory_gi,omitempty"`
	MaxJobs      *int      `json:"max_concurrent_jobs,omitempty"`
	InputBuckets *[]string `json:"input_buckets,omitempty"`
	SumoVersion  *string   `json:"default_sumo_version,omitempty"`
	Controllers  *bool     `json:"controllers,omitempty"`
}

// Register creates a tenant. Only the answer holds its key.
func (c *Client) Register(ctx context.Context, tenantID string, l Limits) (t Tenant, err error) {
	b, err := jsonBody(struct {
		TenantID string `json:"tenant_id"`
		Limits
	}{tenantID, l})
	if err != nil {
		return t, err
	}
	err = c.call(ctx, request{method: http.MethodPost, path: "/auth/register", admin: true, body: b}, &t)
	return t, err
}

// NewKey issues a new key for a tenant. Its earlier ones stop working at once.
func (c *Client) NewKey(ctx context.Context, tenantID string) (t Tenant, err error) {
	b, err := jsonBody(map[string]string{"tenant_id": tenantID})
	if err != nil {
		return t, err
	}
	err = c.call(ctx, request{method: http.MethodPost, path: "/auth/regenerate-key", admin: true, body: b}, &t)
	return t, err
}

// TenantList is all tenants.
type TenantList struct {
	Document
	Tenants []Tenant `json:"tenants"`
}

// Tenants lists all tenants.
func (c *Client) Tenants(ctx context.Context) (l TenantList, err error) {
	err = c.call(ctx, request{method: http.MethodGet, path: "/auth/tenants", admin: true}, &l)
	return l, err
}

// SetLimits changes a tenant's limits.
func (c *Client) SetLimits(ctx context.Context, tenantID string, l Limits) (t Tenant, err error) {
	b, err := jsonBody(l)
	if err != nil {
		return t, err
	}
	r := request{method: http.MethodPatch, path: "/auth/tenants/" + url.PathEscape(tenantID), admin: true, body: b}
	err = c.call(ctx, r, &t)
	return t, err
}

// DeleteTenant deletes a tenant with all its data. Without force, queued and running jobs prevent that.
func (c *Client) DeleteTenant(ctx context.Context, tenantID string, force bool) (d Document, err error) {
	r := request{method: http.MethodDelete, path: "/auth/tenants/" + url.PathEscape(tenantID), admin: true}
	if force {
		r.query = url.Values{"force": {"true"}}
	}
	err = c.call(ctx, r, &d)
	return d, err
}

// Dashboard is what a tenant may use and uses.
type Dashboard struct {
	Document
	TenantID string `json:"tenant_id"`
}

// Dashboard returns the caller's own.
func (c *Client) Dashboard(ctx context.Context) (d Dashboard, err error) {
	err = c.call(ctx, request{method: http.MethodGet, path: "/tenants/me/dashboard"}, &d)
	return d, err
}
