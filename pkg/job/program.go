package job

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// programFaults says what is wrong with the program or tool that r asks for. Each location is a field of the body.
func (in *Intake) programFaults(t tenant.Tenant, r Request) (items []problem.Item) {
	o := r.Options
	refuse := func(field string, value any, format string, args ...any) {
		items = append(items, problem.Item{Location: "body." + field, Message: fmt.Sprintf(format, args...), Value: value})
	}
	field := "controller"
	if o.Controller == nil {
		field = "tool"
	}
	switch {
	case o.Controller == nil && o.Tool == nil:
		return nil
	case o.Controller != nil && o.Tool != nil:
		refuse("tool", o.Tool.Name, "excludes controller: a job runs one of them")
	case !in.Programs:
		refuse(field, nil, "is not enabled on this service; the operator enables it with CONTROLLERS=python")
	case !t.Controllers:
		refuse(field, nil, "is not allowed for this tenant; the operator allows it with controllers: true in PATCH /auth/tenants/%s", t.ID)
	}
	if c := o.Controller; c != nil {
		if name, fault := c.Fault(); fault != "" {
			refuse("controller."+name, nil, "%s", fault)
		}
	}
	if o.Check {
		refuse("check", true, "lets SUMO load a configuration, and starts neither a controller nor a tool: leave one of them out")
	}
	if o.Tool != nil {
		items = append(items, toolFaults(*o.Tool, o)...)
	}
	return items
}

// toolFaults says what is wrong with a tool, and with options that are a simulation's.
func toolFaults(tool simulation.Tool, o simulation.Options) (items []problem.Item) {
	refuse := func(field, message string) {
		items = append(items, problem.Item{Location: "body." + field, Message: message})
	}
	if name, fault := tool.Fault(); fault != "" {
		refuse("tool."+name, fault)
	}
	if tool.KeepAs != scenario.PrintableName(tool.KeepAs) {
		refuse("tool.keep_as", "must be a name of at most 200 bytes, without control characters")
	}
	for _, given := range []struct {
		field string
		is    bool
	}{
		{"begin", o.Begin != nil}, {"end", o.End != nil}, {"step_length", o.StepLength != nil}, {"scale", o.Scale != nil},
		{"outputs", len(o.Outputs) > 0}, {"tables", len(o.Tables) > 0}, {"unfinished_trips", o.UnfinishedTrips}, {"strict", o.Strict},
	} {
		if given.is {
			refuse(given.field, "is a simulation's, and a tool runs in its place: give the tool's own options in tool.args")
		}
	}
	return items
}

// settleProgram decides what a request for a program or tool leaves open. What SUMO will be asked to run is the program's choice, so that
// nothing about the configuration is refused, and only what the request names is settled.
func (in *Intake) settleProgram(
	ctx context.Context, t tenant.Tenant, s scenario.Scenario, r Request, accepted string,
) (Request, error) {
	o := &r.Options
	if c := o.Controller; c != nil {
		file := path.Clean(c.File)
		if !slices.ContainsFunc(s.Manifest.Files, func(f scenario.File) bool { return f.Path == file }) {
			return r, refused(problem.Item{
				Location: "body.controller.file", Message: "is not in the scenario; give its path inside the zip" + programsIn(s), Value: c.File,
			})
		}
		steering := *c
		steering.File = file
		o.Controller = &steering
	}
	config, err := in.ProgramConfig(ctx, s, o.ConfigFile)
	if err == nil && config.Path == "" && namesConfig(*o) {
		_, err = in.Config(ctx, s, "")
	}
	if err != nil {
		return r, err
	}
	version, notes, err := in.version(t, programNeeds(in.Versions, *o), o.SumoVersion, accepted)
	if err != nil {
		return r, err
	}
	o.ConfigFile, o.SumoVersion, o.AcceptedVersion = config.Path, version, awaited(in.Versions, accepted)
	if r.TimeoutSeconds == 0 {
		r.TimeoutSeconds = seconds(in.DefaultTimeout)
	}
	r.Warnings = simulation.Warned(slices.Concat(r.Warnings, r.settleProgress(in.Callbacks, r.interval(config)), notes))
	return r, nil
}

// namesConfig reports whether the program or tool is to be called with the scenario's configuration.
func namesConfig(o simulation.Options) bool {
	var args []string
	if o.Controller != nil {
		args = o.Controller.Args
	} else if o.Tool != nil {
		args = o.Tool.Args
	}
	return slices.ContainsFunc(args, func(a string) bool { return strings.Contains(a, "{config}") })
}

// programNeeds is what a program or tool needs of a version of SUMO.
func programNeeds(offer simulation.Offer, o simulation.Options) needs {
	return needs{what: o.ProgramName(), unmet: func(version string) []problem.Item {
		if v, offered := offer.Find(version); offered && v.Programs {
			return nil
		}
		return []problem.Item{{Message: "Python and libsumo of this version are not installed here; the operator installs them with " +
			"make sumo-controllers, or names an image with them in CONTROLLER_IMAGES"}}
	}}
}

// programsIn lists the Python programs of a scenario, as the end of a sentence.
func programsIn(s scenario.Scenario) string {
	var programs []string
	for _, f := range s.Manifest.Files {
		if strings.HasSuffix(f.Path, ".py") {
			programs = append(programs, f.Path)
		}
	}
	if len(programs) == 0 {
		return ", which has no Python program"
	}
	return ". There are: " + scenario.ListOf(programs)
}
