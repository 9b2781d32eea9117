package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/client"
	"github.com/sumo-k8/sumo-k8/pkg/client/internal/service"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// words is what a command prints, with one blank between words.
func words(o outcome) string { return strings.Join(strings.Fields(o.stdout), " ") }

func testReproduce(t *testing.T, s *service.Server) {
	u, other := tenant(t, s), tenant(t, s)
	zip := u.network("square", nil)
	u.ok("submit", zip, "--follow", "--seed", "7", "--scale", "1.5", "--outputs", "fcd,edgedata", "--tables", "tripinfo", "--replay",
		"--unfinished-trips")
	text := u.ok("manifest", "@latest").stdout
	var m job.Manifest
	if err := json.Unmarshal([]byte(text), &m); err != nil || m.Seed != 7 || m.SUMO.Build == "" || m.Confinement == nil {
		t.Fatalf("the manifest is %s", text)
	}
	written := func(change func(*job.Manifest)) string {
		changed := m
		change(&changed)
		raw, err := json.Marshal(changed)
		if err != nil {
			t.Fatal(err)
		}
		return u.file("changed.json", raw)
	}
	kept := u.file("manifest.json", []byte(text))
	o := u.ok("reproduce", kept)
	says(t, words(o), "tripinfo.xml equal", "fcd.xml.gz equal", "tables/tripinfo.parquet equal", "statistics.xml equal",
		"log.txt not compared", "replay.segments not compared")
	says(t, o.stderr, "Every compared result is the same as that of job "+m.JobID)
	says(t, u.ok("ls", "--label", "reproduces="+m.JobID).stdout, "SUCCEEDED")

	// Elsewhere the scenario is not there until it is stored, and then it must be the same.
	says(t, other.ends(exitRefused, "reproduce", kept).stderr, "Name its zip or folder with --scenario")
	says(t, other.ends(exitTrouble, "reproduce", kept, "--scenario", u.network("grid", nil)).stderr, "give the same zip")
	says(t, other.ok("reproduce", kept, "--scenario", zip, "-o", "json").stdout, `"same":true`)

	seed := int64(8)
	o = u.ends(exitFailed, "reproduce", written(func(m *job.Manifest) { m.Options.Seed = &seed }))
	says(t, words(o), "tripinfo.xml different")
	says(t, o.stderr, "The results are not those of job "+m.JobID)
	o = u.ends(exitFailed, "reproduce", written(func(m *job.Manifest) { m.Options.Outputs = []simulation.Output{"queue", "fcd"} }))
	says(t, words(o), "edgedata.xml.gz missing", "queue.xml.gz further")
	says(t, u.ends(exitRefused, "reproduce", written(func(m *job.Manifest) { m.Options.SumoVersion = "1.2" })).stderr, "is not offered here")
	says(t, u.ends(exitTrouble, "reproduce", written(func(m *job.Manifest) { m.Format = 2 })).stderr, "use a newer one")
	says(t, u.ends(exitTrouble, "reproduce", "-").stderr, "is not a manifest")

	// A run of a study, with what only a study can choose.
	o = u.ok("study", "run", m.Scenario.ID, "--axis", "teleport=option:time-to-teleport:120",
		"--axis", "departure=xml:square.rou.xml#vehicle[@id='0']/@depart:1.5", "--seeds", "5", "--outputs", "edgedata",
		"--metric", "mean_speed,mean_time_loss@vType=DEFAULT_VEHTYPE", "--follow")
	study := regexp.MustCompile(`Study (\S+) has`).FindStringSubmatch(o.stderr)[1]
	api, err := client.New(s.URL, client.Options{APIKey: u.env[apiKeyVariable]})
	if err != nil {
		t.Fatal(err)
	}
	page, err := api.Jobs(t.Context(), client.Filter{Study: study})
	if err != nil || len(page.Jobs) != 1 {
		t.Fatalf("the runs of the study are %+v: %v", page, err)
	}
	run := u.file("run.json", []byte(u.ok("manifest", page.Jobs[0].ID).stdout))
	says(t, words(u.ok("reproduce", run)), "edgedata.columns equal", "edgedata.xml.gz equal", "tripinfo.xml equal")
}
