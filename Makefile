# Targets are listed by `make help`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help install check lint types test demo lab format clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[lab,demo,test]'
	@touch $@

install: $(VENV)/.installed ## Create .venv with the project (editable) and the test tools

lint: install ## Formatter and linter
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install ## Strict type check
	$(BIN)/mypy

format: install ## Apply the formatter and the linter's fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: install lint types ## All set-up and all tests
	$(BIN)/python -m pytest

check: test ## The same as test

clean: ## Remove what the targets made
	rm -rf $(VENV) .build dist .mypy_cache .ruff_cache .pytest_cache
