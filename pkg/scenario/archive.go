package scenario

import (
	"archive/zip"
	"cmp"
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

	"golang.org/x/text/encoding/charmap"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/gz"
)

// readSize is how much of a file is read at a time.
const readSize = 64 << 10

// archive is an opened scenario whose table of contents has been checked. Contents are checked as they are read.
type archive struct {
	limits  Limits
	sources []*source
	files   []entry
	dirs    []string
	// unusable are the entries that no run may have, by name, each with the reason.
	unusable map[string]string
	left     int64 // bytes that may still be unpacked
}

// unpacksTooMuch is the fault of an archive with more than Limits.Unpacked.
const unpacksTooMuch = "the files unpack to more than %s, which is the limit: leave out what the simulation does not need"

type entry struct {
	packed
	entryName
	twice bool // an earlier entry has the same name
}

// packed is an entry of one of the zips that an archive consists of.
type packed struct {
	file  *zip.File
	layer int // 0, or 1 in an overlay
}

const (
	// ratioFloor is the unpacked size from which Limits.Ratio counts.
	ratioFloor = gz.LeastExpanded
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

// openArchive reads the table of contents. Faults go to rep; the error is for a scenario that cannot be examined at all.
func openArchive(ctx context.Context, c Content, limits Limits, rep *report) (*archive, error) {
	a := &archive{limits: limits, left: limits.Unpacked, unusable: map[string]string{}}
	if c.zip.size > limits.Upload {
		return nil, tooLarge(bytesText(c.zip.size), limits)
	}
	files, err := a.contents(c.zip)
	if err != nil {
		return nil, err
	}
	if c.overlay.ReaderAt != nil {
		o, err := a.openOverlay(ctx, c.overlay)
		if err != nil {
			return nil, err
		}
		var saved int64
		files, saved = o.over(files)
		// What is saved may be made up, but is no more than there is.
		if size := c.zip.size - min(saved, c.zip.size) + c.overlay.size; size > limits.Upload {
			return nil, tooLarge(bytesText(size), limits)
		}
	}
	a.list(files, rep)
	return a, nil
}

// contents reads the table of contents of one zip. Failures of the store come first: they make it look like no zip.
func (a *archive) contents(l layer) ([]packed, error) {
	src := &source{ReaderAt: l.ReaderAt, left: directoryBase + int64(a.limits.Entries)*directoryPerEntry}
	z, err := zip.NewReader(src, l.size)
	src.left = -1
	switch {
	case src.err != nil:
		return nil, fmt.Errorf("reading the zip: %w", src.err)
	case errors.Is(err, errDirectoryTooLarge):
		return nil, unreadable(err, "The zip's table of contents is too large: at most %d files and folders are accepted. "+
			"Leave out what the simulation does not need.", a.limits.Entries)
	case err != nil && l.size == 0:
		return nil, unreadable(err, "The upload is empty. Send a zip with a .sumocfg file and the files that it names.")
	case err != nil:
		return nil, unreadable(err, "The upload is not a zip, or its end is missing. "+
			"Send a complete .zip (not .7z, .rar or .tar.gz) with a .sumocfg file and the files that it names.")
	}
	files := make([]packed, len(z.File))
	for i, f := range z.File {
		files[i] = packed{f, len(a.sources)}
	}
	a.sources = append(a.sources, src)
	return files, nil
}

// failed returns the store's failure, if there was one.
func (a *archive) failed() error {
	for _, src := range a.sources {
		if src.err != nil {
			return fmt.Errorf("reading the zip: %w", src.err)
		}
	}
	return nil
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

// list sorts the entries into those that a run may have and the others. Only what endangers the reader itself is a fault of the
// whole zip; everything else is one when a configuration leads to it.
func (a *archive) list(files []packed, rep *report) {
	if len(files) > a.limits.Entries {
		rep.fault("", "the zip has %d files and folders; at most %d are accepted: leave out what the simulation does not need",
			len(files), a.limits.Entries)
		return
	}
	found, folders := map[string]entry{}, map[string]bool{}
	var claimed uint64
	for _, p := range files {
		f := p.file
		name, fault, hostile := nameOf(f)
		if hostile {
			rep.fault(shown(f.Name), "%s", fault)
			continue
		}
		if isLitter(name.name) || name.folder && name.name == "." {
			continue
		}
		if fault == "" {
			fault = entryFault(f, name.folder, a.limits)
		}
		// Folders that no entry is for are made for the files in them: some thousand names can stand for thirty times as many.
		for parent := path.Dir(name.name); parent != "." && !folders[parent]; parent = path.Dir(parent) {
			folders[parent] = true
		}
		if len(folders) > a.limits.Entries {
			rep.fault("", "the zip has files in more than %d folders: leave out what the simulation does not need", a.limits.Entries)
			return
		}
		if fault != "" {
			delete(found, name.name)
			a.unusable[name.name] = fault
			continue
		}
		if name.folder {
			a.dirs = append(a.dirs, name.name)
			continue
		}
		_, twice := found[name.name]
		delete(a.unusable, name.name)
		found[name.name] = entry{p, name, twice} // unzip leaves the last one, too
		// Sizes that overflow 64 bits exceed any limit.
		if claimed += f.UncompressedSize64; claimed < f.UncompressedSize64 || claimed > uint64(a.limits.Unpacked) {
			rep.fault("", unpacksTooMuch, bytesText(a.limits.Unpacked))
			return
		}
	}
	folded := map[string]string{}
	for _, p := range files { // in the order of the zip
		name, _, _ := nameOf(p.file)
		e, ok := found[name.name]
		if !ok || e.packed != p {
			continue
		}
		if parent := parentIn(name.name, func(parent string) bool { _, is := found[parent]; return is }); parent != "" {
			a.unusable[name.name] = "cannot be unpacked, because " + quote(parent) + " is a file and not a folder: make the zip again"
			continue
		}
		if other, ok := folded[strings.ToLower(name.name)]; ok {
			rep.warn(name.name, "differs from %s in upper and lower case only", other)
		}
		folded[strings.ToLower(name.name)] = name.name
		a.files = append(a.files, e)
	}
	a.dirs = slices.DeleteFunc(a.dirs, func(dir string) bool {
		isFile := func(name string) bool { _, is := found[name]; return is }
		return isFile(dir) || parentIn(dir, isFile) != ""
	})
}

// byName returns all entries but folders. Those that are unusable have no file.
func (a *archive) byName() map[string]entry {
	entries := make(map[string]entry, len(a.files)+len(a.unusable))
	for name := range a.unusable {
		entries[name] = entry{entryName: entryName{name: name}}
	}
	for _, e := range a.files {
		entries[e.name] = e
	}
	return entries
}

// there reports whether e is an entry, usable or not; the zero entry is none.
func (e entry) there() bool { return e.name != "" }

// parentIn returns the outermost folder of name for which is holds, or "".
func parentIn(name string, is func(parent string) bool) (outermost string) {
	for parent := path.Dir(name); parent != "."; parent = path.Dir(parent) {
		if is(parent) {
			outermost = parent
		}
	}
	return outermost
}

// isLitter reports whether name is a file that operating systems leave in archives.
func isLitter(name string) bool {
	base := strings.ToLower(path.Base(name))
	return strings.HasPrefix(name, "__MACOSX/") || strings.Contains(name, "/__MACOSX/") || strings.HasPrefix(base, "._") ||
		base == ".ds_store" || base == "thumbs.db" || base == "desktop.ini"
}

var driveLetter = regexp.MustCompile(`^[A-Za-z]:`)

// entryName is the name of an entry, and what else it may have been meant to be.
type entryName struct {
	name string // clean, relative, with slashes
	// other is the name in the other code page that programs for DOS and Windows write; empty where that is the same.
	other  string
	folder bool
}

// nameOf returns an entry's path inside the scenario, or why it has none. A hostile name is one that points outside: no program
// makes it by accident.
func nameOf(f *zip.File) (n entryName, fault string, hostile bool) {
	texts := []string{f.Name}
	if f.NonUTF8 && !utf8.ValidString(f.Name) {
		// APPNOTE, appendix D, says code page 437; DOS and Windows write that of the country, which in Western Europe is 850.
		texts = texts[:0]
		for _, page := range []*charmap.Charmap{charmap.CodePage850, charmap.CodePage437} {
			text, err := page.NewDecoder().String(f.Name)
			if err != nil {
				text = f.Name
			}
			texts = append(texts, text)
		}
	}
	var clean [2]string
	for i, text := range texts {
		// Windows programs that do not know the format write their own separator; unzip reads it as ours.
		text = strings.ReplaceAll(text, `\`, "/")
		n.folder = strings.HasSuffix(text, "/")
		if clean[i], fault, hostile = cleanName(text); hostile {
			return n, fault, true
		}
	}
	n.name = clean[0]
	if clean[1] != clean[0] {
		n.other = clean[1]
	}
	return n, fault, false
}

// cleanName returns the path of an entry inside the scenario, or why it has none.
func cleanName(name string) (clean, fault string, hostile bool) {
	switch {
	case strings.HasPrefix(name, "/"), driveLetter.MatchString(name):
		return "", "the path is absolute: zip the folder itself, with relative paths", true
	case slices.Contains(strings.Split(name, "/"), ".."):
		return "", "the path contains '..': zip the folder itself, with paths inside it", true
	}
	clean = path.Clean(name)
	segments := strings.Split(clean, "/")
	switch {
	case !utf8.ValidString(name):
		return clean, "the file name is in an unknown encoding: rename the file with plain letters, or " +
			"make the zip with a program that writes UTF-8 names", false
	case strings.ContainsFunc(name, unicode.IsControl):
		return clean, "the file name contains control characters: rename the file", false
	case len(clean) > maxPath || slices.ContainsFunc(segments, func(s string) bool { return len(s) > maxSegment }):
		return clean, "the path is too long: use shorter names", false
	case len(segments) > maxFolders:
		return clean, fmt.Sprintf("the file is more than %d folders deep: move it up", maxFolders), false
	case clean == "." && !strings.HasSuffix(name, "/"):
		return clean, "a file has no name: make the zip again", false
	}
	return clean, "", false
}

const flagEncrypted = 0x1 // APPNOTE 4.4.4, bit 0

func entryFault(f *zip.File, isDir bool, limits Limits) string {
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

// each unpacks the files that are wanted, one after the other in the order of the table of contents, through visit. What visit
// leaves unread is read too, so that every checksum is checked. Faults of one file go to damaged, those of the archive to rep; visit's
// own errors end it.
func (a *archive) each(
	ctx context.Context, rep *report, wanted func(name string) bool, visit func(name string, r *entryReader) error,
	damaged func(name, fault string),
) error {
	type extent struct {
		layer    int
		from, to int64
		name     string
	}
	extents := make([]extent, 0, len(a.files))
	for _, e := range a.files {
		offset, err := e.file.DataOffset()
		if err == nil {
			extents = append(extents, extent{e.layer, offset, offset + int64(e.file.CompressedSize64), e.name})
			if wanted(e.name) {
				err = a.one(ctx, e, visit)
			}
		}
		failed := a.failed()
		switch {
		case failed != nil:
			return failed
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
		case errors.Is(err, errTotal):
			rep.fault(e.name, unpacksTooMuch, bytesText(a.limits.Unpacked))
			return nil
		case errors.Is(err, errRatio):
			damaged(e.name, bombFault(a.limits))
		case errors.As(err, new(*visitError)):
			return errors.Unwrap(err)
		default:
			damaged(e.name, fmt.Sprintf("is damaged in the zip (%s): make the zip again, and check that the upload is complete",
				strings.TrimPrefix(err.Error(), "zip: ")))
		}
	}
	slices.SortFunc(extents, func(x, y extent) int { return cmp.Or(cmp.Compare(x.layer, y.layer), cmp.Compare(x.from, y.from)) })
	for i := 1; i < len(extents); i++ {
		if extents[i].layer == extents[i-1].layer && extents[i].from < extents[i-1].to {
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

// Extract unpacks those of the files in c that are in files, such as Config.Reads, into dst, which should be empty; nil stands for all
// that are usable, with their folders. It applies Inspect's rules for archives while it writes. It answers
// problem.ScenarioInvalid or problem.TooLarge for what Inspect would refuse too, and may then leave some of the files behind.
func Extract(ctx context.Context, c Content, limits Limits, dst *os.Root, files []string) error {
	var rep report
	a, err := openArchive(ctx, c, limits, &rep)
	if err != nil {
		return err
	}
	chosen := map[string]bool{}
	for _, name := range files {
		chosen[name] = true
		if fault := a.unusable[name]; fault != "" {
			rep.fault(name, "%s", fault)
		}
	}
	if err := rep.err(); err != nil {
		return err
	}
	if files == nil {
		for _, dir := range a.dirs {
			if err := dst.MkdirAll(dir, 0o755); err != nil {
				return fmt.Errorf("unpacking the scenario: %w", err)
			}
		}
	}
	buf := make([]byte, readSize)
	err = a.each(ctx, &rep, func(name string) bool { return files == nil || chosen[name] }, func(name string, r *entryReader) error {
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
	}, func(name, fault string) { rep.fault(name, "%s", fault) })
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
