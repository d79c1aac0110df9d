# The menu. `make help` lists it; every target does its own set-up.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export PYTHONPATH := $(CURDIR)/operator:$(CURDIR)
# A KUBECONFIG given on the command line names the user's own cluster; one in the environment is not taken by accident.
ifeq ($(origin KUBECONFIG),command line)
DEMO_ARGS := --kubeconfig $(KUBECONFIG)
endif

.PHONY: help
help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

# ---- see it work

.PHONY: demo
demo: preflight-cluster $(STAMP) ## a cluster, the operator, two services, and their traces (KUBECONFIG=… for a cluster of your own)
	@$(BIN)/python -m examples.demo $(DEMO_ARGS)

.PHONY: demo-down
demo-down: preflight ## remove the demo's cluster and all it left on this machine
	@$(PYTHON) -m tests.cluster down

# ---- test it

.PHONY: test
test: preflight-cluster $(STAMP) ## everything: lint, unit, bootstrap, API server, end to end; one summary
	@$(BIN)/python -m scripts.test_all

.PHONY: lint
lint: $(STAMP) ## ruff, mypy strict, import contracts, generated files up to date
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m grpctracing.api --check

.PHONY: unit
unit: $(STAMP) ## tests that need neither root nor a cluster
	@$(BIN)/pytest -q tests/unit tests/bootstrap

.PHONY: api
api: $(STAMP) ## tests on a real kube-apiserver and etcd
	@$(BIN)/pytest -q -n 2 --dist loadfile tests/api

.PHONY: e2e
e2e: preflight-cluster $(STAMP) ## tests on a real single-node cluster
	@$(BIN)/pytest -q tests/e2e

.PHONY: bench
bench: $(STAMP) ## measure the bootstrap beside no instrumentation and beside contrib; writes benchmarks/README.md
	@$(BIN)/python -m benchmarks.bootstrap

.PHONY: bench-operator
bench-operator: $(STAMP) ## the operator at 1,000, 5,000 and 10,000 Deployments, beside kopf's own handlers; writes benchmarks/README.md
	@$(BIN)/python -m benchmarks.operator

.PHONY: matrix
matrix: $(STAMP) ## what an application could notice of us, on every Python of the machine × four grpcio; writes docs/compatibility.md
	@$(BIN)/python -m scripts.matrix

.PHONY: kills
kills: $(STAMP) ## kill -9 of the operator at KILLS writes (200) on a real API server; what is left is compared with a run without
	@$(BIN)/python -m scripts.kills $(or $(KILLS),200)

.PHONY: upgrade
upgrade: $(STAMP) ## the release at COMMIT (the first) injects 1,000 Deployments, this one takes over, the other comes back: patches and rollouts
	@$(BIN)/python -m scripts.upgrade $(COMMIT)

.PHONY: fuzz
fuzz: $(STAMP) ## parsers and encoder by coverage, SECONDS each (60)
	@$(BIN)/python -m scripts.fuzz $(or $(SECONDS),60)

.PHONY: soak
soak: $(STAMP) ## a traced client and server under load for MINUTES (60), with a Collector that comes and goes
	@$(BIN)/python -m benchmarks.soak $(or $(MINUTES),60)

# ---- build it

.PHONY: crds
crds: $(STAMP) ## write crds/, the chart's copy and docs/reference/api.md from the models
	@$(BIN)/python -m grpctracing.api

.PHONY: images
images: preflight-cluster $(STAMP) ## build every image of the project and of its tests
	@$(BIN)/python -m tests.cluster images

.PHONY: requirements
requirements: $(STAMP) ## pin the newest dependencies again
	@compile() { $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links "$$@"; }; \
	compile pyproject.toml -o requirements/operator.txt; \
	compile pyproject.toml --group test --group lint -o requirements/dev.txt

# ---- set-up

.PHONY: preflight
preflight:
	@test "$$(uname -s)" = Linux || { echo "GrpcTracing's tests and demo need Linux; this is $$(uname -s). Use a Linux machine or virtual machine."; exit 1; }
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed. On Debian: apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		test "$$(id -u)" = 0 && command -v apt-get >/dev/null || { echo "$(PYTHON) lacks venv. On Debian: sudo apt-get install python3-venv"; exit 1; }; \
		echo "installing python3-venv"; apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null; }

.PHONY: preflight-cluster
preflight-cluster: preflight
ifneq ($(origin KUBECONFIG),command line)
	@$(PYTHON) -m tests.cluster check
endif

$(STAMP): requirements/dev.txt | preflight
	@echo "setting up $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --require-hashes -r requirements/dev.txt
	@touch $@
