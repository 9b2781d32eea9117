package idempotency_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/idempotency"
)

func TestOnlyTheSameRequestHasTheSameHash(t *testing.T) {
	t.Parallel()
	type asked struct{ A, B string }
	of := func(operation string, a asked, subject string) string {
		r, err := idempotency.Of("k", operation, a, subject)
		if err != nil {
			t.Fatal(err)
		}
		if r.Key != "k" {
			t.Errorf("the key became %q", r.Key)
		}
		return string(r.RequestHash)
	}
	seen := map[string]string{}
	for name, hash := range map[string]string{
		"one":             of("submit", asked{"a", "b"}, "s"),
		"other operation": of("retry", asked{"a", "b"}, "s"),
		"other request":   of("submit", asked{"a", "c"}, "s"),
		"other subject":   of("submit", asked{"a", "b"}, "t"),
		"none of it":      of("", asked{}, ""),
	} {
		if twin, ok := seen[hash]; ok {
			t.Errorf("%s has the hash of %s", name, twin)
		}
		seen[hash] = name
	}
	if diff := cmp.Diff(of("submit", asked{"a", "b"}, "s"), of("submit", asked{"a", "b"}, "s")); diff != "" {
		t.Error("the same request has two hashes")
	}
}

func TestWithoutAKeyThereIsNothingToRemember(t *testing.T) {
	t.Parallel()
	if r, err := idempotency.Of("", "submit", nil, ""); r != nil || err != nil {
		t.Errorf("%v, %v", r, err)
	}
}

func TestWhatCannotBeHashedIsAnError(t *testing.T) {
	t.Parallel()
	if _, err := idempotency.Of("k", "submit", func() {}, ""); err == nil {
		t.Error("a function was hashed")
	}
}
