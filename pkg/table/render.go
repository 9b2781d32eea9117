package table

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"io"
	"math"
	"strconv"

	"github.com/parquet-go/parquet-go"
)

// Format is a form of a table.
type Format string

// The formats.
const (
	CSV     Format = "csv"
	JSON    Format = "json"
	Parquet Format = "parquet"
)

// ContentType is that of the form.
func (f Format) ContentType() string {
	switch f {
	case JSON:
		return "application/json"
	case Parquet:
		return ContentType
	default:
		return "text/csv; charset=utf-8"
	}
}

// Render writes what is selected of a table.
func (f *File) Render(w io.Writer, format Format, s Selection) error {
	switch format {
	case JSON:
		return f.renderJSON(w, s)
	case Parquet:
		return f.renderParquet(w, s)
	default:
		return f.renderCSV(w, s)
	}
}

// chosen are the columns of a selection.
func (f *File) chosen(s Selection) []Column {
	columns := make([]Column, len(s.Columns))
	for i, c := range s.Columns {
		columns[i] = f.Schema.Columns[c]
	}
	return columns
}

// renderCSV writes a header and a record for each row (RFC 4180). Missing values are empty.
func (f *File) renderCSV(w io.Writer, s Selection) error {
	out := csv.NewWriter(w)
	record := make([]string, len(s.Columns))
	for i, c := range f.chosen(s) {
		record[i] = c.Name
	}
	if err := out.Write(record); err != nil {
		return err
	}
	var text []byte
	err := f.Scan(s, func(row []parquet.Value) error {
		for i, v := range row {
			text = text[:0]
			if !v.IsNull() {
				text = appendText(text, v)
			}
			record[i] = string(text)
		}
		return out.Write(record)
	})
	out.Flush()
	if err == nil {
		err = out.Error()
	}
	return err
}

func appendText(text []byte, v parquet.Value) []byte {
	switch v.Kind() {
	case parquet.Double:
		return appendFloat(text, v.Double())
	case parquet.Int64:
		return strconv.AppendInt(text, v.Int64(), 10)
	case parquet.Boolean:
		return strconv.AppendBool(text, v.Boolean())
	default:
		return append(text, v.ByteArray()...)
	}
}

// appendFloat writes the shortest text that reads back as v, without an exponent unless it is very large or small.
func appendFloat(text []byte, v float64) []byte {
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.AppendFloat(text, v, 'g', -1, 64)
	}
	return strconv.AppendFloat(text, v, 'f', -1, 64)
}

// renderJSON writes an object with the columns, and the rows as objects by column. Missing values, and numbers that JSON does not have,
// are null.
func (f *File) renderJSON(w io.Writer, s Selection) error {
	out := bufio.NewWriter(w)
	columns := f.chosen(s)
	described, err := json.Marshal(columns)
	if err != nil {
		return err
	}
	keys := make([][]byte, len(columns))
	for i, c := range columns {
		name, err := json.Marshal(c.Name)
		if err != nil {
			return err
		}
		keys[i] = append(name, ':')
	}
	text := append(append([]byte(`{"columns":`), described...), `,"rows":[`...)
	separator := ""
	err = f.Scan(s, func(row []parquet.Value) error {
		text = append(append(text, separator...), '{')
		separator = ",\n"
		for i, v := range row {
			if i > 0 {
				text = append(text, ',')
			}
			text = append(text, keys[i]...)
			switch {
			case v.IsNull(), v.Kind() == parquet.Double && (math.IsNaN(v.Double()) || math.IsInf(v.Double(), 0)):
				text = append(text, "null"...)
			case v.Kind() == parquet.ByteArray:
				quoted, err := json.Marshal(string(v.ByteArray()))
				if err != nil {
					return err
				}
				text = append(text, quoted...)
			default:
				text = appendText(text, v)
			}
		}
		text = append(text, '}')
		_, err := out.Write(text)
		text = text[:0]
		return err
	})
	if err != nil {
		return err
	}
	if _, err := out.Write(append(text, "]}\n"...)); err != nil {
		return err
	}
	return out.Flush()
}

func (f *File) renderParquet(w io.Writer, s Selection) error {
	schema := f.Schema
	schema.Columns = f.chosen(s)
	if schema.Index(schema.TimeColumn) < 0 {
		schema.TimeColumn = ""
	}
	out, err := NewWriter(w, schema)
	if err != nil {
		return err
	}
	err = f.Scan(s, func(row []parquet.Value) error {
		for i, v := range row {
			switch {
			case v.IsNull():
			case v.Kind() == parquet.Double:
				out.Float(i, v.Double())
			case v.Kind() == parquet.Int64:
				out.Int(i, v.Int64())
			case v.Kind() == parquet.Boolean:
				out.Bool(i, v.Boolean())
			default:
				out.String(i, v.ByteArray())
			}
		}
		return out.EndRow()
	})
	if err != nil {
		return err
	}
	return out.Close()
}
