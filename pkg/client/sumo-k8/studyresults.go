package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"unicode"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/sumo-k8/sumo-k8/pkg/client"
)

// atOnce is how many runs' files are fetched side by side.
const atOnce = 8

func (a *app) studyResultsCommand() *cobra.Command {
	var o resultOptions
	c := a.oneStudy("results STUDY", "Download the files of all runs", func(ctx context.Context, api *client.Client, id string) error {
		return a.studyResults(ctx, api, id, o)
	})
	c.Long = `Downloads the files of all runs that have ended, each into a folder named after its point and seed. Files that are
there already are not fetched again, so that the command can be repeated while the study runs, or after it broke off.`
	c.Example = "  sumo-k8 study results $STUDY --name tripinfo.xml --dir out"
	flags := c.Flags()
	flags.StringVarP(&o.dir, "dir", "d", "", "folder to put the files in (default: one named after the study)")
	flags.StringVar(&o.name, "name", "", "only files with this name, in which * stands for anything")
	must(c.MarkFlagDirname("dir"))
	noFiles(c, "name")
	return c
}

func (a *app) studyResults(ctx context.Context, api *client.Client, id string, o resultOptions) error {
	if _, err := filepath.Match(o.name, ""); err != nil {
		return usage("--name %q is not a pattern: %v", o.name, err)
	}
	s, err := api.Study(ctx, id)
	if err != nil {
		return err
	}
	if o.dir == "" {
		o.dir = id
	}
	root, err := openFolder(o.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	fetching, ctx := errgroup.WithContext(ctx)
	fetching.SetLimit(atOnce)
	seen := map[string]bool{}
	var fetched, there atomic.Int64
	_, err = pages(0, func(cursor string, limit int) (int, string, error) {
		page, err := api.Jobs(ctx, client.Filter{Study: id, Cursor: cursor, Limit: limit})
		for _, j := range page.Jobs {
			if j.ResultFiles == nil || j.Point == nil || j.Seed == nil {
				continue
			}
			folder := filepath.Join(folderOf(s, j), "seed-"+strconv.FormatInt(*j.Seed, 10))
			if seen[folder] {
				continue // an earlier job of a run that was made again
			}
			seen[folder] = true
			if err := root.MkdirAll(folder, 0o755); err != nil {
				return 0, "", err
			}
			for _, f := range j.ResultFiles.Files {
				if !o.matches(f.Name) {
					continue
				}
				fetching.Go(func() error {
					file := client.ResultFile{Name: f.Name, Size: f.Size, SHA256: f.SHA256}
					missing, err := fetchInto(ctx, api, j.ID, file, root, folder)
					if missing {
						fetched.Add(1)
					} else {
						there.Add(1)
					}
					return err
				})
			}
		}
		return len(page.Jobs), page.NextCursor, err
	})
	if err = errors.Join(err, fetching.Wait()); err != nil {
		return err
	}
	switch {
	case len(seen) == 0:
		return fmt.Errorf("no run of study %s has ended with files yet", id)
	case fetched.Load()+there.Load() == 0:
		return fmt.Errorf("none of the files of %s matches %q; sumo-k8 results RUN --list shows those of one", counted(len(seen), "run"), o.name)
	}
	if a.asJSON() {
		a.print(s, nil)
		return nil
	}
	fmt.Fprintf(a.out, "%s of %s in %s\n", counted(int(fetched.Load()), "file"), counted(len(seen), "run"), o.dir)
	if n := int(there.Load()); n > 0 {
		a.note("%s were there already.", counted(n, "file"))
	}
	return nil
}

// fetchInto reports whether the file had to be fetched.
func fetchInto(ctx context.Context, api *client.Client, jobID string, f client.ResultFile, root *os.Root, folder string) (bool, error) {
	into, err := root.OpenRoot(folder)
	if err != nil {
		return false, err
	}
	defer into.Close()
	if f.SHA256 == "" && f.IsIn(into) { // as far as its size shows; Save looks at the sum of others
		return false, nil
	}
	fetched, err := api.Save(ctx, jobID, f, into, nil)
	if err != nil {
		return false, fmt.Errorf("downloading %s of job %s: %w", f.Name, jobID, err)
	}
	return fetched, nil
}

// maxFolder bounds the words in the name of a folder, in characters.
const maxFolder = 100

// folderOf names the folder of a point: by its number, which makes it unique, and in words.
func folderOf(s client.Study, j client.Job) string {
	words := strings.FieldsFunc(s.PointLabel(j.Variant, j.Setting), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '.' && r != '-'
	})
	text := []rune(strings.Join(words, "_"))
	return fmt.Sprintf("%03d_%s", *j.Point, string(text[:min(len(text), maxFolder)]))
}
