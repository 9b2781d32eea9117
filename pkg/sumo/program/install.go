package program

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// site is what Python loads at its start.
//
//go:embed sitecustomize.py
var site []byte

// Folder stands for SUMO's in a run with a program.
type Folder string

// Install makes the folder, which stands for the installation at rules.Home. self is the program that calls Enter, and interpreter is
// Python, which programs find by its usual names.
func Install(folder, self, interpreter string, rules Rules) (Folder, error) {
	f := Folder(folder)
	if err := errors.Join(os.MkdirAll(f.Bin(), 0o755), os.MkdirAll(f.Python(), 0o755)); err != nil {
		return "", err
	}
	if err := linkAll(rules.Home, folder); err != nil {
		return "", err
	}
	for _, name := range []string{simulator, graphical} {
		if err := os.Symlink(self, filepath.Join(f.Bin(), name)); err != nil {
			return "", err
		}
	}
	for _, name := range []string{"python", "python3"} {
		if err := os.Symlink(interpreter, filepath.Join(f.Bin(), name)); err != nil {
			return "", err
		}
	}
	if err := linkAll(filepath.Join(rules.Home, binFolder), f.Bin()); err != nil {
		return "", err
	}
	text, err := json.Marshal(rules)
	if err != nil {
		return "", fmt.Errorf("encoding what the run asks of SUMO: %w", err)
	}
	return f, errors.Join(
		os.Symlink(self, filepath.Join(f.Python(), mergeName)),
		os.WriteFile(filepath.Join(f.Python(), siteModule), site, 0o644),
		os.WriteFile(filepath.Join(folder, rulesFile), text, 0o644),
	)
}

// linkAll links what is in a folder into another, but for what is there already.
func linkAll(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := filepath.Join(to, e.Name())
		if _, err := os.Lstat(name); err == nil {
			continue
		}
		if err := os.Symlink(filepath.Join(from, e.Name()), name); err != nil {
			return err
		}
	}
	return nil
}

// Bin is the folder of SUMO's programs.
func (f Folder) Bin() string { return filepath.Join(string(f), binFolder) }

// Python is the folder of the module that Python loads at its start.
func (f Folder) Python() string { return filepath.Join(string(f), pythonPart) }
