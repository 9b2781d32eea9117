package client

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// Counts are traffic counts beside those of a run.
type Counts struct {
	Document
	Counts   int           `json:"counts"`
	Compared int           `json:"compared"`      // of them, those that the run has values for
	Below    int           `json:"geh_below_5"`   // of those compared
	Share    *float64      `json:"share_below_5"` // nil if none could be compared, as the next two
	RMSE     *float64      `json:"rmse"`          // vehicles per hour
	Bias     *float64      `json:"bias"`          // vehicles per hour
	Rows     []CountedFlow `json:"rows"`          // in the order of the file
	Notes    []string      `json:"notes"`
}

// CountedFlow is a count beside that of the run.
type CountedFlow struct {
	Line     int      `json:"line"` // of the file
	Kind     string   `json:"kind"` // detector or edge
	Places   []string `json:"places"`
	Begin    float64  `json:"begin"` // seconds of simulated time
	End      float64  `json:"end"`
	Counted  float64  `json:"counted"`  // vehicles per hour
	Modelled *float64 `json:"modelled"` // vehicles per hour; nil if Message says why there is no value
	GEH      *float64 `json:"geh"`
	Message  string   `json:"message"`
}

// Counts compares a CSV of traffic counts with a finished job.
func (c *Client) Counts(ctx context.Context, id string, csv []byte) (out Counts, err error) {
	err = c.call(ctx, countsRequest(id, "", csv), &out)
	return out, err
}

// DrawCounts returns a scatter plot of traffic counts and those of a finished job as a file.
func (c *Client) DrawCounts(ctx context.Context, id string, csv []byte, d Drawing) ([]byte, error) {
	r := countsRequest(id, "/scatter."+url.PathEscape(d.Format), csv)
	r.query = url.Values{}
	if d.Dark {
		r.query.Set("theme", "dark")
	}
	for param, pixels := range map[string]int{"width": d.Width, "height": d.Height} {
		if pixels != 0 {
			r.query.Set(param, strconv.Itoa(pixels))
		}
	}
	return c.fetch(ctx, r)
}

func countsRequest(id, part string, csv []byte) request {
	return request{method: http.MethodPost, path: jobPath(id, "/counts"+part), safe: true, body: &body{
		kind: "text/csv",
		open: func() (io.ReadCloser, int64, error) { return io.NopCloser(bytes.NewReader(csv)), int64(len(csv)), nil },
	}}
}
