#!/usr/bin/env bash
# Installs versions of SUMO that are missing, and what they need: install.sh [--or-debian] VERSION...
#
# A version is one on offer such as 1.28, or oldest, newest or all. With --or-debian, the system's own package takes their place
# where no wheel can be had: without a network, or on a machine for which none is made.
set -euo pipefail
cd "$(dirname "$0")/../.."
fallback=false
if [ "${1:-}" = --or-debian ]; then
	fallback=true
	shift
fi
infra/debian/install.sh pip sumo-libraries
CGO_ENABLED=0 go build -trimpath -o .local/bin/install-sumo ./infra/sumo
status=0
.local/bin/install-sumo install "$@" || status=$?
if [ "$status" -ne 2 ] || ! $fallback; then
	exit "$status"
fi
infra/debian/install.sh sumo
cat <<-END
	Jobs run with the SUMO of this system's package, because no wheel can be had:
	  $(sumo --version | head -n 1)
	It is not one of the versions on offer, and an older one gives other numbers. To try again: make sumo
END
