package scenario

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOutputsThatMoveTakeNobodysName(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		settings, additional string
		want                 []string
	}{
		"one outside before one that stays": {
			settings: `<tripinfo-output value="/tmp/out.xml"/><summary-output value="out.xml"/>`, want: []string{"out-2.xml", "out.xml"},
		},
		"in an additional file": {
			additional: `<edgeData id="a" file="../out/e.xml"/><edgeData id="b" file="out/e.xml"/>`, want: []string{"out/e-2.xml", "out/e.xml"},
		},
		"two that differ in a variable": {
			settings: `<tripinfo-output value="${A}.xml"/><summary-output value="${B}.xml"/>`, want: []string{".xml", "-2.xml"},
		},
		"one that is a variable":             {settings: `<summary-output value="out/${LOCALTIME}"/>`, want: []string{"out/summary-output.xml"}},
		"one in a folder that is a variable": {settings: `<summary-output value="out/${X}/s.xml"/>`, want: []string{"out/s.xml"}},
		"a prefix and a suffix with variables": {
			settings: `<output-prefix value="o/${UTC}_"/><output-suffix value="-${PID}"/><summary-output value="s.xml"/>`,
			want:     []string{"o/_s-.xml"},
		},
		"the network's name":       {settings: `<fcd-output value="n.net.xml"/>`, want: []string{"n-2.net.xml"}},
		"the configuration's name": {additional: `<edgeData id="a" file="s.sumocfg"/>`, want: []string{"s-2.sumocfg"}},
		"the network's name behind a prefix": {
			settings: `<fcd-output value="net.xml"/><output-prefix value="n."/>`, want: []string{"n.net-2.xml"},
		},
		"one name twice, as SUMO has it": {
			settings: `<tripinfo-output value="../a.xml"/><summary-output value="../a.xml"/>`, want: []string{"a.xml"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := inspect(t, scenarioOf(t, `<a value="a.add.xml"/>`+test.settings,
				entryOf("a.add.xml", "<additional>"+test.additional+"</additional>")), DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(test.want)
			if diff := cmp.Diff(test.want, m.Configs[0].Outputs); diff != "" {
				t.Errorf("outputs (-want +got):\n%s", diff)
			}
		})
	}
}

// TestManyOutputsWithOneName would take a minute if each looked for its number from the first one on.
func TestManyOutputsWithOneName(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	const many = 16_000
	for n := range many {
		fmt.Fprintf(&b, `<edgeData id="%d" file="/home/%[1]d/x.xml"/>`, n)
	}
	m, err := inspect(t, scenarioOf(t, `<a value="a.add.xml"/>`, entryOf("a.add.xml", "<additional>"+b.String()+"</additional>")), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Configs[0].Outputs; len(got) != many || !slices.Contains(got, fmt.Sprintf("x-%d.xml", many)) {
		t.Errorf("%d outputs", len(got))
	}
}

func TestNamesThatSUMONeverOpensRefuseNothing(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ settings, additional string }{
		"an image with an absolute path": {additional: `<poi id="p" x="1" y="1" imgFile="/home/me/car.png"/>`},
		"an image on Windows":            {additional: `<vType id="t" imgFile="C:\img\car.png"/>`},
		"an image on the web":            {additional: `<vType id="t" imgFile="https://example.org/car.png"/>`},
		"data for the GUI":               {settings: `<edgedata-files value="/home/me/e.xml"/>`},
		"a selection for the GUI":        {settings: `<selection-file value="~/s.txt"/>`},
		"a file in a note on a place":    {additional: `<poi id="p" x="1" y="1"><param key="file" value="https://example.org/p.jpg"/></poi>`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := inspect(t, scenarioOf(t, `<a value="a.add.xml"/>`+test.settings,
				entryOf("a.add.xml", "<additional>"+test.additional+"</additional>")), DefaultLimits())
			if err != nil || len(m.Configs[0].Outputs) > 0 || len(m.Configs[0].Warnings) > 0 {
				t.Errorf("%v %v %v", err, m.Configs[0].Outputs, m.Configs[0].Warnings)
			}
		})
	}
}

func TestALogOfATrafficLightStaysInside(t *testing.T) {
	t.Parallel()
	for _, inside := range []string{"tlLogic", "junction"} {
		element := "<" + inside + ` id="x"><phase duration="9" state="G"/><any><param key="file" value="../log.xml"/></any></` + inside + ">"
		m, err := inspect(t, scenarioOf(t, `<a value="a.add.xml"/>`, entryOf("a.add.xml", "<additional>"+element+"</additional>")), DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"log.xml"}, m.Configs[0].Outputs); diff != "" {
			t.Errorf("%s: outputs (-want +got):\n%s", inside, diff)
		}
	}
}

func TestHarmlessWarningsHideNoStrictOne(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for n := range 2 * maxItems {
		fmt.Fprintf(&b, `<edgeData id="%d" file="../out/%[1]d.xml"/>`, n)
	}
	m, err := inspect(t, scenarioOf(t, `<a value="a.add.xml"/>`,
		entryOf("a.add.xml", "<additional>"+b.String()+`<poi id="p" x="1" y="1" colour="red"/></additional>`)), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if strict := m.Configs[0].Strict(Interval{End: 100}); len(strict) != 1 || !strings.Contains(strict[0].Message, "colour") {
		t.Errorf("a strict run is refused for %v", strict)
	}
}
