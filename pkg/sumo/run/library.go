package run

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/sumo-k8/sumo-k8/pkg/chunk"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// Names in the folder of an unpacked scenario.
const (
	filesFolder = "files"
	chosenFile  = "config.json" // a checked
)

// library keeps a scenario checked and unpacked, once for each configuration and version of SUMO, for all runs of a chunk and for later
// chunks. What is in its folder is complete: it is made under another name.
type library struct {
	folder string

	mu     sync.Mutex
	copies map[string]*unpackedCopy // by name in the folder
}

// unpackedCopy is one unpacked scenario, or the reason why there is none.
type unpackedCopy struct {
	turn   chan struct{} // holds a value while nobody makes it
	made   bool
	chosen scenario.Config
	err    error
}

// checked is a configuration as it is kept: with the fields that its own JSON omits.
type checked struct {
	scenario.Config
	Options  []scenario.Option
	Reads    []string
	Rewrites map[string][]scenario.Rewrite
}

// name is what the copy for a run is called. It depends on all that decides what is unpacked and how the configuration is read.
func (l *library) name(r Run) string {
	parts := []any{chunk.Generation, scenario.Checker(), r.Version, r.Options.ConfigFile}
	if r.hasProgram() { // it has all files
		parts = append(parts, "program")
	}
	text, _ := json.Marshal(parts) // numbers and strings
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// files is where the scenario of a run is unpacked.
func (l *library) files(r Run) string { return filepath.Join(l.folder, l.name(r), filesFolder) }

// open implements opener. The first run that needs a copy makes it. A fault of the scenario is that of all its runs.
func (l *library) open(ctx context.Context, r Run) (*os.Root, scenario.Config, error) {
	name := l.name(r)
	l.mu.Lock()
	if l.copies == nil {
		l.copies = map[string]*unpackedCopy{}
	}
	c := l.copies[name]
	if c == nil {
		c = &unpackedCopy{turn: make(chan struct{}, 1)}
		c.turn <- struct{}{}
		l.copies[name] = c
	}
	l.mu.Unlock()

	select {
	case <-ctx.Done():
		return nil, scenario.Config{}, ctx.Err()
	case <-c.turn:
	}
	if !c.made {
		c.chosen, c.err = l.take(ctx, r, name)
		// Only a fault of the scenario stays: neither a run that is stopped nor a full disk says anything about it.
		reason, _ := blame(c.err, "")
		c.made = c.err == nil || ctx.Err() == nil && reason == simulation.InvalidScenario
	}
	chosen, err := c.chosen, c.err
	c.turn <- struct{}{}
	if err != nil {
		return nil, scenario.Config{}, err
	}
	root, err := os.OpenRoot(l.files(r))
	return root, chosen, err
}

// take returns the configuration of a copy, which it makes if it is missing.
func (l *library) take(ctx context.Context, r Run, name string) (scenario.Config, error) {
	chosen, err := l.read(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return chosen, err
	}
	making, err := os.MkdirTemp(l.folder, name+".")
	if err != nil {
		return scenario.Config{}, err
	}
	defer os.RemoveAll(making) // unless it has got its name
	chosen, err = r.unpackInto(ctx, making)
	if err != nil {
		return scenario.Config{}, err
	}
	err = os.Rename(making, filepath.Join(l.folder, name))
	if errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, fs.ErrExist) { // another process was faster
		return l.read(name)
	}
	return chosen, err
}

func (l *library) read(name string) (scenario.Config, error) {
	text, err := os.ReadFile(filepath.Join(l.folder, name, chosenFile))
	if err != nil {
		return scenario.Config{}, err
	}
	var c checked
	if err := json.Unmarshal(text, &c); err != nil {
		return scenario.Config{}, fmt.Errorf("reading the kept configuration: %w", err)
	}
	c.Config.Options, c.Config.Reads, c.Config.Rewrites = c.Options, c.Reads, c.Rewrites
	return c.Config, nil
}

// unpackInto makes a copy in a folder that is there.
func (r Run) unpackInto(ctx context.Context, folder string) (scenario.Config, error) {
	files := filepath.Join(folder, filesFolder)
	// 0755, since SUMO may run as another user.
	if err := errors.Join(os.Chmod(folder, 0o755), os.Mkdir(files, 0o755)); err != nil {
		return scenario.Config{}, err
	}
	root, err := os.OpenRoot(files)
	if err != nil {
		return scenario.Config{}, err
	}
	defer root.Close()
	chosen, err := r.unpack(ctx, root, r.Version)
	if err != nil {
		return scenario.Config{}, err
	}
	text, err := json.Marshal(checked{chosen, chosen.Options, chosen.Reads, chosen.Rewrites})
	if err != nil {
		return scenario.Config{}, fmt.Errorf("encoding the configuration: %w", err)
	}
	return chosen, os.WriteFile(filepath.Join(folder, chosenFile), text, 0o644)
}
