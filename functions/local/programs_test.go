package main

import (
	"archive/zip"
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/functions/status"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/replay"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/study"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
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

// zipped is a zip of files.
func zipped(t *testing.T, files map[string]string) string {
	t.Helper()
	var file bytes.Buffer
	to := zip.NewWriter(&file)
	for name, text := range files {
		f, err := to.Create(name)
		if err == nil {
			_, err = f.Write([]byte(text))
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

// steered is square with two programs, of which one fails.
func steered(t *testing.T) string {
	t.Helper()
	return readyWith(t, "square", map[string]string{"control.py": steering, "broken.py": "raise ValueError('no signal B17')\n"})
}

// withPrograms starts a service that runs controllers and tools.
func withPrograms(t *testing.T) *service {
	t.Helper()
	sumotest.Python(t, release.Newest().Version)
	settings, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	settings.Controllers = true
	s, _ := startWith(t, settings)
	return s
}

func TestControllersAndToolsRunAsJobs(t *testing.T) {
	t.Parallel()
	s := withPrograms(t)
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
	t.Run("a recorded controller", func(t *testing.T) {
		t.Parallel()
		var j rest.Job
		c.post(t, append(fields("controller", controller), [2]string{"replay", "true"})).want(t, http.StatusOK).into(t, &j)
		if j = c.finish(t, j.JobID); j.Status != job.Succeeded {
			t.Fatalf("ended %s: %s", j.Status, deref(j.Error))
		}
		x := c.replayOf(t, j.JobID)
		if frames := c.framesOf(t, x); len(frames) != 100 || len(frames[99]) == 0 || x.Source != replay.FromRun || x.Period != 1 {
			t.Errorf("%d frames of %+v", len(frames), x.Index)
		}
	})
	t.Run("a recorded tool", func(t *testing.T) {
		t.Parallel()
		asked := append(fields("tool", `{"name": "netconvert", "args": ["-h"]}`), [2]string{"replay", "true"})
		if p := c.post(t, asked).want(t, http.StatusBadRequest).problem(t); !strings.Contains(fmt.Sprint(p), "keep_as") {
			t.Errorf("%+v", p)
		}
	})
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

// TestAssignThenStudy makes demand, assigns it to routes and studies two variants: each step works on what the one before has kept.
func TestAssignThenStudy(t *testing.T) {
	t.Parallel()
	s := withPrograms(t)
	network := filepath.Join(t.TempDir(), "grid.net.xml")
	made, err := sumotest.Command(t, sumotest.Newest(t), "netgenerate", "--grid", "--grid.number", "4", "-o", network).CombinedOutput()
	if err != nil {
		t.Fatalf("netgenerate: %v\n%s", err, made)
	}
	grid, err := os.ReadFile(network)
	if err != nil {
		t.Fatal(err)
	}
	c := s.register(t, `"controllers": true`)
	// apply runs a tool on a scenario, and returns the job and the scenario that it keeps, of which the job has a warning or none.
	apply := func(source [2]string, tool, warning string) (rest.Job, string) {
		t.Helper()
		var j rest.Job
		c.post(t, [][2]string{
			{"scenario_id", "grid"}, {"cpu_request", "1"}, {"memory_gi", "1"}, {"seed", "7"}, {"tool", tool}, source,
		}).want(t, http.StatusOK).into(t, &j)
		j = c.finish(t, j.JobID)
		said := strings.Join(j.Warnings, "\n")
		if j.Status != job.Succeeded || j.KeptScenario == "" || warning == "" && said != "" || !strings.Contains(said, warning) {
			t.Fatalf("%s ended %s (%s): %s; it keeps %q, with the warnings %q",
				tool, j.Status, j.Reason, deref(j.Error), j.KeptScenario, j.Warnings)
		}
		return j, j.KeptScenario
	}
	// The configuration names the routes of the last iteration, which do not exist yet.
	_, demand := apply([2]string{"@sumo_files", zipped(t, map[string]string{
		"grid.net.xml": string(grid),
		"grid.sumocfg": `<configuration><net-file value="grid.net.xml"/><route-files value="009/od_009.rou.xml.gz"/></configuration>`,
	})}, `{"name": "randomTrips", "keep_as": "demand", "args": ["-n", "grid.net.xml", "-e", "100", "-o", "od.trips.xml", "--seed", "{seed}"]}`,
		`The scenario "demand", which was kept, has warnings: grid.sumocfg: cannot run: `)
	assignment, assigned := apply([2]string{"scenario", demand},
		`{"name": "duaIterate", "keep_as": "assigned", "args": ["-n", "grid.net.xml", "-t", "od.trips.xml", "-l", "10"]}`, "")
	if assigned == demand {
		t.Error("the assignment keeps what it was given")
	}
	var plots status.Plots
	c.call(t, "GET", "/jobs/"+assignment.JobID+"/plots").want(t, http.StatusOK).into(t, &plots)
	if !slices.ContainsFunc(plots.Plots, func(p status.PlotLink) bool { return p.Name == "convergence" }) {
		t.Errorf("the assignment has the plots %+v", plots.Plots)
	}

	var asked rest.Study
	c.sendJSON(t, "/studies", fmt.Sprintf(`{"name": "assigned", "replications": {"seeds": "1:2"}, "baseline": {"variant": "ours"}, "variants": [
		{"name": "ours", "scenario": %q, "run": {"config_file": "grid.sumocfg"}},
		{"name": "of the last iteration", "scenario": %q, "run": {"config_file": "009/iteration_009.sumocfg"}}
	]}`, assigned, assigned)).want(t, http.StatusOK).into(t, &asked)
	if ended := c.answered(t, asked.StudyID); ended.Status != study.Succeeded || ended.Runs.Succeeded != 4 {
		t.Errorf("the study ended %+v", ended.StudySummary)
	}
}
