// Command sumo-run carries out one SUMO run: the entry point of a run's container, and of a run on one machine.
//
//	sumo-run --scenario FILE.zip --work DIR --out DIR [--options JSON] [--timeout DURATION]
//
// It leaves log.txt, SUMO's outputs, summary.json and, last, outcome.json in the output folder, and ends with the exit
// code of the outcome's reason. SIGTERM and SIGINT stop it gracefully, a second SIGINT at once.
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
	"strings"
	"syscall"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/confine"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/run"
)

// closingTime bounds checking and keeping the outputs after a stop, so that a run never hangs.
const closingTime = 5 * time.Minute

// ownMemory, in bytes, is the part of a run's memory that sumo-run keeps for itself: it takes some 30 MB to check a scenario
// with a large network.
const ownMemory = 64 << 20

// terminationLog is where Kubernetes reads a container's last words, of which it keeps maxTermination bytes.
const (
	terminationLog = "/dev/termination-log"
	maxTermination = 4096
)

func main() {
	confine.Enter()
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
		Limits:  scenario.DefaultLimits(),
		Console: stdout,
	}
	flags := flag.NewFlagSet("sumo-run", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&r.Scenario, "scenario", "", "the scenario's zip `file`")
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
	hold := flags.Duration("hold", 0, "only wait this long, or until a signal, and exit: reserves room on a machine")
	version := flags.Bool("print-version", false, "print SUMO's version and exit")
	confinement := flags.Bool("print-confinement", false, "print as JSON what confines SUMO on this machine, and exit")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return simulation.ExitOK
	} else if err != nil {
		return simulation.ExitInternalError
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
	if *memory > 0 {
		r.Memory = max(*memory-ownMemory, ownMemory)
	}

	if *hold > 0 {
		fmt.Fprintln(stdout, "sumo-run: holding for", *hold)
		select {
		case <-ctx.Done():
		case <-time.After(*hold):
		}
		return simulation.ExitOK
	}

	outcome := simulation.Outcome{Reason: simulation.InternalError}
	if err := parse(*options, &r); err != nil {
		outcome.Message = err.Error()
		fmt.Fprintln(stderr, "sumo-run:", err)
	} else {
		context.AfterFunc(ctx, func() { time.AfterFunc(closingTime, giveUp) })
		if r.Timeout > 0 {
			time.AfterFunc(r.Timeout+closingTime, giveUp)
		}
		outcome = r.Do(ctx)
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

// parse reads the options and checks that the required flags are set.
func parse(options string, r *run.Run) error {
	for _, f := range []struct{ name, value string }{{"scenario", r.Scenario}, {"work", r.Work}, {"out", r.Out}} {
		if f.value == "" {
			return fmt.Errorf("--%s is missing", f.name)
		}
	}
	d := json.NewDecoder(bytes.NewReader([]byte(options)))
	d.DisallowUnknownFields()
	if err := d.Decode(&r.Options); err != nil {
		return fmt.Errorf("--options: %w", err)
	}
	for _, o := range r.Options.Outputs {
		if !o.Valid() {
			return fmt.Errorf("--options: unknown output %q", o)
		}
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
