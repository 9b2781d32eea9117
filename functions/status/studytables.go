package status

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

// leftOut is how many runs of the study have not succeeded, in the header of a zip with their tables.
const leftOut = "Runs-Left-Out"

func (f *Function) registerStudyTables(api huma.API, tags []string) {
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "get-study-tables", Method: http.MethodGet, Path: "/studies/{id}/tables/{name}", Tags: tags,
		Summary: "Download a table of all runs of a study",
		Description: "A zip with a Parquet dataset in folders as Hive names them, so that pandas, pyarrow and DuckDB add the columns study, " +
			"point, variant, replication and seed: one file for each run that has succeeded. _left-out.json in it lists the other runs, with " +
			"reasons. Tables that have not been made are made while the zip is sent. If the connection breaks, it is incomplete. Once the results " +
			"were removed because of their age, it is 410.",
		Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusGone},
		Responses: map[string]*huma.Response{"200": {
			Description: "OK",
			Headers: map[string]*huma.Param{leftOut: {
				Description: "Runs that have not succeeded.", Schema: &huma.Schema{Type: huma.TypeInteger},
			}},
			Content: map[string]*huma.MediaType{
				"application/zip": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
			},
		}},
	}, f.studyTables)
}

type studyTablesRequest struct {
	ID   string           `path:"id" doc:"Its study_id."`
	Name simulation.Table `path:"name" enum:"summary,tripinfo,personinfo,edgedata,fcd,emission,queue,lanechange,stops,detectors"`
}

func (f *Function) studyTables(ctx context.Context, in *studyTablesRequest) (*huma.StreamResponse, error) {
	t := rest.TenantOf(ctx)
	s, err := f.Studies.Study(ctx, t.ID, in.ID)
	if err != nil {
		return nil, err
	}
	points, err := f.Studies.Points(ctx, t.ID, in.ID)
	if err != nil {
		return nil, err
	}
	first, err := f.runsOf(ctx, s, "")
	if err != nil {
		return nil, err
	}
	if err := f.anyTable(ctx, s, first, in.Name); err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		c.SetHeader("Content-Type", "application/zip")
		c.SetHeader("Content-Disposition", artifact.Disposition(shortened(s.Name)+"-"+string(in.Name)+".zip"))
		c.SetHeader(leftOut, strconv.Itoa(s.Counts.Runs-s.Counts.Succeeded))
		c.SetStatus(http.StatusOK)
		if c.Method() == http.MethodHead {
			return
		}
		if err := f.writeStudyTables(ctx, rest.StreamOut(c), s, points, first, in.Name); err != nil {
			rest.Abort(c, err)
		}
	}}, nil
}

// runsOf is a page of a study's runs that count, after the given place.
func (f *Function) runsOf(ctx context.Context, s study.Study, after string) ([]job.Job, error) {
	return f.Jobs.ListJobs(ctx, s.TenantID, job.Filter{Study: s.ID}, after, runsPerPage)
}

// anyTable makes the table of one of the study's runs, whose first page is runs, or says why none has it: once the zip has begun, a
// failure can only break it. Runs that have not succeeded are passed over, however many they are.
func (f *Function) anyTable(ctx context.Context, s study.Study, runs []job.Job, name simulation.Table) error {
	var without error
	for {
		for _, j := range runs {
			if j.State != job.Succeeded || j.Study.Superseded {
				continue
			}
			_, failed := f.runTable(ctx, j, name)
			if failed == nil {
				return nil
			}
			p, ok := errors.AsType[*problem.Error](failed)
			if !ok || p.Code != problem.NotFound && p.Code != problem.Conflict && p.Code != problem.Gone {
				return failed
			}
			without = p
		}
		switch {
		case without != nil:
			return without
		case len(runs) < runsPerPage && s.State.Terminal():
			return problem.New(problem.Conflict, "No run of the study has succeeded, and it is %s. Look at the messages of its runs: fix what "+
				"they name, and start another study; where they name nothing, retry this one.", s.State)
		case len(runs) < runsPerPage:
			return problem.New(problem.Conflict, "No run of the study has succeeded. Its tables will be available once one has.")
		}
		var err error
		if runs, err = f.runsOf(ctx, s, runs[len(runs)-1].Place()); err != nil {
			return err
		}
	}
}

// runTable is madeTable for a run of a study.
func (f *Function) runTable(ctx context.Context, j job.Job, name simulation.Table) (storedTable, error) {
	if j.ResultsPruned {
		return storedTable{}, problem.New(problem.Gone, "The results of job %s were removed because of their age. Run the study again to get "+
			"them back.", j.ID)
	}
	return f.madeTable(ctx, j, name)
}

// leftOutRun is a run without a table.
type leftOutRun struct {
	JobID       string    `json:"job_id"`
	Point       int       `json:"point"`
	Replication int       `json:"replication"`
	Status      job.State `json:"status"`
	Why         string    `json:"why"`
}

// writeStudyTables packs the tables of the study's runs, whose first page is runs, and a list of those without one.
func (f *Function) writeStudyTables(
	ctx context.Context, w io.Writer, s study.Study, points []study.Point, runs []job.Job, name simulation.Table,
) error {
	out := zip.NewWriter(w)
	missing := []leftOutRun{}
	for len(runs) > 0 {
		for _, j := range runs {
			if j.Study.Superseded || !s.Has(points, j.Study.Point, j.Study.Replication) {
				continue
			}
			why := j.Message
			var stored storedTable
			if j.State == job.Succeeded {
				var err error
				if stored, err = f.runTable(ctx, j, name); err != nil {
					p, ok := errors.AsType[*problem.Error](err)
					if !ok || p.Code == problem.Unavailable || p.Code == problem.Internal {
						return err
					}
					why = p.Detail
				}
			}
			if stored.key == "" {
				missing = append(missing, leftOutRun{j.ID, j.Study.Point, j.Study.Replication, j.State, why})
				continue
			}
			if err := f.addTable(ctx, out, partition(s, points, j, name), stored, *j.FinishedAt); err != nil {
				return err
			}
		}
		if len(runs) < runsPerPage {
			break
		}
		var err error
		if runs, err = f.runsOf(ctx, s, runs[len(runs)-1].Place()); err != nil {
			return err
		}
	}
	list, err := out.Create(string(name) + "/_left-out.json")
	if err != nil {
		return err
	}
	if err := json.NewEncoder(list).Encode(missing); err != nil {
		return err
	}
	return out.Close()
}

// addTable copies a table as it is stored, which is compressed.
func (f *Function) addTable(ctx context.Context, out *zip.Writer, name string, stored storedTable, modified time.Time) error {
	entry, err := out.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store, Modified: modified})
	if err != nil {
		return err
	}
	body, err := f.Objects.Open(ctx, stored.key, stored.offset, stored.size)
	if err != nil {
		return err
	}
	defer body.Close()
	n, err := io.Copy(entry, body)
	if err == nil && n != stored.size {
		err = fmt.Errorf("%s has %d bytes in place of %d", name, n, stored.size)
	}
	return err
}

// partition is the name of a run's table in the dataset. Values are escaped as Hive and its readers do.
func partition(s study.Study, points []study.Point, j job.Job, name simulation.Table) string {
	variant := strings.ReplaceAll(url.QueryEscape(points[j.Study.Point].Variant), "+", "%20")
	return fmt.Sprintf("%s/study=%s/point=%d/variant=%s/replication=%d/seed=%d/%s.parquet", name, s.ID, j.Study.Point, variant,
		j.Study.Replication, s.Seeds[j.Study.Replication], j.ID)
}
