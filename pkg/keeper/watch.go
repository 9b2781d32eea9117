package keeper

import (
	"context"
	"os"

	"golang.org/x/sys/unix"
)

// watch delivers a value soon after a run has begun or ended: its folder appears in the output folder, and its progress vanishes once the
// outcome is there. So the last run of a chunk, or a single one, does not wait for the next look. Where the kernel has no watch left for
// this user, it delivers nothing.
func watch(ctx context.Context, folder string) <-chan struct{} {
	changes := make(chan struct{}, 1)
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return changes
	}
	events := os.NewFile(uintptr(fd), "inotify") // nonblocking, so that closing it ends a read
	if _, err := unix.InotifyAddWatch(fd, folder, unix.IN_CREATE|unix.IN_DELETE|unix.IN_MOVED_TO|unix.IN_ONLYDIR); err != nil {
		events.Close()
		return changes
	}
	context.AfterFunc(ctx, func() { events.Close() })
	go func() {
		var buffer [4096]byte // which events there were shows when the folder is read
		for {
			if _, err := events.Read(buffer[:]); err != nil {
				return
			}
			select {
			case changes <- struct{}{}:
			default: // a value that nobody has taken yet announces this change too
			}
		}
	}()
	return changes
}
