package scenario

import (
	"strings"
	"testing"
)

func TestNamesAreMadeOfFileNames(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"corridor.zip":                      "corridor",
		"data/2026/Peak hour.ZIP":           "Peak hour",
		`C:\Users\me\city.zip`:              "city",
		"a.b.tar":                           "a.b.tar",
		"":                                  "",
		"/":                                 "",
		".zip":                              "",
		"bell\a\x00\x1b[31m":                "bell[31m",
		"caf\xff\u00e9":                     "caf\u00e9",
		strings.Repeat("\u00e4", 150):       strings.Repeat("\u00e4", 100),
		"x" + strings.Repeat("\u00e4", 150): "x" + strings.Repeat("\u00e4", 99),
	} {
		if got := NameOf(file); got != want {
			t.Errorf("%q is called %q, want %q", file, got, want)
		}
	}
}
