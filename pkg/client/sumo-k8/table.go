package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sumo-k8/sumo-k8/pkg/client"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

func (a *app) tableCommand() *cobra.Command {
	var file string
	var from, to float64
	q := client.TableQuery{}
	c := &cobra.Command{
		Use:   "table JOB [NAME]",
		Short: "Write an output of a job as a table, or list its tables",
		Long: `Writes an output of a finished job as a table for pandas, DuckDB, R or a spreadsheet. Columns have SUMO's names; Parquet also
has their types and units. Without a name, lists the tables that the job's outputs make, with the size of those that are made.`,
		Example: `  sumo-k8 table @latest
  sumo-k8 table @latest tripinfo --columns id,duration,timeLoss
  sumo-k8 table @latest fcd --format parquet --from 3600 --to 7200 --file positions.parquet`,
		Args: cobra.RangeArgs(1, 2),
	}
	jobs := a.jobIDs(1, nil)
	c.ValidArgsFunction = func(c *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) == 1 {
			return tableNames(), cobra.ShellCompDirectiveNoFileComp
		}
		return jobs(c, args, typed)
	}
	flags := c.Flags()
	a.tableFormat(c, &q.Format)
	flags.StringSliceVar(&q.Columns, "columns", nil, "only these columns, in this order")
	flags.Float64Var(&from, "from", 0, "only rows from this simulated time on, in seconds")
	flags.Float64Var(&to, "to", 0, "only rows before this simulated time, in seconds")
	flags.StringVar(&file, "file", standardOutput, "file to write; - for standard output")
	noFiles(c, "columns", "from", "to")
	c.RunE = a.does(func(ctx context.Context, args []string) error {
		if err := a.chosenTableFormat(&q.Format, file); err != nil {
			return err
		}
		for _, name := range []string{"format", "columns", "from", "to", "file"} {
			if len(args) == 1 && flags.Changed(name) {
				return usage("--%s is for one table: name it after the job", name)
			}
		}
		api, err := a.tenant()
		if err != nil {
			return err
		}
		id, err := a.jobID(ctx, api, args[0])
		if err != nil {
			return err
		}
		if len(args) == 1 {
			return a.listTables(ctx, api, id)
		}
		if flags.Changed("from") {
			q.From = &from
		}
		if flags.Changed("to") {
			q.To = &to
		}
		return a.write(file, func(w io.Writer) error { return api.Table(ctx, id, simulation.Table(args[1]), q, w) })
	})
	return c
}

func (a *app) listTables(ctx context.Context, api *client.Client, id string) error {
	found, err := api.Tables(ctx, id)
	if err != nil {
		return err
	}
	a.print(found, func() {
		if len(found.Tables) == 0 {
			a.note("No tables.")
			return
		}
		rows := [][]string{{"TABLE", "ROWS", "COLUMNS"}}
		for _, t := range found.Tables {
			count, columns := "", ""
			if t.Rows != nil {
				count, columns = fmt.Sprint(*t.Rows), fmt.Sprint(len(t.Columns))
			}
			rows = append(rows, []string{string(t.Name), count, columns})
		}
		a.table(rows)
	})
	return nil
}
