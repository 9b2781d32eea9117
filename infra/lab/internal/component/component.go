// Package component builds the lab's programs from their Go modules and caches them under a name derived from all their
// inputs.
package component

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Component is built from one module.
type Component struct {
	Name     string
	Module   string // folder of its go.mod
	Programs []Program
	Flags    string // for the linker
	// Repair, when set, is a module whose published source lacks a file or has more than we want. It is built from a copy with
	// the files of Addition.
	Repair string
	// Addition maps our files, in the folder of Module, to their places in the repaired module.
	Addition map[string]string
	// Keep are folders to store beside the programs: by their name there, their origin as MODULE//FOLDER.
	Keep map[string]string
}

// Program is a main package and the name of its program.
type Program struct{ Name, Package string }

// linked drops what only a debugger reads, which halves the size.
const linked = "-s -w"

// Key identifies everything that the programs are built from.
func (c Component) Key(goVersion string) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%s %s %q %q %s %q %q", goVersion, runtime.GOARCH, c.Programs, c.Flags, c.Repair, c.Addition, c.Keep)
	// For our own modules the source counts too; for the others go.mod and go.sum pin it.
	err := filepath.WalkDir(c.Module, func(file string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !isSource(e.Name()) {
			return err
		}
		name, err := filepath.Rel(c.Module, file)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(file)
		fmt.Fprintf(h, "%q %d ", name, len(text))
		h.Write(text)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("%s: %w", c.Name, err)
	}
	// 64 bits distinguish the handful of builds on one machine.
	return fmt.Sprintf("%s-%x", c.Name, h.Sum(nil)[:8]), nil
}

func isSource(name string) bool {
	return name == "go.mod" || name == "go.sum" ||
		strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go")
}

// Build returns the folder of the component's programs, below cache, and whether it had to build them.
func (c Component) Build(ctx context.Context, cache, goVersion string) (dir string, built bool, err error) {
	key, err := c.Key(goVersion)
	if err != nil {
		return "", false, err
	}
	dir = filepath.Join(cache, key)
	if _, err := os.Stat(dir); err == nil {
		return dir, false, nil
	}
	// Built in another folder and renamed, so that an interruption leaves nothing that looks complete.
	unfinished := dir + ".new"
	if err := errors.Join(os.RemoveAll(unfinished), os.MkdirAll(unfinished, 0o755)); err != nil {
		return "", false, err
	}
	args := []string{"build", "-trimpath", "-ldflags", strings.TrimSpace(linked + " " + c.Flags)}
	if c.Repair != "" {
		source := unfinished + ".source"
		defer os.RemoveAll(source)
		modfile, err := c.repair(ctx, source)
		if err != nil {
			return "", false, fmt.Errorf("%s: %w", c.Name, err)
		}
		args = append(args, "-modfile", modfile)
	}
	for name, origin := range c.Keep {
		module, folder, _ := strings.Cut(origin, "//")
		published, err := c.published(ctx, module)
		if err == nil {
			err = os.CopyFS(filepath.Join(unfinished, name), os.DirFS(filepath.Join(published, folder)))
		}
		if err != nil {
			return "", false, fmt.Errorf("%s: %w", c.Name, err)
		}
	}
	var packages []string
	for _, p := range c.Programs {
		packages = append(packages, p.Package)
	}
	target := filepath.Join(unfinished, c.Programs[0].Name)
	if len(packages) > 1 {
		// All at once, so that one is linked while another is compiled. Go names them by their folders.
		target = unfinished + string(filepath.Separator)
	}
	if _, err := c.run(ctx, slices.Concat(args, []string{"-o", target}, packages)...); err != nil {
		return "", false, err
	}
	if len(packages) > 1 {
		for _, p := range c.Programs {
			if err := os.Rename(filepath.Join(unfinished, path.Base(p.Package)), filepath.Join(unfinished, p.Name)); err != nil {
				return "", false, fmt.Errorf("%s: %w", c.Name, err)
			}
		}
	}
	return dir, true, os.Rename(unfinished, dir)
}

// repair makes the copy of the module in source and returns the go.mod that uses it.
func (c Component) repair(ctx context.Context, source string) (modfile string, err error) {
	published, err := c.published(ctx, c.Repair)
	if err != nil {
		return "", err
	}
	module := filepath.Join(source, "module")
	err = errors.Join(os.RemoveAll(source), os.CopyFS(module, os.DirFS(published)))
	for ours, place := range c.Addition {
		text, readErr := os.ReadFile(filepath.Join(c.Module, ours))
		err = errors.Join(err, readErr, os.WriteFile(filepath.Join(module, place), text, 0o644))
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		text, readErr := os.ReadFile(filepath.Join(c.Module, name))
		if name == "go.mod" {
			text = fmt.Appendf(text, "\nreplace %s => %s\n", c.Repair, module)
		}
		err = errors.Join(err, readErr, os.WriteFile(filepath.Join(source, name), text, 0o644))
	}
	return filepath.Join(source, "go.mod"), err
}

// published returns the folder of a module as published.
func (c Component) published(ctx context.Context, module string) (dir string, err error) {
	if _, err := c.run(ctx, "mod", "download", module); err != nil {
		return "", err
	}
	return c.run(ctx, "list", "-m", "-f", "{{.Dir}}", module)
}

func (c Component) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = c.Module
	// Neither a workspace nor the flags meant for the main module apply here.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-buildvcs=false")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		// Downloads are announced line by line; the cause comes last.
		lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		return "", fmt.Errorf("%s: go %s: %w: %s", c.Name, args[0], err, strings.Join(lines[max(0, len(lines)-10):], "\n"))
	}
	return strings.TrimSpace(string(out)), nil
}

// GoVersion returns the version of the compiler that builds modules in dir.
func GoVersion(ctx context.Context, dir string) (string, error) {
	return Component{Name: "go", Module: dir}.run(ctx, "env", "GOVERSION")
}
