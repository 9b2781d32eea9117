package job

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

// Comparison is jobs side by side. Every list of values has one for each job, in their order.
type Comparison struct {
	Metrics []ComparedMetric
	// Settings are the choices that differ between the finished jobs.
	Settings []ComparedSetting
	// Notes say what makes a comparison of the numbers doubtful.
	Notes []string
}

// ComparedMetric is one number of each job.
type ComparedMetric struct {
	Name, Unit string
	Values     []ComparedValue
}

// ComparedValue is the number of one job. What is not known is nil.
type ComparedValue struct {
	Value      *float64
	Difference *float64 // from the first job's value
	Relative   *float64 // Difference as a fraction of the first job's value
}

// ComparedSetting is one choice about each run, nil where it was left to the scenario's configuration.
type ComparedSetting struct {
	Name   string // as at submission
	Values []*string
}

// Compare sets jobs side by side, with differences from the first.
func Compare(jobs []Job) Comparison {
	return Comparison{Metrics: compareMetrics(jobs), Settings: compareSettings(jobs), Notes: compareVersions(jobs)}
}

// compareVersions points out finished jobs of different versions of SUMO.
func compareVersions(jobs []Job) []string {
	var versions []string
	for _, j := range jobs {
		if v := release.Short(versionOf(j)); j.State.Terminal() && v != "" && !slices.Contains(versions, v) {
			versions = append(versions, v)
		}
	}
	if len(versions) < 2 {
		return nil
	}
	slices.SortFunc(versions, release.Compare)
	return []string{"The jobs ran on different versions of SUMO (" + strings.Join(versions, ", ") + "), whose models and defaults differ: " +
		"the same scenario gives other numbers. To compare scenarios, run them on the same sumo_version."}
}

// compareMetrics lists the metrics of all finished jobs, in the order of the first that has them.
func compareMetrics(jobs []Job) []ComparedMetric {
	var out []ComparedMetric
	for _, j := range jobs {
		if !j.State.Terminal() || j.Summary == nil {
			continue
		}
		for _, m := range j.Summary.Metrics {
			if !slices.ContainsFunc(out, func(known ComparedMetric) bool { return known.Name == m.Name && known.Unit == m.Unit }) {
				out = append(out, compareMetric(jobs, m.Name, m.Unit))
			}
		}
	}
	return out
}

func compareMetric(jobs []Job, name, unit string) ComparedMetric {
	out := ComparedMetric{Name: name, Unit: unit, Values: make([]ComparedValue, len(jobs))}
	for i, j := range jobs {
		var v ComparedValue
		if value, ok := metricIn(j.Summary, name, unit); ok {
			v.Value = &value
		}
		if first := out.Values[0].Value; i > 0 && first != nil && v.Value != nil {
			v.Difference = rounded(*v.Value - *first)
			if *first != 0 {
				v.Relative = rounded((*v.Value - *first) / math.Abs(*first))
			}
		}
		out.Values[i] = v
	}
	return out
}

func metricIn(s *simulation.Summary, name, unit string) (float64, bool) {
	if s == nil {
		return 0, false
	}
	i := slices.IndexFunc(s.Metrics, func(m simulation.Metric) bool { return m.Name == name && m.Unit == unit })
	if i < 0 {
		return 0, false
	}
	return s.Metrics[i].Value, true
}

// rounded is v without the noise of binary fractions: SUMO writes numbers with few digits, and a difference such as
// 0.12000000000000455 would claim more. It is nil for what JSON cannot express.
func rounded(v float64) *float64 {
	const digits = 10
	v, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', digits, 64), 64)
	if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
		return nil
	}
	return &v
}

// settings are the choices about a run that change its numbers.
var settings = []struct {
	name string
	of   func(Job) *string
}{
	{"scenario", func(j Job) *string { return &j.ScenarioDigest }},
	{"config_file", func(j Job) *string { return textOf(configOf(j)) }},
	{"sumo_version", func(j Job) *string { return textOf(versionOf(j)) }},
	{"seed", func(j Job) *string {
		if j.Options.Seed == nil {
			return textOf(strconv.Itoa(simulation.DefaultSeed))
		}
		return textOf(strconv.FormatInt(*j.Options.Seed, 10))
	}},
	{"begin", func(j Job) *string { return numberOf(j.Options.Begin) }},
	{"end", func(j Job) *string { return numberOf(j.Options.End) }},
	{"step_length", func(j Job) *string { return numberOf(j.Options.StepLength) }},
	{"scale", func(j Job) *string { return numberOf(j.Options.Scale) }},
	{"unfinished_trips", func(j Job) *string {
		if !j.Options.UnfinishedTrips {
			return nil
		}
		return textOf("true")
	}},
	{"outputs", func(j Job) *string { return textOf(outputsOf(j)) }},
}

func compareSettings(jobs []Job) []ComparedSetting {
	var out []ComparedSetting
	for _, s := range settings {
		setting := ComparedSetting{Name: s.name, Values: make([]*string, len(jobs))}
		differs, reference := false, -1
		for i, j := range jobs {
			setting.Values[i] = s.of(j)
			if !j.State.Terminal() {
				continue // some settings are known only once the job has run
			}
			if reference < 0 {
				reference = i
			}
			differs = differs || !same(setting.Values[reference], setting.Values[i])
		}
		if differs {
			out = append(out, setting)
		}
	}
	return out
}

func same(a, b *string) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

// configOf is the configuration that ran, or else the one to run.
func configOf(j Job) string {
	if j.Summary != nil {
		return j.Summary.ConfigFile
	}
	return j.Options.ConfigFile
}

// versionOf is the SUMO that ran, or else the one asked for.
func versionOf(j Job) string {
	if j.SumoVersion != "" {
		return j.SumoVersion
	}
	return j.Options.SumoVersion
}

// outputsOf lists the outputs asked for besides those of every run: some need devices that change a run.
func outputsOf(j Job) string {
	var names []string
	for _, o := range j.Options.Outputs {
		if !slices.Contains(simulation.DefaultOutputs(), o) {
			names = append(names, string(o))
		}
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ",")
}

func textOf(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func numberOf(v *float64) *string {
	if v == nil {
		return nil
	}
	return textOf(strconv.FormatFloat(*v, 'f', -1, 64))
}
