package wheel

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/process/processtest"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
)

func TestEveryWheelOfTheListIsKnownByItsSumAndEveryPythonHasAllPackages(t *testing.T) {
	t.Parallel()
	for _, w := range pins() {
		if raw, err := hex.DecodeString(w.sum); err != nil || len(raw) != 32 || !strings.HasSuffix(w.file, ".whl") {
			t.Errorf("%s has no SHA-256: %q", w.file, w.sum)
		}
	}
	for minor := 9; minor <= 15; minor++ {
		for _, architecture := range []string{"amd64", "arm64"} {
			python := Python{Minor: minor, Architecture: architecture}
			shared, err := chooseShared(pins(), python)
			if err != nil {
				t.Error(err)
			}
			var names []string
			for _, w := range shared {
				names = append(names, w.name)
			}
			for _, name := range []string{"lxml", "numpy", "pandas", "scipy", "python_dateutil", "six"} {
				if !slices.Contains(names, name) {
					t.Errorf("%s has no %s", python, name)
				}
			}
			if !HasLibsumo(release.Newest(), python) {
				t.Errorf("%s has no libsumo of the newest SUMO", python)
			}
		}
	}
	for _, r := range release.All() {
		for architecture := range r.Wheels {
			if python := (Python{Minor: 11, Architecture: architecture}); !HasLibsumo(r, python) {
				t.Errorf("%s has no libsumo of SUMO %s", python, r.Version)
			}
		}
	}
}

func TestWhatHasNoWheelIsRefusedWithWhatThereIs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		python       Python
		pkg, version string
		want         string
		unfit        bool // whether that keeps programs from running at all
	}{
		"a Python that is too new for a SUMO": {
			Python{13, "amd64"}, "libsumo", "1.18.0",
			"libsumo 1.18.0 has none for Python 3.13 on amd64: there are wheels for 3.9, 3.10, 3.11, 3.12", false,
		},
		"a Python that is too old": {
			Python{8, "arm64"}, "numpy", "",
			"numpy has none for Python 3.8 on arm64: there are wheels for 3.9, 3.10, 3.11, 3.12, 3.13, 3.14, 3.15", true,
		},
		"a machine without wheels": {Python{11, "riscv64"}, "lxml", "", "lxml has none for Python 3.11 on riscv64: there is none for", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if w, err := choose(pins(), c.python, c.pkg, c.version); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("choose = %v, %v, want %q", w, err, c.want)
			}
			if _, err := chooseShared(pins(), c.python); (err != nil) != c.unfit {
				t.Errorf("chooseShared = %v", err)
			}
		})
	}
}

// index is a folder of wheels for pip to find, and the list of them.
type index struct {
	folder string
	known  []pin
}

func (x *index) add(t *testing.T, name string, files map[string]string) {
	t.Helper()
	x.known = append(x.known, readPins(fmt.Sprintf("# a comment\n\n%s  %s\n", writeWheel(t, x.folder, name, files), name))...)
}

func (x *index) install(t *testing.T, dir string, python Python) (log string, err error) {
	t.Helper()
	var said bytes.Buffer
	i := installer{dir: dir, log: &said, architecture: "amd64", env: []string{"PIP_NO_INDEX=1", "PIP_FIND_LINKS=" + x.folder}}
	err = i.packages(t.Context(), x.known, python, []release.Release{
		{Version: "1.18", Full: "1.18.0"}, {Version: "1.28", Full: "1.28.0"},
	})
	return said.String(), err
}

func TestPackagesOfTwoPythonsStandSideBySideAndASUMONeedNotHaveLibsumo(t *testing.T) {
	t.Parallel()
	x := index{folder: t.TempDir()}
	const machine = "manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
	x.add(t, "libsumo-1.18.0-cp311-cp311-"+machine, map[string]string{"libsumo/__init__.py": "1.18 for 3.11", "libsumo.libs/x.so": ""})
	x.add(t, "libsumo-1.28.0-cp311-cp311-"+machine, map[string]string{"libsumo/__init__.py": "1.28 for 3.11"})
	x.add(t, "libsumo-1.28.0-cp313-cp313-"+machine, map[string]string{"libsumo/__init__.py": "1.28 for 3.13"})
	x.add(t, "numpy-2.0-cp311-cp311-manylinux_2_28_x86_64.whl", map[string]string{
		"numpy/__init__.py": "3.11", "numpy/core/tests/test_x.py": "", "numpy/core/tests/_y.py": "",
		"numpy/testing/x.py": "", "numpy/x.pyi": "", "numpy/x.h": "",
	})
	x.add(t, "numpy-2.1-cp313-cp313-manylinux_2_28_x86_64.whl", map[string]string{"numpy/__init__.py": "3.13"})
	x.add(t, "six-1.0-py2.py3-none-any.whl", map[string]string{"six.py": "six"})
	dir := t.TempDir()
	for _, minor := range []int{11, 13} {
		log, err := x.install(t, dir, Python{minor, "amd64"})
		if err != nil {
			t.Fatal(err)
		}
		lacks := strings.Contains(log, "libsumo 1.18.0 has none for Python 3.13 on amd64: there are wheels for 3.11; programs that use TraCI")
		if lacks != (minor == 13) {
			t.Errorf("for 3.%d it says %s", minor, log)
		}
	}
	files := map[string]string{}
	for name := range below(t, dir) {
		if content, err := os.ReadFile(filepath.Join(dir, name)); err == nil && !strings.Contains(name, ".dist-info/") &&
			filepath.Base(name) != Contents && name != ".lock" {
			files[name] = string(content)
		}
	}
	if diff := cmp.Diff(map[string]string{
		"1.18/libsumo/cp311/libsumo/__init__.py": "1.18 for 3.11", "1.18/libsumo/cp311/libsumo.libs/x.so": "",
		"1.28/libsumo/cp311/libsumo/__init__.py": "1.28 for 3.11", "1.28/libsumo/cp313/libsumo/__init__.py": "1.28 for 3.13",
		"python/cp311/numpy/__init__.py": "3.11", "python/cp311/numpy/testing/x.py": "",
		"python/cp311/numpy/core/tests/_y.py": "", "python/cp311/six.py": "six",
		"python/cp313/numpy/__init__.py": "3.13", "python/cp313/six.py": "six",
	}, files); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// What is there costs nothing: no index is asked again. Another wheel of the list is.
	x.folder = t.TempDir()
	if log, err := x.install(t, dir, Python{11, "amd64"}); err != nil {
		t.Errorf("%v: %s", err, log)
	}
	x.known = slices.DeleteFunc(x.known, func(w pin) bool { return w.name == "six" })
	x.add(t, "six-1.1-py2.py3-none-any.whl", map[string]string{"six.py": "newer"})
	x.add(t, "numpy-2.0-cp311-cp311-manylinux_2_28_x86_64.whl", map[string]string{"numpy/__init__.py": "another"}) // whose sum is not known
	before := below(t, dir)
	if _, err := x.install(t, dir, Python{11, "amd64"}); err == nil || !strings.Contains(err.Error(), "known by its sum") {
		t.Errorf("a wheel of another sum: %v", err)
	}
	if diff := cmp.Diff(before, below(t, dir)); diff != "" {
		t.Errorf("files after a failure (-before +after):\n%s", diff)
	}
}

func TestAnOperatorAddsPackagesButDoesNotReplaceThoseThatAllShare(t *testing.T) {
	t.Parallel()
	x := index{folder: t.TempDir()}
	x.add(t, "six-1.0-py2.py3-none-any.whl", map[string]string{"six.py": ""})
	writeWheel(t, x.folder, "six-2.0-py2.py3-none-any.whl", map[string]string{"six.py": ""})
	writeWheel(t, x.folder, "extra-1.0-cp313-abi3-manylinux_2_34_x86_64.whl", map[string]string{
		"extra/__init__.py": "", "extra/tests/x.py": "",
	})
	writeWheel(t, x.folder, "extra-2.0-cp313-abi3-manylinux_2_39_x86_64.whl", map[string]string{"extra/__init__.py": ""})
	for requirements, want := range map[string][]string{
		"extra\nsix\n": {"extra-1.0.dist-info/METADATA", "extra-1.0.dist-info/RECORD", "extra-1.0.dist-info/WHEEL", "extra/__init__.py"},
		"six==2.0\n":   nil,
		"missing\n":    nil,
	} {
		file, into := filepath.Join(t.TempDir(), "requirements.txt"), t.TempDir()
		if err := os.WriteFile(file, []byte(requirements), 0o644); err != nil {
			t.Fatal(err)
		}
		i := installer{log: io.Discard, env: []string{"PIP_NO_INDEX=1", "PIP_FIND_LINKS=" + x.folder}}
		err := i.added(t.Context(), into, x.known, Python{13, "amd64"}, file)
		got := slices.Sorted(maps.Keys(below(t, into)))
		if diff := cmp.Diff(want, got); diff != "" || (err != nil) != (want == nil) {
			t.Errorf("%q: %v (-want +got):\n%s", requirements, err, diff)
		}
	}
}

func TestTheInterpreterIsFoundWithoutLinks(t *testing.T) {
	t.Parallel()
	found, err := FindInterpreter(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(found.Path); err != nil || !info.Mode().IsRegular() || !filepath.IsAbs(found.Path) {
		t.Errorf("%s: %v", found.Path, err)
	}
	link := filepath.Join(t.TempDir(), "python")
	if err := os.Symlink(found.Path, link); err != nil {
		t.Fatal(err)
	}
	if again, err := FindInterpreter(t.Context(), link); err != nil || again != found {
		t.Errorf("by a link it is %v (%v), not %v", again, err, found)
	}
	other := filepath.Join(t.TempDir(), "python")
	processtest.WriteProgram(t, other, "#!/bin/sh\nprintf '/x\\npypy\\n3\\n11\\n'\n")
	if _, err := FindInterpreter(t.Context(), other); err == nil || !strings.Contains(err.Error(), "no CPython 3") {
		t.Errorf("another kind of Python: %v", err)
	}
}

// withLibsumo returns what programs run with, where there is a libsumo of the version for this machine's Python. Then it must be installed.
func withLibsumo(t *testing.T, version string) release.Python {
	t.Helper()
	python := sumotest.Python(t, version)
	interpreter, err := FindInterpreter(t.Context(), python.Interpreter)
	if err != nil {
		t.Fatal(err)
	}
	r, _ := release.Find(version)
	switch exists := HasLibsumo(r, interpreter.Python); {
	case !exists:
		t.Skipf("SUMO %s has no libsumo for %s", version, interpreter)
	case !python.Libsumo:
		t.Fatalf("libsumo of SUMO %s is not installed: make sumo-controllers VERSIONS=%s", version, version)
	}
	return python
}

// program imports all that is installed, and simulates 20 steps in its own process.
const program = `
import sys, libsumo, lxml.etree, numpy, pandas, scipy.optimize, scipy.sparse.linalg, scipy.stats, sumolib, traci
frame = pandas.DataFrame({"speed": numpy.linspace(0, 1, 5)})
assert abs(frame["speed"].mean() - 0.5) < 1e-9 and scipy.optimize.brentq(lambda x: x - frame["speed"].mean(), 0, 1) == 0.5
lxml.etree.parse(sys.argv[1])
assert len(sumolib.net.readNet(sys.argv[1]).getEdges()) > 0
libsumo.start(["sumo", "-n", sys.argv[1], "--no-step-log"])
for _ in range(20):
    libsumo.simulationStep()
print(libsumo.simulation.getTime(), libsumo.getVersion()[1])
libsumo.close()
`

func TestProgramsImportEveryPackageAndSimulateInTheirOwnProcess(t *testing.T) {
	t.Parallel()
	sumotest.Each(t, func(t *testing.T, sumo release.Installation) {
		python := withLibsumo(t, sumo.Version)
		network := filepath.Join(t.TempDir(), "grid.net.xml")
		if said, err := sumotest.Command(t, sumo, "netgenerate", "--grid", "--grid.number=2", "-o", network).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		cmd := exec.CommandContext(t.Context(), python.Interpreter, "-c", program, network)
		cmd.Env = []string{
			"PYTHONPATH=" + strings.Join(python.Path, ":"), "SUMO_HOME=" + sumo.Home, "PYTHONDONTWRITEBYTECODE=1", "LC_ALL=C.UTF-8",
		}
		said, err := cmd.CombinedOutput()
		if lines := strings.Split(strings.TrimSpace(string(said)), "\n"); err != nil || lines[len(lines)-1] != "20.0 SUMO "+sumo.Version+".0" {
			t.Errorf("%v: %s", err, said)
		}
	})
}
