package sumo

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// quotaEvery is how often a run's disk space is looked at. A fast disk takes some 100 MB in that time, by which a run may
// go beyond its limit; a look at a run's few files takes tens of microseconds.
const quotaEvery = 250 * time.Millisecond

// fileMargin is how much larger than the whole limit a single file may get, as a divisor: the look comes first, so that
// SUMO can close its outputs, and the kernel's limit on the size of a file is for a SUMO that does not.
const fileMargin = 8

// outputTooLarge is the cause with which a run's context ends when it has written more than it may.
type outputTooLarge struct {
	limit int64
	usage usage
}

func (e outputTooLarge) Error() string { return "too much output" }

// advice says which file grew and what to do about it.
func (e outputTooLarge) advice() string {
	file := e.usage.largest
	if file == "" {
		file = "a file without a name"
	}
	return fmt.Sprintf("A run may write %d MiB; %d MiB were in %s. Ask for fewer outputs, for a longer period between their entries, "+
		"or simulate a shorter interval.", e.limit>>20, e.usage.most>>20, file)
}

// usage is what a run occupies on disk.
type usage struct {
	bytes   int64  // as allocated: holes in a file cost nothing
	largest string // the file that takes most of it, by its path below its folder; empty for one without a name
	most    int64  // bytes of that file
}

// keepQuota looks at the space that a run occupies until ctx ends, and calls exceed when it is too much.
func (r Run) keepQuota(ctx context.Context, pid int, exceed func(error)) {
	tick := time.NewTicker(quotaEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := r.overQuota(pid); err != nil {
			exceed(err)
			return
		}
	}
}

// overQuota returns outputTooLarge when the run has written more than it may. pid is SUMO's, or 0 once it has ended.
func (r Run) overQuota(pid int) error {
	if u := r.usage(pid); r.Output > 0 && u.bytes > r.Output {
		return outputTooLarge{r.Output, u}
	}
	return nil
}

// blockSize is the unit of stat(2)'s blocks, whatever the file system's own is.
const blockSize = 512

// usage adds up the files in the run's folders and those that SUMO has open but that have no name, because they were
// deleted or never had one: they occupy the disk until they are closed.
func (r Run) usage(pid int) usage {
	var u usage
	add := func(info fs.FileInfo, name string) {
		if !info.Mode().IsRegular() {
			return
		}
		n := info.Sys().(*syscall.Stat_t).Blocks * blockSize
		u.bytes += n
		if n > u.most {
			u.largest, u.most = name, n
		}
	}
	for _, folder := range []string{runFolder, resultFolder} {
		root := filepath.Join(r.Work, folder)
		// What cannot be read has just been renamed or is not ours to count.
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return nil
			}
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
		if err == nil && info.Sys().(*syscall.Stat_t).Nlink == 0 {
			add(info, "")
		}
	}
	return u
}

// fileLimit is the size beyond which the kernel lets no single file grow, in bytes; 0 for no limit.
func (r Run) fileLimit() int64 { return r.Output + r.Output/fileMargin }
