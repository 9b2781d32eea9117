package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/client/internal/service"
)

func testStudies(t *testing.T, s *service.Server) {
	u := tenant(t, s)
	square := u.network("square", nil)
	dry := u.ok("study", "run", square, "--axis", "demand=scale:0.5,1", "--seeds", "1:3", "--dry-run").stdout
	says(t, dry, "square, demand 0.5", "square, demand 1 ", "2 points, 6 runs")
	if left := u.ok("study", "ls"); left.stdout != "" {
		t.Errorf("a dry run left %s", left.stdout)
	}
	o := u.ok("study", "run", "base="+square, "--axis", "demand=scale:0.5,1", "--seeds", "1:3", "--name", "demand", "--baseline", "base",
		"--follow")
	says(t, o.stderr, "2 points, 6 runs", "6/6 done", "is SUCCEEDED")
	id := regexp.MustCompile(`Study (\S+) has`).FindStringSubmatch(o.stderr)[1]
	says(t, u.ok("study", "ls").stdout, id, "demand", "SUCCEEDED")
	says(t, u.ok("study", "get", id).stdout, "base, demand 0.5", "SUCCEEDED")
	u.ends(exitRefused, "study", "retry", id)
	says(t, u.ok("study", "extend", id, "--seeds", "3:4", "--value", "demand=1.5", "-f").stderr, "3 points, 12 runs", "12/12 done")

	dir := filepath.Join(t.TempDir(), "out")
	says(t, u.ok("study", "results", id, "--name", "statistics.xml", "--dir", dir).stdout, "12 files of 12 runs")
	found, err := filepath.Glob(filepath.Join(dir, "*", "*", "statistics.xml"))
	if err != nil || len(found) != 12 || !slices.Contains(found, filepath.Join(dir, "000_base_demand_0.5", "seed-4", "statistics.xml")) {
		t.Errorf("fetched %q, %v", found, err)
	}
	if err := os.Remove(found[0]); err != nil {
		t.Fatal(err)
	}
	again := u.ok("study", "results", id, "--name", "statistics.xml", "--dir", dir)
	says(t, again.stdout, "1 file of 12 runs")
	says(t, again.stderr, "11 files were there already")
	u.ok("study", "cancel", id, "--purge")
	u.ends(exitRefused, "study", "get", id)
}

func TestFlagsOfAStudyAreReadAsTheyAreMeant(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"demand=scale:0.8,1":                   `demand|scale|0.8|1`,
		"SUMO=sumo_version:1.18,1.28":          `SUMO|sumo_version|"1.18"|"1.28"`,
		"t=option:time-to-teleport:300,-1":     `t|option:time-to-teleport|300|-1`,
		"u=unfinished_trips:true,false":        `u|unfinished_trips|true|false`,
		"m=option:car-following.model:IDM,KR":  `m|option:car-following.model|"IDM"|"KR"`,
		"s=xml:a.xml#v[@id='a:b']/@sigma:0,.5": `s|xml:a.xml#v[@id='a:b']/@sigma|0|".5"`,
	} {
		axis, err := axisOf(text)
		parts := []string{axis.Name, axis.Set}
		for _, v := range axis.Values {
			parts = append(parts, string(v))
		}
		if diff := cmp.Diff(want, strings.Join(parts, "|")); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", text, err, diff)
		}
	}
	u := person(t)
	for _, wrong := range [][]string{
		{"study", "run", "a.zip"}, {"study", "run", "a.zip", "--seeds", "x"}, {"study", "run", "a.zip", "--seeds", "5:1"},
		{"study", "run", "a.zip", "--seeds", "1:2", "--axis", "scale:1"}, {"study", "run", "a.zip", "--seeds", "1:2", "--axis", "a=scale"},
		{"study", "ls", "-n", "-1"},
	} {
		u.ends(exitUsage, wrong...)
	}
}
