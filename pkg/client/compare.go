package client

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/job"
)

// Comparison is jobs side by side. Its lists of values have one for each job, in their order.
type Comparison struct {
	Document
	Jobs []struct {
		ID      string    `json:"job_id"`
		Name    string    `json:"scenario_id"`
		Status  job.State `json:"status"`
		Partial bool      `json:"partial"` // the run stopped early
		Message string    `json:"message"` // why it has no numbers, or not those of a whole run
	} `json:"jobs"`
	Metrics  []ComparedMetric `json:"metrics"`
	Settings []struct {
		Name   string `json:"name"`
		Values []struct {
			Value *string `json:"value"` // nil when it was left to the scenario's configuration
		} `json:"values"`
	} `json:"settings"` // what was chosen differently
	Notes []string `json:"notes"`
}

// ComparedMetric is one number of each job.
type ComparedMetric struct {
	Name   string          `json:"name"`
	Unit   string          `json:"unit"`
	Values []ComparedValue `json:"values"`
}

// ComparedValue is the number of one job; nil stands for what is not known.
type ComparedValue struct {
	Value      *float64 `json:"value"`
	Difference *float64 `json:"difference"`          // to the first job
	Relative   *float64 `json:"relative_difference"` // as a part of the first job's value
}

// Compare puts the numbers of two or more jobs side by side. Differences are to the first.
func (c *Client) Compare(ctx context.Context, ids ...string) (out Comparison, err error) {
	r := request{method: http.MethodGet, path: "/jobs/compare", query: url.Values{"ids": {strings.Join(ids, ",")}}}
	err = c.call(ctx, r, &out)
	return out, err
}
