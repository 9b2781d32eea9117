// Command sumo-run carries out SUMO runs: the entry point of a run's container, and of runs on one machine.
//
//	sumo-run --runs LIST.json --scenario FILE.zip --work DIR --out DIR --desk DIR [--unpacked DIR]
//
// goes through the runs of a chunk, each with its own options and limits, and hands their results to the keeper at the desk, as package
// chunk describes. It ends with 0 when each run is stored or not wanted, and with the code of Interrupted when some are to be repeated. A
// single run that belongs to no study ends with the exit code of its outcome's reason.
//
//	sumo-run --scenario FILE.zip --work DIR --out DIR [--options JSON] [--timeout DURATION]
//
// is one run at a shell. It leaves log.txt, SUMO's outputs, summary.json and, last, outcome.json in the output folder, and ends with
// the exit code of the outcome's reason.
//
// SIGTERM and SIGINT stop both gracefully, a second SIGINT at once.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/chunk"
	"github.com/sumo-k8/sumo-k8/pkg/confine"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/program"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/run"
)

// terminationLog is where Kubernetes reads a container's last words; it keeps maxTermination bytes of them.
const (
	terminationLog = "/dev/termination-log"
	maxTermination = 4096
)

func main() {
	program.Enter()
	confine.Enter()
	// Of a run of 50 ms, collecting garbage at each doubling of a few MB takes one.
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(run.OwnMemory / 4 * 3)
	syscall.Umask(0o022) // SUMO may run as a user of its own, which reads our files; the folders above keep others out
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, func() {
		signal.Ignore(syscall.SIGTERM) // Argo sends it more than once
		stop()                         // a person's second Ctrl-C has its usual effect
	})
	os.Exit(execute(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

func execute(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	r := run.Run{
		Binary:  orDefault(getenv("SUMO_BINARY"), "sumo"),
		Home:    orDefault(getenv("SUMO_HOME"), run.DefaultHome),
		Version: getenv("SUMO_VERSION"),
		Image:   getenv("SUMO_IMAGE"),
		Python:  release.Python{Interpreter: getenv("SUMO_PYTHON"), Path: filepath.SplitList(getenv("SUMO_PYTHONPATH"))},
		Limits:  scenario.DefaultLimits(),
		Console: stdout,
	}
	flags := flag.NewFlagSet("sumo-run", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&r.Scenario, "scenario", "", "the scenario's zip `file`")
	flags.StringVar(&r.Overlay, "overlay", "", "`file` with what a derived scenario has in place of files in that zip; empty for none")
	flags.StringVar(&r.Work, "work", "", "`folder` in which to unpack and run it")
	flags.StringVar(&r.Out, "out", "", "`folder` for log, outputs and outcome")
	flags.DurationVar(&r.Timeout, "timeout", 0, "stop SUMO after this wall-clock time; 0 sets no limit")
	flags.TextVar(&r.Confinement, "confinement", confine.Prefer,
		"`require`, prefer or off: whether SUMO may run where this machine cannot confine it to the run's own files")
	memory := flags.Int64("memory", 0, "`bytes` of memory for the run, of which sumo-run keeps a part; 0 sets no limit")
	flags.Int64Var(&r.Output, "output", 0, "`bytes` that SUMO may write to disk; 0 sets no limit")
	flags.StringVar(&r.ProgressFile, "progress", getenv("ARGO_PROGRESS_FILE"), "`file` that receives the progress as N/1000")
	options := flags.String("options", "{}", "the run's options as `JSON`")
	lastWords := flags.String("termination-log", defaultTerminationLog(), "`file` that receives the reason for a failure")
	list := flags.String("runs", "", "`file` with the runs of a chunk, which replaces --options, --timeout and --memory")
	desk := flags.String("desk", "", "`folder` in which the keeper of a chunk's results leaves its signs")
	kept := flags.String("unpacked", "", "`folder`, of this scenario and overlay only, in which it stays unpacked for later chunks")
	generation := flags.Bool("print-generation", false, "print the generation of the lists that this program understands, and exit")
	hold := flags.Duration("hold", 0, "only wait this long, or until a signal, and exit: reserves room on a machine")
	version := flags.Bool("print-version", false, "print SUMO's version and exit")
	confinement := flags.Bool("print-confinement", false, "print as JSON what confines SUMO on this machine, and exit")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return simulation.ExitOK
	} else if err != nil {
		return simulation.ExitInternalError
	}

	if *generation {
		fmt.Fprintln(stdout, chunk.Generation)
		return simulation.ExitOK
	}

	if *version {
		v, err := run.SUMOVersion(ctx, r.Binary)
		if err != nil {
			fmt.Fprintln(stderr, "sumo-run:", err)
			return simulation.ExitInternalError
		}
		fmt.Fprintln(stdout, v)
		return simulation.ExitOK
	}

	if *confinement {
		held, err := r.TryConfinement(ctx)
		if err != nil {
			fmt.Fprintln(stderr, "sumo-run:", err)
			return simulation.ExitInternalError
		}
		_ = json.NewEncoder(stdout).Encode(held) // a struct of numbers and booleans
		return simulation.ExitOK
	}
	r.Memory = run.ForSUMO(*memory)

	if *hold > 0 {
		fmt.Fprintln(stdout, "sumo-run: holding for", *hold)
		select {
		case <-ctx.Done():
		case <-time.After(*hold):
		}
		return simulation.ExitOK
	}

	outcome := simulation.Outcome{Reason: simulation.InternalError}
	c := run.Chunk{Common: r, Desk: *desk, Unpacked: *kept}
	if err := parse(*options, *list, &c); err != nil {
		outcome.Message = err.Error()
		fmt.Fprintln(stderr, "sumo-run:", err)
	} else if *list != "" {
		if outcome = c.Do(ctx); !outcome.Succeeded() && outcome.StartedAt.IsZero() { // a run has said it
			fmt.Fprintln(stderr, "sumo-run:", outcome.Message)
		}
	} else {
		context.AfterFunc(ctx, func() { time.AfterFunc(run.ClosingTime, giveUp) })
		if c.Common.Timeout > 0 {
			time.AfterFunc(c.Common.Timeout+run.ClosingTime, giveUp)
		}
		outcome = c.Common.Do(ctx)
	}
	if !outcome.Succeeded() && *lastWords != "" {
		words := simulation.LastWords(outcome.Reason, outcome.Message)
		words = strings.ToValidUTF8(words[:min(len(words), maxTermination)], "")
		if err := os.WriteFile(*lastWords, []byte(words), 0o644); err != nil {
			fmt.Fprintln(stderr, "sumo-run: writing the termination log:", err)
		}
	}
	return outcome.Reason.ExitCode()
}

// parse reads the options, or the list of runs, and checks that the required flags are set.
func parse(options, list string, c *run.Chunk) error {
	r := &c.Common
	required := []struct{ name, value string }{{"scenario", r.Scenario}, {"work", r.Work}, {"out", r.Out}}
	if list != "" {
		required = append(required, struct{ name, value string }{"desk", c.Desk})
	}
	for _, f := range required {
		if f.value == "" {
			return fmt.Errorf("--%s is missing", f.name)
		}
	}
	if list != "" {
		text, err := os.ReadFile(list)
		if err != nil {
			return fmt.Errorf("--runs: %w", err)
		}
		if err := decode(text, &c.List); err != nil {
			return fmt.Errorf("--runs: %w", err)
		}
		for _, run := range c.List.Runs {
			if err := check(run.Options); err != nil {
				return fmt.Errorf("--runs: %s: %w", run.ID, err)
			}
		}
		return nil
	}
	if err := decode([]byte(options), &r.Options); err != nil {
		return fmt.Errorf("--options: %w", err)
	}
	if err := check(r.Options); err != nil {
		return fmt.Errorf("--options: %w", err)
	}
	return nil
}

// decode reads what the service wants, all of which must be understood.
func decode(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// check refuses options that no run can have.
func check(o simulation.Options) error {
	for _, output := range o.Outputs {
		if !output.Valid() {
			return fmt.Errorf("unknown output %q", output)
		}
	}
	for _, table := range o.Tables {
		if !table.Valid() {
			return fmt.Errorf("unknown table %q", table)
		}
	}
	field, fault := "", ""
	switch {
	case o.Controller != nil && o.Tool != nil:
		return errors.New("a run has a controller or a tool, not both")
	case (o.Controller != nil || o.Tool != nil) && o.Check:
		return errors.New("a check runs no program")
	case o.Controller != nil:
		field, fault = o.Controller.Fault()
	case o.Tool != nil:
		field, fault = o.Tool.Fault()
	}
	if fault != "" {
		return fmt.Errorf("%s %s", field, fault)
	}
	return nil
}

func giveUp() {
	fmt.Fprintln(os.Stderr, "sumo-run: the run could not be finished in time")
	os.Exit(simulation.ExitInternalError)
}

func defaultTerminationLog() string {
	if _, err := os.Stat(terminationLog); err != nil {
		return ""
	}
	return terminationLog
}

func orDefault(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}
