package rest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// codes reads every constant of the type Code in a source file, so that none can be added without a status.
func codes(t *testing.T, file string) []problem.Code {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []problem.Code
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Type == nil || len(spec.Values) != 1 {
			return true
		}
		name := ""
		switch typ := spec.Type.(type) {
		case *ast.Ident:
			name = typ.Name
		case *ast.SelectorExpr:
			name = typ.Sel.Name
		}
		if literal, ok := spec.Values[0].(*ast.BasicLit); ok && name == "Code" {
			value, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, problem.Code(value))
		}
		return true
	})
	return out
}

func TestEveryCodeHasAStatusAndIsDocumented(t *testing.T) {
	t.Parallel()
	all := append(codes(t, "../problem/problem.go"), codes(t, "problem.go")...)
	if len(all) < 17 {
		t.Fatalf("found the codes %v only", all)
	}
	document, err := Document(NewAPI(http.NewServeMux(), Keys{}))
	if err != nil {
		t.Fatal(err)
	}
	page, err := renderDocs(document)
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range all {
		status := statusOf(code)
		if http.StatusText(status) == "" || (status == http.StatusInternalServerError) != (code == problem.Internal) {
			t.Errorf("%s has the status %d", code, status)
		}
		if !strings.Contains(string(page), `id="`+string(code)+`"`) {
			t.Errorf("/docs#%s is not on the page", code)
		}
	}
	if got := statusOf("unheard_of"); got != http.StatusInternalServerError {
		t.Errorf("an unknown code has the status %d", got)
	}
}

func TestEchoedValuesAreShort(t *testing.T) {
	t.Parallel()
	for _, v := range []any{strings.Repeat("x", 5000), "x" + strings.Repeat("ä", 5000), map[string]any{"a": "b"}, []any{1}} {
		if text, ok := shorten(v).(string); len(text) > 210 || ok && strings.ContainsRune(text, '\uFFFD') {
			t.Errorf("%.20v… is echoed as %q", v, text)
		}
	}
	if got := shorten("ä"); got != "ä" {
		t.Errorf("a short value is echoed as %v", got)
	}
}
