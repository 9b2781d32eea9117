package delivery

import (
	"context"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/idempotency"
	"github.com/sumo-k8/sumo-k8/pkg/job"
)

// State is a delivery's state.
type State string

// The states.
const (
	Waiting   State = "WAITING"   // for its first attempt, or the next one
	Paused    State = "PAUSED"    // until its hook is enabled again
	Delivered State = "DELIVERED" // the receiver has confirmed it
	GivenUp   State = "GIVEN_UP"  // after the last attempt, or because no other would go better
)

// Delivery is one event for one receiver.
type Delivery struct {
	ID       string // UUID; the webhook-id is made of it
	TenantID string
	JobID    string // empty if the event is about a study
	// HookID is where the event goes; empty for the answer to a task token. URL is the hook's, or empty.
	HookID string
	URL    string
	// Hook is the whole hook; only set for a delivery that is to be sent.
	Hook  *Hook
	Event Event
	// Task is the answer to a task token; nil for a hook.
	Task *Task

	State     State
	Attempts  int // made so far, since it was last ordered by hand
	Round     int // how often it was ordered again by hand
	DueAt     time.Time
	CreatedAt time.Time
	// AttemptedAt is when the last attempt ended; nil before the first.
	AttemptedAt *time.Time
	// Status is the HTTP status of the last attempt's answer; 0 when there was none.
	Status int
	// Error says what was wrong with the last attempt, for people; empty if nothing was.
	Error string
}

// MessageID is the webhook-id of d: the same in every attempt, so that a receiver recognises a repetition.
func (d Delivery) MessageID() string { return "msg_" + d.ID }

// Task is the end of a job for the state machine that waits for it (task_token).
type Task struct {
	Token     string           `json:"token"`
	Namespace string           `json:"namespace"` // of the tenant, in which the results are
	Results   []job.ResultFile `json:"results"`
}

// Attempt is how one attempt went.
type Attempt struct {
	Status int // HTTP status; 0 when there was no answer
	// Error says what went wrong, as a sentence for the tenant; empty when the receiver has confirmed. It names no address that the
	// tenant did not give.
	Error string
	// Final means that another attempt would not go better.
	Final bool
	// Gone means that the receiver wants nothing more (410): its hook is disabled.
	Gone bool
	// Down means that the receiver itself is in trouble, so that its other deliveries wait too.
	Down bool
	// RetryAfter is what the receiver asks for; 0 for nothing.
	RetryAfter time.Duration
}

// Poster sends events to hooks.
type Poster interface {
	// Post makes one attempt at a delivery with a hook. It takes ten seconds at most, reads little of the answer, and follows no redirect.
	Post(ctx context.Context, d Delivery) Attempt
	// Progress makes one attempt to post progress in the predecessor's form.
	Progress(ctx context.Context, p job.ProgressWebhook, percent int) Attempt
}

// Tasks answers task tokens.
type Tasks interface {
	// End answers the token of d.Task with the end of its job.
	End(ctx context.Context, d Delivery) Attempt
	// Heartbeat reports that the job of a token is still running.
	Heartbeat(ctx context.Context, token string) Attempt
}

// Store keeps hooks and deliveries for the calls of tenants.
type Store interface {
	idempotency.Ledger
	// CreateHook stores h. When idem is not nil, a key that is already recorded wins: the hook that it made is returned with created
	// false, or problem.KeyReused when it was recorded for another request. More than most hooks of a tenant are problem.Conflict.
	CreateHook(ctx context.Context, h Hook, idem *idempotency.Request, most int) (stored Hook, created bool, err error)
	// Hooks returns the tenant's hooks, oldest first, without those of single jobs; Hook returns one of them, or problem.NotFound.
	Hooks(ctx context.Context, tenantID string) ([]Hook, error)
	Hook(ctx context.Context, tenantID, id string) (Hook, error)
	// ChangeHook stores what change makes of a hook, in one transaction. What waits for a hook follows it to another URL, waits while it
	// is disabled, and is due at the given time once it is enabled again.
	ChangeHook(ctx context.Context, tenantID, id string, now time.Time, change func(*Hook) error) (Hook, error)
	// DeleteHook removes a hook with its deliveries.
	DeleteHook(ctx context.Context, tenantID, id string) error

	// Deliveries returns the tenant's deliveries that f describes, newest first, up to limit, after the one with the cursor.
	Deliveries(ctx context.Context, tenantID string, f Filter, after string, limit int) (page []Delivery, next string, err error)
	// Delivery returns one of the tenant's deliveries, or problem.NotFound.
	Delivery(ctx context.Context, tenantID, id string) (Delivery, error)
	// Redeliver makes a delivery due at the given time, whatever became of it, with all its attempts before it.
	Redeliver(ctx context.Context, tenantID, id string, now time.Time) (Delivery, error)
}

// Filter selects deliveries. Each field narrows the selection; its zero value does not.
type Filter struct {
	HookID string
	JobID  string
	State  State
}
