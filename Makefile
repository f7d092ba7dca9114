# Two commands need nothing but Python 3.11+, its venv module and make:
#   make demo    watch gearfleet do its job
#   make test    run what CI runs; says what it skips where gearmand or PostgreSQL is missing
# `make bench` needs gearmand too, and a machine that does nothing else; `make bench-stores`
# is its table of result stores, one of which needs PostgreSQL, and `make bench-peers` its
# last one, which needs redis-server and a network.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PEERS  := .cache/peers
# More than there are CPUs, because tests of processes wait for them most of the time.
JOBS   ?= $(shell echo $$((2 * $$(nproc))))

.PHONY: ready demo test matrix lint messages bench bench-stores bench-peers clean

$(READY): pyproject.toml setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/pip install --quiet --editable '.[all]' --group dev
	touch $@

ready: $(READY)

demo: $(READY)
	$(BIN)/gearfleet demo

test: $(READY)
	$(BIN)/pytest -n $(JOBS) $(TESTS) $(PYTEST_ARGS)

matrix:
	.ci/matrix

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

messages: $(READY)
	$(BIN)/python -m tests.support.messages

bench: $(READY)
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/task_level.py
	$(BIN)/python benchmarks/board.py
	$(BIN)/python benchmarks/render.py 1000 10000
	$(BIN)/python benchmarks/help.py
	$(BIN)/python benchmarks/pool.py --rounds 1
	$(BIN)/python benchmarks/stop.py
	$(MAKE) --no-print-directory bench-stores
	$(MAKE) --no-print-directory bench-peers

bench-stores: $(READY)
	$(BIN)/python benchmarks/stores.py

bench-peers: $(READY)
	-$(MAKE) --no-print-directory $(PEERS)/.ready
	$(BIN)/python benchmarks/side_by_side.py --peers $(PEERS)/bin/python

$(PEERS)/.ready: pyproject.toml
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet --upgrade 'pip>=25.1'
	$(PEERS)/bin/pip install --quiet --group bench
	touch $@

clean:
	rm -rf .cache .venv* build dist *.egg-info
