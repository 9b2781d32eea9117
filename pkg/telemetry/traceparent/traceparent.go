// Package traceparent carries a trace (https://www.w3.org/TR/trace-context/) in contexts, headers and the record of a
// job. Nothing here records anything; that is package trace.
package traceparent

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

const header = "traceparent"

// FromHeader returns ctx within the trace that the headers of a request name. Headers that name none change nothing.
func FromHeader(ctx context.Context, h http.Header) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(h))
}

// ToHeader names the trace of ctx in the headers of a request, if there is one.
func ToHeader(ctx context.Context, h http.Header) {
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(h))
}

// With returns ctx within the trace that text names, instead of the one it was in. A text that names none changes nothing.
func With(ctx context.Context, text string) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{header: text})
}

// Without returns ctx outside of every trace.
func Without(ctx context.Context) context.Context {
	return trace.ContextWithSpanContext(ctx, trace.SpanContext{})
}

// Of is the text of the trace that ctx is in, or "".
func Of(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier[header]
}

// ID is that of the trace that ctx is in, or "".
func ID(ctx context.Context) string {
	if in := trace.SpanContextFromContext(ctx); in.IsValid() {
		return in.TraceID().String()
	}
	return ""
}
