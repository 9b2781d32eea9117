package scenario

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
)

func TestOptionFault(t *testing.T) {
	t.Parallel()
	for set, want := range map[string]string{
		"time-to-teleport=-1":                 "",
		"time-to-teleport=0:05:00":            "",
		"lateral-resolution=0.8":              "",
		"device.rerouting.probability=0.5":    "",
		"device.rerouting.explicit=a,b":       "",
		"mesosim=true":                        "",
		"collision.action=warn":               "",
		"default.carfollowmodel=IDM":          "",
		"max-depart-delay=-1":                 "",
		"time-to-teleport=fast":               "is not a time",
		"time-to-teleport=":                   "is empty",
		"lateral-resolution=0,8":              "is not a number",
		"lateral-resolution=nan":              "is not finite",
		"lateral-resolution=inf":              "is not finite",
		"max-num-vehicles=1.5":                "is not a whole number",
		"mesosim=perhaps":                     "is not true or false",
		"default.carfollowmodel=${MODEL}":     "contains a variable",
		"default.carfollowmodel=a\x00":        "control characters",
		"default.carfollowmodel=~x":           "home folder",
		"routing-algorithm=CH":                "",
		"routing-algorithm=ch":                "is not one of dijkstra, astar, CH, CHWrapper, CCH",
		"pedestrian.model=remote":             "connects to another computer",
		"pedestrian.remote.address=host:1":    "is not allowed",
		"teim-to-teleport=1":                  "did you mean time-to-teleport?",
		"--time-to-teleport=1":                "did you mean time-to-teleport?",
		"end=100":                             "set end instead",
		"e=100":                               "set end instead",
		"b=100":                               "set begin instead",
		"step-length=0.5":                     "set step_length instead",
		"scale=2":                             "set scale instead",
		"seed=1":                              "give the seeds in replications",
		"random=true":                         "give the seeds in replications",
		"tripinfo-output.write-unfinished=1":  "set unfinished_trips instead",
		"threads=4":                           "how many cores",
		"route-steps=0":                       "which departures SUMO reads",
		"route-files=a.xml":                   "names files",
		"net=a.xml":                           "names files",
		"device.rerouting.output=a.xml":       "names files",
		"device.ssm.file=a.xml":               "names files",
		"tripinfo-output=a.xml":               "names files",
		"device.ssm.probability=1":            "changes what a run reads, writes or reports",
		"device.emissions.probability=1":      "changes what a run reads, writes or reports",
		"output-prefix=x":                     "changes what a run reads, writes or reports",
		"scale-suffix=x":                      "changes what a run reads, writes or reports",
		"precision=5":                         "changes what a run reads, writes or reports",
		"xml-validation=never":                "changes what a run reads, writes or reports",
		"no-step-log=true":                    "changes what a run reads, writes or reports",
		"remote-port=1":                       "changes what a run reads, writes or reports",
		"load-state.offset=1":                 "changes what a run reads, writes or reports",
		"help=true":                           "is not allowed",
		"save-configuration=x":                "is not allowed",
		"gui-settings-file=x":                 "names files",
		"start=true":                          "changes what a run reads, writes or reports",
		"configuration-file=x":                "set config_file instead",
		"emissions.volumetric-fuel=true":      "changes units",
		"device.fcd-replay.files=a.xml":       "names files",
		"default.carfollowmodel=a" + longText: "is longer than",
	} {
		name, value, _ := strings.Cut(set, "=")
		if got := OptionFault(name, value); got == "" != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%.60s: %q", set, got)
		}
	}
}

var longText = strings.Repeat("x", maxPathValue)

func TestNoSettableOptionNamesFiles(t *testing.T) {
	t.Parallel()
	settable, topics := 0, map[string]bool{}
	for name, o := range options() {
		topics[o.topic] = true
		if o.unsettable() != "" {
			continue
		}
		settable++
		if strings.HasSuffix(name, "file") || strings.HasSuffix(name, "files") || strings.HasSuffix(name, "output") {
			t.Errorf("a study may set %s", name)
		}
	}
	if settable < 150 {
		t.Errorf("a study may set %d options only", settable)
	}
	for name := range fixed {
		if o := options()[name]; o == nil || o.name != name {
			t.Errorf("fixed option %s is known as %v", name, o)
		}
	}
	for topic := range trafficTopics {
		if !topics[topic] {
			t.Errorf("no option has the topic %s", topic)
		}
	}
}

// TestChoicesAreThoseOfSUMO holds the values of options to what each SUMO lists: all in the newest, no others in any.
func TestChoicesAreThoseOfSUMO(t *testing.T) {
	t.Parallel()
	list := regexp.MustCompile(`<(\S+) value="[^"]*"[^>]* type="STR" help="[^"]*[[(]([^])"]*[|,][^])"]*)[])]"`)
	sumotest.Each(t, func(t *testing.T, at release.Installation) {
		dir := t.TempDir()
		if out, ok := sumo(t, at, dir, "sumo", "--save-template", "t.xml"); !ok {
			t.Fatal(out)
		}
		template, err := os.ReadFile(filepath.Join(dir, "t.xml"))
		if err != nil {
			t.Fatal(err)
		}
		found := map[string][]string{}
		for _, m := range list.FindAllStringSubmatch(string(template), -1) {
			if choices[m[1]] != nil {
				found[m[1]] = strings.FieldsFunc(strings.NewReplacer("&apos;", "", " or ", " ").Replace(m[2]),
					func(r rune) bool { return strings.ContainsRune("|, ", r) })
			}
		}
		for name, values := range choices {
			for _, value := range values {
				if at.Version == sumotest.Newest(t).Version && !slices.Contains(found[name], value) {
					t.Errorf("%s is not among the values of %s: %v", value, name, found[name])
				}
			}
			for _, value := range found[name] {
				if !slices.Contains(values, value) && value != "remote" && value != "traci" {
					t.Errorf("%s has the value %s, too", name, value)
				}
			}
		}
	})
}

func TestOptionName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"end": "end", "e": "end", "x": "weight-attribute", "nothing": ""} {
		if got, ok := OptionName(name); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", name, got, ok)
		}
	}
}

func TestOptionsOfAStudyAreThoseOfTheConfiguration(t *testing.T) {
	t.Parallel()
	base := Config{
		Options: []Option{{Name: "net-file", Files: []string{"a.net.xml"}}, {Name: "time-to-teleport", Value: "300"}},
		Relies:  []string{"default.departspeed", "default.departlane"},
	}
	set := base.Set(map[string]string{"time-to-teleport": "-1", "default.departspeed": "max"})
	want := []Option{base.Options[0], {Name: "time-to-teleport", Value: "-1"}, {Name: "default.departspeed", Value: "max"}}
	if diff := cmp.Diff(want, set.Options); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"default.departlane"}, set.Relies); diff != "" {
		t.Error(diff)
	}
	if fit, unfit := set.Unfit("1.24"), set.Unfit("1.22"); len(fit) != 0 || len(unfit) != 1 {
		t.Errorf("fit: %v, unfit: %v", fit, unfit)
	}
	if base.Options[1].Value != "300" || len(base.Relies) != 2 {
		t.Errorf("the base has changed: %+v", base)
	}
}
