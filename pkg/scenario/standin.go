package scenario

import (
	"context"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// Config chooses the configuration to run of a stored scenario.
func (in *Intake) Config(_ context.Context, s Scenario, requested string) (Config, error) {
	return s.Manifest.ChooseConfig(requested)
}

// Strict returns what a strict run is refused for.
func (c Config) Strict() []problem.Item {
	var items []problem.Item
	for _, w := range c.Warnings {
		if w.Strict {
			items = append(items, problem.Item{Location: w.Location, Message: w.Message})
		}
	}
	return items
}

// Changes notes the changed defaults that touch a scenario written by another version than the one that runs.
func Changes(Config, string) []string { return nil }
