package client

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

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
	sum := sha256.New()
	d := &download{c: c, job: id, name: file.Name, w: io.MultiWriter(w, sum), patience: c.patience(true)}
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
		return fmt.Errorf("its SHA-256 is %s, and the service says %s: it was damaged on the way; fetch it again", got, file.SHA256)
	}
	return nil
}

// Save downloads one of a job's files into the folder of root, below its own name. The file appears there only when it is complete.
// got is called with how many bytes have arrived; it may be nil.
func (c *Client) Save(ctx context.Context, id string, file ResultFile, root *os.Root, got func(n int64)) error {
	return WriteFile(root, filepath.FromSlash(file.Name), func(w io.Writer) error {
		return c.Download(ctx, id, file, &countingWriter{w: w, report: got})
	})
}

// WriteFile makes the file called name, and the folders that it needs, inside root. Names may come from the service: the root
// keeps them inside. The file appears under its name only when write has succeeded.
func WriteFile(root *os.Root, name string, write func(io.Writer) error) (err error) {
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	part := name + "." + rand.Text() + ".part" // another process may write the same file just now
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
