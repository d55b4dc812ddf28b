# Everything here works from a fresh clone, with Python 3.10 or later, make and git. `make backends` needs Go too.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CONSTRAINTS ?= constraints/newest.txt
PIP := $(BIN)/pip --disable-pip-version-check --quiet install --constraint $(CONSTRAINTS)

.PHONY: demo test faults lint backends bench docs clean

demo: $(VENV)/installed
	$(BIN)/heliograph demo

test: $(VENV)/installed-test
	$(BIN)/python -m pytest $(ARGS)

faults: $(VENV)/installed-test
	FAULTS=full $(BIN)/python -m pytest tests/faults $(ARGS)

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check

backends:
	collector-config/install.sh

bench: $(VENV)/installed-bench
	missed=0; for each in benchmarks/*.py; do $(BIN)/python $$each || missed=1; done; exit $$missed

docs: $(VENV)/installed-dev
	$(BIN)/python docs/generate.py

clean:
	rm -rf $(VENV)

$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml $(CONSTRAINTS) | $(VENV)/bin/pip
	$(PIP) --editable .
	touch $@

$(VENV)/installed-test: pyproject.toml $(CONSTRAINTS) | $(VENV)/bin/pip
	$(PIP) --editable '.[test]'
	touch $@

$(VENV)/installed-bench: pyproject.toml $(CONSTRAINTS) | $(VENV)/bin/pip
	$(PIP) --editable '.[bench]'
	touch $@

$(VENV)/installed-dev: pyproject.toml $(CONSTRAINTS) | $(VENV)/bin/pip
	$(PIP) --editable '.[dev]'
	touch $@
