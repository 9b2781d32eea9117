package main

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/functions/submit"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

// TestScenariosAsPeopleMakeThem submits each case, and holds the answer and the job to what becomes of it.
func TestScenariosAsPeopleMakeThem(t *testing.T) {
	t.Parallel()
	s := startService(t)
	oldest := release.Oldest().Version
	for _, c := range networks.Cases() {
		t.Run(c.File+" "+c.ConfigFile, func(t *testing.T) {
			t.Parallel()
			client := s.register(t)
			zip, err := c.Zip()
			if err != nil {
				t.Fatal(err)
			}
			send := func(fields ...[2]string) answer {
				fields = append(fields, [2]string{"scenario_id", c.File}, [2]string{"@sumo_files", string(zip)})
				if c.ConfigFile != "" {
					fields = append(fields, [2]string{"config_file", c.ConfigFile})
				}
				return client.post(t, fields)
			}
			if slices.Contains(c.Unfit, oldest) {
				refused(t, send([2]string{"sumo_version", oldest}), c.Problems)
			} else if len(c.Problems) > 0 {
				refused(t, send(), c.Problems)
				return
			}
			if len(c.Several) > 0 {
				// A stored scenario is new with us. An upload is the predecessor's call, which runs the first.
				id := client.store(t, string(zip)).ID
				p := client.post(t, [][2]string{{"scenario_id", c.File}, {"scenario", id}}).want(t, http.StatusUnprocessableEntity).problem(t)
				var j rest.Job
				send().want(t, http.StatusOK).into(t, &j)
				said := strings.Join(j.Warnings, " ")
				for _, config := range c.Several {
					if !strings.Contains(p.Detail, config) {
						t.Errorf("the answer does not offer %s: %s", config, p.Detail)
					}
					if !strings.Contains(said, config) {
						t.Errorf("the job does not name %s: %s", config, said)
					}
				}
				return
			}
			if c.Strict {
				refused(t, send([2]string{"strict", "true"}), c.Warnings)
			}
			// What the run leaves out is a remark on the zip; a job has what concerns its run.
			var checked submit.Validation
			client.request(
				t, "POST", "/scenarios/validate", bytes.NewReader(zip), "Authorization: "+client.key, "Content-Type: application/zip",
			).want(t, http.StatusOK).into(t, &checked)
			missing := func(j rest.Job) []networks.Problem {
				return networks.MissingFrom(append(j.Warnings, checked.Warnings...), c.Warnings)
			}
			var j rest.Job
			send().want(t, http.StatusOK).into(t, &j)
			if lacking := missing(j); len(lacking) > 0 {
				t.Errorf("at submission, warnings %q lack %+v", j.Warnings, lacking)
			}
			if j = client.finish(t, j.JobID); j.Status != job.Succeeded {
				t.Fatalf("the job ended %s: %s", j.Status, deref(j.Error))
			}
			if lacking := missing(j); len(lacking) > 0 {
				t.Errorf("at its end, warnings %q lack %+v", j.Warnings, lacking)
			}
			if c.Seed != nil && (j.Seed == nil || *j.Seed != *c.Seed) {
				t.Errorf("the job does not show seed %d", *c.Seed)
			}
			for _, name := range c.Results {
				if !slices.ContainsFunc(j.ResultFiles.Files, func(f rest.ResultFile) bool { return f.Name == name }) {
					t.Errorf("the results lack %s: %v", name, j.ResultFiles.Files)
				}
			}
			client.call(t, "GET", "/jobs/"+j.JobID+"/summary").want(t, http.StatusOK)
		})
	}
}

func refused(t *testing.T, a answer, problems []networks.Problem) {
	t.Helper()
	p := a.want(t, http.StatusUnprocessableEntity).problem(t)
	var items []problem.Item
	for _, e := range p.Errors {
		items = append(items, problem.Item{Location: e.Location, Message: e.Message})
	}
	if missing := (networks.BrokenCase{Problems: problems}).Missing(p.Detail, items); len(missing) > 0 {
		t.Errorf("the answer lacks %+v: %s %v", missing, p.Detail, items)
	}
}
