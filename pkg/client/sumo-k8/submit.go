package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sumo-k8/sumo-k8/pkg/client"
	"github.com/sumo-k8/sumo-k8/pkg/client/internal/show"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// runFlags are the options of a run. Numbers count only if they are given, since 0 is a choice too.
type runFlags struct {
	client.Run
	seed                          int64
	begin, end, stepLength, scale float64
	outputs                       []string
	tables                        []string
	timeout                       time.Duration
	scenario, key                 string
	follow                        bool
	controller, through           string // interface, of the controller
	tool, keepAs                  string
	args                          []string // of either
	replay                        replayFlags
	set                           func(name string) bool
}

// addScenario adds what says which scenario to load, and with which SUMO.
func (r *runFlags) addScenario(flags *pflag.FlagSet) {
	flags.StringVar(&r.Name, "name", "", "your name for the run (default: that of the file or folder)")
	flags.StringVar(&r.ConfigFile, "config-file", "", "which .sumocfg to run, when the scenario has several")
	flags.StringVar(&r.SumoVersion, "sumo-version", "", "version of SUMO, as far as it is offered (see sumo-k8 versions): "+releases())
	flags.BoolVar(&r.Strict, "strict", false, "refuse a scenario of which SUMO would drop or ignore a part")
	flags.StringVar(&r.scenario, "scenario", "", "run this stored scenario, by its id, instead of a file")
	r.set = func(name string) bool { return flags.Changed(name) }
}

func (r *runFlags) add(flags *pflag.FlagSet) {
	r.addScenario(flags)
	r.addOptions(flags)
	flags.Int64Var(&r.seed, "seed", 0, "seed of SUMO's random numbers")
	flags.StringVar(&r.WebhookURL, "webhook-url", "", "report to this URL when the run starts and ends; the secret is printed once")
	flags.StringVar(&r.key, "idempotency-key", "", "a key of your own: repeating the command with it creates no second job")
}

// addOptions adds what says how to run, of a job and of a study's runs.
func (r *runFlags) addOptions(flags *pflag.FlagSet) {
	flags.Float64Var(&r.begin, "begin", 0, "begin of the simulated interval, in seconds")
	flags.Float64Var(&r.end, "end", 0, "end of the simulated interval, in seconds")
	flags.Float64Var(&r.stepLength, "step-length", 0, "seconds per step")
	flags.Float64Var(&r.scale, "scale", 0, "multiply the demand by this")
	flags.StringSliceVar(&r.outputs, "outputs", nil, "further output files: "+strings.Join(extraOutputs(), ", "))
	flags.StringSliceVar(&r.tables, "tables", nil, "tables to make when the run has ended: "+strings.Join(tableNames(), ", "))
	flags.StringToStringVar(&r.Labels, "label", nil, "labels to find the job by, as key=value")
	flags.StringVar(&r.Priority, "priority", "", "low, normal or high")
	flags.DurationVar(&r.timeout, "timeout", 0, "limit of the run's wall clock time, such as 90m")
	flags.IntVar(&r.CPURequest, "cpu", 0, "cores (default: the service's)")
	flags.IntVar(&r.MemoryGi, "memory-gi", 0, "GiB of memory (default: the service's)")
	flags.StringVar((*string)(&r.Cache), "cache", "",
		"use takes the results of an earlier run that is the same, refresh and off run anew (see docs/reproducibility.md)")
	flags.BoolVar(&r.UnfinishedTrips, "unfinished-trips", false, "also count the trips of vehicles still on the road at the end")
	r.replay.add(flags)
}

// addController adds what says which program of the scenario steers a run.
func (r *runFlags) addController(flags *pflag.FlagSet) {
	flags.StringVar(&r.controller, "controller", "", "a Python program of the scenario that steers SUMO, by its path in it")
	flags.StringArrayVar(&r.args, "arg", nil,
		"an argument of the controller or the tool; repeatable. {seed}, {out} and {config} are filled in")
	flags.StringVar(&r.through, "interface", "", "how the controller speaks to SUMO: traci (default) or libsumo")
}

// addTool adds what says which tool runs in place of a simulation.
func (r *runFlags) addTool(flags *pflag.FlagSet) {
	flags.StringVar(&r.tool, "tool", "", "run this tool of SUMO's in place of a simulation: "+strings.Join(simulation.Tools(), ", "))
	flags.StringVar(&r.keepAs, "keep-as", "", "store the scenario, with what the tool has made of it, under this name")
}

// program is the controller or tool that the flags name, with args behind those of --arg.
func (r *runFlags) program(run *client.Run, args []string) error {
	args = slices.Concat(r.args, args)
	switch {
	case r.controller != "" && r.tool != "":
		return usage("--controller and --tool are both given: a job runs one of them")
	case r.controller == "" && r.through != "":
		return usage("--interface belongs to --controller")
	case r.tool == "" && r.keepAs != "":
		return usage("--keep-as belongs to --tool")
	case r.controller != "":
		run.Controller = &simulation.Controller{File: r.controller, Args: args, Interface: simulation.Interface(r.through)}
	case r.tool != "":
		run.Tool = &simulation.Tool{Name: r.tool, Args: args, KeepAs: r.keepAs}
	case len(args) > 0:
		return usage("arguments are given, but neither --controller nor --tool")
	}
	return nil
}

// extraOutputs are those that a run does not write by default.
func extraOutputs() []string {
	var names []string
	for _, o := range simulation.Outputs()[len(simulation.DefaultOutputs()):] {
		names = append(names, string(o))
	}
	return names
}

func tableNames() []string {
	var names []string
	for _, t := range simulation.Tables() {
		names = append(names, string(t))
	}
	return names
}

// chosen is the run that the flags describe.
func (r *runFlags) chosen() (client.Run, error) {
	run := r.Run
	for name, number := range map[string]struct {
		value float64
		into  **float64
	}{
		"begin": {r.begin, &run.Begin}, "end": {r.end, &run.End}, "step-length": {r.stepLength, &run.StepLength}, "scale": {r.scale, &run.Scale},
	} {
		if r.set(name) {
			*number.into = &number.value
		}
	}
	if r.set("seed") {
		run.Seed = &r.seed
	}
	asked, err := r.replay.chosen(r.set)
	if err != nil {
		return run, err
	}
	run.Replay = asked
	for _, output := range r.outputs {
		run.Outputs = append(run.Outputs, simulation.Output(output))
	}
	for _, table := range r.tables {
		run.Tables = append(run.Tables, simulation.Table(table))
	}
	switch { // values of zero or less would be omitted, and the service would use its default
	case r.set("timeout") && r.timeout <= 0:
		return run, usage("--timeout %s leaves the run no time", r.timeout)
	case r.set("cpu") && r.CPURequest < 1:
		return run, usage("--cpu %d: a run needs at least one core", r.CPURequest)
	case r.set("memory-gi") && r.MemoryGi < 1:
		return run, usage("--memory-gi %d: a run needs at least one GiB", r.MemoryGi)
	}
	run.TimeoutSeconds = int((r.timeout + time.Second - 1) / time.Second)
	return run, nil
}

// submission is what the flags and the argument request.
func (r *runFlags) submission(args []string) (client.Submission, error) {
	run, err := r.chosen()
	s := client.Submission{Run: run, ScenarioID: r.scenario, IdempotencyKey: r.key}
	if err != nil {
		return s, err
	}
	var name string
	switch {
	case len(args) == 0 && r.scenario == "":
		return s, usage("nothing to run: give a zip, a folder or an s3:// address, or name a stored scenario with --scenario")
	case len(args) > 0 && r.scenario != "":
		return s, usage("%s and --scenario are both given: keep one", args[0])
	case len(args) == 0:
		name = r.scenario[:min(len(r.scenario), shortID)]
	case strings.HasPrefix(args[0], "s3://"):
		s.S3URL, name = args[0], nameOf(args[0])
	default:
		source, err := sourceOf(args[0])
		if err != nil {
			return s, err
		}
		s.Scenario, name = source, nameOf(source.Name)
	}
	if s.Name == "" {
		s.Name = name
	}
	return s, nil
}

const (
	// shortID is unique within a tenant and short enough for a table.
	shortID = 12
	// maxName is the longest name that the service accepts.
	maxName = 100
)

func nameOf(path string) string {
	name := strings.TrimSuffix(filepath.Base(path), ".zip")
	return string([]rune(name)[:min(len([]rune(name)), maxName)])
}

// sourceOf is the scenario at path: a zip, or a folder that becomes one.
func sourceOf(path string) (*client.Source, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no file or folder %s", path)
	}
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return client.File(path), nil
	}
	if path, err = filepath.Abs(path); err != nil { // so that "." has a name
		return nil, fmt.Errorf("finding the folder: %w", err)
	}
	return client.Folder(path), nil
}

// uploading shows an upload's progress until done is called.
func (a *app) uploading(name string) (sent func(done, total int64), done func()) {
	var bar *show.Transfer
	return func(sent, total int64) {
			if bar == nil {
				bar = show.NewTransfer(a.err, name, total)
			}
			bar.At(sent)
		}, func() {
			if bar != nil {
				bar.Close()
			}
		}
}

// upload sends the scenario at path and shows the progress.
func upload[T any](ctx context.Context, a *app, path string,
	send func(c *client.Client, ctx context.Context, zip *client.Source, sent func(sent, total int64)) (T, error)) (answer T, err error) {
	source, err := sourceOf(path)
	if err != nil {
		return answer, err
	}
	api, err := a.tenant()
	if err != nil {
		return answer, err
	}
	sent, done := a.uploading(source.Name)
	defer done()
	return send(api, ctx, source, sent)
}

func (a *app) submitCommand() *cobra.Command {
	var r runFlags
	c := &cobra.Command{
		Use:   "submit FILE.zip|FOLDER|s3://BUCKET/KEY [-- ARGUMENT...]",
		Short: "Submit a scenario and print the job's id",
		Long: `Submits a scenario, a zip or a folder with a .sumocfg and the files it names, and prints the id of its job.
With --follow, the log and the progress are shown until the job ends, and the exit code says how it ended.
Files and folders whose names begin with a dot are left out of a folder.

With --controller, a Python program of the scenario steers SUMO by TraCI or libsumo; with --tool, one of SUMO's own tools
runs instead. What follows -- are its arguments.`,
		Example: `  sumo-k8 submit city.zip --follow
  JOB=$(sumo-k8 submit city/ --seed 7 --outputs fcd,emission --label study=noise)
  sumo-k8 submit city/ --controller control.py --arg --gain --arg 0.4 --follow
  sumo-k8 submit city/ --tool duaIterate --keep-as assigned -- -n city.net.xml -t city.trips.xml -l 10`,
		Args: func(c *cobra.Command, args []string) error {
			own, _ := apart(c, args)
			return cobra.MaximumNArgs(1)(c, own)
		},
	}
	flags := c.Flags()
	r.add(flags)
	r.addController(flags)
	r.addTool(flags)
	flags.BoolVarP(&r.follow, "follow", "f", false, "show the log and the progress until the job ends")
	a.completeRun(c)
	completeProgram(c)
	c.RunE = a.does(func(ctx context.Context, args []string) error {
		args, passed := apart(c, args)
		s, err := r.submission(args)
		if err == nil {
			err = r.program(&s.Run, passed)
		}
		if err != nil {
			return err
		}
		api, err := a.tenant()
		if err != nil {
			return err
		}
		sent, done := a.uploading(s.Name)
		s.Sent = sent
		j, err := api.Submit(ctx, s)
		done()
		if err != nil {
			return err
		}
		return a.submitted(ctx, api, j, r.follow)
	})
	return c
}

// apart are the arguments of a command, and those behind --.
func apart(c *cobra.Command, args []string) (own, passed []string) {
	if dash := c.ArgsLenAtDash(); dash >= 0 {
		return args[:dash], args[dash:]
	}
	return args, nil
}

// submitted shows a new job, and follows it if requested.
func (a *app) submitted(ctx context.Context, api *client.Client, j client.Job, follow bool) error {
	if j.WebhookSecret != "" && (follow || !a.asJSON()) { // the answer as JSON has it
		a.note("Secret of its webhook, shown only once: %s", j.WebhookSecret)
	}
	if follow {
		a.note("Job %s is submitted as %s.", j.ID, j.Name)
		a.warnings(j.Warnings)
		return a.followToEnd(ctx, api, j.ID)
	}
	a.print(j, func() {
		fmt.Fprintln(a.out, j.ID)
		a.warnings(j.Warnings)
		a.note("Job %s is %s. Follow it: sumo-k8 logs -f %[1]s", j.ID, j.Status)
	})
	return nil
}
