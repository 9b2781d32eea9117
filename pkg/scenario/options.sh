#!/bin/sh
# Writes the options of each SUMO that is installed to options/<version>.txt, one a line: name, type, synonyms.
# Versions that are not installed keep their lists; make sumo VERSIONS=... installs them.
set -eu
cd "$(dirname "$0")"
template=$(mktemp)
trap 'rm -f "$template"' EXIT
for home in "${XDG_CACHE_HOME:-$HOME/.cache}"/sumo-k8/sumo/*/sumo; do
	[ -x "$home/bin/sumo" ] || continue
	version=$(basename "$(dirname "$home")")
	SUMO_HOME=$home "$home/bin/sumo" --save-template "$template" >/dev/null
	sed -nE 's/^ *<([^ ]+) value="[^"]*"( synonymes="([^"]*)")?( deprecated="[^"]*")? type="([^"]+)".*/\1 \5 \3/p' "$template" |
		sed 's/ *$//' | LC_ALL=C sort >"options/$version.txt"
done
