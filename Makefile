SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
# The first interpreter that starts and is new enough: a version manager's `python3` may name a
# version that is not installed.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.14; do \
	"$$python" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# A lock is whole, and pip before 23.3 would look beyond it: for a package that another one asks for
# with an extra, it takes the newest release and then misses its hash.
LOCKED := --no-deps --require-hashes --requirement
COMPILE := uv pip compile --quiet --universal --no-sources --generate-hashes --no-annotate --no-header \
	--no-emit-index-url --no-emit-find-links

.PHONY: help setup ci test test-all acceptance bench lock clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-12s%s\n", $$1, $$2 }' Makefile

setup: $(VENV)/.installed ## Make .venv with both packages and every pinned tool

$(VENV)/.locked: requirements.lock
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer with venv found; install one or set PYTHON=" >&2; exit 3; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install $(LOCKED) requirements.lock
	@touch $@

# Without build isolation: hatchling is in the lock, so nothing unpinned is fetched.
$(VENV)/.installed: $(VENV)/.locked pyproject.toml ci/pyproject.toml
	$(PIP) install --no-deps --no-build-isolation --editable . --editable ci
	@touch $@

ci: setup ## Run the pipeline on this project, without a container engine
	$(BIN)/llm-pipeline ci --reports reports

test: setup ## Run the tests that need nothing but Python, git and make
	$(BIN)/pytest

test-all: setup ## Run every test; a marked one that can't run says why
	$(BIN)/pytest -m ""

acceptance: setup ## Run the long counts: many rounds, many seeds
	$(BIN)/pytest --acceptance

bench: setup ## Measure the pipeline against its peers
	$(PIP) install $(LOCKED) benchmarks/requirements.lock
	$(BIN)/python -m benchmarks

lock: setup ## Bring the lock files up to date with the pyproject files (UPGRADE=1: newest versions)
	$(BIN)/$(COMPILE) $(if $(UPGRADE),--upgrade) --group dev --extra delivery \
		-o requirements.lock pyproject.toml ci/pyproject.toml
	cd ci && echo dagger-io | ../$(BIN)/$(COMPILE) $(if $(UPGRADE),--upgrade) --no-emit-package dagger-io \
		--constraints ../requirements.lock --extra delivery -o requirements.lock pyproject.toml -
	$(BIN)/$(COMPILE) $(if $(UPGRADE),--upgrade) --constraints requirements.lock \
		--group bench -o benchmarks/requirements.lock
	for group in tools gitleaks pytest coverage poetry; do \
		$(BIN)/$(COMPILE) $(if $(UPGRADE),--upgrade) --constraints requirements.lock \
			--group ci/pyproject.toml:$$group -o ci/src/llm_pipeline/data/$$group.lock || exit; \
	done

clean: ## Remove what the other targets made
	rm -rf $(VENV) reports build dist ci/dist .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
