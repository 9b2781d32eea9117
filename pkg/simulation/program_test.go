package simulation

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProgramsSayWhatIsWrongWithThem(t *testing.T) {
	t.Parallel()
	good := Controller{File: "sub/control.py", Args: []string{"--gain", "0.4", "{seed}"}, Interface: TraCI}
	if field, fault := good.Fault(); fault != "" {
		t.Errorf("%s %s", field, fault)
	}
	for want, change := range map[string]func(*Controller){
		"file must be the path of a Python program":            func(c *Controller) { c.File = "../control.py" },
		"file must be the path of a Python program inside":     func(c *Controller) { c.File = "/control.py" },
		"file must be the path of a Python program inside the": func(c *Controller) { c.File = "control.sh" },
		"interface must be traci or libsumo":                   func(c *Controller) { c.Interface = "" },
		"args must be text without control characters":         func(c *Controller) { c.Args = []string{"a\x00"} },
		"args must have at most 4096 bytes each":               func(c *Controller) { c.Args = []string{strings.Repeat("a", 5000)} },
		"args must be at most 200, with 32768 bytes together":  func(c *Controller) { c.Args = make([]string, 201) },
	} {
		c := good
		change(&c)
		if field, fault := c.Fault(); !strings.HasPrefix(field+" "+fault, want) {
			t.Errorf("%s %s, want %s", field, fault, want)
		}
	}
	if _, fault := (Tool{Name: "duaIterate"}).Fault(); fault != "" {
		t.Error(fault)
	}
	if field, fault := (Tool{Name: "sumo"}).Fault(); field != "name" || !strings.Contains(fault, "cutRoutes") {
		t.Errorf("%s %s", field, fault)
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	got := Expand([]string{"--seed={seed}", "{out}/a", "{config}", "{gain}", "{}"}, 42, "/o", "a.sumocfg")
	if diff := cmp.Diff([]string{"--seed=42", "/o/a", "a.sumocfg", "{gain}", "{}"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, tt := range []struct{ args, want []string }{
		{nil, []string{"--gain", "1"}},
		{[]string{"--gain", "0", "x"}, []string{"--gain", "1", "x"}},
		{[]string{"x", "--gain=0"}, []string{"x", "--gain=1"}},
		{[]string{"--gains", "0", "--gain"}, []string{"--gains", "0", "--gain", "--gain", "1"}},
	} {
		before := append([]string(nil), tt.args...)
		if diff := cmp.Diff(tt.want, SetArgument(tt.args, "gain", "1")); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tt.args, diff)
		}
		if diff := cmp.Diff(before, tt.args); diff != "" {
			t.Errorf("the arguments themselves were changed:\n%s", diff)
		}
	}
}
