package local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/gofrs/flock"
)

// held keeps locks reachable: the garbage collector closes an unreferenced file, which would release its lock.
var held sync.Map

// Lock claims the data folder dir, which it makes when missing, until unlock is called or this process ends. Two servers
// on one folder would corrupt each other's work, so a folder that is claimed already is an error that names the holder.
func Lock(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	// The file stays: removing it would let a second process lock it while a third makes a new one.
	lock := flock.New(filepath.Join(dir, "lock"))
	free, err := lock.TryLock()
	if err == nil && !free {
		holder, _ := os.ReadFile(lock.Path())
		err = fmt.Errorf("the process with pid %s uses it: stop that process, or choose another folder", strings.TrimSpace(string(holder)))
	}
	if err == nil {
		err = os.WriteFile(lock.Path(), fmt.Appendln(nil, os.Getpid()), 0o600)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock the data folder %s: %w", dir, err), lock.Unlock())
	}
	held.Store(lock, nil)
	return func() {
		held.Delete(lock)
		_ = lock.Unlock() // the end of the process releases it in any case
	}, nil
}
