package scenario

import "github.com/sumo-k8/sumo-k8/pkg/sumo/release"

// Least is the first version of SUMO that has all that c needs; empty for any.
func (c Config) Least() string {
	least := ""
	for _, n := range c.Needs {
		if n.Since != "" && (least == "" || release.Compare(n.Since, least) > 0) {
			least = n.Since
		}
	}
	return least
}
