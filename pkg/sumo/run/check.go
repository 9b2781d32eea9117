package run

import (
	"regexp"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// place is where SUMO says that it found a fault: "… In file 'city.rou.xml' At line/column 12/3."
var place = regexp.MustCompile(`^(.*?) In file '([^']*)' At line/column (\d+)/(\d+)\.`)

// checked is the outcome of a run that only loads the scenario.
func (f fate) checked() simulation.Outcome {
	reason, message := f.judge()
	if reason == simulation.SimulationError && f.signal == 0 && len(f.errors) > 0 {
		reason = simulation.InvalidScenario // whatever SUMO refuses while loading is the scenario's
	}
	outcome := simulation.Outcome{Reason: reason, Message: message, Confinement: &f.held}
	for _, message := range f.said {
		item := problem.Item{Message: message}
		if m := place.FindStringSubmatch(message); m != nil {
			item.Location, item.Message = m[2]+":"+m[3]+":"+m[4], m[1]
		}
		outcome.Problems = append(outcome.Problems, item)
	}
	return outcome
}
