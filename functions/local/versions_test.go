package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/functions/logs"
	"github.com/sumo-k8/sumo-k8/functions/status"
	"github.com/sumo-k8/sumo-k8/pkg/config"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/process/processtest"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/outputs"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

func testVersions(t *testing.T, s *service) {
	newest, oldest := sumotest.Newest(t).Version, sumotest.Oldest(t).Version
	c := s.register(t)
	var list struct{ Versions []status.Version }
	c.call(t, "GET", "/versions").want(t, http.StatusOK).into(t, &list)
	for _, version := range []string{oldest, newest} {
		i := slices.IndexFunc(list.Versions, func(v status.Version) bool { return v.Version == version })
		if i < 0 || !list.Versions[i].Installed || list.Versions[i].Default != (version == newest) {
			t.Errorf("%s is listed as %+v", version, list.Versions)
		}
	}
	loss := map[string]float64{}
	for _, version := range []string{oldest, newest, ""} {
		j := c.finish(t, c.submit(t, "square", [2]string{"sumo_version", version}).JobID)
		want := version
		if version == "" {
			want = newest
		}
		if j.Status != job.Succeeded || !strings.HasPrefix(j.Version, want+".") || j.Options.SumoVersion != want {
			t.Errorf("a job on %q ended %s on %s, planned for %s", version, j.Status, j.Version, j.Options.SumoVersion)
		}
		var summary status.Summary
		c.call(t, "GET", "/jobs/"+j.JobID+"/summary").want(t, http.StatusOK).into(t, &summary)
		loss[version], _ = summary.Metric("mean_time_loss")
	}
	if loss[""] != loss[newest] || loss[oldest] == loss[newest] { // 1.27 changed how vehicles depart
		t.Errorf("the time losses are %v", loss)
	}
}

// TestEveryVersionRunsTheReadyNetworks is what testVersions samples: make e2e-versions runs it, and the same on a cluster.
func TestEveryVersionRunsTheReadyNetworks(t *testing.T) {
	t.Parallel()
	if os.Getenv("SUMO_K8_ALL_VERSIONS") == "" {
		t.Skip("SUMO_K8_ALL_VERSIONS is not set: make e2e-versions sets it")
	}
	c := startService(t).register(t, `"max_concurrent_jobs": 4`)
	for _, version := range sumotest.Versions() {
		ids := map[string]string{}
		for _, network := range networks.Ready() {
			fields := [][2]string{{"sumo_version", version}, {"cpu_request", "1"}, {"memory_gi", "1"}}
			if network == "multi_config" {
				fields = append(fields, [2]string{"config_file", "morning.sumocfg"})
			}
			ids[network] = c.submit(t, network, fields...).JobID
		}
		for network, id := range ids {
			if j := c.finish(t, id); j.Status != job.Succeeded || !strings.HasPrefix(j.Version, version+".") {
				t.Errorf("%s on %s ended %s on %q: %v", network, version, j.Status, j.Version, deref(j.Error))
			}
		}
	}
}

func testCheckJob(t *testing.T, s *service) {
	c := s.register(t)
	var j rest.Job
	c.post(t, [][2]string{{"scenario_id", "sound"}, {"check", "true"}, {"@sumo_files", zipOf(t, "square")}}).want(t, http.StatusOK).into(t, &j)
	j = c.finish(t, j.JobID)
	if j.Status != job.Succeeded || j.ResultFiles != nil || len(j.Problems) > 0 || !j.Options.Check {
		t.Errorf("a check of a sound scenario is %+v", j)
	}
	c.post(t, [][2]string{{"scenario_id", "broken"}, {"check", "true"}, {"@sumo_files", brokenAtRunTime(t)}}).
		want(t, http.StatusOK).into(t, &j)
	j = c.finish(t, j.JobID)
	if j.Status != job.Failed || len(j.Problems) == 0 || !strings.Contains(j.Problems[0].Message, "nowhere") || j.ResultFiles != nil {
		t.Errorf("a check of a broken scenario is %+v", j)
	}
	var snapshot logs.Snapshot
	c.call(t, "GET", "/jobs/"+j.JobID+"/logs").want(t, http.StatusOK).into(t, &snapshot)
	if !strings.Contains(snapshot.Logs, "nowhere") {
		t.Errorf("the log of a check is %q", snapshot.Logs)
	}
	var results status.Results
	c.call(t, "GET", "/jobs/"+j.JobID+"/results").want(t, http.StatusOK).into(t, &results)
	if len(results.Files) > 0 {
		t.Errorf("a check has the results %+v", results.Files)
	}
}

// testOwnOutputs: the scenario's own outputs keep their names, and views find them.
func testOwnOutputs(t *testing.T, s *service) {
	c := s.register(t)
	for summary, tripinfo := range map[string]string{"my_summary.xml": "out/my_trips.xml", "all.xml": "all.xml"} {
		checkOwnOutputs(t, c, summary, tripinfo)
	}
}

func checkOwnOutputs(t *testing.T, c *tenantClient, summary, tripinfo string) {
	t.Helper()
	zip := edited(t, "square", func(name, content string) string {
		if strings.HasSuffix(name, ".sumocfg") {
			return strings.Replace(content, "</configuration>", `<output><tripinfo-output value="`+tripinfo+`"/><summary-output value="`+summary+
				`"/></output></configuration>`, 1)
		}
		return content
	})
	var j rest.Job
	c.post(t, [][2]string{{"scenario_id", "own"}, {"@sumo_files", zip}}).want(t, http.StatusOK).into(t, &j)
	j = c.finish(t, j.JobID)
	if j.Status != job.Succeeded {
		t.Fatalf("it ended %s: %v", j.Status, deref(j.Error))
	}
	roles := map[simulation.Output]string{}
	for _, f := range j.ResultFiles.Files {
		for _, role := range f.Roles {
			roles[role] = f.Name
		}
	}
	if roles[simulation.OutputTripinfo] != tripinfo || roles[simulation.OutputSummary] != summary ||
		roles[simulation.OutputStatistics] != "statistics.xml" {
		t.Errorf("the roles are %v", roles)
	}
	for _, view := range []string{"/distributions", "/plots/speed.svg", "/plots/travel_time.svg"} {
		c.call(t, "GET", "/jobs/"+j.JobID+view).want(t, http.StatusOK)
	}
	var series outputs.Series
	c.call(t, "GET", "/jobs/"+j.JobID+"/series").want(t, http.StatusOK).into(t, &series)
	var numbers status.Summary
	c.call(t, "GET", "/jobs/"+j.JobID+"/summary").want(t, http.StatusOK).into(t, &numbers)
	finished, _ := numbers.Metric("vehicles_finished")
	inserted, _ := numbers.Metric("vehicles_inserted")
	if finished == 0 || finished != inserted || len(series.Time) == 0 {
		t.Errorf("%s and %s: %g of %g vehicles finished, %d steps", summary, tripinfo, finished, inserted, len(series.Time))
	}
}

func TestVersionsOfOneMachineAreFoundAndSaid(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	install := func(version string) release.Installation {
		at := release.In(dir, version)
		if err := os.MkdirAll(filepath.Dir(at.Binary), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at.Binary, nil, 0o755); err != nil {
			t.Fatal(err)
		}
		return at
	}
	program := func(script string) string {
		path := filepath.Join(t.TempDir(), "sumo-run")
		processtest.WriteProgram(t, path, "#!/bin/sh\n"+script+"\n")
		return path
	}
	packaged, none := program("echo 1.15.0"), program("exit 1")
	find := func(sumoRun string, restriction ...string) (sumos, string, error) {
		cfg := config.Config{SumoDir: dir, SumoVersions: restriction}
		found, err := findSumo(context.Background(), cfg, sumoRun, nil, io.Discard)
		return found, found.notice(cfg), err
	}
	if _, _, err := find(none); err == nil || !strings.Contains(err.Error(), "make sumo") {
		t.Errorf("without any SUMO: %v", err)
	}
	if found, says, err := find(packaged); err != nil || found.distribution != "1.15" ||
		!strings.Contains(says, "SUMO 1.15, from this system's packages: make sumo") {
		t.Errorf("with a package alone: %+v, %q, %v", found, says, err)
	}
	at := install("1.28")
	install("1.20")
	found, says, err := find(packaged)
	if err != nil || says != "Jobs run on SUMO 1.28, or on 1.15, 1.20 by sumo_version." {
		t.Errorf("with a package and wheels: %q, %v", says, err)
	}
	if env := found.environment("1.28"); !slices.Contains(env, "SUMO_BINARY="+at.Binary) || !slices.Contains(env, "SUMO_HOME="+at.Home) {
		t.Errorf("1.28 has the environment %v", env)
	}
	if _, says, err := find(none); err != nil || says != "Jobs run on SUMO 1.28, or on 1.20 by sumo_version." {
		t.Errorf("with wheels alone: %q, %v", says, err)
	}
	if _, says, err := find(packaged, "1.20"); err != nil || says != "Jobs run on SUMO 1.20." {
		t.Errorf("restricted: %q, %v", says, err)
	}
	if _, _, err := find(packaged, "1.26"); err == nil || !strings.Contains(err.Error(), "SUMO_VERSIONS") {
		t.Errorf("restricted to what is not installed: %v", err)
	}
	if _, err := findSumo(t.Context(), config.Config{SumoDir: dir}, none, []string{"0.1"}, io.Discard); err == nil {
		t.Error("a version that does not exist can be installed")
	}
}
