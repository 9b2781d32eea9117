#!/usr/bin/env bash
# Runs the commands of README.md as a reader would: those below a "run" comment, in one shell, against a fresh service. Fails if a
# command fails or gets a server error. Blocks without the comment may contain only make targets.
set -euo pipefail
cd "$(dirname "$0")/.."

others=$(awk '/^<!-- run -->/ {run = 1; next} /^```sh/ {if (!run) show = 1; run = 0; next} /^```/ {show = 0} show' README.md)
if grep -v '^make ' <<<"$others"; then
	echo "readme.sh: the lines above are in a block of README.md that nothing runs" >&2
	exit 1
fi

infra/debian/install.sh postgres pip python
infra/sumo/install.sh --controllers newest
PYTHONPATH=$PWD/pkg/client/python/src:$(infra/python.sh install)
export PYTHONPATH
infra/build.sh .local/bin
data=$(mktemp -d)
.local/bin/local --data "$data" --controllers >"$data/output" &
service=$!
trap 'kill "$service" 2>/dev/null; wait "$service" || true; rm -rf "$data"' EXIT

for ((i = 0; i < 300; i++)); do
	[ -e "$data/endpoint.json" ] && break
	kill -0 "$service" || { cat "$data/output"; exit 1; }
	sleep 0.1
done
URL=$(sed 's/.*"url":"\([^"]*\)".*/\1/' "$data/endpoint.json")
ADMIN_KEY=$(sed 's/.*"admin_key":"\([^"]*\)".*/\1/' "$data/endpoint.json")
export URL ADMIN_KEY

commands=$(awk '
	/^<!-- run -->/ {run = 1; next}
	run && /^```(sh|python)$/ {show = 1; run = 0; python = /python/; if (python) print "python3 - <<\x27PYTHON\x27"; next}
	/^```/ {if (show && python) print "PYTHON"; show = 0}
	show' README.md)
answers=$(bash -euxo pipefail -c "$commands" 2>&1) || { echo "$answers"; exit 1; }
echo "$answers"
# What the steps must have printed; grep -q would close the pipe early.
for expected in '"status":"SUCCEEDED"' '"to":"SUCCEEDED"' 'vehicles_inserted' '"code":"scenario_invalid"' '"code":"conflict"' \
	'"edge_length_km"' '"changed":["roundabout.sumocfg"]' 'Changed: cross.add.xml' '"name":"mean_speed"' '"junctions"' '<svg width' '"oldest_wait_seconds"' '"upload_id"' '"status":"deleted"' '"valid":false' '"plan_limits"' '"max_cpu":64' '"status":"healthy"' 's3://traffic-data/acme/city.zip' \
	' 100 % SUCCEEDED' 'DIFFERENT OPTIONS' '2 plots in ' '"old_secrets_until"' '"deliveries"' \
	'Mean time loss of cross, green 35 against cross, green 42: ' '"half_width"' '"p_adjusted"' 'axis.green' \
	'Recorded from 0 s' 'GEH below 5' 'sumo-run: program control.py' 'The result is the scenario'; do
	grep -F -- "$expected" <<<"$answers" >/dev/null || { echo "readme.sh: no output contains $expected" >&2; exit 1; }
done
if grep -E '"status":5[0-9][0-9]' <<<"$answers"; then
	echo "readme.sh: a command got a server error" >&2
	exit 1
fi
echo "readme.sh: every command of README.md works"
