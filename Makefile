# `make serve` and `make test` do all their own set-up; both are quick the second time and then work offline.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: serve test check format lock clean help
.DEFAULT_GOAL := help

help: ## what there is to make
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

serve: .venv/.ready ## set up, then serve on http://127.0.0.1:8000
	@exec $(BIN)/visage serve

test: .venv/.ready-dev ## set up, then run every test
	@$(BIN)/python -m pytest

check: .venv/.ready-dev ## everything that must hold: format, lint, types, layers, tests, coverage
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest
	@$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=90

format: .venv/.ready-dev ## rewrite the code as the formatter likes it
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: .venv/.ready-dev ## renew the locked requirements
	$(BIN)/pip-compile -q --upgrade --strip-extras --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --allow-unsafe -o requirements/serve.txt pyproject.toml requirements/build.in
	$(BIN)/pip-compile -q --upgrade --strip-extras --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --allow-unsafe -o requirements/dev.txt --extra dev -c requirements/serve.txt pyproject.toml

clean: ## remove what the set-up made (never your data)
	rm -rf .venv .cache src/visage/vision/models build dist .coverage*
