package wheel

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

//go:embed python.txt
var pinnedWheels string

// Python is what wheels are made for.
type Python struct {
	Minor        int    // of CPython 3
	Architecture string // in Go's terms
}

// Tag is what names of wheels and folders call it, such as cp311.
func (p Python) Tag() string { return "cp3" + strconv.Itoa(p.Minor) }

func (p Python) String() string { return fmt.Sprintf("Python 3.%d on %s", p.Minor, p.Architecture) }

// Interpreter is a Python on this machine.
type Interpreter struct {
	Path string // without links
	Python
}

// Controllers installs below dir what programs of a scenario run with, as release.PythonIn finds it: the versions of SUMO, libsumo of
// each where there is one for the interpreter, and the packages that all share. What is there already costs nothing.
func Controllers(ctx context.Context, dir string, log io.Writer, python Interpreter, versions ...string) error {
	releases, err := Choose(python.Architecture, versions...)
	if err != nil {
		return err
	}
	i := installer{dir: dir, log: log, architecture: python.Architecture}
	if err := i.install(ctx, releases); err != nil {
		return err
	}
	if err := i.packages(ctx, pins(), python.Python, releases); err != nil {
		return err
	}
	return i.locked(ctx, func() error { return i.name(python) })
}

// Packages installs below dir what Controllers does, for a Python that need not be on this machine, and names no interpreter there.
func Packages(ctx context.Context, dir string, log io.Writer, python Python, releases []release.Release) error {
	return installer{dir: dir, log: log, architecture: python.Architecture}.packages(ctx, pins(), python, releases)
}

// HasLibsumo is whether a release has a libsumo for a Python.
func HasLibsumo(r release.Release, python Python) bool {
	_, err := choose(pins(), python, "libsumo", r.Full)
	return err == nil
}

// packages installs, of the wheels that are known, those for a Python.
func (i installer) packages(ctx context.Context, known []pin, python Python, releases []release.Release) error {
	shared, err := chooseShared(known, python)
	if err != nil {
		return err
	}
	return i.locked(ctx, func() error {
		if err := i.addPackages(ctx, release.Packages(i.dir, python.Tag()), "packages for "+python.String(), shared); err != nil {
			return err
		}
		for _, r := range releases {
			libsumo, err := choose(known, python, "libsumo", r.Full)
			if err != nil {
				fmt.Fprintf(i.log, "%v; programs that use TraCI do without\n", err)
				continue
			}
			what := fmt.Sprintf("libsumo %s for %s", r.Full, python)
			if err := i.addPackages(ctx, release.Libsumo(i.dir, r.Version, python.Tag()), what, []pin{libsumo}); err != nil {
				return err
			}
		}
		return nil
	})
}

// contents is the file that says which wheels a folder holds.
const contents = "wheels.txt"

// addPackages installs wheels into a folder, unless it holds just these.
func (i installer) addPackages(ctx context.Context, folder, what string, wheels []pin) error {
	var lines, args []string
	var all strings.Builder
	options := map[string]bool{}
	for _, w := range wheels {
		fmt.Fprintf(&all, "%s  %s\n", w.sum, w.file)
		lines = append(lines, fmt.Sprintf("%s==%s --hash=sha256:%s", w.name, w.version, w.sum))
		for _, platform := range strings.Split(w.platform, ".") {
			if option := "--platform=" + platform; w.platform != "any" && !options[option] {
				options[option] = true
				args = append(args, option)
			}
		}
		if w.abi != "none" {
			for _, option := range []string{"--implementation=cp", "--abi=" + w.abi, "--python-version=" + strings.TrimPrefix(w.python, "cp")} {
				if !options[option] {
					options[option] = true
					args = append(args, option)
				}
			}
		}
	}
	if has, err := os.ReadFile(filepath.Join(folder, contents)); err == nil && string(has) == all.String() {
		return nil
	}
	return i.replace(folder, what, func(work, made string) error {
		files, err := i.download(ctx, work, lines, args...)
		if err != nil {
			return err
		}
		for _, file := range files {
			if err := unpack(ctx, file, made, used); err != nil {
				return fmt.Errorf("unpacking %s: %w", filepath.Base(file), err)
			}
		}
		return os.WriteFile(filepath.Join(made, contents), []byte(all.String()), 0o644)
	})
}

// used leaves out the packages' own tests, a third of their files.
func used(name string) bool { return !strings.Contains(name, "/tests/") }

// name records the interpreter.
func (i installer) name(python Interpreter) error {
	file := release.InterpreterFile(i.dir)
	text := python.Path + "\n" + python.Tag() + "\n"
	if has, err := os.ReadFile(file); err == nil && string(has) == text {
		return nil
	}
	if err := os.WriteFile(file+".new", []byte(text), 0o644); err != nil {
		return err
	}
	if err := os.Rename(file+".new", file); err != nil {
		return err
	}
	fmt.Fprintf(i.log, "programs run with %s\n", python.Path)
	return nil
}

// systemPython is preferred: programs run as a user of their own, who cannot pass through private folders, such as root's.
const systemPython = "/usr/bin/python3"

// FindInterpreter returns the Python that programs run with: the given one, or else the system's own if it is one that wheels are made
// for, or else the one in PATH.
func FindInterpreter(ctx context.Context, given string) (Interpreter, error) {
	if given != "" {
		return ask(ctx, given)
	}
	var failures []error
	for _, program := range []string{systemPython, "python3"} {
		python, err := ask(ctx, program)
		if err == nil {
			_, err = chooseShared(pins(), python.Python)
		}
		if err == nil {
			return python, nil
		}
		failures = append(failures, err)
	}
	return Interpreter{}, fmt.Errorf("%w: no Python is fit: %w", ErrUnavailable, errors.Join(failures...))
}

// aboutItself prints where an interpreter is, whatever script or link stands before it, and what it is. A build without the global lock,
// whose flag is t, needs wheels of its own.
const aboutItself = `import sys; print(sys.executable, sys.implementation.name + getattr(sys, "abiflags", ""), *sys.version_info[:2], sep="\n")`

func ask(ctx context.Context, program string) (Interpreter, error) {
	said, err := exec.CommandContext(ctx, program, "-I", "-S", "-c", aboutItself).Output()
	if err != nil {
		return Interpreter{}, fmt.Errorf("asking %s for its version: %w", program, err)
	}
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")
	if len(lines) != 4 || lines[1] != "cpython" || lines[2] != "3" {
		return Interpreter{}, fmt.Errorf("%s is no CPython 3 as usual: it is %s", program, strings.Join(lines, " "))
	}
	minor, err := strconv.Atoi(lines[3])
	if err != nil {
		return Interpreter{}, fmt.Errorf("reading the version of %s: %w", program, err)
	}
	place, err := filepath.EvalSymlinks(lines[0])
	if err != nil {
		return Interpreter{}, err
	}
	return Interpreter{Path: place, Python: Python{Minor: minor, Architecture: runtime.GOARCH}}, nil
}

// pin is a wheel that is known by its sum. Tags in its name say what it is for.
type pin struct {
	sum, file             string
	name, version         string
	python, abi, platform string
}

// pins returns the wheels for programs.
func pins() []pin { return readPins(pinnedWheels) }

func readPins(text string) []pin {
	var all []pin
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] == "#" {
			continue
		}
		parts := strings.Split(strings.TrimSuffix(fields[1], ".whl"), "-")
		all = append(all, pin{
			sum: fields[0], file: fields[1], name: parts[0], version: parts[1], python: parts[2], abi: parts[3], platform: parts[4],
		})
	}
	return all
}

// machines are how names of wheels end, by architecture in Go's terms.
var machines = map[string]string{"amd64": "_x86_64", "arm64": "_aarch64"}

// fits is whether the wheel is for a Python.
func (w pin) fits(python Python) bool {
	if w.platform == "any" {
		return true
	}
	machine, known := machines[python.Architecture]
	return known && strings.HasSuffix(w.platform, machine) && w.python == python.Tag()
}

// choose returns the wheel of a package for a Python, of any version if none is given.
func choose(known []pin, python Python, name, version string) (pin, error) {
	var others []string
	for _, w := range known {
		if w.name != name || (version != "" && w.version != version) {
			continue
		}
		if w.fits(python) {
			return w, nil
		}
		if machine, is := machines[python.Architecture]; is && strings.HasSuffix(w.platform, machine) {
			others = append(others, "3."+strings.TrimPrefix(w.python, "cp3"))
		}
	}
	there := "there is none for this machine"
	if len(others) > 0 {
		there = "there are wheels for " + strings.Join(others, ", ")
	}
	return pin{}, fmt.Errorf("%w: %s has none for %s: %s", ErrUnavailable, strings.TrimSpace(name+" "+version), python, there)
}

// chooseShared returns the wheels of the packages that all versions of SUMO share, each in the version for this Python.
func chooseShared(known []pin, python Python) ([]pin, error) {
	var chosen []pin
	done := []string{"libsumo"}
	for _, w := range known {
		if slices.Contains(done, w.name) {
			continue
		}
		done = append(done, w.name)
		fitting, err := choose(known, python, w.name, "")
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, fitting)
	}
	return chosen, nil
}
