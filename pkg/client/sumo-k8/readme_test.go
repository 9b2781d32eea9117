package main

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/client/internal/service"
)

var update = flag.Bool("update", false, "write the README's record and the help text anew")

const (
	recordBegin = "<!-- what the command above prints: a test compares it -->\n```text\n"
	recordEnd   = "```\n"
)

// volatile parts of the record differ from run to run.
var volatile = []struct {
	pattern *regexp.Regexp
	mask    string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "<job>"},
	{regexp.MustCompile(`(?m)^ *\d+ % (QUEUED|PENDING|RUNNING)\n`), ""}, // which steps are seen is a matter of speed
	{regexp.MustCompile(`(?m)^\[.*%\].*\n`), ""},
	{regexp.MustCompile(`(?m)^sumo-run: started .*\n`), ""},
	{regexp.MustCompile(`(?m)^sumo-run: confined by .*$`), "sumo-run: confined by <what the machine offers>"},
	{regexp.MustCompile(`(?m)^No log yet: .*\n`), ""},
	{
		regexp.MustCompile(`(?m)^( Real time factor:| UPS:|wall clock time|times faster than real|vehicle updates per second) .*$`),
		"$1 <measured>",
	},
	{regexp.MustCompile(`\b\d+(\.\d+)?ms\b`), "<duration>"},
	{regexp.MustCompile(`(?m)^ Duration: \d.*s$`), " Duration: <duration>"},
}

// sumoVersion is in the log. Another one simulates the same scenario differently.
var sumoVersion = regexp.MustCompile(`Simulation version \S+`)

func masked(record string) string {
	for _, v := range volatile {
		record = v.pattern.ReplaceAllString(record, v.mask)
	}
	return record
}

// testREADME runs the command that the README records, and compares. -update records it.
func testREADME(t *testing.T, s *service.Server) {
	const path = "../../../README.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), recordBegin)
	record, after, ended := strings.Cut(rest, recordEnd)
	if !found || !ended {
		t.Fatal("README.md has no record of a command")
	}
	u := tenant(t, s)
	var both strings.Builder
	scenario := filepath.FromSlash("../../../test_networks/ready_to_use/grid.zip")
	if code := run(t.Context(), []string{"submit", scenario, "--follow"}, strings.NewReader(""), &both, &both,
		func(name string) string { return u.env[name] }); code != exitOK {
		t.Fatalf("exit code %d:\n%s", code, &both)
	}
	if *update {
		if err := os.WriteFile(path, []byte(before+recordBegin+both.String()+recordEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if was, now := sumoVersion.FindString(record), sumoVersion.FindString(both.String()); was != now {
		t.Skipf("the record is of %q, here runs %q", was, now)
	}
	if diff := cmp.Diff(masked(record), masked(both.String())); diff != "" {
		t.Errorf("README.md's record of submit --follow (-README +now); go test ./pkg/client/sumo-k8 -update records it again:\n%s", diff)
	}
}
