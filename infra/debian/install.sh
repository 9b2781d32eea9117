#!/usr/bin/env bash
# Installs from Debian or Ubuntu the programs that SUMO-K8 needs and that are missing.
set -euo pipefail

usage() {
	cat <<-'END'
		usage: install.sh [--dry-run] COMPONENT...

		components:
		  pip         Python's installer of packages, which downloads SUMO
		  python      the interpreter for programs that steer SUMO
		  sumo-libraries
		              the shared libraries that SUMO's wheels load and do not bring along
		  sumo        Debian's own SUMO, with netconvert, netgenerate and duarouter, where no wheel can be had
		  sumo-tools  its Python tools, such as randomTrips.py
		  ipset       address sets of the packet filter, for network policies
		  postgres    the database server; no system-wide cluster is started
		  pgbouncer   the connection pooler, for a test; no service is started
		  gcc         the C compiler, for Go's race detector
		  strace      traces system calls, for a test of what SUMO opens
		  shellcheck  the linter for shell scripts
		  promtool    Prometheus' tool to test alerts; no service is started
		  mmdebstrap  unpacks Debian's packages for container images
		  containerd  the container runtime with runc; no system-wide service is started
		  cni         the container network plugins
		  node        Node.js and npm, which build and test the web page
		  chromium    the browser for the web page's tests
		  iptables    the packet filter and network tools that kube-proxy and the kubelet call

		Installed components are left alone. --dry-run prints the commands without running them.
	END
}

# What every wheel of SUMO loads from the system. C.UTF-8 and the C library's tables of encodings come with it.
sumo_libraries=(libGL.so.1 libX11.so.6 libXext.so.6 libXrender.so.1 libatomic.so.1 libexpat.so.1 libstdc++.so.6 libz.so.1)

# present COMPONENT checks by its files whether a component is installed, by whatever means.
present() {
	case $1 in
	pip) python3 -m pip --version 2>&1 ;;
	python) /usr/bin/python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>&1 ;;
	sumo-libraries)
		local known library
		known=$(/sbin/ldconfig -p)
		for library in "${sumo_libraries[@]}"; do
			[[ $known == *"	$library "* ]] || return 1
		done
		;;
	sumo) command -v sumo && command -v netconvert && command -v netgenerate && command -v duarouter ;;
	pgbouncer) command -v pgbouncer || test -x /usr/sbin/pgbouncer ;;
	gcc) command -v gcc && compgen -G '/usr/include/*/sys/cdefs.h' ;;
	sumo-tools) command -v python3 && test -e "${SUMO_HOME:-/usr/share/sumo}/tools/randomTrips.py" ;;
	shellcheck) command -v shellcheck ;;
	strace) command -v strace ;;
	promtool) command -v promtool ;;
	mmdebstrap) command -v mmdebstrap && { [ "$(id -u)" -eq 0 ] || command -v newuidmap; } && test -e /usr/share/keyrings/debian-archive-keyring.gpg ;;
	containerd) command -v containerd && command -v ctr && command -v runc ;;
	cni) test -x /usr/lib/cni/bridge ;;
	node) command -v node && command -v npm ;;
	chromium) command -v chromium || command -v chromium-browser || command -v google-chrome ;;
	iptables) command -v iptables && command -v conntrack && command -v ethtool && command -v socat && command -v ip ;;
	ipset) command -v ipset ;;
	postgres) compgen -G '/usr/lib/postgresql/*/bin/initdb' || { command -v initdb && command -v postgres; } ;;
	esac >/dev/null
}

# describe COMPONENT prints the packages, the download size with all dependencies (measured on Debian 12, on a machine with
# development tools and on a bare one), and the purpose.
describe() {
	case $1 in
	pip) echo "python3-pip|2 to 21 MB|downloads SUMO" ;;
	python) echo "python3|1 to 7 MB|runs programs that steer SUMO" ;;
	sumo-libraries)
		echo "libgl1 libx11-6 libxext6 libxrender1 libatomic1 libexpat1 libstdc++6 zlib1g|2 to 56 MB|libraries of the system that SUMO loads"
		;;
	sumo) echo "sumo|100 to 200 MB|runs the simulations, in an older version" ;;
	sumo-tools) echo "sumo-tools|10 to 30 MB|generates demand for the test networks" ;;
	pgbouncer) echo "pgbouncer|1 to 2 MB|pools database connections in a test" ;;
	gcc) echo "gcc libc6-dev|40 MB|compiles what Go's race detector links" ;;
	postgres) echo "postgresql|20 to 60 MB|keeps tenants and jobs; a private server in the project's own folder" ;;
	containerd) echo "containerd runc|40 MB|runs the containers of the lab" ;;
	cni) echo "containernetworking-plugins|7 MB|connects the pods of the lab" ;;
	node) echo "nodejs npm|30 to 100 MB|builds and tests the web page" ;;
	chromium) echo "chromium fonts-liberation|100 to 150 MB|runs the web page's tests" ;;
	iptables) echo "iptables conntrack ethtool socat iproute2|2 to 4 MB|the network of the lab" ;;
	ipset) echo "ipset|1 MB|the network policies of the lab" ;;
	mmdebstrap) echo "mmdebstrap uidmap debian-archive-keyring|1 to 10 MB|unpacks Debian's packages for container images" ;;
	strace) echo "strace|1 MB|records what SUMO opens in a test" ;;
	shellcheck) echo "shellcheck|2 to 5 MB|checks the shell scripts" ;;
	promtool) echo "prometheus|20 to 25 MB|tests the alerts" ;;
	*) return 1 ;;
	esac
}

fail() {
	echo "install.sh: $*" >&2
	exit 1
}

dry_run=false
missing=()
for argument in "$@"; do
	case $argument in
	--dry-run) dry_run=true ;;
	-h | --help)
		usage
		exit 0
		;;
	*)
		describe "$argument" >/dev/null || {
			usage >&2
			fail "there is no component '$argument'"
		}
		present "$argument" || missing+=("$argument")
		;;
	esac
done
if [ $# -eq 0 ]; then
	usage >&2
	exit 1
fi
if [ ${#missing[@]} -eq 0 ]; then
	exit 0
fi

packages=()
echo "Missing on this machine:"
for component in "${missing[@]}"; do
	IFS='|' read -r package size purpose <<<"$(describe "$component")"
	read -ra names <<<"$package"
	packages+=("${names[@]}")
	printf '  %-14s %s (package %s; download: %s)\n' "$component" "$purpose" "$package" "$size"
done

command -v apt-get >/dev/null ||
	fail "this is neither Debian nor Ubuntu: install ${missing[*]} with your system's package manager, with their programs in PATH, and run this again"

# Debian's Postgres package creates and starts a system-wide cluster. We run our own, so disable that, unless the file exists and
# the administrator has already decided.
cluster_config=/etc/postgresql-common/createcluster.conf
no_cluster="test -e $cluster_config || { mkdir -p ${cluster_config%/*} && echo 'create_main_cluster = false' >$cluster_config; }"
# Another apt may be running, as on a machine that has just booted: wait for it.
apt="DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300"
install="$apt install --yes --no-install-recommends ${packages[*]}"
if [[ " ${missing[*]} " == *" containerd "* || " ${missing[*]} " == *" pgbouncer "* || " ${missing[*]} " == *" promtool "* ]]; then
	# Debian starts these as system services unless this file forbids it.
	policy=/usr/sbin/policy-rc.d
	install="{ test -e $policy || { trap 'rm -f $policy' EXIT; printf '#!/bin/sh\nexit 101\n' >$policy; chmod +x $policy; }; $install; }"
fi
update="$apt update"

commands=()
if [[ " ${missing[*]} " == *" postgres "* ]]; then
	commands+=("$no_cluster")
fi
if ! compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null; then
	commands+=("$update")
fi
# Outdated package lists name files that are gone: fetch new lists and retry once.
commands+=("$install || { $update && $install; }")

as_root=()
if [ "$(id -u)" -ne 0 ]; then
	as_root=(sudo)
	if ! command -v sudo >/dev/null || { [ ! -t 0 ] && ! sudo -n true 2>/dev/null; }; then
		echo "Installing needs root, and sudo is not usable here. Run this as root, then try again:" >&2
		printf '  %s\n' "${commands[@]}" >&2
		exit 1
	fi
fi
for command in "${commands[@]}"; do
	if $dry_run; then
		echo "would run: ${as_root[*]:+${as_root[*]} }sh -c \"$command\""
	else
		echo "running: ${as_root[*]:+${as_root[*]} }sh -c \"$command\""
		# Of apt's hundreds of lines, these show progress; errors go to stderr.
		"${as_root[@]}" sh -c "$command" | sed -nu -E '/^(Need to get|Fetched|Setting up (sumo|postgresql|python3-pip))/p' ||
			fail "the command failed; run it by hand to see why"
	fi
done
if $dry_run; then
	exit 0
fi
for component in "${missing[@]}"; do
	present "$component" || fail "$component is installed, but its programs are not found: check PATH"
done
echo "Installed: ${missing[*]}"
