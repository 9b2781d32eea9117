package run

import (
	"regexp"
	"slices"
	"strconv"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// place is where SUMO says that it found a fault: "… In file 'city.rou.xml' At line/column 13/3." All versions count lines from 2.
var place = regexp.MustCompile(`^(.*?) In file '([^']*)' At line/column (\d+)/(\d+)\.`)

// passed are errors that SUMO passes when it loads routes as it goes, and gives up on when it loads them all before the first step.
var passed = regexp.MustCompile(`^The (shape|vehicle class) '.*' for .* is not known\.`)

// checked is the outcome of a run that only loads the scenario.
func (f fate) checked(s settings) simulation.Outcome {
	reason, message := f.judge()
	if reason == simulation.SimulationError && f.signal == 0 && len(f.errors) > 0 {
		reason = simulation.InvalidScenario // whatever SUMO refuses while loading is the scenario's
	}
	if reason == simulation.InvalidScenario && !f.strict && !s.loadsAll &&
		!slices.ContainsFunc(f.errors, func(e string) bool { return !passed.MatchString(e) }) {
		reason, message = "", ""
	}
	outcome := simulation.Outcome{Reason: reason, Message: message, Confinement: &f.held}
	for _, message := range f.said {
		item := problem.Item{Message: message}
		if m := place.FindStringSubmatch(message); m != nil {
			line, _ := strconv.Atoi(m[3]) // digits
			item.Location, item.Message = m[2]+":"+strconv.Itoa(line-1)+":"+m[4], m[1]
		}
		outcome.Problems = append(outcome.Problems, item)
	}
	return outcome
}
