package simulation_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

func TestParseAttribute(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]simulation.Attribute{
		"a.net.xml#lane/@speed": {File: "a.net.xml", Element: "lane", Name: "speed"},
		"vtypes.add.xml#vType[@id='car']/@sigma": {
			File: "vtypes.add.xml", Element: "vType", Key: "id", Equals: "car", Name: "sigma"},
		`./in/my types (2).xml.gz#vType[ @id = "it's #1]" ]/@car-follow:Model.x_1`: {
			File: "in/my types (2).xml.gz", Element: "vType", Key: "id", Equals: "it's #1]", Name: "car-follow:Model.x_1"},
		`é.xml#élan[@ü='"']/@ö`: {File: "é.xml", Element: "élan", Key: "ü", Equals: `"`, Name: "ö"},
		"a.xml#b[@c='']/@d":     {File: "a.xml", Element: "b", Key: "c", Name: "d"},
	} {
		got, err := simulation.ParseAttribute(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
		if again, err := simulation.ParseAttribute(got.String()); err != nil || again != got {
			t.Errorf("%s, written as %s, is read as %+v, %v", text, got, again, err)
		}
	}
}

func TestParseAttributeSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"vType/@sigma":                              "'#' is missing",
		" #vType/@sigma":                            "the name of the file is missing",
		"../a.xml#vType/@sigma":                     "leads outside the scenario",
		"/a.xml#vType/@sigma":                       "leads outside the scenario",
		"a.xml#/@sigma":                             "the name of an element is missing",
		"a.xml#vType[id='car']/@sigma":              "'[' is not followed by @",
		"a.xml#vType[@id]/@sigma":                   "@id is not followed by = and a value in quotes",
		"a.xml#vType[@id=car]/@sigma":               "@id is not followed by = and a value in quotes",
		"a.xml#vType[@id='car]/@sigma":              "the closing quote",
		"a.xml#vType[@id='car' and @b='c']/@sigma":  "one condition is possible",
		"a.xml#vType[@id='car'][@b='c']/@sigma":     "is not followed by /@",
		"a.xml#vType":                               "is not followed by /@",
		"a.xml#vType/sigma":                         "is not followed by /@",
		"a.xml#vType/@":                             "is not followed by /@",
		"a.xml#routes/vType/@sigma":                 "is not followed by /@",
		"a.xml#vType/@sigma/@tau":                   "is not followed by /@",
		"a\n.xml#vType/@sigma":                      "control characters",
		strings.Repeat("a", 5000) + "#vType/@sigma": "longer than 4096 bytes",
	} {
		got, err := simulation.ParseAttribute(text)
		if problem.CodeOf(err) != problem.Invalid || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "vType[@id='car']") {
			t.Errorf("%.80q: %+v, %v", text, got, err)
		}
	}
}
