package run

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/gz"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// incomplete returns those of the named files below out that are not complete, and adds a note on each that cannot be read to left.
func (left *kept) incomplete(out string, names []string) (broken []string) {
	for _, name := range names {
		switch whole, err := complete(filepath.Join(out, name)); {
		case errors.Is(err, gz.ErrExpands):
			left.notes = append(left.notes, fmt.Sprintf("Nothing is read from %s, which is among the results: %v.", name, err))
		case !whole:
			broken = append(broken, name)
		}
	}
	return broken
}

// parquet is how a file in that format begins and ends.
const parquet = "PAR1"

// complete reports whether an output is all there: one in XML ends with the end of its root element, one in Parquet as it begins, and
// a compressed one passes gzip's checks. What looks like none of these counts as complete, since nothing shows a cut; but an empty file
// under a name of these is a cut one. The error says why the file could not be read.
func complete(name string) (bool, error) {
	plain, compressed := strings.CutSuffix(name, ".gz")
	e, err := readEnds(name, compressed)
	if err != nil {
		return false, err
	}
	switch {
	case bytes.HasPrefix(e.head, []byte(parquet)):
		return len(e.tail) > len(parquet) && bytes.HasSuffix(e.tail, []byte(parquet)), nil
	case len(e.head) == 0:
		return !slices.Contains([]string{".xml", ".csv", ".parquet"}, path.Ext(plain)), nil
	case path.Ext(plain) != ".xml" || e.head[0] != '<': // by its option, SUMO writes CSV under any name
		return true, nil
	}
	root := rootName(e.head)
	tail := bytes.TrimRight(e.tail, " \t\r\n")
	last := tail[max(0, bytes.LastIndexByte(tail, '<')):]
	return root != "" && (string(last) == "</"+root+">" || rootName(last) == root && bytes.HasSuffix(last, []byte("/>"))), nil
}

// ends are the first and the last bytes of a file.
type ends struct{ head, tail []byte }

// The head must reach past the comment with SUMO's whole configuration; the tail must hold the last tag.
const (
	usualHead = 16 << 10
	maxHead   = 1 << 20
	maxTail   = 4 << 10
)

func readEnds(name string, compressed bool) (*ends, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	e := &ends{}
	if compressed {
		z, err := gz.Gunzip(f)
		if err != nil {
			return nil, err
		}
		_, err = io.Copy(e, z) // a cut shows only at the very end
		return e, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	// The root is mostly near the begin.
	for _, size := range []int64{usualHead, maxHead} {
		e.head = make([]byte, min(size, info.Size()))
		if _, err := f.ReadAt(e.head, 0); err != nil {
			return nil, err
		}
		if size >= info.Size() || rootName(e.head) != "" {
			break
		}
	}
	e.tail = make([]byte, min(maxTail, info.Size()))
	_, err = f.ReadAt(e.tail, info.Size()-int64(len(e.tail)))
	return e, err
}

func (e *ends) Write(p []byte) (int, error) {
	e.head = append(e.head, p[:min(len(p), maxHead-len(e.head))]...)
	e.tail = append(e.tail, p[max(0, len(p)-maxTail):]...)
	e.tail = e.tail[max(0, len(e.tail)-maxTail):]
	return len(p), nil
}

// errFound ends a scan that has what it looks for.
var errFound = errors.New("found")

// rootName returns the name of a document's root element, or "" when head does not reach it.
func rootName(head []byte) (name string) {
	s := xml.Scanner{Element: func(e xml.Element) error {
		name = string(e.Name)
		return errFound
	}}
	_ = s.Scan(bytes.NewReader(head)) // the empty name says it
	return name
}

// listFiles returns the regular files below root, by their paths with slashes.
func listFiles(root *os.Root) ([]string, error) {
	var files []string
	err := fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, name)
		}
		return err
	})
	return files, err
}

// writeChecksums writes the SHA-256 of each result beside them, so that a download of gigabytes can be checked, even
// second-hand.
func writeChecksums(out string) error {
	root, err := os.OpenRoot(out)
	if err != nil {
		return err
	}
	defer root.Close()
	files, err := listFiles(root)
	if err != nil {
		return err
	}
	sums, buf := map[string][]byte{}, make([]byte, copyBuffer)
	for _, name := range files {
		if sums[name], err = checksum(root, name, buf); err != nil {
			return err
		}
	}
	return root.WriteFile(simulation.ChecksumFile, simulation.FormatChecksums(sums), 0o644)
}

// copyBuffer is what io.Copy allocates for each file.
const copyBuffer = 32 << 10

func checksum(root *os.Root, name string, buf []byte) ([]byte, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.CopyBuffer(h, struct{ io.Reader }{f}, buf) // else the file allocates one
	return h.Sum(nil), err
}

// removeFiles removes files that may be missing.
func removeFiles(names ...string) error {
	var errs []error
	for _, name := range names {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// move renames, or copies between file systems. As root it also takes ownership of a file that SUMO's own user wrote.
func move(from, to string) error {
	if os.Geteuid() == 0 {
		if err := os.Lchown(from, 0, os.Getegid()); err != nil {
			return err
		}
	}
	err := os.Rename(from, to)
	if !errors.Is(err, syscall.EXDEV) {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
