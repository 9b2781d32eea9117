package disk

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSpreadIsAHint(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	switch err := Spread(dir); {
	case errors.As(err, new(*os.SyscallError)): // the file system refuses it, each with another error
		t.Log(err)
	case err != nil:
		t.Fatal(err)
	default:
		d, err := os.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		flags, err := unix.IoctlGetInt(int(d.Fd()), unix.FS_IOC_GETFLAGS)
		if err != nil || flags&topOfHierarchies == 0 {
			t.Errorf("flags %#x, %v", flags, err)
		}
	}
	// Whatever the file system thinks of it, the folder can be used.
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Error(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Error(err)
	}
	if err := Spread(filepath.Join(dir, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of a missing folder: %v", err)
	}
}
