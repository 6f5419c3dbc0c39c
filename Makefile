# On a fresh machine: `make quickstart`, `make test`, and `make quick` for what can be tested in minutes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Three processes run tests side by side on two cores, a file at a time, because those that start Ray wait a quarter of
# their time. These run early, as they take longest.
PYTEST := $(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

.PHONY: quickstart test quick soak check docs pictures install clean

quickstart: $(VENV)/.installed
	$(BIN)/anon-tune study search_spaces/quickstart.toml --clips avatars --out runs/quickstart

install: $(VENV)/.installed

test: check
	$(PYTEST)

# What needs no Ray, no browser, no training and no compiler. Two folders are not even loaded.
quick: check
	$(PYTEST) --ignore tests/cluster --ignore tests/browser -m "not cluster and not browser and not trains and not compiles"

# Studies whose drivers, workers and nodes are killed again and again; takes half an hour.
soak: $(VENV)/.tested
	$(BIN)/python benchmarks/soak.py

check: $(VENV)/.tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The documentation as a site in site/; fails on a broken link.
docs: $(VENV)/.documented
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# The pictures of the README, from the study of `make quickstart`; needs Chromium on the path.
pictures: $(VENV)/.documented
	test -e runs/quickstart/ended.txt || $(BIN)/anon-tune study search_spaces/quickstart.toml --clips avatars --out runs/quickstart
	$(BIN)/python docs/pictures.py runs/quickstart

$(VENV)/.installed: pyproject.toml setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/.tested: $(VENV)/.installed
	$(BIN)/pip install --quiet --editable '.[test]'
	touch $@

$(VENV)/.documented: $(VENV)/.installed
	$(BIN)/pip install --quiet --editable '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) site .pytest_cache .mypy_cache .ruff_cache .hypothesis
