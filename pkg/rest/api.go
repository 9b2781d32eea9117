// Package rest defines the HTTP form of the service: authorisation, answers, errors, and the OpenAPI document that
// describes them. The functions register their operations here.
package rest

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// Version of the contract, as OpenAPI's info.version.
const Version = "1.0.0"

// Access says who may call an operation.
type Access string

// Who may call.
const (
	Public Access = ""
	Tenant Access = "tenant" // a tenant's API key
	Admin  Access = "admin"  // the operator's key
	// Scheduler is for what runs beside the service in its cluster: a token of its service account, or the operator's key.
	Scheduler Access = "scheduler"
)

// Keys checks credentials.
type Keys struct {
	// TenantByKey returns the tenant for which the key with this id and hash speaks now: neither expired nor revoked. Any
	// other key is problem.Unauthorized, in the same words whatever is wrong with it.
	TenantByKey func(ctx context.Context, id string, hash []byte) (tenant.Tenant, error)
	// Admin is the operator's key. Without one, every admin call answers 503.
	Admin string
	// ServiceAccount returns the name of the service account that a token belongs to, if it may call operations for
	// Scheduler. If nil, none may.
	ServiceAccount func(ctx context.Context, token string) (name string, err error)
	// Limits say how often keys may be used and tried.
	Limits Limits
}

// NewAPI returns an API whose operations are served by mux.
func NewAPI(mux *http.ServeMux, keys Keys) huma.API {
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	config := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:   "SUMO-K8",
				Version: Version,
				Description: "Eclipse SUMO traffic simulations as a service: upload a scenario zip, get a job, watch it live, fetch results " +
					"and statistics.",
				License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
			},
			Components: &huma.Components{
				Schemas: registry,
				SecuritySchemes: map[string]*huma.SecurityScheme{
					string(Tenant): {Type: "http", Scheme: "bearer", BearerFormat: "sk-…", Description: "A tenant's API key. A key without " +
						"'Bearer' is accepted too."},
					string(Admin): {Type: "apiKey", In: "header", Name: adminHeader, Description: "The operator's key."},
					string(Scheduler): {Type: "http", Scheme: "bearer", BearerFormat: "JWT", Description: "A Kubernetes service account's " +
						"token with this service as its audience, for callers within the cluster."},
				},
			},
		},
		Formats:       map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		DefaultFormat: "application/json",
	}
	api := humago.New(mux, config)
	gate := newGate(keys)
	api.UseMiddleware(func(ctx huma.Context, next func(huma.Context)) {
		upload, whole := streams(ctx.Operation()), func() {}
		if upload {
			whole = closeUntilWhole(ctx)
		}
		authorised, err := gate.authorise(ctx)
		if err == nil {
			err = checkLength(ctx)
		}
		if err == nil {
			err = checkQuery(ctx)
		}
		if err == nil {
			err = checkNoBody(ctx)
		}
		if err == nil && upload {
			var end func()
			if end, err = gate.beginUpload(authorised, whole); err == nil {
				defer end()
			}
		}
		if err != nil {
			p := problemOf(ctx.Context(), err)
			_, w := humago.Unwrap(ctx)
			write(w, p)
			return
		}
		next(huma.WithValue(authorised, schemasKey{}, api.OpenAPI().Components.Schemas))
	})
	return api
}

// Register adds an operation that access may call. A handler's error becomes a Problem: *problem.Error as it says,
// anything else a 500 whose cause is only logged.
func Register[I, O any](api huma.API, access Access, op huma.Operation, handler func(context.Context, *I) (*O, error)) {
	statuses := slices.Concat(op.Errors, []int{
		http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusInternalServerError, http.StatusServiceUnavailable,
	})
	if access != Public {
		op.Security = []map[string][]string{{string(access): {}}}
		statuses = append(statuses, http.StatusUnauthorized, http.StatusTooManyRequests)
	}
	if access == Scheduler {
		op.Security = append(op.Security, map[string][]string{string(Admin): {}})
		statuses = append(statuses, http.StatusForbidden)
	}
	if _, ok := reflect.TypeFor[I]().FieldByName("Body"); ok {
		statuses = append(statuses, http.StatusRequestTimeout, http.StatusUnsupportedMediaType)
	}
	// huma would add statuses that we never answer with, so it gets the responses ready made.
	op.Errors = nil
	if op.Responses == nil {
		op.Responses = map[string]*huma.Response{}
	}
	for _, status := range statuses {
		if op.Responses[strconv.Itoa(status)] != nil {
			continue // the operation answers with more than a problem
		}
		op.Responses[strconv.Itoa(status)] = &huma.Response{
			Description: http.StatusText(status),
			Content: map[string]*huma.MediaType{
				"application/problem+json": {Schema: api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")},
			},
		}
	}
	huma.Register(api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handler(ctx, in)
		if err != nil {
			return nil, problemOf(ctx, err)
		}
		return out, nil
	})
}

const adminHeader = "X-Admin-Key"

type tenantKey struct{}

// TenantOf returns the tenant whose key the request carries. Only handlers of operations for Tenant may ask.
func TenantOf(ctx context.Context) tenant.Tenant {
	return ctx.Value(tenantKey{}).(tenant.Tenant)
}

func (g *gate) authorise(ctx huma.Context) (huma.Context, error) {
	security := ctx.Operation().Security
	if len(security) == 0 {
		return ctx, nil
	}
	adminKey := ctx.Header(adminHeader)
	if _, ok := security[0][string(Scheduler)]; ok && adminKey == "" && g.keys.ServiceAccount != nil {
		if token := bareKey(ctx.Header("Authorization")); token != "" {
			return ctx, g.admit(ctx, token, true, func() (string, error) {
				_, err := g.keys.ServiceAccount(ctx.Context(), token)
				return "", err
			})
		}
	}
	if _, ok := security[0][string(Tenant)]; !ok {
		return ctx, g.admit(ctx, adminKey, false, func() (string, error) { return "", g.keys.checkAdmin(adminKey) })
	}
	var t tenant.Tenant
	key := bareKey(ctx.Header("Authorization"))
	_, _, malformed := tenant.ParseKey(key)
	err := g.admit(ctx, key, malformed == nil, func() (_ string, err error) {
		t, err = g.keys.checkTenant(ctx.Context(), key)
		return t.ID, err
	})
	if err != nil {
		return nil, err
	}
	return huma.WithValue(ctx, tenantKey{}, t), nil
}

func (k Keys) checkAdmin(given string) error {
	switch {
	case k.Admin == "":
		return problem.New(problem.NotConfigured, "No admin key is configured, so admin calls are disabled. Set ADMIN_KEY where this "+
			"service runs.")
	case given == "":
		return problem.New(problem.Unauthorized, "This call is for operators. Send the admin key in the header %s.", adminHeader)
	}
	// Hashing first makes the comparison's time independent of the keys' lengths too.
	want, got := sha256.Sum256([]byte(k.Admin)), sha256.Sum256([]byte(given))
	if subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
		return problem.New(problem.Unauthorized, "This admin key is not valid.")
	}
	return nil
}

// bareKey is the key in an Authorization header, with or without the word Bearer.
func bareKey(header string) string {
	if scheme, rest, ok := strings.Cut(header, " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(rest)
	}
	return strings.TrimSpace(header)
}

func (k Keys) checkTenant(ctx context.Context, key string) (tenant.Tenant, error) {
	if key == "" {
		return tenant.Tenant{}, problem.New(problem.Unauthorized, "This call needs an API key. Send it as 'Authorization: Bearer sk-…'.")
	}
	id, hash, err := tenant.ParseKey(key)
	if err != nil {
		return tenant.Tenant{}, err
	}
	return k.TenantByKey(ctx, id, hash)
}

// Replayed is the value of the header Idempotent-Replayed, which is absent where nothing was.
func Replayed(is bool) string {
	if is {
		return "true"
	}
	return ""
}
