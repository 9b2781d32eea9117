package main

import (
	"os/exec"
	"strings"
	"testing"
)

func TestThePrintedLinesWorkWhenPasted(t *testing.T) {
	t.Parallel()
	s := startService(t)
	var usage strings.Builder
	printUsage(&usage, s.url, s.adminKey, t.TempDir())
	_, rest, _ := strings.Cut(usage.String(), "look at it:\n")
	lines, _, found := strings.Cut(rest, "\nData and logs")
	if !found {
		t.Fatalf("the usage has another form now:\n%s", &usage)
	}
	paste := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", lines)
	paste.Dir = "../.." // the lines name a file of the repository
	out, err := paste.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{`"job_id":`, `"status":"SUCCEEDED"`, `"storage_type":"s3"`} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the answers lack %s:\n%s", want, out)
		}
	}
}
