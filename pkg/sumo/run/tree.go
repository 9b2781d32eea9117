package run

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// Names inside the work folder. SUMO may read all of them and write into the last two.
const (
	scenarioFolder = "scenario"         // the unpacked zip
	edgeDataFile   = "edgedata.add.xml" // asks SUMO for the edgedata output
	configFile     = "run.sumocfg"      // the configuration that SUMO reads
	runFolder      = "run"              // where SUMO runs: links to the scenario's files, beside which it writes
	resultFolder   = "results"          // the outputs that we ask SUMO for
)

// writable are the folders in which SUMO may write.
var writable = []string{runFolder, resultFolder}

// plant makes the folder in which SUMO runs look like the scenario: the same folders, and for each file a symbolic link
// to the one copy, which SUMO cannot write. So SUMO writes relative names here and nowhere else. An output with the name
// of a scenario's file replaces its link, as it would overwrite the file on a user's machine.
func (r Run) plant(root *os.Root, chosen scenario.Config) error {
	run, err := os.OpenRoot(filepath.Join(r.Work, runFolder))
	if err != nil {
		return err
	}
	defer run.Close()
	replaced := map[string]bool{}
	for _, name := range chosen.Outputs {
		replaced[path.Clean(name)] = true
	}
	earlier := earlierOutputs(chosen)
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != ".":
			return run.Mkdir(name, 0o755)
		case d.Type().IsRegular() && !replaced[name] && !earlier(name):
			return run.Symlink(filepath.Join(r.Work, scenarioFolder, filepath.FromSlash(name)), name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, name := range chosen.Outputs { // SUMO makes no folders
		if err := run.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// earlierOutputs returns a function that reports whether a file of the scenario is an output of an earlier run under a name that
// SUMO generates: from the time for states, the step for vtk, the vehicle for SSM and elechybrid. Files that the configuration
// reads never are.
func earlierOutputs(c scenario.Config) func(name string) bool {
	dir := path.Dir(c.Path)
	begins := []string{"ssm_", path.Join(dir, "ssm_")}
	read := map[string]bool{}
	for _, o := range c.Options {
		if o.Name == "save-state.times" || o.Name == "save-state.period" {
			begins = append(begins, "state_", path.Join(dir, "state_"))
		}
		for _, name := range o.Files {
			switch o.Name {
			case "save-state.prefix", "vtk-output":
				begins = append(begins, name+"_")
			case "elechybrid-output":
				begins = append(begins, strings.TrimSuffix(name, path.Ext(name))+"_")
			}
			read[name] = read[name] || !o.Writes
		}
	}
	return func(name string) bool {
		return !read[name] && slices.ContainsFunc(begins, func(begin string) bool { return strings.HasPrefix(name, begin) })
	}
}

// maxOwnFiles bounds how many files a scenario may add to the results: each becomes an object in the store.
const maxOwnFiles = 1000

// maxOwnName is the longest path of a scenario's own output, in bytes: S3 allows keys of 1,024, and the job's prefix takes
// some of them.
const maxOwnName = 900

// ownOutputs are the files that the scenario itself has written.
type ownOutputs struct {
	names []string // below the output folder
	left  int      // beyond maxOwnFiles, or with a name that cannot be stored
}

// collect moves what SUMO has written into the output folder: the outputs that we asked for to its top, the scenario's
// own below ownFolder. Only regular files count; everything else in the run's folder is a link of ours. No other file reaches the
// top, where names identify our own files.
func (r Run) collect() (ownOutputs, error) {
	asked := func(name string) bool { return slices.Contains(r.outputNames(), name) }
	if _, err := r.keep(resultFolder, "", asked, len(simulation.Outputs())); err != nil {
		return ownOutputs{}, err
	}
	return r.keep(runFolder, ownFolder, storable, maxOwnFiles)
}

// storable reports whether an object store accepts a file's name and can list it.
func storable(name string) bool {
	return len(name) <= maxOwnName && utf8.ValidString(name) && !strings.ContainsFunc(name, unicode.IsControl)
}

// keep moves up to limit regular files with wanted names from folder from of the work folder to folder to of the output folder.
func (r Run) keep(from, to string, wanted func(string) bool, limit int) (ownOutputs, error) {
	var own ownOutputs
	root, err := os.OpenRoot(filepath.Join(r.Work, from))
	if err != nil {
		return own, err
	}
	defer root.Close()
	files, err := listFiles(root)
	if err != nil {
		return own, err
	}
	slices.Sort(files)
	for _, name := range files {
		if len(own.names) == limit || !wanted(name) {
			own.left++
			continue
		}
		target := filepath.Join(r.Out, to, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return own, err
		}
		if err := move(filepath.Join(root.Name(), filepath.FromSlash(name)), target); err != nil {
			return own, fmt.Errorf("keeping %s: %w", name, err)
		}
		own.names = append(own.names, path.Join(to, name))
	}
	return own, nil
}
