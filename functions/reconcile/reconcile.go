// Package reconcile is the function that a schedule calls: it brings the record of jobs in line with their engine,
// starts what has room, and removes what has expired. It may be called at any time and any number of times.
package reconcile

import (
	"context"
	"net/http"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/danielgtaylor/huma/v2"
	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/reconcile"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
)

// Function runs the reconciler.
type Function struct {
	// Run is reconcile.Reconciler's.
	Run func(ctx context.Context, window time.Duration) (reconcile.Report, error)
	// Window is how long one call stays while jobs are active.
	Window time.Duration
	Log    zerolog.Logger
}

// Register adds the function's operation to api.
func (f *Function) Register(api huma.API) {
	rest.Register(api, rest.Admin, huma.Operation{
		OperationID: "reconcile", Method: http.MethodPost, Path: "/reconcile", Tags: []string{"Operators"},
		Summary:     "Reconcile now",
		Description: "What the schedule calls. A call while another is at work returns at once with skipped true.",
	}, func(ctx context.Context, in *request) (*answer, error) {
		window := time.Duration(in.WindowSeconds) * time.Second
		if in.WindowSeconds < 0 {
			window = f.Window
		}
		report, err := f.Run(ctx, window)
		if err != nil {
			return nil, err
		}
		return &answer{Body: report}, nil
	})
}

type request struct {
	WindowSeconds int `query:"window_seconds" minimum:"-1" maximum:"50" default:"-1" doc:"How long to stay while jobs are active; -1 for the configured window, 0 for a single pass."`
}

type answer struct{ Body reconcile.Report }

// Event handles the CloudEvent that a PingSource sends. An error makes the sender try again.
func (f *Function) Event(ctx context.Context, e event.Event) error {
	report, err := f.Run(ctx, f.Window)
	if err != nil {
		return err
	}
	f.Log.Info().Str("event", e.ID()).Str("source", e.Source()).Interface("report", report).Msg("reconciled")
	return nil
}
