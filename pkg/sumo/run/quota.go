package run

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/process"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// quotaEvery is how often a run's disk usage is measured. A fast disk takes some 100 MB in that time, by which a run may
// exceed its limit; measuring a run's few files takes tens of microseconds.
const quotaEvery = 250 * time.Millisecond

// fileMargin is how far a single file may exceed the whole limit, as a divisor of it: the measurement triggers first, so that
// SUMO can close its outputs, and the kernel's limit on file size stops a SUMO that does not.
const fileMargin = 8

// hardMargin is how far beyond fileLimit a run may get before it is killed, in bytes: more than SUMO writes to close its
// outputs, and as little as possible for a program that ignores the request to stop.
const hardMargin = 256 << 20

// maxFiles is how many files and folders a run may create: more than any scenario needs, and few enough to measure repeatedly. A folder
// takes an inode and a block of the disk, as a file does.
const maxFiles = 100 * simulation.MaxOwnFiles

// maxNesting is how deep folders may be nested, and maxFolderPath how long their paths may be, in bytes: more than those of any scenario,
// and so that measuring does not take long, nor meets a path that is too long for the kernel.
const (
	maxNesting    = 64
	maxFolderPath = 2000
)

// lookShare is the least ratio of the pause between two measurements to the duration of one.
const lookShare = 20

// outputTooLarge is the cause with which a run's context ends when it exceeds its output limit.
type outputTooLarge struct {
	limit int64
	usage usage
}

func (e outputTooLarge) Error() string { return "too much output" }

// advice says which file grew and what to do about it.
func (e outputTooLarge) advice() string {
	if e.usage.files > maxFiles {
		return fmt.Sprintf("A run may write at most %d files and folders. Write the outputs to fewer of them, or simulate a shorter interval.",
			maxFiles)
	}
	if e.usage.deep {
		return fmt.Sprintf("A run may nest %d folders, with paths of %d bytes. Write the outputs to fewer of them.",
			maxNesting, maxFolderPath)
	}
	file := e.usage.largest
	if file == "" {
		file = "a file without a name"
	}
	return fmt.Sprintf("A run may write %d MiB; %d MiB were in %s. Request fewer outputs or a longer period between their entries, "+
		"or simulate a shorter interval.", e.limit>>20, e.usage.most>>20, file)
}

// usage is what a run occupies on disk.
type usage struct {
	bytes   int64  // holes in files included: the object store does not keep them
	files   int    // with a name, and folders
	largest string // path of the largest file, below its folder; empty for one without a name
	most    int64  // bytes of that file
	deep    bool   // some folders are deeper than they may be, and not counted
}

// child is what runs: SUMO, or a program with all that it has started.
type child interface {
	Pids() []int
	Done() <-chan struct{}
	Kill()
}

// alone is a SUMO, which is one process.
type alone struct{ *process.Process }

func (a alone) Pids() []int { return []int{a.Pid()} }

// keepQuota measures what a run has written until SUMO ends. It calls exceed when the run passes its limit, and kills a SUMO that
// keeps writing.
func (r Run) keepQuota(child child, exceed func(error)) {
	if r.Output == 0 {
		return
	}
	for pause := quotaEvery; ; {
		select {
		case <-child.Done():
			return
		case <-time.After(pause):
		}
		began := time.Now()
		r.states.trim(filepath.Join(r.Work, runFolder))
		u := r.usage(child.Pids()...)
		if r.over(u) {
			exceed(outputTooLarge{r.Output, u})
		}
		if u.bytes > r.fileLimit()+hardMargin || u.files > 2*maxFiles || u.deep {
			child.Kill()
		}
		pause = max(quotaEvery, lookShare*time.Since(began))
	}
}

// checkQuota measures once more what has ended: it may have passed the limit since the last measurement, or ended at the largest file size.
func (r Run) checkQuota(f *fate) {
	r.states.trim(filepath.Join(r.Work, runFolder))
	if f.stop != "" {
		return
	}
	if u := r.usage(); r.over(u) {
		f.exceeded(outputTooLarge{r.Output, u})
	}
}

// exceeded records that the run was stopped for its output, or would have been.
func (f *fate) exceeded(e outputTooLarge) {
	f.stop, f.stopAdvice = simulation.OutputTooLarge, e.advice()
}

func (r Run) over(u usage) bool {
	return r.Output > 0 && (u.bytes > r.Output || u.files > maxFiles || u.deep)
}

// blockSize is the unit of stat(2)'s blocks, whatever the file system's own is.
const blockSize = 512

// usage adds up the files in the run's folders and the unlinked files that processes have open, which occupy the disk until they are
// closed.
func (r Run) usage(pids ...int) usage {
	var u usage
	var folders int64 // bytes
	add := func(n int64, name string) {
		u.bytes += n
		if n > u.most {
			u.largest, u.most = name, n
		}
	}
	for _, folder := range r.writable() {
		root, err := os.OpenRoot(filepath.Join(r.Work, folder))
		if err != nil {
			continue
		}
		// Unreadable entries have just been renamed.
		_ = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil
			}
			if d.IsDir() && (strings.Count(name, "/") >= maxNesting || len(name) > maxFolderPath) {
				u.deep = true
				return fs.SkipDir
			}
			info, err := d.Info()
			if err != nil {
				return nil
			}
			r.open(root, name, info)
			switch {
			case d.Type().IsRegular():
				u.files++
				add(sizeOf(info), name)
			case d.IsDir() && name != ".":
				u.files++
				folders += sizeOf(info)
			}
			return nil
		})
		root.Close()
	}
	add(folders, "folders")
	add(r.recording.size(), "the recording")
	type file struct{ device, inode uint64 }
	seen := map[file]bool{} // processes may share one
	for _, pid := range pids {
		descriptors := "/proc/" + strconv.Itoa(pid) + "/fd"
		entries, _ := os.ReadDir(descriptors) // none when it has just ended
		for _, entry := range entries {
			info, err := os.Stat(filepath.Join(descriptors, entry.Name()))
			if err != nil || !info.Mode().IsRegular() {
				continue
			}
			stat := info.Sys().(*syscall.Stat_t)
			if which := (file{stat.Dev, stat.Ino}); stat.Nlink == 0 && !seen[which] {
				seen[which] = true
				add(sizeOf(info), "")
			}
		}
	}
	return u
}

// open lets everybody read a file or folder that a program has made for itself, or for nobody: another user may store the results, and what
// is in a folder that cannot be read does not count. The wall lets no program change modes.
func (r Run) open(root *os.Root, name string, info fs.FileInfo) {
	mode := fs.FileMode(0o444)
	if info.IsDir() {
		mode = 0o755
	}
	if has := info.Mode().Perm(); r.hasProgram() && (info.IsDir() || info.Mode().IsRegular()) && has&mode != mode {
		_ = root.Chmod(name, has|mode) // it may have just been renamed
	}
}

// sizeOf is what a file occupies, in bytes.
func sizeOf(info fs.FileInfo) int64 {
	return max(info.Size(), info.Sys().(*syscall.Stat_t).Blocks*blockSize)
}

// occupied is what the files below a folder occupy, in bytes.
func occupied(folder string) (bytes int64) {
	_ = filepath.WalkDir(folder, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				bytes += sizeOf(info)
			}
		}
		return nil // what cannot be read is not counted
	})
	return bytes
}

// fileLimit is the largest size of a single file, which the kernel enforces, in bytes; 0 for no limit.
func (r Run) fileLimit() int64 { return r.Output + r.Output/fileMargin }
