package confine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// isolate starts a child in a mount namespace of its own. An ordinary user needs a user namespace for that, in which it is
// root.
func isolate(attr *syscall.SysProcAttr) {
	attr.Cloneflags |= syscall.CLONE_NEWNS
	if os.Geteuid() != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
}

// stage is where the new file system is assembled. It exists everywhere, and no file that a program may use lies below it.
const stage = "/proc"

// showOnlyFiles replaces the file system with an empty one in which only the program's files appear, each under its path
// outside.
func (o order) showOnlyFiles() error {
	if !o.Plan.Namespace {
		return nil
	}
	if o.Made {
		// Threads share their root and folder, as the namespace sets for this one.
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return fmt.Errorf("leaving the other threads' root: %w", err)
		}
		return unix.Setns(mountsFD, unix.CLONE_NEWNS)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	// The size is for folders and links only; writes go to the mounted folders.
	if err := unix.Mount("sumo-k8", stage, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size=1m,mode=0755"); err != nil {
		return fmt.Errorf("making an empty file system: %w", err)
	}
	read, err := onlyExisting(o.Wall.Read)
	if err != nil {
		return err
	}
	for _, path := range slices.Compact(slices.Sorted(slices.Values(read))) { // folders before what is in them
		if err := show(path, true); err != nil {
			return err
		}
	}
	for _, path := range append(slices.Clone(o.Wall.Write), os.DevNull) {
		if err := show(path, false); err != nil {
			return err
		}
	}
	if o.Wall.Program != "" {
		itself := filepath.Join(stage, self)
		if err := errors.Join(os.MkdirAll(filepath.Dir(itself), 0o755), os.Symlink(o.Wall.Program, itself)); err != nil {
			return err
		}
	}
	if err := unix.Chdir(stage); err != nil {
		return err
	}
	// With equal arguments the old root is stacked on the new one, and is then unmounted (pivot_root(2), NOTES).
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("changing the root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leaving the old root: %w", err)
	}
	return unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, "")
}

func onlyExisting(paths []string) ([]string, error) {
	var there []string
	for _, path := range paths {
		_, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		there = append(there, path)
	}
	return there, nil
}

// show makes path appear on the stage. If path is or leads through a symbolic link, the link appears too.
func show(path string, readOnly bool) error {
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	if err := bind(resolved, readOnly); err != nil {
		return fmt.Errorf("showing %s: %w", path, err)
	}
	if resolved == path {
		return nil
	}
	link := filepath.Join(stage, path)
	if _, err := os.Lstat(link); err == nil {
		return nil // within a folder that is shown
	}
	return errors.Join(os.MkdirAll(filepath.Dir(link), 0o755), os.Symlink(resolved, link))
}

func bind(path string, readOnly bool) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	target := filepath.Join(stage, path)
	if _, err := os.Stat(target); err == nil && readOnly {
		return nil // within a folder that is shown
	}
	if info.IsDir() {
		err = os.MkdirAll(target, 0o755)
	} else if err = os.MkdirAll(filepath.Dir(target), 0o755); err == nil {
		err = os.WriteFile(target, nil, 0o644)
	}
	if err != nil {
		return err
	}
	if err := unix.Mount(path, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	// In a user namespace a remount cannot clear flags that the mount has, so they must be repeated.
	var now unix.Statfs_t
	if err := unix.Statfs(target, &now); err != nil {
		return err
	}
	flags := uintptr(now.Flags)&(unix.MS_NODEV|unix.MS_NOEXEC|unix.MS_NOATIME|unix.MS_NODIRATIME) | unix.MS_NOSUID
	if info.Mode()&os.ModeDevice == 0 {
		flags |= unix.MS_NODEV
	}
	if readOnly {
		flags |= unix.MS_RDONLY
	}
	return unix.Mount("", target, "", unix.MS_REMOUNT|unix.MS_BIND|flags, "")
}
