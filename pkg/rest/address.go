package rest

import (
	"regexp"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// Address is the service's address as a caller reached it, "https://sumo.example.org". Requests embed it.
type Address struct{ base string }

// Resolve implements huma.Resolver. A gateway that gives requests another host name says in X-Forwarded-Host which they had. A caller may
// write anything there: the answer, which no cache keeps, then has links of no use to that caller.
func (a *Address) Resolve(ctx huma.Context) []error {
	host, scheme := ctx.Host(), "http"
	if forwarded := first(ctx.Header("X-Forwarded-Host")); hostPattern.MatchString(forwarded) {
		host = forwarded
	}
	if ctx.TLS() != nil || first(ctx.Header("X-Forwarded-Proto")) == "https" {
		scheme = "https"
	}
	a.base = scheme + "://" + host
	return nil
}

// Or returns the address, or public if that is not empty.
func (a *Address) Or(public string) string {
	if public != "" {
		return strings.TrimSuffix(public, "/")
	}
	return a.base
}

var hostPattern = regexp.MustCompile(`^[A-Za-z0-9._-]+(:[0-9]+)?$|^\[[0-9A-Fa-f:.]+\](:[0-9]+)?$`)

// first is what the proxy next to the client wrote.
func first(list string) string {
	value, _, _ := strings.Cut(list, ",")
	return strings.TrimSpace(value)
}
