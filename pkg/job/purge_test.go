package job_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// kept is one job on record with the objects of a bucket.
type kept struct {
	job     *job.Job
	objects []string
	broken  bool // objects cannot be removed
}

func (k *kept) Job(context.Context, string, string) (job.Job, error) {
	if k.job == nil {
		return job.Job{}, problem.New(problem.NotFound, "No such job.")
	}
	return *k.job, nil
}

func (k *kept) ReleaseResults(context.Context, string, string) (job.Released, error) {
	return job.Released{Remove: []string{k.job.ResultsKey}}, nil
}

func (k *kept) DeleteJob(context.Context, string, string) error {
	k.job = nil
	return nil
}

func (k *kept) List(_ context.Context, prefix string, yield func(artifact.Object) bool) error {
	for _, key := range k.objects {
		if strings.HasPrefix(key, prefix) && !yield(artifact.Object{Key: key}) {
			break
		}
	}
	return nil
}

func (k *kept) Delete(_ context.Context, keys ...string) error {
	if k.broken {
		return errors.New("unreachable")
	}
	k.objects = slices.DeleteFunc(k.objects, func(key string) bool { return slices.Contains(keys, key) })
	return nil
}

func TestAJobIsForgottenOnlyOnceItsObjectsAreGone(t *testing.T) {
	t.Parallel()
	const other = "results/ns/other/a.xml"
	for name, tt := range map[string]struct {
		state   job.State
		broken  bool
		purged  bool
		objects []string
	}{
		"finished":                 {job.Failed, false, true, []string{other}},
		"running":                  {job.Running, false, false, []string{"views/ns/j/plots", "results/ns/j/a.xml", other}},
		"the store is unreachable": {job.Succeeded, true, false, []string{"views/ns/j/plots", "results/ns/j/a.xml", other}},
	} {
		k := &kept{
			job:     &job.Job{ID: "j", ResultsKey: "results/ns/j/", State: tt.state, Results: []job.ResultFile{{Name: "a.xml"}}},
			objects: append([]string{"views/ns/j/plots"}, "results/ns/j/a.xml", other), broken: tt.broken,
		}
		got, err := job.Purge(t.Context(), k, k, "acme", "j")
		if (err == nil) != tt.purged || (k.job == nil) != tt.purged || tt.purged && (!got.ResultsPruned || got.Results != nil) {
			t.Errorf("%s: the job is %+v, the answer %+v, %v", name, k.job, got, err)
		}
		if diff := cmp.Diff(tt.objects, k.objects); diff != "" {
			t.Errorf("%s: objects (-want +got):\n%s", name, diff)
		}
	}
	// What names no results would be all of them.
	for _, prefix := range []string{"", "results/", "results/ns/", "results/ns/j", "results/ns//", "views/ns/j/"} {
		k := &kept{job: &job.Job{ID: "j", ResultsKey: prefix, State: job.Failed}, objects: []string{"results/ns/j/a.xml"}}
		if _, err := job.Purge(t.Context(), k, k, "acme", "j"); err == nil || len(k.objects) == 0 {
			t.Errorf("results under %q are removed: %v", prefix, err)
		}
	}
	if _, err := job.Purge(t.Context(), &kept{}, &kept{}, "acme", "j"); problem.CodeOf(err) != problem.NotFound {
		t.Errorf("an unknown job gives %v", err)
	}
}

func TestTheResultsOfAnImportedJobAreNotOursToRemove(t *testing.T) {
	t.Parallel()
	const result = "results/sumo-acme/1/a.xml"
	k := &kept{job: &job.Job{ID: "1", Namespace: "sumo-acme", State: job.Succeeded, Imported: &job.Imported{}}, objects: []string{result}}
	if _, err := job.Purge(t.Context(), k, k, "acme", "1"); err != nil || k.job != nil || !slices.Equal(k.objects, []string{result}) {
		t.Errorf("purged with %v; left are %v and %v", err, k.job, k.objects)
	}
}
