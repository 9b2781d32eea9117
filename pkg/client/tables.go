package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// Tables are the tables that a job's outputs make.
type Tables struct {
	Document
	Tables []TableState `json:"tables"`
}

// TableState is one of them. It is ready once it has been made, which the first request for it does.
type TableState struct {
	Name    simulation.Table `json:"name"`
	Ready   bool             `json:"ready"`
	Rows    *int64           `json:"rows"`    // nil until it is ready
	Columns []TableColumn    `json:"columns"` // once it is ready
}

// TableColumn describes a column. Its type is "float64", "int64", "string" or "boolean".
type TableColumn struct {
	Name        string `json:"name"`
	Type        string `json:"type"`
	Unit        string `json:"unit"`
	Description string `json:"description"`
}

// TableQuery is the part of a table that is wanted, and its form: "csv", "json" or "parquet".
type TableQuery struct {
	Format  string
	Columns []string // all if empty
	// From and To bound the table's time column, in seconds of simulated time: From is included, To is not.
	From, To *float64
}

// Tables lists the tables of a finished job.
func (c *Client) Tables(ctx context.Context, id string) (t Tables, err error) {
	err = c.call(ctx, request{method: http.MethodGet, path: jobPath(id, "/tables")}, &t)
	return t, err
}

// Table copies a table of a finished job to w.
func (c *Client) Table(ctx context.Context, id string, name simulation.Table, q TableQuery, w io.Writer) error {
	query := url.Values{"format": {q.Format}}
	if len(q.Columns) > 0 {
		query.Set("columns", strings.Join(q.Columns, ","))
	}
	for key, v := range map[string]*float64{"from": q.From, "to": q.To} {
		if v != nil {
			query.Set(key, strconv.FormatFloat(*v, 'g', -1, 64))
		}
	}
	return c.copy(ctx, request{method: http.MethodGet, path: jobPath(id, "/tables/"+url.PathEscape(string(name))), query: query}, w)
}

// StudyTables copies a zip to w: a table of all runs of a study that have succeeded, as a Parquet dataset.
func (c *Client) StudyTables(ctx context.Context, id string, name simulation.Table, w io.Writer) error {
	return c.copy(ctx, request{method: http.MethodGet, path: studyPath(id, "/tables/"+url.PathEscape(string(name)))}, w)
}
