package oci

import (
	"archive/tar"
	_ "embed" // Source
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// Source is the text of this file. Caches of layers put it into their keys: a change here may change every byte of a layer.
//
//go:embed layer.go
var Source string

// epoch stands for every time in an image, since real ones would make each build a different image.
var epoch = time.Unix(0, 0).UTC()

// File is a file, folder or symbolic link in a layer. It belongs to root, so that no process of the container can
// change it.
type File struct {
	Path   string      // absolute, in the image
	Mode   fs.FileMode // permissions, with fs.ModeDir for a folder, fs.ModeSymlink for a link, fs.ModeSticky where wanted
	Link   string      // where a symbolic link points
	Source string      // the file of this machine whose content it gets; empty for Data
	Data   []byte
}

// Layer is a set of files to put into an image.
type Layer interface {
	// write writes the layer's tar stream, the same each time.
	write(w io.Writer) error
}

// Files is a layer of these files, in any order. Folders that they need and that are not named get mode 0755.
func Files(files ...File) Layer { return layerOfFiles(files) }

// Tar is a layer that is already in a file, as WriteLayer leaves it.
func Tar(name string) Layer { return layerInTar(name) }

// WriteLayer writes a layer as a tar stream.
func WriteLayer(w io.Writer, l Layer) error { return l.write(w) }

type layerInTar string

func (name layerInTar) write(w io.Writer) error {
	f, err := os.Open(string(name))
	if err != nil {
		return fmt.Errorf("reading a layer: %w", err)
	}
	defer f.Close()
	if _, err := io.Copy(w, f); err != nil {
		return fmt.Errorf("reading the layer %s: %w", name, err)
	}
	return nil
}

type layerOfFiles []File

func (files layerOfFiles) write(w io.Writer) error {
	byPath := map[string]File{}
	for _, f := range files {
		name := path.Clean(f.Path)
		if !path.IsAbs(f.Path) || name == "/" {
			return fmt.Errorf("%q is no absolute path of a file", f.Path)
		}
		if _, twice := byPath[name]; twice {
			return fmt.Errorf("%s is in the layer twice", name)
		}
		f.Path = name
		byPath[name] = f
	}
	for name := range byPath {
		for dir := path.Dir(name); dir != "/"; dir = path.Dir(dir) {
			parent, there := byPath[dir]
			if !there {
				byPath[dir] = File{Path: dir, Mode: fs.ModeDir | 0o755}
			} else if !parent.Mode.IsDir() {
				return fmt.Errorf("%s is in the layer, but %s is no folder", name, dir)
			}
		}
	}
	names := make([]string, 0, len(byPath))
	for name := range byPath {
		names = append(names, name)
	}
	slices.Sort(names) // a folder comes before what it holds
	archive := tar.NewWriter(w)
	for _, name := range names {
		if err := byPath[name].write(archive); err != nil {
			return fmt.Errorf("writing %s into a layer: %w", name, err)
		}
	}
	return archive.Close()
}

func (f File) write(w *tar.Writer) error {
	header := tar.Header{Name: strings.TrimPrefix(f.Path, "/"), Mode: int64(f.Mode.Perm()), ModTime: epoch}
	if f.Mode&fs.ModeSticky != 0 {
		header.Mode |= 0o1000
	}
	switch f.Mode.Type() {
	case fs.ModeDir:
		header.Typeflag, header.Name = tar.TypeDir, header.Name+"/"
		return w.WriteHeader(&header)
	case fs.ModeSymlink:
		header.Typeflag, header.Linkname, header.Mode = tar.TypeSymlink, f.Link, 0o777
		return w.WriteHeader(&header)
	case 0:
		header.Typeflag = tar.TypeReg
	default:
		return fmt.Errorf("images hold no files of type %s", f.Mode.Type())
	}
	if f.Source == "" {
		header.Size = int64(len(f.Data))
		if err := w.WriteHeader(&header); err != nil {
			return err
		}
		_, err := w.Write(f.Data)
		return err
	}
	content, err := os.Open(f.Source)
	if err != nil {
		return err
	}
	defer content.Close()
	info, err := content.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", f.Source)
	}
	header.Size = info.Size()
	if err := w.WriteHeader(&header); err != nil {
		return err
	}
	_, err = io.Copy(w, content)
	return err
}
