package run

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/sumo-k8/sumo-k8/pkg/confine"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// systemLibraries are where Debian and other distributions keep the dynamic loader, the C library with its tables of
// encodings, and everything else that SUMO loads. Some of Debian's libraries are links through /etc/alternatives.
var systemLibraries = []string{"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/alternatives", "/etc/ld.so.cache"}

// bufferLibrary is where coreutils keeps the library of stdbuf, which SUMO preloads.
const bufferLibrary = "/usr/libexec/coreutils"

// wall is what SUMO may reach: its own installation and the system's libraries, the scenario, and the run's two folders
// to write in.
func (r Run) wall(cmd *exec.Cmd) confine.Wall {
	w := confine.Wall{
		Profile:     confine.SUMO,
		Read:        append([]string{r.Home, bufferLibrary, cmd.Path}, systemLibraries...),
		LandlockABI: r.landlockABI,
		Slot:        r.slot,
		Limits:      confine.Limits{Data: r.Memory, FileSize: r.fileLimit()},
	}
	if binary, err := r.binary(); err == nil { // as it was for cmd
		w.Program = binary
		w.Read = append(w.Read, binary, ownLibraries(binary))
	}
	w.Read = append(w.Read, r.scenario())
	for _, name := range []string{copyFolder, edgeDataFile, replayRequestFile, replayEdgesFile, configFile} {
		w.Read = append(w.Read, filepath.Join(r.Work, name))
	}
	for _, name := range r.writable() {
		w.Write = append(w.Write, filepath.Join(r.Work, name))
	}
	return w
}

// TryConfinement starts SUMO with --version and returns what confines it on this machine. Under confine.Require, on a machine that
// lacks a part of the wall, the error wraps confine.ErrUnconfined and says what is missing.
func (r Run) TryConfinement(ctx context.Context) (simulation.Confinement, error) {
	folder, err := os.MkdirTemp("", "sumo-run-")
	if err != nil {
		return simulation.Confinement{}, err
	}
	defer os.RemoveAll(folder)
	r.Work = folder
	for _, name := range []string{scenarioFolder, copyFolder, runFolder, resultFolder} {
		if err := os.Mkdir(filepath.Join(r.Work, name), 0o755); err != nil {
			return simulation.Confinement{}, err
		}
	}
	cmd, err := r.program("--version")
	if err != nil {
		return simulation.Confinement{}, err
	}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &said, &said, pipeDelay
	child, held, err := confine.Start(cmd, r.wall(cmd), cmp.Or(r.Confinement, confine.Prefer))
	if err != nil {
		return held, err
	}
	stop := context.AfterFunc(ctx, child.Kill)
	defer stop()
	if err := child.Wait(); err != nil {
		return held, fmt.Errorf("SUMO does not run behind its wall (%s): %w: %s", held, err, bytes.TrimSpace(said.Bytes()))
	}
	return held, nil
}

// ownLibraries is the folder of the libraries that SUMO's wheel bundles: next to the package, under a name that auditwheel
// derives from the package's.
func ownLibraries(binary string) string {
	return filepath.Join(filepath.Dir(binary), "..", "..", "eclipse_sumo.libs")
}
