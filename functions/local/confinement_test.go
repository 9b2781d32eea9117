package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

func TestWhatHoldsRunsIsWhatSumoRunPrints(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "sumo-run")
	for name, c := range map[string]struct {
		script string
		want   simulation.Confinement
		fails  string
	}{
		"its answer":           {`[ "$1" = --print-confinement ] && echo '{"landlock":7,"namespace":false,"filter":true,"user":true}'`, simulation.Confinement{Landlock: 7, Filter: true, User: true}, ""},
		"it does not run":      {`exit 70`, simulation.Confinement{}, "exit status 70"},
		"it says other things": {`echo hello`, simulation.Confinement{}, "invalid character"},
	} {
		if err := os.WriteFile(program, []byte("#!/bin/sh\n"+c.script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		got, err := confinement(t.Context(), program)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if (err != nil) != (c.fails != "") || err != nil && !strings.Contains(err.Error(), c.fails) {
			t.Errorf("%s: the error is %v, want %q", name, err, c.fails)
		}
	}
}
