package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sumo-k8/sumo-k8/pkg/calibration"
	"github.com/sumo-k8/sumo-k8/pkg/client"
)

func (a *app) countsCommand() *cobra.Command {
	var plot string
	c := &cobra.Command{
		Use:   "counts JOB FILE.csv",
		Short: "Compare traffic counts with those of a job",
		Long: `Compares traffic counts with what a finished job counted at the same places: the GEH statistic of each count, the share
below 5, and the root mean square error.

The first line of the file names its columns: detector or edge; begin and end in seconds (or as 07:30:00), or
hour; and count, the vehicles counted in the interval, or flow, the same in vehicles per hour. Detectors are
induction loops (E1) of the scenario. For edges the job needs the edgedata output.`,
		Example: `  sumo-k8 submit city.zip --outputs edgedata --follow
  sumo-k8 counts @latest counts.csv --plot counts.svg`,
		Args: cobra.ExactArgs(2),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return []cobra.Completion{"csv"}, cobra.ShellCompDirectiveFilterFileExt
			}
			return a.jobIDs(1, nil)(cmd, args, begun)
		},
	}
	c.Flags().StringVar(&plot, "plot", "", "also save a scatter plot as this file, .svg or .png")
	must(c.MarkFlagFilename("plot", formats...))
	c.RunE = a.does(func(ctx context.Context, args []string) error {
		drawing := client.Drawing{Format: strings.TrimPrefix(filepath.Ext(plot), ".")}
		if plot != "" && !slices.Contains(formats, drawing.Format) {
			return usage("--plot %q ends in neither .png nor .svg", plot)
		}
		file, err := readCounts(args[1])
		if err != nil {
			return err
		}
		api, id, err := a.named(ctx, args[0])
		if err != nil {
			return err
		}
		compared, err := api.Counts(ctx, id, file)
		if err != nil {
			return err
		}
		if plot != "" {
			picture, err := api.DrawCounts(ctx, id, file, drawing)
			if err != nil {
				return err
			}
			if err := os.WriteFile(plot, picture, 0o644); err != nil {
				return fmt.Errorf("saving the plot: %w", err)
			}
		}
		a.print(compared, func() { a.counts(compared) })
		return nil
	})
	return c
}

// readCounts reads a file of counts, or one byte more than the service accepts, so that the refusal comes from there.
func readCounts(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, calibration.MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading the counts: %w", err)
	}
	return text, nil
}

func (a *app) counts(c client.Counts) {
	rows := [][]string{{"PLACE", "FROM (s)", "TO (s)", "COUNTED (veh/h)", "SIMULATED (veh/h)", "GEH"}}
	for _, r := range c.Rows {
		row := []string{
			strings.Join(r.Places, " "), fmt.Sprintf("%g", r.Begin), fmt.Sprintf("%g", r.End), fmt.Sprintf("%.0f", r.Counted), "-", "-",
		}
		if r.Modelled != nil && r.GEH != nil {
			row[4], row[5] = fmt.Sprintf("%.0f", *r.Modelled), fmt.Sprintf("%.1f", *r.GEH)
		}
		rows = append(rows, row)
	}
	a.table(rows)
	if c.Share != nil && c.RMSE != nil && c.Bias != nil {
		fmt.Fprintf(a.out, "\nGEH below %d: %d of %d (%.0f %%), RMSE %.0f veh/h, mean difference %+.0f veh/h\n",
			calibration.Accepted, c.Below, c.Compared, 100**c.Share, *c.RMSE, *c.Bias)
	}
	for _, r := range c.Rows {
		if r.Message != "" {
			a.note("line %d: %s", r.Line, r.Message)
		}
	}
	for _, note := range c.Notes {
		a.note("%s", note)
	}
}
