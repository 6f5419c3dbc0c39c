# On a fresh machine: `make quickstart`, `make test`, and `make quick` for what can be tested in minutes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Two processes run tests side by side, a file at a time, those that start Ray early, as they take longest.
PYTEST := $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: quickstart test quick soak check install clean

quickstart: $(VENV)/.installed
	$(BIN)/anon-tune study search_spaces/quickstart.toml --clips avatars --out runs/quickstart

install: $(VENV)/.installed

test: check
	$(PYTEST)

# What needs no Ray, no browser, no training and no compiler.
quick: check
	$(PYTEST) -m "not cluster and not browser and not trains and not compiles"

# Studies whose drivers, workers and nodes are killed again and again; takes half an hour.
soak: $(VENV)/.tested
	$(BIN)/python benchmarks/soak.py

check: $(VENV)/.tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/.installed: pyproject.toml setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/.tested: $(VENV)/.installed
	$(BIN)/pip install --quiet --editable '.[test]'
	touch $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
