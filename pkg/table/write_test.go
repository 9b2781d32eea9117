package table

import (
	"bytes"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// TestLongValuesAreNotGathered has rows as a program may write them, of which a thousand would be gigabytes.
func TestLongValuesAreNotGathered(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w, err := NewWriter(&out, Schema{Name: "trips", Columns: []Column{{Name: "id", Type: String}, {Name: "type", Type: String}}})
	if err != nil {
		t.Fatal(err)
	}
	const rows = 12
	long := bytes.Repeat([]byte("x"), 1<<20)
	for i := range rows {
		long[0] = byte('a' + i)
		w.String(0, long)
		w.String(1, long[:10])
		if err := w.EndRow(); err != nil {
			t.Fatal(err)
		}
		for _, b := range w.batches {
			if len(b.text) > batchText+len(long) || cap(b.text) > 4*batchText {
				t.Fatalf("row %d: %d bytes are gathered, with room for %d", i, len(b.text), cap(b.text))
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	content := bytes.NewReader(out.Bytes())
	file, err := Open(content, content.Size())
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	err = file.Scan(file.All(), func(values []parquet.Value) error {
		first := string(rune('a' + read))
		if id := values[0].String(); len(id) != len(long) || !strings.HasPrefix(id, first) || values[1].String() != id[:10] {
			t.Errorf("row %d has %d bytes that begin with %q", read, len(id), id[:1])
		}
		read++
		return nil
	})
	if err != nil || read != rows {
		t.Errorf("%d rows, %v", read, err)
	}
}
