package run

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// Names inside the work folder. SUMO may read all of them and write into the last two.
const (
	scenarioFolder = "scenario"         // the unpacked zip
	copyFolder     = "rewritten"        // the run's own copies of files that SUMO gets changed
	edgeDataFile   = "edgedata.add.xml" // asks SUMO for the edgedata output
	configFile     = "run.sumocfg"      // the configuration that SUMO reads
	runFolder      = "run"              // where SUMO runs: links to the scenario's files, beside which it writes
	resultFolder   = "results"          // the outputs that we ask SUMO for
	collectedFile  = "collected.txt"    // the output folder, and the names that files get there, a line each
)

// scenario is the folder of the unpacked zip.
func (r Run) scenario() string { return cmp.Or(r.shared, filepath.Join(r.Work, scenarioFolder)) }

// writable are the folders in which SUMO, or a program, may write.
func (r Run) writable() []string {
	if r.hasProgram() {
		return []string{runFolder, resultFolder, homeFolder}
	}
	return []string{runFolder, resultFolder}
}

// plant makes the folder in which SUMO runs look like the scenario: the same folders, and for each file a symbolic link to the one copy,
// which SUMO cannot write, or to the run's own. So SUMO writes relative names here and nowhere else. No output has the name of a link:
// only what the scenario reads is unpacked, and one that writes such a file is refused.
func (r Run) plant(root *os.Root, chosen scenario.Config, s settings) error {
	run, err := os.OpenRoot(filepath.Join(r.Work, runFolder))
	if err != nil {
		return err
	}
	defer run.Close()
	err = mirror(root, run, func(name string) error {
		target := r.copyOf(name)
		if _, err := os.Lstat(target); err != nil {
			target = filepath.Join(r.scenario(), filepath.FromSlash(name))
		}
		return run.Symlink(target, name)
	})
	if err != nil {
		return err
	}
	return r.makeFolders(run, chosen, s)
}

// mirror makes the folders of the scenario, root, in that of the run, and has plant put each of its files there.
func mirror(root, run *os.Root, plant func(name string) error) error {
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != ".":
			return run.Mkdir(name, 0o755)
		case d.Type().IsRegular():
			return plant(name)
		}
		return nil
	})
}

// change says what becomes of an element in the run's own copy of a file.
type change func(xml.Element) []xml.Change

// renamed gives outputs other names.
func renamed(rewrites []scenario.Rewrite) change {
	return func(e xml.Element) []xml.Change {
		var changes []xml.Change
		for _, w := range rewrites {
			if string(e.Name) != w.Element || w.Key != "" && string(e.Attr("key")) != w.Key {
				continue
			}
			if value, ok := e.Lookup(w.Attribute); ok && string(value.Value) == w.From {
				changes = append(changes, xml.Change{Attribute: w.Attribute, Value: w.To})
			}
		}
		return changes
	}
}

// copyOf is where the run's own copy of a file of the scenario is, if there is one.
func (r Run) copyOf(name string) string {
	return filepath.Join(r.Work, copyFolder, filepath.FromSlash(name))
}

// rewrite makes the run's own copy of a file of the scenario.
func (r Run) rewrite(root *os.Root, name string, change change) error {
	in, err := root.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	copied := r.copyOf(name)
	if err := os.MkdirAll(filepath.Dir(copied), 0o755); err != nil {
		return err
	}
	out, err := os.Create(copied)
	if err != nil {
		return err
	}
	err = xml.Rewrite(out, in, change)
	if err := errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("copying %s: %w", name, err)
	}
	return nil
}

// kept is what a run leaves in the output folder.
type kept struct {
	whole []string // below the output folder, the outputs whose end shows: all but messages
	files map[simulation.Output]string
	notes []string // on outputs of the scenario that could not keep their names, or are missing
	// ofReplay are notes on the recording. A run that failed at its start lacks more than that, and does without them.
	ofReplay []string
	// omitted counts the scenario's files beyond simulation.MaxOwnFiles, or with a name that cannot be stored.
	omitted int
}

// ours are the names at the top of the output folder that the scenario's outputs leave to the run.
var ours = map[string]bool{
	simulation.LogFile: true, simulation.SummaryFile: true, simulation.OutcomeFile: true, simulation.ChecksumFile: true,
}

// replayNames are those of a run that is recorded.
var replayNames = []string{simulation.ReplayFile, simulation.ReplaySegmentsFile, simulation.ReplayFolder}

// owns reports whether a name at the top of the output folder is the run's own.
func (r Run) owns(name string) bool {
	return ours[folded(name)] || simulation.Unfinished(folded(name)) ||
		r.Options.Replay != nil && slices.Contains(replayNames, folded(name)) ||
		r.study && folded(name) == simulation.EdgeColumnsFile ||
		r.Options.Tool != nil && (folded(name) == simulation.KeptFile || folded(name) == simulation.ConvergenceFile)
}

// addedPrefix is for an added output whose name the scenario gives to another one.
const addedPrefix = "sumo-k8-"

// collect moves what SUMO has written into the output folder: the scenario's outputs under their own names, and beside them
// those that the run has added. Only regular files count; everything else in the run's folder is a link of ours.
func (r Run) collect(s settings) (kept, error) {
	k := kept{files: map[simulation.Output]string{}}
	own, omitted, err := r.ownOutputs(s)
	if err != nil {
		return k, err
	}
	targets, taken, notes := r.place(own)
	k.omitted, k.notes = omitted, notes
	var added, moves [][2]string // from the work folder to the output folder
	for _, name := range own {
		moves = append(moves, [2]string{path.Join(runFolder, name), targets[name]})
	}
	cut := maps.Clone(targets)
	for _, name := range s.messages {
		delete(cut, s.written(own, name))
	}
	k.whole = slices.Sorted(maps.Values(cut))
	for role, name := range s.own {
		if found := s.written(own, name); found != "" {
			k.files[role] = targets[found]
		}
	}
	for _, o := range r.added(s) {
		folder := path.Join(resultFolder, string(o))
		found, err := r.written(folder)
		if removed := r.hasProgram() && errors.Is(err, fs.ErrNotExist); err != nil && !removed { // by the program
			return k, err
		}
		if len(found) == 0 { // SUMO ended before it opened its outputs
			continue
		}
		target := s.addedName(o)
		for taken.has(target) {
			target = addedPrefix + target
		}
		taken.take(target)
		added = append(added, [2]string{path.Join(folder, found[0]), target})
		k.whole = append(k.whole, target)
		k.files[o] = target
	}
	return k, r.keepAll(append(added, moves...))
}

// ownOutputs are the names of the scenario's outputs that are kept, those that views read before others, and how many are not.
func (r Run) ownOutputs(s settings) (own []string, omitted int, err error) {
	own, err = r.written(runFolder)
	if err != nil {
		return nil, 0, err
	}
	if r.unchanged != nil {
		own = slices.DeleteFunc(own, r.unchanged)
	}
	all := len(own)
	own = slices.DeleteFunc(own, func(name string) bool { return !artifact.Storable(name) })
	role := map[string]bool{} // files that views read
	for _, name := range s.own {
		role[s.written(own, name)] = true
	}
	slices.SortStableFunc(own, func(a, b string) int {
		switch {
		case role[a] == role[b]:
			return 0
		case role[a]:
			return -1
		}
		return 1
	})
	own = own[:min(len(own), simulation.MaxOwnFiles)]
	return own, all - len(own), nil
}

// place returns the names in the output folder that the scenario's outputs get: their own, but for those that the run needs itself. Notes
// say which have others, and which differ in case only.
func (r Run) place(own []string) (targets map[string]string, taken names, notes []string) {
	targets, taken = map[string]string{}, names{}
	moved := map[string][]string{} // by the name of ours that they have, or have as a folder
	var alike []string
	for _, name := range own {
		if top, _, _ := strings.Cut(name, "/"); r.owns(top) || folded(name) == ownFolder {
			moved[top] = append(moved[top], name)
			continue
		}
		if taken[folded(name)] {
			alike = append(alike, name)
		}
		taken.take(name)
		targets[name] = name
	}
	for _, top := range slices.Sorted(maps.Keys(moved)) {
		for _, name := range moved[top] {
			target := path.Join(ownFolder, name)
			for taken.has(target) {
				target = path.Join(ownFolder, target)
			}
			taken.take(target)
			targets[name] = target
		}
		first := moved[top][0]
		note := fmt.Sprintf("The output %s is %s in the results, where %s is the run's own", first, targets[first],
			folded(top))
		if more := len(moved[top]) - 1; more > 0 {
			note += fmt.Sprintf("; %d more are there too", more)
		}
		notes = append(notes, note+".")
	}
	if len(alike) > 0 {
		notes = append(notes, fmt.Sprintf("%s differs from another result only in case, which not all machines tell apart (%d such).",
			alike[0], len(alike)))
	}
	return targets, taken, notes
}

// folded is a name as machines see it that do not tell upper from lower case.
func folded(name string) string { return strings.ToLower(name) }

// names are the names of files, for which it is true, and of their folders, folded.
type names map[string]bool

func (n names) take(file string) {
	name := folded(file)
	n[name] = true
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if !n[dir] { // a file stays one
			n[dir] = false
		}
	}
}

// has reports whether a file of that name, or one that is a folder in it, is there.
func (n names) has(file string) bool {
	name := folded(file)
	_, found := n[name]
	for dir := path.Dir(name); dir != "." && !found; dir = path.Dir(dir) {
		found = n[dir]
	}
	return found
}

// written are the regular files below a folder of the work folder, sorted.
func (r Run) written(folder string) ([]string, error) {
	root, err := os.OpenRoot(filepath.Join(r.Work, folder))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	files, err := listFiles(root)
	slices.Sort(files)
	return files, err
}

// keepAll moves files of the work folder to the output folder, and goes on after a failure. It lists them first: an attempt that is killed
// meanwhile leaves the list to the next one. In a chunk, that clears the whole output folder.
func (r Run) keepAll(moves [][2]string) (err error) {
	if r.shared == "" {
		list := r.Out + "\n"
		for _, m := range moves {
			list += m[1] + "\n"
		}
		err = os.WriteFile(filepath.Join(r.Work, collectedFile), []byte(list), 0o644)
	}
	for _, m := range moves {
		err = errors.Join(err, r.keep(m[0], m[1]))
	}
	return err
}

// keep moves a file of the work folder to the output folder.
func (r Run) keep(from, to string) error {
	target := filepath.Join(r.Out, filepath.FromSlash(to))
	err := os.MkdirAll(filepath.Dir(target), 0o755)
	if err == nil {
		err = move(filepath.Join(r.Work, filepath.FromSlash(from)), target)
	}
	if err != nil {
		return fmt.Errorf("keeping %s: %w", to, err)
	}
	return nil
}
