package wheel

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// programs is the folder of the programs in a wheel.
const programs = "sumo/bin"

// unneeded are the parts of a wheel that serve no run: the graphical programs with their pictures and translations, and what
// programmers build against.
var unneeded = []string{
	programs + "/netedit", programs + "/sumo-gui",
	"sumo/cmake", "sumo/include", "sumo/lib64",
	"sumo/data/3D", "sumo/data/font", "sumo/data/logo", "sumo/data/object_types", "sumo/data/po", "sumo/data/tests",
}

// serves is whether a file of SUMO's wheel serves a run.
func serves(name string) bool {
	return !slices.ContainsFunc(unneeded, func(part string) bool { return within(part, name) })
}

// unpack writes into the folder dir those of the wheel's files that are wanted, and makes SUMO's programs executable: zips made by Python
// need not say that they are.
func unpack(ctx context.Context, file, dir string, wanted func(name string) bool) error {
	archive, err := zip.OpenReader(file)
	if err != nil {
		return err
	}
	defer func() { _ = archive.Close() }()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	writing, ctx := errgroup.WithContext(ctx)
	writing.SetLimit(runtime.NumCPU())
	for _, f := range archive.File {
		switch {
		case !filepath.IsLocal(f.Name):
			return fmt.Errorf("%q would leave the folder", f.Name)
		case f.Mode().IsDir(), !wanted(f.Name):
			continue
		case !f.Mode().IsRegular():
			return fmt.Errorf("%q is no regular file", f.Name)
		}
		writing.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return write(root, f)
		})
	}
	return writing.Wait()
}

// within is whether a file is part, or stands below it.
func within(part, name string) bool { return name == part || strings.HasPrefix(name, part+"/") }

func write(root *os.Root, f *zip.File) error {
	if err := root.MkdirAll(path.Dir(f.Name), 0o755); err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	if path.Dir(f.Name) == programs {
		mode = 0o755
	}
	from, err := f.Open()
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := root.OpenFile(f.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	if closing := to.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	return nil
}
