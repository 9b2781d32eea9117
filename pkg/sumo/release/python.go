package release

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Python is what programs of a scenario run with: an interpreter, and the folders of its packages.
type Python struct {
	Interpreter string
	// Path is what PYTHONPATH holds: libsumo of the version of SUMO, traci and sumolib from its tools, and the packages that all versions
	// share.
	Path []string
	// Libsumo is whether Path has libsumo. A version of SUMO need not have one for each Python.
	Libsumo bool
}

// ErrNoPython is returned where nothing is installed for programs.
var ErrNoPython = errors.New("nothing is installed here for programs in Python")

// PythonIn returns what is installed in dir for programs that use a version of SUMO. The error wraps ErrNoPython if nothing is.
func PythonIn(dir, version string) (Python, error) {
	named, err := os.ReadFile(InterpreterFile(dir))
	if err != nil {
		return Python{}, fmt.Errorf("%w: %w", ErrNoPython, err)
	}
	interpreter, tag, _ := strings.Cut(strings.TrimSpace(string(named)), "\n")
	for _, needed := range []string{interpreter, Packages(dir, tag)} {
		if _, err := os.Stat(needed); err != nil { // as after an upgrade of the system
			return Python{}, fmt.Errorf("%w: %w", ErrNoPython, err)
		}
	}
	_, err = os.Stat(Libsumo(dir, version, tag))
	return PythonWith(dir, version, interpreter, tag, err == nil), nil
}

// PythonWith returns what programs run with in a folder of installations, given the interpreter, its tag, and whether libsumo is there.
func PythonWith(dir, version, interpreter, tag string, libsumo bool) Python {
	p := Python{Interpreter: interpreter, Libsumo: libsumo}
	if libsumo {
		p.Path = append(p.Path, Libsumo(dir, version, tag))
	}
	p.Path = append(p.Path, filepath.Join(In(dir, version).Home, "tools"), Packages(dir, tag))
	return p
}

// InterpreterFile holds, in a folder of installations, the path of the interpreter and, on a second line, its tag. Folders for programs
// end in the tag, such as cp311 for CPython 3.11, so that what is made for one Python never meets another.
func InterpreterFile(dir string) string { return filepath.Join(dir, "python", "interpreter") }

// Packages is the folder of the packages that all versions of SUMO share.
func Packages(dir, tag string) string { return filepath.Join(dir, "python", tag) }

// Libsumo is the folder of a version's libsumo.
func Libsumo(dir, version, tag string) string { return filepath.Join(dir, version, "libsumo", tag) }
