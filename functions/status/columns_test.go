package status

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/outputs"
)

// lostBetween is a store that has a file when it is read from its beginning, and fails afterwards.
type lostBetween struct {
	Objects
	file []byte
	err  error
}

func (s lostBetween) Open(_ context.Context, _ string, offset, _ int64) (io.ReadCloser, error) {
	if offset > 0 {
		return nil, s.err
	}
	return io.NopCloser(bytes.NewReader(s.file)), nil
}

// A column far from the header is read by a request of its own, which may fail.
func TestAColumnThatCannotBeReadSaysWhy(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	text := strings.Builder{}
	text.WriteString(`<meandata><interval begin="0.00" end="60.00">`)
	for i := range 100_000 {
		fmt.Fprintf(&text, `<edge id="%d" speed="%d.%02d" timeLoss="1.00"/>`, i, random.IntN(1e6), random.IntN(100))
	}
	text.WriteString(`</interval></meandata>`)
	var file bytes.Buffer
	if err := outputs.WriteEdgeColumns(&file, strings.NewReader(text.String())); err != nil {
		t.Fatal(err)
	}
	columns, err := outputs.ReadEdgeColumns(bytes.NewReader(file.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if far, _, _ := columns.Column("timeLoss"); far-columns.HeaderEnd() <= passOver {
		t.Fatalf("the column is %d bytes behind the header: the test needs more edges", far-columns.HeaderEnd())
	}
	run := edgePair{point: &edgeRun{job: job.Job{ResultsKey: "r/"}, file: job.ResultFile{Name: "columns"}}}
	for want, err := range map[problem.Code]error{
		problem.Gone:        problem.New(problem.NotFound, "There is no such object."),
		problem.Unavailable: problem.New(problem.Unavailable, "The object store is unreachable."),
	} {
		f := &Function{Objects: lostBetween{file: file.Bytes(), err: err}}
		if got := f.readPair(t.Context(), run, "timeLoss"); problem.CodeOf(got.err) != want {
			t.Errorf("%v is reported as %s: %v, want %s", err, problem.CodeOf(got.err), got.err, want)
		}
	}
}
