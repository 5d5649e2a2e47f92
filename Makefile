# Every target, in words: `make help`. Real work is in relance.cli, .ci/ and tests/; a recipe only calls it.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON_BIN := .venv/bin
REPORTS := build/reports

# Property tests use every core. A test on the real broker brings processes of its own, and waits for them a good part of
# its time: three files at a time keep two cores busy.
WORKERS ?= logical
INTEGRATION_WORKERS ?= 3

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## .venv with the locked libraries, and .venv/bin/relance ready
	@.ci/setup

.PHONY: demo
demo: setup ## a shop with thousands of shoppers on a real Kafka, live, for a minute
	@$(PYTHON_BIN)/relance demo

.PHONY: up
up: setup ## the broker and the services, until `make down`
	@$(PYTHON_BIN)/relance up

.PHONY: down
down: setup ## stop what `make up` started
	@$(PYTHON_BIN)/relance down

.PHONY: test
test: ## all tests, on a real broker where that is the point
	@.ci/setup tests
	@.ci/test --workers $(WORKERS) --integration-workers $(INTEGRATION_WORKERS) --reports $(REPORTS)

.PHONY: chaos
chaos: setup ## the fault tests again, with more seeds
	@$(PYTHON_BIN)/python -m pytest -m chaos --seeds 10 tests/integration

.PHONY: bench
bench: setup ## Relance beside its peers on one topic; a table, kept in benchmarks/results/
	@$(PYTHON_BIN)/relance bench

.PHONY: check
check: lint types imports contracts-check protos-check tidy ## all that is not a test, fastest first

.PHONY: format
format: setup ## rewrite what the formatter and the linter can
	@$(PYTHON_BIN)/ruff check --quiet --fix-only .
	@$(PYTHON_BIN)/ruff format .

.PHONY: lint
lint: setup ## ruff and spelling
	@$(PYTHON_BIN)/ruff check .
	@$(PYTHON_BIN)/ruff format --check .
	@$(PYTHON_BIN)/codespell

.PHONY: types
types: setup ## mypy, strict
	@$(PYTHON_BIN)/mypy

.PHONY: imports
imports: setup ## the rooms and floors of the code (import-linter)
	@$(PYTHON_BIN)/lint-imports --no-logo

.PHONY: tidy
tidy: setup ## lengths, names, links, languages of the repository itself
	@$(PYTHON_BIN)/python -m pytest --quiet -p no:randomly tests/tidy

.PHONY: contracts
contracts: setup ## write schemas/ and relance/rpc/ again from code and protos/
	@$(PYTHON_BIN)/python -m relance.cli.contracts write

.PHONY: contracts-check
contracts-check: setup ## fail if schemas/ or relance/rpc/ differ from what code and protos/ say
	@$(PYTHON_BIN)/python -m relance.cli.contracts check

.PHONY: mail
mail: setup ## compile the mail templates (MJML) to HTML again; a test checks for drift
	@$(PYTHON_BIN)/python -m services.notification.adapters.mail.build write

.PHONY: protos-check
protos-check: ## buf: lint the protos, and no breaking change against protos/baseline.binpb
	@.ci/buf lint protos
	@.ci/buf breaking protos --against protos/baseline.binpb

.PHONY: protos-baseline
protos-baseline: ## after a release: what later protos must not break
	@.ci/buf build protos --as-file-descriptor-set --output protos/baseline.binpb

.PHONY: lock
lock: setup ## pin and hash the libraries anew from pyproject.toml
	@.ci/lock

.PHONY: clean
clean: ## remove what setup, tests and the local broker left here
	@if [ -x $(PYTHON_BIN)/relance ]; then $(PYTHON_BIN)/relance kafka stop || true; fi
	@rm -rf .venv .relance build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -path ./.git -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +
