# make demo   the main job on the shipped data          make test   lint, types and tests
# Both make .venv and install statkit into it when that is missing or out of date; nothing but Python (3.11 or
# newer), pip and make is assumed. PYTHON=python3.12 make demo chooses the interpreter.

PYTHON ?= python3
BIN := .venv/bin
FORMULA := I(delay > 15) ~ poly(distance, 2) + C(hour(date)) + C(weekday(date)) + C(origin)

# Processes share the cores; BLAS threads inside them would only compete.
export OMP_NUM_THREADS = 1
export OPENBLAS_NUM_THREADS = 1
export MKL_NUM_THREADS = 1

.PHONY: demo test test-slow test-engines test-lowest lint docs bench wheel clean
.DEFAULT_GOAL := demo

demo: .venv/.installed
	@echo 'statkit fit "$(FORMULA)" $$(statkit datasets path flights) --family binomial'
	@$(BIN)/statkit fit "$(FORMULA)" "$$($(BIN)/statkit datasets path flights)" --family binomial

test: lint
	$(BIN)/python -m pytest -n 2

test-slow: .venv/.installed-test
	HYPOTHESIS_PROFILE=search $(BIN)/python -m pytest -n 2 -m 'slow or hypothesis'

test-engines: .venv/.installed-test
	$(BIN)/python -m pip install --quiet --editable '.[dask,ray,spark]'
	$(BIN)/python -m pytest tests/engines -m engines

# The oldest versions that pyproject.toml allows, in an environment of their own.
test-lowest: .venv/.installed-test
	$(BIN)/python -m venv .venv-lowest
	$(BIN)/uv pip install --quiet --python .venv-lowest/bin/python --resolution lowest-direct --editable '.[test]'
	.venv-lowest/bin/python -m pytest -n 2

lint: .venv/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/.installed
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	$(BIN)/python docs/_check.py docs/_build/html
	@echo docs/_build/html/index.html

# SIZE=full takes hours and writes the figures that README and site show; peers that are missing are named.
SIZE ?= small
bench: .venv/.installed-test
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	$(BIN)/python benchmarks/_run.py --size $(SIZE)
	$(BIN)/python docs/_readme.py

wheel: .venv/.installed-test
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*

clean:
	rm -rf build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find statkit tests -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "statkit needs Python 3.11 or newer; PYTHON=... make says which to use" >&2; exit 1; }
	@echo "Making .venv with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv .venv

.venv/.installed: pyproject.toml | .venv/bin/python
	@echo "Installing statkit and what it needs into .venv (once; a minute or two) ..."
	@$(BIN)/python -m pip install --quiet --editable .
	@touch $@

.venv/.installed-test: pyproject.toml | .venv/bin/python
	@echo "Installing statkit and what its tests need into .venv (once; some minutes) ..."
	@$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch .venv/.installed $@
