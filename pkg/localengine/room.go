package localengine

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// leastRoom is what one larger run writes in a few minutes. With less, runs end for want of space, and so does Postgres where it
// has its data on the same disk.
const leastRoom = 1 << 30

// Room answers nil when the disk that holds dir has room for more runs.
func Room(dir string) error { return room(dir, leastRoom) }

func room(dir string, least uint64) error {
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		return fmt.Errorf("reading the free space of the disk: %w", err)
	}
	const mib = 1 << 20
	block := uint64(disk.Bsize)
	// What is kept back for root is of no use to Postgres, which never runs as root.
	if free := disk.Bavail * block; free < least {
		return fmt.Errorf("the disk has %d MiB left of %d MiB, and runs need at least %d MiB; free some space", free/mib, disk.Blocks*block/mib, least/mib)
	}
	return nil
}
