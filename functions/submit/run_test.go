package submit

import (
	"errors"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
)

func TestTheIntervalOfARunFitsItsConfiguration(t *testing.T) {
	t.Parallel()
	at := func(seconds float64) *float64 { return &seconds }
	for name, test := range map[string]struct {
		begin, end             *float64 // of the run
		configBegin, configEnd *float64
		location               string // of the fault; empty for none
	}{
		"nothing is said":                   {nil, nil, nil, nil, ""},
		"the configuration contradicts":     {nil, nil, at(100), at(50), ""}, // is its own fault, found when it was uploaded or by SUMO
		"both within":                       {at(10), at(20), at(0), at(100), ""},
		"both elsewhere":                    {at(200), at(300), at(0), at(100), ""},
		"end before the begin of the run":   {at(20), at(10), nil, nil, "body.end"},
		"end before the configuration's":    {nil, at(3600), at(7200), at(9000), "body.end"},
		"end at the configuration's begin":  {nil, at(7200), at(7200), nil, "body.end"},
		"end at SUMO's begin":               {nil, at(0), nil, nil, "body.end"},
		"begin behind the configuration's":  {at(9000), nil, at(0), at(3600), "body.begin"},
		"begin where it does not end":       {at(9000), nil, at(0), nil, ""},
		"begin where it ends never, by -1":  {at(9000), nil, at(0), at(-1), ""},
		"begin before the configuration's":  {at(10), nil, at(3600), at(7200), ""},
		"end behind the configuration's":    {nil, at(9000), at(3600), at(7200), ""},
		"end within the configuration's":    {nil, at(5000), at(3600), at(7200), ""},
		"begin within the configuration's ": {at(5000), nil, at(3600), at(7200), ""},
	} {
		err := Run{Begin: test.begin, End: test.end}.checkInterval(scenario.Config{Path: "a.sumocfg", Begin: test.configBegin, End: test.configEnd})
		var p *problem.Error
		location := ""
		if errors.As(err, &p) {
			location = p.Items[0].Location
		}
		if location != test.location {
			t.Errorf("%s: %v", name, err)
		}
	}
}
