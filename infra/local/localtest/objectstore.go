package localtest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// binaryVariable names an object store that is built already, so that the tests do not build it.
const binaryVariable = "SUMO_K8_OBJECTSTORE"

// ObjectStoreBinary returns the path of the object store's program: the one named by SUMO_K8_OBJECTSTORE, or
// .local/bin/objectstore in the module's folder, which it builds when the sources are newer.
func ObjectStoreBinary(ctx context.Context) (string, error) {
	if path := os.Getenv(binaryVariable); path != "" {
		return path, nil
	}
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	source := filepath.Join(root, "infra", "local", "objectstore")
	binary, unlock, err := lockBinary(filepath.Join(root, ".local", "bin"), "objectstore")
	if err != nil {
		return "", fmt.Errorf("build the object store: %w", err)
	}
	defer unlock()
	fresh, err := newer(binary, source)
	if err != nil || fresh {
		return binary, err
	}
	cmd := command(ctx, binary, ".")
	cmd.Dir = source
	// Neither a workspace nor the flags of the module under test apply to this module.
	cmd.Env = append(cmd.Env, "GOWORK=off", "GOFLAGS=-buildvcs=false")
	if err := run(cmd); err != nil {
		return "", fmt.Errorf("build the object store: %w", err)
	}
	// The go command leaves an unchanged program's time as it is.
	now := time.Now()
	return binary, os.Chtimes(binary, now, now)
}

// newer reports whether binary exists and is newer than all files of the source folder.
func newer(binary, source string) (bool, error) {
	built, err := os.Stat(binary)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	files, err := os.ReadDir(source)
	if err != nil {
		return false, err
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			return false, err
		}
		if !info.ModTime().Before(built.ModTime()) {
			return false, nil
		}
	}
	return true, nil
}

// moduleRoot is the nearest folder above the test's working directory, which is its package's, that has the object store's
// sources.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "infra", "local", "objectstore", "main.go")); err == nil {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("the object store's sources are not above %s: name a built one in %s", dir, binaryVariable)
		}
	}
}
