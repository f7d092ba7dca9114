# Two commands need nothing but Python 3.11+, its venv module and make:
#   make demo    watch gearfleet do its job
#   make test    run what CI runs
# `make bench` needs gearmand too, and a machine that does nothing else.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test matrix lint bench clean

$(READY): pyproject.toml setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/pip install --quiet --editable '.[all]' --group dev
	touch $@

demo: $(READY)
	$(BIN)/gearfleet demo

test: $(READY)
	$(BIN)/pytest -n auto $(TESTS) $(PYTEST_ARGS)

matrix:
	.ci/matrix

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf .venv* build dist *.egg-info
