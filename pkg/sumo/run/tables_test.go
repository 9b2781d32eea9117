package run

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
	"github.com/sumo-k8/sumo-k8/pkg/table"
)

func TestARunLeavesTheTablesThatItIsAskedFor(t *testing.T) {
	t.Parallel()
	sumotest.Each(t, func(t *testing.T, sumo release.Installation) {
		stops := `<route id="r" edges="AB BC"/><vehicle id="v" route="r" depart="0">` +
			strings.Repeat(`<stop lane="AB_0" endPos="50" duration="1"/>`, 6) + `</vehicle>`
		detectors := road(t, `<input><additional-files value="det.add.xml"/></input>`, someDemand)
		detectors["det.add.xml"] = `<additional><inductionLoop id="l" lane="AB_0" pos="100" period="60" file="loops.xml"/></additional>`
		walkers := `<personFlow id="p" begin="0" end="10" number="6"><walk edges="AB" arrivalPos="20"/></personFlow>`
		for name, tc := range map[string]struct {
			scenario files
			tables   []simulation.Table
			rows     map[simulation.Table]bool // those that it leaves
			warning  string
		}{
			"of outputs":   {road(t, "", someDemand), []simulation.Table{"fcd", "tripinfo"}, all("fcd", "tripinfo"), ""},
			"of detectors": {detectors, []simulation.Table{"detectors"}, all("detectors"), ""},
			"of stops":     {road(t, "", stops), []simulation.Table{"stops"}, all("stops"), ""},
			"of stops that the scenario asks for": {
				road(t, `<output><stop-output value="mine.xml"/></output>`, stops), []simulation.Table{"stops"}, all("stops"), "",
			},
			"of persons that the scenario has apart": {
				road(t, `<output><personinfo-output value="mine.xml"/></output>`, walkers), []simulation.Table{"personinfo"}, all("personinfo"), "",
			},
			"of nothing": {
				road(t, "", someDemand), []simulation.Table{"detectors"}, nil, "The table detectors was not made: the run has no output for it.",
			},
		} {
			c, k := chunkWith(t, sumo, zipped(t, tc.scenario), 1, 1)
			c.List.Runs[0].Options.Tables = tc.tables
			c.List.Runs[0].Options = c.List.Runs[0].Options.WithTables()
			if outcome := k.do(c); !outcome.Succeeded() {
				t.Fatalf("%s: %s: %s", name, outcome.Reason, outcome.Message)
			}
			got := k.stored[c.List.Runs[0].ID]
			o := got.outcome(t)
			if !o.Succeeded() || !strings.Contains(strings.Join(o.Warnings, "\n"), tc.warning) || tc.warning == "" && len(o.Warnings) > 0 {
				t.Errorf("%s: %s: %s, with the warnings %q", name, o.Reason, o.Message, o.Warnings)
			}
			for _, table := range simulation.Tables() {
				content, ok := got[table.File()]
				if ok != tc.rows[table] || ok != (o.Files[table.Role()] == table.File()) {
					t.Errorf("%s: %s is left: %t, among %v, as %v", name, table, ok, slices.Sorted(maps.Keys(got)), o.Files)
				}
				if !ok {
					continue
				}
				if !strings.Contains(got[simulation.ChecksumFile], table.File()) {
					t.Errorf("%s: the checksums lack %s", name, table)
				}
				if rows := rowsOf(t, content); rows < 5 {
					t.Errorf("%s: %s has %d rows", name, table, rows)
				}
			}
		}
	})
}

func all(names ...simulation.Table) map[simulation.Table]bool {
	set := map[simulation.Table]bool{}
	for _, name := range names {
		set[name] = true
	}
	return set
}

func rowsOf(t *testing.T, content string) int64 {
	t.Helper()
	file, err := table.Open(strings.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	return file.Rows
}

func TestTablesThatAreNotMadeAreWarnings(t *testing.T) {
	t.Parallel()
	for output, tc := range map[string]struct {
		table   simulation.Table
		warning string
	}{
		`<vehroute-output value="../tables/fcd.parquet"/>`: {
			"fcd", "The table fcd was not made: tables/fcd.parquet is an output of the scenario.",
		},
		`<queue-output value="q.csv"/>`: {"queue", "The table queue was not made: reading city/q.csv: it is not the output in XML"},
	} {
		c, k := chunkOf(t, zipped(t, road(t, "<output>"+output+"</output>", someDemand)), 1, 1)
		c.List.Runs[0].Options.Tables = []simulation.Table{tc.table}
		c.List.Runs[0].Options = c.List.Runs[0].Options.WithTables()
		if outcome := k.do(c); !outcome.Succeeded() {
			t.Fatalf("%s: %s", outcome.Reason, outcome.Message)
		}
		got := k.stored[c.List.Runs[0].ID]
		o := got.outcome(t)
		if !strings.Contains(strings.Join(o.Warnings, "\n"), tc.warning) || o.Files[tc.table.Role()] != "" {
			t.Errorf("%s: the warnings are %q, the files %v, of %v", output, o.Warnings, o.Files, slices.Sorted(maps.Keys(got)))
		}
	}
}
