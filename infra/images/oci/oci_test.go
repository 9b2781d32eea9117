package oci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// sample is an image with everything that one can hold. The file it takes from disk gets the given time and permissions.
func sample(t *testing.T, modified time.Time, perm fs.FileMode) Image {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("machine code"), perm); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(program, modified, modified); err != nil {
		t.Fatal(err)
	}
	return Image{
		Name: "dev.local/sample:1.0", Architecture: "amd64", User: "65532:65532",
		Entrypoint: []string{"/usr/bin/program"}, Env: []string{"PATH=/usr/bin"}, Labels: map[string]string{"b": "2", "a": "1"},
		Layers: []Layer{
			Files(
				File{Path: "/etc/os-release", Mode: 0o644, Data: []byte("ID=sample\n")},
				File{Path: "/lib", Mode: fs.ModeSymlink, Link: "usr/lib"},
				File{Path: "/tmp", Mode: fs.ModeDir | fs.ModeSticky | 0o777},
			),
			Files(File{Path: "/usr/bin/program", Mode: 0o755, Source: program}),
		},
	}
}

func archive(t *testing.T, i Image) (content []byte, digest string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "image.tar")
	digest, err := i.WriteFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if content, err = os.ReadFile(name); err != nil {
		t.Fatal(err)
	}
	return content, digest
}

// entry is what a test wants to know of a file in a tar stream.
type entry struct {
	Type    byte
	Mode    int64
	Link    string
	Content string
	Owner   [2]int
	Time    int64
}

func untar(t *testing.T, r io.Reader) (names []string, entries map[string]entry) {
	t.Helper()
	entries = map[string]entry{}
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return names, entries
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		entries[h.Name] = entry{h.Typeflag, h.Mode, h.Linkname, string(content), [2]int{h.Uid, h.Gid}, h.ModTime.Unix()}
	}
}

func TestTheSameFilesGiveTheSameArchiveWhateverTheirTimesAndPermissionsOnDisk(t *testing.T) {
	t.Parallel()
	first, digest := archive(t, sample(t, time.Now(), 0o600))
	second, again := archive(t, sample(t, time.Now().AddDate(-1, 0, 0), 0o755))
	if !bytes.Equal(first, second) || digest != again {
		t.Errorf("two archives of the same files differ: %s and %s", digest, again)
	}
}

func TestTheOrderOfFilesDoesNotMatterButTheirContentDoes(t *testing.T) {
	t.Parallel()
	i := sample(t, time.Now(), 0o644)
	_, digest := archive(t, i)
	a, b := File{Path: "/a", Mode: 0o644}, File{Path: "/b", Mode: 0o644}
	i.Layers[0] = Files(a, b)
	_, ordered := archive(t, i)
	i.Layers[0] = Files(b, a)
	if _, reversed := archive(t, i); reversed != ordered {
		t.Error("the order in which files are named changes the digest")
	}
	if digest == ordered {
		t.Error("other files have the same digest")
	}
}

func TestALayerHoldsItsFilesInOrderWithTheirFoldersAndBelongsToRoot(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := WriteLayer(&b, Files(
		File{Path: "/usr/bin/program", Mode: 0o755, Data: []byte("code")},
		File{Path: "/lib", Mode: fs.ModeSymlink, Link: "usr/lib"},
		File{Path: "/tmp", Mode: fs.ModeDir | fs.ModeSticky | 0o777},
	)); err != nil {
		t.Fatal(err)
	}
	names, entries := untar(t, &b)
	if diff := cmp.Diff([]string{"lib", "tmp/", "usr/", "usr/bin/", "usr/bin/program"}, names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	want := map[string]entry{
		"lib":             {Type: tar.TypeSymlink, Mode: 0o777, Link: "usr/lib"},
		"tmp/":            {Type: tar.TypeDir, Mode: 0o1777},
		"usr/":            {Type: tar.TypeDir, Mode: 0o755},
		"usr/bin/":        {Type: tar.TypeDir, Mode: 0o755},
		"usr/bin/program": {Type: tar.TypeReg, Mode: 0o755, Content: "code"},
	}
	if diff := cmp.Diff(want, entries); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestTheArchiveLeadsFromItsNameToEveryLayerByDigest(t *testing.T) {
	t.Parallel()
	i := sample(t, time.Now(), 0o644)
	content, digest := archive(t, i)
	_, files := untar(t, bytes.NewReader(content))
	read := func(name string, into any) {
		t.Helper()
		f, there := files[name]
		if !there {
			t.Fatalf("the archive has no %s", name)
		}
		if hash, ok := strings.CutPrefix(name, "blobs/sha256/"); ok {
			if sum := sha256.Sum256([]byte(f.Content)); hex.EncodeToString(sum[:]) != hash {
				t.Errorf("%s has another digest than its name", name)
			}
		}
		if into != nil {
			if err := json.Unmarshal([]byte(f.Content), into); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	var idx v1.IndexManifest
	read("index.json", &idx)
	if len(idx.Manifests) != 1 || idx.Manifests[0].Digest.String() != digest ||
		idx.Manifests[0].Annotations["io.containerd.image.name"] != i.Name {
		t.Fatalf("the index does not lead from %s to %s: %+v", i.Name, digest, idx)
	}
	var m v1.Manifest
	read(blob(idx.Manifests[0].Digest), &m)
	var c v1.ConfigFile
	read(blob(m.Config.Digest), &c)
	if c.Config.User != i.User || c.Architecture != "amd64" || c.OS != "linux" {
		t.Errorf("the configuration is not the image's: %+v", c)
	}
	if diff := cmp.Diff(i.Entrypoint, c.Config.Entrypoint); diff != "" {
		t.Errorf("entry point (-want +got):\n%s", diff)
	}
	var docker tarball.Manifest
	read("manifest.json", &docker)
	var layers []v1.Hash
	var blobs []string
	for _, l := range m.Layers {
		read(blob(l.Digest), nil)
		if size := int64(len(files[blob(l.Digest)].Content)); size != l.Size {
			t.Errorf("layer %s has %d bytes, the manifest says %d", l.Digest, size, l.Size)
		}
		unzipped, err := gzip.NewReader(strings.NewReader(files[blob(l.Digest)].Content))
		if err != nil {
			t.Fatal(err)
		}
		layer, _, err := v1.SHA256(unzipped)
		if err != nil {
			t.Fatal(err)
		}
		layers, blobs = append(layers, layer), append(blobs, blob(l.Digest))
	}
	if diff := cmp.Diff(layers, c.RootFS.DiffIDs); diff != "" {
		t.Errorf("layers of manifest and configuration (-manifest +configuration):\n%s", diff)
	}
	if diff := cmp.Diff(tarball.Manifest{{Config: blob(m.Config.Digest), RepoTags: []string{i.Name}, Layers: blobs}}, docker); diff != "" {
		t.Errorf("what Docker reads (-want +got):\n%s", diff)
	}
	if len(layers) != 2 {
		t.Errorf("%d layers, want 2", len(layers))
	}
}

func TestALayerThatStandsReadyIsTakenAsItIs(t *testing.T) {
	t.Parallel()
	i := sample(t, time.Now(), 0o644)
	_, digest := archive(t, i)
	name := filepath.Join(t.TempDir(), "layer.tar")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := WriteLayer(f, i.Layers[0]); err != nil {
		t.Fatal(err)
	}
	i.Layers[0] = Tar(name)
	if _, again := archive(t, i); again != digest {
		t.Errorf("the digest is %s, and %s with the layer from a file", digest, again)
	}
}

func TestImagesThatNoClusterWouldRunAreRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Image){
		"name without a registry":   func(i *Image) { i.Name = "sample:1.0" },
		"registry without a dot":    func(i *Image) { i.Name = "localhost/sample:1.0" },
		"name without a tag":        func(i *Image) { i.Name = "dev.local/sample" },
		"user by name":              func(i *Image) { i.User = "nobody" },
		"no user":                   func(i *Image) { i.User = "" },
		"no layers":                 func(i *Image) { i.Layers = nil },
		"no architecture":           func(i *Image) { i.Architecture = "" },
		"path that is not absolute": func(i *Image) { i.Layers = []Layer{Files(File{Path: "etc/passwd"})} },
		"path that is the root":     func(i *Image) { i.Layers = []Layer{Files(File{Path: "/", Mode: fs.ModeDir})} },
		"two files at one path":     func(i *Image) { i.Layers = []Layer{Files(File{Path: "/a"}, File{Path: "/b/../a"})} },
		"file below a file":         func(i *Image) { i.Layers = []Layer{Files(File{Path: "/a"}, File{Path: "/a/b"})} },
		"file below a link": func(i *Image) {
			i.Layers = []Layer{Files(File{Path: "/a", Mode: fs.ModeSymlink, Link: "b"}, File{Path: "/a/b"})}
		},
		"device":                    func(i *Image) { i.Layers = []Layer{Files(File{Path: "/a", Mode: fs.ModeDevice})} },
		"file that is not there":    func(i *Image) { i.Layers = []Layer{Files(File{Path: "/a", Source: "/nonexistent"})} },
		"folder in place of a file": func(i *Image) { i.Layers = []Layer{Files(File{Path: "/a", Source: "/"})} },
		"layer that is not there":   func(i *Image) { i.Layers = []Layer{Tar("/nonexistent")} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := sample(t, time.Now(), 0o644)
			change(&i)
			if _, err := i.WriteFile(filepath.Join(t.TempDir(), "image.tar")); err == nil {
				t.Error("it was written")
			}
		})
	}
}

func TestAFailedWriteLeavesNoFileAndKeepsTheOld(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "sample.tar")
	good := sample(t, time.Now(), 0o644)
	if _, err := good.WriteFile(name); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	bad := good
	bad.Layers = []Layer{good.Layers[0], Tar(filepath.Join(dir, "nonexistent"))}
	if _, err := bad.WriteFile(name); err == nil {
		t.Fatal("an image without one of its layers was written")
	}
	after, err := os.ReadFile(name)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the archive is no longer what it was (%v)", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, want the archive only (%v)", entries, err)
	}
}

func TestAnArchiveIsReadAsTheImageThatWasWritten(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "sample.tar")
	i := sample(t, time.Now(), 0o644)
	digest, err := i.WriteFile(file)
	if err != nil {
		t.Fatal(err)
	}
	tag, image, err := Open(file, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := image.Digest(); err != nil || got.String() != digest || tag != i.Name {
		t.Errorf("read %s with digest %s (%v), want %s with %s", tag, got, err, i.Name, digest)
	}
	if err := validate.Image(image); err != nil {
		t.Error(err)
	}
	// docker load and others that know Docker's form only.
	asDocker, err := name.NewTag(i.Name)
	if err != nil {
		t.Fatal(err)
	}
	image, err = tarball.ImageFromPath(file, &asDocker)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(image); err != nil {
		t.Error(err)
	}
}

func TestWhatIsNoArchiveOfOneImageIsNotRead(t *testing.T) {
	t.Parallel()
	layer := func(files ...File) string {
		name := filepath.Join(t.TempDir(), "other.tar")
		f, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := WriteLayer(f, Files(files...)); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for name, archive := range map[string]string{
		"no file":       filepath.Join(t.TempDir(), "nonexistent"),
		"no tar file":   "oci.go",
		"other files":   layer(File{Path: "/a", Mode: 0o644}),
		"without image": layer(File{Path: "/index.json", Mode: 0o644, Data: []byte(`{"manifests": []}`)}),
		"without name": layer(
			File{Path: "/index.json", Mode: 0o644, Data: []byte(`{"manifests": [{"digest": "sha256:` + strings.Repeat("0", 64) + `"}]}`)},
		),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, _, err := Open(archive, t.TempDir()); err == nil {
				t.Error("it was read")
			}
		})
	}
}
