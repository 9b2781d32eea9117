package rest

import (
	"fmt"
	"slices"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// maxBody is the limit of a call that sets no other, even if the body is not read: ample for any JSON of ours. It is also
// huma's default.
const maxBody = 1 << 20

// checkLength refuses a body that is announced as too large, before it arrives. huma counts those that are not announced.
func checkLength(ctx huma.Context) error {
	r, _ := humago.Unwrap(ctx)
	op := ctx.Operation()
	if streams(op) {
		return nil // the handler has limits of its own
	}
	if r.ContentLength > bodyLimit(op) {
		return tooLarge(ctx)
	}
	return nil
}

// emptyBody is the size of "null", which says no more than "{}" or nothing.
const emptyBody = 4

// checkNoBody refuses what a call would not read: a seed for a retry, for instance, which would run with the old one.
func checkNoBody(ctx huma.Context) error {
	r, _ := humago.Unwrap(ctx)
	op := ctx.Operation()
	scheduled := slices.ContainsFunc(op.Security, func(s map[string][]string) bool {
		return s[string(Scheduler)] != nil // those that call by themselves, such as Knative's sources, send an event
	})
	if op.RequestBody != nil || streams(op) || scheduled || anyParameter(op) || r.ContentLength <= emptyBody {
		return nil
	}
	item := problem.Item{Location: "body", Message: "this call reads no body, and would ignore what it says: leave it out"}
	return problem.New(problem.Invalid, "%s", detailFor(problem.Invalid, "", []problem.Item{item})).WithItems(item)
}

func bodyLimit(op *huma.Operation) int64 {
	if op.MaxBodyBytes > 0 {
		return op.MaxBodyBytes
	}
	return maxBody
}

// tooLarge names both sizes, where the request announces its own.
func tooLarge(ctx huma.Context) *problem.Error {
	r, _ := humago.Unwrap(ctx)
	limit := sizeText(bodyLimit(ctx.Operation()))
	if r.ContentLength < 0 {
		return problem.New(problem.TooLarge, "The request's body is larger than the %s that this call accepts. Send less.", limit)
	}
	return problem.New(problem.TooLarge, "The request's body has %s; this call accepts at most %s. "+
		"Send less.", sizeText(r.ContentLength), limit)
}

func sizeText(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.1f MiB (%d bytes)", float64(n)/(1<<20), n)
}
