package client

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime/multipart"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// Source is a scenario's zip, which can be read each time it is sent.
type Source struct {
	Name string // of the zip
	// Open returns the zip from its beginning, and its size in bytes or -1.
	Open func() (io.ReadCloser, int64, error)
}

// File is the zip at path.
func File(path string) *Source {
	return &Source{Name: filepath.Base(path), Open: func() (io.ReadCloser, int64, error) {
		file, err := os.Open(path)
		if err != nil {
			return nil, 0, err
		}
		info, err := file.Stat()
		if err == nil && !info.Mode().IsRegular() {
			err = fmt.Errorf("%s is not a file", path)
		}
		if err != nil {
			file.Close()
			return nil, 0, err
		}
		return file, info.Size(), nil
	}}
}

// Folder is a zip of the files below the folder at path, made while it is sent. Files and folders whose names begin with a
// dot are skipped. The same files always make the same zip, so that the service stores them once.
func Folder(path string) *Source {
	return &Source{Name: filepath.Base(filepath.Clean(path)) + ".zip", Open: func() (io.ReadCloser, int64, error) {
		// The root keeps links from bringing in files from elsewhere.
		root, err := os.OpenRoot(path)
		if err != nil {
			return nil, 0, err
		}
		out, in := io.Pipe()
		go func() {
			defer root.Close()
			in.CloseWithError(writeZip(in, root))
		}()
		return out, -1, nil
	}}
}

// sourceError is a failure to read what is to be sent, which a retry does not fix.
type sourceError struct{ error }

func (e *sourceError) Unwrap() error { return e.error }

func writeZip(w io.Writer, root *os.Root) error {
	out := zip.NewWriter(w)
	err := fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name == ".":
			return nil
		case strings.HasPrefix(entry.Name(), "."):
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir():
			return nil
		}
		return addFile(out, root, name)
	})
	if errors.Is(err, io.ErrClosedPipe) {
		return err // the request has failed, and says why
	}
	if err != nil {
		return &sourceError{fmt.Errorf("packing the folder: %w", err)}
	}
	return out.Close()
}

func addFile(out *zip.Writer, root *os.Root, name string) error {
	info, err := root.Stat(name) // before it is opened: opening a pipe waits for a writer
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is neither a file nor a folder; take it out, or pack the folder yourself", name)
	}
	file, err := root.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	method := zip.Deflate
	if strings.HasSuffix(name, ".gz") {
		method = zip.Store // once is enough
	}
	entry, err := out.CreateHeader(&zip.FileHeader{Name: name, Method: method}) // without a time, which would make another zip
	if err != nil {
		return err
	}
	_, err = io.Copy(entry, file)
	return err
}

// fileField is the form's field for the zip.
const fileField = "sumo_files"

// upload sends r with a form of fields followed by the zip, and reads the answer into out. sent is called with how much of the zip is sent.
func (c *Client) upload(ctx context.Context, r request, fields url.Values, zip *Source, sent func(sent, total int64), out any) error {
	p := &progress{report: sent}
	defer p.close()
	r.body = multipartBody(fields, zip, p)
	return c.call(ctx, r, out)
}

// multipartBody is a form of fields followed by the zip, which is not held in memory. The fields come first so that the service
// can refuse them before it has taken the zip. The zip may be nil.
func multipartBody(fields url.Values, zip *Source, sent *progress) *body {
	b := &body{upload: zip != nil}
	var head, tail []byte
	write := &strings.Builder{}
	form := multipart.NewWriter(write)
	b.kind = form.FormDataContentType()
	// Writing to a strings.Builder never fails.
	for name, values := range fields {
		for _, value := range values {
			_ = form.WriteField(name, value)
		}
	}
	if zip != nil {
		_, _ = form.CreateFormFile(fileField, zip.Name)
	}
	head = []byte(write.String())
	write.Reset()
	_ = form.Close()
	tail = []byte(write.String())
	b.open = func() (io.ReadCloser, int64, error) {
		parts := []io.Reader{strings.NewReader(string(head)), strings.NewReader(string(tail))}
		size := int64(len(head) + len(tail))
		if zip == nil {
			return io.NopCloser(io.MultiReader(parts...)), size, nil
		}
		content, total, err := zip.Open()
		if err != nil {
			return nil, 0, err
		}
		counted := &countingReader{r: content, total: total, report: sent}
		if total < 0 {
			size = -1
		} else {
			size += total
		}
		return &struct {
			io.Reader
			io.Closer
		}{io.MultiReader(parts[0], counted, parts[1]), content}, size, nil
	}
	return b
}

// progress reports how far an upload is, until it is closed. The transport sends bodies from a goroutine of its own, which may
// outlast the answer for a moment.
type progress struct {
	mu     sync.Mutex
	report func(done, total int64) // nil when nobody listens
}

func (p *progress) at(done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.report != nil {
		p.report(done, total)
	}
}

func (p *progress) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report = nil
}

// countingReader reports how much of r was read.
type countingReader struct {
	r           io.Reader
	done, total int64
	report      *progress
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.done += int64(n)
	if n > 0 {
		c.report.at(c.done, c.total)
	}
	return n, err
}
