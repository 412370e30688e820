# make run · make test · make bench · make crash · make soak · make clean        PYTHON=python3.13 make test uses .venv-3.13
ifeq ($(origin PYTHON), undefined)
PYTHON := $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
else
VENV := .venv-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
endif
BIN := $(VENV)/bin
TESTS ?= tests
ARGS ?=

.PHONY: run test bench crash soak clean

run: $(VENV)/.installed
	$(BIN)/python -m quart_chat serve $(ARGS)

test: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest $(TESTS) $(ARGS)

bench: $(VENV)/.installed-dev
	$(BIN)/python -m bench $(ARGS)

# The full forms of tests/reliability, see docs/reliability.md: an hour or two, and half an hour.
crash: $(VENV)/.installed-dev
	QUART_CHAT_FULL=1 $(BIN)/python -m pytest tests/reliability --deselect tests/reliability/test_soak.py $(ARGS)
	HYPOTHESIS_PROFILE=full $(BIN)/python -m pytest tests/live $(ARGS)

soak: $(VENV)/.installed-dev
	QUART_CHAT_FULL=1 $(BIN)/python -m pytest tests/reliability/test_soak.py $(ARGS)

clean:
	rm -rf .venv .venv-3.* build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find quart_chat tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@ $(VENV)/.installed

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "quart-chat needs Python 3.11 or newer; PYTHON=/path/to/python make run"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	echo "*" > $(VENV)/.gitignore
