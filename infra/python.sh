#!/usr/bin/env bash
# Builds the Python package, and installs what its tests need: pinned packages, by hash, in a folder of their own.
set -euo pipefail
out=$(realpath -m "${2-.}")
cd "$(dirname "$0")/../pkg/client/python"

usage() {
	cat <<-'END'
		usage: python.sh install        install the packages unless they are there, and print their folder, for PYTHONPATH
		       python.sh build FOLDER   build the wheel and the source archive into FOLDER
		       python.sh lock           write requirements.txt from requirements.in; needs uv
	END
}

# The folder is named by all that decides what is in it.
install() {
	local python cache folder
	python=$(python3 -c 'import platform, sys; print(sys.implementation.cache_tag, platform.machine(), sep="-")')
	cache=${XDG_CACHE_HOME:-$HOME/.cache}/sumo-k8/python-client
	folder=$cache/$python-$(sha256sum requirements.txt | cut -c1-16)
	mkdir -p "$cache"
	exec 9>"$folder.lock"
	flock 9
	if [ ! -e "$folder" ]; then
		rm -rf "$folder.new"
		python3 -m pip install --quiet --disable-pip-version-check --no-warn-conflicts --root-user-action ignore --no-compile --no-deps \
			--only-binary :all: --require-hashes --requirement requirements.txt --target "$folder.new" >&2
		mv "$folder.new" "$folder"
	fi
	echo "$folder"
}

case ${1-} in
install) install ;;
build)
	: "${2:?usage: python.sh build FOLDER}"
	# Files of the archives get the time of the last commit, so that one commit always makes the same ones.
	SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || echo 315532800)
	PYTHONPATH=$(install)
	export PYTHONPATH SOURCE_DATE_EPOCH
	# Archives take a licence from the package's folder only, and a link would lead nowhere in the source archive.
	exec 9<pyproject.toml
	flock 9 # of two builds at once the first would take the licence from the second
	trap 'rm -f LICENSE' EXIT
	cp ../../../LICENSE .
	python3 -m hatchling build -d "$out"
	;;
lock) uv pip compile --quiet --universal --python-version 3.9 --generate-hashes --no-header --no-annotate requirements.in -o requirements.txt ;;
*)
	usage >&2
	exit 1
	;;
esac
