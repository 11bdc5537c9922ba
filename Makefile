# `make` prints what there is. Everything runs in .venv, which scripts/bootstrap makes on first use.
unexport PYTHONDONTWRITEBYTECODE
export TF_USE_LEGACY_KERAS := 0
.DEFAULT_GOAL := help
.PHONY: help bootstrap data run test ablation bench lint format lock clean

SPEC ?= taxi
JOBS ?= 2

help: ## print this list
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' Makefile | expand -t 12

bootstrap: ## make .venv, or bring it up to date (about a minute; a second call does nothing)
	@scripts/bootstrap

data: bootstrap ## make data/, the data sets of the example specs (a second call does nothing)
	@scripts/data

run: bootstrap ## run the taxi pipeline from raw data to a served model; SPEC=... for another
	@.venv/bin/sluice run $(SPEC)

test: bootstrap data ## run all tests, two files at a time; TESTS="tests/unit -k cleaning" for some; JOBS=0 one by one
	@.venv/bin/python -m pytest -q -n $(JOBS) --dist loadfile --no-loadscope-reorder $(TESTS)

ablation: bootstrap data ## what each option for missing values and rare classes does to the score
	@.venv/bin/python -m tests.bench.ablation

bench: bootstrap ## measure speed and memory
	@.venv/bin/python -m tests.bench

lint: bootstrap ## check style, types and who imports whom
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

format: bootstrap ## format the code and apply safe fixes
	@.venv/bin/ruff check --fix --quiet . || true
	@.venv/bin/ruff format .

lock: bootstrap ## compile requirements.lock and requirements-dev.lock again from pyproject.toml
	@scripts/lock

clean: ## remove .venv and everything else that can be made again
	rm -rf .venv .runtime data .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
