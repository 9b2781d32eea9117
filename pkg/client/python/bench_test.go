package python

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/client/internal/service/servicetest"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
)

// BenchmarkTable prints how long 100,000 trips take from the call of job.table to the DataFrame, where the service converts them and where
// it has the table already, next to how long sumolib takes to read the same file from disk. It fails if the two read other values.
func BenchmarkTable(b *testing.B) {
	docs, err := filepath.Abs("../../../docs")
	if err != nil {
		b.Fatal(err)
	}
	server := servicetest.Start(b)
	path := []string{packages(b), filepath.Join(sumotest.Newest(b).Home, "tools"), "src"}
	for b.Loop() {
		out := python(b, []string{
			"PYTHONPATH=" + strings.Join(path, string(os.PathListSeparator)), "PYTHONDONTWRITEBYTECODE=1", "DOCS=" + docs,
			"SUMO_K8_URL=" + server.URL, "SUMO_K8_ADMIN_KEY=" + server.AdminKey,
		}, "tests/benchmark.py")
		var figures map[string]float64
		if err := json.Unmarshal([]byte(out), &figures); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		for unit, value := range figures {
			b.ReportMetric(value, unit)
		}
	}
}
