# Everything that people and CI do with this repository. `make` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

LOCAL := .local
BIN := $(LOCAL)/bin
DATA ?= $(LOCAL)/data
RESULTS ?= $(LOCAL)/results
GO ?= go
PAGE := functions/page
# Programs that check code are pinned with their sums, and found without asking the module proxy.
TOOL := $(GO) tool -modfile=$(CURDIR)/infra/tools/go.mod

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: install
install: ## Install the newest SUMO and Postgres if they are missing (Debian and Ubuntu)
	@infra/debian/install.sh postgres
	@infra/sumo/install.sh --or-debian newest

.PHONY: sumo
sumo: ## Install versions of SUMO side by side: make sumo VERSIONS="1.20 1.22", or all; the newest by default
	@infra/sumo/install.sh $(or $(VERSIONS),newest)

.PHONY: sumo-controllers
sumo-controllers: ## Install what programs of a scenario run with, for the same VERSIONS: libsumo, numpy, pandas, scipy and lxml
	@infra/sumo/install.sh --controllers $(or $(VERSIONS),newest)

.PHONY: build
build: ## Build the programs into .local/bin
	@mkdir -p $(BIN)
	@infra/build.sh $(BIN)

.PHONY: python
python: ## Build the Python package into .local/python: a wheel, and the source archive
	@infra/debian/install.sh pip python
	@infra/python.sh build $(LOCAL)/python

.PHONY: tutorial
tutorial: ## Run docs/python.ipynb against the service, and write it with its new outputs and pictures
	@infra/debian/install.sh postgres pip python
	@infra/sumo/install.sh newest
	@$(GO) test -count=1 ./pkg/client/python -run TestTheClientAgainstTheService -update

.PHONY: demo
demo: install build ## Run two scenarios and a small study end to end
	@$(BIN)/demo --server $(BIN)/local --data $(LOCAL)/demo --networks test_networks/ready_to_use --out $(RESULTS)

.PHONY: dev
dev: install build ## Serve on this machine until Ctrl-C; prints curl lines to paste. CONTROLLERS=1 enables programs of scenarios
	@$(BIN)/local --data $(DATA) $(if $(CONTROLLERS),--controllers)

# Packages begin in the order given: those that take longest come first, so that none is left to run alone at the end.
LONGEST := ./pkg/sumo/run ./functions/local ./pkg/store/postgres ./pkg/client/sumo-k8 ./pkg/client/python ./pkg/confine

# Tests start hundreds of processes, each of which the race detector would have wait for a second at its end. Everything is vetted before,
# as make build builds it, and need not be again as it is built for the race detector. Compression would take 20 times as long, and its
# memory belongs to one goroutine: the detector watches those who call it instead.
RACE := -race -vet=off -gcflags=compress/flate=-race=false
.PHONY: test
test: ## Run every test against real Postgres, S3 and SUMO, with the race detector
	@infra/debian/install.sh postgres pgbouncer gcc strace pip python
	@infra/sumo/install.sh --controllers oldest newest
	@CGO_ENABLED=0 $(GO) vet -trimpath ./...
	@CGO_ENABLED=1 GORACE=atexit_sleep_ms=10 $(GO) test $(RACE) -timeout 15m $(LONGEST) ./...

# What reads, runs or judges SUMO; the tests of everything else are the same for each version.
VERSIONED := ./pkg/sumo/... ./infra/sumo/... ./pkg/scenario/... ./test_networks/... ./infra/images/...

.PHONY: test-versions
test-versions: ## Run the tests that start SUMO with every version on offer
	@infra/debian/install.sh strace
	@infra/sumo/install.sh --controllers all
	@SUMO_K8_ALL_VERSIONS=1 $(GO) test -timeout 60m $(VERSIONED)

.PHONY: test-tables
test-tables: ## Compare tables of all networks as pandas, pyarrow and DuckDB read them with SUMO's own files
	@python3 -m venv $(LOCAL)/table-readers
	@$(LOCAL)/table-readers/bin/pip install --quiet --require-hashes -r pkg/sumo/tables/testdata/requirements.txt
	@SUMO_K8_TABLE_READERS=$(CURDIR)/$(LOCAL)/table-readers/bin/python $(GO) test -count=1 -timeout 30m -run ReadTheSame ./pkg/sumo/tables

.PHONY: lint
lint: ## Check the Go code by .golangci.yml, that none of it is unreachable, and shell scripts
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not formatted:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	@$(TOOL) golangci-lint run
	@cd infra/local/objectstore && $(TOOL) golangci-lint run --config $(CURDIR)/.golangci.yml
	@dead=$$($(TOOL) deadcode -test ./...); test -z "$$dead" || { echo "unreachable:"; echo "$$dead"; exit 1; }
	@if command -v shellcheck >/dev/null; then shellcheck $$(git ls-files '*.sh' .ci/run); else echo "shellcheck is not installed: scripts not checked"; fi

.PHONY: vuln
vuln: ## Check our programs for calls to vulnerable code; GOVULNDB overrides Go's database
	@infra/vuln.sh

.PHONY: generate
generate: ## Regenerate the SQL code, the OpenAPI document, the Python package's types, SUMO's options and images, and the tree of packages
	@$(GO) generate ./...

.PHONY: page
page: ## Rebuild the web page from its TypeScript; commit the result
	@infra/debian/install.sh node
	@cd $(PAGE) && npm ci --ignore-scripts --no-fund --no-audit --loglevel=error && npm run --silent build

.PHONY: test-page
test-page: install build ## Test the web page in a headless browser, against the real functions
	@infra/debian/install.sh node chromium
	@cd $(PAGE) && npm ci --ignore-scripts --no-fund --no-audit --loglevel=error && npm test --silent

.PHONY: bench-page
bench-page: install build ## Measure the page: a study with 200 points as its runs end, and the map with 10,000 edges
	@infra/debian/install.sh node chromium
	@cd $(PAGE) && npm ci --ignore-scripts --no-fund --no-audit --loglevel=error && npm run --silent bench

.PHONY: screenshots
screenshots: install build ## Retake the pictures of docs/tour.md
	@infra/debian/install.sh node chromium
	@cd $(PAGE) && npm ci --ignore-scripts --no-fund --no-audit --loglevel=error && npm run --silent screenshots

.PHONY: drift
drift: generate ## Fail if generated files differ from the committed ones; checks the page if npm is installed
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory page; else echo "npm is not installed: the page is not checked"; fi
	@git diff --exit-code --stat -- pkg functions deploy docs/architecture.md || { echo "generated files differ: run make generate and commit"; exit 1; }

.PHONY: bench
bench: install build ## Measure what docs/benchmarks.md reports
	@infra/bench.sh

.PHONY: bench-lab
bench-lab: ## Measure on the lab, after make e2e, the first request to each function at zero, a job and a study
	@SUMO_K8_LAB=$(LAB) $(GO) test -run '^$$' -bench . -benchtime 1x -timeout 60m ./infra/lab/e2e

.PHONY: fuzz
fuzz: ## Fuzz each parser, and every operation of the API, for 30 seconds
	@infra/fuzz.sh 30s

# Versions of SUMO for which there also is an image for programs of scenarios, and a file of packages to add to it, as pip reads it.
CONTROLLER_VERSIONS ?= newest
CONTROLLER_PACKAGES ?=

.PHONY: images
images: ## Build the container images into .local/images, without Docker; VERSIONS="oldest newest" leaves out SUMOs in between
	@infra/debian/install.sh mmdebstrap pip
	@CGO_ENABLED=0 $(GO) run ./infra/images build --out $(LOCAL)/images $(if $(CONTROLLER_PACKAGES),--packages "$(CONTROLLER_PACKAGES)") \
		$(or $(VERSIONS),all) $(addsuffix -python,$(CONTROLLER_VERSIONS))

.PHONY: push
push: $(filter images,$(MAKECMDGOALS)) ## Push the images to a registry: make push REGISTRY=registry.example.org/traffic TAG=v1.0.0
	@test -n "$(REGISTRY)" || { echo "REGISTRY is not set: make push REGISTRY=registry.example.org/traffic"; exit 1; }
	@CGO_ENABLED=0 $(GO) run ./infra/images push --registry "$(REGISTRY)" --tag "$(TAG)" --out $(LOCAL)/images \
		$(or $(VERSIONS),all) $(addsuffix -python,$(CONTROLLER_VERSIONS))

.PHONY: networks
networks: ## Rebuild the scenarios of test_networks with the tools of Debian's SUMO
	@infra/debian/install.sh sumo sumo-tools
	@infra/sumo/install.sh newest
	@test_networks/generate.sh

.PHONY: lab-program
lab-program:
	@mkdir -p $(BIN)
	@CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN)/lab ./infra/lab

.PHONY: lab-build
lab-build: lab-program ## Build the lab's programs without root; the first time takes a quarter of an hour
	@$(BIN)/lab build

.PHONY: lab-up
lab-up: lab-program ## Start or repair the lab: one Kubernetes node with Argo, Knative, S3 and Postgres, as root
	@$(BIN)/lab up

.PHONY: lab-eventing
lab-eventing: lab-program ## Start the lab with Knative Eventing, which the component pingsource needs
	@$(BIN)/lab up -eventing

.PHONY: lab-status
lab-status: ## Show which parts of the lab are running
	@test -x $(BIN)/lab || { echo "the lab was not started from this clone: make lab-up"; exit 1; }
	@$(BIN)/lab status

.PHONY: lab-down
lab-down: lab-program ## Stop the lab and restore the machine; keeps what was built
	@$(BIN)/lab down

# The lab's files; see infra/lab.
LAB := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/sumo-k8/lab

# The versions that the lab's overlay offers.
e2e: VERSIONS ?= oldest newest

.PHONY: e2e
e2e: lab-up images ## Test the whole service on the lab: Knative, Argo and S3, over HTTP
	@$(BIN)/lab load $(LOCAL)/images/*.tar
	@infra/deploy.sh lab
	@# One at a time: a run needs one of the two cores, and the lab's own programs the other.
	@set -a; source $(LAB)/run/environment; set +a; SUMO_K8_LAB_KUBECONFIG=$$KUBECONFIG $(GO) test -count=1 -parallel 1 -timeout 15m -run '^TestLab' ./pkg/engine/argo
	@SUMO_K8_LAB=$(LAB) SUMO_K8_LAB_PROGRAM=$(abspath $(BIN)/lab) $(GO) test -count=1 -timeout 30m -v ./infra/lab/e2e

.PHONY: e2e-versions
e2e-versions: lab-up images ## Run the ready networks with every version of SUMO, on this machine and on the lab
	@infra/sumo/install.sh all
	@SUMO_K8_ALL_VERSIONS=1 $(GO) test -count=1 -timeout 20m -run TestEveryVersionRunsTheReadyNetworks ./functions/local
	@$(BIN)/lab load $(LOCAL)/images/*.tar
	@infra/deploy.sh lab-all-versions
	@SUMO_K8_ALL_VERSIONS=1 SUMO_K8_LAB=$(LAB) SUMO_K8_LAB_PROGRAM=$(abspath $(BIN)/lab) $(GO) test -count=1 -timeout 60m -v \
		-run '^TestTheServiceOnACluster$$/a_job_chooses_its_version' ./infra/lab/e2e

.PHONY: deploy
deploy: ## Install or update on the current cluster: make deploy OVERLAY=lab, kind, production or a folder
	@infra/deploy.sh "$(OVERLAY)"

.PHONY: kind-up
kind-up: ## Create a kind cluster with Knative, Argo, S3, Postgres and the service; needs Docker
	@infra/kind/up.sh

.PHONY: kind-down
kind-down: ## Delete the kind cluster with everything in it
	@infra/kind/down.sh

.PHONY: clean
clean: ## Delete everything built, downloaded or run
	@rm -rf $(LOCAL) $(PAGE)/node_modules $(PAGE)/src/openapi.d.ts
