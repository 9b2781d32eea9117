package sumo

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

// bufferLibrary is where coreutils keeps the library by which stdbuf sets SUMO's buffer.
const bufferLibrary = "/usr/libexec/coreutils"

// wall is what SUMO may reach: its own installation and the system's libraries, the scenario, and the run's two folders
// to write in.
func (r Run) wall(cmd *exec.Cmd) confine.Wall {
	w := confine.Wall{
		Profile:     confine.SUMO,
		Read:        append([]string{r.Home, bufferLibrary, cmd.Path}, systemLibraries...),
		LandlockABI: r.landlockABI,
		Limits:      confine.Limits{Data: r.Memory, FileSize: r.fileLimit()},
	}
	if binary, err := r.binary(); err == nil { // as for cmd, which could not be there otherwise
		w.Program = binary
		w.Read = append(w.Read, binary, ownLibraries(binary))
	}
	for _, name := range []string{scenarioFolder, edgeDataFile, configFile} {
		w.Read = append(w.Read, filepath.Join(r.Work, name))
	}
	for _, name := range []string{runFolder, resultFolder} {
		w.Write = append(w.Write, filepath.Join(r.Work, name))
	}
	return w
}

// TryConfinement returns what holds a SUMO that is started here and now; under confine.Require it answers an error that
// says what this machine lacks.
func (r Run) TryConfinement(ctx context.Context) (simulation.Confinement, error) {
	folder, err := os.MkdirTemp("", "sumo-run-")
	if err != nil {
		return simulation.Confinement{}, err
	}
	defer os.RemoveAll(folder)
	r.Work = folder
	for _, name := range []string{scenarioFolder, runFolder, resultFolder} {
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

// ownLibraries is where SUMO's wheel has the libraries that it brings along: beside the folder with bin, under a name that
// auditwheel, which makes wheels self-contained, derives from the package's.
func ownLibraries(binary string) string {
	return filepath.Join(filepath.Dir(binary), "..", "..", "eclipse_sumo.libs")
}
