package table_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"

	"github.com/sumo-k8/sumo-k8/pkg/table"
)

var schema = table.Schema{
	Name: "trips", TimeColumn: "depart", Complete: true, Columns: []table.Column{
		{Name: "id", Type: table.String}, {Name: "depart", Type: table.Float64, Unit: "s", Description: "Departure"},
		{Name: "count", Type: table.Int64, Unit: "1"}, {Name: "parking", Type: table.Boolean},
	},
}

// row holds a value for each column of schema; nil for a missing one.
type row [4]any

func write(t rapid.TB, rows []row) *table.File {
	t.Helper()
	var out bytes.Buffer
	w, err := table.NewWriter(&out, schema)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		for i, v := range r {
			switch v := v.(type) {
			case string:
				w.String(i, []byte(v))
			case float64:
				w.Float(i, v)
			case int64:
				w.Int(i, v)
			case bool:
				w.Bool(i, v)
			}
		}
		if err := w.EndRow(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := table.Open(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func read(t rapid.TB, f *table.File, s table.Selection) (rows []row) {
	t.Helper()
	err := f.Scan(s, func(values []parquet.Value) error {
		var r row
		for i, v := range values {
			switch {
			case v.IsNull():
			case v.Kind() == parquet.Double:
				r[i] = v.Double()
			case v.Kind() == parquet.Int64:
				r[i] = v.Int64()
			case v.Kind() == parquet.Boolean:
				r[i] = v.Boolean()
			default:
				r[i] = string(v.ByteArray())
			}
		}
		rows = append(rows, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	value := func(of *rapid.Generator[any]) *rapid.Generator[any] {
		return rapid.OneOf(rapid.Just[any](nil), of)
	}
	anyRow := rapid.Custom(func(t *rapid.T) row {
		return row{
			value(rapid.String().AsAny()).Draw(t, "id"), value(rapid.Float64().AsAny()).Draw(t, "depart"),
			value(rapid.Int64().AsAny()).Draw(t, "count"), value(rapid.Bool().AsAny()).Draw(t, "parking"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(anyRow, 0, 60).Draw(t, "rows")
		for range rapid.IntRange(0, 5).Draw(t, "doublings") { // past the size of a batch
			rows = append(rows, rows...)
		}
		file := write(t, rows)
		if diff := cmp.Diff(schema, file.Schema); diff != "" || file.Rows != int64(len(rows)) {
			t.Fatalf("%d rows of %d, schema (-want +got):\n%s", file.Rows, len(rows), diff)
		}
		if diff := cmp.Diff(rows, read(t, file, file.All()), cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("-want +got:\n%s", diff)
		}
		s := file.All()
		s.From, s.To = rapid.Float64().Draw(t, "from"), rapid.Float64().Draw(t, "to")
		var within []row
		for _, r := range rows {
			if at, ok := r[1].(float64); ok && at >= s.From && at < s.To {
				within = append(within, r)
			}
		}
		if diff := cmp.Diff(within, read(t, file, s), cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("from %g to %g (-want +got):\n%s", s.From, s.To, diff)
		}
	})
}

func TestRowGroupsHaveAtMostAMillionRows(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w, err := table.NewWriter(&out, schema)
	if err != nil {
		t.Fatal(err)
	}
	const rows = 1_200_000
	for i := range rows {
		w.Float(1, float64(i)/100) // more distinct numbers than a dictionary takes
		if err := w.EndRow(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	content := bytes.NewReader(out.Bytes())
	raw, err := parquet.OpenFile(content, content.Size())
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range raw.RowGroups() {
		if g.NumRows() > 1_000_000 {
			t.Errorf("a row group has %d rows", g.NumRows())
		}
	}
	if unit, _ := raw.Lookup(table.UnitKey + "depart"); unit != "s" {
		t.Errorf("the unit is %q", unit)
	}
	file, err := table.Open(content, content.Size())
	if err != nil {
		t.Fatal(err)
	}
	s := file.All()
	s.Columns, s.From, s.To = []int{1}, 11_999, math.Inf(1)
	next := 1_199_900
	err = file.Scan(s, func(values []parquet.Value) error {
		if got := values[0].Double(); got != float64(next)/100 {
			return fmt.Errorf("%g in place of %g", got, float64(next)/100)
		}
		next++
		return nil
	})
	if err != nil || next != rows {
		t.Errorf("read up to %d: %v", next, err)
	}
}

func TestTablesAreRenderedInEveryFormat(t *testing.T) {
	t.Parallel()
	rows := []row{{`a "b", c`, 1.5, int64(-3), true}, {nil, nil, nil, nil}, {"", math.NaN(), int64(0), false}, {"ü\n", 1e7, nil, nil}, {"x", 1e-9, nil, nil}}
	file := write(t, rows)
	render := func(format table.Format) []byte {
		var out bytes.Buffer
		if err := file.Render(&out, format, file.All()); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	records, err := csv.NewReader(bytes.NewReader(render(table.CSV))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{
		{"id", "depart", "count", "parking"}, {`a "b", c`, "1.5", "-3", "true"}, {"", "", "", ""}, {"", "NaN", "0", "false"},
		{"ü\n", "10000000", "", ""}, {"x", "1e-09", "", ""},
	}
	if diff := cmp.Diff(want, records); diff != "" {
		t.Errorf("CSV (-want +got):\n%s", diff)
	}
	var document struct {
		Columns []table.Column
		Rows    []map[string]any
	}
	if err := json.Unmarshal(render(table.JSON), &document); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"id": "", "depart": nil, "count": 0.0, "parking": false}, document.Rows[2]); diff != "" ||
		len(document.Rows) != len(rows) || !cmp.Equal(document.Columns, schema.Columns) {
		t.Errorf("JSON has %+v, -want +got:\n%s", document, diff)
	}
	content := render(table.Parquet)
	again, err := table.Open(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(rows, read(t, again, again.All()), cmpopts.EquateNaNs()); diff != "" {
		t.Errorf("Parquet (-want +got):\n%s", diff)
	}
}

func TestOtherFilesAreNoTables(t *testing.T) {
	t.Parallel()
	var foreign bytes.Buffer
	w := parquet.NewGenericWriter[struct{ A int }](&foreign)
	if _, err := w.Write([]struct{ A int }{{1}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"empty": nil, "text": []byte("PAR1 and more"), "of another program": foreign.Bytes()} {
		if _, err := table.Open(bytes.NewReader(content), int64(len(content))); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}
