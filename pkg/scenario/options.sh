#!/bin/sh
# Writes the options of each SUMO that is installed to options/<version>.txt, one a line: name, type, topic, synonyms.
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
	awk '
		match($0, /^    <[a-z_]+>/) { topic = substr($0, RSTART + 5, RLENGTH - 6) }
		match($0, /<[^ ]+ value="/) {
			name = substr($0, RSTART + 1, RLENGTH - 9)
			type = synonyms = ""
			if (match($0, / type="[^"]+"/)) type = substr($0, RSTART + 7, RLENGTH - 8)
			if (match($0, / synonymes="[^"]*"/)) synonyms = " " substr($0, RSTART + 12, RLENGTH - 13)
			print name, type, topic synonyms
		}' "$work/template" | LC_ALL=C sort >"$work/list"
	# A SUMO that writes its template in another form would leave no option.
	grep -q '^net-file FILE input' "$work/list" || {
		echo "options.sh: SUMO $version lists no net-file in its template" >&2
		exit 1
	}
	cp "$work/list" "options/$version.txt"
done
