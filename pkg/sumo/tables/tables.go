// Package tables turns SUMO's outputs into tables with typed columns and units.
//
// A column is an attribute, under SUMO's own name. An output is read twice: first for its columns, since attributes differ with versions
// and options and may appear at its very end, then for its rows. Columns that SUMO documents have its types and units (columns.csv), unless
// a value does not fit; others hold numbers if all their values are numbers, else text. A value that an element lacks is missing.
package tables

import (
	_ "embed"
	"encoding/csv"
	"slices"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/outputs"
	"github.com/sumo-k8/sumo-k8/pkg/table"
)

// definition is how an output becomes a table.
type definition struct {
	name simulation.Table
	root string
	// another root makes the same table.
	another string
	time    string // column
	// rows are the elements that make a row. kind and number are columns with the element's name, and its number within what carries it.
	rows         []string
	prefix       string // of their columns
	kind, number string
	// carries are elements around rows whose attributes each of these has, outermost first: at each place those of any of the names.
	carries [][]string
	// carrier is a column with the name of the innermost of these.
	carrier string
	// within is whether attributes of elements within a row belong to it, as ELEMENT_ATTRIBUTE.
	within bool
	// alone is whether an innermost element that carries rows is one itself if it has none.
	alone bool
	// renamed are columns that would clash with others, by ELEMENT ATTRIBUTE.
	renamed map[string]string
	// files is whether several files make one table, with a column for the name.
	files bool
}

var definitions = []definition{
	{name: simulation.TableSummary, root: "summary", time: "time", rows: []string{"step"}},
	{
		name: simulation.TableTripinfo, root: "tripinfos", time: "depart", rows: []string{"tripinfo"},
		within: true,
	},
	{
		name: simulation.TablePersoninfo, root: "tripinfos", time: "depart",
		carries: [][]string{{"personinfo", "containerinfo"}}, carrier: "kind", alone: true,
		rows: []string{"walk", "ride", "stop", "access", "transport", "tranship"}, prefix: "stage_", kind: "stage", number: "stage_number",
	},
	{
		name: simulation.TableEdgeData, root: "meandata", time: "begin", carries: [][]string{{"interval"}, {"edge"}},
		alone: true, rows: []string{"lane"}, renamed: map[string]string{"interval id": "interval_id", "lane id": "lane"},
	},
	{
		name: simulation.TableFCD, root: "fcd-export", time: "time", carries: [][]string{{"timestep"}},
		rows: []string{"vehicle", "person", "container"}, kind: "kind",
	},
	{
		name: simulation.TableEmission, root: "emission-export", time: "time", carries: [][]string{{"timestep"}},
		rows: []string{"vehicle"},
	},
	{
		name: simulation.TableQueue, root: "queue-export", time: "timestep", carries: [][]string{{"data"}},
		rows: []string{"lane"},
	},
	{
		name: simulation.TableLaneChange, root: "lanechanges", time: "time", rows: []string{"change"},
	},
	{name: simulation.TableStops, root: "stops", time: "started", rows: []string{"stopinfo"}},
	{name: simulation.TableDetectors, root: "detector", another: "e3Detector", time: "begin", rows: []string{"interval"}, files: true},
}

func definitionOf(name simulation.Table) (definition, bool) {
	i := slices.IndexFunc(definitions, func(d definition) bool { return d.name == name })
	if i < 0 {
		return definition{}, false
	}
	return definitions[i], true
}

// From reports whether a table is made from an output whose root element has the given name.
func From(name simulation.Table, root string) bool {
	d, ok := definitionOf(name)
	return ok && d.reads(root)
}

func (d definition) reads(root string) bool {
	return root != "" && (root == d.root || root == d.another)
}

// Joined reports whether several files make one table.
func Joined(name simulation.Table) bool {
	d, _ := definitionOf(name)
	return d.files
}

//go:embed columns.csv
var columnsFile string

// documented are the columns that SUMO documents, by table.
// https://sumo.dlr.de/docs/Simulation/Output/index.html
var documented = func() map[simulation.Table][]table.Column {
	records, err := csv.NewReader(strings.NewReader(columnsFile)).ReadAll()
	if err != nil {
		panic("columns.csv: " + err.Error())
	}
	columns := map[simulation.Table][]table.Column{}
	for _, r := range records[1:] {
		name := simulation.Table(r[0])
		c := table.Column{Name: r[1], Type: table.Type(r[2]), Unit: r[3], Description: r[4]}
		if name == simulation.TableEdgeData && c.Unit == "" {
			c.Unit = outputs.EdgeUnit(c.Name)
		}
		columns[name] = append(columns[name], c)
	}
	return columns
}()

// Documented returns the schema of a table with all columns that SUMO documents. A run's table has those that its output has, and may have
// others.
func Documented(name simulation.Table) table.Schema {
	d, _ := definitionOf(name)
	return table.Schema{Name: string(name), TimeColumn: d.time, Columns: slices.Clone(documented[name])}
}
