package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

const keyHeader = "Idempotency-Key"

// repeatable are the POSTs without an Idempotency-Key that do the same if they are sent twice.
var repeatable = []string{
	"complete-upload", "import-tenants", "import-jobs", "redeliver", "compare-counts", "draw-counts", "reconcile",
}

func operationsOf(d document) (string, error) {
	var b strings.Builder
	b.WriteString(generated + `"""One method for each operation of the HTTP API that takes and answers whole documents."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal, cast

from sumo_k8 import types
from sumo_k8._wire import Request, new_key, path_of

if TYPE_CHECKING:
    from .transport import AsyncTransport


class AsyncOperations:
    """The operations of the HTTP API, by their ids in the OpenAPI document. Answers are the service's JSON as it came, or bytes."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport
`)
	type found struct {
		method, path string
		operation
	}
	var all []found
	for path, methods := range d.Paths {
		for method, o := range methods {
			all = append(all, found{method, path, o})
		}
	}
	slices.SortFunc(all, func(a, b found) int { return strings.Compare(a.OperationID, b.OperationID) })
	for _, o := range all {
		text, err := method(o.method, o.path, o.operation)
		if err != nil {
			return "", fmt.Errorf("%s: %w", o.OperationID, err)
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

// answer is what a good answer holds: JSON of some type, or bytes. There is none for redirects and streams.
func answer(o operation) (annotation string, asJSON bool, err error) {
	content := map[string]media{}
	for status, response := range o.Responses {
		if strings.HasPrefix(status, "2") {
			maps.Copy(content, response.Content)
		}
	}
	body, ok := content["application/json"]
	_, stream := content["text/event-stream"]
	switch {
	case len(content) == 0, stream:
		return "", false, nil
	case ok && len(content) == 1:
		annotation, err = (&classes{}).annotation(body.Schema, pascal(o.OperationID), "types.")
		return annotation, true, err
	}
	return "bytes", false, nil
}

var placeholder = regexp.MustCompile(`{(\w+)}`)

// method is the Python method of an operation, or empty for those that take forms or answer with streams and links.
func method(verb, path string, o operation) (string, error) {
	annotation, asJSON, err := answer(o)
	if err != nil || annotation == "" || strings.HasPrefix(path, "/links/") {
		return "", err
	}
	arguments, query, paths := []string{}, []string{}, []string{}
	var options []string // arguments by keyword
	request := []string{fmt.Sprintf("%q", strings.ToUpper(verb))}
	for _, p := range o.Parameters {
		name := strings.ReplaceAll(p.Name, "-", "_")
		if !named(name) {
			name += "_"
		}
		kind, err := (&classes{}).annotation(p.Schema, pascal(o.OperationID+"-"+p.Name), "types.")
		if err != nil {
			return "", err
		}
		switch {
		case p.In == "path":
			arguments = append(arguments, name+": "+kind)
			paths = append(paths, name)
		case p.In == "query":
			if p.Required {
				arguments = append(arguments, name+": "+kind)
			} else {
				options = append(options, name+": "+kind+" | None = None")
			}
			value := name
			if slices.Contains(p.Schema.Type, "array") && p.Explode != nil && !*p.Explode {
				value = fmt.Sprintf(`",".join(%s)`, name)
				if !p.Required {
					value = fmt.Sprintf(`",".join(%s) if %s else None`, name, name)
				}
			}
			query = append(query, fmt.Sprintf("%q: %s", p.Name, value))
		case p.Name == keyHeader:
			options = append(options, "idempotency_key: str | None = None")
		}
	}
	extra := []string{}
	if o.RequestBody != nil {
		if len(o.RequestBody.Content) != 1 {
			return "", nil // forms
		}
		for kind, body := range o.RequestBody.Content {
			argument, err := (&classes{}).annotation(body.Schema, pascal(o.OperationID)+"Body", "types.")
			if err != nil {
				return "", err
			}
			arguments = append(arguments, "body: "+argument)
			content := "body.encode()"
			if kind == "application/json" {
				content = "json.dumps(body, allow_nan=False).encode()" // JSON has no NaN
			}
			extra = append(extra, "content="+content, fmt.Sprintf("content_type=%q", kind))
		}
	}
	call := fmt.Sprintf("path_of(%q", path)
	for _, name := range paths {
		call += ", " + name
	}
	request = append(request, call+")")
	if placeholders := placeholder.FindAllString(path, -1); len(placeholders) != len(paths) {
		return "", fmt.Errorf("the path %s has other parameters than %v", path, paths)
	}
	if len(query) > 0 {
		request = append(request, "query={"+strings.Join(query, ", ")+"}")
	}
	request = append(request, extra...)
	if slices.ContainsFunc(o.Security, func(s map[string][]string) bool { _, ok := s["admin"]; return ok }) {
		request = append(request, "admin=True")
	}
	if slices.Contains(options, "idempotency_key: str | None = None") {
		request = append(request, "key=idempotency_key or new_key()")
	}
	if slices.Contains(repeatable, o.OperationID) {
		request = append(request, "safe=True")
	}
	signature := append([]string{"self"}, arguments...)
	if len(options) > 0 {
		signature = append(append(signature, "*"), options...)
	}
	about := strings.TrimSuffix(o.Summary, ".") + "."
	if o.Description != "" {
		about += " " + o.Description
	}
	fetched := "await self._transport.fetch(request)"
	if asJSON {
		fetched = fmt.Sprintf("cast(%q, await self._transport.json(request))", annotation)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n    async def %s(%s) -> %s:\n%s", strings.ReplaceAll(o.OperationID, "-", "_"), broken(signature, "    "), annotation,
		docstring(about, "        "))
	fmt.Fprintf(&b, "        request = Request(%s)\n        return %s\n", broken(request, "        "), fetched)
	return b.String(), nil
}

// broken joins arguments, each on a line of its own if there are more than a line holds.
func broken(arguments []string, indent string) string {
	one := strings.Join(arguments, ", ")
	if len(one) < lineLength-60 {
		return one
	}
	return "\n" + indent + "    " + strings.Join(arguments, ",\n"+indent+"    ") + ",\n" + indent
}
