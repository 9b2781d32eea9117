#!/usr/bin/env bash
# Creates a kind cluster with everything that SUMO-K8 needs, loads our images into its node, and installs SUMO-K8. Needs Docker,
# kind and kubectl. Running it again keeps what exists.
set -euo pipefail
cd "$(dirname "$0")/../.."

# The versions that the lab builds. Serving 0.48.0 is 1.21.0 in the numbering of its releases.
serving=https://github.com/knative/serving/releases/download/knative-v1.21.0
gateway=https://github.com/kubernetes-sigs/gateway-api/releases/download/v1.6.1/standard-install.yaml
# How long a Deployment may take, including the pull of its image.
patience=300s

say() { printf '\n== %s\n' "$*"; }
fail() {
	printf 'kind-up: %s\n' "$*" >&2
	exit 1
}

for program in docker kind kubectl; do
	command -v "$program" >/dev/null || fail "$program is not installed"
done
docker info >/dev/null 2>&1 || fail "Docker does not answer"

rollout() { # NAMESPACE DEPLOYMENT...
	local namespace=$1
	shift
	for name in "$@"; do
		kubectl -n "$namespace" rollout status "deployment/$name" --timeout="$patience"
	done
}

say "Images"
docker build -q -f infra/images/functions.Dockerfile -t dev.local/functions:dev .
images=(dev.local/functions:dev)
# Those that the overlay offers, as in SUMO_IMAGES=1.28=dev.local/sumo:1.28,…
for version in $(sed -nE 's/^.*SUMO_IMAGES=//p' deploy/overlays/kind/kustomization.yaml | tr , '\n' | cut -d= -f1); do
	docker build -q -f infra/images/sumo.Dockerfile --build-arg VERSION="$version" -t "dev.local/sumo:$version" .
	images+=("dev.local/sumo:$version")
done
for version in $(sed -nE 's/^.*CONTROLLER_IMAGES=//p' deploy/overlays/kind/kustomization.yaml | tr , '\n' | cut -d= -f1); do
	docker build -q -f infra/images/python.Dockerfile --build-arg VERSION="$version" -t "dev.local/sumo:$version-python" .
	images+=("dev.local/sumo:$version-python")
done

say "Cluster"
kind get clusters 2>/dev/null | grep -qx sumo-k8 || kind create cluster --config infra/kind/kind.yaml --wait 120s
kubectl config use-context kind-sumo-k8 >/dev/null
kind load docker-image --name sumo-k8 "${images[@]}"

say "Knative Serving"
kubectl apply --server-side --force-conflicts -f "$serving/serving-crds.yaml"
kubectl wait --for=condition=Established --timeout=60s crd -l knative.dev/crd-install=true >/dev/null
kubectl apply --server-side --force-conflicts -f "$serving/serving-core.yaml"
rollout knative-serving activator autoscaler controller webhook
# The ingress, and the registries of images that exist only on the node: Knative cannot resolve their digests.
kubectl -n knative-serving patch configmap config-network --type=merge \
	-p '{"data":{"ingress-class":"traefik.ingress.networking.knative.dev"}}'
kubectl -n knative-serving patch configmap config-deployment --type=merge \
	-p '{"data":{"registries-skipping-tag-resolving":"kind.local,ko.local,dev.local"}}'

say "Gateway"
kubectl apply --server-side --force-conflicts -f "$gateway"
# Traefik gets permissions in our namespace; deploy.sh configures the rest of the namespace.
kubectl get namespace sumo-k8 >/dev/null 2>&1 || kubectl create namespace sumo-k8
kubectl apply --server-side --force-conflicts -k infra/gateway
rollout traefik traefik

say "Argo Workflows"
kubectl apply --server-side --force-conflicts -k infra/kind/argo
rollout argo workflow-controller argo-server

say "SUMO-K8"
infra/deploy.sh kind
cat <<-'END'

	Argo's web interface, which shows runs: http://localhost:2746
	To remove everything: make kind-down
END
