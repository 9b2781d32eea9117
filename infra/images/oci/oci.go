// Package oci writes container images as OCI archives, without a container engine and reproducibly: the same files
// give the same bytes and so the same digest, wherever and whenever they are written.
//
// containerd (ctr images import), Docker (docker load) and skopeo read the archives.
package oci

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	_ "embed" // Source
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Source is the text of this package. Caches of layers put it into their keys: a change here may change every byte.
//
//go:embed oci.go
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

// Tar is a layer that stands ready in a file, as WriteLayer leaves it.
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

// Image is what an archive holds.
type Image struct {
	Name         string // with registry and tag, for example dev.local/sumo:1.15
	Architecture string // in Go's words: amd64, arm64
	User         string // numeric: Kubernetes cannot tell of a name whether it is root
	Entrypoint   []string
	Env          []string
	Labels       map[string]string
	Layers       []Layer // the lowest first
}

// The media types of the OCI image specification, version 1.1. Layers are left uncompressed: the archive stays on this
// machine, where packing it would only cost time, and the digest does not depend on a compressor's version.
const (
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeIndex    = "application/vnd.oci.image.index.v1+json"
	typeConfig   = "application/vnd.oci.image.config.v1+json"
	typeLayer    = "application/vnd.oci.image.layer.v1.tar"
)

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Platform    *platform         `json:"platform,omitempty"`
}

type platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
}

type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        descriptor   `json:"config"`
	Layers        []descriptor `json:"layers"`
}

type index struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Manifests     []descriptor `json:"manifests"`
}

type configuration struct {
	Created string `json:"created"`
	platform
	Config struct {
		User       string            `json:",omitempty"`
		Env        []string          `json:",omitempty"`
		Entrypoint []string          `json:",omitempty"`
		WorkingDir string            `json:",omitempty"`
		Labels     map[string]string `json:",omitempty"`
	} `json:"config"`
	RootFS struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

// dockerEntry is what docker load reads, in manifest.json.
type dockerEntry struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// Write writes the image's archive and returns the digest by which runtimes know the image.
func (i Image) Write(w io.Writer) (digest string, err error) {
	tag, err := i.check()
	if err != nil {
		return "", err
	}
	machine := platform{Architecture: i.Architecture, OS: "linux"}
	config := configuration{Created: epoch.Format(time.RFC3339), platform: machine}
	config.Config.User, config.Config.Env, config.Config.Entrypoint = i.User, i.Env, i.Entrypoint
	config.Config.WorkingDir, config.Config.Labels = "/", i.Labels
	config.RootFS.Type = "layers"

	layers := make([]descriptor, len(i.Layers))
	for n, layer := range i.Layers {
		// A layer is written twice, here to learn its digest: keeping it would need its size again in memory or on disk.
		sum := &digester{hash: sha256.New()}
		if err := layer.write(sum); err != nil {
			return "", err
		}
		layers[n] = descriptor{MediaType: typeLayer, Digest: sum.digest(), Size: sum.size}
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, layers[n].Digest)
	}
	configBlob, err := json.Marshal(config)
	if err != nil {
		return "", err
	}
	m := manifest{SchemaVersion: 2, MediaType: typeManifest, Config: describe(typeConfig, configBlob), Layers: layers}
	manifestBlob, err := json.Marshal(m)
	if err != nil {
		return "", err
	}
	described := describe(typeManifest, manifestBlob)
	described.Platform = &machine
	described.Annotations = map[string]string{
		"io.containerd.image.name":          i.Name, // the whole name, for containerd; the specification knows but the tag
		"org.opencontainers.image.ref.name": tag,
	}
	indexBlob, err := json.Marshal(index{SchemaVersion: 2, MediaType: typeIndex, Manifests: []descriptor{described}})
	if err != nil {
		return "", err
	}
	docker := dockerEntry{Config: blobName(m.Config.Digest), RepoTags: []string{i.Name}}
	for _, l := range layers {
		docker.Layers = append(docker.Layers, blobName(l.Digest))
	}
	dockerBlob, err := json.Marshal([]dockerEntry{docker})
	if err != nil {
		return "", err
	}

	archive := tar.NewWriter(w)
	for _, small := range []struct {
		name string
		blob []byte
	}{
		{"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)},
		{"index.json", indexBlob},
		{"manifest.json", dockerBlob},
		{blobName(m.Config.Digest), configBlob},
		{blobName(described.Digest), manifestBlob},
	} {
		if err := writeBlob(archive, small.name, int64(len(small.blob)), bytes.NewReader(small.blob).WriteTo); err != nil {
			return "", err
		}
	}
	written := map[string]bool{}
	for n, layer := range i.Layers {
		if written[layers[n].Digest] {
			continue
		}
		written[layers[n].Digest] = true
		sum := &digester{hash: sha256.New()}
		if err := writeBlob(archive, blobName(layers[n].Digest), layers[n].Size, func(w io.Writer) (int64, error) {
			err := layer.write(io.MultiWriter(w, sum))
			return sum.size, err
		}); err != nil {
			return "", err
		}
		if sum.digest() != layers[n].Digest {
			return "", errors.New("a layer's files changed while the image was written")
		}
	}
	if err := archive.Close(); err != nil {
		return "", fmt.Errorf("writing the image %s: %w", i.Name, err)
	}
	return described.Digest, nil
}

// WriteFile writes the image's archive into a file, which is there either whole or not at all.
func (i Image) WriteFile(name string) (digest string, err error) {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name()) // does nothing once the file has its name
	defer f.Close()
	if digest, err = i.Write(f); err != nil {
		return "", err
	}
	if err := f.Chmod(0o644); err != nil {
		return "", err
	}
	if err := f.Close(); err != nil {
		return "", fmt.Errorf("writing %s: %w", name, err)
	}
	return digest, os.Rename(f.Name(), name)
}

// check returns the tag of the image's name.
func (i Image) check() (tag string, err error) {
	registry, rest, _ := strings.Cut(i.Name, "/")
	repository, tag, _ := strings.Cut(rest, ":")
	switch {
	case !strings.ContainsAny(registry, ".:") || repository == "" || tag == "":
		// Without a registry that has a dot or a colon, containerd takes the name for one of Docker Hub and finds nothing.
		return "", fmt.Errorf("the image name %q is not of the form registry.domain/name:tag", i.Name)
	case i.User == "" || strings.Trim(i.User, "0123456789:") != "":
		return "", fmt.Errorf("the user %q of image %s is not numeric", i.User, i.Name)
	case i.Architecture == "" || len(i.Layers) == 0:
		return "", fmt.Errorf("the image %s names no architecture or has no layers", i.Name)
	}
	return tag, nil
}

func describe(mediaType string, blob []byte) descriptor {
	sum := sha256.Sum256(blob)
	return descriptor{MediaType: mediaType, Digest: "sha256:" + hex.EncodeToString(sum[:]), Size: int64(len(blob))}
}

func blobName(digest string) string { return "blobs/" + strings.Replace(digest, ":", "/", 1) }

func writeBlob(w *tar.Writer, name string, size int64, content func(io.Writer) (int64, error)) error {
	header := tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size, ModTime: epoch}
	if err := w.WriteHeader(&header); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if _, err := content(w); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

// digester counts and hashes what is written to it.
type digester struct {
	hash hash.Hash
	size int64
}

func (d *digester) Write(p []byte) (int, error) {
	d.size += int64(len(p))
	return d.hash.Write(p)
}

func (d *digester) digest() string { return "sha256:" + hex.EncodeToString(d.hash.Sum(nil)) }
