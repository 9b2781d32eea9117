#!/usr/bin/env bash
# Fails if our programs call code of Go or of their modules with a known vulnerability. $1 is the govulncheck to use, as for
# `go install`. The modules of infra/lab are skipped: they only serve tests.
#
# GOVULNDB is the database to use (https://… or file:///…) instead of govulncheck's default. If the default is unreachable, as in a
# CI without internet access, nothing is checked: the script says so and succeeds. With GOVULNDB set, that is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
GOBIN=$folder go install "${1:?usage: infra/vuln.sh MODULE/cmd/govulncheck@VERSION}"

for module in . infra/local/objectstore; do
	echo "Known vulnerabilities of $module:"
	if "$folder/govulncheck" -C "$module" ${GOVULNDB:+-db "$GOVULNDB"} ./... 2>&1 | tee "$folder/output"; then
		continue
	fi
	if [ -z "${GOVULNDB:-}" ] && grep -q 'fetching vulnerabilities' "$folder/output"; then
		echo "NOT CHECKED: the vulnerability database is unreachable. Set GOVULNDB to another one, such as a local copy (file:///…)."
		exit 0
	fi
	exit 1
done
