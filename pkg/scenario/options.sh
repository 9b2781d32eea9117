#!/bin/sh
# Writes the options of each SUMO that is installed to options/<version>.txt, one a line: name, type, synonyms.
# Versions that are not installed keep their lists; make sumo VERSIONS=... installs them.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sed -nE 's/^([0-9]+\.[0-9]+).*/\1/p' ../sumo/release/releases.txt | while read -r version; do
	home=${XDG_CACHE_HOME:-$HOME/.cache}/sumo-k8/sumo/$version/sumo
	[ -x "$home/bin/sumo" ] || continue
	SUMO_HOME=$home "$home/bin/sumo" --save-template "$work/template" >"$work/log" || {
		cat "$work/log"
		exit 1
	}
	sed -nE 's/^ *<([^ ]+) value="[^"]*"( synonymes="([^"]*)")?( deprecated="[^"]*")? type="([^"]+)".*/\1 \5 \3/p' "$work/template" |
		sed 's/ *$//' | LC_ALL=C sort >"$work/list"
	# A SUMO that writes its template in another form would leave no option.
	grep -q '^net-file FILE' "$work/list" || {
		echo "options.sh: SUMO $version lists no net-file in its template" >&2
		exit 1
	}
	cp "$work/list" "options/$version.txt"
done
