#!/usr/bin/env bash
# Installs or updates SUMO-K8 on the cluster of the current kubectl context: the schema first, then the functions. Running it again
# only repeats the migration, unless the image has the tag dev, which may point to a new image.
set -euo pipefail
cd "$(dirname "$0")/.."

# Seconds that the migration and each function may take; the first pull of an image takes most of them.
patience=${PATIENCE:-300}
functions=(auth submit status logs reconcile)

usage() {
	cat <<-'END'
		usage: infra/deploy.sh OVERLAY
		       infra/deploy.sh roll

		OVERLAY  a folder in deploy/overlays, or any folder with a kustomization
		roll     creates a new revision of every function, which reads the Secrets again

		PATIENCE is the number of seconds to wait for each step (300). CHECK_IMAGES=no leaves out the check that SUMO's images are of
		this release, which runs a pod of each for a moment.
	END
}

say() { printf '%s\n' "$*"; }
fail() {
	printf 'deploy: %s\n' "$*" >&2
	exit 1
}

# The lab has a kubectl and a kubeconfig of its own.
lab=${XDG_CACHE_HOME:-$HOME/.cache}/sumo-k8/lab
use_lab() {
	[[ -r $lab/run/environment ]] || fail "the lab is not running: make lab-up"
	export KUBECONFIG=$lab/run/kubeconfig/admin PATH=$lab:$PATH
}

# check_cluster reports what is missing before anything changes.
check_cluster() {
	command -v kubectl >/dev/null || fail "kubectl is not installed"
	local version missing=()
	version=$(kubectl get --raw /version --request-timeout=10s 2>&1) || fail "the cluster does not respond: $version"
	for kind in services.serving.knative.dev httproutes.gateway.networking.k8s.io workflows.argoproj.io; do
		kubectl get crd "$kind" >/dev/null 2>&1 || missing+=("$kind")
	done
	((${#missing[@]} == 0)) || fail "the cluster lacks ${missing[*]}; docs/production.md lists what to install first"
}

# apply [SELECTOR...] prints only changes. Ignores grep's exit code for no changes, but not kubectl's.
apply() { kubectl apply -f "$work/all.yaml" "$@" | { grep -v ' unchanged$' || true; }; }

# secret NAME applies the Secret NAME with the lines KEY=value from standard input.
secret() {
	kubectl -n sumo-k8 create secret generic "$1" --from-env-file=/dev/stdin --dry-run=client -o yaml | kubectl apply -f -
}

# lab_secrets creates the Secrets from the lab's settings. It keeps an existing admin key.
lab_secrets() {
	local admin
	admin=$(kubectl -n sumo-k8 get secret sumo-k8-admin -o 'jsonpath={.data.ADMIN_KEY}' 2>/dev/null | base64 -d || true)
	grep -E '^(DATABASE_URL|S3_ENDPOINT|S3_ACCESS_KEY|S3_SECRET_KEY)=' "$lab/run/environment" | secret sumo-k8
	printf 'ADMIN_KEY=%s\n' "${admin:-$(head -c 24 /dev/urandom | base64 | tr -d '+/=')}" | secret sumo-k8-admin
}

# versions prints each Secret's resource version.
versions() {
	kubectl -n sumo-k8 get secret sumo-k8 sumo-k8-admin --ignore-not-found -o 'jsonpath={range .items[*]}{.metadata.name}={.metadata.resourceVersion} {end}'
}

# check_secrets fails if a Secret is neither in the overlay nor on the cluster.
check_secrets() {
	local name pair
	for pair in sumo-k8:secret.env sumo-k8-admin:admin.env; do
		name=${pair%:*}
		grep -qx "  name: $name" <(sed -n '/^kind: Secret$/,/^---$/p' "$work/all.yaml") ||
			kubectl -n sumo-k8 get secret "$name" >/dev/null 2>&1 ||
			fail "the Secret $name is missing in the namespace sumo-k8: copy deploy/overlays/production/${pair#*:}.example, fill it in, and create the Secret with the command in its first lines"
	done
}

# setting NAME prints a setting of the overlay.
setting() { sed -n "/^  $1: */{s///;s/[\"']//g;p;q}" "$work/all.yaml"; }

# architecture VERSION prints the architecture that the image of a SUMO needs, if not every node will do.
architecture() {
	local chosen
	chosen=$(setting NODE_SELECTOR | tr , '\n' | sed -n 's,^kubernetes.io/arch=,,p')
	if [[ -n $chosen ]]; then
		printf '%s' "$chosen"
	elif grep -q "^$1\.[0-9]* [0-9a-f]* -$" pkg/sumo/release/releases.txt; then
		printf amd64
	fi
}

# check_pod NAME VERSION IMAGE prints a pod that prints the generation of the image. Any node of its architecture will do.
check_pod() {
	local arch
	arch=$(architecture "$2")
	cat <<-END
		apiVersion: v1
		kind: Pod
		metadata:
		  name: $1
		  namespace: sumo-k8
		  labels: {app.kubernetes.io/part-of: sumo-k8, app.kubernetes.io/component: check-images}
		spec:
		  restartPolicy: Never
		  automountServiceAccountToken: false
		  nodeSelector: {${arch:+kubernetes.io/arch: $arch}}
		  containers:
		    - name: check
		      image: $3
		      imagePullPolicy: $(setting IMAGE_PULL_POLICY | grep . || echo IfNotPresent)
		      command: [sumo-run, --print-generation]
		      resources: {requests: {cpu: 10m, memory: 32Mi}, limits: {memory: 128Mi}}
		      securityContext:
		        allowPrivilegeEscalation: false
		        capabilities: {drop: [ALL]}
		        readOnlyRootFilesystem: true
		        runAsNonRoot: true
		        seccompProfile: {type: RuntimeDefault}
		---
	END
}

# check_images fails, before anything changes, if an image in SUMO_IMAGES or CONTROLLER_IMAGES is of another generation than this
# release's templates.
check_images() {
	local generation setting suffix pairs pair check version image name phase said deadline=$((SECONDS + patience))
	local checks=() pods=(-n sumo-k8 -l app.kubernetes.io/component=check-images)
	generation=$(sed -n 's/^const Generation = //p' pkg/chunk/chunk.go)
	for setting in SUMO_IMAGES: CONTROLLER_IMAGES:-python; do
		suffix=${setting#*:}
		IFS=, read -ra pairs <<<"$(setting "${setting%%:*}")"
		for pair in "${pairs[@]}"; do
			version=${pair%%=*}
			checks+=("check-sumo-${version//./-}$suffix $version ${pair#*=}")
		done
	done
	((${#checks[@]} > 0)) || return 0
	kubectl delete pods "${pods[@]}" --ignore-not-found --wait >/dev/null
	printf '%s\n' "${checks[@]}" | while read -r name version image; do check_pod "$name" "$version" "$image"; done >"$work/check.yaml"
	kubectl create -f "$work/check.yaml" >/dev/null
	for check in "${checks[@]}"; do
		read -r name version image <<<"$check"
		while phase=$(kubectl -n sumo-k8 get pod "$name" -o 'jsonpath={.status.phase}'); [[ $phase != Succeeded && $phase != Failed ]]; do
			if ((SECONDS >= deadline)); then
				kubectl get "${pods[@]}" >&2 || true
				fail "the image of SUMO $version, $image, was not started within $patience s. Nothing is changed; CHECK_IMAGES=no leaves out this check"
			fi
			sleep 0.5
		done
		said=$(kubectl -n sumo-k8 logs "$name" 2>/dev/null || true)
		[[ $said == "$generation" ]] ||
			fail "the image of SUMO $version, $image, is not of this release. Nothing is changed; build and push it again: docs/production.md, \"Upgrade\""
	done
	kubectl delete pods "${pods[@]}" --wait=false >/dev/null
}

# check_shared warns about keys that every function gets but few use. Earlier releases kept them in the Secret sumo-k8.
check_shared() {
	local keys key
	# shellcheck disable=SC2016 # the variables are the template's
	keys=$(kubectl -n sumo-k8 get secret sumo-k8 --ignore-not-found -o 'go-template={{range $key, $value := .data}}{{$key}} {{end}}')
	for key in $keys; do
		case $key in
		ADMIN_KEY | RUN_S3_*)
			say "Warning: the Secret sumo-k8 gives $key to every function; it belongs in sumo-k8-admin or sumo-k8-runs. To remove it:"
			say "  kubectl -n sumo-k8 patch secret sumo-k8 --type=json -p '[{\"op\": \"remove\", \"path\": \"/data/$key\"}]' && infra/deploy.sh roll"
			;;
		esac
	done
}

# await_migration waits until the Job completes, or prints why it did not.
await_migration() {
	local deadline=$((SECONDS + patience)) state
	while ((SECONDS < deadline)); do
		state=$(kubectl -n sumo-k8 get job migrate -o 'jsonpath={range .status.conditions[?(@.status=="True")]}{.type} {end}')
		case $state in
		*Complete*) return ;;
		*Failed*) break ;;
		esac
		sleep 1
	done
	kubectl -n sumo-k8 get pods -l job-name=migrate >&2 || true
	kubectl -n sumo-k8 logs -l job-name=migrate --tail=20 >&2 || true
	fail "the migration failed; its log is above. The functions are unchanged"
}

# await NAME waits until the function's newest revision serves requests.
await() {
	local deadline=$((SECONDS + patience)) answer generation observed ready created latest reason
	while ((SECONDS < deadline)); do
		answer=$(kubectl -n sumo-k8 get services.serving.knative.dev "$1" -o 'jsonpath={.metadata.generation}|{.status.observedGeneration}|{.status.conditions[?(@.type=="Ready")].status}|{.status.latestCreatedRevisionName}|{.status.latestReadyRevisionName}|{.status.conditions[?(@.type=="Ready")].message}')
		IFS='|' read -r generation observed ready created latest reason <<<"$answer"
		if [[ $generation == "$observed" && $ready == True && $created == "$latest" ]]; then
			say "  $1 is ready ($latest)"
			return
		fi
		sleep 1
	done
	kubectl -n sumo-k8 get pods -l "serving.knative.dev/service=$1" >&2 || true
	kubectl -n sumo-k8 logs -l "serving.knative.dev/service=$1" -c function --tail=20 >&2 || true
	fail "$1 is not ready after $patience s: ${reason:-Knative has not reported a status yet}"
}

await_functions() {
	for name in "${functions[@]}"; do await "$name"; done
}

roll() {
	local now
	now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
	for name in "${functions[@]}"; do
		kubectl -n sumo-k8 patch services.serving.knative.dev "$name" --type=merge \
			-p "{\"spec\":{\"template\":{\"metadata\":{\"annotations\":{\"sumo-k8.io/rolled\":\"$now\"}}}}}" >/dev/null
	done
	say "Waiting for the functions:"
	await_functions
}

overlay=${1:-}
overlay=${overlay#deploy/overlays/}
overlay=${overlay%/}
[[ -n $overlay && $overlay != -* ]] || {
	usage >&2
	exit 2
}
if [[ $overlay == roll ]]; then
	check_cluster
	roll
	exit
fi

folder=$overlay
[[ -d deploy/overlays/$overlay ]] && folder=deploy/overlays/$overlay
[[ -r $folder/kustomization.yaml ]] || fail "there is no overlay $overlay; deploy/overlays has $(cd deploy/overlays && echo *)"
[[ $overlay == lab* ]] && use_lab
check_cluster

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
kubectl kustomize "$folder" >"$work/all.yaml"

# Everything but the functions and the schedule: accounts, settings, routes, the migration.
before=(-l 'app.kubernetes.io/component notin (function,schedule)')

say "Preparing the namespace sumo-k8"
kubectl get namespace sumo-k8 >/dev/null 2>&1 || kubectl create namespace sumo-k8 >/dev/null
rolled=
if [[ $overlay == lab* ]]; then
	old=$(versions)
	lab_secrets
	[[ -z $old || $old == "$(versions)" ]] || rolled=yes
fi
check_secrets
if [[ ${CHECK_IMAGES:-} != no ]]; then
	say "Checking SUMO's images"
	check_images
fi

# A Job is immutable, and one that succeeded may have used another database, or another image with the same tag. A migration with
# nothing to do takes seconds.
kubectl -n sumo-k8 delete job migrate --wait --ignore-not-found >/dev/null

# The tag dev may point to a new image: existing functions need a new revision.
image=$(kubectl create --dry-run=client -f "$work/all.yaml" -l app.kubernetes.io/component=migrate -o 'jsonpath={.spec.template.spec.containers[0].image}')
if [[ $image == *:dev ]] && kubectl -n sumo-k8 get services.serving.knative.dev reconcile >/dev/null 2>&1; then
	rolled=yes
fi

say "Migrating"
apply "${before[@]}"
await_migration

say "Applying $folder"
apply
if [[ $rolled ]]; then
	say "Rolling every function, because a Secret or the image may have changed."
	roll
else
	say "Waiting for the functions:"
	await_functions
fi

check_shared
address=$(kubectl -n sumo-k8 get gateway sumo-k8 -o 'jsonpath={.status.addresses[0].value}' 2>/dev/null || true)
say "SUMO-K8 is installed. The Gateway's address: ${address:-unknown}"
case $overlay in
lab*) say "From this machine: http://10.244.0.1:30080" ;;
kind) say "From this machine: http://localhost:8080" ;;
esac
say "The admin key: kubectl -n sumo-k8 get secret sumo-k8-admin -o 'jsonpath={.data.ADMIN_KEY}' | base64 -d"
