package tables_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/tables"
)

//go:generate go test . -run TestTheColumnsAreInTheDocuments -update

var update = flag.Bool("update", false, "write the columns of docs/tables.md again")

const (
	document     = "../../../docs/tables.md"
	columnsBegin = "<!-- The columns are written by go generate ./pkg/sumo/tables from columns.csv. -->\n"
	columnsEnd   = "<!-- end of the columns -->\n"
)

func TestTheColumnsAreInTheDocuments(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begun := strings.Cut(string(content), columnsBegin)
	written, after, ended := strings.Cut(rest, columnsEnd)
	if !begun || !ended {
		t.Fatalf("%s has no place for columns", document)
	}
	var text strings.Builder
	for _, name := range simulation.Tables() {
		schema := tables.Documented(name)
		fmt.Fprintf(&text, "\n### %s\n\nTime column: `%s`.\n\n| column | type | unit | |\n|---|---|---|---|\n", name, schema.TimeColumn)
		for _, c := range schema.Columns {
			fmt.Fprintf(&text, "| `%s` | %s | %s | %s |\n", c.Name, c.Type, c.Unit, c.Description)
		}
	}
	text.WriteString("\n")
	if *update {
		if err := os.WriteFile(document, []byte(before+columnsBegin+text.String()+columnsEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(text.String(), written); diff != "" {
		t.Errorf("run go generate ./pkg/sumo/tables (-want +got):\n%s", diff)
	}
}
