package status

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

func (f *Function) registerResults(api huma.API) {
	tags := []string{"Results"}
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "get-results", Method: http.MethodGet, Path: "/jobs/{id}/results", Tags: tags,
		Summary:     "List a job's result files",
		Description: "Each file has a temporary link that needs no key. A job that failed or was cancelled offers what it wrote.",
		Errors:      []int{http.StatusNotFound},
	}, f.results)
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "get-result", Method: http.MethodGet, Path: "/jobs/{id}/results/{name...}", Tags: tags,
		Summary: "Download one result file",
		Description: "Redirects to a temporary link that needs no key. The name of a file in a folder may be given without the folder, " +
			"if no other file has it.", DefaultStatus: http.StatusFound,
		Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, f.result)
	// The three dots are net/http's, for names with slashes; OpenAPI knows plain parameters only.
	paths := api.OpenAPI().Paths
	paths["/jobs/{id}/results/{name}"] = paths["/jobs/{id}/results/{name...}"]
	delete(paths, "/jobs/{id}/results/{name...}")
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "get-results-zip", Method: http.MethodGet, Path: "/jobs/{id}/results.zip", Tags: tags,
		Summary: "Download all result files as one zip",
		Description: "The zip is created while it is sent. If the connection breaks, it is incomplete; sha256sums.txt inside has the " +
			"checksums. If the job did not succeed, the zip's name ends in -partial.",
		Errors: []int{http.StatusNotFound, http.StatusConflict},
		Responses: map[string]*huma.Response{"200": {
			Description: "OK", Content: map[string]*huma.MediaType{
				"application/zip": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
			},
		}},
	}, f.resultsZip)
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "get-summary", Method: http.MethodGet, Path: "/jobs/{id}/summary", Tags: tags,
		Summary: "Show a run's key figures with their units",
		Errors:  []int{http.StatusNotFound, http.StatusConflict},
	}, f.summary)
}

// Results is the list of a job's files on the wire.
type Results struct {
	JobID          string            `json:"job_id" format:"uuid"`
	Status         job.State         `json:"status"`
	StorageType    string            `json:"storage_type,omitempty" doc:"s3, unless the predecessor of this service ran the job and stored its results elsewhere."`
	ResultLocation *string           `json:"result_location"`
	ResultFiles    *rest.ResultFiles `json:"result_files"`
	Files          []ResultLink      `json:"files" doc:"Empty while there are none."`
	Results        *string           `json:"results" doc:"The job's result_location once it has succeeded, null before."`
	Partial        bool              `json:"partial" doc:"True if the run stopped early, so that files end early too."`
	Message        string            `json:"message,omitempty"`
}

// ResultLink is one file with its download link.
type ResultLink struct {
	Name        string    `json:"name" doc:"Path within the job's results."`
	Size        int64     `json:"size" doc:"Bytes."`
	SHA256      string    `json:"sha256,omitempty" doc:"Checksum of the file in hexadecimal, where known."`
	ContentType string    `json:"content_type"`
	URL         string    `json:"url" doc:"Downloads the file; needs no key. Of an imported job, as the predecessor recorded it."`
	Storage     string    `json:"storage" doc:"Where the file is, for callers with rights on the bucket." example:"s3://sumo-k8/results/sumo-acme/0198/log.txt"`
	Offset      int64     `json:"offset,omitempty" doc:"Byte at which the file begins in the object at storage, an uncompressed zip in which a study's run keeps its small files. Absent for a file that is an object."`
	ExpiresAt   time.Time `json:"expires_at,omitzero" doc:"When url stops working. Absent if the job is imported."`

	Roles []simulation.Output `json:"roles,omitzero" nullable:"false" doc:"The outputs that the file has, whatever its name. Absent if the job finished before this was recorded."`
	Role  simulation.Output   `json:"role,omitempty" deprecated:"true" doc:"The first of roles, for clients that know only one."`
}

type resultsAnswer struct{ Body Results }

// resultsRequest is a jobRequest for links.
type resultsRequest struct {
	ID string `path:"id"`
	rest.Address
}

func (f *Function) results(ctx context.Context, in *resultsRequest) (*resultsAnswer, error) {
	j, err := f.Jobs.Job(ctx, rest.TenantOf(ctx).ID, in.ID)
	if err != nil {
		return nil, err
	}
	onWire := rest.JobOf(j, f.Objects.URL)
	out := Results{
		JobID: j.ID, Status: j.State, StorageType: rest.StorageType, Files: []ResultLink{},
		ResultLocation: onWire.ResultLocation, ResultFiles: onWire.ResultFiles,
		Partial: j.State.Terminal() && j.State != job.Succeeded,
	}
	switch {
	case j.Imported != nil:
		out.Message = j.Elsewhere()
		out.StorageType = j.Imported.StorageType
		if j.State == job.Succeeded {
			out.Results = onWire.ResultLocation
		}
		if onWire.ResultFiles != nil {
			out.StorageType, out.Files = onWire.ResultFiles.StorageType, recordedFiles(onWire.ResultFiles.Files)
		}
		return &resultsAnswer{Body: out}, nil
	case j.ResultsPruned:
		out.Message = "The results were removed because of their age. Run the scenario again to get them back."
	case !j.State.Terminal():
		out.Message = "Job has not completed successfully. It is " + string(j.State) + "; its files will be available once it has finished."
	case j.State != job.Succeeded:
		out.Message = "Job has not completed successfully. These are the files it wrote before it stopped."
	}
	if onWire.ResultFiles == nil {
		return &resultsAnswer{Body: out}, nil
	}
	if j.State == job.Succeeded {
		out.Results = onWire.ResultLocation
	}
	expires := f.Now().Add(f.LinkLifetime).UTC().Truncate(time.Second)
	for i, file := range onWire.ResultFiles.Files {
		link, err := f.link(ctx, j, j.Results[i], in.Or(f.PublicURL))
		if err != nil {
			return nil, err
		}
		out.Files = append(out.Files, ResultLink{
			Name: file.Name, Size: file.Size, SHA256: file.SHA256, Roles: file.Roles, Role: file.Role, ContentType: artifact.ContentType(file.Name),
			URL: link, Storage: file.URL, Offset: file.Offset, ExpiresAt: expires,
		})
	}
	return &resultsAnswer{Body: out}, nil
}

// recordedFiles lists files that only the predecessor has: here is no more than the record of them.
func recordedFiles(files []rest.ResultFile) []ResultLink {
	out := make([]ResultLink, len(files))
	for i, f := range files {
		out[i] = ResultLink{Name: f.Name, Size: f.Size, ContentType: artifact.ContentType(f.Name), URL: f.URL, Storage: f.URL}
	}
	return out
}

// finished returns a job whose results are available, or an error that says why they are not.
func (f *Function) finished(ctx context.Context, id string) (job.Job, error) {
	j, err := f.Jobs.Job(ctx, rest.TenantOf(ctx).ID, id)
	switch {
	case err != nil:
		return job.Job{}, err
	case !j.State.Terminal():
		return job.Job{}, problem.New(problem.Conflict, "Job %s is %s. Its results will be available once it has finished.", id, j.State)
	case j.Imported != nil:
		return job.Job{}, problem.New(problem.NotFound, "%s", j.Elsewhere())
	case j.ResultsPruned:
		return job.Job{}, problem.New(problem.NotFound, "The results of job %s were removed because of their age. Run the scenario "+
			"again to get them back.", id)
	}
	return j, nil
}

type resultRequest struct {
	ID   string `path:"id"`
	Name string `path:"name" maxLength:"500" doc:"The file's name in the list of results."`
}

type resultAnswer struct {
	Location string `header:"Location"`
}

func (f *Function) result(ctx context.Context, in *resultRequest) (*resultAnswer, error) {
	j, err := f.finished(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	file, err := resultNamed(j, in.Name)
	if err != nil {
		return nil, err
	}
	link, err := f.link(ctx, j, file, "") // a path is enough for a redirect
	if err != nil {
		return nil, err
	}
	return &resultAnswer{Location: link}, nil
}

// resultNamed returns the file called name or, as the predecessor stored files without their folders, the only one of that base name.
func resultNamed(j job.Job, name string) (job.ResultFile, error) {
	var found []job.ResultFile
	for _, file := range j.Results {
		if file.Name == name {
			return file, nil
		}
		if path.Base(file.Name) == name {
			found = append(found, file)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return job.ResultFile{}, problem.New(problem.NotFound, "Job %s has no result file %.200q. GET /jobs/%s/results lists "+
			"those it has.", j.ID, name, j.ID).WithItems(candidates(j.Results)...)
	}
	return job.ResultFile{}, problem.New(problem.Conflict, "Job %s has %d result files called %.200q. Ask for one of them with its "+
		"folder: errors lists them.", j.ID, len(found), name).WithItems(candidates(found)...)
}

// maxCandidates is how many files a refusal offers.
const maxCandidates = 20

func candidates(files []job.ResultFile) []problem.Item {
	items := make([]problem.Item, min(len(files), maxCandidates))
	for i := range items {
		items[i] = problem.Item{Location: "path.name", Message: "may be " + files[i].Name}
	}
	return items
}

func (f *Function) resultsZip(ctx context.Context, in *jobRequest) (*huma.StreamResponse, error) {
	j, err := f.finished(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if len(j.Results) == 0 {
		return nil, problem.New(problem.NotFound, "Job %s has no result files: %s", j.ID, j.Message)
	}
	// Once the zip has begun, an unreachable store can only break it.
	first, _, _ := j.Locate(j.Results[0])
	if _, err := f.Objects.Stat(ctx, first); err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hctx huma.Context) {
		hctx.SetHeader("Content-Type", "application/zip")
		hctx.SetHeader("Content-Disposition", artifact.Disposition(zipName(j)))
		hctx.SetStatus(http.StatusOK)
		if hctx.Method() == http.MethodHead {
			return // nobody would read the zip
		}
		if err := f.writeZip(hctx.Context(), rest.StreamOut(hctx), j); err != nil {
			rest.Abort(hctx, err)
		}
	}}, nil
}

// maxZipName is as many characters of a job's name as the names of files have room for.
const maxZipName = 100

// shortened is as much of a job's name.
func shortened(name string) string {
	words := []rune(name)
	return string(words[:min(len(words), maxZipName)])
}

// zipName is distinct for jobs of one name, and marks partial results.
func zipName(j job.Job) string {
	name := shortened(j.Name) + "-" + j.ID[max(0, len(j.ID)-12):]
	if j.State != job.Succeeded {
		name += "-partial"
	}
	return name + ".zip"
}

// writeZip packs files one after the other, so that memory does not grow with their sizes.
func (f *Function) writeZip(ctx context.Context, w io.Writer, j job.Job) error {
	out := zip.NewWriter(w)
	for _, file := range j.Results {
		method := zip.Deflate
		if strings.HasSuffix(file.Name, ".gz") {
			method = zip.Store // once is enough
		}
		entry, err := out.CreateHeader(&zip.FileHeader{Name: file.Name, Method: method, Modified: *j.FinishedAt})
		if err != nil {
			return err
		}
		body, err := f.open(ctx, j, file)
		if err != nil {
			return err
		}
		n, err := io.Copy(entry, body)
		body.Close()
		if err == nil && n != file.Size {
			err = fmt.Errorf("%d bytes are stored, and %d on record", n, file.Size)
		}
		if err != nil {
			return fmt.Errorf("packing %s: %w", file.Name, err)
		}
	}
	return out.Close()
}

// Summary is a run's summary on the wire.
type Summary struct {
	JobID  string    `json:"job_id" format:"uuid"`
	Status job.State `json:"status"`
	simulation.Summary
}

type summaryAnswer struct{ Body Summary }

// unsummarised says why a finished job has no summary, as a sentence about it.
func unsummarised(j job.Job) string {
	switch {
	case j.Options.Tool != nil:
		return "ran the tool " + j.Options.Tool.Name + ", which leaves files and no summary."
	case j.Options.Check:
		return "was a check, which simulates nothing."
	case j.State == job.Succeeded:
		return "has no summary, because its program started no simulation."
	}
	return "ended before SUMO wrote anything to summarise: " + j.Message
}

func (f *Function) summary(ctx context.Context, in *jobRequest) (*summaryAnswer, error) {
	j, err := f.Jobs.Job(ctx, rest.TenantOf(ctx).ID, in.ID)
	switch {
	case err != nil:
		return nil, err
	case !j.State.Terminal():
		return nil, problem.New(problem.Conflict, "Job %s is %s. Its summary will be available once it has finished.", in.ID, j.State)
	case j.Imported != nil:
		return nil, problem.New(problem.NotFound, "%s", j.Elsewhere())
	case j.Summary == nil:
		return nil, problem.New(problem.NotFound, "Job %s %s", in.ID, unsummarised(j))
	}
	out := Summary{JobID: j.ID, Status: j.State, Summary: *j.Summary}
	if out.Metrics == nil {
		out.Metrics = []simulation.Metric{}
	}
	return &summaryAnswer{Body: out}, nil
}
