#!/usr/bin/env bash
# Builds the programs of local mode into the folder $1 and reports progress, because the first build takes minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$(realpath -m "${1:?usage: infra/build.sh FOLDER}")
mkdir -p "$bin"
export CGO_ENABLED=0

step=0
steps=6
build() { # NAME MODULE_FOLDER PACKAGE WHAT
	step=$((step + 1))
	local began=$SECONDS
	printf '[%d/%d] building %-12s %s' "$step" "$steps" "$1" "$4"
	go build -C "$2" -trimpath -ldflags '-s -w' -o "$bin/$1" "$3"
	printf '  (%d s)\n' $((SECONDS - began))
}
build objectstore infra/local/objectstore . '(S3 server; the first time takes a minute or two)'
build sumo-run . ./pkg/sumo/sumo-run '(runs one simulation)'
build sumo-wall . ./pkg/confine/sumo-wall '(confines SUMO)'
build local . ./functions/local '(every function on one port)'
build demo . ./pkg/client/demo '(the demonstration)'
build sumo-k8 . ./pkg/client/sumo-k8 '(the command line)'
