// Package wheel installs SUMO, and what programs of a scenario run with, from Python wheels.
//
// A wheel is a zip: unpacking it installs it. Each version stands in a folder of its own, and appears there whole or not at all.
package wheel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/term"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

// Words that stand for versions on offer.
const (
	Newest = "newest"
	Oldest = "oldest"
	All    = "all"
)

// ErrUnavailable is wrapped by errors that say why no wheel can be had here: there is no pip, pip fails, or no wheel fits this
// machine.
var ErrUnavailable = errors.New("no wheel can be had here")

// Install installs versions such as "1.28" below dir, as release.In lays them out, and reports its progress to log. Versions that
// are there already cost nothing. The words Newest, Oldest and All stand for versions that have a wheel for this machine.
func Install(ctx context.Context, dir string, log io.Writer, versions ...string) error {
	releases, err := Choose(runtime.GOARCH, versions...)
	if err != nil {
		return err
	}
	return installer{dir: dir, log: log, architecture: runtime.GOARCH}.install(ctx, releases)
}

// Choose returns the releases that versions and words name, oldest first, each once. All of them have a wheel for the architecture.
func Choose(architecture string, versions ...string) ([]release.Release, error) {
	fitting := release.On(architecture)
	if len(fitting) == 0 {
		return nil, fmt.Errorf("%w: none is made for %s", ErrUnavailable, architecture)
	}
	chosen := map[string]bool{}
	for _, version := range versions {
		switch version {
		case Newest:
			chosen[fitting[len(fitting)-1].Version] = true
		case Oldest:
			chosen[fitting[0].Version] = true
		case All:
			for _, r := range fitting {
				chosen[r.Version] = true
			}
		default:
			r, ok := release.Find(version)
			if !ok {
				return nil, fmt.Errorf("SUMO %s is not on offer: choose from %s", version, list(release.All()))
			}
			if !r.RunsOn(architecture) {
				return nil, fmt.Errorf("%w: SUMO %s has none for %s; these versions have one: %s",
					ErrUnavailable, version, architecture, list(fitting))
			}
			chosen[version] = true
		}
	}
	return slices.DeleteFunc(fitting, func(r release.Release) bool { return !chosen[r.Version] }), nil
}

func list(releases []release.Release) string {
	var versions []string
	for _, r := range releases {
		versions = append(versions, r.Version)
	}
	return strings.Join(versions, ", ")
}

type installer struct {
	dir          string
	log          io.Writer
	architecture string   // in Go's terms
	env          []string // added to pip's environment
}

// unfinished is how folders begin that an installation works in. Those that it finds are of one that was cut off.
const unfinished = ".installing-"

func (i installer) install(ctx context.Context, releases []release.Release) error {
	if !slices.ContainsFunc(releases, i.missing) {
		return nil
	}
	return i.locked(ctx, func() error {
		for _, r := range releases {
			if !i.missing(r) {
				continue
			}
			if err := i.add(ctx, r); err != nil {
				return fmt.Errorf("installing SUMO %s: %w", r.Full, err)
			}
		}
		return nil
	})
}

// locked calls do while no other process installs into the folder.
func (i installer) locked(ctx context.Context, do func() error) error {
	if err := os.MkdirAll(i.dir, 0o755); err != nil {
		return err
	}
	lock := flock.New(filepath.Join(i.dir, ".lock"))
	if free, err := lock.TryLock(); err != nil {
		return fmt.Errorf("locking %s: %w", i.dir, err)
	} else if !free {
		fmt.Fprintf(i.log, "waiting for another installation into %s\n", i.dir)
		if _, err := lock.TryLockContext(ctx, 100*time.Millisecond); err != nil {
			return fmt.Errorf("locking %s: %w", i.dir, err)
		}
	}
	defer func() { _ = lock.Unlock() }() // the end of the process releases it in any case
	remains, err := filepath.Glob(filepath.Join(i.dir, unfinished+"*"))
	if err != nil {
		return err
	}
	for _, folder := range remains {
		if err := os.RemoveAll(folder); err != nil {
			return err
		}
	}
	return do()
}

// missing is also true where another wheel of the version is installed, such as 1.28.0 in place of 1.28.1.
func (i installer) missing(r release.Release) bool {
	_, err := os.Stat(filepath.Join(i.dir, r.Version, papers(r)))
	return err != nil
}

// papers is the folder of a wheel with its licences and its version.
func papers(r release.Release) string { return "eclipse_sumo-" + r.Full + ".dist-info" }

func (i installer) add(ctx context.Context, r release.Release) error {
	return i.replace(filepath.Join(i.dir, r.Version), "SUMO "+r.Full, func(work, made string) error {
		line := fmt.Sprintf("eclipse-sumo==%s --hash=sha256:%s", r.Full, r.Wheels[i.architecture])
		files, err := i.download(ctx, work, []string{line})
		if err != nil {
			return err
		}
		if err := unpack(ctx, files[0], made, serves); err != nil {
			return fmt.Errorf("unpacking the wheel: %w", err)
		}
		return nil
	})
}

// replace has do make a folder, in a folder for its work, and puts it in the place of final when it is whole.
func (i installer) replace(final, what string, do func(work, made string) error) error {
	work, err := os.MkdirTemp(i.dir, unfinished)
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	began := time.Now()
	fmt.Fprintf(i.log, "%s: downloading and unpacking\n", what)
	made := filepath.Join(work, "made")
	if err := os.Mkdir(made, 0o755); err != nil {
		return err
	}
	if err := do(work, made); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(final), 0o755); err != nil {
		return err
	}
	// Programs of an older wheel that are running keep their files until they end.
	if err := os.Rename(final, filepath.Join(work, "replaced")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Rename(made, final); err != nil {
		return err
	}
	fmt.Fprintf(i.log, "%s: installed in %s after %.0f s\n", what, final, time.Since(began).Seconds())
	return nil
}

// download has pip fetch wheels into the folder work, from wherever pip is configured to look, and check their sums. Each line is one of a
// file of requirements, and args are pip's.
func (i installer) download(ctx context.Context, work string, lines []string, args ...string) (files []string, err error) {
	python, err := exec.LookPath("python3")
	if err != nil {
		return nil, fmt.Errorf("%w: python3 and its pip are missing: run make install", ErrUnavailable)
	}
	requirements := filepath.Join(work, "requirements.txt")
	if err := os.WriteFile(requirements, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		return nil, err
	}
	into := filepath.Join(work, "wheels")
	args = append([]string{"-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes", "--no-input",
		"--disable-pip-version-check", "--dest", into, "--requirement", requirements}, args...)
	cmd := exec.CommandContext(ctx, python, args...)
	cmd.Env = append(os.Environ(), i.env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.Discard, &said
	if terminal, ok := i.log.(*os.File); ok && term.IsTerminal(int(terminal.Fd())) {
		cmd.Stdout = terminal // shows a bar
	}
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		output := bytes.TrimSpace(said.Bytes())
		switch {
		case bytes.Contains(output, []byte("DO NOT MATCH THE HASHES")):
			return nil, fmt.Errorf("the wheel is not the one that is known by its sum: %s", output)
		case bytes.Contains(output, []byte("No module named pip")):
			return nil, fmt.Errorf("%w: pip is missing: run make install, or infra/debian/install.sh pip", ErrUnavailable)
		}
		return nil, fmt.Errorf("%w: pip download: %w: %s", ErrUnavailable, err, output)
	}
	files, err = filepath.Glob(filepath.Join(into, "*.whl"))
	if err != nil || len(files) != len(lines) {
		return nil, fmt.Errorf("pip left %v in place of %d wheels", files, len(lines))
	}
	return files, nil
}
