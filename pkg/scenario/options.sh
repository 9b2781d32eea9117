#!/bin/sh
# Writes the options of the installed SUMO to options/<version>.txt, one a line: name, type, synonyms.
# Run it once with each SUMO version that jobs may choose; SUMO names the binary when it is not in PATH.
set -eu
cd "$(dirname "$0")"
sumo=${SUMO:-sumo}
version=$($sumo --version | sed -n 's/.*Version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
template=$(mktemp)
trap 'rm -f "$template"' EXIT
$sumo --save-template "$template" >/dev/null
sed -nE 's/^ *<([^ ]+) value="[^"]*"( synonymes="([^"]*)")? type="([^"]+)".*/\1 \4 \3/p' "$template" |
	sed 's/ *$//' | LC_ALL=C sort >"options/$version.txt"
