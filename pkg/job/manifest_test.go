package job

import (
	"slices"
	"strings"
	"testing"
)

func TestAnotherImageIsNoted(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		was, is string
		noted   bool
	}{
		"outside containers":            {"", "", false},
		"no longer outside":             {"", "sumo:1.28", true},
		"the same":                      {"sumo:1.28@sha256:a", "sumo:1.28@sha256:a", false},
		"the tag has moved":             {"sumo:1.28@sha256:a", "sumo:1.28@sha256:b", true},
		"another registry has it":       {"sumo:1.28@sha256:a", "example.org/sumo:1.28@sha256:a", false},
		"a digest that was not noted":   {"sumo:1.28", "sumo:1.28@sha256:a", false},
		"a digest that is not known":    {"sumo:1.28@sha256:a", "sumo:1.28", false},
		"another without a digest":      {"sumo:1.26", "sumo:1.28", true},
		"another, which has the digest": {"sumo:1.26", "sumo:1.28@sha256:a", true},
	} {
		c := Manifest{SUMO: ManifestSUMO{Image: tt.was}}.Compare(Manifest{SUMO: ManifestSUMO{Image: tt.is}})
		noted := slices.ContainsFunc(c.Notes, func(note string) bool { return strings.HasPrefix(note, "The image") })
		if noted != tt.noted {
			t.Errorf("%s: the notes are %q", name, c.Notes)
		}
	}
}
