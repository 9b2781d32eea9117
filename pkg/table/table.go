// Package table keeps tables as Parquet files: typed columns with units, written and read as streams, and sent as Parquet, CSV or JSON.
//
// A file carries its Schema as JSON under MetadataKey, and each unit alone under UnitKey and the name of the column, so that clients of
// other languages find them without parsing.
package table

import (
	"slices"
)

// Type is that of a column's values.
type Type string

// The types. Any value may be missing.
const (
	Float64 Type = "float64"
	Int64   Type = "int64"
	String  Type = "string"
	Boolean Type = "boolean"
)

// Column describes a column.
type Column struct {
	Name        string `json:"name"`
	Type        Type   `json:"type" enum:"float64,int64,string,boolean"`
	Unit        string `json:"unit" doc:"Such as s, m or m/s; empty for what has none." example:"m/s"`
	Description string `json:"description"`
}

// Schema describes a table.
type Schema struct {
	Name string `json:"name"`
	// TimeColumn is the one that from and to apply to; empty if the table has none.
	TimeColumn string `json:"time_column" doc:"The column that from and to apply to; empty if there is none."`
	// Complete is false of a table of a run that stopped early.
	Complete bool     `json:"complete" doc:"False when the run stopped early, so that rows are missing."`
	Columns  []Column `json:"columns"`
}

// Index is the number of the column called name, or -1.
func (s Schema) Index(name string) int {
	return slices.IndexFunc(s.Columns, func(c Column) bool { return c.Name == name })
}

// Keys of a file's metadata.
const (
	MetadataKey = "sumo-k8"
	UnitKey     = "sumo-k8.unit."
)

// ContentType is that of Parquet (https://www.iana.org/assignments/media-types/application/vnd.apache.parquet).
const ContentType = "application/vnd.apache.parquet"
