package delivery

import (
	"context"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/job"
)

const (
	// Kept is how long what has become of a delivery can be looked up.
	Kept = 30 * 24 * time.Hour
	// Patience is how long a delivery may wait for a receiver to which nothing can be sent: about as long as all its attempts
	// would have taken.
	Patience = 72 * time.Hour
)

// Outbox is what a Sender works through. Only one Sender does so at a time; if two do for a moment, receivers get some deliveries
// twice, with the same id.
type Outbox interface {
	// Due returns lines in which something is due now, none of them blocked: fairly, each tenant's healthy and
	// oldest ones first.
	Due(ctx context.Context, now time.Time, w Wanted) ([]Receiving, error)
	// DueFor returns up to most deliveries of one line that are due, oldest first. Current adds their hooks.
	DueFor(ctx context.Context, now time.Time, l Line, most int) ([]Delivery, error)
	// Current returns a delivery as it is now, with its hook as it is now; ok is false if it is not due any longer, or its hook is
	// disabled.
	Current(ctx context.Context, id string, now time.Time) (d Delivery, ok bool, err error)
	// Attempted records how an attempt went: after is before with another State, DueAt, AttemptedAt, Status and Error. A delivery that
	// was ordered again meanwhile stays due.
	Attempted(ctx context.Context, before, after Delivery) error
	// Block holds a line back until the given time, after so many failures in a row, and Unblock opens it again.
	Block(ctx context.Context, l Line, failures int, until time.Time) error
	Unblock(ctx context.Context, l Line) error
	// DisableHook sends nothing more to a hook until its tenant enables it.
	DisableHook(ctx context.Context, id, remark string) error

	// Signals returns what running jobs should report now: heartbeats, and progress that is higher than what was sent last; up to w.Each
	// of each kind of a tenant. Beside an error it returns what could be read.
	Signals(ctx context.Context, now time.Time, w Wanted) ([]Signal, error)
	// Running reports whether a job is running.
	Running(ctx context.Context, jobID string) (bool, error)
	// Signalled records s.Sent and s.Failures. Nothing more is due for the job's target before the given time.
	Signalled(ctx context.Context, s Signal, due time.Time) error
}

// Line is what one tenant sends to one receiver. A slow receiver holds up its own lines only.
type Line struct {
	TenantID string
	Receiver string // see Receiver and HostOf; empty for answers to task tokens
}

// Receiving is a line in which something is due.
type Receiving struct {
	Line
	Failures int // of the receiver, in a row
}

// Wanted narrows what an Outbox returns.
type Wanted struct {
	Hooks, Tasks bool
	Busy         []Line   // not these lines
	Full         []string // not these tenants
	Each         int      // most of a tenant
	Most         int
}

// Signal is what a running job reports again and again. Only the newest value counts.
type Signal struct {
	JobID    string
	TenantID string
	Target   string // TargetTask, TargetProgress, or a hook's id
	Failures int    // in a row
	// Sent is the percentage that was sent last, -1 before the first, and Percent the one to send.
	Sent, Percent int

	TaskToken string               // with TargetTask
	Progress  *job.ProgressWebhook // with TargetProgress
	Hook      *Hook                // otherwise, with the event
	Event     Event
}

// Targets that are not hooks.
const (
	TargetTask     = "task"
	TargetProgress = "progress"
)
