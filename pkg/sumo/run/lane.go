package run

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/confine"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// lanes are the work folders of a chunk. Runs that are laid out alike use one after the other. Making and removing twenty files, links and
// folders for each run took more time than all else that is ours: ext4 without a journal looks for a free inode past all those that were
// freed in the last minutes.
type lanes struct {
	folder string
	made   int
	idle   []*lane // the one that was used last comes last
}

// mostIdle is how many work folders wait for a run that fits: more than there are points among the runs of most chunks.
const mostIdle = 16

// take returns a work folder for a run of the given form: one that fits, or else one that is empty.
func (l *lanes) take(form string) *lane {
	at := slices.IndexFunc(l.idle, func(free *lane) bool { return form != "" && free.form == form })
	if at < 0 {
		at = slices.IndexFunc(l.idle, func(free *lane) bool { return free.form == "" })
	}
	if at < 0 && len(l.idle) < mostIdle {
		l.made++
		return &lane{folder: filepath.Join(l.folder, strconv.Itoa(l.made)), wanted: form}
	}
	at = max(at, 0)
	free := l.idle[at]
	l.idle = slices.Delete(l.idle, at, at+1)
	free.wanted = form
	return free
}

func (l *lanes) giveBack(used *lane) { l.idle = append(l.idle, used) }

// lane is a work folder of a chunk. Its methods work on nil, for a run outside a chunk.
type lane struct {
	folder string
	form   string // of the runs for which it is laid out; empty for none
	wanted string // the form of the run that has the folder
	config string // what SUMO reads, by its path in the folder where it runs
	layout string // what is in the folders in which SUMO writes, before it writes
	wall   confine.Keep
}

// form names all that decides how the work folder of a run of a chunk is laid out: runs that differ only in their seeds have the same. It
// is empty for a run whose folder no other may use: it leaves more there than SUMO's outputs.
func (r Run) form() string {
	if !r.study || r.hasProgram() || r.Options.Check || r.Options.Replay != nil || !scenario.Expressible(r.Work) {
		return ""
	}
	o := r.Options
	o.Seed = nil
	text, _ := json.Marshal([]any{r.shared, o}) // strings and finite numbers
	return string(text)
}

// fits reports whether the folder is laid out for the run that has it.
func (l *lane) fits() bool { return l != nil && l.form != "" && l.form == l.wanted }

// laidOut takes note of what r finds in the folder.
func (l *lane) laidOut(r Run, config string) error {
	if l == nil || l.wanted == "" {
		return nil
	}
	if _, err := os.Lstat(filepath.Join(r.Work, copyFolder)); err == nil { // copies of large files would wait there
		return nil
	}
	layout, err := r.layout()
	if err != nil {
		return err
	}
	l.wall.Close() // it shows the folders that were here before
	l.form, l.config, l.layout = l.wanted, config, layout
	return nil
}

// settle keeps the folder for the next run if this one has left nothing there, and removes it otherwise. Behind its wall, SUMO can only
// create files and write them; a layout without any file shows that all that it has created is gone.
func (l *lane) settle(r Run, o simulation.Outcome) {
	if l.fits() && o.Succeeded() && o.Confinement != nil && o.Confinement.Holds() {
		if now, err := r.layout(); err == nil && now == l.layout {
			return
		}
	}
	l.clear()
}

// clear removes the folder. What cannot be removed is in nobody's way.
func (l *lane) clear() {
	if l != nil {
		l.form = ""
		l.wall.Close()
		_ = os.RemoveAll(l.folder)
	}
}

// layout describes all that is in the folders in which SUMO writes: modes, names, and where links lead.
func (r Run) layout() (string, error) {
	var b strings.Builder
	for _, folder := range r.writable() {
		root, err := os.OpenRoot(filepath.Join(r.Work, folder))
		if err != nil {
			return "", err
		}
		err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			target := ""
			if d.Type() == fs.ModeSymlink {
				target, err = root.Readlink(name)
			}
			fmt.Fprintf(&b, "%s %v %q %q\n", folder, info.Mode(), name, target)
			return err
		})
		root.Close()
		if err != nil {
			return "", err
		}
	}
	return b.String(), nil
}
