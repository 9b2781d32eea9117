package status

import (
	"context"
	"io"
	"slices"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// The largest outputs that views are made from, in bytes as stored. Larger ones would take longer than a person waits:
// a compressed one unpacks to about ten times its size.
const (
	maxPlainOutput  = 4 << 30
	maxPackedOutput = 256 << 20
)

func tooLarge(name string, size int64) bool {
	if strings.HasSuffix(name, ".gz") {
		return size > maxPackedOutput
	}
	return size > maxPlainOutput
}

func hasResult(j job.Job, name string) bool {
	return slices.ContainsFunc(j.Results, func(f job.ResultFile) bool { return f.Name == name })
}

// output opens an output of a run. Runs of earlier releases may have it under one of the older names.
func (f *Function) output(ctx context.Context, j job.Job, o simulation.Output, older ...string) (io.ReadCloser, error) {
	for _, name := range append([]string{o.File()}, older...) {
		for _, file := range j.Results {
			switch {
			case file.Name != name:
			case tooLarge(name, file.Size):
				return nil, problem.New(problem.TooLarge, "%s has %d MB, more than can be shown here. Download it from the job's results, "+
					"or simulate a shorter interval.", name, file.Size/1e6)
			default:
				return f.Objects.Open(ctx, artifact.ResultsOf(j.Namespace, j.ID)+name, 0, -1)
			}
		}
	}
	return nil, noOutput(j, o)
}

// noOutput says what to do about an output that a run does not have.
func noOutput(j job.Job, o simulation.Output) error {
	if j.State != job.Succeeded {
		return problem.New(problem.NotFound, "Job %s ended as %s, without %s: %s", j.ID, j.State, o.File(), j.Message)
	}
	return problem.New(problem.NotFound, "Job %s has no %s, because it was not asked for. Submit the scenario again with "+
		"outputs=%s.", j.ID, o.File(), o)
}

// whole reports whether a run reached its end. SUMO closes its files properly when it is stopped, so they do not show it.
func whole(j job.Job) bool { return j.State == job.Succeeded }
