package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sumo-k8/sumo-k8/pkg/client"
	"github.com/sumo-k8/sumo-k8/pkg/client/internal/show"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

func (a *app) checkCommand() *cobra.Command {
	var r runFlags
	c := &cobra.Command{
		Use:   "check FILE.zip|FOLDER|s3://BUCKET/KEY",
		Short: "Let SUMO load a scenario and print its errors and warnings",
		Long: `Has SUMO load a scenario and examine the routes of all that departs, without simulating more, and prints what it says like a
compiler, as file:line: message. SUMO ends at the first route that is not connected. The check does not see what depends on time: roads
that are closed for a while, and speeds that are too high at a departure; nor routes behind a saved state, or in included files that are
cut off. It reports an id that is used twice even if the first vehicle would have left.

The exit code is 0 for a scenario that loads, and 1 for one that does not. The check is a job and counts as one.`,
		Example: "  sumo-k8 check city/ --sumo-version 1.28",
		Args:    cobra.MaximumNArgs(1),
	}
	r.addScenario(c.Flags())
	a.completeScenario(c)
	c.RunE = a.does(func(ctx context.Context, args []string) error {
		s, err := r.submission(args)
		if err != nil {
			return err
		}
		s.Check = true
		api, err := a.tenant()
		if err != nil {
			return err
		}
		sent, done := a.uploading(s.Name)
		s.Sent = sent
		j, err := api.Submit(ctx, s)
		done()
		var refused *client.Error
		if errors.As(err, &refused) && refused.Code == problem.ScenarioInvalid && !a.asJSON() {
			a.problems(refused.Items)
			return &invalid{}
		}
		if err != nil {
			return err
		}
		if j, err = a.ended(ctx, api, j.ID); err != nil {
			return err
		}
		a.print(j, func() { a.checked(j) })
		if j.Status != job.Succeeded {
			return &jobEnd{j.Status}
		}
		return nil
	})
	return c
}

// ended waits for the end of a job.
func (a *app) ended(ctx context.Context, api *client.Client, id string) (client.Job, error) {
	for _, err := range api.Follow(ctx, id, "") {
		if err != nil {
			return client.Job{}, leaving(err, id)
		}
	}
	return api.Job(ctx, id)
}

func (a *app) checked(j client.Job) {
	a.problems(j.Problems)
	a.warnings(j.Warnings)
	switch {
	case j.Status == job.Succeeded:
		a.note("SUMO %s loads the scenario.", j.Options.SumoVersion)
	case len(j.Problems) == 0:
		a.note("The check is %s: %s", j.Status, j.Error)
	}
}

// problems prints faults as compilers do, so that editors find their places.
func (a *app) problems(items []problem.Item) {
	for _, item := range items {
		line := item.Message
		if item.Location != "" {
			line = item.Location + ": " + line
		}
		fmt.Fprintln(a.out, show.Printable(line))
	}
}
