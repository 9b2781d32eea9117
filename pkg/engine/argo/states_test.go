package argo

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/chunk"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// opened is a store with one object.
type opened struct {
	artifact.Store
	body io.Reader
}

func (o opened) Open(context.Context, string, int64, int64) (io.ReadCloser, error) {
	return io.NopCloser(o.body), nil
}

func TestAStoreThatFailsIsNoUnreadableState(t *testing.T) {
	t.Parallel()
	state, err := chunk.State{ID: "c", Runs: map[string]chunk.RunState{"r": {Progress: 0.5}}}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	outage := iotest.ErrReader(problem.New(problem.Unavailable, "The object store is not available."))
	for name, tc := range map[string]struct {
		body       io.Reader
		unreadable bool
	}{
		"fails at once":       {outage, false},
		"fails in the middle": {io.MultiReader(strings.NewReader(string(state[:len(state)/2])), outage), false},
		"is no state":         {strings.NewReader("something else"), true},
		"is cut":              {strings.NewReader(string(state[:len(state)/2])), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := readState(t.Context(), opened{body: tc.body}, "key")
			if err == nil || errors.Is(err, errNoState) != tc.unreadable {
				t.Errorf("readState() = %v, want unreadable %t", err, tc.unreadable)
			}
		})
	}
}
