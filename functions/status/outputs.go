package status

import (
	"context"
	"io"
	"regexp"
	"strings"

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

// shown returns the file with an output of a run, or why nothing can be shown of it.
func shown(j job.Job, o simulation.Output) (job.ResultFile, error) {
	file, ok := j.Result(o)
	switch {
	case !ok:
		return job.ResultFile{}, noOutput(j, o)
	case tabular.MatchString(file.Name):
		return job.ResultFile{}, problem.New(problem.NotFound, "The %s output of job %s is the table %s. Charts and maps are made from "+
			"XML only: download the table from the job's results, or have SUMO write XML.", o, j.ID, file.Name)
	case tooLarge(file.Name, file.Size):
		return job.ResultFile{}, problem.New(problem.TooLarge, "%s has %d MB, more than can be shown here. Download it from the job's "+
			"results, or simulate a shorter interval.", file.Name, file.Size/1e6)
	}
	return file, nil
}

// tabular matches the names by which SUMO writes an output as a table.
var tabular = regexp.MustCompile(`\.(csv|parquet)(\.gz)?$`)

// output opens an output of a run.
func (f *Function) output(ctx context.Context, j job.Job, o simulation.Output) (io.ReadCloser, error) {
	file, err := shown(j, o)
	if err != nil {
		return nil, err
	}
	return f.open(ctx, j, file)
}

// open reads a result.
func (f *Function) open(ctx context.Context, j job.Job, file job.ResultFile) (io.ReadCloser, error) {
	key, offset, length := j.Locate(file)
	return f.Objects.Open(ctx, key, offset, length)
}

// noOutput says what to do about an output that a run does not have.
func noOutput(j job.Job, o simulation.Output) error {
	if j.State != job.Succeeded {
		return problem.New(problem.NotFound, "Job %s ended as %s, without the %s output: %s", j.ID, j.State, o, j.Message)
	}
	return problem.New(problem.NotFound, "Job %s has no %s output, because it was not asked for. Submit the scenario again with "+
		"outputs=%s.", j.ID, o, o)
}

// whole reports whether a run reached its end. SUMO closes its files properly when it is stopped, so they do not show it.
func whole(j job.Job) bool { return j.State == job.Succeeded }
