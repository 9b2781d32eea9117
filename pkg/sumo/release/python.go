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
}

// ErrNoPython is returned where nothing is installed for programs.
var ErrNoPython = errors.New("nothing is installed here for programs in Python")

// Names in a folder of installations.
const (
	pythonFolder    = "python"      // what all versions share
	interpreterFile = "interpreter" // in it, the path of the program
	packagesFolder  = "packages"    // in it
	libsumoFolder   = "libsumo"     // in the folder of a version
)

// PythonIn returns what is installed in dir for programs that use a version of SUMO. The error wraps ErrNoPython if nothing is.
func PythonIn(dir, version string) (Python, error) {
	shared := filepath.Join(dir, pythonFolder)
	interpreter, err := os.ReadFile(filepath.Join(shared, interpreterFile))
	if err != nil {
		return Python{}, fmt.Errorf("%w: %w", ErrNoPython, err)
	}
	libsumo := filepath.Join(dir, version, libsumoFolder)
	if _, err := os.Stat(libsumo); err != nil {
		return Python{}, fmt.Errorf("%w: %w", ErrNoPython, err)
	}
	return Python{
		Interpreter: strings.TrimSpace(string(interpreter)),
		Path:        []string{libsumo, filepath.Join(In(dir, version).Home, "tools"), filepath.Join(shared, packagesFolder)},
	}, nil
}
