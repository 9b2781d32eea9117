// Package oci writes container images as reproducible OCI archives, without a container engine. The same files give the
// same bytes and so the same digest, with the same version of Go, whose gzip packs the layers.
//
// containerd (ctr images import), Docker (docker load) and skopeo read the archives; Open reads them for pushing.
package oci

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/stream"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Image is what an archive holds.
type Image struct {
	Name         string // with registry and tag, for example dev.local/sumo:1.28
	Architecture string // in Go's words: amd64, arm64
	User         string // numeric: Kubernetes cannot tell from a name whether it is root
	Entrypoint   []string
	Env          []string
	Labels       map[string]string
	Layers       []Layer // the lowest first
}

// nameAnnotation is where containerd finds the whole name of an image; the specification has a place for the tag only.
const nameAnnotation = "io.containerd.image.name"

// WriteFile writes the image's archive into a file, which is there either whole or not at all, and returns the digest by
// which runtimes know the image.
func (i Image) WriteFile(file string) (digest string, err error) {
	tag, err := i.check()
	if err != nil {
		return "", err
	}
	image, err := i.assemble()
	if err != nil {
		return "", fmt.Errorf("assembling the image %s: %w", i.Name, err)
	}
	work, err := os.MkdirTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	folder, err := layout.Write(filepath.Join(work, "layout"), empty.Index)
	if err == nil {
		err = i.addTo(folder, image, tag)
	}
	if err == nil {
		err = addDockerManifest(folder, i.Name, image)
	}
	archive := filepath.Join(work, "archive")
	if err == nil {
		err = pack(string(folder), archive)
	}
	if err != nil {
		return "", fmt.Errorf("writing the image %s: %w", i.Name, err)
	}
	hash, err := image.Digest()
	if err != nil {
		return "", err
	}
	return hash.String(), os.Rename(archive, file)
}

// assemble makes the library's image, whose layers are read, packed and hashed once, while they are written.
func (i Image) assemble() (v1.Image, error) {
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.ConfigFile(image, &v1.ConfigFile{
		Created: v1.Time{Time: epoch}, Architecture: i.Architecture, OS: "linux", RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{User: i.User, Env: i.Env, Entrypoint: i.Entrypoint, WorkingDir: "/", Labels: i.Labels},
	})
	if err != nil {
		return nil, err
	}
	for _, l := range i.Layers {
		image, err = mutate.Append(image, mutate.Addendum{
			Layer:   stream.NewLayer(read(l), stream.WithMediaType(types.OCILayer)),
			History: v1.History{Created: v1.Time{Time: epoch}},
		})
		if err != nil {
			return nil, err
		}
	}
	return image, nil
}

// layerReader reads what a layer writes, which starts with the first Read.
type layerReader struct {
	*io.PipeReader
	start func()
}

func (r layerReader) Read(p []byte) (int, error) {
	r.start()
	return r.PipeReader.Read(p)
}

func read(l Layer) io.ReadCloser {
	r, w := io.Pipe()
	return layerReader{r, sync.OnceFunc(func() { go func() { w.CloseWithError(l.write(w)) }() })}
}

// addTo writes the image into the folder with its name. The library's AppendImage would mark it as an artifact.
func (i Image) addTo(folder layout.Path, image v1.Image, tag name.Tag) error {
	if err := folder.WriteImage(image); err != nil {
		return err
	}
	manifest, err := partial.Descriptor(image)
	if err != nil {
		return err
	}
	manifest.ArtifactType = ""
	manifest.Platform = &v1.Platform{Architecture: i.Architecture, OS: "linux"}
	manifest.Annotations = map[string]string{nameAnnotation: i.Name, "org.opencontainers.image.ref.name": tag.TagStr()}
	return folder.AppendDescriptor(*manifest)
}

// addDockerManifest adds what docker load reads where Docker keeps its images outside of containerd.
func addDockerManifest(folder layout.Path, tag string, image v1.Image) error {
	manifest, err := image.Manifest()
	if err != nil {
		return err
	}
	docker := tarball.Descriptor{Config: blob(manifest.Config.Digest), RepoTags: []string{tag}}
	for _, l := range manifest.Layers {
		docker.Layers = append(docker.Layers, blob(l.Digest))
	}
	text, err := json.Marshal(tarball.Manifest{docker})
	if err != nil {
		return err
	}
	return folder.WriteFile("manifest.json", text, 0o644)
}

func blob(digest v1.Hash) string { return path.Join("blobs", digest.Algorithm, digest.Hex) }

// pack writes the files below folder into a tar file.
func pack(folder, file string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	archive := tar.NewWriter(f)
	err = filepath.WalkDir(folder, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		inside, err := filepath.Rel(folder, name)
		if err != nil {
			return err
		}
		return File{Path: "/" + filepath.ToSlash(inside), Mode: 0o644, Source: name}.write(archive)
	})
	return errors.Join(err, archive.Close(), f.Close())
}

// Open unpacks an archive into the folder dir, and returns the image in it with its name. The image reads from the folder.
func Open(archive, dir string) (tag string, image v1.Image, err error) {
	if err := unpack(archive, dir); err != nil {
		return "", nil, fmt.Errorf("unpacking the archive %s: %w", archive, err)
	}
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return "", nil, fmt.Errorf("%s is no archive of an image: %w", archive, err)
	}
	content, err := index.IndexManifest()
	if err != nil {
		return "", nil, fmt.Errorf("%s is no archive of an image: %w", archive, err)
	}
	if len(content.Manifests) != 1 || content.Manifests[0].Annotations[nameAnnotation] == "" {
		return "", nil, fmt.Errorf("%s does not hold one image with a name", archive)
	}
	image, err = index.Image(content.Manifests[0].Digest)
	return content.Manifests[0].Annotations[nameAnnotation], image, err
}

func unpack(archive, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	for entries := tar.NewReader(f); ; {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := root.MkdirAll(path.Dir(header.Name), 0o755); err != nil {
			return err
		}
		file, err := root.Create(header.Name)
		if err != nil {
			return err
		}
		_, err = io.Copy(file, entries)
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
	}
}

// check returns the image's name in its parts.
func (i Image) check() (name.Tag, error) {
	tag, err := name.NewTag(i.Name, name.StrictValidation)
	switch {
	case err != nil || !strings.ContainsAny(tag.RegistryStr(), ".:"):
		// Without a registry that has a dot or a colon, containerd takes the name for one of Docker Hub and finds nothing.
		return name.Tag{}, fmt.Errorf("the image name %q is not of the form registry.domain/name:tag", i.Name)
	case i.User == "" || strings.Trim(i.User, "0123456789:") != "":
		return name.Tag{}, fmt.Errorf("the user %q of image %s is not numeric", i.User, i.Name)
	case i.Architecture == "" || len(i.Layers) == 0:
		return name.Tag{}, fmt.Errorf("the image %s names no architecture or has no layers", i.Name)
	}
	return tag, nil
}
