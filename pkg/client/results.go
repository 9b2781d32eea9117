package client

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/job"
)

// Results are a job's files.
type Results struct {
	Document
	Status  job.State    `json:"status"`
	Files   []ResultFile `json:"files"`
	Partial bool         `json:"partial"` // the run stopped early, so that files end early too
	Message string       `json:"message"`
}

// ResultFile is one of them.
type ResultFile struct {
	Name        string `json:"name"` // a path with slashes
	Size        int64  `json:"size"` // bytes
	ContentType string `json:"content_type"`
	SHA256      string `json:"sha256"` // in hexadecimal; empty when the service does not know it
}

// Results lists a job's files.
func (c *Client) Results(ctx context.Context, id string) (r Results, err error) {
	err = c.call(ctx, request{method: http.MethodGet, path: jobPath(id, "/results")}, &r)
	return r, err
}

// Download copies one of a job's files to w, and checks that it is complete. A broken transfer resumes where it broke, so
// that w never gets a byte twice.
func (c *Client) Download(ctx context.Context, id string, file ResultFile, w io.Writer) error {
	return c.download(ctx, id, file, w, sha256.New(), 0)
}

// download is Download of which w has so many bytes already, with their sum.
func (c *Client) download(ctx context.Context, id string, file ResultFile, w io.Writer, sum hash.Hash, offset int64) error {
	d := &download{c: c, job: id, name: file.Name, w: io.MultiWriter(w, sum), offset: offset, patience: c.patience(true)}
	for d.offset < file.Size || d.offset == 0 {
		err := d.read(ctx)
		if err == nil {
			break
		}
		if err := d.patience.wait(ctx, err); err != nil {
			return err
		}
	}
	if d.offset != file.Size {
		return fmt.Errorf("got %d bytes of %d", d.offset, file.Size)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); file.SHA256 != "" && !strings.EqualFold(got, file.SHA256) {
		return &damaged{got, file.SHA256}
	}
	return nil
}

// damaged is a file that has arrived whole, but with other bytes.
type damaged struct{ got, want string }

func (d *damaged) Error() string {
	return fmt.Sprintf("its SHA-256 is %s, and the service says %s: it was damaged on the way; fetch it again", d.got, d.want)
}

// Save downloads one of a job's files into the folder of root, below its own name. The file appears there only when it is complete. If the
// service knows the file's sum, a file that is there is not fetched again, nor is what a process that was killed has left of it: fetched
// is false if the whole file was there. got is called with how many bytes have arrived; it may be nil.
func (c *Client) Save(
	ctx context.Context, id string, file ResultFile, root *os.Root, got func(n int64),
) (fetched bool, err error) {
	name := filepath.FromSlash(file.Name)
	if file.SHA256 == "" {
		return true, WriteFile(root, name, func(w io.Writer) error {
			return c.Download(ctx, id, file, &countingWriter{w: w, report: got})
		})
	}
	if file.IsIn(root) {
		return false, nil
	}
	if err := beginFile(root, name); err != nil {
		return false, err
	}
	// All that write a part of this name write the same bytes to the same places.
	part := name + "." + file.SHA256[:min(len(file.SHA256), 26)] + partEnding
	for {
		resumed, err := c.savePart(ctx, id, file, root, part, got)
		if _, wrong := errors.AsType[*damaged](err); wrong && resumed { // what the other process has left may be
			_, err = c.savePart(ctx, id, file, root, part, got)
		}
		if err != nil {
			return false, err
		}
		// Another process may have completed the same part, or given up and removed it.
		if err = root.Rename(part, name); !errors.Is(err, fs.ErrNotExist) {
			return true, err
		}
		if file.IsIn(root) {
			return true, nil
		}
	}
}

// IsIn reports whether the file has been saved in the folder of root. Its size alone does not say so: the run may have been made again
// since, and files such as sha256sums.txt are as long as before then.
func (f ResultFile) IsIn(root *os.Root) bool {
	name := filepath.FromSlash(f.Name)
	info, err := root.Stat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() != f.Size {
		return false
	}
	if f.SHA256 == "" {
		return true
	}
	file, err := root.Open(name)
	if err != nil {
		return false
	}
	defer file.Close()
	sum := sha256.New()
	_, err = io.Copy(sum, file)
	return err == nil && strings.EqualFold(hex.EncodeToString(sum.Sum(nil)), f.SHA256)
}

// savePart completes the file called part, which it removes if it cannot, and reports whether a beginning was there.
func (c *Client) savePart(
	ctx context.Context, id string, file ResultFile, root *os.Root, part string, got func(n int64),
) (resumed bool, err error) {
	if info, err := root.Lstat(part); err == nil && !info.Mode().IsRegular() {
		return false, fmt.Errorf("%s is no file: remove it, and fetch the results again", part)
	}
	f, err := root.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return false, err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, root.Remove(part))
		}
	}()
	sum := sha256.New()
	have, err := io.Copy(sum, f)
	if err == nil && have > file.Size {
		sum.Reset()
		have, err = 0, errors.Join(f.Truncate(0), rewind(f))
	}
	if err != nil {
		return false, err
	}
	return have > 0, c.download(ctx, id, file, &countingWriter{w: f, done: have, report: got}, sum, have)
}

func rewind(f *os.File) error {
	_, err := f.Seek(0, io.SeekStart)
	return err
}

const (
	// partEnding ends the name of a file that is not complete.
	partEnding = ".part"
	// partAbandoned is how long nobody has written to a part whose process is gone: far longer than any transfer is waited for.
	partAbandoned = 24 * time.Hour
)

// beginFile makes the folders that the file called name needs, and removes what processes that were killed have left of it.
func beginFile(root *os.Root, name string) error {
	folder := filepath.Dir(name)
	if err := root.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	f, err := root.Open(folder)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		entries, err := f.ReadDir(1000)
		for _, e := range entries {
			middle, ours := strings.CutPrefix(e.Name(), filepath.Base(name)+".")
			middle, unfinished := strings.CutSuffix(middle, partEnding)
			if !ours || !unfinished || !partName.MatchString(middle) {
				continue
			}
			if info, err := e.Info(); err == nil && info.Mode().IsRegular() && time.Since(info.ModTime()) > partAbandoned {
				_ = root.Remove(filepath.Join(folder, e.Name())) // another process may have done so
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// partName is what parts have between the name of the file and the ending: the beginning of a sum, or a random text.
var partName = regexp.MustCompile(`^([0-9a-fA-F]{26}|[A-Z2-7]{26})$`)

// WriteFile makes the file called name, and the folders that it needs, inside root. Names may come from the service: the root
// keeps them inside. The file appears under its name only when write has succeeded.
func WriteFile(root *os.Root, name string, write func(io.Writer) error) (err error) {
	if err := beginFile(root, name); err != nil {
		return err
	}
	part := name + "." + rand.Text() + partEnding // another process may write the same file just now
	file, err := root.Create(part)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, root.Remove(part))
		}
	}()
	err = write(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return root.Rename(part, name)
}

// countingWriter reports how much was written to w.
type countingWriter struct {
	w      io.Writer
	done   int64
	report func(done int64)
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.done += int64(n)
	if c.report != nil {
		c.report(c.done)
	}
	return n, err
}

// download is the transfer of one file, in one piece or several.
type download struct {
	c         *Client
	job, name string
	w         io.Writer
	offset    int64 // bytes that w has
	patience  *patience
}

// read asks the service for a link, which works only for a while, and reads what is missing behind it.
func (d *download) read(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	link, err := d.link(ctx)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, link, nil)
	if err != nil {
		return errors.New("the service gave a link that cannot be read")
	}
	want := http.StatusOK
	if d.offset > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.offset))
		want = http.StatusPartialContent
	}
	resp, err := d.c.do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode/100 != 2:
		return refusal(resp)
	case resp.StatusCode != want:
		return fmt.Errorf("%s answered %d to a request for the rest of the file", described(req), resp.StatusCode)
	}
	body := watch(resp.Body, cancel)
	defer body.stop()
	n, err := io.Copy(&writeErrors{d.w}, body)
	d.offset += n
	if n > 0 {
		d.patience.rewarded()
	}
	var local *sourceError
	switch {
	case errors.As(err, &local):
		return local.error
	case err != nil:
		return d.c.unreachable(ctx, req, fmt.Errorf("the download broke off: %w", err))
	case resp.ContentLength >= 0 && n < resp.ContentLength:
		return d.c.unreachable(ctx, req, io.ErrUnexpectedEOF)
	}
	return nil
}

// link asks the service for the file's address, to which the key is not sent.
func (d *download) link(ctx context.Context) (string, error) {
	names := strings.Split(d.name, "/")
	for i, name := range names {
		names[i] = url.PathEscape(name)
	}
	resp, err := d.c.sendAny(ctx, request{method: http.MethodGet, path: jobPath(d.job, "/results/"+strings.Join(names, "/"))})
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 3 {
		return "", refusal(resp)
	}
	target, err := resp.Location()
	if err != nil {
		return "", fmt.Errorf("%s answered %d without a readable link", described(resp.Request), resp.StatusCode)
	}
	return target.String(), nil
}

// writeErrors marks a failure to write, which has nothing to do with the service.
type writeErrors struct{ io.Writer }

func (w *writeErrors) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if err != nil {
		err = &sourceError{err}
	}
	return n, err
}

// DownloadZip copies a zip of all of a job's files to w. It cannot be resumed. got is called with how many bytes have arrived; it
// may be nil.
func (c *Client) DownloadZip(ctx context.Context, id string, w io.Writer, got func(n int64)) error {
	r := request{method: http.MethodGet, path: jobPath(id, "/results.zip")}
	return c.copy(ctx, r, &countingWriter{w: w, report: got})
}

// copy copies the answer to r to w as it arrives. Once it has begun it cannot be repeated.
func (c *Client) copy(ctx context.Context, r request, w io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p := c.patience(true)
	for {
		resp, err := c.send(ctx, r)
		if err != nil {
			if err := p.wait(ctx, err); err != nil {
				return err
			}
			continue
		}
		defer resp.Body.Close()
		body := watch(resp.Body, cancel)
		defer body.stop()
		_, err = io.Copy(&writeErrors{w}, body)
		var local *sourceError
		switch {
		case errors.As(err, &local):
			return local.error
		case err != nil:
			return c.unreachable(ctx, resp.Request, fmt.Errorf("the download broke off: %w", err))
		}
		return nil
	}
}
