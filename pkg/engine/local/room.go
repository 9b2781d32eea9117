package local

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// leastRoom, in bytes, is what one larger run writes in a few minutes. With less, runs fail, and so does Postgres if its data is on
// the same disk.
const leastRoom = 1 << 30

// Room returns nil when the disk that holds dir has at least 1 GiB free for more runs, else an error for operators.
func Room(dir string) error { return room(dir, leastRoom) }

func room(dir string, least uint64) error {
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		return fmt.Errorf("reading the free space of the disk: %w", err)
	}
	const mib = 1 << 20
	block := uint64(disk.Bsize)
	// Bavail rather than Bfree: Postgres never runs as root and cannot use the blocks reserved for it.
	if free := disk.Bavail * block; free < least {
		return fmt.Errorf("the disk has %d MiB left of %d MiB, and runs need at least %d MiB; free some space",
			free/mib, disk.Blocks*block/mib, least/mib)
	}
	return nil
}
