package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sumo-k8/sumo-k8/pkg/client"
	"github.com/sumo-k8/sumo-k8/pkg/client/internal/show"
)

func (a *app) scenariosCommand() *cobra.Command {
	return group("scenarios", "Keep scenarios on the service, to run them often",
		a.storeCommand(), a.deriveCommand(), a.listScenariosCommand(), a.getScenarioCommand(), a.removeScenarioCommand())
}

func (a *app) validateCommand() *cobra.Command {
	var config string
	c := &cobra.Command{
		Use: "validate FILE.zip|FOLDER", Short: "Check a scenario without keeping it", Args: cobra.ExactArgs(1),
		Long: `Checks a scenario on the service and shows every problem with its place and its fix. Nothing is kept.
The exit code is 0 for a scenario that can run, and 1 for one that cannot.`,
		RunE: a.does(func(ctx context.Context, args []string) error {
			validate := func(
				api *client.Client, ctx context.Context, zip *client.Source, sent func(sent, total int64),
			) (client.Validation, error) {
				return api.Validate(ctx, zip, config, sent)
			}
			v, err := upload(ctx, a, args[0], validate)
			if err != nil {
				return err
			}
			a.print(v, func() { a.validation(v) })
			if !v.Valid {
				return &invalid{}
			}
			return nil
		}),
	}
	c.Flags().StringVar(&config, "config-file", "", "which .sumocfg to check, when the scenario has several")
	noFiles(c, "config-file")
	return c
}

// invalid is a scenario that cannot be run, which was shown already.
type invalid struct{}

func (*invalid) Error() string { return "the scenario cannot be run" }

func (a *app) validation(v client.Validation) {
	if v.Valid {
		fmt.Fprintln(a.out, "The scenario can be run.")
		a.configs(v.Configs)
		a.warnings(v.Warnings)
	} else { // warnings would only repeat the faults
		fmt.Fprintln(a.out, show.Printable(v.Detail))
		a.faults(v.Detail, v.Errors, func(format string, args ...any) {
			fmt.Fprintln(a.out, show.Printable(fmt.Sprintf(format, args...)))
		})
	}
}

func (a *app) warnings(list []string) {
	for _, w := range list {
		a.note("Warning: %s", w)
	}
}

// configs shows what can be run, and how large it is.
func (a *app) configs(configs []client.ScenarioConfig) {
	rows := [][]string{{"CONFIGURATION", "INTERVAL", "EDGES", "LENGTH", "JUNCTIONS", "LIGHTS", "DEMAND"}}
	for _, c := range configs {
		row := []string{c.Path, seconds(c.Begin) + " to " + seconds(c.End), "-", "-", "-", "-", demand(c.Demand)}
		if n := c.Network; n != nil {
			row[2], row[3] = strconv.Itoa(n.Edges), fmt.Sprintf("%.1f km", n.EdgeLengthKm)
			row[4], row[5] = strconv.Itoa(n.Junctions), strconv.Itoa(n.TrafficLights)
		}
		rows = append(rows, row)
	}
	a.table(rows)
	for _, c := range configs {
		if c.LeastVersion != "" {
			a.note("%s needs SUMO %s or newer.", c.Path, c.LeastVersion)
		}
		a.warnings(c.Warnings)
	}
}

func seconds(s *float64) string {
	if s == nil {
		return "?"
	}
	return strconv.FormatFloat(*s, 'f', -1, 64) + " s"
}

func demand(d *client.Demand) string {
	if d == nil {
		return "-"
	}
	var parts []string
	for _, kind := range []struct {
		n    int
		name string
	}{{d.Vehicles, "vehicles"}, {d.Flows, "flows"}, {d.Persons, "persons"}, {d.PersonFlows, "person flows"}} {
		if kind.n > 0 {
			parts = append(parts, strconv.Itoa(kind.n)+" "+kind.name)
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

func (a *app) storeCommand() *cobra.Command {
	var forProgram bool
	c := &cobra.Command{
		Use: "upload FILE.zip|FOLDER", Short: "Store a scenario and print its id, for submit --scenario", Args: cobra.ExactArgs(1),
	}
	c.Flags().BoolVar(&forProgram, "for-program", false, forProgramUsage)
	c.RunE = a.does(func(ctx context.Context, args []string) error {
		store := (*client.Client).Store
		if forProgram {
			store = (*client.Client).StoreForProgram
		}
		s, err := upload(ctx, a, args[0], store)
		if err != nil {
			return err
		}
		a.print(s, func() {
			fmt.Fprintln(a.out, s.ID)
			if !s.Created {
				a.note("It was stored already.")
			}
			a.warnings(s.Warnings)
		})
		return nil
	})
	return c
}

const forProgramUsage = "only a controller or a tool runs it: what keeps SUMO from running it alone is a warning"

func (a *app) deriveCommand() *cobra.Command {
	var d client.Derivation
	c := &cobra.Command{
		Use:   "derive SCENARIO [FILE.zip|FOLDER]",
		Short: "Make a scenario from a stored one by changing some of its files, and print its id",
		Long: `Makes a scenario that has the files of a stored one, but for those in the zip or folder, which replace the ones of
the same path or are added, and those deleted. Only the changes are sent and stored; the scenario is checked as a
whole. The same changes are the same scenario. Files and folders whose names begin with a dot are left out of a folder.`,
		Example: `  sumo-k8 scenarios derive $SCENARIO changed/
  sumo-k8 scenarios derive $SCENARIO --delete parking.add.xml --delete detectors/`,
		Args: cobra.RangeArgs(1, 2),
	}
	c.ValidArgsFunction = func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return a.scenarioIDs(cmd, args, word)
	}
	flags := c.Flags()
	flags.StringArrayVar(&d.Delete, "delete", nil, "a file or a folder of the scenario to leave out; repeatable")
	flags.StringVar(&d.Name, "name", "", "what to call it; if left out, like the other")
	flags.BoolVar(&d.ForProgram, "for-program", false, forProgramUsage)
	noFiles(c, "delete", "name")
	c.RunE = a.does(func(ctx context.Context, args []string) error {
		send := func(api *client.Client, ctx context.Context, changes *client.Source, sent func(sent, total int64)) (client.Scenario, error) {
			d.Changes = changes
			return api.Derive(ctx, args[0], d, sent)
		}
		var s client.Scenario
		var err error
		if len(args) == 2 {
			s, err = upload(ctx, a, args[1], send)
		} else {
			api, failed := a.tenant()
			if failed != nil {
				return failed
			}
			s, err = send(api, ctx, nil, nil)
		}
		if err != nil {
			return err
		}
		a.print(s, func() {
			fmt.Fprintln(a.out, s.ID)
			a.step(s)
			if !s.Created {
				a.note("It was stored already.")
			}
			a.warnings(s.Warnings)
		})
		return nil
	})
	return c
}

// step shows what a derivation has changed and, if it began with a derived scenario, how the result differs from the uploaded one.
func (a *app) step(s client.Scenario) {
	if s.Step == nil { // a service of an earlier release
		s.Step = &client.Step{}
	}
	for _, line := range differences(s.Step.Changed, s.Step.Added, s.Step.Deleted) {
		a.note("%s", line)
	}
	switch d := s.Derived; {
	case d == nil:
		a.note("With that it is the scenario as it was uploaded.")
	case d.Base != s.Step.From:
		a.note("Altogether, other than in the uploaded scenario %s:", d.Base)
		for _, line := range differences(d.Changed, d.Added, d.Deleted) {
			a.note("  %s", line)
		}
	}
}

// differences are lines that name files.
func differences(changed, added, deleted []string) (lines []string) {
	for _, kind := range []struct {
		name  string
		paths []string
	}{{"Changed", changed}, {"Added", added}, {"Deleted", deleted}} {
		if len(kind.paths) > 0 {
			lines = append(lines, kind.name+": "+strings.Join(kind.paths, ", "))
		}
	}
	return lines
}

func (a *app) listScenariosCommand() *cobra.Command {
	var most int
	c := &cobra.Command{
		Use: "ls", Short: "List your scenarios, newest first", Aliases: []string{"list"},
		Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
	}
	c.Flags().IntVarP(&most, "limit", "n", 20, "how many; 0 for all")
	noFiles(c, "limit")
	c.RunE = a.does(func(ctx context.Context, _ []string) error {
		if most < 0 {
			return usage("--limit %d is not a number of scenarios", most)
		}
		api, err := a.tenant()
		if err != nil {
			return err
		}
		return listing[client.Scenario]{
			name: "scenarios", most: most, heading: []string{"SCENARIO", "NAME", "SIZE", "CONFIGURATIONS", "STORED", "BASE"},
			page: func(cursor string, limit int) ([]client.Scenario, string, error) {
				page, err := api.Scenarios(ctx, cursor, limit)
				return page.Scenarios, page.NextCursor, err
			},
			row: func(s client.Scenario) []string {
				from := "-"
				if s.Derived != nil {
					from = s.Derived.Base
				}
				return []string{s.ID, s.Name, size(s.Size), strconv.Itoa(len(s.Configs)), clock(&s.CreatedAt), from}
			},
		}.print(a)
	})
	return c
}

func (a *app) getScenarioCommand() *cobra.Command {
	return &cobra.Command{
		Use: "get SCENARIO", Short: "Show a scenario with its files", Args: cobra.ExactArgs(1), ValidArgsFunction: a.scenarioIDs,
		RunE: a.does(func(ctx context.Context, args []string) error {
			api, err := a.tenant()
			if err != nil {
				return err
			}
			s, err := api.Scenario(ctx, args[0])
			if err != nil {
				return err
			}
			a.print(s, func() {
				rows := [][]string{{"scenario", s.ID}, {"name", s.Name}, {"size", size(s.Size) + ", unpacked " + size(s.UnpackedSize)}, {"stored",
					clock(&s.CreatedAt)}}
				d := s.Derived
				if d != nil {
					rows = append(rows, []string{"derived from", d.Base + ", " + size(d.AddedSize) + " of its own"})
				}
				a.table(rows)
				if d != nil {
					fmt.Fprintln(a.out, "\nOther than in the uploaded scenario, in one step or several:")
					for _, line := range differences(d.Changed, d.Added, d.Deleted) {
						fmt.Fprintln(a.out, "  "+show.Printable(line))
					}
				}
				fmt.Fprintln(a.out)
				a.configs(s.Configs)
				fmt.Fprintln(a.out)
				rows = [][]string{{"FILE", "SIZE"}}
				for _, f := range s.Files {
					rows = append(rows, []string{f.Path, size(f.Size)})
				}
				a.table(rows)
				a.warnings(s.Warnings)
			})
			return nil
		}),
	}
}

func (a *app) removeScenarioCommand() *cobra.Command {
	return &cobra.Command{
		Use: "rm SCENARIO", Short: "Remove a scenario that no job needs any more", Args: cobra.ExactArgs(1), ValidArgsFunction: a.scenarioIDs,
		RunE: a.does(func(ctx context.Context, args []string) error {
			api, err := a.tenant()
			if err != nil {
				return err
			}
			d, err := api.DeleteScenario(ctx, args[0])
			if err != nil {
				return err
			}
			a.print(d, func() { fmt.Fprintf(a.out, "Scenario %s is removed.\n", show.Printable(args[0])) })
			return nil
		}),
	}
}
