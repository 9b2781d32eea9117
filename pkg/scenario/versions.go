package scenario

import (
	"slices"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// versions records what a file that the configuration leads to needs of SUMO's version.
func (r *judgement) versions(name string, doc *document) {
	for _, n := range doc.needs {
		n.Problem.Location = at(name, n.line)
		if !slices.Contains(r.needs, n.Need) {
			r.needs = append(r.needs, n.Need)
		}
	}
}

// documentNeed is a Need of one file.
type documentNeed struct {
	Need
	line int
}

// reliance returns the version of SUMO that wrote the network, and the options on whose defaults the scenario relies.
func (r *judgement) reliance() (written string, relies []string) { return "", nil }

// Changes returns notes on the defaults that have changed between the version of SUMO that wrote the scenario and the given one.
func Changes(c Config, version string) []string { return nil }

var _ problem.Item
