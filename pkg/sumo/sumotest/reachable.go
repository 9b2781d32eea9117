package sumotest

import (
	"os"
	"os/exec"
	"path/filepath"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

// folderVariable is the folder of installations in place of release.Dir.
const folderVariable = "TEST_SUMO_DIR"

// folder is where the tests find SUMO.
func folder() (string, error) {
	if dir := os.Getenv(folderVariable); dir != "" {
		return dir, nil
	}
	return release.Dir()
}

// Reachable makes the installations of Versions, and what programs run with, reachable for tests that root runs again as an ordinary user, who cannot enter root's
// folders: it links them to a folder that everybody can. clean removes that. It is for TestMain.
func Reachable() (clean func(), err error) {
	if os.Geteuid() != 0 || os.Getenv(folderVariable) != "" {
		return func() {}, nil
	}
	from, err := folder()
	if err != nil {
		return nil, err
	}
	to, err := os.MkdirTemp("", "sumo")
	if err != nil {
		return nil, err
	}
	clean = func() { os.RemoveAll(to) }
	if err = os.Chmod(to, 0o755); err == nil {
		for _, name := range append(Versions(), filepath.Base(filepath.Dir(release.InterpreterFile(from)))) {
			if _, missing := os.Stat(filepath.Join(from, name)); missing != nil {
				continue // the test that asks for it says so
			}
			link := []string{"-a", filepath.Join(from, name), to}
			if err = exec.Command("cp", append([]string{"-l"}, link...)...).Run(); err != nil { // on another file system
				err = exec.Command("cp", link...).Run()
			}
			if err != nil {
				break
			}
		}
	}
	if err == nil {
		err = os.Setenv(folderVariable, to)
	}
	if err != nil {
		clean()
	}
	return clean, err
}
