package tables

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/outputs"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
	"github.com/sumo-k8/sumo-k8/pkg/table"
)

// Source is an output that a table is made from. It is opened twice, and may be compressed with gzip.
type Source struct {
	Name string
	Open func() (io.ReadCloser, error)
	// Partial says that the run stopped early: SUMO ends its outputs properly even then.
	Partial bool
}

// The faults of sources.
var (
	ErrOther       = errors.New("it is not the output in XML that the table is made from")
	ErrManyColumns = fmt.Errorf("the output has more than %d different attributes", maxColumns)
)

// maxColumns is several times as many as SUMO's outputs have. It bounds the memory that invented ones take.
const maxColumns = 250

// head is how much XML of a source is searched for its columns at first. It has all of them nearly always, and thousands of rows.
const head = 4 << 20

// errUnforeseen ends a conversion that meets a column or a value that the head did not show.
var errUnforeseen = errors.New("the beginning of the output has not shown all its columns")

// Make writes a table as Parquet. It passes what writes the table to store, and does so again if the beginning of a source did not show all
// columns; what store has then begun is of no use. A source that is cut off gives what is there. One with more than most bytes of XML
// answers outputs.ErrTooLarge; 0 bounds nothing.
func Make(name simulation.Table, sources []Source, most int64, store func(write func(io.Writer) error) error) error {
	d, ok := definitionOf(name)
	if !ok {
		return fmt.Errorf("there is no table %q", name)
	}
	err := store(func(w io.Writer) error { return convert(w, d, sources, most, head) })
	if errors.Is(err, errUnforeseen) {
		err = store(func(w io.Writer) error { return convert(w, d, sources, most, 0) })
	}
	return err
}

// convert writes a table after it has read so much XML of each source for the columns; 0 stands for all.
func convert(w io.Writer, d definition, sources []Source, most, head int64) error {
	found := &survey{definition: d, numbers: map[string]int{}}
	for _, s := range sources {
		bound := head
		if head == 0 {
			bound = most
		}
		_, err := follow(d, found, s, bound)
		if head > 0 && errors.Is(err, outputs.ErrTooLarge) {
			found.partial = true
		} else if err != nil {
			return err
		}
	}
	if found.partial && found.unclear() {
		return errUnforeseen
	}
	schema := found.schema()
	out, err := table.NewWriter(w, schema)
	if err != nil {
		return err
	}
	fill := &filler{out: out, columns: schema.Columns, numbers: found.numbers}
	complete := true
	for _, s := range sources {
		whole, err := follow(d, fill, s, most)
		if err != nil {
			return err
		}
		complete = complete && whole && !s.Partial
	}
	out.SetComplete(complete)
	return out.Close()
}

func follow(d definition, v visitor, s Source, most int64) (complete bool, err error) {
	in, err := s.Open()
	if err != nil {
		return false, err
	}
	defer in.Close()
	k := &walk{definition: d, visitor: v, elements: map[string]*element{}}
	if d.files {
		if err := k.carry("file", []byte(s.Name)); err != nil {
			return false, err
		}
	}
	complete, err = outputs.Scan(in, &xml.Scanner{Element: k.element, End: k.end, Lenient: true}, most)
	switch {
	case k.failed != nil:
		err = k.failed
	case err == nil && !k.rooted:
		err = ErrOther
	}
	if err != nil {
		return false, fmt.Errorf("reading %s: %w", s.Name, err)
	}
	return complete, nil
}

// survey finds the columns of an output and what their values are.
type survey struct {
	definition
	partial bool // it has not seen all
	numbers map[string]int
	columns []finding
}

type finding struct {
	name string
	kind kind // the widest of the values
	bare bool // some are no booleans
}

func (s *survey) column(name string) (int, error) {
	if n, ok := s.numbers[name]; ok {
		return n, nil
	}
	n := len(s.columns)
	if n == maxColumns {
		return 0, ErrManyColumns
	}
	s.columns = append(s.columns, finding{name: name})
	s.numbers[name] = n
	return n, nil
}

func (s *survey) value(column int, v []byte) {
	c := &s.columns[column]
	if c.kind == text && c.bare {
		return
	}
	if !c.bare {
		_, ok := boolean(v)
		c.bare = !ok && len(v) > 0
	}
	c.kind = max(c.kind, kindOf(v))
}

func (s *survey) row() error { return nil }

// unclear reports whether the type of a column depends on what has not been seen.
func (s *survey) unclear() bool {
	known := documented[s.name]
	return len(s.columns) == 0 || slices.ContainsFunc(s.columns, func(f finding) bool {
		return f.kind == missing && !slices.ContainsFunc(known, func(c table.Column) bool { return c.Name == f.name })
	})
}

// schema is that of what was found; of an output without rows, it has the columns that SUMO documents.
func (s *survey) schema() table.Schema {
	out := Documented(s.name)
	known := out.Columns
	if len(s.columns) == 0 || s.files && len(s.columns) == 1 {
		for i, c := range known {
			s.numbers[c.Name] = i
		}
		return out
	}
	out.Columns = nil
	for _, f := range s.columns {
		c := table.Column{Name: f.name}
		for _, k := range known {
			if k.Name == f.name {
				c = k
			}
		}
		if c.Type == "" && s.name == simulation.TableEdgeData {
			c.Unit = outputs.EdgeUnit(c.Name)
		}
		c.Type = f.typed(c.Type)
		if c.Name == out.TimeColumn && c.Type != table.Float64 {
			out.TimeColumn = ""
		}
		out.Columns = append(out.Columns, c)
	}
	if out.Index(out.TimeColumn) < 0 {
		out.TimeColumn = ""
	}
	return out
}

// typed is the type of a column, which is the wanted one if all values fit.
func (f finding) typed(wanted table.Type) table.Type {
	switch {
	case wanted == table.String, f.kind == text && (wanted != table.Boolean || f.bare), f.kind == missing && wanted == "":
		return table.String
	case wanted == table.Boolean && !f.bare:
		return table.Boolean
	case wanted == table.Int64 && f.kind <= whole:
		return table.Int64
	}
	return table.Float64
}

// filler writes the rows of an output.
type filler struct {
	out     *table.Writer
	columns []table.Column
	numbers map[string]int
	misfit  bool
}

func (f *filler) column(name string) (int, error) {
	if n, ok := f.numbers[name]; ok {
		return n, nil
	}
	return 0, errUnforeseen
}

func (f *filler) value(column int, v []byte) {
	switch f.columns[column].Type {
	case table.String:
		f.out.String(column, v)
		return
	case table.Float64:
		if n, ok := number(v); ok {
			f.out.Float(column, n)
			return
		}
	case table.Int64:
		if n, ok := integer(v); ok {
			f.out.Int(column, n)
			return
		}
	case table.Boolean:
		if b, ok := boolean(v); ok {
			f.out.Bool(column, b)
			return
		}
	}
	f.misfit = f.misfit || !none(v)
}

func (f *filler) row() error {
	if f.misfit {
		return errUnforeseen
	}
	return f.out.EndRow()
}
