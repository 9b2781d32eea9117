package local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Lock claims the data folder dir, which it makes when missing, until unlock is called or this process ends. Two servers
// on one folder would corrupt each other's work, so a folder that is claimed already is an error that names the holder.
func Lock(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	path := filepath.Join(dir, "lock")
	// A plain descriptor: an os.File that the caller does not keep would be closed, and the folder unlocked, by the garbage
	// collector.
	fd, err := syscall.Open(path, syscall.O_RDWR|syscall.O_CREAT|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: open %s: %w", path, err)
	}
	err = syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		holder, _ := os.ReadFile(path)
		err = fmt.Errorf("the process with pid %s uses it: stop that one, or choose another folder", strings.TrimSpace(string(holder)))
	} else if err == nil {
		err = syscall.Ftruncate(fd, 0)
	}
	if err == nil {
		_, err = syscall.Pwrite(fd, fmt.Appendln(nil, os.Getpid()), 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock the data folder %s: %w", dir, err), syscall.Close(fd))
	}
	// The file stays when we are done: removing it would let a second process lock it while a third makes a new one.
	return func() {
		// Closing alone would leave the lock to a process that is being started just now: until its exec it has all of our
		// descriptors.
		_ = syscall.Flock(fd, syscall.LOCK_UN)
		syscall.Close(fd)
	}, nil
}
