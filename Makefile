# Every target sets up what it needs; `make install` alone makes .venv from the pinned constraints.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
ARGS ?=
# Tests and services start many Python processes. Where this is set, each of them compiles all that it imports again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install demo up test test-unit check format bench stack stack-down reference clean

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.9"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable ".[dev]"
	@touch $@

demo: install
	@$(BIN)/muniment demo $(ARGS)

up: install
	@$(BIN)/muniment up $(ARGS)

test: install check
	@$(BIN)/python -m devstack.prepare
	@$(BIN)/python -m pytest -n 2 --dist loadfile --ignore tests/e2e $(ARGS)
	@$(BIN)/python -m pytest -n 2 tests/e2e $(ARGS)

test-unit: install
	@$(BIN)/python -m pytest tests/unit tests/replay $(ARGS)

check: install
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/pyright

format: install
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: install
	@$(BIN)/python -m devstack.prepare
	@$(BIN)/python -m bench $(ARGS)

reference: install
	@$(BIN)/python -m docs.generate

stack: install
	@$(BIN)/python -m devstack.prepare
	@$(BIN)/python -m devstack up

stack-down: install
	@$(BIN)/python -m devstack down

clean:
	rm -rf $(VENV) build dist *.egg-info .stack
