package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/spf13/cobra"

	"github.com/sumo-k8/sumo-k8/pkg/client"
)

// plotOptions are the flags of the command plot.
type plotOptions struct {
	dir     string
	names   []string
	list    bool
	drawing client.Drawing
}

// formats of pictures that the service draws.
var formats = []string{"png", "svg"}

const formatHelp = "png, or svg, which also shows letters other than Latin, Greek and Cyrillic ones"

func (a *app) plotCommand() *cobra.Command {
	var o plotOptions
	c := &cobra.Command{
		Use:   "plot JOB...",
		Short: "Save plots of a job, or of several overlaid",
		Long: `Saves plots of a finished job, ready for a report: vehicles and mean speed over time, the distribution of travel times and
delays over the trips, and emissions if they were requested. For several jobs, each plot shows all of them, in the order given.`,
		Example: `  sumo-k8 plot @latest
  sumo-k8 plot BASE VARIANT --name travel_time,time_loss --format svg --dir report`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: a.jobIDs(math.MaxInt, nil),
	}
	flags := c.Flags()
	flags.StringVarP(&o.dir, "dir", "d", "", `folder to put the plots in (default: one named after the job, or "compared" for several)`)
	flags.StringSliceVar(&o.names, "name", nil, "only these plots (default: all that the jobs have in common)")
	flags.StringVar(&o.drawing.Format, "format", formats[0], formatHelp)
	flags.BoolVar(&o.drawing.Dark, "dark", false, "light lines on a dark background")
	flags.IntVar(&o.drawing.Width, "width", 0, "pixels (default: the service's)")
	flags.IntVar(&o.drawing.Height, "height", 0, "pixels (default: the service's)")
	flags.BoolVar(&o.list, "list", false, "only list the plots")
	must(c.MarkFlagDirname("dir"))
	must(c.RegisterFlagCompletionFunc("name", a.plotNames))
	must(c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp)))
	noFiles(c, "width", "height")
	c.RunE = a.does(func(ctx context.Context, args []string) error {
		if !slices.Contains(formats, o.drawing.Format) {
			return usage("--format %q is neither png nor svg", o.drawing.Format)
		}
		api, err := a.tenant()
		if err != nil {
			return err
		}
		ids, err := a.eachJobID(ctx, api, args)
		if err != nil {
			return err
		}
		return a.plot(ctx, api, ids, o)
	})
	return c
}

func (a *app) plot(ctx context.Context, api *client.Client, ids []string, o plotOptions) error {
	found, err := api.Plots(ctx, ids[0])
	if err != nil {
		return err
	}
	if o.list {
		a.print(found, func() { a.listPlots(found) })
		return nil
	}
	names := o.names
	if len(names) == 0 {
		if names, err = common(ctx, api, found, ids[1:]); err != nil {
			return err
		}
	}
	if len(names) == 0 {
		if len(ids) > 1 {
			return errors.New("the jobs have no plot in common; --list shows those of one job")
		}
		return fmt.Errorf("job %s has no plots: it wrote no outputs to draw them from", ids[0])
	}
	dir := o.dir
	switch {
	case dir != "":
	case len(ids) > 1:
		dir = "compared"
	default:
		dir = ids[0]
	}
	o.drawing.With = ids[1:]
	files := make([]picture, len(names))
	for i, name := range names {
		files[i].name = name + "." + o.drawing.Format
		if files[i].content, err = api.Draw(ctx, ids[0], name, o.drawing); err != nil {
			return err
		}
	}
	if err := savePictures(dir, files); err != nil {
		return err
	}
	a.print(found, func() { fmt.Fprintf(a.out, "%s in %s\n", counted(len(names), "plot"), dir) })
	return nil
}

func (a *app) listPlots(found client.Plots) {
	rows := [][]string{{"PLOT", "TITLE"}}
	for _, p := range found.Plots {
		rows = append(rows, []string{p.Name, p.Title})
	}
	a.table(rows)
}

// picture is a plot as a file.
type picture struct {
	name    string
	content []byte
}

// savePictures makes the folder, if it is missing, when all plots have been drawn.
func savePictures(dir string, files []picture) error {
	root, err := openFolder(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, file := range files {
		err := client.WriteFile(root, file.name, func(w io.Writer) error {
			_, err := w.Write(file.content)
			return err
		})
		if err != nil {
			return fmt.Errorf("saving the plot %s: %w", file.name, err)
		}
	}
	return nil
}

// common are the plots of found that the other jobs have too.
func common(ctx context.Context, api *client.Client, found client.Plots, others []string) ([]string, error) {
	names := plotNames(found)
	for _, id := range others {
		other, err := api.Plots(ctx, id)
		if err != nil {
			return nil, err
		}
		theirs := plotNames(other)
		names = slices.DeleteFunc(names, func(n string) bool { return !slices.Contains(theirs, n) })
	}
	return names, nil
}

func plotNames(p client.Plots) (names []string) {
	for _, one := range p.Plots {
		names = append(names, one.Name)
	}
	return names
}

// plotNames completes the names of the named job's plots.
func (a *app) plotNames(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.complete(cmd, nil, 1, tenantKey, func(ctx context.Context, api *client.Client) (out []cobra.Completion) {
		if len(args) == 0 {
			return nil
		}
		id, err := a.jobID(ctx, api, args[0])
		if err != nil {
			return nil
		}
		found, err := api.Plots(ctx, id)
		if err != nil {
			return nil
		}
		return plotCompletions(found)
	})
}

func plotCompletions(found client.Plots) (out []cobra.Completion) {
	for _, p := range found.Plots {
		out = append(out, cobra.CompletionWithDesc(p.Name, p.Title))
	}
	return out
}
