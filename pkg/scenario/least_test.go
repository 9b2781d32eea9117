package scenario

import "testing"

func TestTheLeastVersionHasAllThatIsNeeded(t *testing.T) {
	t.Parallel()
	for want, needs := range map[string][]Need{
		"": {{Before: "1.28"}}, "1.20": {{Since: "1.9"}, {Since: "1.20", Before: "1.30"}, {Since: "1.18"}},
	} {
		if got := (Config{Needs: needs}).Least(); got != want {
			t.Errorf("%+v: %q, want %q", needs, got, want)
		}
	}
}
