package run

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/chunk"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// laidOut is a run of a study whose work folder is laid out, with files of the scenario, folders for outputs and a configuration.
func laidOut(t *testing.T) (Run, *lane) {
	t.Helper()
	l := &lane{folder: filepath.Join(t.TempDir(), "1")}
	r := Run{Work: l.folder, study: true, shared: t.TempDir(), lane: l}
	l.wanted = r.form()
	for _, dir := range []string{"run/city", "results/tripinfo"} {
		if err := os.MkdirAll(filepath.Join(l.folder, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"road.net.xml", "city/road.rou.xml"} {
		if err := os.Symlink(filepath.Join(r.shared, name), filepath.Join(l.folder, "run", name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.laidOut(r, "sumo-run.sumocfg"); err != nil {
		t.Fatal(err)
	}
	return r, l
}

// TestAWorkFolderServesTheNextRunOnlyIfNothingIsLeftInIt leaves in it what SUMO cannot, and what it can.
func TestAWorkFolderServesTheNextRunOnlyIfNothingIsLeftInIt(t *testing.T) {
	t.Parallel()
	confined := simulation.Outcome{Confinement: &simulation.Confinement{Landlock: 1, Filter: true}}
	for name, tc := range map[string]struct {
		leave   func(folder string) error
		outcome func(*simulation.Outcome)
		kept    bool
	}{
		"nothing":          {kept: true},
		"a file":           {leave: func(f string) error { return os.WriteFile(f+"/run/left.xml", nil, 0o644) }},
		"a file below":     {leave: func(f string) error { return os.WriteFile(f+"/run/city/left.xml", nil, 0o644) }},
		"a result":         {leave: func(f string) error { return os.WriteFile(f+"/results/tripinfo/tripinfo.xml", nil, 0o644) }},
		"a name with a \n": {leave: func(f string) error { return os.WriteFile(f+"/run/a\nb", nil, 0o644) }},
		"a folder":         {leave: func(f string) error { return os.Mkdir(f+"/run/left", 0o755) }},
		"a link":           {leave: func(f string) error { return os.Symlink("/etc/passwd", f+"/run/left") }},
		"a pipe":           {leave: func(f string) error { return syscall.Mkfifo(f+"/run/left", 0o644) }},
		"another mode":     {leave: func(f string) error { return os.Chmod(f+"/run/city", 0o700) }},
		"a link less":      {leave: func(f string) error { return os.Remove(f + "/run/road.net.xml") }},
		"a link elsewhere": {leave: func(f string) error {
			return errors.Join(os.Remove(f+"/run/road.net.xml"), os.Symlink("/etc/passwd", f+"/run/road.net.xml"))
		}},
		"a file for a link": {leave: func(f string) error {
			return errors.Join(os.Remove(f+"/run/road.net.xml"), os.WriteFile(f+"/run/road.net.xml", nil, 0o644))
		}},
		"a folder less":           {leave: func(f string) error { return os.Remove(f + "/results/tripinfo") }},
		"a failure":               {outcome: func(o *simulation.Outcome) { o.Reason = simulation.SimulationError }},
		"no filter of calls":      {outcome: func(o *simulation.Outcome) { o.Confinement = &simulation.Confinement{Landlock: 1} }},
		"no wall around files":    {outcome: func(o *simulation.Outcome) { o.Confinement = &simulation.Confinement{Filter: true} }},
		"nothing known of a wall": {outcome: func(o *simulation.Outcome) { o.Confinement = nil }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, l := laidOut(t)
			outcome := confined
			if tc.leave != nil {
				_ = tc.leave(l.folder)
			}
			if tc.outcome != nil {
				tc.outcome(&outcome)
			}
			l.settle(r, outcome)
			_, err := os.Stat(l.folder)
			if there := err == nil; there != tc.kept || l.fits() != tc.kept {
				t.Errorf("the folder is there: %v, and fits: %v; want %v", there, l.fits(), tc.kept)
			}
		})
	}
}

func TestRunsThatDifferInTheirSeedsOnlyShareAWorkFolder(t *testing.T) {
	t.Parallel()
	one, two := int64(1), int64(2)
	base := Run{Work: "/w", study: true, shared: "/s", Options: simulation.Options{Seed: &one}}
	if other := base; true {
		other.Options.Seed, other.Work = &two, "/v"
		if base.form() == "" || base.form() != other.form() {
			t.Errorf("another seed and folder: %q, not %q", other.form(), base.form())
		}
	}
	for name, change := range map[string]func(*Run){
		"another scenario":      func(r *Run) { r.shared = "/t" },
		"another configuration": func(r *Run) { r.Options.ConfigFile = "b.sumocfg" },
		"another output":        func(r *Run) { r.Options.Outputs = []simulation.Output{simulation.OutputEmission} },
		"an option":             func(r *Run) { r.Options.SUMOOptions = map[string]string{"scale": "2"} },
		"a value":               func(r *Run) { r.Options.Attributes = []simulation.Attribute{{File: "a"}} },
	} {
		other := base
		change(&other)
		if f := other.form(); f == "" || f == base.form() {
			t.Errorf("%s: %q", name, f)
		}
	}
	for name, change := range map[string]func(*Run){
		"a single run":    func(r *Run) { r.study = false },
		"a check":         func(r *Run) { r.Options.Check = true },
		"a recording":     func(r *Run) { r.Options.Replay = &simulation.Replay{} },
		"a linked folder": func(r *Run) { r.Work = "/a,b" },
	} {
		alone := base
		change(&alone)
		if f := alone.form(); f != "" {
			t.Errorf("%s shares its folder: %q", name, f)
		}
	}
}

func TestAWorkFolderThatFitsIsTakenFirst(t *testing.T) {
	t.Parallel()
	var l lanes
	a, b := l.take("a"), l.take("b")
	a.form, b.form = "a", "b"
	l.giveBack(a)
	l.giveBack(b)
	if got := l.take("b"); got != b {
		t.Errorf("b got %+v", got)
	}
	l.giveBack(b)
	empty := l.take("c")
	if empty == a || empty == b {
		t.Error("a folder that another run may use is given away while there are few")
	}
	l.giveBack(empty)
	if got := l.take("d"); got != empty {
		t.Error("an empty folder is not used again")
	}
	for l.giveBack(empty); len(l.idle) < mostIdle; {
		l.idle = append(l.idle, &lane{form: "other"})
	}
	empty.form = "c"
	if got := l.take("e"); got != a {
		t.Errorf("of too many, %+v is given away and not the one that has waited longest", got)
	}
}

// TestRunsInOneFolderLeaveWhatEachLeavesAlone compares runs that use one folder after the other with runs that have their own.
func TestRunsInOneFolderLeaveWhatEachLeavesAlone(t *testing.T) {
	t.Parallel()
	zip := zipped(t, several(t))
	c, k := chunkOf(t, zip, 6, 1)
	for i, config := range []string{"good", "good", "broken", "good", "good", "good"} {
		c.List.Runs[i].Options.ConfigFile = config + ".sumocfg"
	}
	folders := map[uint64]*os.File{} // open, so that no later one gets the same number
	k.refuses = func(string) bool {  // is asked again and again while runs go on
		names, _ := filepath.Glob(filepath.Join(c.Common.Work, runsFolder, "*", runFolder))
		for _, name := range names {
			f, err := os.Open(name)
			if err != nil {
				continue
			}
			info, err := f.Stat()
			if err != nil {
				t.Error(err)
				continue
			}
			if number := info.Sys().(*syscall.Stat_t).Ino; folders[number] == nil {
				folders[number] = f
			} else {
				f.Close()
			}
		}
		return false
	}
	if outcome := k.do(c); !outcome.Succeeded() {
		t.Fatalf("%s: %s", outcome.Reason, outcome.Message)
	}
	for _, f := range folders {
		f.Close()
	}
	if most := 2; len(folders) > most { // that of the good ones and that of the broken one
		t.Errorf("the runs had %d folders, want at most %d", len(folders), most)
	}
	for _, run := range c.List.Runs {
		alone, other := chunkOf(t, zip, 1, 1)
		alone.List.Runs = []chunk.Run{run}
		if outcome := other.do(alone); !outcome.Succeeded() {
			t.Fatalf("%s: %s", outcome.Reason, outcome.Message)
		}
		if diff := cmp.Diff(content(t, other.stored[run.ID]), content(t, k.stored[run.ID])); diff != "" {
			t.Errorf("%s (-alone +in a folder with others):\n%s", run.ID, diff)
		}
	}
}

// content is the checksum of what counts in each result; empty for one that varies anyway.
func content(t *testing.T, r results) map[string]string {
	t.Helper()
	sums := map[string]string{}
	for name, text := range r {
		if sums[name] = ""; simulation.Varies(name) != "" {
			continue
		}
		sum, _, err := simulation.ContentSum(name, strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		sums[name] = sum
	}
	return sums
}
