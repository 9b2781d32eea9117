package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/sumo-k8/sumo-k8/infra/images/oci"
	"github.com/sumo-k8/sumo-k8/infra/sumo/wheel"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

// suffix is how versions of images for programs end, such as 1.28-python.
const suffix = "-python"

// pythons are the Debians whose Python runs programs, the preferred one first, each with the second number of its Python's version.
var pythons = []struct {
	suite string
	minor int
}{{suite, 13}, {"bookworm", 11}}

// pythonRecipe is that of the image for programs that use a version of SUMO: of the first Debian for whose Python that has a libsumo.
func pythonRecipe(r release.Release) recipe {
	chosen := pythons[0]
	for _, p := range pythons {
		if wheel.HasLibsumo(r, wheel.Python{Minor: p.minor, Architecture: runtime.GOARCH}) {
			chosen = p
			break
		}
	}
	made := recipe{
		name: "dev.local/sumo:" + r.Version + suffix, suite: chosen.suite, source: "sumo", sumo: r.Version, wheel: true,
		python: wheel.Python{Minor: chosen.minor, Architecture: runtime.GOARCH}, programs: runPrograms,
	}
	runs := release.PythonWith(installations, r.Version, fmt.Sprintf("/usr/bin/python3.%d", chosen.minor), made.python.Tag(),
		wheel.HasLibsumo(r, made.python))
	made.env = append(sumoEnv(release.In(installations, r.Version)),
		"SUMO_PYTHON="+runs.Interpreter, "SUMO_PYTHONPATH="+strings.Join(runs.Path, string(filepath.ListSeparator)))
	return made
}

// toolPrograms are SUMO's programs that its tools and users' programs call.
var toolPrograms = []string{"netconvert", "duarouter", "marouter", "od2trips", "jtrrouter", "dfrouter"}

// uselessTools are folders of SUMO's tools with nothing that a program imports or calls: other people's projects, games, and what serves
// developers and browsers.
var uselessTools = []string{"build", "build_config", "contributed", "devel", "game", "neteditTestFunctions", "webWizard"}

// toolFiles chooses, from the SUMO installed in dir, what programs need beside what sumoFiles chooses: its other programs, its tools, and
// libsumo, if there is one.
func toolFiles(dir, version string, python wheel.Python) ([]oci.File, error) {
	sumo := release.In(dir, version)
	var files []oci.File
	add := func(name string, mode fs.FileMode) {
		files = append(files, oci.File{Path: inImage(dir, name), Mode: mode, Source: name})
	}
	var programs []string
	for _, name := range toolPrograms {
		programs = append(programs, filepath.Join(filepath.Dir(sumo.Binary), name))
		add(programs[len(programs)-1], 0o755)
	}
	needed, err := loads(bundle(sumo), programs...)
	if err != nil {
		return nil, err
	}
	libsumo, err := libsumoFiles(dir, version, python)
	if err != nil {
		return nil, err
	}
	there, err := loads(bundle(sumo), sumo.Binary)
	if err != nil {
		return nil, err
	}
	for _, f := range libsumo {
		if f.Link != "" {
			needed.bundled = append(needed.bundled, path.Base(f.Link))
		}
	}
	slices.Sort(needed.bundled)
	for _, library := range slices.Compact(needed.bundled) {
		if !slices.Contains(there.bundled, library) {
			add(filepath.Join(bundle(sumo), library), 0o644)
		}
	}
	tools := filepath.Join(sumo.Home, "tools")
	for _, folder := range []string{tools, filepath.Join(sumo.Home, "data", "typemap")} {
		err := eachFile(folder, func(name, inside string) error {
			first, _, _ := strings.Cut(inside, "/")
			if folder != tools || (path.Ext(inside) == ".py" && !slices.Contains(uselessTools, first)) {
				add(name, 0o644)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return append(files, libsumo...), nil
}

// libsumoFiles chooses libsumo without the libraries that it never loads. Of most others SUMO's own wheel has the same: libsumo gets links
// to these, which halves the image.
func libsumoFiles(dir, version string, python wheel.Python) ([]oci.File, error) {
	folder := release.Libsumo(dir, version, python.Tag())
	own := filepath.Join(folder, "libsumo.libs")
	modules, err := filepath.Glob(filepath.Join(folder, "libsumo", "_libsumo*.so"))
	if err != nil || len(modules) == 0 {
		return nil, err // for this Python there is none
	}
	needed, err := loads(own, modules...)
	if err != nil {
		return nil, err
	}
	var files []oci.File
	return files, eachFile(folder, func(name, inside string) error {
		f := oci.File{Path: inImage(dir, name), Mode: 0o644, Source: name}
		if filepath.Dir(name) == own {
			if !slices.Contains(needed.bundled, filepath.Base(name)) {
				return nil
			}
			twin := filepath.Join(bundle(release.In(dir, version)), filepath.Base(name))
			same, err := equal(name, twin)
			if err != nil {
				return err
			}
			if same {
				link, err := filepath.Rel(own, twin)
				if err != nil {
					return err
				}
				f = oci.File{Path: f.Path, Mode: fs.ModeSymlink, Link: filepath.ToSlash(link)}
			}
		}
		files = append(files, f)
		return nil
	})
}

// equal is whether two files have the same content. One that is missing equals none.
func equal(a, b string) (bool, error) {
	x, err := os.ReadFile(a)
	if err != nil {
		return false, err
	}
	y, err := os.ReadFile(b)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return bytes.Equal(x, y), err
}

// inImage is where a file of an installation in dir stands in images.
func inImage(dir, name string) string {
	inside := strings.TrimPrefix(filepath.ToSlash(name), strings.TrimSuffix(filepath.ToSlash(dir), "/")+"/")
	return path.Join(installations, inside)
}

// eachFile calls do for each file below folder but bytecode, which only the image's own interpreter makes for it.
func eachFile(folder string, do func(name, inside string) error) error {
	return filepath.WalkDir(folder, func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && e.Name() == "__pycache__":
			return fs.SkipDir
		case e.IsDir():
			return nil
		}
		inside, err := filepath.Rel(folder, name)
		if err != nil {
			return err
		}
		return do(name, filepath.ToSlash(inside))
	})
}

// packageFiles chooses the packages that all versions share. The libraries that they load from the system must be in the layers of these
// names; without any they are not looked for.
func packageFiles(dir string, python wheel.Python, layers ...string) ([]oci.File, error) {
	var files []oci.File
	var wanted []string
	bundled := map[string]bool{}
	err := eachFile(release.Packages(dir, python.Tag()), func(name, inside string) error {
		files = append(files, oci.File{Path: inImage(dir, name), Mode: 0o644, Source: name})
		if bundled[path.Base(inside)] = true; !strings.Contains(path.Base(inside), ".so") {
			return nil
		}
		library, err := elf.Open(name)
		if err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		needs, err := library.ImportedLibraries()
		_ = library.Close() // it was only read
		wanted = append(wanted, needs...)
		return err
	})
	if err != nil || len(layers) == 0 {
		return files, err
	}
	slices.Sort(wanted)
	wanted = slices.DeleteFunc(slices.Compact(wanted), func(library string) bool { return bundled[library] })
	return files, provides(layers, "a package", wanted)
}

// standardLibrary chooses the modules of the interpreter's own packages in a Debian system below root.
func standardLibrary(root string, python wheel.Python) ([]oci.File, error) {
	var files []oci.File
	folder := fmt.Sprintf("/usr/lib/python3.%d", python.Minor)
	err := eachFile(filepath.Join(root, folder), func(name, inside string) error {
		info, err := os.Lstat(name)
		if err == nil && info.Mode().IsRegular() {
			files = append(files, oci.File{Path: path.Join(folder, inside), Source: name})
		}
		return err
	})
	return files, err
}

// compiler is a Debian system below root whose Python need not be this machine's.
type compiler struct {
	root   string
	python wheel.Python
}

// triplets are the names of folders of libraries, by architecture in Go's terms.
var triplets = map[string]string{"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}

// bytecode has the image's interpreter compile the modules among files, which stand below the folder from and in the image below to.
// Without that each run would spend seconds on it. The bytecode stands in the folder made. Modules that are no Python of today, as some of
// SUMO's oldest tools, have none.
func (c compiler) bytecode(ctx context.Context, files []oci.File, from, to, made string) ([]oci.File, error) {
	var sources []string
	places := map[string]string{}
	for _, f := range files {
		if source, err := filepath.Abs(f.Source); err == nil && f.Source != "" && path.Ext(f.Path) == ".py" {
			sources = append(sources, source)
			places[source] = f.Path
		}
	}
	slices.Sort(sources) // the order decides which constants two modules share, and so single bytes
	loaders, err := filepath.Glob(filepath.Join(c.root, "usr/lib", triplets[c.python.Architecture], "ld-linux-*.so.?"))
	if err != nil || len(loaders) != 1 {
		return nil, fmt.Errorf("%s has no loader: %v", c.root, loaders)
	}
	// In a Debian system that is not this machine's, the loader finds neither the program's libraries nor the program its modules.
	cmd := exec.CommandContext(ctx, loaders[0], "--library-path", filepath.Dir(loaders[0]),
		filepath.Join(c.root, fmt.Sprintf("usr/bin/python3.%d", c.python.Minor)), "-B", "-S", "-W", "ignore", "-m", "compileall", "-qq", "-f",
		"--invalidation-mode", "unchecked-hash", "-s", from, "-p", to, "-i", "-")
	cmd.Env = []string{"PYTHONHOME=" + filepath.Join(c.root, "usr"), "PYTHONPYCACHEPREFIX=" + made, "PYTHONHASHSEED=0", "LC_ALL=C.UTF-8"}
	cmd.Stdin = strings.NewReader(strings.Join(sources, "\n") + "\n")
	said, failed := cmd.CombinedOutput()
	var compiled []oci.File
	for _, source := range sources {
		name := strings.TrimSuffix(filepath.Base(source), ".py") + fmt.Sprintf(".cpython-3%d.pyc", c.python.Minor)
		bytecode := filepath.Join(made, filepath.Dir(source), name)
		if _, err := os.Stat(bytecode); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		place := path.Join(path.Dir(places[source]), "__pycache__", name)
		compiled = append(compiled, oci.File{Path: place, Mode: 0o644, Source: bytecode})
	}
	if len(compiled)*10 < len(sources)*9 {
		return nil, fmt.Errorf("compiling %d modules with the Python of %s: %w: %s", len(sources), c.root, failed, said)
	}
	return compiled, nil
}

//go:embed python.go
var pythonSource string

// packagesLayer returns the file of the layer with the packages that all versions share, and with their bytecode and that of the standard
// library: from the cache when it is there. It fits on top of the layers from Debian.
func (b builder) packagesLayer(ctx context.Context, python wheel.Python, debian []string) (string, error) {
	key := sha256.New()
	fmt.Fprintln(key, pythonSource, oci.Source)
	for _, name := range append(slices.Clone(debian), filepath.Join(release.Packages(b.sumo, python.Tag()), wheel.Contents)) {
		f, err := os.Open(name)
		if err != nil {
			return "", err
		}
		_, err = io.Copy(key, f)
		_ = f.Close() // it was only read
		if err != nil {
			return "", err
		}
	}
	layer := filepath.Join(b.cache, fmt.Sprintf("packages-%s-%s-%x.tar", python.Tag(), python.Architecture, key.Sum(nil)[:8]))
	if _, err := os.Stat(layer); err == nil {
		return layer, nil
	}
	fmt.Fprintf(b.log, "%-24s compiling the packages for %s, half a minute\n", "python", python)
	root, err := unpackLayers(ctx, debian...)
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(root)
	made, err := os.MkdirTemp("", "bytecode")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(made)
	files, err := compiler{root, python}.packages(ctx, b.sumo, made, debian...)
	if err != nil {
		return "", err
	}
	if err := writeLayer(files, layer+".new"); err != nil {
		return "", err
	}
	return layer, os.Rename(layer+".new", layer)
}

// packages chooses the packages that all versions share from those installed in dir, with bytecode.
func (c compiler) packages(ctx context.Context, dir, made string, debian ...string) ([]oci.File, error) {
	files, err := packageFiles(dir, c.python, debian...)
	if err != nil {
		return nil, err
	}
	compiled, err := c.bytecode(ctx, files, dir, installations, made)
	if err != nil {
		return nil, err
	}
	standard, err := standardLibrary(c.root, c.python)
	if err != nil {
		return nil, err
	}
	more, err := c.bytecode(ctx, standard, c.root, "/", made)
	return slices.Concat(files, compiled, more), err
}

// addedFolder is the folder of an image with the operator's own packages.
const addedFolder = installations + "/python/added"

// added chooses all that stands in folder, with bytecode.
func (c compiler) added(ctx context.Context, folder, made string) ([]oci.File, error) {
	var files []oci.File
	err := eachFile(folder, func(name, inside string) error {
		files = append(files, oci.File{Path: path.Join(addedFolder, inside), Mode: 0o644, Source: name})
		return nil
	})
	if err != nil {
		return nil, err
	}
	compiled, err := c.bytecode(ctx, files, folder, addedFolder, made)
	return append(files, compiled...), err
}

// tools chooses what toolFiles does, with bytecode.
func (c compiler) tools(ctx context.Context, dir, version, made string) ([]oci.File, error) {
	files, err := toolFiles(dir, version, c.python)
	if err != nil {
		return nil, err
	}
	compiled, err := c.bytecode(ctx, files, dir, installations, made)
	return append(files, compiled...), err
}

// writePython writes a layer with all that programs need beside this Debian system's Python and what sumoFiles chooses.
func writePython(ctx context.Context, python wheel.Python, dir, version, layer string) error {
	made, err := os.MkdirTemp("", "bytecode")
	if err != nil {
		return err
	}
	defer os.RemoveAll(made)
	c := compiler{"/", python}
	packages, err := c.packages(ctx, dir, made)
	if err != nil {
		return err
	}
	tools, err := c.tools(ctx, dir, version, made)
	if err != nil {
		return err
	}
	return writeLayer(append(packages, tools...), layer)
}

// unpackLayers unpacks layers into a folder of their own, which the caller removes.
func unpackLayers(ctx context.Context, layers ...string) (root string, err error) {
	if root, err = os.MkdirTemp("", "debian"); err != nil {
		return "", err
	}
	for _, layer := range layers {
		cmd := exec.CommandContext(ctx, "tar", "--extract", "--no-same-owner", "--file", layer, "--directory", root)
		if said, err := cmd.CombinedOutput(); err != nil {
			os.RemoveAll(root)
			return "", fmt.Errorf("unpacking %s: %w: %s", layer, err, said)
		}
	}
	return root, nil
}
