package job_test

import (
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

func TestPrioritiesReadBack(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]job.Priority{"low": job.Low, "normal": job.Normal, "high": job.High, "": job.Normal} {
		got, err := job.ParsePriority(text)
		if err != nil || got != want || text != "" && got.String() != text {
			t.Errorf("%q is %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"High", "urgent", "10", " low"} {
		if _, err := job.ParsePriority(text); problem.CodeOf(err) != problem.Invalid {
			t.Errorf("%q gives %v", text, err)
		}
	}
}
