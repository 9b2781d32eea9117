package status

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/outputs"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/tables"
	"github.com/sumo-k8/sumo-k8/pkg/table"
	"github.com/sumo-k8/sumo-k8/pkg/view"
)

func (f *Function) registerTables(api huma.API) {
	tags := []string{"Tables"}
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "list-tables", Method: http.MethodGet, Path: "/jobs/{id}/tables", Tags: tags,
		Summary:     "List the tables that a job's outputs make",
		Description: "A table is made on the first request for it, or at the end of the run with tables at submission. Then it is ready.",
		Errors:      []int{http.StatusNotFound, http.StatusConflict},
	}, f.listTables)
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "get-table-schema", Method: http.MethodGet, Path: "/jobs/{id}/tables/{name}/schema", Tags: tags,
		Summary: "Describe the columns of a job's table",
		Errors:  []int{http.StatusNotFound, http.StatusConflict},
	}, f.tableSchema)
	op := huma.Operation{
		OperationID: "get-table", Method: http.MethodGet, Path: "/jobs/{id}/tables/{name}", Tags: tags,
		Summary: "Download an output of a job as a table",
		Description: "Columns have SUMO's names, and types and units that the schema lists. In Parquet, the file's metadata has the schema as " +
			"JSON under sumo-k8, and the unit of each column under sumo-k8.unit.COLUMN. In JSON, columns describes the columns, and rows " +
			"has an object for each row. A table whose output has more than 2 GiB of XML is made at the end of the run only: ask for it with " +
			"tables at submission.",
		Errors:    []int{http.StatusNotFound, http.StatusConflict},
		Responses: notModified(),
	}
	op.Responses["200"] = &huma.Response{Description: "OK", Content: map[string]*huma.MediaType{
		"application/json": {Schema: api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[TableDocument](), true, "")},
		"text/csv":         {Schema: &huma.Schema{Type: huma.TypeString}},
		table.ContentType:  {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
	}}
	rest.Register(api, rest.Tenant, op, f.jobTable)
}

// TableDocument is a table in JSON.
type TableDocument struct {
	Columns []table.Column   `json:"columns"`
	Rows    []map[string]any `json:"rows" doc:"Each has a field for every column; null where a value is missing."`
}

// Tables are the tables of a job.
type Tables struct {
	JobID  string       `json:"job_id" format:"uuid"`
	Tables []TableState `json:"tables"`
}

// TableState is a table that can be had.
type TableState struct {
	Name    simulation.Table `json:"name" enum:"summary,tripinfo,personinfo,edgedata,fcd,emission,queue,lanechange,stops,detectors"`
	Ready   bool             `json:"ready" doc:"Whether it has been made."`
	Rows    *int64           `json:"rows" doc:"Null until it is ready."`
	Columns []table.Column   `json:"columns,omitempty" doc:"Once it is ready."`
}

type tablesAnswer struct{ Body Tables }

func (f *Function) listTables(ctx context.Context, in *jobRequest) (*tablesAnswer, error) {
	j, err := f.finished(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := &tablesAnswer{Body: Tables{JobID: j.ID, Tables: []TableState{}}}
	for _, name := range simulation.Tables() {
		stored, err := f.storedTable(ctx, j, name)
		switch {
		case err == nil:
			file, err := f.openTable(ctx, stored)
			if err != nil {
				return nil, err
			}
			out.Body.Tables = append(out.Body.Tables, TableState{
				Name: name, Ready: true, Rows: &file.Rows, Columns: file.Schema.Columns,
			})
			continue
		case problem.CodeOf(err) != problem.NotFound:
			return nil, err
		}
		switch _, err := f.tableSources(ctx, j, name); problem.CodeOf(err) {
		case problem.NotFound, problem.Conflict:
		case "":
			out.Body.Tables = append(out.Body.Tables, TableState{Name: name})
		default:
			return nil, err
		}
	}
	return out, nil
}

// namedTableRequest names a table.
type namedTableRequest struct {
	ID   string           `path:"id" doc:"The job_id returned at submission."`
	Name simulation.Table `path:"name" enum:"summary,tripinfo,personinfo,edgedata,fcd,emission,queue,lanechange,stops,detectors"`
}

type schemaAnswer struct{ Body table.Schema }

func (f *Function) tableSchema(ctx context.Context, in *namedTableRequest) (*schemaAnswer, error) {
	j, err := f.finished(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	stored, err := f.madeTable(ctx, j, in.Name)
	if err != nil {
		return nil, err
	}
	file, err := f.openTable(ctx, stored)
	if err != nil {
		return nil, err
	}
	return &schemaAnswer{Body: file.Schema}, nil
}

type jobTableRequest struct {
	ID          string                 `path:"id" doc:"The job_id returned at submission."`
	Name        simulation.Table       `path:"name" enum:"summary,tripinfo,personinfo,edgedata,fcd,emission,queue,lanechange,stops,detectors"`
	Format      table.Format           `query:"format" enum:"csv,parquet,json" default:"csv"`
	Columns     []string               `query:"columns" maxItems:"300" doc:"Names of columns, separated by commas, in the order wanted; all if left out."`
	From        rest.Optional[float64] `query:"from" doc:"Only rows from this simulated time on, in seconds, by the schema's time_column."`
	To          rest.Optional[float64] `query:"to" doc:"Only rows before this simulated time, in seconds."`
	IfNoneMatch string                 `header:"If-None-Match" maxLength:"1000" doc:"ETag of an earlier answer. The call then answers 304, since a finished job's results do not change."`
}

func (f *Function) jobTable(ctx context.Context, in *jobTableRequest) (*huma.StreamResponse, error) {
	j, err := f.finished(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	from, to := in.From.Or(math.Inf(-1)), in.To.Or(math.Inf(1))
	// Names of columns may have characters that a tag must not, and too many of them for the header in which it comes back.
	choice := sha256.Sum256(fmt.Appendf(nil, "%q/%g/%g", in.Columns, from, to))
	tag := viewTag(j, fmt.Sprintf("%s/%s/%x", tableView(in.Name), in.Format, choice[:8]))
	if matches(in.IfNoneMatch, tag) {
		return unchanged(tag, viewAge), nil
	}
	stored, err := f.madeTable(ctx, j, in.Name)
	if err != nil {
		return nil, err
	}
	answer := func(write func(huma.Context, io.Writer) error) *huma.StreamResponse {
		return &huma.StreamResponse{Body: func(c huma.Context) {
			c.SetHeader("Content-Type", in.Format.ContentType())
			c.SetHeader("Content-Disposition", artifact.Disposition(shortened(j.Name)+"-"+string(in.Name)+"."+string(in.Format)))
			c.SetHeader("ETag", weak(tag))
			c.SetHeader("Cache-Control", viewAge)
			c.SetHeader("Vary", viewVary)
			if err := write(c, rest.StreamOut(c)); err != nil {
				rest.Abort(c, err)
			}
		}}
	}
	if in.Format == table.Parquet && len(in.Columns) == 0 && !in.From.Set && !in.To.Set {
		body, err := f.Objects.Open(ctx, stored.key, stored.offset, stored.size)
		if err != nil {
			return nil, err
		}
		return answer(func(c huma.Context, w io.Writer) error {
			defer body.Close()
			c.SetHeader("Content-Length", fmt.Sprint(stored.size))
			c.SetStatus(http.StatusOK)
			if c.Method() == http.MethodHead {
				return nil
			}
			_, err := io.Copy(w, body)
			return err
		}), nil
	}
	file, err := f.openTable(ctx, stored)
	if err != nil {
		return nil, err
	}
	selection, err := selected(file, in.Columns, from, to)
	if err != nil {
		return nil, err
	}
	return answer(func(c huma.Context, w io.Writer) error {
		c.SetStatus(http.StatusOK)
		if c.Method() == http.MethodHead {
			return nil
		}
		return file.Render(w, in.Format, selection)
	}), nil
}

// selected is the part of a table that a request wants.
func selected(file *table.File, columns []string, from, to float64) (table.Selection, error) {
	s := file.All()
	s.From, s.To = from, to
	if file.Schema.TimeColumn == "" && (!math.IsInf(from, -1) || !math.IsInf(to, 1)) {
		return s, problem.New(problem.Invalid, "The table %s has no column of simulated times. Leave out from and to.", file.Schema.Name)
	}
	if to < from {
		return s, problem.New(problem.Invalid, "to (%g) is before from (%g). Exchange them, or leave one out.", to, from).
			WithItems(problem.Item{Location: "query.to", Message: "is before from", Value: to})
	}
	if len(columns) > 0 {
		s.Columns = nil
	}
	for i, name := range columns {
		if slices.Contains(columns[:i], name) { // most readers of Parquet and JSON fail on names that are not unique, or lose one
			return s, problem.New(problem.Invalid, "columns names %.80q twice. Name each column once.", name).
				WithItems(problem.Item{Location: "query.columns", Message: "is named twice", Value: name})
		}
		n := file.Schema.Index(name)
		if n < 0 {
			var names []string
			for _, c := range file.Schema.Columns {
				names = append(names, c.Name)
			}
			return s, problem.New(problem.Invalid, "The table %s has no column %.80q. It has %s.", file.Schema.Name, name,
				strings.Join(names, ", ")).
				WithItems(problem.Item{Location: "query.columns", Message: "is no column of the table", Value: name})
		}
		s.Columns = append(s.Columns, n)
	}
	return s, nil
}

// storedTable is where a table is stored.
type storedTable struct {
	key          string
	offset, size int64
}

// openTable reads the end of a stored table. The rest is read as it is needed, until ctx ends.
func (f *Function) openTable(ctx context.Context, s storedTable) (*table.File, error) {
	object := scenario.NewReaderAt(ctx, f.Objects, s.key, s.offset+s.size)
	return table.Open(io.NewSectionReader(object, s.offset, s.size), s.size)
}

// tableView is the name of the view that holds a table.
func tableView(name simulation.Table) string { return "table-1-" + string(name) + ".parquet" }

// storedTable returns a table that has been made, at the end of the run or since; else problem.NotFound.
func (f *Function) storedTable(ctx context.Context, j job.Job, name simulation.Table) (storedTable, error) {
	if file, ok := j.Result(name.Role()); ok {
		key, offset, _ := j.Locate(file)
		return storedTable{key, offset, file.Size}, nil
	}
	key := artifact.ViewOf(j.ResultsKey, tableView(name))
	object, err := f.Objects.Stat(ctx, key)
	return storedTable{key, 0, object.Size}, err
}

// The most XML that a table is made from on request, in bytes, and the compressed output that has about as much.
const (
	maxTableXML    = 2 << 30
	maxTablePacked = maxTableXML / 10
)

// madeTable returns a table, after making it if there is none.
func (f *Function) madeTable(ctx context.Context, j job.Job, name simulation.Table) (storedTable, error) {
	stored, err := f.storedTable(ctx, j, name)
	if problem.CodeOf(err) != problem.NotFound {
		return stored, err
	}
	files, err := f.tableSources(ctx, j, name)
	if err != nil {
		return storedTable{}, err
	}
	object, err := f.Views.Object(ctx, stored.key, func(ctx context.Context) error {
		sources := make([]tables.Source, len(files))
		for i, file := range files {
			sources[i] = tables.Source{Name: file.Name, Partial: j.State != job.Succeeded, Open: func() (io.ReadCloser, error) {
				return f.open(ctx, j, file)
			}}
		}
		return tables.Make(name, sources, maxTableXML, func(write func(io.Writer) error) error {
			return view.Store(ctx, f.Objects, stored.key, table.ContentType, write)
		})
	})
	switch {
	case errors.Is(err, outputs.ErrTooLarge):
		return storedTable{}, tableTooLarge(name)
	case errors.Is(err, tables.ErrOther), errors.Is(err, tables.ErrManyColumns):
		return storedTable{}, problem.Wrap(err, problem.NotFound, "The output of job %s cannot be made a table: %v. Download it from the job's "+
			"results.", j.ID, err)
	}
	return storedTable{stored.key, 0, object.Size}, err
}

func tableTooLarge(name simulation.Table) error {
	return problem.New(problem.Conflict, `The output has more than %d GiB of XML, from which a table is made at the end of the run only. `+
		`Submit the scenario again with "tables": [%q].`, maxTableXML>>30, string(name))
}

// tableSources are the results that a table is made from.
func (f *Function) tableSources(ctx context.Context, j job.Job, name simulation.Table) ([]job.ResultFile, error) {
	var files []job.ResultFile
	for _, o := range name.Sources() {
		file, ok := j.Result(o)
		switch {
		case len(files) > 0:
		case ok && tabular.MatchString(file.Name):
			return nil, problem.New(problem.NotFound, "The %s output of job %s is %s. Tables are made from XML only: download it from the job's "+
				"results, or have SUMO write XML.", o, j.ID, file.Name)
		case ok:
			files = append(files, file)
		}
	}
	if len(files) == 0 {
		roots, err := rootsView.load(ctx, f, j)
		if err != nil {
			return nil, err
		}
		for _, file := range j.Results {
			if tables.From(name, roots[file.Name]) {
				files = append(files, file)
			}
		}
		if !tables.Joined(name) && len(files) > 1 {
			return nil, problem.New(problem.NotFound, "Job %s has %d outputs that the table %s could be made from: %s. Download the one you "+
				"want from the job's results.", j.ID, len(files), name, strings.Join(namesOf(files), ", "))
		}
	}
	if len(files) == 0 {
		return nil, noTable(j, name)
	}
	for _, file := range files {
		if file.Size > maxTableXML || strings.HasSuffix(file.Name, ".gz") && file.Size > maxTablePacked {
			return nil, tableTooLarge(name)
		}
	}
	return files, nil
}

func namesOf(files []job.ResultFile) []string {
	names := make([]string, len(files))
	for i, file := range files {
		names[i] = file.Name
	}
	return names
}

// noTable says what to do about a table whose output a run does not have.
func noTable(j job.Job, name simulation.Table) error {
	switch {
	case j.State != job.Succeeded:
		return problem.New(problem.NotFound, "Job %s ended as %s, without what the table %s is made from: %s", j.ID, j.State, name, j.Message)
	case name.Output() == "":
		return problem.New(problem.NotFound, "Job %s has no output that the table %s is made from. Add detectors to an additional file of the "+
			"scenario, and submit it again.", j.ID, name)
	}
	return noOutput(j, name.Output())
}

// rootsView has the names of the root elements of results that are not known to be an output of a kind.
var rootsView = viewKind[map[string]string]{"roots-1.json.gz", (*Function).makeRoots}

const (
	// maxRoots bounds the files that are looked at, each with a request to the store.
	maxRoots = 200
	// rootHead reaches past the comment with SUMO's configuration, before the root element.
	rootHead = 64 << 10
)

func (f *Function) makeRoots(ctx context.Context, j job.Job) (map[string]string, error) {
	roots := map[string]string{}
	looked := 0
	for _, file := range j.Results {
		if len(file.Roles) > 0 || path.Ext(strings.TrimSuffix(file.Name, ".gz")) != ".xml" || looked == maxRoots {
			continue
		}
		looked++
		key, offset, _ := j.Locate(file)
		body, err := f.Objects.Open(ctx, key, offset, min(file.Size, rootHead))
		if err != nil {
			return nil, err
		}
		root, err := outputs.Root(body)
		body.Close()
		if err != nil {
			return nil, err
		}
		if root != "" {
			roots[file.Name] = root
		}
	}
	return roots, nil
}
