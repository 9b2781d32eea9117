package delivery

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/idempotency"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

const (
	// maxHooks bounds the hooks of a tenant: the transaction of each transition of a job writes one delivery for each of them.
	maxHooks = 20
	// maxSecrets bounds the secrets of a hook, because each of them signs every attempt.
	maxSecrets = 5
)

// Registry manages the hooks of tenants.
type Registry struct {
	Store Store
	// Callbacks say whether there are hooks at all, and where they may lead.
	Callbacks job.Callbacks
	NewID     func() string // sorts by time
	NewSecret func() string
	Now       func() time.Time
	// Changed reports that reconcile has work; nil where nothing listens.
	Changed func(context.Context)
}

// HookChange is what a tenant wants of a hook. Nil leaves a field as it is, or as a new hook has it.
type HookChange struct {
	URL     *string
	Events  *[]Type
	Labels  *map[string]string
	Format  *Format
	Studies *bool
	Enabled *bool
}

// Add makes a hook with the first secret. A request that key stands for already returns the hook that it made, with created false;
// key may be empty.
func (r *Registry) Add(ctx context.Context, tenantID string, c HookChange, key string) (h Hook, created bool, err error) {
	idem, err := idempotency.Of(key, "create-webhook", c, "")
	if err != nil {
		return Hook{}, false, err
	}
	if h, found, err := idempotency.Repeated(ctx, r.Store, tenantID, idem, r.Store.Hook); found || err != nil {
		return h, false, err
	}
	if err := r.enabled(); err != nil {
		return Hook{}, false, err
	}
	h = Hook{
		ID: r.NewID(), TenantID: tenantID, Events: defaultEvents(), Labels: map[string]string{}, Format: Standard, Enabled: true,
		Secrets: []Secret{{Value: r.NewSecret()}},
	}
	if err := r.apply(&h, c); err != nil {
		return Hook{}, false, err
	}
	return r.Store.CreateHook(ctx, h, idem, maxHooks)
}

// defaultEvents are those of a hook that names none: progress comes often, and few want it.
func defaultEvents() []Type {
	events := slices.DeleteFunc(Types(), func(t Type) bool { return t == JobProgress })
	slices.Sort(events)
	return events
}

// Change changes a hook.
func (r *Registry) Change(ctx context.Context, tenantID, id string, c HookChange) (Hook, error) {
	if err := r.enabled(); err != nil {
		return Hook{}, err
	}
	h, err := r.Store.ChangeHook(ctx, tenantID, id, r.Now(), func(h *Hook) error { return r.apply(h, c) })
	if err == nil {
		r.changed(ctx) // what waited for the hook may be due
	}
	return h, err
}

// apply makes of h what c wants, or reports every fault of c.
func (r *Registry) apply(h *Hook, c HookChange) error {
	var items []problem.Item
	if c.URL != nil {
		if fault := r.Callbacks.URLFault(*c.URL); fault != "" {
			items = append(items, problem.Item{Location: "body.url", Message: fault, Value: *c.URL})
		}
		h.URL = *c.URL
	}
	if c.Events != nil {
		h.Events = slices.Clone(*c.Events)
		slices.Sort(h.Events)
		h.Events = slices.Compact(h.Events)
		if len(h.Events) == 0 {
			items = append(items, problem.Item{Location: "body.events", Message: "must name one event at least; to pause a webhook, disable it"})
		}
		for _, event := range h.Events {
			if !slices.Contains(Types(), event) {
				items = append(items, problem.Item{Location: "body.events", Message: fmt.Sprintf("must be among %s", Types()), Value: string(event)})
			}
		}
	}
	if c.Labels != nil {
		items = append(items, job.LabelFaults(*c.Labels)...)
		h.Labels = *c.Labels
	}
	if c.Format != nil {
		h.Format = *c.Format
	}
	if c.Studies != nil {
		h.Studies = *c.Studies
	}
	if c.Enabled != nil {
		h.Enabled, h.Remark = *c.Enabled, ""
	}
	if len(items) > 0 {
		return problem.New(problem.Invalid, "The webhook cannot be stored: %s %s.", items[0].Location, items[0].Message).WithItems(items...)
	}
	return nil
}

// Rotate gives a hook another secret. The earlier ones go on signing beside it, each for keep at most.
func (r *Registry) Rotate(ctx context.Context, tenantID, id string, keep time.Duration) (Hook, error) {
	if err := r.enabled(); err != nil {
		return Hook{}, err
	}
	now := r.Now().UTC().Truncate(time.Second)
	return r.Store.ChangeHook(ctx, tenantID, id, now, func(h *Hook) error {
		until := now.Add(keep)
		secrets := []Secret{{Value: r.NewSecret()}}
		for _, s := range h.Secrets {
			if s.ExpiresAt == nil || s.ExpiresAt.After(until) {
				s.ExpiresAt = &until
			}
			if s.ExpiresAt.After(now) {
				secrets = append(secrets, s)
			}
		}
		if len(secrets) > maxSecrets {
			return problem.New(problem.Conflict, "This webhook has %d secrets in force already. Wait until one has expired, or end them all now "+
				"with keep_old_for 0.", maxSecrets)
		}
		h.Secrets = secrets
		return nil
	})
}

// Redeliver makes a delivery due at once.
func (r *Registry) Redeliver(ctx context.Context, tenantID, id string) (Delivery, error) {
	d, err := r.Store.Delivery(ctx, tenantID, id)
	if err != nil {
		return Delivery{}, err
	}
	if err := r.takesMore(ctx, d); err != nil {
		return Delivery{}, err
	}
	if d, err = r.Store.Redeliver(ctx, tenantID, id, r.Now()); err != nil {
		return Delivery{}, err
	}
	r.changed(ctx)
	return d, nil
}

// takesMore returns an error if nothing is sent to the hook of d.
func (r *Registry) takesMore(ctx context.Context, d Delivery) error {
	if d.HookID == "" && d.Task == nil {
		return problem.New(problem.Conflict, "This delivery has arrived: the state machine has its answer, and the token was forgotten.")
	}
	if d.HookID == "" {
		return nil
	}
	if err := r.enabled(); err != nil {
		return err
	}
	h, err := r.Store.Hook(ctx, d.TenantID, d.HookID)
	switch {
	case problem.CodeOf(err) == problem.NotFound:
		return nil // a single job's, which cannot be disabled
	case err == nil && !h.Enabled:
		return problem.New(problem.Conflict, "The webhook of this delivery is disabled. Enable it, and what is paused is sent: PATCH "+
			"/webhooks/%s with enabled true.", h.ID)
	}
	return err
}

func (r *Registry) changed(ctx context.Context) {
	if r.Changed != nil {
		r.Changed(ctx)
	}
}

func (r *Registry) enabled() error {
	if r.Callbacks.Webhooks {
		return nil
	}
	return problem.New(problem.NotConfigured, "Webhooks are disabled in this installation. The operator enables them with WEBHOOKS=true.")
}
