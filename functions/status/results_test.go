package status

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// opened is an object store whose objects are what open says. A real one cannot be made to break in the middle of one.
type opened struct {
	Objects
	open func(key string) io.Reader
}

func (o opened) Open(_ context.Context, key string, _, _ int64) (io.ReadCloser, error) {
	return io.NopCloser(o.open(key)), nil
}

func (opened) Stat(context.Context, string) (artifact.Object, error) { return artifact.Object{}, nil }

// oneJob is a record with one job in it.
type oneJob struct {
	Jobs
	found job.Job
}

func (o oneJob) Job(context.Context, string, string) (job.Job, error) { return o.found, nil }

func finishedJob(files ...job.ResultFile) job.Job {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	return job.Job{ID: "01890a5d-ac96-774b-bcce-b302099a8057", Name: "Ülm/\r\n", State: job.Succeeded, FinishedAt: &now, Results: files}
}

func TestAZipWhoseFilesCannotBeReadBreaksTheConnection(t *testing.T) {
	t.Parallel()
	whole := strings.Repeat("x", 300_000)
	for name, tt := range map[string]struct {
		second io.Reader
		whole  bool
	}{
		"all is there":            {strings.NewReader(whole), true},
		"the store breaks off":    {io.MultiReader(strings.NewReader(whole[:1000]), iotest.ErrReader(io.ErrUnexpectedEOF)), false},
		"the store has too few":   {strings.NewReader(whole[:1000]), false},
		"the store has too many":  {strings.NewReader(whole + "x"), false},
		"the store fails at once": {iotest.ErrReader(errors.New("reset")), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := opened{open: func(key string) io.Reader {
				if strings.HasSuffix(key, "b.gz") {
					return tt.second
				}
				return strings.NewReader(whole)
			}}
			size := int64(len(whole))
			found := finishedJob(job.ResultFile{Name: "a.xml", Size: size}, job.ResultFile{Name: "b.gz", Size: size})
			f := &Function{Objects: store, Now: time.Now, Jobs: oneJob{found: found}}
			mux := http.NewServeMux()
			text, key, err := tenant.NewKey(strings.NewReader(strings.Repeat("some bytes of no randomness. ", 9)), "acme", "default", time.Now())
			if err != nil {
				t.Fatal(err)
			}
			api := rest.NewAPI(mux, rest.Keys{TenantByKey: func(context.Context, string, []byte) (tenant.Tenant, error) {
				return tenant.Tenant{ID: key.TenantID}, nil
			}})
			rest.Register(api, rest.Tenant, huma.Operation{OperationID: "zip", Method: http.MethodGet, Path: "/{id}"}, f.resultsZip)
			server := httptest.NewServer(rest.Handler(mux, nil, zerolog.Nop()))
			defer server.Close()
			r, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/j", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+text)
			response, err := http.DefaultClient.Do(r)
			if err != nil && !tt.whole {
				return // it broke before it had begun
			}
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			packed, err := io.ReadAll(response.Body)
			if (err == nil) != tt.whole {
				t.Errorf("reading %d bytes to their end gives %v", len(packed), err)
			}
			if !tt.whole {
				return
			}
			if got, want := response.Header.Get("Content-Disposition"), `attachment; filename="_lm___-b302099a8057.zip"; filename*=UTF-8''%C3%9Clm___-b302099a8057.zip`; got != want {
				t.Errorf("the zip is called %s, want %s", got, want)
			}
			archive, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range archive.File {
				r, err := f.Open()
				if err != nil {
					t.Fatal(err)
				}
				if content, err := io.ReadAll(r); err != nil || string(content) != whole { // with its CRC
					t.Errorf("%s has %d bytes, %v", f.Name, len(content), err)
				}
			}
		})
	}
}
