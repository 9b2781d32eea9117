package run

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/outputs"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/tables"
)

// makeTables makes the tables that the job asks for, and notes those that it cannot: the results of the run are as good without.
func (r Run) makeTables(left *kept) {
	for _, name := range r.Options.Tables {
		if _, err := os.Lstat(filepath.Join(r.Out, name.File())); !errors.Is(err, fs.ErrNotExist) {
			left.notes = append(left.notes, fmt.Sprintf("The table %s was not made: %s is an output of the scenario.", name, name.File()))
			continue
		}
		if err := r.makeTable(name, *left); err != nil {
			left.notes = append(left.notes, fmt.Sprintf("The table %s was not made: %s.", name, withoutStop(err)))
			continue
		}
		left.files[name.Role()] = name.File()
	}
}

// makeTable writes a table into the work folder first, so that the results never have a part of one.
func (r Run) makeTable(name simulation.Table, left kept) error {
	files, err := r.tableSources(name, left)
	if err != nil {
		return err
	}
	var sources []tables.Source
	for _, file := range files {
		sources = append(sources, tables.Source{Name: file, Open: func() (io.ReadCloser, error) { return os.Open(filepath.Join(r.Out, file)) }})
	}
	draft := filepath.Join(r.Work, path.Base(name.File()))
	defer func() { _ = os.Remove(draft) }()
	err = tables.Make(name, sources, 0, func(write func(io.Writer) error) error {
		out, err := os.Create(draft)
		if err != nil {
			return err
		}
		return errors.Join(write(out), out.Close())
	})
	if err != nil {
		return err
	}
	target := filepath.Join(r.Out, name.File())
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	return move(draft, target)
}

// mayBeXML matches the names of outputs that SUMO writes in XML unless an option says otherwise.
var mayBeXML = regexp.MustCompile(`\.xml(\.gz)?$`)

// tableSources are the outputs that a table is made from, below the output folder: the one that is known to be it, or those that look so.
func (r Run) tableSources(name simulation.Table, left kept) ([]string, error) {
	for _, o := range name.Sources() {
		if file := left.files[o]; file != "" {
			return []string{file}, nil
		}
	}
	root, err := os.OpenRoot(r.Out)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	all, err := listFiles(root)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, file := range all {
		if !mayBeXML.MatchString(file) {
			continue
		}
		in, err := root.Open(file)
		if err != nil {
			return nil, err
		}
		element, err := outputs.Root(in)
		in.Close()
		if err != nil {
			return nil, err
		}
		if tables.From(name, element) {
			found = append(found, file)
		}
	}
	switch {
	case len(found) == 0:
		return nil, errors.New("the run has no output for it")
	case len(found) > 1 && !tables.Joined(name):
		return nil, fmt.Errorf("the run has %d outputs for it, such as %s and %s", len(found), found[0], found[1])
	}
	return found, nil
}
