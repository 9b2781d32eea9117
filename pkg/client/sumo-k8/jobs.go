package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/sumo-k8/sumo-k8/pkg/client"
	"github.com/sumo-k8/sumo-k8/pkg/client/internal/show"
	"github.com/sumo-k8/sumo-k8/pkg/job"
)

// latest stands for the job that was submitted last, other than checks: they leave nothing to look at, and are made between two jobs.
const latest = "@latest"

// jobID resolves a job named on the command line to its id.
func (a *app) jobID(ctx context.Context, api *client.Client, given string) (string, error) {
	if given != latest {
		return given, nil
	}
	for f := (client.Filter{Limit: latestPage}); ; f.Limit = maxPage {
		page, err := api.Jobs(ctx, f)
		if err != nil {
			return "", err
		}
		if i := slices.IndexFunc(page.Jobs, func(j client.Job) bool { return !j.Options.Check }); i >= 0 {
			return page.Jobs[i].ID, nil
		}
		if f.Cursor = page.NextCursor; f.Cursor == "" {
			return "", usage("there is no job yet that is more than a check")
		}
	}
}

// latestPage has the latest job nearly always.
const latestPage = 10

// named returns a client of the tenant, and the id of the job named on the command line.
func (a *app) named(ctx context.Context, given string) (api *client.Client, id string, err error) {
	if api, err = a.tenant(); err == nil {
		id, err = a.jobID(ctx, api, given)
	}
	return api, id, err
}

// eachJobID is jobID for several.
func (a *app) eachJobID(ctx context.Context, api *client.Client, given []string) ([]string, error) {
	ids := make([]string, len(given))
	for i, one := range given {
		id, err := a.jobID(ctx, api, one)
		if err != nil {
			return nil, err
		}
		ids[i] = id
	}
	return ids, nil
}

func (a *app) listCommand() *cobra.Command {
	var f client.Filter
	var status, since, until string
	var most int
	c := &cobra.Command{
		Use: "ls", Short: "List your jobs, newest first", Aliases: []string{"list"},
		Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		Example: "  sumo-k8 ls --status FAILED --since 24h\n  sumo-k8 ls --label study=noise -n 0 -o json\n" +
			"  sumo-k8 ls --study $STUDY --status FAILED",
	}
	flags := c.Flags()
	flags.StringVar(&status, "status", "", "only jobs in this state: "+strings.Join(states(), ", "))
	flags.StringVar(&f.Name, "name", "", "only runs with this name")
	flags.StringToStringVar(&f.Labels, "label", nil, "only jobs with these labels, as key=value")
	flags.StringVar(&f.Study, "study", "", "the runs of this study, which are left out otherwise")
	flags.StringVar(&since, "since", "", "only jobs submitted since then: 24h ago, or a date such as 2026-03-04 or 2026-03-04T05:06:07Z")
	flags.StringVar(&until, "until", "", "only jobs submitted before then")
	flags.IntVarP(&most, "limit", "n", 20, "how many; 0 for all")
	must(c.RegisterFlagCompletionFunc("status", cobra.FixedCompletions(states(), cobra.ShellCompDirectiveNoFileComp)))
	must(c.RegisterFlagCompletionFunc("study", a.studyIDs))
	noFiles(c, "name", "label", "since", "until", "limit")
	c.RunE = a.does(func(ctx context.Context, _ []string) error {
		f.Status = job.State(strings.ToUpper(status))
		var err error
		if f.SubmittedAfter, err = moment(since, time.Now()); err != nil {
			return usage("--since %w", err)
		}
		if f.SubmittedBefore, err = moment(until, time.Now()); err != nil {
			return usage("--until %w", err)
		}
		if most < 0 {
			return usage("--limit %d is not a number of jobs", most)
		}
		api, err := a.tenant()
		if err != nil {
			return err
		}
		return listing[client.Job]{
			name: "jobs", most: most, heading: []string{"JOB", "NAME", "STATUS", "PROGRESS", "SUBMITTED", "TOOK"},
			page: func(cursor string, limit int) ([]client.Job, string, error) {
				f.Cursor, f.Limit = cursor, limit
				page, err := api.Jobs(ctx, f)
				return page.Jobs, page.NextCursor, err
			},
			row: func(j client.Job) []string {
				status := string(j.Status)
				if j.Superseded {
					status += ", run again"
				}
				return []string{j.ID, j.Name, status, percent(j.Progress), clock(&j.SubmittedAt), took(j)}
			},
		}.print(a)
	})
	return c
}

func states() []string {
	var names []string
	for _, s := range job.States() {
		names = append(names, string(s))
	}
	return names
}

// moment reads a point in time: how long ago, or a date with or without a time.
func moment(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil {
		return now.Add(-ago), nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil {
			return now.AddDate(0, 0, -n), nil
		}
	}
	for _, layout := range []string{time.DateOnly, time.DateTime, time.RFC3339} {
		if at, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time: write it like 24h, 7d, 2026-03-04 or 2026-03-04T05:06:07Z", text)
}

func percent(progress float64) string { return fmt.Sprintf("%.0f %%", 100*progress) }

// took is a run's duration.
func took(j client.Job) string {
	if j.StartedAt == nil || j.FinishedAt == nil {
		return "-"
	}
	return duration(j.FinishedAt.Sub(*j.StartedAt))
}

func duration(d time.Duration) string {
	if d < time.Minute {
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + "s"
	}
	return d.Round(time.Second).String()
}

func (a *app) getCommand() *cobra.Command {
	return &cobra.Command{
		Use: "get JOB", Short: "Show a job and its results", Args: cobra.ExactArgs(1), ValidArgsFunction: a.jobIDs(1, nil),
		RunE: a.does(func(ctx context.Context, args []string) error {
			api, id, err := a.named(ctx, args[0])
			if err != nil {
				return err
			}
			j, err := api.Job(ctx, id)
			if err != nil {
				return err
			}
			if a.asJSON() {
				a.print(j, nil)
				return nil
			}
			a.describe(j)
			if !j.Status.Terminal() {
				return nil
			}
			fmt.Fprintln(a.out)
			return a.figures(ctx, api, id)
		}),
	}
}

type state interface {
	~string
	Terminal() bool
}

// statusOf is the state of a job or a study, which may be on its way to another one.
func statusOf[S state](state S, cancelling bool) string {
	if cancelling && !state.Terminal() {
		return string(state) + ", being cancelled"
	}
	return string(state)
}

func (a *app) describe(j client.Job) {
	rows := [][]string{{"job", j.ID}, {"name", j.Name}}
	add := func(name, value string) {
		if value != "" && value != "-" {
			rows = append(rows, []string{name, value})
		}
	}
	status := statusOf(j.Status, j.CancelRequested)
	if j.Reason != "" {
		status += " (" + string(j.Reason) + ")"
	}
	add("status", status)
	if j.Error != "" {
		add("error", j.Error)
	} else {
		add("message", j.Message)
	}
	add("progress", percent(j.Progress))
	add("submitted", clock(&j.SubmittedAt))
	add("started", clock(j.StartedAt))
	add("finished", clock(j.FinishedAt))
	add("took", took(j))
	add("scenario", j.Scenario)
	add("configuration", j.ConfigFile)
	if j.StudyID != "" && j.Point != nil && j.Replication != nil {
		add("study", fmt.Sprintf("%s, point %d, replication %d", j.StudyID, *j.Point, *j.Replication))
	}
	if j.Seed != nil {
		add("seed", strconv.FormatInt(*j.Seed, 10))
	}
	add("SUMO", cmp.Or(j.SumoVersion, j.Options.SumoVersion))
	if c := j.Options.Controller; c != nil {
		add("controller", commandLine(c.File, c.Args)+", by "+string(c.Interface))
	}
	if t := j.Options.Tool; t != nil {
		add("tool", commandLine(t.Name, t.Args))
		add("keep as", t.KeepAs)
	}
	if j.Options.Check {
		add("kind", "a check, which simulates nothing")
	}
	if j.Confinement != nil {
		add("confined by", j.Confinement.String())
	}
	add("priority", j.Priority)
	add("resources", fmt.Sprintf("%s, %d GiB, at most %s", counted(j.CPURequest, "core"), j.MemoryGi,
		time.Duration(j.TimeoutSeconds)*time.Second))
	if j.Attempt > 1 {
		add("attempt", strconv.Itoa(j.Attempt))
	}
	if j.ResultFiles != nil {
		add("results", fmt.Sprintf("%d files in %s", len(j.ResultFiles.Files), j.ResultLocation))
	}
	if j.CachedFrom != "" {
		add("from the cache", "of job "+j.CachedFrom)
	}
	if j.KeptScenario != "" {
		add("kept as scenario", j.KeptScenario)
	}
	a.table(rows)
	a.problems(j.Problems)
	a.warnings(j.Warnings)
}

// commandLine is a program with its arguments; those with blanks are in quotes.
func commandLine(program string, args []string) string {
	words := []string{program}
	for _, arg := range args {
		if arg == "" || strings.ContainsFunc(arg, unicode.IsSpace) {
			arg = strconv.Quote(arg)
		}
		words = append(words, arg)
	}
	return strings.Join(words, " ")
}

// figures shows a run's figures, if there are any.
func (a *app) figures(ctx context.Context, api *client.Client, id string) error {
	s, err := api.Summary(ctx, id)
	var refused *client.Error
	if errors.As(err, &refused) && refused.Status == http.StatusNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	title := "value"
	if s.Partial {
		title = "until it stopped"
	}
	show.Metrics(a.out, []show.Column{{Title: title, Summary: &s.Summary}}, true)
	return nil
}

// each calls do for every job, even after one has failed, and prints the answers as they arrive.
func (a *app) each(ctx context.Context, ids []string, do func(context.Context, string) (client.Job, error),
	words func(client.Job) string) error {
	var failures []error
	for _, id := range ids {
		j, err := do(ctx, id)
		if err != nil {
			failures = append(failures, err)
			if len(ids) > 1 && ctx.Err() == nil {
				a.note("%s:", id)
				a.report(err, exitTrouble)
			}
			continue
		}
		a.print(j, func() { fmt.Fprintln(a.out, words(j)) })
	}
	switch {
	case len(failures) == 0:
		return nil
	case len(ids) == 1 || ctx.Err() != nil:
		return failures[0]
	default:
		return &reported{errors.Join(failures...)}
	}
}

// reported are failures that were shown one by one already.
type reported struct{ error }

func (e *reported) Unwrap() error { return e.error }

func (a *app) cancelCommand() *cobra.Command {
	return &cobra.Command{
		Use: "cancel JOB...", Short: "Stop jobs; what they have written so far is kept", Args: cobra.MinimumNArgs(1),
		ValidArgsFunction: a.jobIDs(math.MaxInt, func(s job.State) bool { return !s.Terminal() }),
		RunE: a.does(func(ctx context.Context, args []string) error {
			api, err := a.tenantFor(args)
			if err != nil {
				return err
			}
			return a.each(ctx, args, api.Cancel, func(j client.Job) string {
				if j.Status.Terminal() {
					return fmt.Sprintf("Job %s is %s.", j.ID, j.Status)
				}
				return fmt.Sprintf("Job %s is being cancelled.", j.ID)
			})
		}),
	}
}

// tenantFor is tenant for commands that change the named jobs. These need ids: the latest job may have changed since the
// person looked.
func (a *app) tenantFor(ids []string) (*client.Client, error) {
	for _, id := range ids {
		if id == latest {
			return nil, usage("%s may be another job by now: give the job's id", latest)
		}
	}
	return a.tenant()
}

func (a *app) removeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "rm JOB...", Short: "Remove finished jobs with their results", Args: cobra.MinimumNArgs(1),
		ValidArgsFunction: a.jobIDs(math.MaxInt, job.State.Terminal),
		RunE: a.does(func(ctx context.Context, args []string) error {
			api, err := a.tenantFor(args)
			if err != nil {
				return err
			}
			return a.each(ctx, args, api.Purge, func(j client.Job) string { return fmt.Sprintf("Job %s is removed.", j.ID) })
		}),
	}
}

func (a *app) retryCommand() *cobra.Command {
	var follow bool
	c := &cobra.Command{
		Use: "retry JOB", Short: "Submit a finished job again and print the new job's id", Args: cobra.ExactArgs(1),
		ValidArgsFunction: a.jobIDs(1, job.State.Terminal),
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "show the log and the progress until the new job ends")
	c.RunE = a.does(func(ctx context.Context, args []string) error {
		api, id, err := a.named(ctx, args[0])
		if err != nil {
			return err
		}
		j, err := api.Retry(ctx, id)
		if err != nil {
			return err
		}
		return a.submitted(ctx, api, j, follow)
	})
	return c
}
