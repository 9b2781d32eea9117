package scenario

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

func TestTheNetworkOfAConfigurationIsFoundAndRead(t *testing.T) {
	t.Parallel()
	const two = `<net version="1.9"><edge id="a &amp; b"/><edge id="c"/></net>`
	named := func(option string) string {
		return `<configuration><input>` + option + `<route-files value="../r.rou.xml"/></input></configuration>`
	}
	for name, tc := range map[string]struct {
		zip  []byte
		want []string
		code problem.Code
	}{
		"beside it": {
			zipOf(t, entryOf("d/s.sumocfg", named(`<net-file value="n.net.xml"/>`)), entryOf("d/n.net.xml", two)), []string{"a & b", "c"}, "",
		},
		"above it, compressed": {
			zipOf(t, entryOf("d/s.sumocfg", named(`<net value=" ../n.net.xml.gz "/>`)), entryOf("n.net.xml.gz", gzipped(two))),
			[]string{"a & b", "c"}, "",
		},
		"compressed both": {
			zipOf(t, entryOf("d/s.sumocfg", gzipped(named(`<net-file value="n.net.xml"/>`))), entryOf("d/n.net.xml", gzipped(two))),
			[]string{"a & b", "c"}, "",
		},
		"by a short name": {
			zipOf(t, entryOf("d/s.sumocfg", named(`<n value="n.xml"/>`)), entryOf("d/n.xml", two)), []string{"a & b", "c"}, "",
		},
		"not in the zip":   {zipOf(t, entryOf("d/s.sumocfg", named(`<net-file value="n.net.xml"/>`))), nil, problem.NotFound},
		"no configuration": {zipOf(t, entryOf("d/other.sumocfg", named(`<net-file value="n.net.xml"/>`))), nil, problem.NotFound},
	} {
		var got []string
		err := ScanNet(t.Context(), Zip(bytes.NewReader(tc.zip), int64(len(tc.zip))), DefaultLimits(), "d/s.sumocfg", func(e xml.Element) error {
			if string(e.Name) == "edge" && e.Depth == 2 {
				got = append(got, string(e.Attr("id")))
			}
			return nil
		})
		if diff := cmp.Diff(tc.want, got); diff != "" || problem.CodeOf(err) != tc.code {
			t.Errorf("%s: %v, edges (-want +got):\n%s", name, err, diff)
		}
	}
}

func TestTheAdditionalFilesOfAConfigurationAreReadInTheirOrder(t *testing.T) {
	t.Parallel()
	config := func(value string) string {
		return `<configuration><input><net-file value="n.net.xml"/><additional-files value="` + value + `"/></input></configuration>`
	}
	file := func(id string) string { return `<additional><poly id="` + id + `"/></additional>` }
	for name, tc := range map[string]struct {
		zip  []byte
		want []string
	}{
		"two, one compressed": {zipOf(t, entryOf("d/s.sumocfg", config(" b.xml , ../a.xml.gz")), entryOf("a.xml.gz", gzipped(file("a"))),
			entryOf("d/b.xml", file("b")), entryOf("d/c.xml", file("c"))), []string{"b", "a"}},
		"one is not there": {zipOf(t, entryOf("d/s.sumocfg", config("none.xml,b.xml")), entryOf("d/b.xml", file("b"))), []string{"b"}},
		"no option":        {zipOf(t, entryOf("d/s.sumocfg", "<configuration/>")), nil},
	} {
		var got []string
		source := Zip(bytes.NewReader(tc.zip), int64(len(tc.zip)))
		err := ScanAdditional(t.Context(), source, DefaultLimits(), "d/s.sumocfg", func(e xml.Element) error {
			if string(e.Name) == "poly" {
				got = append(got, string(e.Attr("id")))
			}
			return nil
		})
		if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v, polygons (-want +got):\n%s", name, err, diff)
		}
	}
}
