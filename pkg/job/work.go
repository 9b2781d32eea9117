package job

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// Cache says whether a run may be answered with the results of an earlier one that is the same.
type Cache string

// The choices.
const (
	UseCache     Cache = "use"     // take the results of the latest run that is the same, if they are still there
	RefreshCache Cache = "refresh" // run anew; later runs take these results
	NoCache      Cache = "off"     // run anew, and let no other run take the results
)

// workRules numbers what this release makes of a run. It changes when the same SUMO would leave other results, so that what an earlier
// release has left is not taken for them.
const workRules = 2

// Work is the key of all that decides the results of a run of a scenario but its seed: two runs of a tenant with the same key and seed are
// the same. It is empty for runs that are never taken from the cache: those that check a scenario or store another one, and where the build
// of SUMO is not known. ofStudy is whether a study's run it is, which leaves more files. Limits of time, memory and cores stop a run or
// slow it down, and those that were stopped do not count.
func Work(scenario string, o simulation.Options, v simulation.Version, ofStudy bool) string {
	image := v.Image
	if o.Program() {
		image = v.ProgramImage
	}
	if o.Check || o.Tool != nil && o.Tool.KeepAs != "" || v.Build == "" && image == "" {
		return ""
	}
	// A field that Options get is part of the key unless it is named here.
	o.Seed = nil
	o.Strict = false       // refuses a scenario, and changes no run
	o.AcceptedVersion = "" // does not run
	o.Outputs = slices.DeleteFunc(sortedOnce(o.Outputs), func(out simulation.Output) bool {
		return slices.Contains(simulation.DefaultOutputs(), out) // which every run writes
	})
	o.Tables, o.Metrics = sortedOnce(o.Tables), sortedOnce(o.Metrics)
	text, err := json.Marshal(struct {
		Rules        int
		Scenario     string
		Options      simulation.Options
		Version      string
		Build, Image string
		OfStudy      bool
	}{workRules, scenario, o, v.Name, v.Build, image, ofStudy})
	if err != nil {
		return "" // numbers that are none; no request has them
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// sortedOnce returns a sorted copy without repetitions.
func sortedOnce[S ~[]E, E ~string](s S) S {
	s = slices.Clone(s)
	slices.Sort(s)
	return slices.Compact(s)
}

// WorkWithSeed is the key of one run.
func WorkWithSeed(work string, seed *int64) string {
	if work == "" {
		return ""
	}
	if seed == nil {
		return fmt.Sprintf("%s-%d", work, simulation.DefaultSeed)
	}
	return fmt.Sprintf("%s-%d", work, *seed)
}

// Work is the key of a settled run of a scenario; see the function of that name.
func (in *Intake) Work(scenario string, o simulation.Options, ofStudy bool) string {
	v, _ := in.Versions.Find(o.SumoVersion)
	return Work(scenario, o, v, ofStudy)
}

// Released says what may be removed of results that are given up.
type Released struct {
	// Remove are the keys (Job.ResultsKey) of results that no other job has.
	Remove []string
	// Keep are those that another job has taken from the cache, and will remove in its turn.
	Keep []string
}
