package simulation

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Controller is a Python program of the scenario that steers SUMO while it simulates.
type Controller struct {
	File string `json:"file" minLength:"1" maxLength:"500" doc:"The program's path inside the scenario." example:"control.py"`
	// Args are what the program is called with. {seed}, {out} and {config} stand for the seed, the folder whose files become results, and the
	// scenario's configuration; other braces stay.
	Args []string `json:"args,omitempty" doc:"What the program is called with. {seed} stands for the run's seed, {out} for the folder out beside the program, and {config} for the scenario's configuration; other braces stay."`
	// Interface is how the program speaks to SUMO.
	Interface Interface `json:"interface,omitempty" enum:"traci,libsumo" default:"traci" doc:"How the program speaks to SUMO: traci starts it as a process of its own, libsumo runs it in the program's."`
}

// Program reports whether o runs a program in place of SUMO with a configuration.
func (o Options) Program() bool { return o.Controller != nil || o.Tool != nil }

// ProgramName is the program or tool that o runs; empty if none.
func (o Options) ProgramName() string {
	switch {
	case o.Controller != nil:
		return o.Controller.File
	case o.Tool != nil:
		return o.Tool.Name
	}
	return ""
}

// Interface is a way by which a program steers SUMO.
type Interface string

const (
	// TraCI is a connection to a SUMO that runs beside the program.
	TraCI Interface = "traci"
	// Libsumo is SUMO in the program's own process.
	Libsumo Interface = "libsumo"
)

// Tool is one of SUMO's own tools, which runs in place of a simulation.
type Tool struct {
	Name string `json:"name" enum:"duaIterate,marouter,routeSampler,netconvert,od2trips,randomTrips,cutRoutes,tlsCycleAdaptation,tlsCoordinator"`
	// Args are as those of a Controller. Files of the scenario are named by their paths inside it.
	Args []string `json:"args,omitempty" doc:"What the tool is called with, at the top of the scenario: files are named by their paths in it. {seed}, {out} and {config} are as in a controller's args."`
	// KeepAs is the name of the stored scenario that the result becomes; empty for none.
	KeepAs string `json:"keep_as,omitempty" maxLength:"200" doc:"Keeps the scenario, with what the tool has made of it, as a stored scenario of this name."`
}

// tools are those that may run, by name.
var tools = []string{
	"duaIterate", "marouter", "routeSampler", "netconvert", "od2trips", "randomTrips", "cutRoutes", "tlsCycleAdaptation", "tlsCoordinator",
}

// Tools lists the names of tools that may run.
func Tools() []string { return slices.Clone(tools) }

// Convergence is how an assignment came closer to its equilibrium.
type Convergence struct {
	Tool       string      `json:"tool"`
	Iterations []Iteration `json:"iterations"`
}

// Iteration is one step of it.
type Iteration struct {
	Number         int     `json:"iteration"`        // from 0
	MeanTravelTime float64 `json:"mean_travel_time"` // seconds, of the trips that ended
	// RelativeChange is that of the mean travel time since the iteration before; nil for the first.
	RelativeChange *float64 `json:"relative_change"`
}

// What bounds the arguments of a program: Linux takes 128 KiB in one argument, and Kubernetes' objects, which repeat them, 1.5 MB in all.
const (
	maxArgs     = 200
	maxArgument = 4 << 10  // bytes
	maxArgBytes = 32 << 10 // of all
)

// Fault says what is wrong with c, which is missing from FIELD in "FIELD must …"; empty if nothing is.
func (c Controller) Fault() (field, fault string) {
	switch {
	case !strings.HasSuffix(c.File, ".py") || path.IsAbs(c.File) || !within(c.File) || unreadable(c.File):
		return "file", "must be the path of a Python program inside the scenario, such as control.py"
	case c.Interface != TraCI && c.Interface != Libsumo:
		return "interface", fmt.Sprintf("must be %s or %s", TraCI, Libsumo)
	}
	return "args", argsFault(c.Args)
}

// Fault is as that of a Controller.
func (t Tool) Fault() (field, fault string) {
	if !slices.Contains(tools, t.Name) {
		return "name", "must be one of " + strings.Join(tools, ", ")
	}
	return "args", argsFault(t.Args)
}

func argsFault(args []string) string {
	size := 0
	for _, a := range args {
		size += len(a)
		switch {
		case unreadable(a):
			return fmt.Sprintf("must be text without control characters, unlike %.80q", a)
		case len(a) > maxArgument:
			return fmt.Sprintf("must have at most %d bytes each", maxArgument)
		}
	}
	if len(args) > maxArgs || size > maxArgBytes {
		return fmt.Sprintf("must be at most %d, with %d bytes together", maxArgs, maxArgBytes)
	}
	return ""
}

func unreadable(text string) bool {
	return !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl)
}

// Expand fills in what the braces of arguments stand for.
func Expand(args []string, seed int64, out, config string) []string {
	in := strings.NewReplacer("{seed}", fmt.Sprint(seed), "{out}", out, "{config}", config)
	filled := make([]string, len(args))
	for i, a := range args {
		filled[i] = in.Replace(a)
	}
	return filled
}

// SetArgument returns args with the option --name set to value: in its place, as it is written there, or else at the end.
func SetArgument(args []string, name, value string) []string {
	args = slices.Clone(args)
	for i, a := range args {
		switch {
		case strings.HasPrefix(a, "--"+name+"="):
			args[i] = "--" + name + "=" + value
			return args
		case a == "--"+name && i+1 < len(args):
			args[i+1] = value
			return args
		}
	}
	return append(args, "--"+name, value)
}
