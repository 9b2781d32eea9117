package tenant

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// Imported is a tenant of the predecessor, which is to be one of ours.
type Imported struct {
	ID string
	// Limits may be outside our bounds; zero ones are not known.
	Limits    Limits
	CreatedAt time.Time // zero when not known
	// Key is the one that goes on working; nil for none.
	Key *Key
}

// ImportOutcome says what an import makes of a record.
type ImportOutcome string

// The outcomes.
const (
	ImportNew     ImportOutcome = "new"     // imported, or would be by a run that is not dry
	ImportPresent ImportOutcome = "present" // here already, and left as it is
	ImportRefused ImportOutcome = "refused"
)

// ImportResult is what an import made of a tenant.
type ImportResult struct {
	Outcome ImportOutcome
	// Notes say why a tenant was refused, what was changed about it, and what is left to do.
	Notes []string
}

// Import makes i a tenant of ours. One that is here already stays as it is, so that an import can be repeated. When the tenant
// cannot be provisioned it is removed again. A dry run only says what would happen.
func (r *Registrar) Import(ctx context.Context, i Imported, dry bool) (out ImportResult, err error) {
	if err := CheckID(i.ID); err != nil {
		return refusedImport(err)
	}
	switch t, err := r.Tenants.Tenant(ctx, i.ID); {
	case err == nil:
		return r.presentImport(ctx, t, i)
	case problem.CodeOf(err) != problem.NotFound:
		return out, err
	}
	t := Tenant{ID: i.ID, Namespace: NamespaceFor(i.ID), Imported: true, CreatedAt: i.CreatedAt}
	if t.CreatedAt.IsZero() {
		t.CreatedAt = r.Now()
	}
	t.Limits, out.Notes = i.Limits.within()
	if i.Key == nil {
		out.Notes = append(out.Notes, "It has no key: issue one with POST /auth/regenerate-key (sumo-k8 tenants new-key).")
	} else {
		owner, _, err := r.Tenants.KeyOwner(ctx, i.Key.ID)
		switch {
		case err == nil:
			return refusedImport(problem.New(problem.Exists, "Its key belongs to tenant %q here.", owner))
		case problem.CodeOf(err) != problem.NotFound:
			return ImportResult{}, err
		}
		i.Key.CreatedAt = t.CreatedAt
	}
	out.Outcome = ImportNew
	if dry {
		return out, nil
	}
	if t, err = r.Tenants.ImportTenant(ctx, t, i.Key); err != nil {
		return ImportResult{}, err
	}
	if err := r.provision(ctx, t); err != nil {
		return ImportResult{}, errors.Join(err, r.Tenants.DeleteTenant(context.WithoutCancel(ctx), t.ID))
	}
	return out, nil
}

// presentImport distinguishes a tenant that was imported before from another customer with the same id, who must get neither i's key
// nor its jobs. The first has i's key, or its time of creation; one that had neither has at least been imported.
func (r *Registrar) presentImport(ctx context.Context, t Tenant, i Imported) (ImportResult, error) {
	out := ImportResult{Outcome: ImportPresent}
	same := i.Key == nil && i.CreatedAt.IsZero() || i.CreatedAt.Truncate(time.Microsecond).Equal(t.CreatedAt) // Postgres keeps microseconds
	if i.Key != nil && t.Imported {
		owner, works, err := r.Tenants.KeyOwner(ctx, i.Key.ID)
		switch known := err == nil && owner == t.ID; {
		case err != nil && problem.CodeOf(err) != problem.NotFound:
			return ImportResult{}, err
		case known && !works:
			same = true
			out.Notes = append(out.Notes, "Its imported key was replaced here since, and no longer works.")
		case known:
			same = true
		case same:
			out.Notes = append(out.Notes, "The predecessor issued a new key for it since the import, which does not work here: give the tenant one "+
				"of ours (sumo-k8 tenants new-key).")
		}
	}
	switch {
	case !t.Imported:
		return refusedImport(problem.New(problem.Exists, "Another tenant with this id is here, which was not imported. Import this one under "+
			"another id (--rename %q=NEW); or, if the two are the same customer, delete the one here first.", i.ID))
	case !same:
		return refusedImport(problem.New(problem.Exists, "A tenant with this id was imported, but with another key and time of creation. Import "+
			"this one under another id (--rename %q=NEW); or, if the two are the same customer, delete the one here first.", i.ID))
	}
	return out, nil
}

// refusedImport makes a refusal of what concerns one tenant only.
func refusedImport(err error) (ImportResult, error) {
	var p *problem.Error
	if !errors.As(err, &p) {
		return ImportResult{}, err
	}
	return ImportResult{Outcome: ImportRefused, Notes: []string{p.Detail}}, nil
}

// MostLimits are the largest that a tenant may have, as in the predecessor.
var MostLimits = Limits{MaxCPU: 1000, MaxMemoryGi: 5000, MaxConcurrentJobs: 200}

// within returns l with our default for what is not known and the nearest limit for what is out of bounds, and notes on both.
func (l Limits) within() (Limits, []string) {
	var notes []string
	for _, limit := range []struct {
		name            string
		value           *int
		otherwise, most int
	}{
		{"max_cpu", &l.MaxCPU, DefaultLimits().MaxCPU, MostLimits.MaxCPU},
		{"max_memory_gi", &l.MaxMemoryGi, DefaultLimits().MaxMemoryGi, MostLimits.MaxMemoryGi},
		{"max_concurrent_jobs", &l.MaxConcurrentJobs, DefaultLimits().MaxConcurrentJobs, MostLimits.MaxConcurrentJobs},
	} {
		switch was := *limit.value; {
		case was == 0:
			*limit.value = limit.otherwise
			notes = append(notes, fmt.Sprintf("%s is not recorded; it is %d, our default.", limit.name, limit.otherwise))
		case was < 1 || was > limit.most:
			*limit.value = min(max(was, 1), limit.most)
			notes = append(notes, fmt.Sprintf("%s is %d instead of %d: it must be 1 to %d.", limit.name, *limit.value, was, limit.most))
		}
	}
	return l, notes
}
