#!/usr/bin/env bash
# Deletes the kind cluster with everything in it. Images stay in Docker.
set -euo pipefail
command -v kind >/dev/null || {
	echo "kind-down: kind is not installed" >&2
	exit 1
}
kind delete cluster --name sumo-k8
