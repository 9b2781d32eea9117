package tenant

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// world is all that a Registrar works on. A call to the method called broken fails.
type world struct {
	tenants map[string]Tenant
	keys    map[string][]byte // hash of the working key, by tenant
	owners  map[string]string // tenant that has or had a key, by the key's id
	objects map[string]bool
	spaces  map[string]Limits // by namespace
	changes int
	broken  string
}

var errBroken = errors.New("unreachable")

func newWorld() *world {
	return &world{
		tenants: map[string]Tenant{}, keys: map[string][]byte{}, owners: map[string]string{}, objects: map[string]bool{},
		spaces: map[string]Limits{},
	}
}

func (w *world) fail(method string) error {
	if w.broken == method {
		return errBroken
	}
	return nil
}

func (w *world) Tenant(_ context.Context, id string) (Tenant, error) {
	t, ok := w.tenants[id]
	if !ok {
		return Tenant{}, problem.New(problem.NotFound, "No tenant %q.", id)
	}
	return t, nil
}

func (w *world) CreateTenant(ctx context.Context, t Tenant, k Key) (Tenant, error) {
	return w.ImportTenant(ctx, t, &k)
}

func (w *world) ImportTenant(_ context.Context, t Tenant, k *Key) (Tenant, error) {
	if _, taken := w.tenants[t.ID]; taken {
		return Tenant{}, problem.New(problem.Exists, "Taken.")
	}
	w.tenants[t.ID] = t
	if k != nil {
		w.keys[t.ID], w.owners[k.ID] = k.Hash, t.ID
	}
	return t, nil
}

func (w *world) KeyOwner(_ context.Context, id string) (tenantID string, works bool, err error) {
	tenantID, ok := w.owners[id]
	if !ok {
		return "", false, problem.New(problem.NotFound, "No key.")
	}
	hash := w.keys[tenantID]
	return tenantID, len(hash) > 0 && ImportedKey(hash, "", "").ID == id, nil
}

func (w *world) UpdateTenant(ctx context.Context, id string, p Patch) (Tenant, error) {
	t, err := w.Tenant(ctx, id)
	if err == nil {
		t = p.apply(t)
		w.tenants[id] = t
	}
	return t, err
}

func (w *world) ReplaceKeys(_ context.Context, id string, k Key) error {
	w.keys[id] = k.Hash
	return w.fail("ReplaceKeys")
}

func (w *world) RetireTenant(ctx context.Context, id string, force bool) (Tenant, error) {
	t, err := w.Tenant(ctx, id)
	if err == nil && !force && id == "busy" {
		err = problem.New(problem.Conflict, "Jobs run.")
	}
	if err == nil {
		delete(w.keys, id)
	}
	return t, err
}

func (w *world) DeleteTenant(ctx context.Context, id string) error {
	if err := errors.Join(ctx.Err(), w.fail("DeleteTenant")); err != nil {
		return err
	}
	delete(w.tenants, id)
	return nil
}

func (w *world) Provision(_ context.Context, t Tenant) error {
	w.spaces[t.Namespace] = t.Limits
	return w.fail("Provision")
}

func (w *world) Deprovision(_ context.Context, t Tenant) error {
	delete(w.spaces, t.Namespace)
	return w.fail("Deprovision")
}

func (w *world) List(_ context.Context, prefix string, yield func(artifact.Object) bool) error {
	for _, key := range slices.Sorted(maps.Keys(w.objects)) {
		if strings.HasPrefix(key, prefix) && !yield(artifact.Object{Key: key}) {
			break
		}
	}
	return nil
}

func (w *world) Delete(_ context.Context, keys ...string) error {
	for _, key := range keys {
		delete(w.objects, key)
	}
	return w.fail("Delete")
}

func (w *world) registrar() *Registrar {
	return &Registrar{
		Tenants: w, Objects: w, OwnBucket: "ours", Provisioner: w, Changed: func(context.Context) { w.changes++ },
		Random: rand.Reader, Now: func() time.Time { return time.Unix(1, 0) },
	}
}

func ptr[T any](v T) *T { return &v }

func TestATenantIsRegisteredWithItsNamespaceAndKey(t *testing.T) {
	t.Parallel()
	w := newWorld()
	got, key, err := w.registrar().Register(t.Context(), "acme", Patch{MaxCPU: ptr(4), InputBuckets: &[]string{"open"}})
	if err != nil {
		t.Fatal(err)
	}
	want := Tenant{
		ID: "acme", Namespace: "sumo-acme", Limits: Limits{MaxCPU: 4, MaxMemoryGi: 128, MaxConcurrentJobs: 2}, InputBuckets: []string{"open"},
		CreatedAt: time.Unix(1, 0),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if _, hash, err := ParseKey(key); err != nil || !bytes.Equal(hash, w.keys["acme"]) {
		t.Errorf("the key %q is not the one on record: %v", key, err)
	}
	if w.spaces["sumo-acme"] != want.Limits {
		t.Errorf("provisioned were %v", w.spaces)
	}
}

func TestATenantThatCannotBeRegisteredLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		id     string
		patch  Patch
		broken string
		code   problem.Code
	}{
		"a bad id":                   {id: "a/b", code: problem.Invalid},
		"the service's own bucket":   {id: "a", patch: Patch{InputBuckets: &[]string{"ours"}}, code: problem.Invalid},
		"no randomness":              {id: "a", broken: "Random", code: problem.Internal},
		"the cluster is unreachable": {id: "a", broken: "Provision", code: problem.Internal},
	} {
		w := newWorld()
		w.broken = tt.broken
		r := w.registrar()
		if tt.broken == "Random" {
			r.Random = iotest.ErrReader(errBroken)
		}
		_, key, err := r.Register(t.Context(), tt.id, tt.patch)
		if problem.CodeOf(err) != tt.code || key != "" || len(w.tenants) > 0 {
			t.Errorf("%s: %v; the tenants are %v", name, err, w.tenants)
		}
	}
}

// A client that leaves while its tenant is provisioned must not keep the tenant from being removed again.
func TestARegistrationIsUndoneThoughItsClientHasLeft(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.broken = "Provision"
	ctx, leave := context.WithCancel(t.Context())
	leave()
	if _, _, err := w.registrar().Register(ctx, "a", Patch{}); !errors.Is(err, errBroken) || len(w.tenants) > 0 {
		t.Errorf("%v; the tenants are %v", err, w.tenants)
	}
}

func TestAnUpdateReachesTheNamespaceAndTheQueue(t *testing.T) {
	t.Parallel()
	w := newWorld()
	r := w.registrar()
	if _, _, err := r.Register(t.Context(), "acme", Patch{}); err != nil {
		t.Fatal(err)
	}
	got, err := r.Update(t.Context(), "acme", Patch{MaxConcurrentJobs: ptr(9)})
	if err != nil || got.Limits.MaxConcurrentJobs != 9 || w.spaces["sumo-acme"] != got.Limits || w.changes != 1 {
		t.Errorf("it is %+v, %v; provisioned %v, %d changes", got, err, w.spaces, w.changes)
	}
	for id, patch := range map[string]Patch{"acme": {InputBuckets: &[]string{"ours/x/"}}, "other": {MaxCPU: ptr(1)}} {
		if _, err := r.Update(t.Context(), id, patch); err == nil || w.changes != 1 {
			t.Errorf("%s: %v, and %d changes", id, err, w.changes)
		}
	}
}

func TestAReplacedKeyStopsWorking(t *testing.T) {
	t.Parallel()
	w := newWorld()
	r := w.registrar()
	_, first, err := r.Register(t.Context(), "acme", Patch{})
	if err != nil {
		t.Fatal(err)
	}
	_, second, err := r.ReplaceKey(t.Context(), "acme")
	_, hash, parseErr := ParseKey(second)
	if err != nil || parseErr != nil || second == first || !bytes.Equal(hash, w.keys["acme"]) {
		t.Errorf("%q was replaced by %q: %v, %v", first, second, err, parseErr)
	}
	if _, key, err := r.ReplaceKey(t.Context(), "other"); problem.CodeOf(err) != problem.NotFound || key != "" {
		t.Errorf("an unknown tenant gets the key %q, %v", key, err)
	}
}

func TestATenantIsRemovedWithAllItHasAndItsRecordLast(t *testing.T) {
	t.Parallel()
	const theirs = "results/sumo-acme2/j/a.xml"
	for name, tt := range map[string]struct {
		id     string
		force  bool
		broken string
		code   problem.Code
		gone   bool
	}{
		"one without jobs":           {id: "acme", gone: true},
		"one with jobs":              {id: "busy", code: problem.Conflict},
		"one with jobs, by force":    {id: "busy", force: true, gone: true},
		"an unknown one":             {id: "other", code: problem.NotFound},
		"the cluster is unreachable": {id: "acme", broken: "Deprovision", code: problem.Internal},
		"the store is unreachable":   {id: "acme", broken: "Delete", code: problem.Internal},
		"the record is unreachable":  {id: "acme", broken: "DeleteTenant", code: problem.Internal},
	} {
		w := newWorld()
		r := w.registrar()
		for _, id := range []string{"acme", "busy"} {
			if _, _, err := r.Register(t.Context(), id, Patch{}); err != nil {
				t.Fatal(err)
			}
		}
		space := NamespaceFor(tt.id)
		w.objects = map[string]bool{
			"scenarios/" + space + "/s.zip": true, "results/" + space + "/j/a.xml": true, "uploads/" + space + "/u.zip": true, theirs: true,
		}
		w.broken = tt.broken
		_, err := r.Remove(t.Context(), tt.id, tt.force)
		if _, there := w.tenants[tt.id]; problem.CodeOf(err) != tt.code || tt.gone == there && tt.id != "other" {
			t.Errorf("%s: %v; the tenant is on record: %t", name, err, there)
		}
		if _, provisioned := w.spaces[space]; tt.gone && (provisioned || len(w.objects) != 1 || w.keys[tt.id] != nil || w.changes != 1) {
			t.Errorf("%s leaves %v and %v, key %x, %d changes", name, w.spaces, w.objects, w.keys[tt.id], w.changes)
		}
		if !w.objects[theirs] {
			t.Errorf("%s: another tenant's object is gone", name)
		}
		if w.broken == "" {
			continue
		}
		w.broken = "" // everything can be repeated
		if _, err := r.Remove(t.Context(), tt.id, true); err != nil || len(w.objects) != 1 || len(w.tenants) != 1 {
			t.Errorf("%s: repeated: %v; left are %v and %v", name, err, w.tenants, w.objects)
		}
	}
}
