package simulation

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

func TestWarningsAreBounded(t *testing.T) {
	t.Parallel()
	var many []string
	for i := range 250 {
		many = append(many, fmt.Sprint(i%150))
	}
	got := Warned(many)
	if len(got) != 101 || got[99] != "99" || got[100] != "… and 50 more warnings" {
		t.Errorf("%d warnings, ending with %q", len(got), got[99:])
	}
}

func TestOutcomesAreBounded(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"markup": "<", "letters": "é", "short": ""} {
		o := Outcome{Message: strings.Repeat(text, 1<<20), Files: map[Output]string{}}
		for _, role := range Outputs() {
			o.Files[role] = strings.Repeat("d", 900)
		}
		for n := range 5000 {
			long := fmt.Sprint(n) + strings.Repeat(text, 1<<10)
			o.Warnings = append(o.Warnings, long)
			o.Problems = append(o.Problems, problem.Item{Location: long, Message: long})
		}
		b := o.Bounded()
		data, err := json.MarshalIndent(b, "", "  ")
		if err != nil || len(data) > MaxOutcome {
			t.Errorf("%s: %d bytes, %v", name, len(data), err)
		}
		warnings, err := json.Marshal(b.Warnings)
		problems, err2 := json.Marshal(b.Problems)
		if both := len(warnings) + len(problems); err != nil || err2 != nil || name != "markup" && both > 64<<10 {
			t.Errorf("%s: warnings and problems have %d bytes, %v, %v", name, both, err, err2)
		}
		last := b.Problems[len(b.Problems)-1].Message
		if !strings.HasPrefix(last, "… and ") || !strings.HasPrefix(b.Warnings[len(b.Warnings)-1], "… and ") || !utf8.ValidString(b.Message) {
			t.Errorf("%s: ends with %q", name, last)
		}
	}
}
