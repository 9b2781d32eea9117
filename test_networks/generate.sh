#!/usr/bin/env bash
# Builds ready_to_use/*.zip and broken/*.zip with SUMO's own tools, from sources/ and fixed seeds.
#
#   generate.sh           build everything, and update the table in README.md
#   generate.sh --check   build into a temporary folder and compare with the committed files
#
# Needs Go and Debian's packages sumo, sumo-tools and python3.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export SUMO_HOME=${SUMO_HOME:-/usr/share/sumo}

# Other versions build different networks and routes from the same seeds.
readonly made_with=1.15.0

die() {
  printf 'generate.sh: %s\n' "$1" >&2
  exit 2
}

check=false
case "$#:${1:-}" in
  0:) ;;
  1:--check) check=true ;;
  *) die 'usage: generate.sh [--check]' ;;
esac

for tool in sumo netgenerate netconvert duarouter python3 go; do
  command -v "$tool" >/dev/null || die "$tool is missing: apt-get install sumo sumo-tools python3, and Go from https://go.dev/dl"
done
[[ -f $SUMO_HOME/tools/randomTrips.py ]] || die "$SUMO_HOME/tools/randomTrips.py is missing: apt-get install sumo-tools"
version=$(sumo --version | sed -n '1s/.*Version \([0-9.]*\).*/\1/p')
[[ $version == "$made_with" ]] || printf 'generate.sh: the committed files were built with SUMO %s, this is %s: expect differences\n' "$made_with" "$version" >&2

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# quietly COMMAND...: prints the command's output only if it fails.
quietly() {
  "$@" >"$tmp/log" 2>&1 || {
    cat "$tmp/log" >&2
    die "failed: $*"
  }
}

# net ARGUMENTS...: a generated network, without U-turns, like the real networks that engineers clean up.
net() { quietly netgenerate --no-turnarounds "$@"; }

# plain NAME: a network from the hand-written nodes and edges in sources/NAME.
plain() {
  quietly netconvert --no-turnarounds -n "$here/sources/$1/$1.nod.xml" -e "$here/sources/$1/$1.edg.xml" -o "$1.net.xml"
}

# trips NET ROUTES SEED ARGUMENTS...: random trips, written with their routes.
trips() {
  quietly python3 "$SUMO_HOME/tools/randomTrips.py" -n "$1" -r "$2" -s "$3" -o "$tmp/trips.xml" --validate "${@:4}"
}

# flows NAME NET ROUTES SEED ARGUMENTS...: single vehicles with routes from the hand-written flows in sources/NAME.
flows() {
  quietly duarouter -n "$2" -r "$here/sources/$1/$1.flows.xml" -o "$3" --alternatives-output /dev/null \
    --seed "$4" --randomize-flows "${@:5}"
}

square() {
  net --grid --grid.number 2 --grid.length 200 --grid.attach-length 100 -o square.net.xml
  trips square.net.xml square.rou.xml 1 -e 160 -p 5 --fringe-factor max --min-distance 300
}

cross() {
  plain cross
  flows cross cross.net.xml cross.rou.xml 2
}

corridor() {
  mkdir network demand
  net --grid --grid.x-number 5 --grid.y-number 1 --grid.x-length 300 --grid.attach-length 200 \
    --default.lanenumber 2 --default-junction-type traffic_light -o network/corridor.net.xml
  flows corridor network/corridor.net.xml demand/corridor.rou.xml 3 \
    --additional-files additional/vtypes.add.xml --vtype-output /dev/null
}

grid() {
  net --grid --grid.number 10 --grid.length 200 --grid.attach-length 100 \
    --default-junction-type traffic_light -o grid.net.xml.gz
  trips grid.net.xml.gz grid.rou.xml 4 -e 1800 -p 0.9 --fringe-factor 5 --min-distance 600
}

spider() {
  net --spider --spider.arm-number 9 --spider.circle-number 6 --spider.space-radius 100 -o spider.net.xml
  trips spider.net.xml spider.rou.xml 5 -e 900 -p 1.5 --min-distance 300
}

roundabout() {
  plain roundabout
  trips roundabout.net.xml roundabout.rou.xml 6 -e 900 -p 2 --fringe-factor max --min-distance 100
}

pedestrian_bus() {
  net --grid --grid.number 3 --grid.length 150 --grid.attach-length 100 --sidewalks.guess --crossings.guess \
    --default-junction-type traffic_light -o pedestrian_bus.net.xml
  trips pedestrian_bus.net.xml cars.rou.xml 7 -e 1200 -p 4 --fringe-factor max --vclass passenger --prefix car --min-distance 200
  trips pedestrian_bus.net.xml pedestrians.rou.xml 8 -e 1200 -p 6 --pedestrians --prefix ped --max-distance 400
}

# One town; in the morning traffic goes east, in the evening west.
multi_config() {
  net --rand --rand.iterations 60 --rand.min-distance 120 --rand.max-distance 300 --tls.guess --tls.guess.threshold 50 --seed 9 -o town.net.xml
  trips town.net.xml morning.rou.xml 10 -b 25200 -e 28800 -p 6 --angle 0 --angle-factor 4 --min-distance 300
  trips town.net.xml evening.rou.xml 11 -b 61200 -e 64800 -p 8 --angle 180 --angle-factor 4 --min-distance 300
}

mkdir "$tmp/scenarios"
for name in square cross corridor grid spider roundabout pedestrian_bus multi_config; do
  printf '%s\n' "$name"
  cp -R "$here/sources/$name/scenario" "$tmp/scenarios/$name"
  (cd "$tmp/scenarios/$name" && "$name")
done

cd "$here"
go build -o "$tmp/pack" ./internal/pack
if $check; then
  "$tmp/pack" build "$tmp/scenarios" "$tmp/out"
  "$tmp/pack" compare "$here" "$tmp/out"
else
  rm -f ready_to_use/*.zip broken/*.zip
  "$tmp/pack" build "$tmp/scenarios" "$here"
  "$tmp/pack" survey "$here"
fi
