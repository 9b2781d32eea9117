package status

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
)

func (f *Function) registerLinks(api huma.API) {
	binary := map[string]*huma.MediaType{}
	for _, media := range artifact.ContentTypes() {
		binary[media] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}
	}
	binary["application/json"].Schema = &huma.Schema{} // any value
	rest.Register(api, rest.Public, huma.Operation{
		OperationID: "get-link", Method: http.MethodGet, Path: "/links/{token}/{name}", Tags: []string{"Results"},
		Summary: "Download a small file of a study's run by its temporary link",
		Description: "Lists of results have such links; the token is the only key that is needed. Answers to HEAD, Range (one range) and " +
			"If-None-Match are those of the object store for other files.",
		Errors: []int{http.StatusForbidden, http.StatusNotFound, http.StatusRequestedRangeNotSatisfiable},
		Responses: map[string]*huma.Response{
			"200": {Description: "OK", Content: binary},
			"206": {Description: "Partial Content", Content: binary},
			"304": {Description: "Not Modified"},
		},
	}, f.linked)
}

// link is a temporary address of a result that needs no key, and works as long as f.LinkLifetime. base is the address of the service as
// the caller sees it; a link to ourselves begins with it.
func (f *Function) link(ctx context.Context, j job.Job, file job.ResultFile, base string) (string, error) {
	key, offset, size := j.Locate(file)
	if !file.Packed() {
		return f.Objects.PresignGet(ctx, key, file.Name, f.LinkLifetime)
	}
	secret, err := f.secrets.get(ctx, f)
	if err != nil {
		return "", err
	}
	to := artifact.Link{
		Key: key, Offset: offset, Size: size, Name: file.Name, SHA256: file.SHA256, Expires: f.Now().Add(f.LinkLifetime).Unix(),
	}
	return base + "/links/" + to.Sign(secret) + "/" + url.PathEscape(path.Base(file.Name)), nil
}

// secretAge is how long an instance uses the secret of links without reading it again, and so how long a rotation takes.
const secretAge = time.Minute

// secrets holds what signs links.
type secrets struct {
	mu    sync.Mutex
	links []byte
	read  time.Time
}

func (s *secrets) get(ctx context.Context, f *Function) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := f.Now(); s.links == nil || now.Sub(s.read) >= secretAge {
		secret, err := f.LinkSecret(ctx)
		if err != nil {
			return nil, err
		}
		s.links, s.read = secret, now
	}
	return s.links, nil
}

type linkRequest struct {
	Token string `path:"token" maxLength:"4000" doc:"From a list of results."`
	Name  string `path:"name" maxLength:"1000" doc:"The file's base name; programs that save what they fetch take it from there."`
}

func (f *Function) linked(ctx context.Context, in *linkRequest) (*huma.StreamResponse, error) {
	secret, err := f.secrets.get(ctx, f)
	if err != nil {
		return nil, err
	}
	to, err := artifact.ReadLink(in.Token, secret, f.Now())
	if err != nil {
		return nil, err
	}
	// Once the answer has begun, an unreachable store can only break it.
	if _, err := f.Objects.Stat(ctx, to.Key); err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		c.SetHeader("Content-Type", artifact.ContentType(to.Name))
		c.SetHeader("Content-Disposition", artifact.Disposition(path.Base(to.Name)))
		c.SetHeader("ETag", `"`+to.SHA256+`"`)
		c.SetHeader("Cache-Control", revalidate)
		part := &stretch{link: to, open: func(offset, length int64) (io.ReadCloser, error) {
			return f.Objects.Open(c.Context(), to.Key, offset, length)
		}}
		defer part.close()
		rest.ServeContent(c, part)
		if part.failed != nil {
			rest.Abort(c, part.failed)
		}
	}}, nil
}

// stretch reads a part of an object from wherever its reader seeks to, with one request for each place.
type stretch struct {
	link   artifact.Link
	open   func(offset, length int64) (io.ReadCloser, error)
	at     int64
	body   io.ReadCloser // from at; nil until it is read
	failed error         // what reading failed with
}

// Seek implements io.Seeker.
func (s *stretch) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += s.at
	case io.SeekEnd:
		offset += s.link.Size
	}
	if offset < 0 {
		return 0, errors.New("seeking before the beginning")
	}
	if offset != s.at {
		s.close()
	}
	s.at = offset
	return offset, nil
}

// Read implements io.Reader.
func (s *stretch) Read(p []byte) (n int, err error) {
	if s.at >= s.link.Size {
		return 0, io.EOF
	}
	if s.body == nil {
		if s.body, err = s.open(s.link.Offset+s.at, s.link.Size-s.at); err != nil {
			s.failed = err
			return 0, err
		}
	}
	n, err = s.body.Read(p)
	s.at += int64(n)
	switch {
	case err == io.EOF && s.at < s.link.Size: //nolint:errorlint // a Reader ends with EOF itself
		err = fmt.Errorf("the object ends %d bytes early: %w", s.link.Size-s.at, io.ErrUnexpectedEOF)
		fallthrough
	case err != nil && err != io.EOF: //nolint:errorlint // as above
		s.failed = err
	}
	return n, err
}

func (s *stretch) close() {
	if s.body != nil {
		s.body.Close()
	}
	s.body = nil
}
