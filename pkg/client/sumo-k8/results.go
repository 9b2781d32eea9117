package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"

	"github.com/spf13/cobra"

	"github.com/sumo-k8/sumo-k8/pkg/client"
	"github.com/sumo-k8/sumo-k8/pkg/client/internal/show"
)

// resultOptions are the flags of the command results.
type resultOptions struct {
	dir, name string
	zip, list bool
}

func (a *app) resultsCommand() *cobra.Command {
	var o resultOptions
	c := &cobra.Command{
		Use:   "results JOB",
		Short: "Download a job's results",
		Long: `Downloads the files of a job into a folder named after it. A file appears under its name only when it is complete;
a broken transfer resumes where it broke, and files that are there already are not fetched again. A job that
failed or was cancelled has the files it wrote until then.`,
		Example: `  sumo-k8 results @latest
  sumo-k8 results @latest --name '*.xml' --dir out`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.jobIDs(1, nil),
	}
	flags := c.Flags()
	flags.StringVarP(&o.dir, "dir", "d", "", "folder to put the files in (default: one named after the job)")
	flags.StringVar(&o.name, "name", "", "only files with this name, in which * stands for anything")
	flags.BoolVar(&o.zip, "zip", false, "fetch all files as one zip, JOB.zip")
	flags.BoolVar(&o.list, "list", false, "only list the files")
	c.MarkFlagsMutuallyExclusive("zip", "list")
	c.MarkFlagsMutuallyExclusive("zip", "name")
	must(c.MarkFlagDirname("dir"))
	noFiles(c, "name")
	c.RunE = a.does(func(ctx context.Context, args []string) error {
		if _, err := path.Match(o.name, ""); err != nil {
			return usage("--name %q is not a pattern: %v", o.name, err)
		}
		api, id, err := a.named(ctx, args[0])
		if err != nil {
			return err
		}
		return a.results(ctx, api, id, o)
	})
	return c
}

func (a *app) results(ctx context.Context, api *client.Client, id string, o resultOptions) error {
	found, err := api.Results(ctx, id)
	if err != nil {
		return err
	}
	if found.Message != "" {
		a.note("%s", found.Message)
	}
	var files []client.ResultFile
	for _, f := range found.Files {
		if o.matches(f.Name) {
			files = append(files, f)
		}
	}
	switch {
	case o.list:
		a.print(found, func() { a.listFiles(files) })
		return nil
	case len(found.Files) == 0:
		return fmt.Errorf("job %s, which is %s, has no files", id, found.Status)
	case len(files) == 0:
		return fmt.Errorf("none of the job's %s matches %q; --list shows them", counted(len(found.Files), "file"), o.name)
	}
	if o.zip {
		err = a.fetchZip(ctx, api, id, o.dir)
	} else {
		err = a.fetch(ctx, api, id, files, o.dir)
	}
	if err == nil && a.asJSON() {
		a.print(found, nil)
	}
	return err
}

// matches compares the pattern with the whole name and with its last part, since people think of files without folders.
func (o resultOptions) matches(name string) bool {
	if o.name == "" {
		return true
	}
	whole, _ := path.Match(o.name, name)
	last, _ := path.Match(o.name, path.Base(name))
	return whole || last
}

func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func (a *app) listFiles(files []client.ResultFile) {
	if len(files) == 0 {
		a.note("No files.")
		return
	}
	rows := [][]string{{"FILE", "SIZE", "TYPE"}}
	for _, f := range files {
		rows = append(rows, []string{f.Name, size(f.Size), f.ContentType})
	}
	a.table(rows)
}

// size is a readable number of bytes.
func size(bytes int64) string {
	if bytes < 1<<10 {
		return fmt.Sprintf("%d B", bytes)
	}
	value, units := float64(bytes)/(1<<10), []string{"KiB", "MiB", "GiB", "TiB"}
	for value >= 1<<10 && len(units) > 1 {
		value, units = value/(1<<10), units[1:]
	}
	return fmt.Sprintf("%.1f %s", value, units[0])
}

func (a *app) fetch(ctx context.Context, api *client.Client, id string, files []client.ResultFile, dir string) error {
	if dir == "" {
		dir = id
	}
	root, err := openFolder(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	var total int64
	for _, f := range files {
		bar := show.NewTransfer(a.err, f.Name, f.Size)
		_, err := api.Save(ctx, id, f, root, bar.At)
		bar.Close()
		if err != nil {
			return fmt.Errorf("downloading %s: %w", f.Name, err)
		}
		total += f.Size
	}
	if !a.asJSON() {
		files := counted(len(files), "file")
		fmt.Fprintf(a.out, "%s, %s, in %s\n", files, size(total), dir)
	}
	return nil
}

func (a *app) fetchZip(ctx context.Context, api *client.Client, id, dir string) error {
	if dir == "" {
		dir = "."
	}
	root, err := openFolder(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	name := id + ".zip"
	bar := show.NewTransfer(a.err, name, -1)
	err = client.WriteFile(root, name, func(w io.Writer) error { return api.DownloadZip(ctx, id, w, bar.At) })
	bar.Close()
	if err != nil {
		return fmt.Errorf("downloading %s: %w", name, err)
	}
	if !a.asJSON() {
		fmt.Fprintln(a.out, path.Join(dir, name))
	}
	return nil
}

// openFolder makes a folder where there is none. Names of files come from the service, and the root keeps them inside.
func openFolder(dir string) (*os.Root, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return os.OpenRoot(dir)
}
