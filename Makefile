# `make serve` and `make test` do all their own set-up; both are quick the second time, and then work offline.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
COMPILE := $(BIN)/pip-compile --quiet --upgrade --strip-extras --generate-hashes --allow-unsafe \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host

NPM := npm --prefix web --no-audit --no-fund --silent
PAGE := src/visage/api/page/index.html
PAGE_SOURCES := $(shell find web/src web/public -type f) $(wildcard web/*.json web/*.ts web/*.html)

.PHONY: help serve test lint page client screens check fuzz torture format lock accuracy clean
.DEFAULT_GOAL := help

help: ## what there is to make
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

serve: .venv/.serve $(PAGE) ## set up, then serve on http://127.0.0.1:8000
	@$(BIN)/visage models pull
	@exec $(BIN)/visage serve

test: .venv/.dev $(PAGE) ## set up, then run every test
	@$(BIN)/visage models pull
	@$(BIN)/visage models pull dlib mtcnn
	@$(BIN)/python tests/photos.py
	@$(NPM) test
	@$(BIN)/python -m pytest

lint: .venv/.dev web/node_modules/.installed ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	@mkdir -p .cache && $(BIN)/visage openapi > .cache/openapi.json
	$(NPM) run lint

page: $(PAGE) ## build the page that the server serves

client: .venv/.serve web/node_modules/.installed ## write the page's API client anew, after a change of the API
	@mkdir -p .cache && $(BIN)/visage openapi > .cache/openapi.json
	@$(NPM) run generate

screens: .venv/.dev $(PAGE) ## pictures of every screen in docs/screens, to be looked at before a release
	@$(BIN)/visage models pull
	@$(BIN)/python -m tests.e2e.screens

check: lint $(PAGE) ## everything that must hold, with coverage
	@$(BIN)/visage models pull
	@$(BIN)/visage models pull dlib mtcnn
	@$(BIN)/python tests/photos.py
	@$(NPM) test
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest
	@$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=90

fuzz: .venv/.dev ## attack the decoder with 100,000 mutated pictures, the API with what its document allows and forbids
	@$(BIN)/python -m tests.attacks.fuzz_images 100000
	@$(BIN)/python -m tests.attacks.fuzz_api 500

torture: .venv/.dev ## kill the bank hundreds of times and flip its bits; writes docs/durability.md (minutes)
	@$(BIN)/python -m tests.torture

format: .venv/.dev web/node_modules/.installed ## rewrite the code as the formatter likes it
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(NPM) run format

lock: .venv/.dev ## renew the locked requirements
	$(COMPILE) -o requirements/serve.txt pyproject.toml requirements/build.in
	$(COMPILE) -o requirements/dev.txt --extra dev -c requirements/serve.txt pyproject.toml requirements/build.in

clean: ## remove what the set-up made (never your data)
	rm -rf .venv .cache src/visage/vision/models src/visage/api/page web/node_modules build dist .coverage*

.venv/.python:
	@command -v $(PYTHON) >/dev/null || { echo "Visage needs Python 3.11 or later; python3 is not installed."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Visage needs Python 3.11 or later; $(PYTHON) is older. Name another: make PYTHON=python3.12"; exit 1; }
	@command -v npm >/dev/null || { echo "Visage needs Node 20 or later with npm: for the page, and for one of the models."; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "Visage needs Python's venv; on Debian: apt-get install python3-venv"; exit 1; }
	@touch $@

.venv/.serve: .venv/.python requirements/serve.txt pyproject.toml
	@echo "Setting up; this takes a few minutes the first time …"
	@$(PIP) --require-hashes -r requirements/serve.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: .venv/.serve requirements/dev.txt
	@$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@

web/node_modules/.installed: web/package.json web/package-lock.json
	@echo "Setting up the page …"
	@npm ci --prefix web --no-audit --no-fund --silent
	@touch $@

$(PAGE): web/node_modules/.installed $(PAGE_SOURCES)
	@echo "Building the page …"
	@$(NPM) run build
