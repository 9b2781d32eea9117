package study

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// unmeasured are notes on metrics that the plan names and that no run of a configuration with these options will have, as far as the
// scenario shows it. What a program has SUMO do is not known.
func (p Plan) unmeasured(c scenario.Config, o simulation.Options) (notes []string) {
	if o.Program() {
		return nil
	}
	var emissions, persons, trips []string
	for _, name := range p.named() {
		_, byClass := simulation.ClassOf(name)
		switch {
		case simulation.OfEmissions(name):
			emissions = append(emissions, name)
		case simulation.OfPersons(name):
			persons = append(persons, name)
		case byClass:
			trips = append(trips, name)
		}
	}
	note := func(names []string, why string) {
		if len(names) > 0 {
			notes = append(notes, fmt.Sprintf("The runs will not have %s: %s.", strings.Join(names, ", "), why))
		}
	}
	if tabular(c) { // persons may be in a file of their own
		note(slices.Concat(emissions, trips), "they take a tripinfo output in XML. Leave out the option output.format, and let the file's name "+
			"end in .xml or .xml.gz")
		emissions = nil
	}
	if !c.Emissions && !slices.Contains(o.Outputs, simulation.OutputEmission) {
		note(emissions, "no vehicle has the emissions device. Set device.emissions.probability to 1 in the configuration, or ask for "+
			`outputs: ["emission"] in run`)
	}
	if d := c.Demand; d != nil && d.Persons+d.PersonFlows == 0 {
		note(persons, "the scenario has no persons")
	}
	return notes
}

// named are the metrics that p names, each once.
func (p Plan) named() []string {
	names := slices.Clone(p.Metrics)
	if a := p.Replications.Until; a != nil {
		names = slices.AppendSeq(names, maps.Keys(a.Absolute))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

var tabularFile = regexp.MustCompile(`\.(csv|parquet)(\.gz)?$`)

// tabular reports whether the tripinfo output of a configuration is a table rather than XML.
func tabular(c scenario.Config) bool {
	return slices.ContainsFunc(c.Options, func(o scenario.Option) bool {
		return o.Name == "output.format" && o.Value != "" && o.Value != "xml" ||
			o.Name == "tripinfo-output" && slices.ContainsFunc(o.Files, tabularFile.MatchString)
	})
}

// lonely is a note on a baseline with which nothing is compared; empty if there is none.
func (p Plan) lonely(points []Point) string {
	if p.Baseline == nil {
		return ""
	}
	if pairs, _ := p.Baseline.pairs(points); len(pairs) > 0 {
		return ""
	}
	return "Nothing is compared with the baseline: it " + onlyBaseline + ". Add a variant or a value of an axis, or leave out baseline."
}

// onlyBaseline is why nothing is compared with a baseline, as the end of a sentence about it.
const onlyBaseline = "is the only point, or matches none of the others"
