package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// Scenario is a stored scenario.
type Scenario struct {
	Document
	ID           string           `json:"id"` // SHA-256 of its zip or, of a derived one, of a list of its changes
	Name         string           `json:"name"`
	Size         int64            `json:"size"`          // bytes stored, with those that it shares
	UnpackedSize int64            `json:"unpacked_size"` // bytes of its files
	Configs      []ScenarioConfig `json:"configs"`
	Warnings     []string         `json:"warnings"`
	CreatedAt    time.Time        `json:"created_at"`
	Created      bool             `json:"created"` // by the upload that this is the answer to; otherwise it was there already
	Files        []ScenarioFile   `json:"files"`   // empty in lists
	Derived      *Derived         `json:"derived"` // nil if it was uploaded
	Step         *Step            `json:"step"`    // in the answer to Derive
}

// Step is how a scenario differs from the one that was named to derive it from.
type Step struct {
	From    string   `json:"from"` // its id
	Changed []string `json:"changed"`
	Added   []string `json:"added"`
	Deleted []string `json:"deleted"`
}

// Derived is how a derived scenario differs from its base, the uploaded one that it was derived from in one step or several.
type Derived struct {
	Base string `json:"base"` // its id; the scenario may have been deleted
	// In lists of scenarios these are only the first paths of each kind, and Differences is how many there are of all.
	Changed     []string `json:"changed"`
	Added       []string `json:"added"`
	Deleted     []string `json:"deleted"`
	Differences int      `json:"differences"`
	AddedSize   int64    `json:"added_size"` // bytes stored for it, besides the base's
}

// UnmarshalJSON keeps the text beside the fields, also for scenarios inside a list.
func (s *Scenario) UnmarshalJSON(raw []byte) error {
	type plain Scenario // without this method
	if err := json.Unmarshal(raw, (*plain)(s)); err != nil {
		return err
	}
	s.keep(append(json.RawMessage(nil), raw...))
	return nil
}

// ScenarioFile is one file of a scenario.
type ScenarioFile struct {
	Path string `json:"path"`
	Size int64  `json:"size"` // bytes
}

// ScenarioConfig is one .sumocfg with what it leads to.
type ScenarioConfig struct {
	Path    string   `json:"path"`
	Begin   *float64 `json:"begin"` // seconds; nil when it does not say
	End     *float64 `json:"end"`
	Network *Network `json:"network"` // nil when it was not counted
	Demand  *Demand  `json:"demand"`
	Seed    *int64   `json:"seed"` // nil when it does not say
	Random  bool     `json:"random"`
	// LeastVersion is the first SUMO that has all that it needs; empty for any.
	LeastVersion string         `json:"least_sumo_version"`
	Warnings     []string       `json:"warnings"`
	Problems     []problem.Item `json:"problems"` // what keeps it from running
}

// Network is the size of the roads that a configuration uses.
type Network struct {
	Edges         int     `json:"edges"`
	Lanes         int     `json:"lanes"`
	Junctions     int     `json:"junctions"`
	TrafficLights int     `json:"traffic_lights"`
	EdgeLengthKm  float64 `json:"edge_length_km"`
	LaneLengthKm  float64 `json:"lane_length_km"`
}

// Demand is what a configuration lets depart.
type Demand struct {
	Vehicles    int `json:"vehicles"`
	Flows       int `json:"flows"`
	Persons     int `json:"persons"`
	PersonFlows int `json:"person_flows"`
}

// StoreForProgram is Store for a scenario that a controller or a tool runs: what keeps SUMO from running it alone is a warning.
func (c *Client) StoreForProgram(ctx context.Context, zip *Source, sent func(sent, total int64)) (s Scenario, err error) {
	r := request{method: http.MethodPost, path: "/scenarios", query: url.Values{"for": {"program"}}, key: keyOr("")}
	err = c.upload(ctx, r, nil, zip, sent, &s)
	return s, err
}

// Store uploads a scenario, to run it once or often. Sent is as in Submission.
func (c *Client) Store(ctx context.Context, zip *Source, sent func(sent, total int64)) (s Scenario, err error) {
	err = c.upload(ctx, request{method: http.MethodPost, path: "/scenarios", key: keyOr("")}, nil, zip, sent, &s)
	return s, err
}

// Derivation is what a scenario is to have differently from another.
type Derivation struct {
	Changes *Source  // a zip of the changed and added files, by their paths in the scenario; nil for none
	Delete  []string // files and folders that are left out
	Name    string   // for people; empty for the other scenario's
	// ForProgram says that a controller or a tool runs it: see Client.StoreForProgram.
	ForProgram bool
}

// Derive makes a scenario that shares with the stored one called id all that d does not change. Sent is as in Submission.
func (c *Client) Derive(ctx context.Context, id string, d Derivation, sent func(sent, total int64)) (s Scenario, err error) {
	query := url.Values{"delete": d.Delete}
	if d.Name != "" {
		query.Set("name", d.Name)
	}
	if d.ForProgram {
		query.Set("for", "program")
	}
	r := request{method: http.MethodPost, path: "/scenarios/" + url.PathEscape(id) + "/derive", query: query, key: keyOr("")}
	if d.Changes == nil {
		err = c.call(ctx, r, &s)
	} else {
		err = c.upload(ctx, r, nil, d.Changes, sent, &s)
	}
	return s, err
}

// Validation is what was found in a zip that was not kept.
type Validation struct {
	Document
	Valid    bool             `json:"valid"`
	Detail   string           `json:"detail"` // on the first problem
	Errors   []problem.Item   `json:"errors"`
	Warnings []string         `json:"warnings"`
	Configs  []ScenarioConfig `json:"configs"`
	Files    []ScenarioFile   `json:"files"`
}

// Validate checks a scenario without storing it: the configuration that config names, as in Submission, or any if it is empty. Sent is
// as in Submission.
func (c *Client) Validate(ctx context.Context, zip *Source, config string, sent func(sent, total int64)) (v Validation, err error) {
	query := url.Values{}
	if config != "" {
		query.Set("config_file", config)
	}
	err = c.upload(ctx, request{method: http.MethodPost, path: "/scenarios/validate", query: query, safe: true}, nil, zip, sent, &v)
	return v, err
}

// ScenarioPage is a part of a list of scenarios, newest first.
type ScenarioPage struct {
	Document
	Scenarios  []Scenario `json:"scenarios"`
	NextCursor string     `json:"next_cursor"` // empty on the last page
}

// Scenarios returns the page after cursor, or the first one. Limit is 1 to 200, or 0 for the service's default.
func (c *Client) Scenarios(ctx context.Context, cursor string, limit int) (page ScenarioPage, err error) {
	query := url.Values{}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	if limit != 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	err = c.call(ctx, request{method: http.MethodGet, path: "/scenarios", query: query}, &page)
	return page, err
}

// Scenario returns a stored scenario.
func (c *Client) Scenario(ctx context.Context, id string) (s Scenario, err error) {
	err = c.call(ctx, request{method: http.MethodGet, path: "/scenarios/" + url.PathEscape(id)}, &s)
	return s, err
}

// DeleteScenario deletes a scenario that no job needs any more.
func (c *Client) DeleteScenario(ctx context.Context, id string) (d Document, err error) {
	err = c.call(ctx, request{method: http.MethodDelete, path: "/scenarios/" + url.PathEscape(id)}, &d)
	return d, err
}
