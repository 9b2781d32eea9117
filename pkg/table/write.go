package table

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

const (
	// groupRows is how many rows a row group has: enough that a dictionary pays off, few enough that one with ten columns of
	// distinct numbers is held in memory. Readers of other languages take row groups of up to a million rows.
	groupRows = 512 << 10
	// batchRows is how many rows go to a column at a time: the values of a batch stay in the processor's cache.
	batchRows = 1024
	// batchText is the text, in bytes, with which the rows are passed on before they are that many: a value may have a MiB.
	batchText = 4 << 20
	// pageBytes is the size of a page before compression. Larger ones compress no better, and smaller ones can be skipped more often.
	pageBytes = 256 << 10
	// dictionaryBytes bounds a column's dictionary; what follows in the row group is stored plainly. It has room for 128,000 numbers: what
	// has more gains little from one.
	dictionaryBytes = 2 << 20
)

// Writer writes rows one after the other: the values of a row by column, in any order, then EndRow.
type Writer struct {
	schema  Schema
	out     *parquet.GenericWriter[any]
	columns []*parquet.ColumnWriter
	batches []batch
	rows    int // in the batches
	text    int // bytes in the batches
	total   int64
}

// batch are the next values of a column.
type batch struct {
	values []parquet.Value
	text   []byte // what they refer to
}

// NewWriter returns a Writer of a file with the given schema.
func NewWriter(w io.Writer, s Schema) (*Writer, error) {
	options := []parquet.WriterOption{
		layout(s), parquet.Compression(&zstd.Codec{Level: zstd.SpeedDefault}), parquet.PageBufferSize(pageBytes),
		parquet.DictionaryMaxBytes(dictionaryBytes), parquet.CreatedBy("sumo-k8", "", ""),
		parquet.DataPageStatistics(true),
	}
	for _, c := range s.Columns {
		if c.Unit != "" {
			options = append(options, parquet.KeyValueMetadata(UnitKey+c.Name, c.Unit))
		}
	}
	config, err := parquet.NewWriterConfig(options...)
	if err != nil {
		return nil, err
	}
	out := &Writer{schema: s, out: parquet.NewGenericWriter[any](w, config), batches: make([]batch, len(s.Columns))}
	out.columns = out.out.ColumnWriters()
	for i := range out.batches {
		out.batches[i].values = make([]parquet.Value, batchRows)
	}
	out.clear()
	return out, nil
}

// Float sets a value of the row.
func (w *Writer) Float(column int, v float64) {
	w.batches[column].values[w.rows] = parquet.DoubleValue(v).Level(0, 1, column)
}

// Int sets a value of the row.
func (w *Writer) Int(column int, v int64) {
	w.batches[column].values[w.rows] = parquet.Int64Value(v).Level(0, 1, column)
}

// Bool sets a value of the row.
func (w *Writer) Bool(column int, v bool) {
	w.batches[column].values[w.rows] = parquet.BooleanValue(v).Level(0, 1, column)
}

// String sets a value of the row. It keeps a copy of v.
func (w *Writer) String(column int, v []byte) {
	b := &w.batches[column]
	start := len(b.text)
	w.text += len(v)
	b.text = append(b.text, v...) // values before it keep what they refer to, if this moves
	b.values[w.rows] = parquet.ByteArrayValue(b.text[start:len(b.text):len(b.text)]).Level(0, 1, column)
}

// EndRow ends a row. Values that were not set are missing.
func (w *Writer) EndRow() error {
	w.rows++
	w.total++
	last := w.total%groupRows == 0
	if w.rows < batchRows && w.text < batchText && !last {
		return nil
	}
	if err := w.flush(); err != nil {
		return err
	}
	if last {
		return w.out.Flush()
	}
	return nil
}

// SetComplete is Schema.Complete, which may be known only after the last row.
func (w *Writer) SetComplete(complete bool) { w.schema.Complete = complete }

// Close completes the file. It does not close what the Writer writes to.
func (w *Writer) Close() error {
	if err := w.flush(); err != nil {
		return err
	}
	document, err := json.Marshal(w.schema)
	if err != nil {
		return err
	}
	w.out.SetKeyValueMetadata(MetadataKey, string(document))
	return w.out.Close()
}

func (w *Writer) flush() error {
	for i, c := range w.columns {
		if _, err := c.WriteRowValues(w.batches[i].values[:w.rows]); err != nil {
			return fmt.Errorf("writing a table: %w", err)
		}
	}
	w.clear()
	return nil
}

func (w *Writer) clear() {
	for i := range w.batches {
		b := &w.batches[i]
		missing := parquet.NullValue().Level(0, 0, i)
		for row := range b.values {
			b.values[row] = missing
		}
		if b.text = b.text[:0]; cap(b.text) > batchText {
			b.text = nil
		}
	}
	w.rows, w.text = 0, 0
}

// layout is the schema of the file. All columns but those of booleans have a dictionary: SUMO writes ids again at each step, and numbers
// with two decimals.
func layout(s Schema) *parquet.Schema {
	root := group{Group: parquet.Group{}}
	for _, c := range s.Columns {
		node := parquet.Leaf(parquet.DoubleType)
		switch c.Type {
		case Float64:
		case Int64:
			node = parquet.Int(64)
		case String:
			node = parquet.String()
		case Boolean:
			node = parquet.Leaf(parquet.BooleanType)
		}
		if c.Type != Boolean {
			node = parquet.Encoded(node, &parquet.RLEDictionary)
		}
		node = parquet.Optional(node)
		root.Group[c.Name] = node
		root.fields = append(root.fields, field{node, c.Name})
	}
	return parquet.NewSchema(s.Name, root)
}

// group is a parquet.Group that keeps the order of its fields.
type group struct {
	parquet.Group
	fields []parquet.Field
}

// Fields implements parquet.Node.
func (g group) Fields() []parquet.Field { return g.fields }

type field struct {
	parquet.Node
	name string
}

// Name implements parquet.Field.
func (f field) Name() string { return f.name }

// Value implements parquet.Field.
func (f field) Value(base reflect.Value) reflect.Value { return base.MapIndex(reflect.ValueOf(f.name)) }
