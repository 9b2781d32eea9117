package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// document is what is read of an OpenAPI document.
type document struct {
	Info       struct{ Version string }
	Paths      map[string]map[string]operation
	Components struct{ Schemas map[string]schema }
}

type operation struct {
	OperationID string
	Summary     string
	Description string
	Parameters  []struct {
		Name, In, Description string
		Required              bool
		// Explode is false for lists in one value, separated by commas.
		Explode *bool
		Schema  schema
	}
	RequestBody *struct{ Content map[string]media }
	Responses   map[string]struct{ Content map[string]media }
	Security    []map[string][]string
}

type media struct{ Schema schema }

// schema is a JSON Schema. A nil AdditionalProperties says nothing, as does false.
type schema struct {
	Ref                  string `json:"$ref"`
	Type                 kinds
	Description          string
	Format               string
	Enum                 []any
	Properties           map[string]schema
	Required             []string
	Items                *schema
	AdditionalProperties *openness
	OneOf                []schema
}

// kinds are the types that a value may have; JSON Schema writes one as a text.
type kinds []string

func (k *kinds) UnmarshalJSON(raw []byte) error {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		*k = kinds{one}
		return nil
	}
	return json.Unmarshal(raw, (*[]string)(k))
}

// openness is true, false, or the schema of the properties that are not listed.
type openness struct {
	open   bool
	values schema
}

func (o *openness) UnmarshalJSON(raw []byte) error {
	if json.Unmarshal(raw, &o.open) == nil {
		return nil
	}
	o.open = true
	return json.Unmarshal(raw, &o.values)
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// keywords of Python that the document uses as names.
var keywords = []string{"from", "class", "for", "in", "is", "import", "global", "pass", "with", "as", "not", "and", "or", "if"}

func named(name string) bool { return identifier.MatchString(name) && !slices.Contains(keywords, name) }

// pascal is name as a part of a class's name: result_files becomes ResultFiles.
func pascal(name string) string {
	var b strings.Builder
	for _, word := range regexp.MustCompile(`[^A-Za-z0-9]+`).Split(name, -1) {
		if word != "" {
			b.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return b.String()
}

// classes collects the classes of types.py.
type classes struct {
	text  strings.Builder
	names map[string]bool
}

// annotation is the Python type of s. Objects with properties become a class called name. Prefix stands before names of classes.
func (c *classes) annotation(s schema, name, prefix string) (string, error) {
	switch {
	case s.Ref != "":
		return prefix + s.Ref[strings.LastIndex(s.Ref, "/")+1:], nil
	case len(s.OneOf) > 0:
		var parts []string
		for i, one := range s.OneOf {
			part, err := c.annotation(one, fmt.Sprint(name, i+1), prefix)
			if err != nil {
				return "", err
			}
			parts = append(parts, part)
		}
		return strings.Join(parts, " | "), nil
	case len(s.Type) == 0:
		return "Any", nil
	}
	var parts []string
	for _, kind := range s.Type {
		part, err := c.kind(kind, s, name, prefix)
		if err != nil {
			return "", err
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, " | "), nil
}

func (c *classes) kind(kind string, s schema, name, prefix string) (string, error) {
	if len(s.Enum) > 0 && kind != "null" {
		var values []string
		for _, v := range s.Enum {
			if v == nil {
				continue // the kind null says it
			}
			text, err := json.Marshal(v)
			if err != nil {
				return "", err
			}
			values = append(values, string(text))
		}
		return "Literal[" + strings.Join(values, ", ") + "]", nil
	}
	switch kind {
	case "string":
		return "str", nil
	case "integer":
		return "int", nil
	case "number":
		return "float", nil
	case "boolean":
		return "bool", nil
	case "null":
		return "None", nil
	case "array":
		if s.Items == nil {
			return "list[Any]", nil
		}
		item, err := c.annotation(*s.Items, name+"Item", prefix)
		return "list[" + item + "]", err
	case "object":
		if len(s.Properties) > 0 {
			return prefix + name, c.class(name, s)
		}
		if s.AdditionalProperties == nil || !s.AdditionalProperties.open {
			return "dict[str, Any]", nil
		}
		value, err := c.annotation(s.AdditionalProperties.values, name+"Value", prefix)
		return "dict[str, " + value + "]", err
	}
	return "", fmt.Errorf("%s has the unknown type %s", name, kind)
}

// class writes the TypedDict of an object.
func (c *classes) class(name string, s schema) error {
	if c.names[name] {
		return fmt.Errorf("two objects would be the class %s", name)
	}
	c.names[name] = true
	var fields strings.Builder
	methodical := true // whether it can be written as a class
	for _, property := range slices.Sorted(maps.Keys(s.Properties)) {
		methodical = methodical && named(property)
	}
	for _, property := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[property]
		annotation, err := c.annotation(p, name+pascal(property), "")
		if err != nil {
			return fmt.Errorf("%s.%s: %w", name, property, err)
		}
		if !slices.Contains(s.Required, property) {
			annotation = "NotRequired[" + annotation + "]"
		}
		if methodical {
			fmt.Fprintf(&fields, "    %s: %s\n%s", property, annotation, docstring(p.Description, "    "))
		} else {
			fmt.Fprintf(&fields, "    %q: %q,\n", property, annotation)
		}
	}
	if methodical {
		fmt.Fprintf(&c.text, "\n\nclass %s(TypedDict):\n%s%s", name, docstring(s.Description, "    "), fields.String())
	} else {
		// Some names cannot be those of attributes.
		fmt.Fprintf(&c.text, "\n\n%s = TypedDict(%q, {\n%s})\n", name, name, fields.String())
	}
	return nil
}

// lineLength is that of the Python code.
const lineLength = 120

// docstring is text as a docstring, empty for none.
func docstring(text, indent string) string {
	text = strings.TrimSpace(text)
	if text == "" {
		return ""
	}
	text = strings.NewReplacer(`\`, `\\`, `"""`, `\"\"\"`).Replace(text)
	if strings.HasSuffix(text, `"`) {
		text += " "
	}
	lines := wrap(text, lineLength-len(indent)-len(`"""`))
	if len(lines) == 1 && len(indent)+len(lines[0])+2*len(`"""`) <= lineLength {
		return indent + `"""` + lines[0] + `"""` + "\n"
	}
	return indent + `"""` + strings.Join(lines, "\n"+indent) + "\n" + indent + `"""` + "\n"
}

// wrap breaks text between words into lines of at most width bytes, where words allow.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// whole are the fields of a submission that say what runs and what it is called, which the client sets itself.
var whole = []string{"scenario", "scenario_id", "sumo_files", "sumo_files_s3_url"}

// submission writes the class of the other fields of a submission, which the document has as a form.
func (c *classes) submission(d document) error {
	form := d.Paths["/jobs"]["post"].RequestBody.Content["multipart/form-data"].Schema
	form.Description = "How a job runs. The service chooses what is left out."
	form.Required = nil
	form.Properties = maps.Clone(form.Properties)
	for _, name := range whole {
		if _, ok := form.Properties[name]; !ok {
			return fmt.Errorf("a submission has no field %s", name)
		}
		delete(form.Properties, name)
	}
	return c.class("SubmissionOptions", form)
}

const generated = "# Generated from functions/internal/app/openapi.json by `make generate`; do not edit.\n"

func typesOf(d document) (string, error) {
	c := &classes{names: map[string]bool{}}
	for _, name := range slices.Sorted(maps.Keys(d.Components.Schemas)) {
		s := d.Components.Schemas[name]
		if len(s.Properties) == 0 {
			return "", fmt.Errorf("the schema %s is no object with properties", name)
		}
		if err := c.class(name, s); err != nil {
			return "", err
		}
	}
	if err := c.submission(d); err != nil {
		return "", err
	}
	return generated + `"""The documents of the HTTP API, as the service sends and takes them.

Every class is a dict of JSON: job["status"]. Times are texts in RFC 3339.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from typing_extensions import NotRequired
` + c.text.String(), nil
}
