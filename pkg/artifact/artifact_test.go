package artifact_test

import (
	"mime"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// Everything of a tenant or of a job is found and removed by its prefix, so no prefix may begin another one.
func TestNoJobsPrefixHoldsAnothersResults(t *testing.T) {
	t.Parallel()
	words := rapid.StringMatching(`[a-c](-?[a-c0-1]){0,4}`)
	rapid.Check(t, func(t *rapid.T) {
		tenantA, tenantB := words.Draw(t, "a tenant"), words.Draw(t, "another tenant")
		jobA, jobB := words.Draw(t, "a job"), words.Draw(t, "another job")
		a := artifact.ResultsOf(tenant.NamespaceFor(tenantA), jobA)
		b := artifact.ResultsOf(tenant.NamespaceFor(tenantB), jobB) + "tripinfo.xml"
		if same := tenantA == tenantB && jobA == jobB; strings.HasPrefix(b, a) != same {
			t.Errorf("%s and %s: same job is %t", a, b, same)
		}
		view := artifact.ViewOf(artifact.ResultsOf(tenant.NamespaceFor(tenantB), jobB), "plots-1.json.gz")
		if strings.HasPrefix(view, a) || !strings.HasPrefix(view, artifact.ViewPrefix) {
			t.Errorf("the view %s stands among results, %s", view, a)
		}
		scenario := artifact.ScenarioKey(tenant.NamespaceFor(tenantB), jobB)
		if strings.HasPrefix(scenario, a) || !strings.HasPrefix(scenario, artifact.ScenarioPrefix) {
			t.Errorf("the scenario %s stands among results, %s", scenario, a)
		}
	})
}

func TestContentTypes(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"tripinfo.xml": "application/xml", "out/A.XML": "application/xml", "summary.json": "application/json", "fcd.xml.gz": "application/gzip",
		"all.zip": "application/zip", "tables/fcd.parquet": "application/vnd.apache.parquet", "speeds.csv": "text/csv; charset=utf-8",
		"run.log":   "text/plain; charset=utf-8",
		"notes.txt": "text/plain; charset=utf-8",
		"page.html": "application/octet-stream", "image.svg": "application/octet-stream", "Makefile": "application/octet-stream",
		".xml/x": "application/octet-stream",
	} {
		if got := artifact.ContentType(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

// Whatever a file is called, the header stays one header, and the name one name in one folder.
func TestDispositionsAreSafeAndReadable(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringOf(rapid.RuneFrom([]rune("abc .-_ä€🚗\"\\/;%'*\r\n\x00:"))).Draw(t, "name")
		header := artifact.Disposition(name)
		if strings.ContainsFunc(header, unicode.IsControl) {
			t.Fatalf("%q becomes %q", name, header)
		}
		kind, parameters, err := mime.ParseMediaType(header)
		if err != nil || kind != "attachment" {
			t.Fatalf("%q becomes %q: %v", name, header, err)
		}
		want := strings.Map(func(r rune) rune {
			if unicode.IsControl(r) || strings.ContainsRune(`"\/:*?<>|`, r) {
				return '_'
			}
			return r
		}, name)
		if parameters["filename"] != want {
			t.Fatalf("%q becomes %q, which reads as %q", name, header, parameters["filename"])
		}
	})
}
