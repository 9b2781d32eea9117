package problem_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

func TestCodesAreFoundThroughWrapping(t *testing.T) {
	t.Parallel()
	missing := problem.New(problem.NotFound, "There is no job %q.", "x")
	for name, test := range map[string]struct {
		err  error
		want problem.Code
	}{
		"none":                    {nil, ""},
		"an unknown error":        {io.ErrUnexpectedEOF, problem.Internal},
		"a problem":               {missing, problem.NotFound},
		"a wrapped problem":       {fmt.Errorf("reading the job: %w", missing), problem.NotFound},
		"a problem beside others": {errors.Join(io.EOF, missing), problem.NotFound},
		"a problem in a problem":  {problem.Wrap(missing, problem.Invalid, "The request names no job."), problem.Invalid},
	} {
		if got := problem.CodeOf(test.err); got != test.want {
			t.Errorf("%s has the code %q, want %q", name, got, test.want)
		}
	}
}

func TestTheCauseIsForTheLogOnly(t *testing.T) {
	t.Parallel()
	cause := errors.New("ERROR: relation jobs does not exist")
	err := problem.Wrap(cause, problem.Unavailable, "The database is unreachable for %d s.", 5).
		WithItems(problem.Item{Location: "body.a", Message: "is missing"}).
		WithItems(problem.Item{Location: "body.b", Message: "is missing"}).
		WithRetryAfter(5 * time.Second)
	if !errors.Is(err, cause) || !strings.Contains(err.Error(), cause.Error()) {
		t.Errorf("the cause is lost: %v", err)
	}
	want := &problem.Error{
		Code: problem.Unavailable, Detail: "The database is unreachable for 5 s.", RetryAfter: 5 * time.Second,
		Items: []problem.Item{{Location: "body.a", Message: "is missing"}, {Location: "body.b", Message: "is missing"}},
	}
	shown := *err
	if diff := cmp.Diff(want, &shown, cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "cause" }, cmp.Ignore())); diff != "" {
		t.Error(diff)
	}
}

func TestAnItemIsASentence(t *testing.T) {
	t.Parallel()
	for want, item := range map[string]problem.Item{
		"a.xml:3: is empty.":         {Location: "a.xml:3", Message: "is empty"},
		"Did you mean b?":            {Message: "Did you mean b?"},
		"a.xml: is empty. Fill it.":  {Location: "a.xml", Message: "is empty. Fill it."},
		"a.xml: did you mean b.xml?": {Location: "a.xml", Message: "did you mean b.xml?"},
	} {
		if got := item.Sentence(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
