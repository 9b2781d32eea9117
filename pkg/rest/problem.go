package rest

import (
	"context"
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// statusOf is the one place where a code gets its HTTP status.
func statusOf(code problem.Code) int {
	switch code {
	case problem.Invalid:
		return http.StatusBadRequest
	case problem.Unauthorized:
		return http.StatusUnauthorized
	case problem.Forbidden:
		return http.StatusForbidden
	case problem.NotFound:
		return http.StatusNotFound
	case problem.Gone:
		return http.StatusGone
	case methodNotAllowed:
		return http.StatusMethodNotAllowed
	case problem.Exists, problem.Conflict:
		return http.StatusConflict
	case problem.TooLarge:
		return http.StatusRequestEntityTooLarge
	case unsupportedMediaType:
		return http.StatusUnsupportedMediaType
	case problem.ScenarioInvalid, problem.Unsupported, problem.KeyReused:
		return http.StatusUnprocessableEntity
	case problem.QueueFull, problem.RateLimited:
		return http.StatusTooManyRequests
	case problem.NotConfigured, problem.Unavailable, problem.StorageRefused:
		return http.StatusServiceUnavailable
	case requestTimeout:
		return http.StatusRequestTimeout
	default:
		return http.StatusInternalServerError
	}
}

// Codes that only HTTP itself can cause.
const (
	methodNotAllowed     problem.Code = "method_not_allowed"
	unsupportedMediaType problem.Code = "unsupported_media_type"
	requestTimeout       problem.Code = "request_timeout"
)

// codeOfStatus is for failures that huma itself finds while it parses a request.
func codeOfStatus(status int) problem.Code {
	switch status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return problem.Invalid
	case http.StatusRequestEntityTooLarge:
		return problem.TooLarge
	case http.StatusUnsupportedMediaType:
		return unsupportedMediaType
	case http.StatusRequestTimeout:
		return requestTimeout
	default:
		return problem.Internal
	}
}

// Problem is the body of every error answer (RFC 9457), with our code and the list of faults as extension members.
type Problem struct {
	Type     string         `json:"type" format:"uri-reference" doc:"Where the documentation explains this code." example:"/docs#not_found"`
	Title    string         `json:"title" doc:"The HTTP status in words." example:"Not Found"`
	Status   int            `json:"status" doc:"The HTTP status." example:"404"`
	Detail   string         `json:"detail" doc:"What happened and what to do about it."`
	Instance string         `json:"instance,omitempty" format:"uri-reference" doc:"The request's path."`
	Code     problem.Code   `json:"code" doc:"Machine-readable kind of failure. A code never changes its meaning." example:"not_found"`
	Errors   []problem.Item `json:"errors,omitempty" doc:"Every fault found in the request."`

	retryAfter int // seconds; 0 says nothing
}

func (p *Problem) Error() string { return string(p.Code) + ": " + p.Detail }

// GetStatus gives huma the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType gives huma the media type of RFC 9457.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders gives huma the headers that belong to the status.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="sumo-k8"`) // RFC 9110, section 11.6.1: a 401 names the scheme
	}
	return h
}

// internalDetail is all that a client learns about a failure of ours.
const internalDetail = "Something went wrong on our side. Nothing you sent is lost; try again, and if it keeps happening, give " +
	"the operator this request's X-Request-Id."

// problemOf turns any error into what the client sees, and logs the rest.
func problemOf(ctx context.Context, err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	var e *problem.Error
	switch {
	case errors.As(err, &e):
	case errors.Is(err, context.Canceled):
		// The client has left; nobody reads this answer.
		e = problem.Wrap(err, problem.Unavailable, "The client left before the request was answered.")
	case errors.Is(err, context.DeadlineExceeded):
		e = problem.Wrap(err, problem.Unavailable, "A service behind this one did not answer in time. Try again in a "+
			"few seconds.").WithRetryAfter(5 * time.Second)
	default:
		e = problem.Wrap(err, problem.Internal, internalDetail)
	}
	p = newProblem(statusOf(e.Code), e.Code, e.Detail)
	p.Errors = slices.Clone(e.Items)
	for i := range p.Errors {
		p.Errors[i].Value = shorten(p.Errors[i].Value)
	}
	p.retryAfter = int(math.Ceil(e.RetryAfter.Seconds()))
	if path, ok := ctx.Value(pathKey{}).(string); ok {
		p.Instance = path
	}
	event := zerolog.Ctx(ctx).Debug()
	if p.Status >= http.StatusInternalServerError && !errors.Is(err, context.Canceled) {
		event = zerolog.Ctx(ctx).Error()
	}
	event.Err(err).Str("code", string(e.Code)).Msg("request failed")
	return p
}

func newProblem(status int, code problem.Code, detail string) *Problem {
	return &Problem{
		Type: "/docs#" + string(code), Title: http.StatusText(status), Status: status, Detail: detail, Code: code,
	}
}

// huma takes these settings only through variables of its package.
func init() {
	// A list is never null on our wire: an empty one says the same without a second case for clients.
	huma.DefaultArrayNullable = false
	huma.NewErrorWithContext = func(ctx huma.Context, status int, msg string, errs ...error) huma.StatusError {
		for _, err := range errs {
			var e *problem.Error
			if errors.As(err, &e) {
				return problemOf(ctx.Context(), e)
			}
		}
		var faults []error
		for _, err := range errs {
			var d huma.ErrorDetailer
			if !errors.As(err, &d) {
				faults = append(faults, err)
				continue
			}
			for _, fault := range requestFaults(ctx, d.ErrorDetail()) {
				faults = append(faults, fault)
			}
		}
		p := huma.NewError(status, msg, faults...).(*Problem)
		if p.Code == problem.TooLarge {
			p.Detail = tooLarge(ctx).Detail
		}
		u := ctx.URL()
		p.Instance = u.EscapedPath()
		return p
	}
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		code := codeOfStatus(status)
		if code == problem.Internal {
			return newProblem(http.StatusInternalServerError, code, internalDetail)
		}
		p := newProblem(statusOf(code), code, "")
		for _, err := range errs {
			var d huma.ErrorDetailer
			if errors.As(err, &d) {
				detail := d.ErrorDetail()
				if strings.HasPrefix(detail.Message, "invalid date/time for format ") { // and then the format as Go writes it
					detail.Message = "expected a time such as 2026-05-01T06:00:00Z"
				}
				p.Errors = append(p.Errors, problem.Item{Location: detail.Location, Message: detail.Message, Value: shorten(detail.Value)})
			} else if err != nil {
				p.Errors = append(p.Errors, problem.Item{Message: err.Error()})
			}
		}
		p.Detail = detailFor(code, msg, p.Errors)
		return p
	}
}

func detailFor(code problem.Code, msg string, items []problem.Item) string {
	switch {
	case code == unsupportedMediaType:
		return "This call does not accept the request's Content-Type. Send application/json, or what /docs lists for this call."
	case code == requestTimeout:
		return "The request's body did not arrive in time. Send it again."
	case len(items) == 1:
		where := items[0].Location
		if where != "" {
			where += ": "
		}
		return "The request is not valid: " + where + items[0].Message + ". Fix it and send it again."
	case len(items) > 1:
		return "The request is not valid in " + strconv.Itoa(len(items)) + " places: see errors. Fix them and send it again."
	default:
		return "The request is not valid: " + msg + ". Fix it and send it again."
	}
}

// shorten keeps the echo of a bad value readable; the client knows what it sent.
func shorten(v any) any {
	const longest = 200
	switch v := v.(type) {
	case string:
		if len(v) > longest {
			return strings.ToValidUTF8(v[:longest], "") + "…" // the cut may have gone through a character
		}
		return v
	case nil, bool, float64, int, int64:
		return v
	default:
		return nil
	}
}
