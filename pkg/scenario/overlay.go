package scenario

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// Content is what a scenario is read from: its zip, and the overlay of a derived one.
//
// An overlay is a zip that only this package writes. Its files take the place of those of the same path, or are added. Before them it has
// its record, which also names the files that are left out.
type Content struct{ zip, overlay layer }

type layer struct {
	io.ReaderAt
	size int64 // bytes
}

// Zip is the content of a scenario in one zip of size bytes.
func Zip(r io.ReaderAt, size int64) Content { return Content{zip: layer{r, size}} }

// Overlaid is c under an overlay of size bytes.
func (c Content) Overlaid(r io.ReaderAt, size int64) Content {
	c.overlay = layer{r, size}
	return c
}

// Content reads s in ranges, until ctx ends.
func (s Scenario) Content(ctx context.Context, store Opener) Content {
	c := Zip(NewReaderAt(ctx, store, s.Key, s.Size), s.Size)
	if s.OverlayKey == "" {
		return c
	}
	return c.Overlaid(NewReaderAt(ctx, store, s.OverlayKey, s.OverlaySize), s.OverlaySize)
}

// deltaName is the entry of an overlay that has its delta. It is absolute, so no file of a scenario has it.
const deltaName = "/derived.json"

// delta says how a derived scenario differs from the zip below it, and nothing else: its JSON is the same however the scenario was
// derived. The SHA-256 of that is the scenario's digest. JSON is no zip, so no uploaded scenario has the same.
type delta struct {
	Base    string            `json:"derived_from"` // the digest of the zip
	Files   map[string]string `json:"files"`        // the SHA-256 of each file in the overlay, in hexadecimal, by path
	Deleted []string          `json:"deleted"`      // files of the zip that are left out, sorted
}

// text is d's one form.
func (d delta) text() ([]byte, error) {
	if d.Files == nil {
		d.Files = map[string]string{}
	}
	if d.Deleted == nil {
		d.Deleted = []string{}
	}
	return json.Marshal(d)
}

func (d delta) empty() bool { return len(d.Files)+len(d.Deleted) == 0 }

func (d delta) equal(other delta) bool {
	return d.Base == other.Base && maps.Equal(d.Files, other.Files) && slices.Equal(d.Deleted, other.Deleted)
}

// deltaPerEntry bounds a delta: a path, whose characters JSON writes with up to six bytes, and a digest.
const deltaPerEntry = 6*maxPath + 100

// overlay is one that has been opened.
type overlay struct {
	delta delta
	files []packed
}

func (a *archive) openOverlay(ctx context.Context, l layer) (overlay, error) {
	files, err := a.contents(l)
	if err != nil {
		return overlay{}, fmt.Errorf("opening the overlay: %w", err)
	}
	if len(files) == 0 || files[0].file.Name != deltaName {
		return overlay{}, errors.New("the overlay has no delta")
	}
	o := overlay{files: files[1:]}
	r, err := files[0].file.Open()
	if err == nil {
		defer r.Close()
		// The zip below has as many entries at most, and its overlay too.
		most := 2 * int64(a.limits.Entries) * deltaPerEntry
		err = json.NewDecoder(io.LimitReader(contextReader{ctx, r}, most)).Decode(&o.delta)
	}
	if err = errors.Join(a.failed(), err); err != nil {
		return overlay{}, fmt.Errorf("reading the delta of the overlay: %w", err)
	}
	return o, nil
}

// contextReader reads until its context ends.
type contextReader struct {
	ctx context.Context
	io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// over returns the entries of below that o leaves, and its own, and the packed size of those that it replaces.
func (o overlay) over(below []packed) (files []packed, saved int64) {
	gone := make(map[string]bool, len(o.files)+len(o.delta.Deleted))
	for _, p := range o.files {
		gone[p.file.Name] = true
	}
	for _, name := range o.delta.Deleted {
		gone[name] = true
	}
	for _, p := range below {
		name, _, _ := nameOf(p.file)
		if !gone[name.name] || name.folder {
			files = append(files, p)
			continue
		}
		saved += int64(min(p.file.CompressedSize64, maxSaved))
	}
	return append(files, o.files...), saved
}

// maxSaved bounds what an entry claims to be long, so that a sum of claims cannot overflow.
const maxSaved = 1 << 40

// pack writes an overlay with d and the files that d names. Their packed bytes are copied as they are.
func (d delta) pack(ctx context.Context, w io.Writer, files map[string]*zip.File) (err error) {
	defer problem.Contain(&err)
	text, err := d.text()
	if err != nil {
		return err
	}
	z := zip.NewWriter(w)
	entry, err := z.CreateHeader(&zip.FileHeader{Name: deltaName, Method: zip.Deflate})
	if err != nil {
		return err
	}
	if _, err := entry.Write(text); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(d.Files)) {
		f := files[name]
		raw, err := f.OpenRaw()
		if err != nil {
			return err
		}
		entry, err := z.CreateRaw(&zip.FileHeader{
			Name: name, Flags: flagUTF8, Method: f.Method, CRC32: f.CRC32, CompressedSize64: f.CompressedSize64,
			UncompressedSize64: f.UncompressedSize64,
		})
		if err != nil {
			return err
		}
		if _, err := io.Copy(entry, contextReader{ctx, raw}); err != nil {
			return err
		}
	}
	return z.Close()
}

const flagUTF8 = 0x800 // APPNOTE 4.4.4, bit 11
