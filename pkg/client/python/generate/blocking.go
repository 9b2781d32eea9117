package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
)

// replacements turn the asynchronous client into the blocking one, in this order. The two differ in nothing else.
var replacements = []struct {
	asynchronous *regexp.Regexp
	blocking     string
}{
	{regexp.MustCompile(`\basync (def|with|for)\b`), "$1"},
	{regexp.MustCompile(`\bawait `), ""},
	{regexp.MustCompile(`\bfrom asyncio import sleep\b`), "from time import sleep"},
	{regexp.MustCompile(`\bfrom sumo_k8\._concurrent import asynchronously\b`), "from sumo_k8._concurrent import in_threads"},
	{regexp.MustCompile(`\basynchronously\b`), "in_threads"},
	{regexp.MustCompile(`\basynccontextmanager\b`), "contextmanager"},
	{regexp.MustCompile(`\bAsync(Iterator|Iterable|Generator)\b`), "$1"},
	{regexp.MustCompile(`\bhttpx\.Async(Client|BaseTransport)\b`), "httpx.$1"},
	{regexp.MustCompile(`\bAsync([A-Z]\w+)\b`), "$1"},
	{regexp.MustCompile(`\baiter_(\w+)\b`), "iter_$1"},
	{regexp.MustCompile(`\ba(close|read)\(`), "$1("},
	{regexp.MustCompile(`__a(enter|exit|iter|next)__`), "__${1}__"},
}

var header = []byte("# Generated from the asynchronous client by `make generate`; do not edit.\n")

// blocking writes each module of the folder from into the folder to.
func blocking(from, to string) error {
	names, err := filepath.Glob(filepath.Join(from, "*.py"))
	if err != nil {
		return err
	}
	old, err := filepath.Glob(filepath.Join(to, "*.py"))
	if err != nil {
		return err
	}
	for _, name := range old {
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for _, r := range replacements {
			text = r.asynchronous.ReplaceAll(text, []byte(r.blocking))
		}
		text = slices.Concat(header, bytes.TrimPrefix(text, []byte(generated)))
		if err := os.WriteFile(filepath.Join(to, filepath.Base(name)), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
