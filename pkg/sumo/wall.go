package sumo

import (
	"os/exec"
	"path/filepath"

	"github.com/sumo-k8/sumo-k8/pkg/confine"
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
	if binary, err := exec.LookPath(r.Binary); err == nil {
		w.Read = append(w.Read, binary, ownLibraries(binary))
	}
	for _, name := range []string{scenarioFolder, edgeDataFile} {
		w.Read = append(w.Read, filepath.Join(r.Work, name))
	}
	for _, name := range []string{runFolder, resultFolder} {
		w.Write = append(w.Write, filepath.Join(r.Work, name))
	}
	return w
}

// ownLibraries is where SUMO's wheel has the libraries that it brings along: beside the folder with bin, under a name that
// auditwheel, which makes wheels self-contained, derives from the package's.
func ownLibraries(binary string) string {
	if real, err := filepath.EvalSymlinks(binary); err == nil {
		binary = real
	}
	return filepath.Join(filepath.Dir(binary), "..", "..", "eclipse_sumo.libs")
}
