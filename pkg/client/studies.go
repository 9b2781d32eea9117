package client

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

// StudyRequest is a study to be made.
type StudyRequest struct {
	Name string `json:"name"`
	study.Plan
	MaxParallel int  `json:"max_parallel,omitempty"` // 0 for as many runs at a time as the tenant's limits allow
	DryRun      bool `json:"dry_run,omitempty"`      // only say what the study would be
}

// StudyRun is r as the field run of a plan, or of a variant. A study's runs have no name, seed or webhook of their own.
func StudyRun(r Run) (json.RawMessage, error) {
	return json.Marshal(struct {
		ConfigFile      string                 `json:"config_file,omitempty"`
		Begin           *float64               `json:"begin,omitempty"`
		End             *float64               `json:"end,omitempty"`
		StepLength      *float64               `json:"step_length,omitempty"`
		Scale           *float64               `json:"scale,omitempty"`
		SumoVersion     string                 `json:"sumo_version,omitempty"`
		Outputs         []simulation.Output    `json:"outputs,omitempty"`
		Tables          []simulation.Table     `json:"tables,omitempty"`
		Labels          map[string]string      `json:"labels,omitempty"`
		Priority        string                 `json:"priority,omitempty"`
		TimeoutSeconds  int                    `json:"timeout_seconds,omitempty"`
		CPURequest      int                    `json:"cpu_request,omitempty"`
		MemoryGi        int                    `json:"memory_gi,omitempty"`
		UnfinishedTrips bool                   `json:"unfinished_trips,omitempty"`
		Strict          bool                   `json:"strict,omitempty"`
		Controller      *simulation.Controller `json:"controller,omitempty"`
		Replay          *simulation.Replay     `json:"replay,omitempty"`
	}{
		r.ConfigFile, r.Begin, r.End, r.StepLength, r.Scale, r.SumoVersion, r.Outputs, r.Tables, r.Labels, r.Priority, r.TimeoutSeconds,
		r.CPURequest, r.MemoryGi, r.UnfinishedTrips, r.Strict, r.Controller, r.Replay,
	})
}

// Study is a study as the service describes it. Lists of studies have no points.
type Study struct {
	Document
	ID              string            `json:"study_id"`
	Name            string            `json:"name"`
	Status          study.State       `json:"status"`
	Message         string            `json:"message"`
	Runs            StudyRuns         `json:"runs"`
	CoreSeconds     float64           `json:"core_seconds"` // used so far
	Priority        string            `json:"priority"`
	Labels          map[string]string `json:"labels"`
	MaxParallel     int               `json:"max_parallel"`
	CancelRequested bool              `json:"cancel_requested"`
	CreatedAt       *time.Time        `json:"created_at"`
	StartedAt       *time.Time        `json:"started_at"`
	FinishedAt      *time.Time        `json:"finished_at"`
	Plan            study.Plan        `json:"plan"`
	MostRuns        int               `json:"most_runs"` // that it may come to: those of all rounds, if it has an aim
	Seeds           []int64           `json:"seeds"`
	Metrics         []string          `json:"metrics"`
	Points          []StudyPoint      `json:"points"`
	Estimate        *StudyForecast    `json:"estimate"`  // of all runs; nil while nothing is known of the scenarios
	Remaining       *StudyForecast    `json:"remaining"` // of the runs that have not ended
	ETA             *time.Time        `json:"eta"`
}

// UnmarshalJSON keeps the text beside the fields, also for studies inside a list.
func (s *Study) UnmarshalJSON(raw []byte) error {
	type plain Study // without this method
	if err := json.Unmarshal(raw, (*plain)(s)); err != nil {
		return err
	}
	s.keep(append(json.RawMessage(nil), raw...))
	return nil
}

// StudyRuns are what has become of the runs of a study, or of one of its points, where Planned is 0.
type StudyRuns struct {
	Planned   int `json:"planned"`
	Done      int `json:"done"` // ended, in whatever way
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
	Cancelled int `json:"cancelled"`
	Active    int `json:"active"`  // handed over, and not ended
	Running   int `json:"running"` // of them; the others wait for their turn
	Cached    int `json:"cached"`  // of the succeeded; of a study that was just planned, of the runs to come
}

// StudyPoint is a variant with one value of each axis.
type StudyPoint struct {
	Point    int                        `json:"point"`
	Variant  string                     `json:"variant"`
	Setting  map[string]json.RawMessage `json:"setting"`
	Scenario string                     `json:"scenario"`
	Warnings []string                   `json:"warnings"`
	Needed   int                        `json:"needed"` // runs
	Runs     StudyRuns                  `json:"runs"`
}

// StudyForecast is what runs are expected to take.
type StudyForecast struct {
	CoreSeconds float64 `json:"core_seconds"`
	Seconds     float64 `json:"seconds"`
}

// PointLabel names a point of s for people: "base, demand 0.8".
func (s Study) PointLabel(variant string, setting map[string]json.RawMessage) string {
	var values study.Setting
	for _, axis := range s.Plan.Axes {
		if value, ok := setting[axis.Name]; ok {
			values = append(values, study.Value{Axis: axis.Name, Value: value})
		}
	}
	return study.Label(variant, values)
}

// studyPath is the escaped path of a study, with what follows it.
func studyPath(id, below string) string { return "/studies/" + url.PathEscape(id) + below }

// CreateStudy makes a study. Two calls with the same key make one; an empty key stands for one of its own.
func (c *Client) CreateStudy(ctx context.Context, r StudyRequest, key string) (s Study, err error) {
	b, err := jsonBody(r)
	if err != nil {
		return s, err
	}
	err = c.call(ctx, request{method: http.MethodPost, path: "/studies", key: keyOr(key), body: b}, &s)
	return s, err
}

// Study returns a study with its points.
func (c *Client) Study(ctx context.Context, id string) (s Study, err error) {
	err = c.call(ctx, request{method: http.MethodGet, path: studyPath(id, "")}, &s)
	return s, err
}

// StudyFilter chooses studies. Its zero value chooses all.
type StudyFilter struct {
	Status study.State
	Labels map[string]string
	Limit  int    // studies on a page: 1 to 200; 50 unless set
	Cursor string // NextCursor of the page before
}

// StudyPage is a part of a list of studies, newest first.
type StudyPage struct {
	Document
	Studies    []Study `json:"studies"`
	NextCursor string  `json:"next_cursor"` // empty on the last page
}

// Studies returns a page of the tenant's studies.
func (c *Client) Studies(ctx context.Context, f StudyFilter) (page StudyPage, err error) {
	query := url.Values{}
	if f.Status != "" {
		query.Set("status", string(f.Status))
	}
	if f.Cursor != "" {
		query.Set("cursor", f.Cursor)
	}
	if f.Limit != 0 {
		query.Set("limit", strconv.Itoa(f.Limit))
	}
	for key, value := range f.Labels {
		query.Add("label", key+"="+value)
	}
	err = c.call(ctx, request{method: http.MethodGet, path: "/studies", query: query}, &page)
	return page, err
}

// CancelStudy stops a study; what has ended is kept. Repeating it is no error.
func (c *Client) CancelStudy(ctx context.Context, id string) (s Study, err error) {
	err = c.call(ctx, request{method: http.MethodDelete, path: studyPath(id, "")}, &s)
	return s, err
}

// PurgeStudy deletes a finished study with its runs and their results. A call that breaks off may be repeated.
func (c *Client) PurgeStudy(ctx context.Context, id string) (s Study, err error) {
	err = c.call(ctx, request{method: http.MethodDelete, path: studyPath(id, ""), query: url.Values{"purge": {"true"}}}, &s)
	return s, err
}

// ExtendStudy adds seeds, values or variants to a study.
func (c *Client) ExtendStudy(ctx context.Context, id string, e study.Extension) (s Study, err error) {
	b, err := jsonBody(e)
	if err != nil {
		return s, err
	}
	err = c.call(ctx, request{method: http.MethodPost, path: studyPath(id, "/extend"), key: keyOr(""), body: b}, &s)
	return s, err
}

// RetriedStudy is a study whose runs are made again.
type RetriedStudy struct {
	Document
	ID     string      `json:"study_id"`
	Status study.State `json:"status"`
	Again  int         `json:"again"` // how many runs
}

// RetryStudy orders the failed and cancelled runs of a study again.
func (c *Client) RetryStudy(ctx context.Context, id string) (s RetriedStudy, err error) {
	err = c.call(ctx, request{method: http.MethodPost, path: studyPath(id, "/retry"), key: keyOr("")}, &s)
	return s, err
}

// StudyEvent is one event in following a study.
type StudyEvent struct {
	Document
	Status  study.State  `json:"status"`
	Message string       `json:"message"`
	Runs    StudyRuns    `json:"runs"`
	ETA     *time.Time   `json:"eta"`
	Points  []PointEvent `json:"points"` // those whose counts have changed, or all of them
	End     bool         `json:"-"`      // the last one, which only has a status and a message
}

// PointEvent is how the runs of a point stand.
type PointEvent struct {
	Point int `json:"point"`
	StudyRuns
}

// FollowStudy yields the changes of a study, beginning with how it stands, until it has finished. Streams that end early or break are
// resumed. An error is yielded last.
func (c *Client) FollowStudy(ctx context.Context, id string) iter.Seq2[StudyEvent, error] {
	return func(yield func(StudyEvent, error) bool) {
		s := c.stream("study", studyPath(id, "/events"), "")
		err := s.follow(ctx, func(e event) (done bool, err error) {
			if e.name != "progress" && e.name != "end" {
				return false, nil
			}
			next := StudyEvent{End: e.name == "end"}
			if err := json.Unmarshal([]byte(e.data), &next); err != nil {
				return false, fmt.Errorf("event %.200q of the study stream is not JSON: %w", e.data, err)
			}
			next.keep(json.RawMessage(e.data))
			if !yield(next, nil) {
				return true, nil
			}
			if e.id != "" {
				s.after = e.id
			}
			return next.End, nil
		})
		if err != nil {
			yield(StudyEvent{}, err)
		}
	}
}
