package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/sumo-k8/sumo-k8/pkg/replay"
)

// Recording is the index of a job's recording.
type Recording struct {
	Document
	JobID string `json:"job_id"`
	replay.Index
}

// Replay returns what there is of a job's recording, also while it runs.
func (c *Client) Replay(ctx context.Context, id string) (r Recording, err error) {
	err = c.call(ctx, request{method: http.MethodGet, path: jobPath(id, "/replay")}, &r)
	return r, err
}

// ReplaySegment returns a segment that the index of an attempt lists. replay.Open reads it.
func (c *Client) ReplaySegment(ctx context.Context, id, attempt string, n int) ([]byte, error) {
	return c.fetch(ctx, request{
		method: http.MethodGet, path: jobPath(id, "/replay/segments/"+url.PathEscape(attempt)+"/"+strconv.Itoa(n)),
	})
}
