package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

// Manifest says what a run was made from, and the checksums of its results.
type Manifest struct {
	Document
	job.Manifest
}

// Manifest returns that of a finished job.
func (c *Client) Manifest(ctx context.Context, id string) (m Manifest, err error) {
	err = c.call(ctx, request{method: http.MethodGet, path: jobPath(id, "/manifest.json")}, &m)
	return m, err
}

// ReproducesLabel is the label of a run that repeats another; its value is the other's id.
const ReproducesLabel = "reproduces"

// Reproduce runs again what m describes, on the same build of SUMO as far as the service still has it, and returns the job as it is when it
// has been made. The scenario must be stored with the tenant, and the version of SUMO be on offer. A run of a study has options that single
// jobs have not, so it is repeated as a study of one run.
func (c *Client) Reproduce(ctx context.Context, m job.Manifest) (Job, error) {
	if m.Format != job.ManifestFormat {
		return Job{}, fmt.Errorf("the manifest has the format %d, and this program knows %d only: use a newer one", m.Format, job.ManifestFormat)
	}
	o := m.Options
	run := Run{
		Name: m.Name, ConfigFile: o.ConfigFile, Seed: o.Seed, Begin: o.Begin, End: o.End, StepLength: o.StepLength, Scale: o.Scale,
		SumoVersion: o.SumoVersion, Outputs: o.Outputs, Tables: o.Tables, Replay: o.Replay,
		CPURequest: m.CPURequest, MemoryGi: m.MemoryGi, TimeoutSeconds: m.TimeoutSeconds,
		UnfinishedTrips: o.UnfinishedTrips, Strict: o.Strict, Check: o.Check, Controller: o.Controller, Tool: o.Tool,
		Labels: map[string]string{ReproducesLabel: m.JobID},
	}
	if m.StudyID == "" {
		return c.Submit(ctx, Submission{Run: run, ScenarioID: m.Scenario.ID})
	}
	r, err := studyOfOne(m, run)
	if err != nil {
		return Job{}, err
	}
	s, err := c.CreateStudy(ctx, r, "")
	if err != nil {
		return Job{}, err
	}
	return c.onlyRun(ctx, s.ID)
}

// studyOfOne is a study whose only run is that of m. What single jobs cannot choose are axes with one value.
func studyOfOne(m job.Manifest, run Run) (StudyRequest, error) {
	fields, err := StudyRun(run)
	if err != nil {
		return StudyRequest{}, err
	}
	r := StudyRequest{Name: "reproduction of " + m.JobID, Plan: study.Plan{
		Variants: []study.Variant{{Name: "again", Scenario: m.Scenario.ID}}, Run: fields, Metrics: m.Options.Metrics, Cache: job.NoCache,
		Replications: study.Replications{Seeds: fmt.Appendf(nil, "[%d]", m.Seed)},
	}}
	axis := func(set, text string) error {
		value, err := json.Marshal(text)
		r.Axes = append(r.Axes, study.Axis{Name: "choice " + strconv.Itoa(len(r.Axes)+1), Set: set, Values: []json.RawMessage{value}})
		return err
	}
	for name, value := range m.Options.SUMOOptions {
		if err := axis("option:"+name, value); err != nil {
			return r, err
		}
	}
	for _, a := range m.Options.Attributes {
		if err := axis("xml:"+a.String(), a.Value); err != nil {
			return r, err
		}
	}
	return r, nil
}

// runPoll is how often a study is asked for its run, which it has when there is room for it.
const runPoll = time.Second

// onlyRun waits until a study of one run has it.
func (c *Client) onlyRun(ctx context.Context, id string) (Job, error) {
	for {
		page, err := c.Jobs(ctx, Filter{Study: id})
		if err != nil {
			return Job{}, err
		}
		if len(page.Jobs) > 0 {
			return page.Jobs[0], nil
		}
		s, err := c.Study(ctx, id)
		if err != nil {
			return Job{}, err
		}
		if s.Status != study.Running {
			return Job{}, fmt.Errorf("study %s ended %s without its run. %s", id, s.Status, s.Message)
		}
		select {
		case <-time.After(runPoll):
		case <-ctx.Done():
			return Job{}, ctx.Err()
		}
	}
}
