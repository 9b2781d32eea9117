package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sumo-k8/sumo-k8/pkg/client"
	"github.com/sumo-k8/sumo-k8/pkg/client/internal/show"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// app is one invocation of the program.
type app struct {
	in       io.Reader
	out, err io.Writer
	env      func(string) string

	// What the flags of every command say.
	format string
	url    string

	// display shows the run that is followed; nil for none. Notes go through it, so that they do not break its bar.
	display show.Display
	began   bool // a command has started: its command line is valid
}

const (
	formatText = "text"
	formatJSON = "json"
)

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "sumo-k8",
		Short: "Run SUMO traffic simulations as a service",
		Long: `Run SUMO traffic simulations as a service: submit a scenario, follow the run, fetch the results.

The service and your key come from "sumo-k8 login", which keeps them in a file of your own, or from the
environment: SUMO_K8_URL, SUMO_K8_API_KEY and, for operators, SUMO_K8_ADMIN_KEY. The environment wins.

Exit codes: 0 all is well, or the followed job SUCCEEDED; 1 the job FAILED, or the scenario is invalid; 2 the
command line or the settings are wrong; 3 the job is CANCELLED; 4 the service refused; 5 the service cannot be
reached, or a file cannot be read or written; 130 interrupted.

Wherever a job is asked for, except to cancel or remove it, @latest is the one that was submitted last,
without those that only check a scenario.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return flagFault(err) })
	flags := root.PersistentFlags()
	flags.StringVarP(&a.format, "output", "o", formatText, "text, or json for the service's answers as they are")
	flags.StringVar(&a.url, "url", "", "address of the service")
	must(root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{formatText, formatJSON},
		cobra.ShellCompDirectiveNoFileComp)))
	must(root.RegisterFlagCompletionFunc("url", cobra.NoFileCompletions))
	root.AddGroup(
		&cobra.Group{ID: "jobs", Title: "Jobs:"},
		&cobra.Group{ID: "studies", Title: "Studies:"},
		&cobra.Group{ID: "scenarios", Title: "Scenarios:"},
		&cobra.Group{ID: "operators", Title: "For operators:"},
		&cobra.Group{ID: "setup", Title: "Setting up:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("jobs", a.submitCommand(), a.logsCommand(), a.listCommand(), a.getCommand(), a.resultsCommand(), a.compareCommand(),
		a.plotCommand(), a.tableCommand(), a.replayCommand(), a.countsCommand(), a.manifestCommand(), a.reproduceCommand(),
		a.retryCommand(), a.cancelCommand(), a.removeCommand(), a.webhooksCommand(), a.versionsCommand())
	add("studies", a.studyCommand())
	add("scenarios", a.validateCommand(), a.checkCommand(), a.scenariosCommand())
	add("operators", a.tenantsCommand(), a.importCommand())
	add("setup", a.loginCommand(), a.configCommand(), a.versionCommand())
	root.SetHelpCommandGroupID("setup")
	root.SetCompletionCommandGroupID("setup")
	return root
}

// must is for programming errors, which the first run shows.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// does makes f the work of a command.
func (a *app) does(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if a.format != formatText && a.format != formatJSON {
			return usage("--output %q is neither text nor json", a.format)
		}
		if err := finite(cmd.Flags()); err != nil {
			return err
		}
		a.began = true
		return f(cmd.Context(), args)
	}
}

// finite refuses numbers that only the flags' parser takes for numbers: JSON cannot carry them.
func finite(flags *pflag.FlagSet) (err error) {
	flags.Visit(func(f *pflag.Flag) {
		var numbers []float64
		switch f.Value.Type() {
		case "float64":
			v, _ := flags.GetFloat64(f.Name) // it has been read
			numbers = []float64{v}
		case "float64Slice":
			numbers, _ = flags.GetFloat64Slice(f.Name)
		}
		for _, v := range numbers {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				err = usage("--%s %s is not a number", f.Name, strings.Trim(f.Value.String(), "[]"))
			}
		}
	})
	return err
}

// group is a command that only holds others. A mistyped subcommand is an error, not a reason to show help and succeed.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(commands...)
	return c
}

func (a *app) asJSON() bool { return a.format == formatJSON }

// print shows an answer: as JSON, or in words.
func (a *app) print(answer interface{ JSON() json.RawMessage }, words func()) {
	if a.asJSON() {
		fmt.Fprintf(a.out, "%s\n", strings.TrimSpace(string(answer.JSON())))
		return
	}
	words()
}

// note shows a remark, which is not part of the answer.
func (a *app) note(format string, args ...any) {
	for line := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
		if a.display != nil {
			a.display.Note(line)
		} else {
			fmt.Fprintln(a.err, show.Printable(line))
		}
	}
}

// table prints rows with aligned columns.
func (a *app) table(rows [][]string) {
	for _, row := range rows {
		for i, cell := range row {
			row[i] = show.Printable(cell)
		}
	}
	show.Table(a.out, rows)
}

// report says why a command has failed.
func (a *app) report(err error, code int) {
	var refused *client.Error
	var interrupted *goesOn
	switch {
	case errors.As(err, new(*jobEnd)), errors.As(err, new(*studyEnd)), errors.As(err, new(*invalid)), errors.As(err, new(*different)),
		errors.As(err, new(*reported)):
		return // shown already
	case code == exitInterrupted && errors.As(err, &interrupted):
		a.note("")
	case code == exitInterrupted:
		a.note("sumo-k8: interrupted")
	case code == exitUsage:
		a.note("sumo-k8: %v", err)
		a.note(`See "sumo-k8 --help" and "sumo-k8 COMMAND --help".`)
	case errors.As(err, &refused):
		a.refusal(refused)
	default:
		a.note("sumo-k8: %v", err)
		if errors.As(err, new(*client.Unreachable)) {
			a.note("Is the service running, and is this its address? sumo-k8 config shows what is set.")
		}
	}
	if errors.As(err, &interrupted) {
		if interrupted.study {
			a.note("Study %[1]s goes on. Follow it: sumo-k8 study get -f %[1]s    Stop it: sumo-k8 study cancel %[1]s", interrupted.id)
			return
		}
		a.note("Job %[1]s goes on. Follow it: sumo-k8 logs -f %[1]s    Stop it: sumo-k8 cancel %[1]s", interrupted.id)
	}
}

// refusal shows a problem document: what is wrong, then each fault by itself.
func (a *app) refusal(e *client.Error) {
	if raw := e.JSON(); a.asJSON() && raw != nil {
		fmt.Fprintf(a.out, "%s\n", strings.TrimSpace(string(raw)))
		return
	}
	if e.Code == "" { // something other than the service answered
		a.note("sumo-k8: %v", e)
		return
	}
	a.note("sumo-k8: %s", e.Detail)
	a.faults(e.Detail, e.Items, a.note)
	if e.Status >= 500 && e.RequestID != "" {
		a.note("The operator finds this in the log as %s.", e.RequestID)
	}
}

// faults lists the faults below the detail, unless the detail already states the only one.
func (a *app) faults(detail string, items []problem.Item, show func(format string, args ...any)) {
	if len(items) == 1 && strings.Contains(detail, items[0].Message) {
		return
	}
	for _, item := range items {
		if item.Location == "" {
			show("  %s", item.Message)
		} else {
			show("  %s: %s", item.Location, item.Message)
		}
	}
}

// Times are shown in the local zone: people compare them with their clock.
func clock(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}
