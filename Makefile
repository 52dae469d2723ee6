# `make` alone lists the targets. Everything runs from a virtual environment that `setup` makes from uv.lock.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PY := .venv/bin/python
PYTEST := $(PY) -m pytest
# Modules of tests run side by side in so many processes; which may, tests/support/side_by_side.py knows. On the cluster
# they wait more than they compute; unit tests compute.
WORKERS ?= 3
UNIT_WORKERS ?= 2
export DESIST_HOME ?= $(HOME)/.cache/desist
export GOCACHE ?= $(DESIST_HOME)/go/build
export GOMODCACHE ?= $(DESIST_HOME)/go/mod
# What Python has compiled is kept, out of the tree: tests start a hundred processes, and each starts twice as fast.
export PYTHONPYCACHEPREFIX ?= $(DESIST_HOME)/pycache
unexport PYTHONDONTWRITEBYTECODE
GO_TEST = $(PY) -m hack.go
# Runs a command and keeps its time, that of `setup` included: $(TIMED) NAME COMMAND
TIMED = since=$$(date +%s) && hack/setup && $(PY) -m hack.timing --since $$since

# Targets use one cluster and one .venv, so that -j would only make them wait for each other.
.NOTPARALLEL:
.PHONY: all-tests all-tests-dropped nightly fuzz help setup cluster-up cluster-down cluster-status images install demo figures bench-j5 bench-latency test check lint unit search launcher-test cluster-test generate format

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Make .venv from the lock file (every other target does it by itself)
	@hack/setup

demo: ## Bring a cluster up, install the chart, run the examples and stop them in every way
	@$(TIMED) demo $(PY) -m hack.demo $(ARGS)

test: ## The whole test suite, on a real cluster; ARGS go to pytest
	@$(TIMED) test $(MAKE) --no-print-directory lint launcher-test install all-tests

check: ## What to run at every change: lint, types, contracts, generated files, unit and property tests
	@$(TIMED) check $(MAKE) --no-print-directory lint unit

all-tests:
	@$(PYTEST) tests -n $(WORKERS) $(ARGS)

lint: setup ## Ruff, mypy, import contracts, stale generated files
	@.venv/bin/ruff check . && .venv/bin/ruff format --check .
	@.venv/bin/mypy operator hack tests
	@.venv/bin/lint-imports --no-cache
	@$(PY) -m hack.generators.crds --check
	@$(PY) -m hack.generators.conformance --check

unit: setup ## Unit and property tests only
	@$(PYTEST) tests/unit -n $(UNIT_WORKERS) -q $(ARGS)

fuzz: setup ## 100,000 random objects through the core (ARGS='--count 1000 --seed 1')
	@$(PY) -m tests.unit.fuzz $(ARGS)

search: setup ## Every order of the steps by which a run ends and an operation begins (minutes)
	@$(PY) -m tests.unit.lifecycle_sim.closing_search

launcher-test: setup ## The launcher's own tests (Go), with vet
	@$(GO_TEST) vet ./... && $(GO_TEST) test ./...

cluster-test: setup install ## The tests that need the cluster; ARGS go to pytest, e.g. ARGS='-k kill'
	@$(PYTEST) tests/cluster -n $(WORKERS) $(ARGS)

nightly: ## The whole test suite, with every datagram of push dropped on all nodes: nothing may need them
	@$(TIMED) nightly $(MAKE) --no-print-directory install all-tests-dropped

all-tests-dropped:
	@$(PY) -m hack.nightly $(PYTEST) tests -n $(WORKERS) $(ARGS)

cluster-up: setup ## Bring the cluster up (engine, tools and node image are found or made)
	@$(PY) -m hack.cluster up

cluster-down: setup ## Delete the cluster; ARGS=--all also stops the engine
	@$(PY) -m hack.cluster down $(ARGS)

cluster-status: setup ## Say what is up, and where its files are
	@$(PY) -m hack.cluster status $(ARGS)

images: setup cluster-up ## Build the images and load them into the nodes
	@$(PY) -m hack.cluster images
	@$(PY) -m hack.image load

install: setup cluster-up ## Install this checkout's chart on the cluster
	@$(PY) -m hack.cluster images
	@$(PY) -m hack.image install

figures: setup install ## Measure what the README quotes: latencies, memory, sizes
	@$(PY) -m hack.bench.figures $(ARGS)

bench-j5: setup install ## Ten thousand executions, and one namespace's trouble beside another's stops (ARGS='--help')
	@$(PY) -m hack.bench.j5 $(ARGS)

bench-latency: setup install ## How soon a stop is heard of, beside a Job's and a pod's (raw samples kept; ARGS='--help')
	@$(PY) -m hack.bench.latency $(ARGS)

generate: setup ## Write the generated files (crds/, docs/conformance.md)
	@$(PY) -m hack.generators.crds
	@$(PY) -m hack.generators.conformance

format: setup ## Format the Python code
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix .
