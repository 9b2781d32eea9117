package rest

import (
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
)

// ScenarioSummary is a scenario in a list.
type ScenarioSummary struct {
	ID           string           `json:"id" doc:"SHA-256 of the zip: the same upload is stored once. Of a derived scenario, SHA-256 of a list of its base, its changed and added files with their content, and its deleted files: the same changes are stored once."`
	Name         string           `json:"name" doc:"Given with the first upload; may be empty."`
	Size         int64            `json:"size" doc:"Size of the zip in bytes; for a derived scenario, with what it adds to its base's."`
	UnpackedSize int64            `json:"unpacked_size" doc:"Total size of the files in bytes."`
	Configs      []ScenarioConfig `json:"configs" doc:"What can be run: one entry per .sumocfg."`
	Warnings     []string         `json:"warnings" doc:"Remarks; the scenario can still be run."`
	CreatedAt    time.Time        `json:"created_at"`
	Derived      *Derived         `json:"derived,omitempty" doc:"How it differs from its base, the uploaded scenario that it was derived from in one step or several; absent if it was uploaded."`
}

// Derived is how a derived scenario differs from its base.
type Derived struct {
	Base        string   `json:"base" doc:"Id of the uploaded scenario that it was derived from, in one step or several. It may have been deleted."`
	Changed     []string `json:"changed" doc:"Files that are other ones than in the base."`
	Added       []string `json:"added" doc:"Files that the base does not have."`
	Deleted     []string `json:"deleted" doc:"Files of the base that it does not have."`
	Differences int      `json:"differences" doc:"How many files these are. Lists of scenarios name the first 10 of each kind."`
	AddedSize   int64    `json:"added_size" doc:"Bytes stored for it, besides the base's zip."`
}

// Step is what a derivation makes different from the scenario that it begins with.
type Step struct {
	From    string   `json:"from" doc:"Id of the scenario that the call named."`
	Changed []string `json:"changed" doc:"Files that are other ones than in that scenario."`
	Added   []string `json:"added" doc:"Files that it does not have."`
	Deleted []string `json:"deleted" doc:"Files of it that are left out."`
}

// StepOf puts d on the wire.
func StepOf(d scenario.Differences) *Step {
	return &Step{From: d.Base, Changed: orEmpty(d.Changed), Added: orEmpty(d.Added), Deleted: orEmpty(d.Deleted)}
}

// Scenario is a scenario with its files.
type Scenario struct {
	ScenarioSummary
	Files []scenario.File `json:"files"`
}

// ScenarioConfig is one .sumocfg with what it leads to.
type ScenarioConfig struct {
	Path    string   `json:"path" doc:"The value for a job's config_file."`
	Begin   *float64 `json:"begin" doc:"Seconds; null if the configuration does not say."`
	End     *float64 `json:"end" doc:"Seconds; null if the configuration does not say."`
	Outputs []string `json:"outputs" doc:"Files that this configuration makes SUMO write."`
	Seed    *int64   `json:"seed" doc:"Null if the configuration does not say."`
	Random  bool     `json:"random" doc:"Whether the configuration wants another seed for each run: it is drawn when a job is submitted."`
	Least   string   `json:"least_sumo_version" doc:"First version of SUMO that has all that this configuration needs; empty for any."`

	Warnings []string       `json:"warnings" doc:"Remarks; it can still be run."`
	Problems []problem.Item `json:"problems" doc:"What keeps it from running with any version; a job cannot choose it."`
	// Network and Demand are left out rather than null: huma cannot say that an object may be null.
	Network *scenario.Network `json:"network,omitempty" doc:"Absent if a fault was found, or if the scenario was stored by a release that did not count it yet; upload such a scenario again."`
	Demand  *scenario.Demand  `json:"demand,omitempty" doc:"Absent if a fault was found, or if the scenario was stored by a release that did not count it yet; upload such a scenario again."`
}

// ScenarioSummaryOf puts s on the wire, without its files.
func ScenarioSummaryOf(s scenario.Scenario) ScenarioSummary {
	return ScenarioSummary{
		ID: s.Digest, Name: s.Name, Size: s.Size + s.OverlaySize, UnpackedSize: s.Manifest.Unpacked, CreatedAt: s.CreatedAt.UTC(),
		Derived: derivedOf(s),
		Configs: scenarioConfigsOf(s.Manifest), Warnings: orEmpty(s.Manifest.Warnings),
	}
}

func derivedOf(s scenario.Scenario) *Derived {
	d := s.Derived
	if d.Base == "" {
		return nil
	}
	return &Derived{
		Base: d.Base, Changed: orEmpty(d.Changed), Added: orEmpty(d.Added), Deleted: orEmpty(d.Deleted), Differences: d.Total,
		AddedSize: s.OverlaySize,
	}
}

// ScenarioOf puts s on the wire.
func ScenarioOf(s scenario.Scenario) Scenario {
	return Scenario{ScenarioSummary: ScenarioSummaryOf(s), Files: orEmpty(s.Manifest.Files)}
}

func scenarioConfigsOf(m scenario.Manifest) []ScenarioConfig {
	configs := make([]ScenarioConfig, len(m.Configs))
	for i, c := range m.Configs {
		configs[i] = ScenarioConfig{
			Path: c.Path, Begin: c.Begin, End: c.End, Outputs: orEmpty(c.Outputs), Network: c.Network, Demand: c.Demand,
			Seed: c.Seed, Random: c.Random, Least: c.Least(), Warnings: texts(c.Remarks(c.Interval(nil, nil))), Problems: orEmpty(c.Problems),
		}
	}
	return configs
}

func texts(warnings []scenario.Warning) []string {
	out := make([]string, len(warnings))
	for i, w := range warnings {
		out[i] = w.String()
	}
	return out
}

// orEmpty keeps lists from being null on the wire.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
