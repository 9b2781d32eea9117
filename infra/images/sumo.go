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
	needs, err := loads(sumo)
	if err != nil {
		return nil, err
	}
	if debian != "" {
		if err := provides(debian, needs.system); err != nil {
			return nil, err
		}
	}
	var files []oci.File
	add := func(name string, mode fs.FileMode) error {
		inside, err := filepath.Rel(dir, name)
		files = append(files, oci.File{Path: path.Join(installations, filepath.ToSlash(inside)), Mode: mode, Source: name})
		return err
	}
	if err := add(sumo.Binary, 0o755); err != nil {
		return nil, err
	}
	for _, library := range needs.bundled {
		if err := add(filepath.Join(bundle(sumo), library), 0o644); err != nil {
			return nil, err
		}
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
			return add(name, 0o644)
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// needs are the shared libraries that SUMO loads when it starts.
type needs struct {
	bundled []string // which the wheel brings along
	system  []string // which it expects
}

// bundle is the folder of an installation's own libraries.
func bundle(sumo release.Installation) string {
	return filepath.Join(filepath.Dir(sumo.Home), "eclipse_sumo.libs")
}

// loads finds what a SUMO loads, directly or through its own libraries.
func loads(sumo release.Installation) (needs, error) {
	var n needs
	for pending := []string{sumo.Binary}; len(pending) > 0; pending = pending[1:] {
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
			own := filepath.Join(bundle(sumo), library)
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

// provides fails if a library is not in the layer.
func provides(layer string, libraries []string) error {
	f, err := os.Open(layer)
	if err != nil {
		return err
	}
	defer f.Close()
	missing := slices.Clone(libraries)
	for archive := tar.NewReader(f); len(missing) > 0; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("SUMO loads %s, which the image would not have: add it to infra/images/sumo.files", strings.Join(missing, ", "))
		}
		if err != nil {
			return fmt.Errorf("reading the layer %s: %w", layer, err)
		}
		missing = slices.DeleteFunc(missing, func(library string) bool { return library == path.Base(header.Name) })
	}
	return nil
}
