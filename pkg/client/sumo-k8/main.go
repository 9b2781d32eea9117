// Command sumo-k8 is the command line of the service: it submits scenarios, follows runs and fetches results, over the
// public HTTP API only.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/sumo-k8/sumo-k8/pkg/client"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

// Exit codes. Commands that follow a job to its end have the job's.
const (
	exitOK          = 0
	exitFailed      = 1 // the job FAILED, the scenario is invalid, or a repeated run left other results
	exitUsage       = 2 // the command line or the settings are wrong
	exitCancelled   = 3 // the job is CANCELLED
	exitRefused     = 4 // the service refused
	exitTrouble     = 5 // the service cannot be reached, or a file cannot be read or written
	exitInterrupted = 130
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first Ctrl-C ends the command gracefully, a second one at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
}

// run is the program without its process: it returns the exit code. Answers go to stdout, all else to stderr.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, env func(string) string) int {
	out := &output{to: stdout}
	a := &app{in: stdin, out: out, err: stderr, env: env}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(out)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		err = out.failure()
	}
	if err == nil {
		return exitOK
	}
	if !a.began && out.failure() == nil { // cobra rejects an invalid command line before a command starts
		err = &usageError{err}
	}
	code := exitCode(ctx, err)
	a.report(err, code)
	return code
}

// output is where answers go. It remembers that a part of them was lost, on a full disk for instance, which those who print do not ask.
type output struct {
	to   io.Writer
	mu   sync.Mutex
	lost error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.to.Write(p)
	if err != nil {
		o.mu.Lock()
		o.lost = cmp.Or(o.lost, err)
		o.mu.Unlock()
	}
	return n, err
}

// Fd is that of a file, by which a terminal is known.
func (o *output) Fd() uintptr {
	if f, ok := o.to.(*os.File); ok {
		return f.Fd()
	}
	return ^uintptr(0)
}

func (o *output) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.lost
}

// usageError is a mistake in the command line or the settings.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

func usage(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// taken is what flags of a type take.
var taken = map[string]string{
	"float64": "a number such as 1.5", "float64Slice": "numbers such as 0,0,500,500", "int": "a whole number", "int64": "a whole number",
	"duration": "a time with its unit, such as 90s, 90m or 1h30m", "bool": "true or false", "stringToString": "key=value",
}

// flagFault says what a flag takes, where pflag has only the words of a parser.
func flagFault(err error) error {
	wrong, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return err
	}
	flag := wrong.GetFlag()
	what, ok := taken[flag.Value.Type()]
	if !ok {
		return err
	}
	return fmt.Errorf("--%s %q: this flag takes %s", flag.Name, wrong.GetValue(), what)
}

// jobEnd is a followed job that ended other than in success, which was shown already.
type jobEnd struct{ status job.State }

func (e *jobEnd) Error() string { return "the job is " + string(e.status) }

// studyEnd is a followed study that ended other than in success, which was shown already.
type studyEnd struct{ status study.State }

func (e *studyEnd) Error() string { return "the study is " + string(e.status) }

// goesOn is why following ended while the job or study goes on.
type goesOn struct {
	error
	id    string
	study bool
}

func (e *goesOn) Unwrap() error { return e.error }

func exitCode(ctx context.Context, err error) int {
	var wrong *usageError
	var end *jobEnd
	var ended *studyEnd
	var refused *client.Error
	switch {
	case errors.As(err, &wrong):
		return exitUsage
	case errors.As(err, new(*invalid)), errors.As(err, new(*different)):
		return exitFailed
	case errors.As(err, &ended) && ended.status == study.Cancelled:
		return exitCancelled
	case errors.As(err, &ended):
		return exitFailed
	case errors.As(err, &end) && end.status == job.Cancelled:
		return exitCancelled
	case errors.As(err, &end):
		return exitFailed
	case ctx.Err() != nil:
		return exitInterrupted
	case errors.As(err, &refused):
		return exitRefused
	default:
		return exitTrouble
	}
}
