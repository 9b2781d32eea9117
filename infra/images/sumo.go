package main

import (
	"archive/tar"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sumo-k8/sumo-k8/infra/images/oci"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

// installations is the folder of an image in which its SUMO is installed, in the layout of every machine.
const installations = "/opt/sumo"

// dataFolders are the parts of SUMO_HOME that SUMO reads at run time: the schemas that files refer to, the emission models, and in
// later versions what networks with geographic coordinates need.
var dataFolders = []string{"data/xsd", "data/emissions", "data/proj"}

// sumoFiles chooses, from the SUMO installed in dir, what an image needs: the program, the bundled libraries that it loads, its data
// and its licences. The libraries that it loads from the system must be in the layer of that name; without a name they are not
// looked for.
func sumoFiles(dir, version, debian string) ([]oci.File, error) {
	sumo := release.In(dir, version)
	whole := filepath.Join(dir, version)
	needs, err := loads(bundle(sumo), sumo.Binary)
	if err != nil {
		return nil, err
	}
	if debian != "" {
		if err := provides([]string{debian}, "SUMO", needs.system); err != nil {
			return nil, err
		}
	}
	var files []oci.File
	add := func(name string, mode fs.FileMode) {
		files = append(files, oci.File{Path: inImage(dir, name), Mode: mode, Source: name})
	}
	add(sumo.Binary, 0o755)
	for _, library := range needs.bundled {
		add(filepath.Join(bundle(sumo), library), 0o644)
	}
	folders, err := filepath.Glob(filepath.Join(whole, "*.dist-info"))
	if err != nil || len(folders) != 1 {
		return nil, fmt.Errorf("%s has no licences: %v", whole, folders)
	}
	for _, name := range dataFolders {
		folders = append(folders, filepath.Join(sumo.Home, name))
	}
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(name string, e fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist) && name == folder:
				return nil // a version without it
			case err != nil || e.IsDir() || e.Name() == "RECORD": // which lists the files of the whole wheel
				return err
			}
			add(name, 0o644)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// needs are the shared libraries that programs load when they start.
type needs struct {
	bundled []string // which the wheel brings along
	system  []string // which it expects
}

// bundle is the folder of an installation's own libraries.
func bundle(sumo release.Installation) string {
	return filepath.Join(filepath.Dir(sumo.Home), "eclipse_sumo.libs")
}

// loads finds what programs load, directly or through the wheel's own libraries in the folder bundle.
func loads(bundle string, programs ...string) (needs, error) {
	var n needs
	for pending := slices.Clone(programs); len(pending) > 0; pending = pending[1:] {
		file, err := elf.Open(pending[0])
		if err != nil {
			return needs{}, fmt.Errorf("reading the program %s: %w", pending[0], err)
		}
		wanted, err := file.ImportedLibraries()
		_ = file.Close() // it was only read
		if err != nil {
			return needs{}, fmt.Errorf("reading the libraries that %s needs: %w", pending[0], err)
		}
		for _, library := range wanted {
			if slices.Contains(n.bundled, library) || slices.Contains(n.system, library) {
				continue
			}
			own := filepath.Join(bundle, library)
			if _, err := os.Stat(own); errors.Is(err, fs.ErrNotExist) {
				n.system = append(n.system, library)
				continue
			}
			n.bundled = append(n.bundled, library)
			pending = append(pending, own)
		}
	}
	return n, nil
}

// provides fails if a library that something loads is in none of the layers.
func provides(layers []string, what string, libraries []string) error {
	missing := slices.Clone(libraries)
	for _, layer := range layers {
		f, err := os.Open(layer)
		if err != nil {
			return err
		}
		for archive := tar.NewReader(f); err == nil; {
			var header *tar.Header
			if header, err = archive.Next(); err == nil {
				missing = slices.DeleteFunc(missing, func(library string) bool { return library == path.Base(header.Name) })
			}
		}
		_ = f.Close() // it was only read
		if !errors.Is(err, io.EOF) {
			return fmt.Errorf("reading the layer %s: %w", layer, err)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s loads %s, which the image would not have: add it to infra/images/sumo.files", what, strings.Join(missing, ", "))
	}
	return nil
}
