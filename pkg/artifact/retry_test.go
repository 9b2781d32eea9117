package artifact_test

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

func TestAStoreThatFailsIsAskedAgain(t *testing.T) {
	t.Parallel()
	unreachable, refused := problem.New(problem.Unavailable, "Down."), problem.New(problem.StorageRefused, "Full.")
	for name, tt := range map[string]struct {
		fails []error // a minute after each other
		again int     // how many of them are followed by another try
	}{
		"unreachable for long":         {fails: []error{unreachable, unreachable, unreachable, unreachable, unreachable}, again: 5},
		"refusing for three minutes":   {fails: []error{refused, refused, refused, refused}, again: 3},
		"refusing with a break":        {fails: []error{refused, refused, unreachable, refused, refused, refused, refused}, again: 6},
		"any other error is a refusal": {fails: []error{errors.New("odd"), refused, errors.New("odd"), refused}, again: 3},
		"too large":                    {fails: []error{fmt.Errorf("storing: %w", problem.New(problem.TooLarge, "Large."))}},
		"a file of ours":               {fails: []error{&fs.PathError{Op: "open", Path: "x", Err: fs.ErrPermission}}},
	} {
		now := time.Date(2026, 11, 29, 9, 0, 0, 0, time.UTC)
		r := artifact.Retries{Patience: 3 * time.Minute, Now: func() time.Time { return now }}
		again, last := 0, time.Duration(0)
		for _, err := range tt.fails {
			wait, ok := r.After(err)
			if !ok {
				break
			}
			if wait < last || wait > 30*time.Second || again == 0 && wait != 250*time.Millisecond {
				t.Errorf("%s: try %d waits %s after %s", name, again+1, wait, last)
			}
			again, last = again+1, wait
			now = now.Add(time.Minute)
		}
		if again != tt.again {
			t.Errorf("%s: it is asked again %d times, want %d", name, again, tt.again)
		}
		r.Succeeded()
		if wait, ok := r.After(refused); !ok || wait != 250*time.Millisecond {
			t.Errorf("%s: after a success it waits %s, %t", name, wait, ok)
		}
	}
}
