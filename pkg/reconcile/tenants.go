package reconcile

import (
	"context"
	"fmt"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

const (
	// provisionEvery bounds how long a change that somebody makes in a tenant's namespace lasts. A check costs some twenty
	// requests to the API server, which writes nothing when all is as it should be.
	provisionEvery = 10 * time.Minute
	// provisionRetry is when a tenant has its next turn after a failure.
	provisionRetry = time.Minute
	// maxProvisions bounds the tenants of one call. With a call a minute, two hundred tenants are checked every ten.
	maxProvisions = 20
)

// Tenants are those whose provision may be due.
type Tenants interface {
	// DueTenant returns the tenant whose provision (see tenant.Provisioner) has been due for longest, or false when none is. No
	// other caller gets it before retry has passed. A tenant is due once it was made or changed, and again when the time given
	// to Provisioned has passed; a retired one never is.
	DueTenant(ctx context.Context, retry time.Duration) (tenant.Tenant, bool, error)
	// Provisioned notes that t, as DueTenant returned it, has what it should have, and is due again after next; if t was
	// changed since, it stays due. It answers problem.NotFound if t was retired since: nobody will look again at what was
	// provided for it.
	Provisioned(ctx context.Context, t tenant.Tenant, next time.Duration) error
}

// provision repairs what tenants have on the cluster: quotas and policies that somebody changed, and what an
// interrupted registration or change has left undone. A tenant that fails, for example because its namespace has become
// somebody else's, is counted and has another turn; it keeps neither the others waiting nor the whole from succeeding.
func (r *Reconciler) provision(ctx context.Context, rep *Report) error {
	if r.Provisioner == nil {
		return nil
	}
	for range maxProvisions {
		t, due, err := r.Tenants.DueTenant(ctx, provisionRetry)
		if err != nil || !due {
			return err
		}
		err = r.Provisioner.Provision(ctx, t)
		if ctx.Err() != nil {
			return ctx.Err() // the tenant has another turn, and nothing is wrong with it
		}
		if err != nil {
			rep.Unprovisioned++
			r.Log.Error().Err(err).Str("tenant", t.ID).Msg("tenant not provisioned")
			continue
		}
		provisioned, err := noteProvisioned(ctx, r.Tenants, r.Provisioner, t)
		if err != nil {
			return err
		}
		if provisioned {
			rep.Provisioned++
		}
	}
	return nil
}

// Provision repairs what one tenant has on the cluster, ahead of its turn.
func Provision(ctx context.Context, tenants Tenants, p tenant.Provisioner, t tenant.Tenant) error {
	if err := p.Provision(ctx, t); err != nil {
		return err
	}
	_, err := noteProvisioned(ctx, tenants, p, t)
	return err
}

// noteProvisioned reports whether t still needs what was just provided for it; if it does not, that is removed.
func noteProvisioned(ctx context.Context, tenants Tenants, p tenant.Provisioner, t tenant.Tenant) (needed bool, err error) {
	err = tenants.Provisioned(ctx, t, provisionEvery)
	if problem.CodeOf(err) != problem.NotFound {
		return err == nil, err
	}
	// Its retirement may have removed the namespace before we made it again.
	if err := p.Deprovision(ctx, t); err != nil {
		return false, fmt.Errorf("removing what was made for the retired tenant %s: %w", t.ID, err)
	}
	return false, nil
}
