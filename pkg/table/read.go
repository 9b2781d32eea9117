package table

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/parquet-go/parquet-go"
)

// File is a table that is stored.
type File struct {
	Schema Schema
	Rows   int64
	file   *parquet.File
}

// readBytes is how much of a column is read at a time: a request to an object store each.
const readBytes = 256 << 10

// ErrForeign is the answer to a Parquet file that no Writer has written.
var ErrForeign = errors.New("the file is no table of this service")

// Open reads the end of a file, which has its schema and where its columns are.
func Open(r io.ReaderAt, size int64) (*File, error) {
	file, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(readBytes))
	if err != nil {
		return nil, fmt.Errorf("opening a table: %w", err)
	}
	document, ok := file.Lookup(MetadataKey)
	if !ok {
		return nil, ErrForeign
	}
	out := &File{Rows: file.NumRows(), file: file}
	if err := json.Unmarshal([]byte(document), &out.Schema); err != nil {
		return nil, fmt.Errorf("reading a table's schema: %w", err)
	}
	if len(out.Schema.Columns) != len(file.Root().Columns()) {
		return nil, ErrForeign
	}
	return out, nil
}

// Selection are some of a table's columns and rows.
type Selection struct {
	// Columns by their numbers, in the order in which they are wanted.
	Columns []int
	// From and To bound the time column, From included and To excluded; infinite ones bound nothing. Rows without a time are left out as
	// soon as there is a bound.
	From, To float64
}

// All selects everything.
func (f *File) All() Selection {
	s := Selection{From: math.Inf(-1), To: math.Inf(1)}
	for i := range f.Schema.Columns {
		s.Columns = append(s.Columns, i)
	}
	return s
}

func (s Selection) bounded() bool { return !math.IsInf(s.From, -1) || !math.IsInf(s.To, 1) }

// Scan calls visit with the selected values of each selected row, which are valid only during the call.
func (f *File) Scan(s Selection, visit func([]parquet.Value) error) error {
	time := f.Schema.Index(f.Schema.TimeColumn)
	read := s.Columns
	if s.bounded() {
		if time < 0 {
			return errors.New("the table has no time column")
		}
		read = append([]int{time}, read...)
	}
	for _, g := range f.file.RowGroups() {
		if s.bounded() && apart(g.ColumnChunks()[time], s) {
			continue
		}
		if err := scanGroup(g, read, s, visit); err != nil {
			return fmt.Errorf("reading a table: %w", err)
		}
	}
	return nil
}

// apart reports whether all times of a row group are out of bounds.
func apart(times parquet.ColumnChunk, s Selection) bool {
	chunk, ok := times.(*parquet.FileColumnChunk)
	if !ok {
		return false
	}
	least, greatest, ok := chunk.Bounds()
	return ok && (greatest.Double() < s.From || least.Double() >= s.To)
}

// scanGroup reads columns side by side. Of a bounded selection, the first is the time.
func scanGroup(g parquet.RowGroup, columns []int, s Selection, visit func([]parquet.Value) error) error {
	readers := make([]parquet.ColumnChunkValueReader, len(columns))
	for i, c := range columns {
		readers[i] = parquet.NewColumnChunkValueReader(g.ColumnChunks()[c])
		defer readers[i].Close()
	}
	values := make([][]parquet.Value, len(columns))
	for i := range values {
		values[i] = make([]parquet.Value, batchRows)
	}
	row := make([]parquet.Value, len(s.Columns))
	for left := g.NumRows(); left > 0; {
		n := int(min(left, batchRows))
		for i, r := range readers {
			if err := readFull(r, values[i][:n]); err != nil {
				return err
			}
		}
		left -= int64(n)
		selected := values
		if s.bounded() {
			selected = values[1:]
		}
		for k := range n {
			if s.bounded() {
				if t := values[0][k]; t.IsNull() || t.Double() < s.From || t.Double() >= s.To {
					continue
				}
			}
			for i := range row {
				row[i] = selected[i][k]
			}
			if err := visit(row); err != nil {
				return err
			}
		}
	}
	return nil
}

func readFull(r parquet.ValueReader, values []parquet.Value) error {
	for got := 0; got < len(values); {
		n, err := r.ReadValues(values[got:])
		for i := range values[got : got+n] {
			v := &values[got+i]
			if v.Kind() == parquet.ByteArray {
				*v = v.Clone() // the next read may release the page it is in
			}
		}
		got += n
		if err != nil && (got < len(values) || !errors.Is(err, io.EOF)) {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}
