# Everything a developer types. `make test` sets itself up on a fresh machine.
PYTHON ?= python3
BIN := .venv/bin
# A process for each core, each with one thread: networks as small as those of the tests use no more. And
# one besides, for the times in which a test waits for a process of its own.
PROCESSES = $$($(BIN)/python -c "import os; print(min(8, (os.cpu_count() or 1) + 1))")
PYTEST = $(BIN)/pytest -n $(PROCESSES) --dist loadfile

.PHONY: setup demo test lint test-all test-gpu bench docs stages format clean

setup: .venv/installed

.venv/installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

# Why transfer learning? Four strategies, an embedded network, embedded images: about three minutes,
# after the set-up.
demo: setup
	$(BIN)/python examples/digits/demo.py

# At most 10 minutes on 2 cores, the set-up included.
test: setup lint
	$(PYTEST) -m "not slow and not gpu"

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

# At most 75 minutes: every model of every family, fresh environments.
test-all: setup lint
	$(BIN)/pip install --quiet --editable '.[dev,test-all]'
	$(PYTEST) -m "not gpu"

# On a machine with a GPU.
test-gpu: setup
	$(BIN)/pytest -m gpu

bench: setup
	$(BIN)/python -m tests.benchmarks

docs: setup
	$(BIN)/python docs/generate.py

# The table of stages, about three minutes.
stages: setup
	$(BIN)/python docs/stage_table.py

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv
