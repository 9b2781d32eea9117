package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi/datamodel"
	"github.com/rs/zerolog"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/sumo-k8/sumo-k8/pkg/config"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/store/postgres"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
)

func TestTheStoredDocumentIsTheCodes(t *testing.T) {
	t.Parallel()
	made, err := Document()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(made, OpenAPI) {
		stored, code := bytes.Split(OpenAPI, []byte("\n")), bytes.Split(made, []byte("\n"))
		for i := range stored {
			if i >= len(code) || !bytes.Equal(stored[i], code[i]) {
				t.Fatalf("openapi.json differs from the code at line %d (%s): run make generate", i+1, bytes.TrimSpace(stored[i]))
			}
		}
		t.Fatal("openapi.json lacks the end of the document: run make generate")
	}
}

func compile(t *testing.T, name string, text []byte) *jsonschema.Compiler {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	if err := compiler.AddResource(name, value); err != nil {
		t.Fatal(err)
	}
	return compiler
}

func TestTheDocumentIsOpenAPI31(t *testing.T) {
	t.Parallel()
	// OpenAPI's own schema rejects unknown members, and so finds misspelt ones. It leaves the schemas within the document to
	// JSON Schema: see below.
	const official = "https://spec.openapis.org/oas/3.1/schema/2022-10-07"
	schema, err := compile(t, official, []byte(datamodel.OpenAPI31SchemaData)).Compile(official)
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(OpenAPI))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(document); err != nil {
		t.Error(err)
	}
	compiler := compile(t, "openapi.json", OpenAPI)
	for name := range parsed(t).Components.Schemas {
		if _, err := compiler.Compile("openapi.json#/components/schemas/" + name); err != nil {
			t.Errorf("the schema %s: %v", name, err)
		}
	}
	references := regexp.MustCompile(`"\$ref": "#/components/schemas/([^"]+)"`).FindAllSubmatch(OpenAPI, -1)
	used := map[string]bool{}
	for _, reference := range references {
		used[string(reference[1])] = true
	}
	for name := range used {
		if _, ok := parsed(t).Components.Schemas[name]; !ok {
			t.Errorf("the schema %s is referenced but missing", name)
		}
	}
	for name := range parsed(t).Components.Schemas {
		if !used[name] {
			t.Errorf("nothing uses the schema %s", name)
		}
	}
}

// document is the part of the OpenAPI document that the rules below check.
type document struct {
	Paths      map[string]map[string]operation
	Components struct {
		Schemas         map[string]json.RawMessage
		SecuritySchemes map[string]json.RawMessage
	}
}

type operation struct {
	OperationID string
	Summary     string
	Tags        []string
	Security    []map[string][]string
	Parameters  []struct{ Name, In string }
	Responses   map[string]struct {
		Headers map[string]json.RawMessage
		Content map[string]struct {
			Schema struct {
				Ref string `json:"$ref"`
			}
		}
	}
}

func parsed(t *testing.T) (d document) {
	t.Helper()
	if err := json.Unmarshal(OpenAPI, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestEveryOperationSaysWhoMayCallItAndHowItFails(t *testing.T) {
	t.Parallel()
	doc := parsed(t)
	ids := map[string]string{}
	placeholder := regexp.MustCompile(`\{([a-z_]+)\}`)
	plainID, sentence := regexp.MustCompile(`^[a-z][a-z0-9-]*$`), regexp.MustCompile(`^[A-Z].{4,58}[^.]$`)
	for path, operations := range doc.Paths {
		for method, op := range operations {
			name := strings.ToUpper(method) + " " + path
			if other, taken := ids[op.OperationID]; taken {
				t.Errorf("%s and %s share the id %s", name, other, op.OperationID)
			}
			ids[op.OperationID] = name
			if !plainID.MatchString(op.OperationID) || !sentence.MatchString(op.Summary) || len(op.Tags) != 1 {
				t.Errorf("%s has the id %q, the summary %q and the tags %q", name, op.OperationID, op.Summary, op.Tags)
			}

			var inPath, declared []string
			for _, match := range placeholder.FindAllStringSubmatch(path, -1) {
				inPath = append(inPath, match[1])
			}
			for _, p := range op.Parameters {
				if p.In == "path" {
					declared = append(declared, p.Name)
				}
			}
			if !slices.Equal(inPath, declared) {
				t.Errorf("%s declares the path parameters %v", name, declared)
			}

			must := []string{"400", "413", "500", "503"}
			public := path == "/health" || path == "/ready"
			keyless := public || strings.HasPrefix(path, "/links/") // whose token is the key
			if keyless != (len(op.Security) == 0) {
				t.Errorf("%s asks for %v", name, op.Security)
			}
			for _, s := range op.Security {
				must = append(must, "401", "429")
				for scheme := range s {
					operators := strings.HasPrefix(path, "/admin/") || strings.HasPrefix(path, "/auth/") || path == "/reconcile"
					allowed := operators == (scheme == "admin") || path == "/reconcile" && scheme == "scheduler"
					if _, ok := doc.Components.SecuritySchemes[scheme]; !ok || !allowed {
						t.Errorf("%s asks for the key %q", name, scheme)
					}
				}
			}
			if len(inPath) > 0 {
				must = append(must, "404")
			}
			for _, status := range must {
				if _, ok := op.Responses[status]; !ok {
					t.Errorf("%s does not document status %s", name, status)
				}
			}
			for status, response := range op.Responses {
				media := slices.Sorted(maps.Keys(response.Content))
				if status < "400" || public && status == "503" {
					continue
				}
				if !slices.Equal(
					media, []string{"application/problem+json"},
				) || response.Content[media[0]].Schema.Ref != "#/components/schemas/Problem" {
					t.Errorf("%s answers %s as %v", name, status, media)
				}
			}
		}
	}
}

// repeatable are the POSTs that may be repeated without an Idempotency-Key, and why.
var repeatable = map[string]string{
	"register-tenant":       "its tenant_id is the key: a second call answers 409",
	"regenerate-key":        "a repeated call replaces the key of the first; no key could be shown again, as only its hash is kept",
	"complete-upload":       "the upload is the key: a second call answers with the same scenario",
	"validate-scenario":     "it stores nothing",
	"import-tenants":        "what is imported already stays as it is",
	"import-jobs":           "what is imported already stays as it is",
	"rotate-webhook-secret": "a repeated call adds another secret; the one that the receiver knows goes on signing",
	"redeliver":             "what is due already stays due, and the receiver knows a repetition by its id",
	"compare-counts":        "it stores nothing",
	"draw-counts":           "it stores nothing",
	"reconcile":             "it does only what is left to do",
}

func TestEveryPOSTThatCreatesTakesAnIdempotencyKey(t *testing.T) {
	t.Parallel()
	seen := 0
	for path, operations := range parsed(t).Paths {
		op, ok := operations["post"]
		if !ok {
			continue
		}
		takes := slices.ContainsFunc(
			op.Parameters, func(p struct{ Name, In string }) bool { return p.Name == "Idempotency-Key" && p.In == "header" },
		)
		_, listed := repeatable[op.OperationID]
		if listed {
			seen++
		}
		if takes == listed {
			t.Errorf("POST %s (%s): takes a key is %t, may be repeated without is %t", path, op.OperationID, takes, listed)
		}
		if _, refuses := op.Responses["422"]; takes && !refuses {
			t.Errorf("POST %s does not document that a key used for another request answers 422", path)
		}
	}
	if seen != len(repeatable) {
		t.Errorf("%d of %d operations that may be repeated exist", seen, len(repeatable))
	}
}

func TestEachFunctionServesItsOwnPartOfTheDocument(t *testing.T) {
	t.Parallel()
	objects, err := s3.New(s3.Config{Endpoint: "http://localhost:1", Bucket: "b", AccessKey: "a", SecretKey: "s"})
	if err != nil {
		t.Fatal(err)
	}
	parts := Parts{Config: config.Config{AdminKey: "k"}, DB: &postgres.DB{}, Objects: objects, Log: zerolog.Nop()}
	served := map[string][]string{}
	for _, target := range Targets {
		for path := range parts.api(http.NewServeMux(), []string{target}).OpenAPI().Paths {
			served[path] = append(served[path], target)
		}
	}
	for path := range parsed(t).Paths {
		switch n := len(served[path]); {
		case path == "/health" || path == "/ready":
			if n != len(Targets) {
				t.Errorf("%s is served by %v only", path, served[path])
			}
		case n == 0:
			t.Errorf("no function serves %s", path)
		}
		delete(served, path)
	}
	if len(served) > 0 {
		t.Errorf("the document lacks %v", slices.Sorted(maps.Keys(served)))
	}
	if _, err := parts.Handler("coffee"); err == nil || !strings.Contains(err.Error(), fmt.Sprint(Targets)) {
		t.Errorf("an unknown function gives %v", err)
	}
}

// Pages of the origins that the operator allows read what an answer says in its headers. Browsers show them these few of their own accord
// (https://fetch.spec.whatwg.org/#cors-safelisted-response-header-name), and keep those of the second line to themselves.
func TestPagesOfOtherSitesReadEveryHeaderOfTheDocument(t *testing.T) {
	t.Parallel()
	known := []string{
		"Cache-Control", "Content-Type",
		"Content-Security-Policy", "Location", "Vary",
	}
	const site = "https://app.example.org"
	handler := rest.Handler(http.NewServeMux(), []string{site}, zerolog.Nop())
	r := httptest.NewRequest(http.MethodGet, "/jobs", nil)
	r.Header.Set("Origin", site)
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	exposed := strings.Split(w.Header().Get("Access-Control-Expose-Headers"), ", ")
	headers := 0
	for _, operations := range parsed(t).Paths {
		for _, op := range operations {
			for status, response := range op.Responses {
				for name := range response.Headers {
					headers++
					is := func(other string) bool { return strings.EqualFold(name, other) }
					if !slices.ContainsFunc(known, is) && !slices.ContainsFunc(exposed, is) {
						t.Errorf("%s answers %s with %s, which pages of other sites cannot read", op.OperationID, status, name)
					}
				}
			}
		}
	}
	if headers == 0 {
		t.Error("the document names no headers")
	}
}
