#!/usr/bin/env bash
# Runs the benchmarks that docs/benchmarks.md reports, one package at a time so that they do not disturb each other.
set -euo pipefail
cd "$(dirname "$0")/.."
grep -rl --include='*_test.go' '^func Benchmark' pkg functions | xargs -n1 dirname | sort -u | while read -r package; do
	go test -run '^$' -bench . -benchtime "${BENCHTIME:-2s}" -timeout 30m "./$package"
done
make --no-print-directory bench-page
