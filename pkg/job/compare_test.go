package job

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

func ptr[T any](v T) *T { return &v }

func jobWith(id string, state State, options simulation.Options, metrics ...simulation.Metric) Job {
	j := Job{ID: id, State: state, Options: options, ScenarioDigest: "d", SumoVersion: "1.15.0"}
	if metrics != nil {
		j.Summary = &simulation.Summary{ConfigFile: "a.sumocfg", Metrics: metrics}
	}
	return j
}

func TestDifferencesAreToTheFirstJob(t *testing.T) {
	t.Parallel()
	loss := func(v float64) simulation.Metric {
		return simulation.Metric{Name: "mean_time_loss", Unit: "s", Value: v}
	}
	got := compareMetrics([]Job{
		jobWith("a", Succeeded, simulation.Options{}, loss(66.23), simulation.Metric{Name: "teleports", Unit: "1"}),
		jobWith("b", Failed, simulation.Options{}, simulation.Metric{Name: "teleports", Unit: "1", Value: 3}, loss(66.11)),
		jobWith("c", Running, simulation.Options{}),
		jobWith("d", Succeeded, simulation.Options{}, simulation.Metric{Name: "fuel", Unit: "mg", Value: 1}),
		jobWith("e", Succeeded, simulation.Options{}, loss(-132.46), simulation.Metric{Name: "fuel", Unit: "ml", Value: 1}),
	})
	var none ComparedValue
	want := []ComparedMetric{
		{"mean_time_loss", "s", []ComparedValue{
			{ptr(66.23), nil, nil}, {ptr(66.11), ptr(-0.12), ptr(-0.001811867734)}, none, none, {ptr(-132.46), ptr(-198.69), ptr(-3.0)},
		}},
		{"teleports", "1", []ComparedValue{{ptr(0.0), nil, nil}, {ptr(3.0), ptr(3.0), nil}, none, none, none}},
		{"fuel", "mg", []ComparedValue{none, none, none, {ptr(1.0), nil, nil}, none}},
		{"fuel", "ml", []ComparedValue{none, none, none, none, {ptr(1.0), nil, nil}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestSettingsThatDifferAreListed(t *testing.T) {
	t.Parallel()
	metric := simulation.Metric{Name: "m"}
	base := jobWith("a", Succeeded, simulation.Options{Outputs: []simulation.Output{simulation.OutputTripinfo}}, metric)
	for name, tt := range map[string]struct {
		other Job
		want  map[string][2]*string
	}{
		"nothing":          {jobWith("b", Succeeded, simulation.Options{}, metric), nil},
		"the seed of both": {jobWith("b", Succeeded, simulation.Options{Seed: ptr(int64(simulation.DefaultSeed))}, metric), nil},
		"one is not over":  {jobWith("b", Running, simulation.Options{Seed: ptr(int64(1))}), nil},
		"the seed": {jobWith("b", Succeeded, simulation.Options{Seed: ptr(int64(1))}, metric),
			map[string][2]*string{"seed": {ptr("23423"), ptr("1")}}},
		"interval and scale": {jobWith("b", Succeeded, simulation.Options{Begin: ptr(0.0), End: ptr(1e6), Scale: ptr(0.5)}, metric),
			map[string][2]*string{"begin": {nil, ptr("0")}, "end": {nil, ptr("1000000")}, "scale": {nil, ptr("0.5")}}},
		"outputs": {jobWith("b", Succeeded, simulation.Options{Outputs: []simulation.Output{
			simulation.OutputQueue, simulation.OutputFCD, simulation.OutputFCD,
		}}, metric),
			map[string][2]*string{"outputs": {nil, ptr("fcd,queue")}}},
		"scenario and SUMO": {func() Job {
			j := jobWith("b", Cancelled, simulation.Options{ConfigFile: "b.sumocfg"})
			j.ScenarioDigest, j.SumoVersion = "e", "1.18.0"
			return j
		}(), map[string][2]*string{
			"scenario": {ptr("d"), ptr("e")}, "config_file": {ptr("a.sumocfg"), ptr("b.sumocfg")}, "sumo_version": {ptr("1.15.0"), ptr("1.18.0")},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got map[string][2]*string
			for _, s := range compareSettings([]Job{base, tt.other}) {
				if got == nil {
					got = map[string][2]*string{}
				}
				got[s.Name] = [2]*string{s.Values[0], s.Values[1]}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestDifferentVersionsArePointedOut(t *testing.T) {
	t.Parallel()
	on := func(version string, state State) Job { return Job{State: state, SumoVersion: version} }
	for name, tt := range map[string]struct {
		jobs []Job
		want string
	}{
		"the same":             {[]Job{on("1.28.0", Succeeded), on("1.28.1", Failed)}, ""},
		"one that has not run": {[]Job{on("1.28.0", Succeeded), on("1.18.0", Queued)}, ""},
		"others":               {[]Job{on("1.28.0", Succeeded), on("1.9.0", Succeeded), on("1.28.0", Succeeded)}, "(1.9, 1.28)"},
	} {
		got := strings.Join(Compare(tt.jobs).Notes, "\n")
		if !strings.Contains(got, tt.want) || (got == "") != (tt.want == "") {
			t.Errorf("%s: %q", name, got)
		}
	}
}
