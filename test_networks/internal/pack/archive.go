package main

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"time"
)

// file is one entry of an archive.
type file struct {
	name   string // with slashes
	data   []byte
	mode   fs.FileMode // 0 is an ordinary file
	stored bool        // not compressed
}

// packedAt is the time of every entry: the earliest that a zip can hold. Any fixed time would do.
var packedAt = time.Date(1980, time.January, 1, 0, 0, 0, 0, time.UTC)

// generatedOn matches the comments in which SUMO's tools write the date, the command line and temporary paths.
var generatedOn = regexp.MustCompile(`(?s)\s*<!-- generated on .*?-->`)

// readFolder returns the files below dir in the order of their names, without what differs between two builds.
func readFolder(dir string) ([]file, error) {
	var files []file
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if path.Ext(name) == ".gz" {
			if data, err = gunzip(data); err != nil {
				return err
			}
			data = gzipped(generatedOn.ReplaceAll(data, nil))
		} else {
			data = generatedOn.ReplaceAll(data, nil)
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		files = append(files, file{name: filepath.ToSlash(rel), data: data})
		return nil
	})
	return files, err
}

// pack returns a zip of files. The same files give the same bytes, as long as Go's deflate stays as it is.
func pack(files []file) []byte {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range files {
		header := &zip.FileHeader{Name: f.name, Modified: packedAt, Method: zip.Deflate}
		if f.stored {
			header.Method = zip.Store
		}
		header.SetMode(0o644)
		if f.mode != 0 {
			header.SetMode(f.mode)
		}
		entry := must(w.CreateHeader(header))
		must(entry.Write(f.data))
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

func gzipped(data []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	must(w.Write(data))
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

func gunzip(data []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// must is for writing to memory, which cannot fail.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
