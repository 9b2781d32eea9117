package submit

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
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

func TestARunIsHeldAgainstTheLimits(t *testing.T) {
	t.Parallel()
	f := &Function{SumoVersions: []string{"1.15", "1.18"}, MaxTimeout: time.Hour}
	limited := tenant.Tenant{Limits: tenant.Limits{MaxCPU: 4, MaxMemoryGi: 8, MaxConcurrentJobs: 1}}
	labels := func(n int) map[string]string {
		all := map[string]string{}
		for i := range n {
			all[fmt.Sprint(i)] = ""
		}
		return all
	}
	at := func(seconds float64) *float64 { return &seconds }
	for name, test := range map[string]struct {
		run  Run
		want []string // locations of the faults
	}{
		"all that is allowed": {Run{
			CPURequest: 4, MemoryGi: 8, TimeoutSeconds: 3600, SumoVersion: "1.18", Begin: at(0), End: at(1), Labels: labels(20),
		}, nil},
		"labels of characters, not of bytes": {Run{Labels: map[string]string{strings.Repeat("ü", 100): strings.Repeat("🚦", 100)}}, nil},
		"everything at once": {Run{
			CPURequest: 5, MemoryGi: 9, TimeoutSeconds: 3601, SumoVersion: "1.1", Begin: at(1), End: at(1), Labels: labels(21),
		}, []string{"body.cpu_request", "body.memory_gi", "body.end", "body.sumo_version", "body.timeout_seconds", "body.labels"}},
		"a label without a key":               {Run{Labels: map[string]string{"": "x"}}, []string{"body.labels"}},
		"a label's key that is too long":      {Run{Labels: map[string]string{strings.Repeat("ü", 101): ""}}, []string{"body.labels"}},
		"a label's value that is too long":    {Run{Labels: map[string]string{"x": strings.Repeat("ü", 101)}}, []string{"body.labels"}},
		"a label that no filter could name":   {Run{Labels: map[string]string{"a=b": "x"}}, []string{"body.labels"}},
		"a label's value with an equals sign": {Run{Labels: map[string]string{"a": "b=c"}}, nil},
	} {
		err := f.checkRun(limited, test.run)
		var p *problem.Error
		var got []string
		if errors.As(err, &p) {
			for _, item := range p.Items {
				got = append(got, item.Location)
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" || (err == nil) != (len(test.want) == 0) {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}
