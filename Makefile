# Every target works from a fresh clone, with Python 3.10 or later, make and git. `make backends` also needs Go,
# Java and Maven for Kafka, and Node for some tests.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
BENCH := $(VENV)-bench
PROCESSES ?= 0
CONSTRAINTS ?= constraints/newest.txt
PIP := $(BIN)/pip --disable-pip-version-check --quiet install --constraint $(CONSTRAINTS)

.PHONY: help demo test quick coverage measure faults lint hooks backends stack stack-kafka bench docs site links clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

demo: $(VENV)/installed ## run a small program, and print its code beside the telemetry that arrives from it
	$(BIN)/heliograph demo

test: $(VENV)/installed-test ## run the tests, if wanted in several PROCESSES; ARGS is passed to pytest
	$(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist worksteal $(ARGS)

quick: PROCESSES = 4
quick: $(VENV)/installed-test ## run most of the tests, in about three minutes: all but faults, the stack, whole programs of others, and the documentation
	$(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist worksteal --hypothesis-profile quick \
		$(addprefix --ignore=tests/, faults stack integration documentation test_backends.py) $(ARGS)

coverage: $(VENV)/installed-dev ## run the tests, and list each line and branch that none of them reached
	$(BIN)/coverage erase
	$(MAKE) measure; failed=$$?; $(BIN)/coverage combine --quiet; exit $$failed
	$(BIN)/coverage report

measure: $(VENV)/installed-dev ## run the tests like `make coverage`, and only leave the data for `coverage combine`
	$(BIN)/coverage run -m pytest --numprocesses $(PROCESSES) --dist worksteal $(ARGS)

faults: $(VENV)/installed-test ## run the long form of the fault tests
# Ten million records wait in one of them, so a test may take longer than elsewhere.
	FAULTS=full $(BIN)/python -m pytest --override-ini faulthandler_timeout=7200 tests/faults tests/stack/test_single_node.py $(ARGS)

lint: $(VENV)/installed-dev ## check style, types, imports and generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check

hooks: $(VENV)/installed-dev ## run the quick checks before every commit from now on
	$(BIN)/pre-commit install

backends: ## build Collector, Jaeger, VictoriaLogs and Prometheus (needs Go), and copy Kafka (needs Java and Maven)
	collector-config/install.sh

stack: $(VENV)/installed ## run the demo with a Collector, Jaeger, VictoriaLogs and Prometheus until Ctrl-C (after `make backends`)
	collector-config/stack.sh $(BIN)/python -m heliograph.demo.program

stack-kafka: $(VENV)/installed ## run the same with Kafka between two Collectors
	collector-config/stack.sh --kafka $(BIN)/python -m heliograph.demo.program

bench: $(BENCH)/installed ## run the benchmarks; their packages have plugins of pytest and Datasette, so the tests must not see them
	missed=0; for each in benchmarks/*.py; do $(BENCH)/bin/python $$each || missed=1; done; exit $$missed

docs: $(VENV)/installed-dev ## write the generated parts of the documentation
	$(BIN)/python docs/generate.py

site: $(VENV)/installed-dev ## build the documentation site in build/site
	$(BIN)/sphinx-build --quiet --fail-on-warning docs build/site

links: $(VENV)/installed-dev ## check the links to other sites (needs the network)
	$(BIN)/python docs/links.py --network

clean: ## delete the virtual environments
	rm -rf $(VENV) $(BENCH)

$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml $(CONSTRAINTS) | $(VENV)/bin/pip
	$(PIP) --editable '.[datasette]'
	touch $@

$(VENV)/installed-test: pyproject.toml $(CONSTRAINTS) | $(VENV)/bin/pip
	$(PIP) --editable '.[test]'
	touch $@

$(BENCH)/installed: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(BENCH)
	$(subst $(BIN),$(BENCH)/bin,$(PIP)) --editable '.[bench]'
	touch $@

$(VENV)/installed-dev: pyproject.toml $(CONSTRAINTS) | $(VENV)/bin/pip
	$(PIP) --editable '.[dev]'
	touch $@
