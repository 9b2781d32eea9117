package tenant

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

func TestTenantIDs(t *testing.T) {
	t.Parallel()
	for id, usable := range map[string]bool{
		"a": true, "7": true, "acme": true, "City of Ulm": true, "a.b_c@d-e": true, "ACME": true, strings.Repeat("x", 100): true,
		"": false, strings.Repeat("x", 101): false, " a": false, "a ": false, "-a": false, "a-": false, ".": false, "..": false, "a/b": false,
		"a\nb": false, "a\n": false, "a\x00b": false, "ä": false, "Süd": false, "a\u200bb": false, "a%2fb": false, "a\\b": false, "\xff": false,
	} {
		err := CheckID(id)
		switch {
		case usable && err != nil:
			t.Errorf("%q is refused: %v", id, err)
		case !usable && problem.CodeOf(err) != problem.Invalid:
			t.Errorf("%q gives %v, want %s", id, err, problem.Invalid)
		}
	}
}

// ids are those that CheckID accepts.
func ids() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`[A-Za-z0-9]([A-Za-z0-9 ._@-]{0,98}[A-Za-z0-9])?`),
		rapid.StringMatching(`[a-z0-9](-{0,2}[a-z0-9]){0,30}`),
		rapid.StringMatching(`[a-cA-C][ ._@-][a-cA-C]`), // many with the same readable part
	)
}

// dnsLabel is that of RFC 1123, which Kubernetes asks of a namespace.
var dnsLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

func TestEveryTenantHasAValidNamespaceOfItsOwn(t *testing.T) {
	t.Parallel()
	owners := map[string]string{}
	check := func(t rapid.TB, id string) {
		if err := CheckID(id); err != nil {
			t.Fatalf("the generator made %q: %v", id, err)
		}
		namespace := NamespaceFor(id)
		if !dnsLabel.MatchString(namespace) || !strings.HasPrefix(namespace, "sumo-") {
			t.Fatalf("%q has the namespace %q", id, namespace)
		}
		if owner, taken := owners[namespace]; taken && owner != id {
			t.Fatalf("%q and %q share the namespace %q", id, owner, namespace)
		}
		owners[namespace] = id
	}
	rapid.Check(t, func(t *rapid.T) {
		id := ids().Draw(t, "id")
		check(t, id)
		// The id that would have this namespace, if readable ids had theirs without looking.
		if twin := strings.TrimPrefix(NamespaceFor(id), "sumo-"); twin != id {
			check(t, twin)
		}
	})
}

func TestReadableNamespaces(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"acme":                                `^sumo-acme$`,
		"team-7":                              `^sumo-team-7$`,
		"ACME":                                `^sumo-acme-[0-9a-f]{8}$`,
		"City of Ulm":                         `^sumo-city-of-ulm-[0-9a-f]{8}$`,
		"a-01234567":                          `^sumo-a-01234567-[0-9a-f]{8}$`, // could be the namespace of another id
		"a. " + strings.Repeat("-", 60) + "b": `^sumo-a-[0-9a-f]{8}$`,
		strings.Repeat("x", 49):               `^sumo-x{49}$`,
		strings.Repeat("x", 50):               `^sumo-x{49}-[0-9a-f]{8}$`,
	} {
		if got := NamespaceFor(id); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("NamespaceFor(%q) = %s, want %s", id, got, want)
		}
	}
}
