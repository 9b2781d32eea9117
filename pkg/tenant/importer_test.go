package tenant

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func importedKey(text, tenantID string) *Key {
	hash, hint := HashImportedKey(text)
	k := ImportedKey(hash, hint, tenantID)
	return &k
}

func TestATenantIsImportedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld()
	r := w.registrar()
	const key = "sk-0123456789abcdefghijklmnopqrstuv"
	limits := Limits{MaxCPU: 10, MaxMemoryGi: 20, MaxConcurrentJobs: 3}
	created := time.Unix(1000, 0)
	in := Imported{ID: "City A", Limits: limits, CreatedAt: created, Key: importedKey(key, "City A")}

	if got, err := r.Import(t.Context(), in, true); err != nil || !cmp.Equal(got, ImportResult{Outcome: ImportNew}) || len(w.tenants) > 0 {
		t.Fatalf("a dry run made %+v, %v, and there are %v", got, err, w.tenants)
	}
	for _, want := range []ImportOutcome{ImportNew, ImportPresent, ImportPresent} {
		if got, err := r.Import(t.Context(), in, false); err != nil || got.Outcome != want || got.Notes != nil {
			t.Fatalf("got %+v, %v; want %s", got, err, want)
		}
		wantTenant := Tenant{ID: "City A", Namespace: NamespaceFor("City A"), Limits: limits, Imported: true, CreatedAt: created}
		if diff := cmp.Diff(wantTenant, w.tenants["City A"]); diff != "" || w.spaces[wantTenant.Namespace] != limits {
			t.Errorf("provisioned were %v (-want +got):\n%s", w.spaces, diff)
		}
		in.Limits.MaxCPU++ // what changes there later changes nothing here
	}

	if _, _, err := r.ReplaceKey(t.Context(), "City A"); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		in      Imported
		outcome ImportOutcome
		note    string
	}{
		"its key was replaced": {in, ImportPresent, "was replaced here"},
		"its key changed there": {
			Imported{ID: "City A", CreatedAt: created, Key: importedKey(key+"x", "City A")}, ImportPresent, "issued a new key",
		},
		"it never had a key":        {Imported{ID: "City A", CreatedAt: created}, ImportPresent, ""},
		"another of the same name":  {Imported{ID: "City A", Key: importedKey(key+"x", "City A")}, ImportRefused, `--rename "City A"=NEW`},
		"another without a key":     {Imported{ID: "City A", CreatedAt: created.Add(1000)}, ImportRefused, "with another key"},
		"the key of another tenant": {Imported{ID: "City B", Key: importedKey(key, "City B")}, ImportRefused, `"City A"`},
		"an id that we cannot use":  {Imported{ID: "City/B"}, ImportRefused, "beginning and ending with a letter or digit"},
	} {
		got, err := r.Import(t.Context(), c.in, false)
		if err != nil || got.Outcome != c.outcome || !strings.Contains(strings.Join(got.Notes, " "), c.note) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	plain := w.tenants["City A"]
	plain.ID, plain.Imported = "City C", false
	w.tenants["City C"] = plain
	for _, i := range []Imported{{ID: "City C"}, {ID: "City C", CreatedAt: created}} {
		got, err := r.Import(t.Context(), i, false)
		if err != nil || got.Outcome != ImportRefused || !strings.Contains(got.Notes[0], "was not imported") {
			t.Errorf("one that was registered here: %+v, %v", got, err)
		}
	}
	delete(w.tenants, "City C")
	if len(w.tenants) != 1 {
		t.Errorf("there are %v", w.tenants)
	}
}

func TestLimitsOutOfBoundsAreImportedAsTheNearestWithANote(t *testing.T) {
	t.Parallel()
	w := newWorld()
	got, err := w.registrar().Import(t.Context(), Imported{
		ID: "acme", Limits: Limits{MaxCPU: 2000, MaxMemoryGi: -1}, Key: importedKey("sk-0123456789abcdefghijklmnopqrstuv", "acme"),
	}, false)
	if err != nil {
		t.Fatal(err)
	}
	want := ImportResult{Outcome: ImportNew, Notes: []string{
		"max_cpu is 1000 instead of 2000: it must be 1 to 1000.", "max_memory_gi is 1 instead of -1: it must be 1 to 5000.",
		"max_concurrent_jobs is not recorded; it is 2, our default.",
	}}
	if diff := cmp.Diff(want, got) + cmp.Diff(Limits{1000, 1, 2}, w.tenants["acme"].Limits); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if at := w.tenants["acme"].CreatedAt; at != time.Unix(1, 0) {
		t.Errorf("without a time it was created at %v", at)
	}
}

func TestAnImportedTenantWithoutAKeyGetsOneLater(t *testing.T) {
	t.Parallel()
	w := newWorld()
	in := Imported{ID: "acme", Limits: Limits{1, 1, 1}}
	got, err := w.registrar().Import(t.Context(), in, false)
	if err != nil || len(got.Notes) != 1 || !strings.Contains(got.Notes[0], "has no key") {
		t.Fatalf("got %+v, %v", got, err)
	}
	if again, err := w.registrar().Import(t.Context(), in, false); err != nil || again.Outcome != ImportPresent {
		t.Errorf("a second time without a key or a time of creation: %+v, %v", again, err)
	}
	if _, key, err := w.registrar().ReplaceKey(t.Context(), "acme"); err != nil || key == "" {
		t.Errorf("no key is issued: %v", err)
	}
}

func TestATenantThatCannotBeProvisionedIsNotImported(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.broken = "Provision"
	if _, err := w.registrar().Import(t.Context(), Imported{ID: "acme"}, false); !errors.Is(err, errBroken) || len(w.tenants) > 0 {
		t.Errorf("got %v, and there are %v", err, w.tenants)
	}
}
