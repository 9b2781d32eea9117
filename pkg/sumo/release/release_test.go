package release

import (
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEveryReleaseHasAWheelAndTheOldestComesFirst(t *testing.T) {
	t.Parallel()
	if !slices.IsSortedFunc(All(), func(a, b Release) int { return Compare(a.Version, b.Version) }) {
		t.Errorf("releases are not in order: %v", All())
	}
	for _, r := range All() {
		if r.Wheels["amd64"] == "" {
			t.Errorf("%s has no wheel for amd64", r.Version)
		}
		for architecture, sum := range r.Wheels {
			if raw, err := hex.DecodeString(sum); err != nil || len(raw) != 32 {
				t.Errorf("%s for %s has no SHA-256: %q", r.Version, architecture, sum)
			}
		}
		if again, ok := Find(r.Version); !ok || again.Full != r.Full {
			t.Errorf("Find(%q) = %v, %v", r.Version, again, ok)
		}
	}
	if Compare(Oldest().Version, Newest().Version) >= 0 {
		t.Errorf("from %s to %s", Oldest().Version, Newest().Version)
	}
}

func TestCompareLooksAtTheFirstTwoNumbersOnly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{{"1.9", "1.15", -1}, {"1.28.0", "1.28", 0}, {"1.27.1", "1.27.0", 0}, {"2.0", "1.28", 1}} {
		if got := Compare(c.a, c.b); got < 0 != (c.want < 0) || got > 0 != (c.want > 0) {
			t.Errorf("Compare(%q, %q) = %d, want the sign of %d", c.a, c.b, got, c.want)
		}
	}
}

func TestShortIsTheSameForAllBuildsOfAVersion(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"1.18", " 1.18.0\n", "1.18.0-rc1", "v1_18_0+0557-0123abcd"} {
		if got := Short(version); got != "1.18" {
			t.Errorf("Short(%q) = %q", version, got)
		}
	}
}

func TestInstalledFindsUnpackedWheels(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"1.28/sumo/bin/sumo", "1.20/sumo/bin/sumo", "1.9/sumo/bin/sumo", "1.22/sumo/data/x"} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]Installation{In(dir, "1.20"), In(dir, "1.28")}, Installed(dir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPythonInFindsWhatIsInstalledForItsOwnPythonOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	interpreter := filepath.Join(dir, "python3.13")
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	check := func(version string, want Python) {
		t.Helper()
		got, err := PythonIn(dir, version)
		if diff := cmp.Diff(want, got); diff != "" || (err != nil) != (want.Interpreter == "") || (err != nil && !errors.Is(err, ErrNoPython)) {
			t.Errorf("%s: %v (-want +got):\n%s", version, err, diff)
		}
	}
	check("1.28", Python{})
	write(InterpreterFile(dir), interpreter+"\ncp313\n")
	write(filepath.Join(Libsumo(dir, "1.28", "cp313"), "libsumo", "__init__.py"), "")
	write(filepath.Join(Libsumo(dir, "1.18", "cp311"), "libsumo", "__init__.py"), "")
	write(filepath.Join(Packages(dir, "cp311"), "numpy", "__init__.py"), "")
	write(interpreter, "")
	check("1.28", Python{}) // the packages are another Python's
	write(filepath.Join(Packages(dir, "cp313"), "numpy", "__init__.py"), "")
	check("1.28", Python{Interpreter: interpreter, Libsumo: true, Path: []string{
		filepath.Join(dir, "1.28", "libsumo", "cp313"), filepath.Join(dir, "1.28", "sumo", "tools"), filepath.Join(dir, "python", "cp313"),
	}})
	check("1.18", Python{Interpreter: interpreter, Path: []string{
		filepath.Join(dir, "1.18", "sumo", "tools"), filepath.Join(dir, "python", "cp313"),
	}})
	if err := os.Remove(interpreter); err != nil {
		t.Fatal(err)
	}
	check("1.28", Python{})
}
