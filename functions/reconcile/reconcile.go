// Package reconcile serves the call that a schedule makes: bring the record of jobs in line with the engine, start what
// has room, remove what has expired. It may be called at any time and any number of times.
package reconcile

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/reconcile"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/server"
)

// Function runs the reconciler.
type Function struct {
	// Run is the Run method of reconcile.Reconciler.
	Run func(ctx context.Context, window time.Duration) (reconcile.Report, error)
	// Window is how long one call keeps reconciling while jobs are active.
	Window time.Duration
	Log    zerolog.Logger
}

const (
	// maxRun bounds one call with all its pruning. After this time Knative ends a request, and the caller gives up.
	maxRun = 5 * time.Minute
	// maxEvent is ample for an event that carries no data of interest.
	maxEvent = 64 << 10
)

// Register adds the function's operation to api.
func (f *Function) Register(api huma.API) {
	rest.Register(api, rest.Scheduler, huma.Operation{
		OperationID: "reconcile", Method: http.MethodPost, Path: "/reconcile", Tags: []string{"Operators"},
		Summary: "Reconcile now",
		Description: "The schedule calls this, with a plain POST or a CloudEvent (binary or structured) whose content does not matter. " +
			"A call made while another is working returns immediately with skipped true; one whose process is asked to stop returns with " +
			"interrupted true.",
	}, func(ctx context.Context, in *request) (*answer, error) {
		window := time.Duration(in.WindowSeconds) * time.Second
		if in.WindowSeconds < 0 {
			window = f.Window
		}
		var report reconcile.Report
		var err error
		if in.event != nil {
			report, err = f.handle(ctx, window, *in.event)
		} else {
			report, err = f.run(ctx, window)
		}
		if err != nil {
			return nil, err
		}
		return &answer{Body: report}, nil
	})
}

type request struct {
	WindowSeconds int `query:"window_seconds" minimum:"-1" maximum:"50" default:"-1" doc:"How long to keep reconciling while jobs are active; -1 for the configured window, 0 for a single pass. Passes go on for as long as the rest of the call takes."`

	event *event.Event // nil for a plain call
}

// Resolve reads the event, if there is one.
func (in *request) Resolve(ctx huma.Context) []error {
	structured := strings.HasPrefix(ctx.Header("Content-Type"), "application/cloudevents")
	if !structured && ctx.Header("Ce-Specversion") == "" {
		return nil
	}
	r, _ := humago.Unwrap(ctx)
	r = r.WithContext(ctx.Context())
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(r.Body, maxEvent), r.Body}
	e, err := cehttp.NewEventFromHTTPRequest(r)
	if err == nil {
		err = e.Validate()
	}
	if err != nil {
		return []error{problem.Wrap(err, problem.Invalid, "This is not a valid CloudEvent: a required attribute is missing, an "+
			"attribute is malformed, or it is larger than %d KiB.", maxEvent>>10)}
	}
	in.event = e
	return nil
}

type answer struct{ Body reconcile.Report }

// Event handles a CloudEvent that the Functions Framework has accepted.
func (f *Function) Event(ctx context.Context, e event.Event) error {
	_, err := f.handle(ctx, f.Window, e)
	return err
}

func (f *Function) handle(ctx context.Context, window time.Duration, e event.Event) (reconcile.Report, error) {
	report, err := f.run(ctx, window)
	if err == nil {
		f.Log.Info().Str("event", e.ID()).Str("source", e.Source()).Interface("report", report).Msg("reconciled")
	}
	return report, err
}

// errStopping ends a run when this process is stopping.
var errStopping = errors.New("the process is stopping")

// run outlives the caller's connection: the caller may be scaled to zero while the jobs it submitted are running. It ends
// early, and reports what it did so far, when this process is asked to stop.
func (f *Function) run(ctx context.Context, window time.Duration) (reconcile.Report, error) {
	stopping := server.Stopping(ctx)
	ctx, release := context.WithTimeout(context.WithoutCancel(ctx), maxRun)
	defer release()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-stopping:
			cancel(errStopping)
		case <-ctx.Done():
		}
	}()
	report, err := f.Run(ctx, window)
	if errors.Is(context.Cause(ctx), errStopping) {
		report.Interrupted = true
		return report, nil
	}
	return report, err
}
