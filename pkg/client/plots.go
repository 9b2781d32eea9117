package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Plots are the pictures that the service can draw of a job.
type Plots struct {
	Document
	Plots []struct {
		Name  string `json:"name"`
		Title string `json:"title"`
	} `json:"plots"`
}

// Plots lists the plots of a finished job.
func (c *Client) Plots(ctx context.Context, id string) (p Plots, err error) {
	err = c.call(ctx, request{method: http.MethodGet, path: jobPath(id, "/plots")}, &p)
	return p, err
}

// Drawing says how a plot looks. The service chooses for zero values.
type Drawing struct {
	Format        string   // svg or png
	With          []string // ids of other jobs, overlaid
	Dark          bool
	Width, Height int // pixels
}

// Draw returns a plot of a job as a file.
func (c *Client) Draw(ctx context.Context, id, name string, d Drawing) ([]byte, error) {
	q := url.Values{}
	if len(d.With) > 0 {
		q.Set("with", strings.Join(d.With, ","))
	}
	if d.Dark {
		q.Set("theme", "dark")
	}
	for param, pixels := range map[string]int{"width": d.Width, "height": d.Height} {
		if pixels != 0 {
			q.Set(param, strconv.Itoa(pixels))
		}
	}
	return c.fetch(ctx, request{method: http.MethodGet, path: jobPath(id, "/plots/"+url.PathEscape(name+"."+d.Format)), query: q})
}
