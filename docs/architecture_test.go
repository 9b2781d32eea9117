// Package docs holds the architecture as documented against the code: which package may import which, and the tree.
package docs

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

//go:generate go test . -run TestTree -update

var update = flag.Bool("update", false, "write the tree of architecture.md again")

const module = "github.com/sumo-k8/sumo-k8/"

// domain lists the packages that say what the service is about. They know no technology.
var domain = []string{
	"pkg/tenant", "pkg/scenario", "pkg/job", "pkg/study", "pkg/chunk", "pkg/simulation", "pkg/artifact", "pkg/idempotency", "pkg/problem",
	"pkg/delivery", "pkg/statistics", "pkg/calibration", "pkg/replay", "pkg/fairness",
}

// rules say what the packages below a folder may import of this project; the first rule with a matching folder counts. A name
// stands for the package and for all below it.
var rules = []struct {
	folders []string
	may     []string
}{
	// These stand below a package of the domain, and are none.
	{[]string{"pkg/delivery/post", "pkg/delivery/stepfunctions"}, domain},
	{domain, append([]string{"pkg/sumo/gz", "pkg/sumo/xml", "pkg/sumo/release"}, domain...)},
	{[]string{"pkg/sumo/xml"}, []string{"pkg/sumo/gz"}},
	{[]string{
		"pkg/disk", "pkg/sumo/gz", "pkg/sumo/release", "pkg/problem", "pkg/process", "pkg/server", "pkg/telemetry/traceparent", "templates",
		"migrations", "pkg/table",
	}, nil},
	{[]string{"pkg/store/postgres"}, append([]string{"migrations", "pkg/store/postgres/internal"}, domain...)},
	{[]string{"pkg/store/s3", "pkg/view"}, domain},
	{[]string{"pkg/keeper/sumo-keeper"}, append([]string{"pkg/keeper", "pkg/store/s3", "pkg/config"}, domain...)},
	{[]string{"pkg/keeper"}, domain},
	{[]string{"pkg/kube"}, domain},
	{[]string{"pkg/engine/argo"}, append([]string{"templates", "pkg/kube", "pkg/confine"}, domain...)},
	{[]string{"pkg/engine/local"}, append([]string{"pkg/disk", "pkg/process", "pkg/confine", "pkg/sumo/release", "pkg/keeper"}, domain...)},
	{[]string{"pkg/confine/sumo-wall"}, []string{"pkg/confine"}},
	{[]string{"pkg/confine"}, []string{"pkg/process", "pkg/simulation"}},
	{[]string{"pkg/sumo"}, append([]string{"pkg/sumo", "pkg/process", "pkg/confine", "pkg/table"}, domain...)},
	{[]string{"pkg/report"}, append([]string{"pkg/sumo/chart"}, domain...)},
	{[]string{"pkg/reconcile"}, domain},
	{[]string{"pkg/telemetry"}, append([]string{"pkg/reconcile", "pkg/telemetry/traceparent"}, domain...)},
	{[]string{"pkg/rest"}, append([]string{"pkg/telemetry/traceparent"}, domain...)},
	{[]string{"pkg/config"}, append([]string{"pkg/confine", "pkg/sumo/release"}, domain...)},
	{[]string{"pkg/client/internal/service/servicetest"}, []string{"pkg/client/internal/service", "infra/local"}},
	// Clients know the service by HTTP only, and one of them the database of its predecessor.
	{[]string{"pkg/client"}, append([]string{"pkg/client", "pkg/process", "pkg/sumo/release"}, domain...)},
	// The one place that knows every implementation.
	{[]string{"functions/internal/app"}, []string{"functions", "pkg"}},
	// Handlers know the domain, and how it looks over HTTP and in pictures.
	{[]string{"functions/auth", "functions/submit", "functions/status", "functions/logs", "functions/reconcile"}, append([]string{
		"pkg/rest", "pkg/server", "pkg/reconcile", "pkg/view", "pkg/telemetry/traceparent",
		"pkg/sumo/outputs", "pkg/sumo/tables", "pkg/sumo/roadnet", "pkg/sumo/chart", "pkg/report", "pkg/table",
	}, domain...)},
	{[]string{"functions/page"}, nil},
	// What only tests use.
	{[]string{"functions/internal/testing"}, []string{"functions", "pkg", "infra/local"}},
	{[]string{"functions/internal/wake"}, []string{"pkg/reconcile", "pkg/telemetry/traceparent"}},
	{[]string{"functions"}, append([]string{
		"functions/internal", "pkg/config", "pkg/confine", "pkg/server", "pkg/telemetry", "infra/local", "infra/sumo/wheel", "pkg/sumo/release",
	}, domain...)},
	{[]string{"infra/local/localtest"}, []string{"infra/local", "pkg/store/s3"}},
	{[]string{"infra/local"}, []string{"pkg/disk", "pkg/process"}},
	{[]string{"infra"}, []string{"infra", "pkg/sumo/release"}},
	{[]string{"test_networks"}, []string{"test_networks", "pkg/problem", "pkg/sumo/release"}},
}

// listed is a package as `go list -json` describes it.
type listed struct {
	ImportPath, Name, Doc string
	Imports               []string
}

func (p listed) folder() string { return strings.TrimPrefix(p.ImportPath, module) }

func packages(t *testing.T) (all []listed) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Name,Doc,Imports", module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var p listed
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

func below(folder string, folders []string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return folder == f || strings.HasPrefix(folder, f+"/") })
}

func TestImportsPointInwards(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if p.Doc == "" {
			continue // only tests, which may know everything
		}
		i := slices.IndexFunc(rules, func(r struct{ folders, may []string }) bool { return below(p.folder(), r.folders) })
		if i < 0 {
			t.Errorf("no rule says what %s may import", p.folder())
			continue
		}
		for _, imported := range p.Imports {
			if folder, ours := strings.CutPrefix(imported, module); ours && !below(folder, rules[i].may) {
				t.Errorf("%s imports %s", p.folder(), folder)
			}
		}
	}
}

// TestDomainKnowsNoTechnology also holds for other modules: the domain uses the standard library, text encodings, and the
// logger that it is given.
func TestDomainKnowsNoTechnology(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if !slices.Contains(domain, p.folder()) {
			continue
		}
		for _, imported := range p.Imports {
			first, _, _ := strings.Cut(imported, "/")
			if !strings.Contains(first, ".") || strings.HasPrefix(imported, module) {
				continue
			}
			if !below(imported, []string{"golang.org/x/text", "github.com/rs/zerolog", "gonum.org/v1/gonum"}) {
				t.Errorf("%s imports %s", p.folder(), imported)
			}
		}
	}
}

const (
	treeBegin = "<!-- The tree is written by `make generate` from the first sentence of each package. -->\n"
	treeEnd   = "<!-- end of the tree -->\n"
)

func TestTree(t *testing.T) {
	t.Parallel()
	const file = "architecture.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), treeBegin)
	was, after, ended := strings.Cut(rest, treeEnd)
	if !ok || !ended {
		t.Fatalf("%s has no place for the tree, between %q and %q", file, treeBegin, treeEnd)
	}
	is := tree(t)
	if *update {
		if err := os.WriteFile(file, []byte(before+treeBegin+is+treeEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(was, is); diff != "" {
		t.Errorf("the tree (-documented +real; make generate writes it):\n%s", diff)
	}
}

// tree is a table with a row for each package that is no test: its folder and its first sentence without its name.
func tree(t *testing.T) string {
	t.Helper()
	rows := "| folder | what it does |\n|---|---|\n"
	for _, p := range packages(t) {
		if p.Doc == "" {
			continue
		}
		kind, name := "Package", p.Name
		if p.Name == "main" {
			kind, name = "Command", path.Base(p.ImportPath)
		}
		sentence, ok := strings.CutPrefix(p.Doc, kind+" "+name+" ")
		if !ok {
			t.Errorf("the documentation of %s begins %.60q, want %q", p.folder(), p.Doc, kind+" "+name+" …")
		}
		rows += fmt.Sprintf("| `%s` | %s |\n", p.folder(), strings.ReplaceAll(strings.TrimSuffix(sentence, "."), "|", `\|`))
	}
	return rows
}

func TestSectionsStandOnce(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("*.md")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range append(names, "../README.md") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		seen, code := map[string]bool{}, false
		for line := range strings.Lines(string(text)) {
			code = code != strings.HasPrefix(line, "```")
			if !code && strings.HasPrefix(line, "#") && seen[line] {
				t.Errorf("%s has the section %q twice", name, line)
			}
			seen[line] = true
		}
	}
}
