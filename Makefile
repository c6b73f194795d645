# Every target makes what it needs; `make demo` and `make test` work on a fresh machine with Python 3.11 to 3.14.
PYTHON ?= $(shell for p in python3.12 python3.11 python3.13 python3.14 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt
TYPED := build/typecheck/nearhop

.PHONY: demo test test-slow test-drawn test-bounds lint format docs bench clean

demo: $(VENV)/.demo
	$(BIN)/nearhop demo --out nearhop-demo

test: $(VENV)/.dev  # in two processes, a file in one of them
	$(BIN)/pytest -n 2 --dist loadfile

test-slow: $(VENV)/.dev
	$(BIN)/pytest -m slow

test-drawn: $(VENV)/.dev
	NEARHOP_EXAMPLES=20 $(BIN)/pytest -n 2 -m hypothesis --timeout 7200

test-bounds: $(VENV)/.dev
	NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=$(CURDIR)/build/checked $(BIN)/pytest

lint: $(VENV)/.dev $(TYPED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(TYPED)

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.docs
	$(BIN)/sphinx-build -W --keep-going -q -b html docs site

bench: $(VENV)/.bench
	@for script in benchmarks/[a-z]*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

clean:
	rm -rf build dist site nearhop-demo .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "nearhop needs Python 3.11 or newer on the path (or make PYTHON=/path/to/python)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	-$(PIP) --upgrade pip  # what came with Python may read an index at half the pace

# Each stamp stands for one set of installed extras; a change of the requirements installs them again.
$(VENV)/.%: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e ".[$*]"
	touch $@

# The comparisons with hnswlib need a C++ compiler; without one those tests are skipped by name.
$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e ".[dev]"
	-$(PIP) hnswlib 2>/dev/null || echo "hnswlib was not installed (no C++ compiler?): its comparisons will be skipped"
	touch $@

# The repository root is the package, so the type checker sees it under the package's name.
$(TYPED):
	mkdir -p build/typecheck
	ln -sfn ../.. $@
