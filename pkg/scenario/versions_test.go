package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
)

func TestNeedsOfVersions(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		zip      []byte
		fits     []string
		unfit    []string
		location string
		message  string
	}{
		"nothing new": {zip: scenarioOf(t, ""), fits: []string{"1.15", "1.18", "1.28", "1.30"}},
		"a new option": {
			zip: scenarioOf(t, `<output-suffix value="x"/>`), fits: []string{"1.26", "1.28"}, unfit: []string{"1.15", "1.24"},
			location: "s.sumocfg:2", message: "the option output-suffix came with SUMO 1.26",
		},
		"an option that has gone": {
			zip: scenarioOf(t, `<osg-view value="true"/>`), fits: []string{"1.15"}, unfit: []string{"1.18", "1.28"},
			location: "s.sumocfg:2", message: "SUMO 1.18 and later no longer have the option osg-view",
		},
		"an option that has another name": {zip: scenarioOf(t, `<device.fcd-replay.file value="r.rou.xml"/>`), fits: []string{"1.20", "1.28"}},
		"new vehicle classes": {
			zip: scenarioOf(t, "", entryOf("n.net.xml", "<net version='1.20'>\n<edge id='e'><lane allow='bus container'/>\n"+
				"<lane disallow='drone'/></edge></net>")),
			fits: []string{"1.20", "1.28"}, unfit: []string{"1.18"}, location: "n.net.xml:2",
			message: "the network (version 1.20) names vehicle classes that came with SUMO 1.20 (container, drone)",
		},
		"a new class of vehicles": {
			zip: scenarioOf(t, "", entryOf("r.rou.xml", "<routes>\n<vType id='t' vClass='subway'/></routes>")), fits: []string{"1.20"},
			unfit: []string{"1.18"}, location: "r.rou.xml:2", message: "subway",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := inspect(t, test.zip, DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			c := m.Configs[0]
			for _, version := range test.fits {
				if unfit := c.Unfit(version); len(unfit) > 0 {
					t.Errorf("with SUMO %s: %v", version, unfit)
				}
			}
			for _, version := range test.unfit {
				if !slices.ContainsFunc(c.Unfit(version), func(i problem.Item) bool {
					return i.Location == test.location && strings.Contains(i.Message, test.message)
				}) {
					t.Errorf("with SUMO %s: %v", version, c.Unfit(version))
				}
			}
		})
	}
}

// TestNewClassesAreThoseOfSUMO asks SUMO for each vehicle class in a network.
func TestNewClassesAreThoseOfSUMO(t *testing.T) {
	t.Parallel()
	classes := []string{
		"private", "emergency", "authority", "army", "vip", "pedestrian", "passenger", "hov", "taxi", "bus", "coach", "delivery", "truck",
		"trailer", "motorcycle", "moped", "bicycle", "evehicle", "tram", "rail_urban", "rail", "rail_electric", "rail_fast", "ship",
		"custom1", "custom2", "container", "cable_car", "subway", "aircraft", "wheelchair", "scooter", "drone",
	}
	for class := range newClasses {
		if !slices.Contains(classes, class) {
			t.Errorf("%s is not asked for", class)
		}
	}
	sumotest.Each(t, func(t *testing.T, at release.Installation) {
		for _, class := range classes {
			dir := t.TempDir()
			network := strings.Replace(realNet(t), `<lane id="A0A1_0"`, `<lane allow="`+class+`" id="A0A1_0"`, 1)
			if err := os.WriteFile(filepath.Join(dir, "n.net.xml"), []byte(network), 0o644); err != nil {
				t.Fatal(err)
			}
			printed, _ := sumo(t, at, dir, "sumo", "-n", "n.net.xml", "-e", "1", "--no-step-log")
			known := !strings.Contains(printed, "Unknown vehicle class")
			if want := newClasses[class] == "" || release.Compare(at.Version, newClasses[class]) >= 0; known != want {
				t.Errorf("SUMO %s knows %s: %t", at.Version, class, known)
			}
		}
	})
}

func TestChangedDefaultsAreNoted(t *testing.T) {
	t.Parallel()
	const signed = "<?xml version=\"1.0\"?>\n<!-- generated on 2024-05-01 by Eclipse SUMO netconvert Version %s -->\n"
	written := func(version string) part { return entryOf("n.net.xml", fmt.Sprintf(signed, version)+net) }
	demand := func(lines string) part { return entryOf("r.rou.xml", "<routes>"+lines+"</routes>") }
	explicit := demand(`<vType id="t"/><vehicle id="a" depart="0" departSpeed="0" departLane="first" type="t"/>`)
	for name, test := range map[string]struct {
		zip     []byte
		version string
		want    []string // parts of each note
		outputs []simulation.Output
	}{
		"the same side":     {zip: scenarioOf(t, "", written("1.20.0")), version: "1.26"},
		"no version":        {zip: scenarioOf(t, ""), version: "1.28"},
		"nothing left open": {zip: scenarioOf(t, "", written("1.20.0"), explicit), version: "1.28"},
		"departures": {
			zip: scenarioOf(t, "", written("1.20.0")), version: "1.28",
			want: []string{`default.departspeed is avg instead of 0`, `set <default.departlane value="first"/>`},
		},
		"departures that the configuration gives": {
			zip: scenarioOf(t, `<default.departspeed value="0"/>`, written("1.20.0")), version: "1.28",
			want: []string{`default.departlane is best_prob instead of first`},
		},
		"departures in an older version": {
			zip: scenarioOf(t, "", written("1.28.0")), version: "1.26",
			want: []string{`default.departspeed is 0 instead of avg`, `set <default.departlane value="best_prob"/>`},
		},
		"departures in a version without the option": {
			zip: scenarioOf(t, "", written("1.28.0")), version: "1.22",
			want: []string{`choose SUMO 1.27 or newer`, `choose SUMO 1.27 or newer`},
		},
		"routes of SUMO's": {
			zip: scenarioOf(t, "", written("v1_20_0+0123-abc"), demand(`<trip id="a" depart="0" departSpeed="0" departLane="0"/>`)), version: "1.22",
			want: []string{`set <weights.turnaround-penalty value="0"/>`},
		},
		"emissions": {
			zip: scenarioOf(t, `<emission-output value="e.xml"/>`, written("1.18.0"), explicit), version: "1.24",
			want: []string{`give each vType emissionClass="HBEFA3/PC_G_EU4"`},
		},
		"emissions that the job asks for": {
			zip: scenarioOf(t, "", written("1.18.0"), explicit), version: "1.24", outputs: []simulation.Output{simulation.OutputEmission},
			want: []string{`give each vType emissionClass="HBEFA3/PC_G_EU4"`},
		},
		"emissions that nobody asks for": {
			zip: scenarioOf(t, "", written("1.18.0"), explicit), version: "1.24", outputs: []simulation.Output{simulation.OutputFCD},
		},
		"tables": {
			zip: scenarioOf(t, `<fcd-output value="f.csv"/>`, written("1.26.0"), explicit), version: "1.28",
			want: []string{`set <output.column-header value="tag"/>`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := inspect(t, test.zip, DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			got := Changes(m.Configs[0], test.version, test.outputs)
			if len(got) != len(test.want) {
				t.Fatalf("got %q", got)
			}
			for i, want := range test.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("got %q, want %q", got[i], want)
				}
			}
		})
	}
}

// TestChangesAreThoseOfSUMO compares the table with the defaults that each version itself lists.
func TestChangesAreThoseOfSUMO(t *testing.T) {
	t.Parallel()
	sumotest.Each(t, func(t *testing.T, at release.Installation) {
		dir := t.TempDir()
		if out, ok := sumo(t, at, dir, "sumo", "--save-template", "t.xml"); !ok {
			t.Fatal(out)
		}
		template, err := os.ReadFile(filepath.Join(dir, "t.xml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range changes {
			m := regexp.MustCompile(`<` + regexp.QuoteMeta(c.option) + ` value="([^"]*)"`).FindStringSubmatch(string(template))
			if c.exists == "" || release.Compare(at.Version, c.exists) < 0 {
				if m != nil {
					t.Errorf("SUMO %s has the option %s", at.Version, c.option)
				}
				continue
			}
			want := c.old
			if release.Compare(at.Version, c.since) >= 0 {
				want = c.new
			}
			if m == nil || m[1] != want {
				t.Errorf("SUMO %s has %s = %q, the table %q", at.Version, c.option, m, want)
			}
		}
	})
}

func TestTheWriterOfANetworkIsKnown(t *testing.T) {
	t.Parallel()
	sumotest.Each(t, func(t *testing.T, at release.Installation) {
		dir := t.TempDir()
		if out, ok := sumo(t, at, dir, "netgenerate", "--grid", "--grid.number", "2", "-o", "n.net.xml"); !ok {
			t.Fatal(out)
		}
		text, err := os.ReadFile(filepath.Join(dir, "n.net.xml"))
		if err != nil {
			t.Fatal(err)
		}
		m, err := inspect(t, scenarioOf(t, "", entryOf("n.net.xml", string(text))), DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(at.Version, m.Configs[0].Written); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
