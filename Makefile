# What a developer types. `make` alone lists it.
SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS   += --no-builtin-rules

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Images for containers forbid it; without it every process of the tests compiles every module anew.
unexport PYTHONDONTWRITEBYTECODE

VENV   := .venv
BIN    := $(VENV)/bin
# The first interpreter that is new enough; `make PYTHON=/path/to/python setup` chooses another one.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
            "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
UV_VERSION := 0.13.8
WORKERS ?= 2
STEPS   ?= 1000000
SEED    ?= 1
EXAMPLES ?= 500
ARGS    ?=

##@ Use
.PHONY: help
help: ## This list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@/ { printf "\n\033[1m%s\033[0m\n", substr($$0, 5); next } \
	  /^[a-z%][a-z%-]*:.*## / { printf "  \033[36mmake %-10s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo

.PHONY: setup
setup: $(VENV)/.installed ## Make .venv with everything in it (again and again costs nothing)

.PHONY: demo
demo: setup ## The main job, played and told: a real call rings, is answered, carries sound and picture
	@$(BIN)/hookswitch demo $(ARGS)

##@ Prove
.PHONY: test
test: setup ## All tests, on real PostgreSQL (ARGS="-k busy" for some)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadscope $(ARGS)

.PHONY: check
check: setup ## Lint, format, types, walls between the rooms
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy --strict service
	@$(BIN)/lint-imports --no-logo

.PHONY: bench
bench: setup ## The performance figures, one table
	@$(BIN)/python -m bench $(ARGS)

bench-%: setup ## One figure of the table, by name
	@$(BIN)/python -m bench $* $(ARGS)

.PHONY: simulate
simulate: setup ## A whole switchboard with crashes and late timers, STEPS=1000000 SEED=1
	@$(BIN)/python -m tests.core.simulation --steps $(STEPS) --seed $(SEED) $(ARGS)

.PHONY: contract
contract: setup ## The REST interface against its own description, EXAMPLES=500 requests for each operation, and walks
	@HOOKSWITCH_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest -n $(WORKERS) --dist load tests/api/test_schemathesis.py $(ARGS)

.PHONY: mutants
mutants: setup ## Break core/ in every small way and list what no test noticed (tests/core/SURVIVORS.md explains)
	@rm -rf mutants
	@$(BIN)/mutmut run $(ARGS)
	@$(BIN)/mutmut results

##@ Keep
.PHONY: openapi
openapi: setup ## Write openapi/*.yaml from the shapes in service/wire
	@$(BIN)/python -m service.api.schema

.PHONY: format
format: setup ## Format and apply the safe fixes
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

COMPILE := build/lock/bin/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
           --no-header --no-emit-index-url --no-emit-find-links --annotation-style line --quiet

.PHONY: lock
lock: ## Resolve the dependencies again (ARGS=--upgrade for newer ones)
	@test -x build/lock/bin/uv || { $(PYTHON) -m venv build/lock && build/lock/bin/pip install -q uv==$(UV_VERSION); }
	@$(COMPILE) --extra dev --group build $(ARGS) --output-file requirements-dev.lock
	@$(COMPILE) --constraint requirements-dev.lock --output-file requirements.lock
	@$(COMPILE:pyproject.toml=) --group build --constraint requirements-dev.lock --output-file requirements-build.lock
	@sed -i -E "s/ and platform_python_implementation == 'CPython'//; s/ (;|and) python_full_version < '3.15' and sys_platform == 'linux'//; s/ (;|and) python_full_version < '3.15'( \\\\)?$$/\2/; s/ and sys_platform == 'linux'//" requirements*.lock
	@grep -c '==' requirements*.lock

.PHONY: clean
clean: ## Remove .venv and everything generated (not the data of a running service)
	rm -rf $(VENV) build dist mutants .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find service tests bench migrations -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# Two stamps: a changed lock file installs packages, a changed project only itself.
$(VENV)/.installed: pyproject.toml $(VENV)/.locked
	@echo "installing hookswitch into $(VENV)"
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --no-index --editable .
	@touch $@

$(VENV)/.locked: requirements-dev.lock $(VENV)/bin/pip
	@echo "installing $$(grep -c '==' $<) locked packages into $(VENV) (a minute, once)"
	@$(BIN)/python -m pip install --quiet --require-hashes --no-deps --only-binary :all: --requirement $<
	@touch $@

# A half made folder is made anew.
$(VENV)/bin/pip:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or newer is needed: apt install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "Python's venv is missing: apt install $$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')" >&2; exit 1; }
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
