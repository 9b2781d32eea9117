package scenario

import (
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

func TestAProgramNeedsNoConfigurationThatRuns(t *testing.T) {
	t.Parallel()
	limits := DefaultLimits()
	limits.Program = true
	for _, tc := range []struct {
		name    string
		zip     []byte
		config  string // that a program gets
		warning string // "" for none
	}{
		{"none", zipOf(t, entryOf("n.net.xml", net), entryOf("control.py", "print()")), "", "there is no .sumocfg file in the zip"},
		{"missing routes", zipOf(t, entryOf("n.net.xml", net), entryOf("s.sumocfg", cfg)), "s.sumocfg", "cannot run: "},
		{"an unknown option", scenarioOf(t, `<steps value="3"/>`), "s.sumocfg", "cannot run: "},
		{"a port", scenarioOf(t, `<remote-port value="8813"/>`), "s.sumocfg", ""},
		{"two", zipOf(t, entryOf("n.net.xml", net), entryOf("a.sumocfg", cfg), entryOf("b.sumocfg", cfg)), "", "cannot run: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			m, err := inspect(t, tc.zip, limits)
			if err != nil {
				t.Fatal(err)
			}
			if all := strings.Join(m.Warnings, "\n"); tc.warning != "" && !strings.Contains(all, tc.warning) {
				t.Errorf("warnings %q lack %q", all, tc.warning)
			}
			c, err := m.ProgramConfig("")
			if err != nil || c.Path != tc.config {
				t.Errorf("the program gets %q (%v), want %q", c.Path, err, tc.config)
			}
			if tc.name == "a port" {
				return
			}
			if _, err := m.ChooseConfig(""); err == nil {
				t.Error("SUMO alone gets a configuration that it cannot run")
			}
		})
	}
}

func TestAProgramGetsTheConfigurationThatTheJobNames(t *testing.T) {
	t.Parallel()
	m := Manifest{Configs: []Config{{Path: "a.sumocfg"}, {Path: "b.sumocfg", Problems: []problem.Item{{Message: "broken"}}}}}
	if c, err := m.ProgramConfig("b.sumocfg"); err != nil || c.Path != "b.sumocfg" {
		t.Errorf("got %q, %v", c.Path, err)
	}
	if _, err := m.ProgramConfig("c.sumocfg"); problem.CodeOf(err) != problem.Invalid {
		t.Errorf("got %v for a configuration that is not there", err)
	}
}

func TestAProgramsZipIsReadWhole(t *testing.T) {
	t.Parallel()
	limits := DefaultLimits()
	limits.Program = true
	damaged := corrupted(zipOf(t, stored("data.csv", "some,values"), entryOf("control.py", "print()")), "values", "VALUES")
	if _, err := inspect(t, damaged, limits); problem.CodeOf(err) != problem.ScenarioInvalid {
		t.Errorf("got %v for a damaged file that only a program may read", err)
	}
}
