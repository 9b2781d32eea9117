package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sumo-k8/sumo-k8/pkg/client"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// tableFormats are those in which the service writes tables.
var tableFormats = []string{"csv", "parquet", "json"}

// tableFormat adds --format to a command that writes a table.
func (a *app) tableFormat(c *cobra.Command, format *string) {
	c.Flags().StringVar(format, "format", "",
		"csv, parquet or json (default: as the file's name ends, or else csv); --output json means json too")
	must(c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(tableFormats, cobra.ShellCompDirectiveNoFileComp)))
}

// chosenTableFormat completes what tableFormat has read.
func (a *app) chosenTableFormat(format *string, file string) (err error) {
	if *format, err = formatOf(*format, file, tableFormats); a.asJSON() {
		*format = "json"
	}
	return err
}

// formatOf is the format that is asked for, or else the one in which the name of the file ends, or else the first.
func formatOf(asked, file string, formats []string) (string, error) {
	if ending := strings.TrimPrefix(filepath.Ext(file), "."); asked == "" && slices.Contains(formats, ending) {
		return ending, nil
	}
	asked = cmp.Or(asked, formats[0])
	if !slices.Contains(formats, asked) {
		return "", usage("--format %q is none of %s", asked, strings.Join(formats, ", "))
	}
	return asked, nil
}

// standardOutput is the name of a file that is none.
const standardOutput = "-"

func (a *app) studyTableCommand() *cobra.Command {
	var format, file string
	var metrics []string
	c := a.oneStudy("table STUDY", "Write a study as a tidy table: one row for each run and metric", nil)
	c.Long = `Writes a study as a tidy table for pandas, R or a spreadsheet: one row for each run and metric, with its unit. Runs that
ended without a result have rows without values, so that they are missed.`
	c.Example = "  sumo-k8 study table $STUDY --metric mean_time_loss\n  sumo-k8 study table $STUDY --file runs.csv"
	flags := c.Flags()
	a.tableFormat(c, &format)
	flags.StringVar(&file, "file", standardOutput, "file to write; - for standard output")
	flags.StringSliceVar(&metrics, "metric", nil, "only these metrics (default: all that any run has)")
	must(c.RegisterFlagCompletionFunc("metric", metricNames))
	c.RunE = a.does(func(ctx context.Context, args []string) error {
		if err := a.chosenTableFormat(&format, file); err != nil {
			return err
		}
		api, err := a.tenant()
		if err != nil {
			return err
		}
		return a.write(file, func(w io.Writer) error { return api.StudyTable(ctx, args[0], format, metrics, w) })
	})
	return c
}

func (a *app) studyTablesCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "tables STUDY NAME",
		Short: "Save a table of all runs of a study, such as the trips of each",
		Long: `Saves a zip with an output of each run that has succeeded as a table: a Parquet dataset, whose folders give pandas, pyarrow and
DuckDB the columns study, point, variant, replication and seed. _left-out.json in it lists the other runs, with reasons. The
names of tables are those of table.`,
		Example: "  sumo-k8 study tables $STUDY tripinfo --file runs.zip",
		Args:    cobra.ExactArgs(2),
		ValidArgsFunction: func(c *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return tableNames(), cobra.ShellCompDirectiveNoFileComp
			}
			return a.studyIDs(c, args, typed)
		},
	}
	c.Flags().StringVar(&file, "file", "", "file to write; - for standard output (default: STUDY-NAME.zip)")
	c.RunE = a.does(func(ctx context.Context, args []string) error {
		if a.asJSON() {
			return usage("these tables are a zip of Parquet files; study table has metrics as JSON")
		}
		name := simulation.Table(args[1])
		if !name.Valid() {
			return usage("%q is none of the tables %s", args[1], strings.Join(tableNames(), ", "))
		}
		api, err := a.tenant()
		if err != nil {
			return err
		}
		file := cmp.Or(file, args[0]+"-"+args[1]+".zip")
		return a.write(file, func(w io.Writer) error { return api.StudyTables(ctx, args[0], name, w) })
	})
	return c
}

// write writes a file, which appears only when it is complete, or standard output.
func (a *app) write(file string, write func(io.Writer) error) error {
	if file == standardOutput {
		return write(a.out)
	}
	if err := save(file, write); err != nil {
		return err
	}
	a.note("Written to %s", file)
	return nil
}

// save writes a file, which appears only when it is complete, in a folder that is made where there is none.
func save(file string, write func(io.Writer) error) error {
	if info, err := os.Stat(file); strings.HasSuffix(file, string(filepath.Separator)) || err == nil && info.IsDir() {
		return usage("%s is a folder: name a file in it", file)
	}
	root, err := openFolder(filepath.Dir(file))
	if err != nil {
		return err
	}
	defer root.Close()
	return client.WriteFile(root, filepath.Base(file), write)
}

func (a *app) studyReportCommand() *cobra.Command {
	var file string
	c := a.oneStudy("report STUDY", "Save the report of a study: one HTML file, to read, print or send", nil)
	c.Long = `Saves the report of a study: question, plan, numbers, plots, versions, seeds, and how to run it again, in one HTML file
that needs nothing else.`
	c.Flags().StringVar(&file, "file", "", "file to write; - for standard output (default: STUDY.html)")
	c.RunE = a.does(func(ctx context.Context, args []string) error {
		if a.asJSON() {
			return usage("a report is HTML; study stats and study compare have its numbers as JSON")
		}
		api, err := a.tenant()
		if err != nil {
			return err
		}
		return a.write(cmp.Or(file, args[0]+".html"), func(w io.Writer) error { return api.StudyReport(ctx, args[0], w) })
	})
	return c
}

// studyPlotOptions are the flags of study plot.
type studyPlotOptions struct {
	drawing client.StudyDrawing
	dir     string
	list    bool
}

func (a *app) studyPlotCommand() *cobra.Command {
	var o studyPlotOptions
	c := &cobra.Command{
		Use: "plot STUDY [NAME...]", Short: "Save plots of a study", Args: cobra.MinimumNArgs(1),
		Long: `Saves plots of a study, ready for a report: means with their intervals along an axis, the runs of each point as dots behind
boxes, differences from the baseline, and how the intervals narrow with the number of runs. Without names it saves all.`,
		Example: `  sumo-k8 study plot $STUDY
  sumo-k8 study plot $STUDY means differences --metric mean_time_loss --axis demand --format svg --dir report`,
		ValidArgsFunction: a.studyPlotNames,
	}
	flags := c.Flags()
	flags.StringVarP(&o.dir, "dir", "d", "", "folder to put the plots in (default: one named after the study)")
	flags.StringVar(&o.drawing.Metric, "metric", "", "metric to draw (default: the first that the study is about)")
	flags.StringVar(&o.drawing.Axis, "axis", "", "axis along which means are drawn (default: the first with several values)")
	flags.StringVar(&o.drawing.Baseline, "baseline", "",
		"what differences are to: a variant, or values of axes as JSON (default: the study's)")
	flags.Var(confidence(&o.drawing.Confidence), "confidence",
		"of the intervals, such as 0.9 or 90% (default: that of the study's aim, or 0.95)")
	flags.StringVar(&o.drawing.Format, "format", formats[0], formatHelp)
	flags.BoolVar(&o.drawing.Dark, "dark", false, "light lines on a dark background")
	flags.IntVar(&o.drawing.Width, "width", 0, "pixels (default: the service's)")
	flags.BoolVar(&o.list, "list", false, "only list the plots")
	must(c.MarkFlagDirname("dir"))
	must(c.RegisterFlagCompletionFunc("metric", metricNames))
	must(c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp)))
	noFiles(c, "axis", "baseline", "confidence", "width")
	c.RunE = a.does(func(ctx context.Context, args []string) error {
		if !slices.Contains(formats, o.drawing.Format) {
			return usage("--format %q is neither png nor svg", o.drawing.Format)
		}
		api, err := a.tenant()
		if err != nil {
			return err
		}
		return a.plotStudy(ctx, api, args[0], args[1:], o)
	})
	return c
}

func (a *app) plotStudy(ctx context.Context, api *client.Client, id string, names []string, o studyPlotOptions) error {
	found, err := api.StudyPlots(ctx, id)
	if err != nil {
		return err
	}
	if o.list {
		a.print(found, func() { a.listPlots(found) })
		return nil
	}
	if len(names) == 0 {
		names = plotNames(found)
	}
	if len(names) == 0 {
		return fmt.Errorf("study %s has no plots yet", id)
	}
	files := make([]picture, len(names))
	for i, name := range names {
		if files[i].content, err = api.StudyPlot(ctx, id, name, o.drawing); err != nil {
			return err
		}
		if o.drawing.Metric != "" { // those of several metrics stand side by side
			name += "-" + strings.NewReplacer("/", "_", "@", "_", "=", "_").Replace(o.drawing.Metric)
		}
		files[i].name = name + "." + o.drawing.Format
	}
	dir := cmp.Or(o.dir, id)
	if err := savePictures(dir, files); err != nil {
		return err
	}
	a.print(found, func() { fmt.Fprintf(a.out, "%s in %s\n", counted(len(files), "plot"), dir) })
	return nil
}

// studyPlotNames completes the id of a study, then names of its plots.
func (a *app) studyPlotNames(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return a.studyIDs(cmd, args, word)
	}
	return a.complete(cmd, nil, 1, tenantKey, func(ctx context.Context, api *client.Client) []cobra.Completion {
		found, err := api.StudyPlots(ctx, args[0])
		if err != nil {
			return nil
		}
		return plotCompletions(found)
	})
}
