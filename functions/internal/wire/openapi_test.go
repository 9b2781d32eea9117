package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/sumo-k8/sumo-k8/pkg/config"
	"github.com/sumo-k8/sumo-k8/pkg/postgres"
	"github.com/sumo-k8/sumo-k8/pkg/s3store"
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

// structure is what OpenAPI 3.1 asks of those parts of a document that ours has. Members that it does not name are
// refused, so that a misspelt one is seen.
const structure = `{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object", "required": ["openapi", "info", "paths", "components"], "additionalProperties": false,
  "properties": {
    "openapi": {"pattern": "^3\\.1\\.[0-9]+$"},
    "info": {
      "type": "object", "required": ["title", "version"], "additionalProperties": false,
      "properties": {
        "title": {"type": "string"}, "version": {"type": "string"}, "description": {"type": "string"},
        "license": {
          "type": "object", "required": ["name"], "additionalProperties": false, "not": {"required": ["identifier", "url"]},
          "properties": {"name": {"type": "string"}, "identifier": {"type": "string"}, "url": {"type": "string"}}
        }
      }
    },
    "components": {
      "type": "object", "additionalProperties": false,
      "properties": {
        "schemas": {"type": "object", "propertyNames": {"pattern": "^[a-zA-Z0-9._-]+$"}, "additionalProperties": {"$ref": "#/$defs/schema"}},
        "securitySchemes": {
          "type": "object",
          "additionalProperties": {
            "type": "object", "required": ["type"],
            "oneOf": [
              {"properties": {"type": {"const": "http"}, "scheme": {"type": "string"}}, "required": ["scheme"]},
              {"properties": {"type": {"const": "apiKey"}, "name": {"type": "string"}, "in": {"enum": ["query", "header", "cookie"]}}, "required": ["name", "in"]}
            ]
          }
        }
      }
    },
    "paths": {
      "type": "object", "propertyNames": {"pattern": "^/"}, "minProperties": 1,
      "additionalProperties": {
        "type": "object", "propertyNames": {"enum": ["get", "put", "post", "delete", "patch"]}, "additionalProperties": {"$ref": "#/$defs/operation"}
      }
    }
  },
  "$defs": {
    "schema": {"$ref": "https://json-schema.org/draft/2020-12/schema"},
    "operation": {
      "type": "object", "required": ["operationId", "summary", "tags", "responses"], "additionalProperties": false,
      "properties": {
        "operationId": {"type": "string", "pattern": "^[a-z][a-z0-9-]*$"},
        "summary": {"type": "string", "pattern": "^[A-Z].{4,58}[^.]$"},
        "description": {"type": "string", "minLength": 1},
        "tags": {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1, "maxItems": 1},
        "security": {"type": "array", "items": {"type": "object", "additionalProperties": {"type": "array"}}},
        "parameters": {"type": "array", "items": {"$ref": "#/$defs/parameter"}},
        "requestBody": {
          "type": "object", "required": ["content"], "additionalProperties": false,
          "properties": {"description": {"type": "string"}, "required": {"type": "boolean"}, "content": {"$ref": "#/$defs/content"}}
        },
        "responses": {
          "type": "object", "propertyNames": {"pattern": "^[2345][0-9]{2}$"}, "minProperties": 1,
          "additionalProperties": {
            "type": "object", "required": ["description"], "additionalProperties": false,
            "properties": {
              "description": {"type": "string", "minLength": 1}, "content": {"$ref": "#/$defs/content"},
              "headers": {"type": "object", "additionalProperties": {"type": "object", "required": ["schema"]}}
            }
          }
        }
      }
    },
    "parameter": {
      "type": "object", "required": ["name", "in", "schema"], "additionalProperties": false,
      "properties": {
        "name": {"type": "string"}, "in": {"enum": ["query", "header", "path", "cookie"]}, "description": {"type": "string"},
        "required": {"type": "boolean"}, "explode": {"type": "boolean"}, "style": {"type": "string"}, "example": true,
        "schema": {"$ref": "#/$defs/schema"}
      },
      "if": {"properties": {"in": {"const": "path"}}}, "then": {"required": ["required"], "properties": {"required": {"const": true}}}
    },
    "content": {
      "type": "object", "minProperties": 1, "propertyNames": {"pattern": "^[a-z]+/[a-z0-9.+*-]+$"},
      "additionalProperties": {"type": "object", "required": ["schema"], "properties": {"schema": {"$ref": "#/$defs/schema"}}}
    }
  }
}`

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
	schema, err := compile(t, "structure.json", []byte(structure)).Compile("structure.json")
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
			t.Errorf("the schema %s is referred to and not there", name)
		}
	}
	for name := range parsed(t).Components.Schemas {
		if !used[name] {
			t.Errorf("nothing uses the schema %s", name)
		}
	}
}

// document is what the rules below look at.
type document struct {
	Paths      map[string]map[string]operation
	Components struct {
		Schemas         map[string]json.RawMessage
		SecuritySchemes map[string]json.RawMessage
	}
}

type operation struct {
	OperationID string
	Security    []map[string][]string
	Parameters  []struct{ Name, In string }
	Responses   map[string]struct {
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
	for path, operations := range doc.Paths {
		for method, op := range operations {
			name := strings.ToUpper(method) + " " + path
			if other, taken := ids[op.OperationID]; taken {
				t.Errorf("%s and %s are both %s", name, other, op.OperationID)
			}
			ids[op.OperationID] = name

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

			must := []string{"400", "500", "503"}
			public := path == "/health" || path == "/ready"
			if public != (len(op.Security) == 0) {
				t.Errorf("%s asks for %v", name, op.Security)
			}
			for _, s := range op.Security {
				must = append(must, "401")
				for scheme := range s {
					operators := strings.HasPrefix(path, "/admin/") || strings.HasPrefix(path, "/auth/") || path == "/reconcile"
					if _, ok := doc.Components.SecuritySchemes[scheme]; !ok || operators != (scheme == "admin") {
						t.Errorf("%s asks for the key %q", name, scheme)
					}
				}
			}
			if len(inPath) > 0 {
				must = append(must, "404")
			}
			for _, status := range must {
				if _, ok := op.Responses[status]; !ok {
					t.Errorf("%s does not tell of status %s", name, status)
				}
			}
			for status, response := range op.Responses {
				media := slices.Sorted(maps.Keys(response.Content))
				if status < "400" || public && status == "503" {
					continue
				}
				if !slices.Equal(media, []string{"application/problem+json"}) || response.Content[media[0]].Schema.Ref != "#/components/schemas/Problem" {
					t.Errorf("%s answers %s as %v", name, status, media)
				}
			}
		}
	}
}

func TestEachFunctionServesItsOwnPartOfTheDocument(t *testing.T) {
	t.Parallel()
	objects, err := s3store.New(s3store.Config{Endpoint: "http://localhost:1", Bucket: "b", AccessKey: "a", SecretKey: "s"})
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
