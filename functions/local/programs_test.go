package main

import (
	"archive/zip"
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/functions/status"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

// steering is a controller as people write it. It also leaves a file of its own.
const steering = `import sys

import traci

traci.start(["sumo", "-c", "square.sumocfg", "--seed", sys.argv[1]])
steps = 0
while traci.simulation.getMinExpectedNumber() > 0 and steps < 100:
    traci.simulationStep()
    steps += 1
traci.close()
with open("out/steps.txt", "w") as report:
    report.write("%d steps with seed %s\n" % (steps, sys.argv[1]))
`

// steered is square with two programs, of which one fails.
func steered(t *testing.T) string {
	t.Helper()
	data, err := networks.ReadyZip("square")
	if err != nil {
		t.Fatal(err)
	}
	from, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	to := zip.NewWriter(&file)
	for _, f := range from.File {
		if err := to.Copy(f); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"control.py": steering, "broken.py": "raise ValueError('no signal B17')\n"} {
		program, err := to.Create(name)
		if err == nil {
			_, err = program.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return file.String()
}

func TestControllersAndToolsRunAsJobs(t *testing.T) {
	t.Parallel()
	sumotest.Python(t, release.Newest().Version)
	settings, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	settings.Controllers = true
	s, _ := startWith(t, settings)
	zip := steered(t)
	fields := func(field, value string) [][2]string {
		return [][2]string{
			{"scenario_id", "steered"}, {"cpu_request", "1"}, {"memory_gi", "1"}, {"seed", "7"}, {field, value}, {"@sumo_files", zip},
		}
	}
	const controller = `{"file": "control.py", "args": ["{seed}"]}`
	if a := s.register(t).post(t, fields("controller", controller)); a.status != http.StatusBadRequest {
		t.Errorf("a tenant that may not run programs: %d %s", a.status, a.body)
	}
	c := s.register(t, `"controllers": true`)
	for name, test := range map[string]struct {
		field, value string
		reason       simulation.Reason
		says         string // in the error
		result       string
		content      string
	}{
		"a controller": {"controller", controller, "", "", "out/steps.txt", "steps with seed 7\n"},
		"one with libsumo": {
			"controller", `{"file": "control.py", "args": ["{seed}"], "interface": "libsumo"}`,
			"", "", "out/steps.txt", "with seed 7\n",
		},
		"one that fails": {"controller", `{"file": "broken.py"}`, simulation.ControllerError, "no signal B17", "", ""},
		"a tool": {
			"tool", `{"name": "netconvert", "args": ["-s", "square.net.xml", "-o", "again.net.xml"]}`,
			"", "", "again.net.xml", "</net>",
		},
		"a tool that has no such": {
			"tool", `{"name": "netconvert", "args": ["-s", "round.net.xml"]}`,
			simulation.ControllerError, "round.net.xml", "", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var j rest.Job
			c.post(t, fields(test.field, test.value)).want(t, http.StatusOK).into(t, &j)
			j = c.finish(t, j.JobID)
			if (j.Status == job.Succeeded) != (test.reason == "") || j.Reason != test.reason || !strings.Contains(deref(j.Error), test.says) {
				t.Fatalf("ended %s (%s): %s", j.Status, j.Reason, deref(j.Error))
			}
			if test.result == "" {
				return
			}
			var results status.Results
			c.call(t, "GET", "/jobs/"+j.JobID+"/results").want(t, http.StatusOK).into(t, &results)
			a := c.call(t, "GET", "/jobs/"+j.JobID+"/results/"+test.result)
			if location := a.header.Get("Location"); a.status == http.StatusTemporaryRedirect || location != "" {
				response, err := http.Get(location)
				if err != nil {
					t.Fatal(err)
				}
				defer response.Body.Close()
				var content bytes.Buffer
				_, _ = content.ReadFrom(response.Body)
				a.body = content.Bytes()
			}
			if !strings.Contains(string(a.body), test.content) {
				t.Errorf("%s has %q; the results are %+v", test.result, a.body, results.Files)
			}
		})
	}
}
