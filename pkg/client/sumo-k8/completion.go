package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/sumo-k8/sumo-k8/pkg/client"
	"github.com/sumo-k8/sumo-k8/pkg/client/internal/show"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

const (
	// completeWithin is how long a shell may pause unnoticed.
	completeWithin = 2 * time.Second
	// offered is as many as anyone would read.
	offered = 50
)

// complete offers what find returns. Without an answer there is nothing to offer; a shell has no place for errors.
func (a *app) complete(cmd *cobra.Command, args []string, most int, as func(settings) string,
	find func(context.Context, *client.Client) []cobra.Completion) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) >= most {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	s, err := a.settings()
	if err != nil || s.URL == "" || as(s) == "" {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	api, err := client.New(s.URL, client.Options{APIKey: s.APIKey, AdminKey: s.AdminKey, Patience: time.Nanosecond})
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completeWithin)
	defer cancel()
	// The order is ours: the newest come first.
	return find(ctx, api), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

func tenantKey(s settings) string   { return s.APIKey }
func operatorKey(s settings) string { return s.AdminKey }

// jobIDs completes up to most jobs in the states that fit, or in any when fits is nil.
func (a *app) jobIDs(most int, fits func(job.State) bool) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return a.complete(cmd, args, most, tenantKey, func(ctx context.Context, api *client.Client) (out []cobra.Completion) {
			page, err := api.Jobs(ctx, client.Filter{Limit: offered})
			if err != nil {
				return nil
			}
			for _, j := range page.Jobs {
				if (fits == nil || fits(j.Status)) && !slices.Contains(args, j.ID) {
					out = append(out, cobra.CompletionWithDesc(j.ID, show.Printable(fmt.Sprintf("%s %s %s", j.Name, j.Status, clock(&j.SubmittedAt)))))
				}
			}
			return out
		})
	}
}

func (a *app) scenarioIDs(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.complete(cmd, args, 1, tenantKey, func(ctx context.Context, api *client.Client) (out []cobra.Completion) {
		page, err := api.Scenarios(ctx, "", offered)
		if err != nil {
			return nil
		}
		for _, s := range page.Scenarios {
			out = append(out, cobra.CompletionWithDesc(s.ID, show.Printable(s.Name+" "+clock(&s.CreatedAt))))
		}
		return out
	})
}

func (a *app) tenantIDs(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.complete(cmd, args, 1, operatorKey, func(ctx context.Context, api *client.Client) (out []cobra.Completion) {
		list, err := api.Tenants(ctx)
		if err != nil {
			return nil
		}
		for _, t := range list.Tenants {
			out = append(out, t.ID)
		}
		return out
	})
}

// completeRun completes the flags of a run.
func (a *app) completeRun(c *cobra.Command) {
	a.completeOptions(c)
	noFiles(c, "seed", "idempotency-key", "webhook-url")
	a.completeScenario(c)
}

// completeOptions completes the flags of addOptions.
func (a *app) completeOptions(c *cobra.Command) {
	var outputs []cobra.Completion
	for _, o := range simulation.Outputs() {
		outputs = append(outputs, cobra.Completion(o))
	}
	must(c.RegisterFlagCompletionFunc("outputs", cobra.FixedCompletions(outputs, cobra.ShellCompDirectiveNoFileComp)))
	must(c.RegisterFlagCompletionFunc("tables", cobra.FixedCompletions(tableNames(), cobra.ShellCompDirectiveNoFileComp)))
	priorities := []string{"low", "normal", "high"}
	must(c.RegisterFlagCompletionFunc("priority", cobra.FixedCompletions(priorities, cobra.ShellCompDirectiveNoFileComp)))
	must(c.RegisterFlagCompletionFunc("cache", cobra.FixedCompletions([]string{"use", "refresh", "off"}, cobra.ShellCompDirectiveNoFileComp)))
	noFiles(c, "begin", "end", "step-length", "scale", "label", "timeout", "cpu", "memory-gi")
	noFiles(c, replayParts...)
}

// completeProgram completes the flags of addController and addTool.
func completeProgram(c *cobra.Command) {
	interfaces := []string{string(simulation.TraCI), string(simulation.Libsumo)}
	must(c.RegisterFlagCompletionFunc("interface", cobra.FixedCompletions(interfaces, cobra.ShellCompDirectiveNoFileComp)))
	noFiles(c, "controller", "arg")
	if c.Flags().Lookup("tool") != nil {
		must(c.RegisterFlagCompletionFunc("tool", cobra.FixedCompletions(simulation.Tools(), cobra.ShellCompDirectiveNoFileComp)))
		noFiles(c, "keep-as")
	}
}

// completeScenario completes the flags of addScenario.
func (a *app) completeScenario(c *cobra.Command) {
	must(c.RegisterFlagCompletionFunc("scenario", ofFlag(a.scenarioIDs)))
	must(c.RegisterFlagCompletionFunc("sumo-version", a.versionNames))
	noFiles(c, "name", "config-file")
}

// noFiles keeps the shell from offering files where none are meant.
func noFiles(c *cobra.Command, flags ...string) {
	for _, name := range flags {
		must(c.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions))
	}
}

// ofFlag makes a completion of arguments one of a flag's value.
func ofFlag(complete cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, given string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return complete(cmd, nil, given)
	}
}
