package status

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/job"
)

func TestCurvesOfAPlotHaveNamesThatTellTheRunsApart(t *testing.T) {
	t.Parallel()
	seed, scale := int64(7), 1.25
	jobs := []job.Job{{ID: "1-aaaaaa", Name: "city"}, {ID: "2-bbbbbb", Name: "city"}, {ID: "3-cccccc", Name: "city"}}
	jobs[1].Options.Seed = &seed
	jobs[1].Options.Scale = &scale
	jobs[2].Options.Seed = &seed
	jobs = append(jobs, jobs[0])
	jobs[3].ID = "4-dddddd"
	want := []string{"city (…aaaaaa)", "city, seed 7, demand × 1.25", "city, seed 7", "city (…dddddd)"}
	if diff := cmp.Diff(want, labels(jobs)); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}
