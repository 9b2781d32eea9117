package job

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// steered is a scenario with a program and two configurations.
var steered = scenario.Scenario{Digest: "d", Key: "k", Manifest: scenario.Manifest{
	Files:   []scenario.File{{Path: "city/control.py"}, {Path: "city/a.sumocfg"}, {Path: "city/b.sumocfg"}},
	Configs: []scenario.Config{{Path: "city/a.sumocfg"}, {Path: "city/b.sumocfg"}},
}}

func TestProgramsAreEnabledTwice(t *testing.T) {
	t.Parallel()
	allowed := acme
	allowed.Controllers = true
	begin := 0.
	controller := &simulation.Controller{File: "a.py", Interface: simulation.TraCI}
	tool := &simulation.Tool{Name: "netconvert"}
	for name, test := range map[string]struct {
		enabled, allowed bool
		options          simulation.Options
		want             []string // locations of the faults
	}{
		"enabled and allowed":     {true, true, simulation.Options{Controller: controller}, nil},
		"a tool":                  {true, true, simulation.Options{Tool: tool}, nil},
		"not enabled":             {false, true, simulation.Options{Controller: controller}, []string{"body.controller"}},
		"a tool, not enabled":     {false, true, simulation.Options{Tool: tool}, []string{"body.tool"}},
		"not allowed":             {true, false, simulation.Options{Controller: controller}, []string{"body.controller"}},
		"a tool, not allowed":     {true, false, simulation.Options{Tool: tool}, []string{"body.tool"}},
		"neither, of a plain run": {false, false, simulation.Options{}, nil},
		"both":                    {true, true, simulation.Options{Controller: controller, Tool: tool}, []string{"body.tool"}},
		"a file outside": {
			true, true, simulation.Options{Controller: &simulation.Controller{File: "../a.py"}}, []string{"body.controller.file"},
		},
		"no such interface": {
			true, true, simulation.Options{Controller: &simulation.Controller{File: "a.py"}}, []string{"body.controller.interface"},
		},
		"no such tool": {true, true, simulation.Options{Tool: &simulation.Tool{Name: "sh"}}, []string{"body.tool.name"}},
		"a name that cannot be": {
			true, true, simulation.Options{Tool: &simulation.Tool{Name: "netconvert", KeepAs: "a\nb"}}, []string{"body.tool.keep_as"},
		},
		"a check":                  {true, true, simulation.Options{Controller: controller, Check: true}, []string{"body.check"}},
		"a begin of a tool":        {true, true, simulation.Options{Tool: tool, Begin: &begin}, []string{"body.begin"}},
		"a recorded controller":    {true, true, simulation.Options{Controller: controller, Replay: &simulation.Replay{}}, nil},
		"a recorded tool":          {true, true, simulation.Options{Tool: tool, Replay: &simulation.Replay{}}, []string{"body.replay"}},
		"a begin for a controller": {true, true, simulation.Options{Controller: controller, Begin: &begin}, nil},
	} {
		in := &Intake{Versions: offered("1.28"), MaxTimeout: time.Hour, Programs: test.enabled}
		owner := acme
		if test.allowed {
			owner = allowed
		}
		var got []string
		if p, ok := errors.AsType[*problem.Error](in.Check(owner, Request{Options: test.options})); ok {
			for _, item := range p.Items {
				got = append(got, item.Location)
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestWhatAProgramLeavesOpenIsSettled(t *testing.T) {
	t.Parallel()
	controller := func(file string, args ...string) simulation.Options {
		return simulation.Options{Controller: &simulation.Controller{File: file, Args: args, Interface: simulation.Libsumo}}
	}
	one := steered
	one.Manifest.Configs = []scenario.Config{
		{Path: "city/b.sumocfg", Problems: []problem.Item{{Location: "city/b.sumocfg", Message: "is bad"}}},
	}
	none := steered
	none.Manifest.Configs = nil
	named := controller("city/control.py")
	named.ConfigFile = "b.sumocfg"
	old := controller("city/control.py")
	old.SumoVersion = "1.15"
	for name, test := range map[string]struct {
		scenario scenario.Scenario
		options  simulation.Options
		config   string
		location string // of the fault
	}{
		"several configurations":               {steered, controller("city/control.py"), "", ""},
		"several that are called for":          {steered, controller("city/control.py", "-c={config}"), "", "body.config_file"},
		"the only one, broken":                 {one, controller("city/control.py", "{config}"), "city/b.sumocfg", ""},
		"one by name, broken":                  {one, named, "city/b.sumocfg", ""},
		"none":                                 {none, controller("city/control.py"), "", ""},
		"none, but called for":                 {none, controller("city/control.py", "{config}"), "", "body.config_file"},
		"a path not quite clean":               {none, controller("./city//control.py"), "", ""},
		"a program that is not there":          {none, controller("control.py"), "", "body.controller.file"},
		"a tool":                               {none, simulation.Options{Tool: &simulation.Tool{Name: "netconvert"}}, "", ""},
		"a version for which nothing is there": {none, old, "", "-"},
		"a tool that is called with a configuration": {
			one, simulation.Options{Tool: &simulation.Tool{Name: "duaIterate", Args: []string{"{config}"}}}, "city/b.sumocfg", "",
		},
	} {
		in, _ := (&ledger{}).intake()
		in.Versions[1].Programs = true // 1.28
		r, err := in.Settle(t.Context(), acme, test.scenario, Request{Options: test.options}, "")
		if p, ok := errors.AsType[*problem.Error](err); ok {
			location := "-"
			if len(p.Items) > 0 && p.Items[0].Location != "" {
				location = p.Items[0].Location
			}
			if location != test.location {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || test.location != "" || r.Options.ConfigFile != test.config || r.Options.SumoVersion != "1.28" || r.Options.Seed != nil ||
			r.TimeoutSeconds != 3600 {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		if c := r.Options.Controller; c != nil && c.File != "city/control.py" {
			t.Errorf("%s: runs %s", name, c.File)
		}
	}
}

func TestAProgramRunsOnTheNewestVersionThatCan(t *testing.T) {
	t.Parallel()
	in, _ := (&ledger{}).intake()
	in.Versions[0].Programs = true // 1.15
	r, err := in.Settle(t.Context(), acme, steered, Request{
		Options: simulation.Options{Controller: &simulation.Controller{File: "city/control.py", Interface: simulation.TraCI}},
	}, "")
	const note = "Runs on SUMO 1.15: SUMO 1.28, the newest here, cannot run city/control.py (Python and libsumo of this version are not " +
		"installed here; the operator installs them with make sumo-controllers, or names an image with them in CONTROLLER_IMAGES)."
	if diff := cmp.Diff([]string{note}, r.Warnings); err != nil || r.Options.SumoVersion != "1.15" || diff != "" {
		t.Errorf("SUMO %s, %v (-want +got):\n%s", r.Options.SumoVersion, err, diff)
	}
}

func TestARetryOfAProgramIsCheckedAgain(t *testing.T) {
	t.Parallel()
	l := ledger{jobs: map[string]Job{"old": {ID: "old", TenantID: "acme", State: Failed, Options: simulation.Options{
		Tool: &simulation.Tool{Name: "netconvert"},
	}}}}
	in, _ := l.intake()
	in.Versions[1].Programs, in.Programs = true, true
	if _, _, err := in.Retry(t.Context(), acme, "old", ""); problem.CodeOf(err) != problem.Invalid {
		t.Errorf("a tenant that may no longer: %v", err)
	}
	allowed := acme
	allowed.Controllers = true
	if j, created, err := in.Retry(t.Context(), allowed, "old", ""); err != nil || !created || j.Options.Tool == nil {
		t.Errorf("a tenant that may: %+v, %v", j, err)
	}
}
