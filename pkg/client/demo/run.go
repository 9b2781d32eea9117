package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sumo-k8/sumo-k8/pkg/client"
	"github.com/sumo-k8/sumo-k8/pkg/client/internal/show"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

const (
	// pollEvery is short enough for a bar to look alive, and costs the server one indexed read each time.
	pollEvery = 200 * time.Millisecond
	// logTail is how long the log may take to end after its job has.
	logTail = 20 * time.Second
	// cancelWithin bounds cancelling the jobs, while a person who has pressed Ctrl-C waits.
	cancelWithin = 3 * time.Second

	// plotKind is the plot that the service draws of each run: vehicles over time.
	plotKind = "vehicles"
	plotFile = "plot.png"
)

// finished is a run that succeeded, with its results in a folder.
type finished struct {
	name    string
	folder  string
	files   int
	moments int // that were recorded
	summary *simulation.Summary
}

// runAll submits all scenarios, follows them to their ends and saves their results. The first failure ends it and cancels
// the remaining jobs.
func runAll(ctx context.Context, api *client.Client, o options, stdout io.Writer) (runs []finished, err error) {
	ids := make([]string, len(o.scenarios))
	defer func() {
		if err == nil {
			return
		}
		farewell, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelWithin)
		defer cancel()
		for _, id := range ids {
			if id != "" {
				// The first failure is the one to report; finished jobs refuse this anyway.
				_, _ = api.Cancel(farewell, id)
			}
		}
	}()
	for i, name := range o.scenarios {
		j, err := api.Submit(ctx, client.Submission{
			Run: client.Run{Name: name, Replay: &simulation.Replay{}}, Scenario: client.File(filepath.Join(o.networks, name+".zip")),
		})
		if err != nil {
			return nil, fmt.Errorf("submitting %s: %w", name, err)
		}
		ids[i] = j.ID
		fmt.Fprintf(stdout, "submitted %s as job %s\n", name, ids[i])
	}

	display := show.New(stdout, stdout, o.scenarios)
	group, groupCtx := errgroup.WithContext(ctx)
	for i, name := range o.scenarios {
		group.Go(func() error {
			if err := follow(groupCtx, api, ids[i], name, display); err != nil {
				return fmt.Errorf("following %s: %w", name, err)
			}
			return nil
		})
	}
	err = group.Wait()
	display.Close()
	if err != nil {
		return nil, err
	}

	for i, name := range o.scenarios {
		r, err := save(ctx, api, ids[i], name, filepath.Join(o.out, name))
		if err != nil {
			return nil, fmt.Errorf("saving the results of %s: %w", name, err)
		}
		runs = append(runs, r)
	}
	return runs, nil
}

// follow shows a job's progress and log until it has finished. A job that does not succeed is an error.
func follow(ctx context.Context, api *client.Client, id, name string, display show.Display) error {
	logCtx, stopLog := context.WithCancelCause(ctx)
	defer stopLog(nil)
	logged := make(chan error, 1)
	go func() { logged <- followLog(logCtx, api, id, func(line string) { display.Log(name, line) }) }()

	end, err := awaitEnd(ctx, api, id, func(j client.Job) { display.Update(name, j.Status, j.Progress) })
	if err != nil {
		stopLog(nil)
	}
	timer := time.AfterFunc(logTail, func() {
		stopLog(fmt.Errorf("it has not ended %s after the job", logTail))
	})
	defer timer.Stop()
	logErr := <-logged // nothing is shown after we return
	switch {
	case err != nil:
		return err
	case end.Status != job.Succeeded:
		return fmt.Errorf("job %s is %s (%s): %s", id, end.Status, end.Reason, end.Error)
	case logErr != nil:
		return fmt.Errorf("reading the log of job %s: %w", id, logErr)
	}
	display.Done(name)
	return nil
}

// followLog calls line for each line of a job's log until the log has ended.
func followLog(ctx context.Context, api *client.Client, id string, line func(string)) error {
	for e, err := range api.Follow(ctx, id, "") {
		if err != nil {
			return err
		}
		if e.Kind != client.LogProgress && e.Message != "" {
			line(e.Message)
		}
	}
	return nil
}

// awaitEnd polls the job until it has finished, and calls seen each time.
func awaitEnd(ctx context.Context, api *client.Client, id string, seen func(client.Job)) (client.Job, error) {
	for {
		j, err := api.Job(ctx, id)
		if err != nil {
			return j, err
		}
		seen(j)
		if j.Status.Terminal() {
			return j, nil
		}
		select {
		case <-ctx.Done():
			return j, context.Cause(ctx)
		case <-time.After(pollEvery):
		}
	}
}

// save downloads all results of a job into folder, and a plot that the service draws.
func save(ctx context.Context, api *client.Client, id, name, folder string) (finished, error) {
	results, err := api.Results(ctx, id)
	if err != nil {
		return finished{}, err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return finished{}, err
	}
	// Names come from the server: the root keeps each of them inside the folder.
	root, err := os.OpenRoot(folder)
	if err != nil {
		return finished{}, err
	}
	defer root.Close()
	for _, f := range results.Files {
		if _, err := api.Save(ctx, id, f, root, nil); err != nil {
			return finished{}, fmt.Errorf("downloading %s: %w", f.Name, err)
		}
	}

	r := finished{name: name, folder: folder, files: len(results.Files)}
	text, err := root.ReadFile(simulation.SummaryFile)
	if err != nil {
		return finished{}, fmt.Errorf("the run left no readable %s: %w", simulation.SummaryFile, err)
	}
	if err := json.Unmarshal(text, &r.summary); err != nil {
		return finished{}, fmt.Errorf("reading %s: %w", simulation.SummaryFile, err)
	}
	recording, err := api.Replay(ctx, id)
	if err != nil {
		return finished{}, fmt.Errorf("reading the recording: %w", err)
	}
	for _, s := range recording.Segments {
		r.moments += s.Frames
	}
	plot, err := api.Draw(ctx, id, plotKind, client.Drawing{Format: "png"})
	if err != nil {
		return finished{}, fmt.Errorf("drawing the plot: %w", err)
	}
	if err := root.WriteFile(plotFile, plot, 0o644); err != nil {
		return finished{}, err
	}
	return r, nil
}
