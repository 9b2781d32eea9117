package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/sumo-k8/sumo-k8/pkg/client"
	"github.com/sumo-k8/sumo-k8/pkg/client/internal/show"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

// question is what the demo's study asks. Less green for the side road helps the main road, which has more traffic, but too little makes
// queues: neither is plain from one run, whose mean varies with the seed by more than a plan changes it.
var question = struct {
	text, scenario, metric string
	axis                   study.Axis
	baseline, seeds        string
}{
	text:     "Would the crossing gain if its side road had 35 s or 25 s of green, in place of 42 s?",
	scenario: "cross",
	metric:   "mean_time_loss",
	axis: study.Axis{
		Name: "side green", Set: "xml:cross.net.xml#phase[@state='GGgrrrrGGgrrrr']/@duration",
		Values: []json.RawMessage{json.RawMessage("42"), json.RawMessage("35"), json.RawMessage("25")},
	},
	baseline: "42",
	seeds:    "1:8",
}

// ask runs the study and prints what it says.
func ask(ctx context.Context, api *client.Client, zip string, stdout io.Writer) error {
	fmt.Fprintln(stdout, question.text)
	stored, err := api.Store(ctx, client.File(zip), nil)
	if err != nil {
		return fmt.Errorf("storing %s: %w", question.scenario, err)
	}
	s, err := api.CreateStudy(ctx, client.StudyRequest{Name: question.axis.Name, Plan: study.Plan{
		Variants:     []study.Variant{{Name: question.scenario, Scenario: stored.ID}},
		Axes:         []study.Axis{question.axis},
		Baseline:     &study.Baseline{Values: map[string]json.RawMessage{question.axis.Name: json.RawMessage(question.baseline)}},
		Metrics:      []string{question.metric},
		Replications: study.Replications{Seeds: json.RawMessage(`"` + question.seeds + `"`)},
	}}, "")
	if err != nil {
		return fmt.Errorf("making the study: %w", err)
	}
	if err := followStudy(ctx, api, s, stdout); err != nil {
		return fmt.Errorf("following the study: %w", err)
	}
	compared, err := api.StudyComparison(ctx, s.ID, client.StudyQuestion{})
	if err != nil {
		return fmt.Errorf("comparing: %w", err)
	}
	for _, c := range compared.Comparisons {
		fmt.Fprintln(stdout, show.Printable(c.Sentence))
	}
	fmt.Fprintln(stdout)
	return nil
}

// followStudy shows the progress of a study until it has ended. One that does not succeed is an error, and one that is left is cancelled.
func followStudy(ctx context.Context, api *client.Client, s client.Study, stdout io.Writer) (err error) {
	defer func() {
		if err == nil {
			return
		}
		farewell, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelWithin)
		defer cancel()
		_, _ = api.CancelStudy(farewell, s.ID) // the first failure is the one to report
	}()
	display := show.NewStudy(stdout, show.PointLabels(s))
	defer display.Close()
	for e, err := range api.FollowStudy(ctx, s.ID) {
		if err != nil {
			return err
		}
		if e.End && e.Status != study.Succeeded {
			return fmt.Errorf("study %s is %s: %s", s.ID, e.Status, e.Message)
		}
		show.Event(display, e, len(s.Points))
	}
	return nil
}
