package status

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"iter"
	"net/http"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/study"
	"github.com/sumo-k8/sumo-k8/pkg/table"
)

func (f *Function) registerTable(api huma.API, tags []string) {
	op := huma.Operation{
		OperationID: "get-study-table", Method: http.MethodGet, Path: "/studies/{id}/table", Tags: tags,
		Summary: "Download a study as a tidy table",
		Description: "One row for each run that has ended and each metric. Runs that ended without a result have rows without values, so that " +
			"they are missed. CSV and Parquet have one column for each axis, named axis.NAME. The table outlives the results of the runs.",
		Errors: []int{http.StatusNotFound},
	}
	op.Responses = map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{
		"application/json": {Schema: api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[StudyTable](), true, "")},
		"text/csv":         {Schema: &huma.Schema{Type: huma.TypeString}},
		table.ContentType:  {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
	}}}
	rest.Register(api, rest.Tenant, op, f.table)
}

// StudyTable is a tidy table.
type StudyTable struct {
	Rows []TableRow `json:"rows" doc:"By point, replication and metric."`
}

// TableRow is a metric of a run.
type TableRow struct {
	Point       int          `json:"point"`
	Variant     string       `json:"variant"`
	Setting     rest.Setting `json:"setting"`
	Replication int          `json:"replication"`
	Seed        int64        `json:"seed"`
	JobID       string       `json:"job_id" format:"uuid"`
	Status      job.State    `json:"status" enum:"SUCCEEDED,FAILED,CANCELLED"`
	Reason      string       `json:"reason" doc:"Of a run that failed."`
	SumoVersion string       `json:"sumo_version"`
	Metric      string       `json:"metric"`
	Value       *float64     `json:"value" doc:"Null if the run failed, or does not have the metric."`
	Unit        string       `json:"unit"`
}

type tableRequest struct {
	ID     string   `path:"id" doc:"Its study_id."`
	Metric []string `query:"metric,explode" maxItems:"100" doc:"Metrics to show; all that any run has if left out."`
	Format string   `query:"format" enum:"json,csv,parquet" default:"json"`
}

func (f *Function) table(ctx context.Context, in *tableRequest) (*huma.StreamResponse, error) {
	d, err := f.numbers(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	measures := d.Measured()
	if len(measures) == 0 { // runs that failed have rows nevertheless
		measures = study.Measures(d.Study.Plan.Metrics)
	}
	if len(in.Metric) > 0 {
		if measures, err = (StudyQuestion{Metric: in.Metric}).measures(d); err != nil {
			return nil, err
		}
	}
	write, contentType := writeTable, "application/json"
	switch in.Format {
	case "csv":
		write, contentType = writeCSV, "text/csv; charset=utf-8"
	case "parquet":
		write, contentType = writeParquet, table.ContentType
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		c.SetHeader("Content-Type", contentType)
		c.SetHeader("Content-Disposition", artifact.Disposition(d.Study.Name+"."+in.Format))
		c.SetStatus(http.StatusOK)
		out := bufio.NewWriterSize(rest.StreamOut(c), 64<<10) // each write is sent at once
		err := write(out, d, tableRows(d, measures))
		if err == nil {
			err = out.Flush()
		}
		if err != nil {
			rest.Abort(c, err)
		}
	}}, nil
}

// tableRows are those of the runs that have ended.
func tableRows(d *study.Data, measures []simulation.Measure) iter.Seq[TableRow] {
	return func(yield func(TableRow) bool) {
		for _, r := range d.Results {
			if !r.State.Terminal() {
				continue
			}
			p := d.Points[r.Point]
			row := TableRow{
				Point: r.Point, Variant: p.Variant, Setting: rest.SettingOf(p.Setting), Replication: r.Replication,
				Seed: d.Study.Seeds[r.Replication], JobID: r.JobID, Status: r.State, SumoVersion: r.SumoVersion,
			}
			if r.State == job.Failed {
				row.Reason = string(r.Reason)
			}
			for _, m := range measures {
				row.Metric, row.Unit, row.Value = m.Name, m.Unit, nil
				if values := d.Values(m.Name, r.Point); values != nil {
					row.Value = rest.Number(values[r.Replication])
				}
				if !yield(row) {
					return
				}
			}
		}
	}
}

func writeTable(w io.Writer, _ *study.Data, rows iter.Seq[TableRow]) error {
	before := []byte(`{"rows":[`)
	for row := range rows {
		text, err := json.Marshal(row)
		if err != nil {
			return err
		}
		if _, err := w.Write(append(before, text...)); err != nil {
			return err
		}
		before = []byte(",\n")
	}
	if len(before) > 2 {
		if _, err := w.Write(before); err != nil {
			return err
		}
	}
	_, err := w.Write([]byte("]}\n"))
	return err
}

func writeCSV(w io.Writer, d *study.Data, rows iter.Seq[TableRow]) error {
	out := csv.NewWriter(w)
	header := []string{"point", "variant"}
	for _, a := range d.Study.Plan.Axes {
		header = append(header, "axis."+a.Name)
	}
	header = append(header, "replication", "seed", "job_id", "status", "reason", "sumo_version", "metric", "value", "unit")
	if err := out.Write(header); err != nil {
		return err
	}
	var place, record []string // place is the point's part of a row
	at := -1
	for row := range rows {
		if row.Point != at {
			at, place = row.Point, []string{strconv.Itoa(row.Point), row.Variant}
			for _, v := range d.Points[at].Setting {
				place = append(place, v.Text())
			}
		}
		record = append(record[:0], place...)
		value := ""
		if row.Value != nil {
			value = strconv.FormatFloat(*row.Value, 'g', -1, 64)
		}
		record = append(record, strconv.Itoa(row.Replication), strconv.FormatInt(row.Seed, 10), row.JobID, string(row.Status), row.Reason,
			row.SumoVersion, row.Metric, value, row.Unit)
		if err := out.Write(record); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// writeParquet writes the columns of CSV with their types: those of axes are numbers if all values are.
func writeParquet(w io.Writer, d *study.Data, rows iter.Seq[TableRow]) error {
	schema := table.Schema{Name: "runs", Complete: true, Columns: []table.Column{
		{Name: "point", Type: table.Int64, Description: "Number of the point"}, {Name: "variant", Type: table.String},
	}}
	for i, a := range d.Study.Plan.Axes {
		c := table.Column{Name: "axis." + a.Name, Type: table.Float64, Description: "Value of the axis"}
		for _, p := range d.Points {
			if _, err := strconv.ParseFloat(p.Setting[i].Text(), 64); err != nil {
				c.Type = table.String
			}
		}
		schema.Columns = append(schema.Columns, c)
	}
	first := len(schema.Columns)
	schema.Columns = append(schema.Columns, []table.Column{
		{Name: "replication", Type: table.Int64, Description: "Number of the run at its point"}, {Name: "seed", Type: table.Int64},
		{Name: "job_id", Type: table.String}, {Name: "status", Type: table.String},
		{Name: "reason", Type: table.String, Description: "Of a run that failed"}, {Name: "sumo_version", Type: table.String},
		{Name: "metric", Type: table.String},
		{Name: "value", Type: table.Float64, Description: "In the unit of the row; missing if the run failed, or does not have the metric"},
		{Name: "unit", Type: table.String},
	}...)
	out, err := table.NewWriter(w, schema)
	if err != nil {
		return err
	}
	for row := range rows {
		out.Int(0, int64(row.Point))
		out.String(1, []byte(row.Variant))
		for i, v := range d.Points[row.Point].Setting {
			if schema.Columns[2+i].Type == table.String {
				out.String(2+i, []byte(v.Text()))
			} else if n, err := strconv.ParseFloat(v.Text(), 64); err == nil {
				out.Float(2+i, n)
			}
		}
		out.Int(first, int64(row.Replication))
		out.Int(first+1, row.Seed)
		for i, text := range []string{row.JobID, string(row.Status), row.Reason, row.SumoVersion, row.Metric} {
			out.String(first+2+i, []byte(text))
		}
		if row.Value != nil {
			out.Float(first+7, *row.Value)
		}
		out.String(first+8, []byte(row.Unit))
		if err := out.EndRow(); err != nil {
			return err
		}
	}
	return out.Close()
}
