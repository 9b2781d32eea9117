package simulation

import "slices"

// Table is a table that is made from outputs (package tables).
type Table string

// The tables.
const (
	TableSummary    Table = "summary"
	TableTripinfo   Table = "tripinfo"
	TablePersoninfo Table = "personinfo"
	TableEdgeData   Table = "edgedata"
	TableFCD        Table = "fcd"
	TableEmission   Table = "emission"
	TableQueue      Table = "queue"
	TableLaneChange Table = "lanechange"
	TableStops      Table = "stops"
	TableDetectors  Table = "detectors"
)

// Tables lists every table.
func Tables() []Table {
	return []Table{
		TableSummary, TableTripinfo, TablePersoninfo, TableEdgeData, TableFCD, TableEmission, TableQueue, TableLaneChange, TableStops,
		TableDetectors,
	}
}

// Valid reports whether t is a table we know.
func (t Table) Valid() bool { return slices.Contains(Tables(), t) }

// Sources are the outputs that may have the table: the first that a run has does. There are none for those of detectors, which write where
// the scenario says.
func (t Table) Sources() []Output {
	switch o := t.Output(); {
	case o == "":
		return nil
	case t == TablePersoninfo:
		return []Output{OutputPersoninfo, o}
	default:
		return []Output{o}
	}
}

// Output is the one to ask for so that a run has the table; empty for those of detectors.
func (t Table) Output() Output {
	switch t {
	case TablePersoninfo:
		return OutputTripinfo
	case TableStops:
		return OutputStop
	case TableDetectors:
		return ""
	default:
		return Output(t)
	}
}

// File is the result in which a run leaves a table that was asked for.
func (t Table) File() string { return "tables/" + string(t) + ".parquet" }

// Role marks the result that is the table, among the roles of results (see Outcome.Files).
func (t Table) Role() Output { return "table-" + Output(t) }
