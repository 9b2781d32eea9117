package study

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

// unmeasured are notes on metrics that the plan names and that no run of a configuration with these options will have, as far as the
// scenario shows it. What a program has SUMO do is not known.
func (p Plan) unmeasured(c scenario.Config, o simulation.Options) (notes []string) {
	if o.Program() {
		return nil
	}
	var emissions, persons, trips, total []string
	for _, name := range p.named() {
		_, byClass := simulation.ClassOf(name)
		switch {
		case simulation.OfEmissions(name):
			emissions = append(emissions, name)
		case simulation.OfPersons(name):
			persons = append(persons, name)
		case byClass:
			trips = append(trips, name)
		case name == "total_travel_time":
			total = append(total, name)
		}
	}
	note := func(names []string, why string) {
		if len(names) > 0 {
			notes = append(notes, fmt.Sprintf("The runs will not have %s: %s.", strings.Join(names, ", "), why))
		}
	}
	if format := formatOf(c, "statistic-output"); format == "parquet" ||
		format == "csv" && release.Compare(o.SumoVersion, namesColumns) < 0 {
		note(total, "it takes a statistic output in XML, or as CSV of SUMO "+namesColumns+" or newer")
	}
	if formatOf(c, "tripinfo-output") != "" { // persons may be in a file of their own
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

// formatOf is csv or parquet where the configuration has an output, by its option, written as such a table, and empty for XML.
func formatOf(c scenario.Config, option string) (format string) {
	for _, o := range c.Options {
		switch {
		case o.Name == "output.format" && o.Value != "xml" && format == "":
			format = o.Value
		case o.Name == option && len(o.Files) > 0:
			if named := tabularFile.FindStringSubmatch(o.Files[0]); named != nil {
				return named[1]
			}
		}
	}
	return format
}

// namesColumns is the first SUMO whose statistics as CSV can be read: earlier ones do not name their columns.
const namesColumns = "1.28"

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
