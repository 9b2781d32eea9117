package sumo

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/process"
)

// quotaEvery is how often a run's disk space is looked at. A fast disk takes some 100 MB in that time, by which a run may
// go beyond its limit; a look at a run's few files takes tens of microseconds.
const quotaEvery = 250 * time.Millisecond

// fileMargin is how much larger than the whole limit a single file may get, as a divisor: the look comes first, so that
// SUMO can close its outputs, and the kernel's limit on the size of a file is for a SUMO that does not.
const fileMargin = 8

// hardMargin is how far beyond the limit, and beyond fileMargin's part of it, a run may get until it is killed, in bytes: it is
// more than SUMO writes to close its outputs, and no more than a program that goes on regardless shall take.
const hardMargin = 256 << 20

// maxFiles is how many files a run may make: more than anybody wants to have, and few enough to be looked at again and again.
const maxFiles = 100 * maxOwnFiles

// lookShare is how many times longer than a look the wait for the next one is at least.
const lookShare = 20

// outputTooLarge is the cause with which a run's context ends when it has written more than it may.
type outputTooLarge struct {
	limit int64
	usage usage
}

func (e outputTooLarge) Error() string { return "too much output" }

// advice says which file grew and what to do about it.
func (e outputTooLarge) advice() string {
	if e.usage.files > maxFiles {
		return fmt.Sprintf("A run may write at most %d files. Write the outputs to fewer files, or simulate a shorter interval.", maxFiles)
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
	bytes   int64  // holes in a file count: it has none any more where results are stored
	files   int    // with a name
	largest string // the file that takes most of it, by its path below its folder; empty for one without a name
	most    int64  // bytes of that file
}

// keepQuota looks at what a run has written until SUMO has ended, calls exceed when it is too much, and kills a SUMO that goes
// on nevertheless.
func (r Run) keepQuota(child *process.Process, exceed func(error)) {
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
		u := r.usage(child.Pid())
		if r.over(u) {
			exceed(outputTooLarge{r.Output, u})
		}
		if u.bytes > r.fileLimit()+hardMargin || u.files > 2*maxFiles {
			child.Kill()
		}
		pause = max(quotaEvery, lookShare*time.Since(began))
	}
}

func (r Run) over(u usage) bool { return r.Output > 0 && (u.bytes > r.Output || u.files > maxFiles) }

// blockSize is the unit of stat(2)'s blocks, whatever the file system's own is.
const blockSize = 512

// usage adds up the files in the run's folders and those that SUMO has open but that have no name, because they were
// deleted or never had one: they occupy the disk until they are closed.
func (r Run) usage(pid int) usage {
	var u usage
	add := func(info fs.FileInfo, name string) {
		n := max(info.Size(), info.Sys().(*syscall.Stat_t).Blocks*blockSize)
		u.bytes += n
		if n > u.most {
			u.largest, u.most = name, n
		}
	}
	for _, folder := range []string{runFolder, resultFolder} {
		root := filepath.Join(r.Work, folder)
		// What cannot be read has just been renamed or is not ours to count.
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return nil
			}
			u.files++
			if info, err := d.Info(); err == nil {
				name, _ := filepath.Rel(root, path)
				add(info, name)
			}
			return nil
		})
	}
	if pid == 0 {
		return u
	}
	descriptors := "/proc/" + strconv.Itoa(pid) + "/fd"
	entries, _ := os.ReadDir(descriptors) // none when SUMO has just ended
	for _, entry := range entries {
		info, err := os.Stat(filepath.Join(descriptors, entry.Name()))
		if err == nil && info.Mode().IsRegular() && info.Sys().(*syscall.Stat_t).Nlink == 0 {
			add(info, "")
		}
	}
	return u
}

// fileLimit is the size beyond which the kernel lets no single file grow, in bytes; 0 for no limit.
func (r Run) fileLimit() int64 { return r.Output + r.Output/fileMargin }
