package traceparent_test

import (
	"net/http"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/telemetry/traceparent"
)

const (
	id    = "4bf92f3577b34da6a3ce929d0e0e4736"
	other = "0af7651916cd43dd8448eb211c80319c"
)

func TestATraceIsTheSameInEveryForm(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, id, passedOn string }{
		"sampled":               {"00-" + id + "-00f067aa0ba902b7-01", id, "00-" + id + "-00f067aa0ba902b7-01"},
		"not sampled":           {"00-" + id + "-00f067aa0ba902b7-00", id, "00-" + id + "-00f067aa0ba902b7-00"},
		"of a later version":    {"01-" + id + "-00f067aa0ba902b7-01-more", id, "00-" + id + "-00f067aa0ba902b7-01"},
		"with more than it has": {"00-" + id + "-00f067aa0ba902b7-01-more", "", ""},
		"of zeros":              {"00-00000000000000000000000000000000-00f067aa0ba902b7-01", "", ""},
		"without a span":        {"00-" + id + "-0000000000000000-01", "", ""},
		"in capitals":           {"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", "", ""},
		"something else":        {`"}{`, "", ""},
		"empty":                 {"", "", ""},
	} {
		received := http.Header{"Traceparent": {test.text}}
		ctx := traceparent.FromHeader(t.Context(), received)
		sent := http.Header{}
		traceparent.ToHeader(ctx, sent)
		if traceparent.ID(ctx) != test.id || traceparent.Of(ctx) != test.passedOn || sent.Get("Traceparent") != test.passedOn {
			t.Errorf(
				"%s: the trace %q is passed on as %q and as the header %q", name, traceparent.ID(ctx), traceparent.Of(ctx), sent.Get("Traceparent"),
			)
		}
		if again := traceparent.With(t.Context(), test.text); traceparent.Of(again) != test.passedOn {
			t.Errorf("%s: read from a text it is passed on as %q", name, traceparent.Of(again))
		}
		if out := traceparent.Without(ctx); traceparent.Of(out) != "" || traceparent.ID(out) != "" {
			t.Errorf("%s: outside of it is %q", name, traceparent.Of(out))
		}
	}
}

func TestTheTraceOfATextReplacesThatOfTheCaller(t *testing.T) {
	t.Parallel()
	ctx := traceparent.With(t.Context(), "00-"+id+"-00f067aa0ba902b7-01")
	if got := traceparent.ID(traceparent.With(ctx, "00-"+other+"-00f067aa0ba902b7-01")); got != other {
		t.Errorf("it is %s", got)
	}
	if got := traceparent.ID(traceparent.With(ctx, "")); got != id {
		t.Errorf("a text that names none leaves %q", got)
	}
}
