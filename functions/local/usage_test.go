package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
)

func TestThePrintedLinesWorkWhenPasted(t *testing.T) {
	t.Parallel()
	s := startService(t)
	var usage strings.Builder
	bin := t.TempDir()
	if err := localtest.Build(t.Context(), filepath.Join(bin, "sumo-k8"), "pkg/client/sumo-k8"); err != nil {
		t.Fatal(err)
	}
	printUsage(&usage, s.url, s.adminKey, t.TempDir(), bin)
	_, rest, _ := strings.Cut(usage.String(), "look at it:\n")
	lines, _, found := strings.Cut(rest, "\nData and logs")
	withCurl, withCommands, both := strings.Cut(lines, "\nOr with the command line:\n")
	if !found || !both {
		t.Fatalf("the usage has a different form:\n%s", &usage)
	}
	// The lines name a file of the repository, and write results to the current folder.
	here := t.TempDir()
	repository, err := filepath.Abs("../../test_networks")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(repository, filepath.Join(here, "test_networks")); err != nil {
		t.Fatal(err)
	}
	paste := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", withCurl+withCommands)
	paste.Dir = here
	out, err := paste.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{`"job_id":`, `"status":"SUCCEEDED"`, `"storage_type":"s3"`, "100 % SUCCEEDED", " files, "} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the answers lack %s:\n%s", want, out)
		}
	}
}
