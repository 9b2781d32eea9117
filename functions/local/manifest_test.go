package main

import (
	"net/http"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

func (c *tenantClient) manifest(t testing.TB, id string) (m job.Manifest) {
	t.Helper()
	c.call(t, "GET", "/jobs/"+id+"/manifest.json").want(t, http.StatusOK).into(t, &m)
	return m
}

func testManifest(t *testing.T, s *service) {
	c := s.register(t)
	base := c.store(t, zipOf(t, "square")).ID
	for _, version := range []string{release.Oldest().Version, release.Newest().Version} {
		var manifests []job.Manifest
		for _, seed := range []string{"3", "3", "4"} {
			var j struct {
				ID string `json:"job_id"`
			}
			c.post(t, [][2]string{
				{"scenario_id", "again"}, {"scenario", base}, {"seed", seed}, {"sumo_version", version},
				{"outputs", "fcd,emission,edgedata,queue,lanechange,stop"},
			}).want(t, http.StatusOK).into(t, &j)
			c.finish(t, j.ID)
			manifests = append(manifests, c.manifest(t, j.ID))
		}
		m := manifests[0]
		full, _ := release.Find(version)
		if m.Scenario.ID != base || m.SUMO.Version != version || m.SUMO.Build != full.Full || m.Seed != 3 || m.Status != job.Succeeded {
			t.Errorf("the manifest is %+v", m)
		}
		if same := m.Compare(manifests[1]); !same.Same || len(same.Notes) != 0 {
			t.Errorf("SUMO %s: a run and its repetition compare as %+v", version, same)
		}
		verdicts := map[job.Verdict]int{}
		for _, f := range m.Compare(manifests[2]).Files {
			verdicts[f.Verdict]++
		}
		if verdicts[job.DifferentFile] < 3 || verdicts[job.MissingFile]+verdicts[job.FurtherFile] > 0 {
			t.Errorf("SUMO %s: runs with different seeds compare as %v", version, verdicts)
		}
	}
}
