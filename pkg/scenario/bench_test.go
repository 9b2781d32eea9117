package scenario

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func BenchmarkXML(b *testing.B) {
	var text bytes.Buffer
	text.WriteString("<routes>\n")
	for i := range 50_000 {
		fmt.Fprintf(&text, "    <vehicle id=\"veh%d\" type=\"DEFAULT_VEHTYPE\" depart=\"%d.00\" departLane=\"best\">\n"+
			"        <route edges=\"%s\"/>\n    </vehicle>\n",
			i, i, strings.Repeat("edge#12 -edge#13 ", 12))
	}
	text.WriteString("</routes>\n")
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		budget := budget{left: memoryBudget}
		doc, err := readDocument(bufio.NewReaderSize(bytes.NewReader(text.Bytes()), readSize), false, nil, &budget)
		if err != nil || doc.root != "routes" {
			b.Fatal(doc, err)
		}
	}
}

// BenchmarkInspect reads a scenario from an object store, as an upload does; B/op bounds its memory from above.
func BenchmarkInspect(b *testing.B) {
	var text strings.Builder
	text.WriteString("<routes>\n")
	for i := range 500_000 {
		fmt.Fprintf(&text, "<vehicle id=\"veh%d\" depart=\"%d.00\"><route edges=\"%d -%d %d\"/></vehicle>\n", i, i, i*7, i*11, i*13)
	}
	text.WriteString("</routes>\n")
	data := scenarioOf(b, "", entryOf("r.rou.xml", text.String()))
	store := &objects{data: map[string][]byte{"k": data}}
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		size := int64(len(data))
		if _, err := Inspect(b.Context(), Zip(NewReaderAt(b.Context(), store, "k", size), size), DefaultLimits()); err != nil {
			b.Fatal(err)
		}
	}
}
