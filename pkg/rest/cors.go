package rest

import (
	"net/http"
	"slices"
	"time"

	"github.com/rs/cors"
)

// preflightLifetime is how long a browser may remember what it may do; Chromium remembers nothing for longer than two hours.
const preflightLifetime = 10 * time.Minute

// allowOrigins lets pages of these origins call next from a browser. Without any it is next itself, and browsers block pages of
// other sites. Cookies and other credentials that a browser adds by itself are never allowed, since nothing here uses them: keys
// arrive in headers that the page's own code sets.
func allowOrigins(origins []string, next http.Handler) http.Handler {
	if len(origins) == 0 {
		return next
	}
	headers := []string{
		"Authorization", adminHeader, "Content-Type", "Idempotency-Key", "If-None-Match", "Last-Event-ID", "Range", requestIDHeader,
	}
	if slices.Contains(origins, "*") {
		headers = []string{"*"} // as the predecessor; pages of unknown origin send headers that we do not know
	}
	return cors.New(cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete},
		AllowedHeaders: headers,
		ExposedHeaders: []string{
			requestIDHeader, "ETag", "Retry-After", "Content-Disposition", "Content-Range", "Idempotent-Replayed", "Runs-Left-Out",
		},
		MaxAge: int(preflightLifetime / time.Second),
	}).Handler(next)
}
