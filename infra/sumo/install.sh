#!/usr/bin/env bash
# Installs versions of SUMO that are missing, and what they need: install.sh [--or-debian | --controllers] VERSION...
#
# A version is one on offer such as 1.28, or oldest, newest or all. With --or-debian, the system's own package takes their place
# where no wheel can be had: without a network, or on a machine for which none is made. With --controllers, what programs of a scenario
# run with is installed too.
set -euo pipefail
cd "$(dirname "$0")/../.."
fallback=false
command=install
needs=(pip sumo-libraries)
case ${1:-} in
--or-debian)
	fallback=true
	shift
	;;
--controllers)
	command=controllers
	needs+=(python)
	shift
	;;
esac
infra/debian/install.sh "${needs[@]}"
CGO_ENABLED=0 go build -trimpath -o .local/bin/install-sumo ./infra/sumo
status=0
.local/bin/install-sumo "$command" "$@" || status=$?
if [ "$status" -ne 2 ] || ! $fallback; then
	exit "$status"
fi
infra/debian/install.sh sumo
cat <<-END
	Jobs run with the SUMO of this system's package, because no wheel can be had:
	  $(sumo --version | head -n 1)
	It is not one of the versions on offer, and an older one gives other numbers. To try again: make sumo
END
