package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sumo-k8/sumo-k8/pkg/client"
	"github.com/sumo-k8/sumo-k8/pkg/client/internal/show"
	"github.com/sumo-k8/sumo-k8/pkg/job"
)

// follow shows a job's log and progress until it has ended. An end other than success is a *jobEnd.
func (a *app) follow(ctx context.Context, api *client.Client, id string, log io.Writer) error {
	display := show.New(log, a.err, []string{""})
	a.display = display
	end, err := a.watch(ctx, api, id, display)
	a.display = nil
	if err == nil && end.Status == job.Succeeded {
		display.Done("")
	}
	display.Close()
	if err != nil {
		return leaving(err, id)
	}
	if end.Status == job.Succeeded {
		return nil
	}
	why := ""
	if end.Reason != "" {
		why = " (" + string(end.Reason) + ")"
	}
	a.note("Job %s is %s%s: %s", id, end.Status, why, end.Message)
	return &jobEnd{end.Status}
}

// leaving is why a running job is no longer followed. When the service refuses to show the job, its state is unknown.
func leaving(err error, id string) error {
	var refused *client.Error
	if errors.As(err, &refused) {
		return err
	}
	return &goesOn{error: err, id: id}
}

func (a *app) watch(ctx context.Context, api *client.Client, id string, display show.Display) (end client.LogEvent, err error) {
	progress := 0.0
	for e, err := range api.Follow(ctx, id, "") {
		if err != nil {
			return e, err
		}
		switch e.Kind {
		case client.LogLine:
			display.Log("", e.Message)
		case client.LogNote:
			a.note("%s", e.Message)
		case client.LogProgress:
			progress = e.Progress
			display.Update("", e.Status, progress)
		case client.LogEnd:
			if e.Status == job.Succeeded {
				progress = 1
			}
			display.Update("", e.Status, progress)
			end = e
		}
	}
	return end, nil
}

// followToEnd follows a job that was just submitted, then shows its results.
func (a *app) followToEnd(ctx context.Context, api *client.Client, id string) error {
	log := a.out
	if a.asJSON() {
		log = a.err // programs read only the answer
	}
	ended := a.follow(ctx, api, id, log)
	if ended != nil && !errors.As(ended, new(*jobEnd)) {
		return ended
	}
	if a.asJSON() {
		j, err := api.Job(ctx, id)
		if err != nil {
			return err
		}
		a.print(j, nil)
		return ended
	}
	if ended == nil {
		fmt.Fprintln(a.out)
		if err := a.figures(ctx, api, id); err != nil {
			return err
		}
		if err := a.kept(ctx, api, id); err != nil {
			return err
		}
	}
	a.note("\nFetch its files: sumo-k8 results %s", id)
	return ended
}

// kept shows the scenario that the result of a tool has become, or why it has not.
func (a *app) kept(ctx context.Context, api *client.Client, id string) error {
	j, err := api.Job(ctx, id)
	switch {
	case err != nil || j.Options.Tool == nil || j.Options.Tool.KeepAs == "":
		return err
	case j.KeptScenario != "":
		fmt.Fprintf(a.out, "The result is the scenario %s.\n", j.KeptScenario)
	}
	a.warnings(j.Warnings)
	return nil
}

func (a *app) logsCommand() *cobra.Command {
	var follow bool
	var tail int
	c := &cobra.Command{
		Use:   "logs JOB",
		Short: "Show a job's log",
		Long: `Shows a job's log so far. With --follow, new lines are shown as they arrive until the job ends, and the exit code
says how it ended. A broken connection resumes without losing or repeating a line.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.jobIDs(1, nil),
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "show new lines until the job ends")
	c.Flags().IntVar(&tail, "tail", 0, "show the last lines only")
	c.MarkFlagsMutuallyExclusive("follow", "tail")
	c.RunE = a.does(func(ctx context.Context, args []string) error {
		if tail < 0 || tail == 0 && c.Flags().Changed("tail") { // 0 stands for the whole log
			return usage("--tail %d shows no line", tail)
		}
		api, id, err := a.named(ctx, args[0])
		if err != nil {
			return err
		}
		if follow {
			if a.asJSON() {
				return a.followJSON(ctx, api, id)
			}
			return a.follow(ctx, api, id, a.out)
		}
		return a.log(ctx, api, id, tail)
	})
	return c
}

// followJSON prints the events of a job, one JSON document per line.
func (a *app) followJSON(ctx context.Context, api *client.Client, id string) error {
	for e, err := range api.Follow(ctx, id, "") {
		if err != nil {
			return leaving(err, id)
		}
		fmt.Fprintf(a.out, "%s\n", e.JSON())
		if e.Kind == client.LogEnd && e.Status != job.Succeeded {
			return &jobEnd{e.Status}
		}
	}
	return nil
}

// log shows the log so far. One answer holds only the end of a long log; a finished job's log comes whole as a stream.
func (a *app) log(ctx context.Context, api *client.Client, id string, tail int) error {
	l, err := api.Log(ctx, id, tail)
	if err != nil {
		return err
	}
	if a.asJSON() || !l.Truncated || tail > 0 || !l.Status.Terminal() {
		a.print(l, func() {
			if l.Truncated && tail == 0 {
				a.note("These are the last lines. All of them: sumo-k8 logs -f %s", id)
			}
			a.lines(l.Logs)
		})
		return nil
	}
	for e, err := range api.Follow(ctx, id, "") {
		if err != nil {
			return err
		}
		if e.Kind == client.LogLine {
			a.lines(e.Message)
		}
	}
	return nil
}

func (a *app) lines(text string) {
	for line := range strings.Lines(text) {
		fmt.Fprintln(a.out, show.Printable(strings.TrimRight(line, "\r\n")))
	}
}
