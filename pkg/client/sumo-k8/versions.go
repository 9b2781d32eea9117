package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sumo-k8/sumo-k8/pkg/client"
	"github.com/sumo-k8/sumo-k8/pkg/client/internal/show"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

func (a *app) versionsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "versions", Short: "List the versions of SUMO on offer", Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.does(func(ctx context.Context, _ []string) error {
			api, err := a.tenant()
			if err != nil {
				return err
			}
			list, err := api.Versions(ctx)
			if err != nil {
				return err
			}
			a.print(list, func() {
				rows := [][]string{{"VERSION", "BUILD", "", "RUNS ON"}}
				for _, v := range list.Versions {
					rows = append(rows, []string{v.Version, v.Build, remarks(v), strings.Join(v.Architectures, ", ")})
				}
				a.table(rows)
				for _, note := range list.Notes {
					a.note("%s", note)
				}
			})
			return nil
		}),
	}
}

func remarks(v client.Version) string {
	var words []string
	for _, r := range []struct {
		is   bool
		word string
	}{{v.Default, "default"}, {!v.Installed, "not installed"}, {v.Unsupported, "unsupported"}} {
		if r.is {
			words = append(words, r.word)
		}
	}
	return strings.Join(words, ", ")
}

// releases are the versions that operators can offer, for helps.
func releases() string {
	var names []string
	for _, r := range release.All() {
		names = append(names, r.Version)
	}
	return strings.Join(names, ", ")
}

// versionNames completes the versions that jobs can choose.
func (a *app) versionNames(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.complete(cmd, nil, 1, tenantKey, func(ctx context.Context, api *client.Client) (out []cobra.Completion) {
		list, err := api.Versions(ctx)
		if err != nil {
			return nil
		}
		for _, v := range list.Versions {
			if v.Installed {
				out = append(out, cobra.CompletionWithDesc(v.Version, show.Printable(remarks(v))))
			}
		}
		return out
	})
}
