package scenario

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// readSize is how much of a file is read at a time.
const readSize = 64 << 10

// archive is an opened zip whose table of contents has been checked. Contents are checked as they are read.
type archive struct {
	limits Limits
	src    *source
	files  []entry
	dirs   []string
	// rejected are names of files that are in the zip but cannot be accepted.
	rejected []string
	left     int64 // bytes that may still be unpacked
}

type entry struct {
	file *zip.File
	name string // clean, relative, with slashes
}

const (
	// ratioFloor is the unpacked size from which Limits.Ratio counts.
	ratioFloor = 4 << 20
	// directoryPerEntry bounds the zip's table of contents, which is held in memory: room for a path of 200 characters,
	// on average over all entries that are allowed.
	directoryPerEntry = 256
	// directoryBase covers what is read to find the table: the end record with the longest comment.
	directoryBase = 128 << 10
	// maxPath, maxSegment and maxFolders are what any file system takes, and deeper than anyone nests folders.
	maxPath    = 1000
	maxSegment = 255
	maxFolders = 30
)

// source reads the zip. It keeps failures of the store apart from faults of the zip, and bounds how much of the zip
// reading the table of contents may take.
type source struct {
	io.ReaderAt
	left int64 // bytes; negative is unbounded
	err  error
}

var errDirectoryTooLarge = errors.New("zip: table of contents too large")

func (s *source) ReadAt(p []byte, off int64) (int, error) {
	if s.left >= 0 {
		if s.left -= int64(len(p)); s.left < 0 {
			s.left = 0
			return 0, errDirectoryTooLarge
		}
	}
	if off < 0 { // a made-up offset in the zip
		return 0, zip.ErrFormat
	}
	n, err := s.ReaderAt.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// openArchive reads the table of contents. Faults go to rep; the error is for a zip that cannot be examined at all.
func openArchive(r io.ReaderAt, size int64, limits Limits, rep *report) (*archive, error) {
	if size > limits.Upload {
		return nil, tooLarge(bytesText(size), limits)
	}
	a := &archive{limits: limits, left: limits.Unpacked}
	a.src = &source{ReaderAt: r, left: directoryBase + int64(limits.Entries)*directoryPerEntry}
	z, err := zip.NewReader(a.src, size)
	a.src.left = -1
	switch {
	case a.src.err != nil:
		return nil, fmt.Errorf("reading the zip: %w", a.src.err)
	case errors.Is(err, errDirectoryTooLarge):
		return nil, unreadable(err, "The zip's table of contents is too large: at most %d files and folders are accepted. "+
			"Leave out what the simulation does not need.", limits.Entries)
	case err != nil && size == 0:
		return nil, unreadable(err, "The upload is empty. Send a zip with a .sumocfg file and the files that it names.")
	case err != nil:
		return nil, unreadable(err, "The upload is not a zip, or its end is missing. "+
			"Send a complete .zip (not .7z, .rar or .tar.gz) with a .sumocfg file and the files that it names.")
	}
	a.list(z, rep)
	return a, nil
}

// unreadable is the only problem reported for an upload that cannot be examined.
func unreadable(cause error, format string, args ...any) error {
	p := problem.Wrap(cause, problem.ScenarioInvalid, format, args...)
	return p.WithItems(problem.Item{Message: p.Detail})
}

// TooLarge refuses an upload whose size is known, as problem.TooLarge.
func TooLarge(size int64, limits Limits) error { return tooLarge(bytesText(size), limits) }

func tooLarge(size string, limits Limits) error {
	return problem.New(problem.TooLarge, "The zip has %s; at most %s are accepted. Leave out what the simulation does not need, "+
		"such as earlier results.", size, bytesText(limits.Upload))
}

func (a *archive) list(z *zip.Reader, rep *report) {
	if len(z.File) > a.limits.Entries {
		rep.fault("", "the zip has %d files and folders; at most %d are accepted: leave out what the simulation does not need",
			len(z.File), a.limits.Entries)
		return
	}
	known := map[string]bool{}
	folded := map[string]string{}
	var claimed uint64
	for _, f := range z.File {
		if isLitter(f.Name) {
			continue
		}
		name, fault := cleanName(f.Name)
		if fault == "" {
			fault = entryFault(f, a.limits)
		}
		if fault != "" {
			rep.fault(shown(f.Name), "%s", fault)
			a.rejected = append(a.rejected, name)
			continue
		}
		if strings.HasSuffix(f.Name, "/") {
			if name != "." {
				a.dirs = append(a.dirs, name)
			}
			continue
		}
		if known[name] {
			rep.fault(name, "is in the zip twice: keep one and make the zip again")
			continue
		}
		known[name] = true
		if other, ok := folded[strings.ToLower(name)]; ok {
			rep.warn(name, "differs from %s in upper and lower case only", other)
		}
		folded[strings.ToLower(name)] = name
		a.files = append(a.files, entry{f, name})
		// Sizes that overflow 64 bits exceed any limit.
		if claimed += f.UncompressedSize64; claimed < f.UncompressedSize64 || claimed > uint64(a.limits.Unpacked) {
			rep.fault("", "the files unpack to more than %s, which is the limit: leave out what the simulation does not need",
				bytesText(a.limits.Unpacked))
			a.files = nil
			return
		}
	}
	for _, name := range append(slices.Clone(a.dirs), namesOf(a.files)...) {
		for parent := path.Dir(name); parent != "."; parent = path.Dir(parent) {
			if known[parent] {
				rep.fault(parent, "is a file and also the folder of %s: make the zip again", name)
			}
		}
	}
	for _, dir := range a.dirs {
		if known[dir] {
			rep.fault(dir, "is a file and also a folder: make the zip again")
		}
	}
	if len(a.files) == 0 && len(rep.items) == 0 {
		rep.fault("", "the zip is empty: put a .sumocfg file and the files that it names into it")
	}
}

func namesOf(files []entry) []string {
	names := make([]string, len(files))
	for i, e := range files {
		names[i] = e.name
	}
	return names
}

// isLitter reports whether name is a file that operating systems leave in archives.
func isLitter(name string) bool {
	base := strings.ToLower(path.Base(name))
	return strings.HasPrefix(name, "__MACOSX/") || strings.Contains(name, "/__MACOSX/") || strings.HasPrefix(base, "._") ||
		base == ".ds_store" || base == "thumbs.db" || base == "desktop.ini"
}

var driveLetter = regexp.MustCompile(`^[A-Za-z]:`)

// cleanName returns the path of an entry inside the scenario, or why it has none.
func cleanName(name string) (clean, fault string) {
	switch {
	case !utf8.ValidString(name):
		return "", "the file name is in an unknown encoding: rename the file with plain letters, or " +
			"make the zip with a program that writes UTF-8 names"
	case strings.ContainsFunc(name, unicode.IsControl):
		return "", "the file name contains control characters: rename the file"
	case strings.Contains(name, `\`):
		return "", `the file name contains '\': make the zip with a program that writes '/' between folders`
	case strings.HasPrefix(name, "/"), driveLetter.MatchString(name):
		return "", "the path is absolute: zip the folder itself, with relative paths"
	case slices.Contains(strings.Split(name, "/"), ".."):
		return "", "the path contains '..': zip the folder itself, with paths inside it"
	}
	clean = path.Clean(name)
	segments := strings.Split(clean, "/")
	switch {
	case name == "":
		return "", "a file has no name: make the zip again"
	case len(clean) > maxPath || slices.ContainsFunc(segments, func(s string) bool { return len(s) > maxSegment }):
		return "", "the path is too long: use shorter names"
	case len(segments) > maxFolders:
		return "", fmt.Sprintf("the file is more than %d folders deep: move it up", maxFolders)
	case clean == "." && !strings.HasSuffix(name, "/"):
		return "", "a file has no name: make the zip again"
	}
	return clean, ""
}

const flagEncrypted = 0x1 // APPNOTE 4.4.4, bit 0

func entryFault(f *zip.File, limits Limits) string {
	isDir := strings.HasSuffix(f.Name, "/")
	switch mode := f.Mode(); {
	case mode&os.ModeSymlink != 0:
		return "is a symbolic link: put the file itself into the zip"
	case !isDir && !mode.IsRegular():
		return "is neither a file nor a folder (a device, pipe or the like): leave it out"
	case isDir:
		return ""
	case f.Flags&flagEncrypted != 0:
		return "is encrypted: make the zip without a password"
	case f.Method != zip.Store && f.Method != zip.Deflate:
		return fmt.Sprintf("is compressed with method %d, which is not supported: make the zip with the usual method (Deflate)", f.Method)
	case isBomb(f.UncompressedSize64, f.CompressedSize64, limits):
		return bombFault(limits)
	}
	return ""
}

func isBomb(unpacked, packed uint64, limits Limits) bool {
	return limits.Ratio > 0 && unpacked > ratioFloor && unpacked/uint64(limits.Ratio) >= packed
}

func bombFault(limits Limits) string {
	return fmt.Sprintf("unpacks to more than %d times its size, as only a zip bomb does: leave it out, or store it without compression",
		limits.Ratio)
}

// Why reading an entry was aborted.
var (
	errRatio = errors.New("zip: entry unpacks to more than the ratio allows")
	errTotal = errors.New("zip: entries unpack to more than the limit")
)

// entryReader unpacks one entry within the limits, whatever the headers claim. It fails for good once it has failed.
type entryReader struct {
	ctx      context.Context
	src      io.Reader
	archive  *archive
	packed   func() int64 // bytes of the packed form read so far, or its whole size
	unpacked int64
	err      error
	fail     func(error) // called with err when a limit is exceeded; may be nil
}

func (e *entryReader) Read(p []byte) (int, error) {
	if e.err == nil {
		e.err = e.ctx.Err()
	}
	if e.err != nil {
		return 0, e.err
	}
	n, err := e.src.Read(p)
	e.unpacked += int64(n)
	e.archive.left -= int64(n)
	switch {
	case e.archive.left < 0:
		e.err = errTotal
	case isBomb(uint64(e.unpacked), uint64(e.packed()), e.archive.limits):
		e.err = errRatio
	default:
		e.err = err
		return n, err
	}
	if e.fail != nil {
		e.fail(e.err)
	}
	return 0, e.err
}

// each unpacks all files, one after the other in the order of the table of contents, through visit. What visit leaves
// unread is read too, so that every checksum is checked. Faults of the archive go to rep; visit's own errors end it.
func (a *archive) each(ctx context.Context, rep *report, visit func(name string, r *entryReader) error) error {
	type extent struct {
		from, to int64
		name     string
	}
	extents := make([]extent, 0, len(a.files))
	for _, e := range a.files {
		offset, err := e.file.DataOffset()
		if err == nil {
			extents = append(extents, extent{offset, offset + int64(e.file.CompressedSize64), e.name})
			err = a.one(ctx, e, visit)
		}
		switch {
		case a.src.err != nil:
			return fmt.Errorf("reading the zip: %w", a.src.err)
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
		case errors.Is(err, errTotal):
			rep.fault(e.name, "the files unpack to more than %s, which is the limit: leave out what the simulation does not need",
				bytesText(a.limits.Unpacked))
			return nil
		case errors.Is(err, errRatio):
			rep.fault(e.name, "%s", bombFault(a.limits))
		case errors.As(err, new(*visitError)):
			return errors.Unwrap(err)
		default:
			rep.fault(e.name, "is damaged in the zip (%s): make the zip again, and check that the upload is complete",
				strings.TrimPrefix(err.Error(), "zip: "))
		}
	}
	slices.SortFunc(extents, func(x, y extent) int { return int(min(max(x.from-y.from, -1), 1)) })
	for i := 1; i < len(extents); i++ {
		if extents[i].from < extents[i-1].to {
			rep.fault(extents[i].name, "overlaps %s in the zip, as only a zip bomb does: make the zip again", extents[i-1].name)
			break // such bombs consist of hundreds
		}
	}
	return nil
}

// visitError sets a visitor's own error apart from those of the archive.
type visitError struct{ error }

func (e *visitError) Unwrap() error { return e.error }

func (a *archive) one(ctx context.Context, e entry, visit func(string, *entryReader) error) error {
	rc, err := e.file.Open()
	if err != nil {
		return err
	}
	defer rc.Close()
	r := &entryReader{ctx: ctx, src: rc, archive: a, packed: func() int64 { return int64(e.file.CompressedSize64) }}
	err = visit(e.name, r)
	switch {
	case r.err != nil && !errors.Is(r.err, io.EOF):
		return r.err
	case err != nil:
		return &visitError{err}
	}
	_, err = io.Copy(io.Discard, r)
	return err
}

// Extract unpacks the zip of size bytes into dst, which should be empty. It applies Inspect's rules for archives
// while it writes, and skips litter. It answers problem.ScenarioInvalid or problem.TooLarge for what Inspect would
// refuse too, and may then leave some of the files behind.
func Extract(ctx context.Context, r io.ReaderAt, size int64, limits Limits, dst *os.Root) error {
	var rep report
	a, err := openArchive(r, size, limits, &rep)
	if err != nil {
		return err
	}
	if err := rep.err(); err != nil {
		return err
	}
	for _, dir := range a.dirs {
		if err := dst.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("unpacking the scenario: %w", err)
		}
	}
	buf := make([]byte, readSize)
	err = a.each(ctx, &rep, func(name string, r *entryReader) error {
		if err := dst.MkdirAll(path.Dir(name), 0o755); err != nil {
			return fmt.Errorf("unpacking the scenario: %w", err)
		}
		f, err := dst.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return fmt.Errorf("unpacking the scenario: %w", err)
		}
		_, err = io.CopyBuffer(struct{ io.Writer }{f}, r, buf)
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("unpacking %s: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return rep.err()
}

// shown makes an arbitrary file name safe to show.
func shown(name string) string {
	q := quote(name)
	return q[1 : len(q)-1]
}
