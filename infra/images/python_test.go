package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/infra/images/oci"
	"github.com/sumo-k8/sumo-k8/infra/sumo/wheel"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
)

func TestAnImageForProgramsIsOfADebianWhosePythonHasItsLibsumo(t *testing.T) {
	t.Parallel()
	for _, r := range release.On(runtime.GOARCH) {
		made := pythonRecipe(r)
		if !wheel.HasLibsumo(r, made.python) {
			t.Errorf("%s has no libsumo for %s", made.name, made.python)
		}
		env := strings.Join(made.env, " ")
		minor := made.python.Minor
		want := fmt.Sprintf(" SUMO_PYTHON=/usr/bin/python3.%d SUMO_PYTHONPATH=/opt/sumo/%[2]s/libsumo/cp3%[1]d:/opt/sumo/%[2]s/sumo/tools:"+
			"/opt/sumo/python/cp3%[1]d", minor, r.Version)
		if !strings.HasSuffix(env, want) || !strings.HasPrefix(env, strings.Join(sumoEnv(release.In(installations, r.Version)), " ")) {
			t.Errorf("its environment is %s", env)
		}
	}
	plain, python := recipesFor([]release.Release{release.Newest()})[1], pythonRecipe(release.Newest())
	if diff := cmp.Diff(plain.fromDebian(), python.fromDebian()[:1], cmp.AllowUnexported(fromDebian{})); diff != "" {
		t.Errorf("it does not share the layer of the newest SUMO (-plain +for programs):\n%s", diff)
	}
	if got := python.tagged("v1.0.0"); got != "sumo:"+release.Newest().Version+"-python-v1.0.0" {
		t.Errorf("it is pushed as %s", got)
	}
}

// host returns this machine's Python, in place of that of a Debian for images.
func host(t *testing.T) (program string, c compiler) {
	t.Helper()
	found, err := wheel.FindInterpreter(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Dir(found.Path) != "/usr/bin" {
		t.Skipf("the system has no Python that runs programs, unlike %s", found.Path)
	}
	return found.Path, compiler{"/", found.Python}
}

// unpacked writes files into a folder of their own, in place of a container, and returns it.
func unpacked(t *testing.T, files []oci.File) (root string) {
	t.Helper()
	root = t.TempDir()
	layer := filepath.Join(root, "layer.tar")
	if err := writeLayer(files, layer); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.Command("tar", "--extract", "--file", layer, "--directory", root).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return root
}

// uses is a program that imports what images bring along, and simulates in its own process. Nothing of it may be compiled anew.
const uses = `
import os, sys
import libsumo, lxml.etree, numpy, pandas, scipy.optimize, scipy.sparse, scipy.stats, sumolib, traci
for module in traci, sumolib, libsumo, numpy, pandas:
    assert os.path.exists(module.__cached__), module.__cached__ + " is missing"
libsumo.start(["sumo", "-n", sys.argv[1], "--no-step-log"])
for _ in range(20):
    libsumo.simulationStep()
print(libsumo.simulation.getTime())
`

// TestWhatProgramsNeedIsInTheImage unpacks the part of an image that comes from wheels, and runs programs and tools with nothing else of
// the installation: with this machine's Python, which takes the place of Debian's.
func TestWhatProgramsNeedIsInTheImage(t *testing.T) {
	t.Parallel()
	python, c := host(t)
	newest := sumotest.Newest(t)
	sumotest.Python(t, newest.Version)
	dir := filepath.Dir(filepath.Dir(newest.Home))
	shared, err := c.packages(t.Context(), dir, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	shared = slices.DeleteFunc(shared, func(f oci.File) bool { return !strings.HasPrefix(f.Path, installations) }) // Python's own
	sumotest.Each(t, func(t *testing.T, sumo release.Installation) {
		if !sumotest.Python(t, sumo.Version).Libsumo {
			t.Skipf("SUMO %s has no libsumo for %s", sumo.Version, c.python)
		}
		wheels, err := sumoFiles(dir, sumo.Version, "")
		if err != nil {
			t.Fatal(err)
		}
		tools, err := c.tools(t.Context(), dir, sumo.Version, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		root := unpacked(t, append(append(wheels, tools...), shared...))
		in := release.In(filepath.Join(root, installations), sumo.Version)
		with := release.PythonWith(filepath.Join(root, installations), sumo.Version, python, c.python.Tag(), true)
		call := func(program string, args ...string) {
			t.Helper()
			cmd := exec.CommandContext(t.Context(), program, args...)
			cmd.Dir = root
			cmd.Env = []string{
				"SUMO_HOME=" + in.Home, "PYTHONPATH=" + strings.Join(with.Path, ":"), "PYTHONDONTWRITEBYTECODE=1", "LC_ALL=C.UTF-8",
			}
			if said, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %v: %s", filepath.Base(program), err, said)
			}
		}
		network := filepath.Join(root, "grid.net.xml")
		if said, err := sumotest.Command(t, sumo, "netgenerate", "--grid", "--grid.number=3", "-o", network).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		call(python, "-c", uses, network)
		for _, name := range toolPrograms {
			call(filepath.Join(in.Home, "bin", name), "--version")
		}
		tool := func(name string, args ...string) {
			t.Helper()
			call(python, append([]string{filepath.Join(in.Home, "tools", name)}, args...)...)
		}
		tool("randomTrips.py", "-n", network, "-o", "trips.xml", "-e", "60", "-r", "routes.rou.xml")
		tool("assign/duaIterate.py", "-n", network, "-t", "trips.xml", "-l", "1", "--disable-summary")
		tool("tlsCycleAdaptation.py", "-n", network, "-r", "routes.rou.xml", "-o", "tls.add.xml")
		tool("tlsCoordinator.py", "-n", network, "-r", "routes.rou.xml", "-o", "offsets.add.xml")
		for _, name := range []string{"routeSampler.py", "route/cutRoutes.py"} {
			tool(name, "--help")
		}
		if found, err := filepath.Glob(filepath.Join(in.Home, "tools", "game", "*")); err != nil || len(found) > 0 {
			t.Errorf("games are in the image: %v (%v)", found, err)
		}
	})
}

// Of libsumo's libraries, images have those that SUMO has too only once.
func TestLibsumoSharesLibrariesWithSUMO(t *testing.T) {
	t.Parallel()
	sumo := sumotest.Newest(t)
	if !sumotest.Python(t, sumo.Version).Libsumo {
		t.Skip("there is no libsumo for this machine's Python")
	}
	found, err := wheel.FindInterpreter(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	files, err := toolFiles(filepath.Dir(filepath.Dir(sumo.Home)), sumo.Version, found.Python)
	if err != nil {
		t.Fatal(err)
	}
	links, there := 0, map[string]bool{}
	for _, f := range files {
		there[f.Path] = true
	}
	plain, err := sumoFiles(filepath.Dir(filepath.Dir(sumo.Home)), sumo.Version, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range plain {
		if there[f.Path] {
			t.Errorf("%s is in two layers", f.Path)
		}
		there[f.Path] = true
	}
	for _, f := range files {
		if f.Mode&fs.ModeSymlink == 0 {
			continue
		}
		links++
		if target := filepath.Join(filepath.Dir(f.Path), f.Link); !there[target] {
			t.Errorf("%s leads to %s, which is not in the image", f.Path, target)
		}
	}
	if links < 10 {
		t.Errorf("only %d libraries are shared", links)
	}
}

func TestBytecodeIsTheSameEachTimeAndNamesFilesAsInTheImage(t *testing.T) {
	t.Parallel()
	_, c := host(t)
	from := t.TempDir()
	var files []oci.File
	modules := map[string]string{"a/x.py": "VALUE = ('one', 'two')\n", "b.py": "raise ValueError('two')\n", "b.txt": ""}
	for name, text := range modules {
		file := filepath.Join(from, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
		files = append(files, oci.File{Path: "/opt/" + name, Mode: 0o644, Source: file})
	}
	var layers [2][]byte
	for n := range layers {
		made, err := c.bytecode(t.Context(), files, from, "/opt", t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(t.TempDir(), "layer.tar")
		if err := writeLayer(made, name); err != nil {
			t.Fatal(err)
		}
		if layers[n], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(layers[0], layers[1]) {
		t.Error("the same modules give other bytes")
	}
	var names []string
	archive := tar.NewReader(strings.NewReader(string(layers[0])))
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag == tar.TypeReg {
			names = append(names, header.Name)
			if strings.Contains(string(content), from) || !strings.Contains(string(content), "/opt/") {
				t.Errorf("%s does not name the module's file in the image", header.Name)
			}
		}
	}
	// Of the modules that compiling itself imports too.
	standard, err := standardLibrary("/", c.python)
	if err != nil {
		t.Fatal(err)
	}
	standard = slices.DeleteFunc(standard, func(f oci.File) bool { return filepath.Base(f.Path) != "argparse.py" })
	made, err := c.bytecode(t.Context(), standard, "/", "/", t.TempDir())
	if err != nil || len(made) != 1 {
		t.Fatal(made, err)
	}
	const unchecked = "\x01\x00\x00\x00" // it holds whatever the time of the module, which images change
	if content, err := os.ReadFile(made[0].Source); err != nil || string(content[4:8]) != unchecked {
		t.Errorf("the bytecode of argparse is one that Python checks (%v)", err)
	}
	ending := ".cpython-3" + fmt.Sprint(c.python.Minor) + ".pyc"
	if diff := cmp.Diff([]string{"opt/__pycache__/b" + ending, "opt/a/__pycache__/x" + ending}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	old := filepath.Join(from, "old.py")
	if err := os.WriteFile(old, []byte("print 'x'\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	files = append(files, oci.File{Path: "/opt/old.py", Mode: 0o644, Source: old})
	_, err = c.bytecode(t.Context(), files, from, "/opt", t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "compiling 3 modules") {
		t.Errorf("modules that cannot be compiled make an image: %v", err)
	}
}
