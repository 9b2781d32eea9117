package client

import (
	"context"
	"fmt"
	"iter"
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

// mostSegments is how many segments the service answers at once.
const mostSegments = 100

// ReplaySegments returns the segments that r lists, in their order. replay.Open reads each. One call fetches several: a recording may
// have more of them than a tenant may make calls in a second.
func (c *Client) ReplaySegments(ctx context.Context, r Recording) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for left := r.Segments; len(left) > 0; {
			data, err := c.fetch(ctx, request{
				method: http.MethodGet, path: jobPath(r.JobID, "/replay/segments/"+url.PathEscape(r.Attempt)+"/"+strconv.Itoa(left[0].N)),
				query: url.Values{"count": {strconv.Itoa(min(consecutive(left), mostSegments))}},
			})
			var segments [][]byte
			if err == nil {
				segments, err = split(data, left)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			for _, s := range segments {
				if !yield(s, nil) {
					return
				}
			}
			left = left[len(segments):]
		}
	}
}

// split returns the segments that an answer consists of: at least one, and perhaps fewer than were asked for.
func split(answer []byte, listed []replay.Segment) (segments [][]byte, err error) {
	left := answer
	for _, s := range listed {
		if s.Bytes <= 0 || s.Bytes > len(left) {
			break
		}
		segments, left = append(segments, left[:s.Bytes]), left[s.Bytes:]
	}
	if len(segments) == 0 || len(left) > 0 {
		return nil, fmt.Errorf("the answer with segment %d has %d bytes, which are no segments of the index", listed[0].N, len(answer))
	}
	return segments, nil
}

// consecutive is how many of the segments at the beginning follow each other.
func consecutive(segments []replay.Segment) int {
	n := 1
	for n < len(segments) && segments[n].N == segments[0].N+n {
		n++
	}
	return n
}
