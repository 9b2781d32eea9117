#!/usr/bin/env bash
# Fails when our programs call something of Go or of their modules that is known to be vulnerable. $1 is the govulncheck to use, as
# `go install` takes it. The modules of infra/lab are left out: they only serve tests.
#
# GOVULNDB is the database to ask (https://… or file:///…), in place of govulncheck's own. A CI without a way out reaches
# neither: then nothing is checked, which is said and is no failure, unless GOVULNDB asks for a certain one.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
GOBIN=$folder go install "${1:?usage: infra/vuln.sh MODULE/cmd/govulncheck@VERSION}"

for module in . infra/objectstore; do
	echo "Known vulnerabilities of $module:"
	if "$folder/govulncheck" -C "$module" ${GOVULNDB:+-db "$GOVULNDB"} ./... 2>&1 | tee "$folder/said"; then
		continue
	fi
	if [ -z "${GOVULNDB:-}" ] && grep -q 'fetching vulnerabilities' "$folder/said"; then
		echo "NOT CHECKED: the database of vulnerabilities cannot be reached from here. GOVULNDB names another one, such as a copy in a folder."
		exit 0
	fi
	exit 1
done
