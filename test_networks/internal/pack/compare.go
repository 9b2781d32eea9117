package main

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// compare names the zips that are in one of two folders only, or whose contents differ.
func compare(oldDir, newDir string) error {
	before, err := contents(oldDir)
	if err != nil {
		return err
	}
	after, err := contents(newDir)
	if err != nil {
		return err
	}
	names := slices.Collect(maps.Keys(before))
	for name := range after {
		if _, ok := before[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var differ []error
	for _, name := range names {
		if before[name] != after[name] {
			differ = append(differ, fmt.Errorf("%s differs: run generate.sh and commit the result", name))
		}
	}
	return errors.Join(differ...)
}

// contents describes each zip in the folders of dir, by path.
func contents(dir string) (map[string]string, error) {
	found := map[string]string{}
	for _, folder := range []string{readyFolder, brokenFolder} {
		names, err := filepath.Glob(filepath.Join(dir, folder, "*.zip"))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				return nil, err
			}
			if found[path.Join(folder, filepath.Base(name))], err = describe(data); err != nil {
				return nil, fmt.Errorf("describe %s: %w", name, err)
			}
		}
	}
	return found, nil
}

// describe lists what an archive contains in a form that does not depend on the Go release that compressed it. A file
// that is not an archive on purpose is described by its bytes.
func describe(data []byte) (string, error) {
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return fmt.Sprintf("%d bytes %08x", len(data), crc32.ChecksumIEEE(data)), nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d entries\n", len(r.File)) // so that an empty archive is not the same as none
	for _, f := range r.File {
		sum := f.CRC32
		if path.Ext(f.Name) == ".gz" {
			unpacked, err := readEntry(f)
			if err != nil {
				return "", err
			}
			if unpacked, err = gunzip(unpacked); err != nil {
				return "", err
			}
			sum = crc32.ChecksumIEEE(unpacked)
		}
		fmt.Fprintf(&b, "%s %s %s %d %08x", f.Mode(), f.Modified.UTC(), f.Name, f.Method, sum)
		if path.Ext(f.Name) != ".gz" {
			fmt.Fprintf(&b, " %d", f.UncompressedSize64)
		}
		b.WriteByte('\n')
	}
	return b.String(), nil
}

func readEntry(f *zip.File) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}
