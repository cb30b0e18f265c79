# Developer commands; `make help` lists them.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# Lambda's Python where there is one, so that `make run` and `make test` use what Lambda uses.
LAMBDA_PYTHONS := python3.13 $(wildcard $(HOME)/.pyenv/versions/3.13*/bin/python3.13)
PYTHON ?= $(firstword $(foreach python,$(LAMBDA_PYTHONS),$(shell $(python) -c 'import sys; print(sys.executable)' 2>/dev/null)) python3)
ARCHITECTURE ?= arm64
LOCAL_DIR ?= .local
ONCE ?=

BIN := .venv/bin
READY := .venv/ready
CHINA_AND_GLOBAL := us-east-1 eu-central-1 cn-north-1 cn-northwest-1
REQUIREMENTS := requirements-dev.txt layers/shared/requirements.txt
TEST_DIR := .local/test

export LOCAL_DIR
# Functions are deployed from the source tree, so keep byte code out of it.
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help
help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-17s %s\n", $$1, $$2}' Makefile

.PHONY: setup
setup: $(READY) ## create the virtual environment with all pinned packages

$(READY): $(REQUIREMENTS) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is required: make PYTHON=python3.12")'
	@echo "creating .venv (once, about a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --requirement requirements-dev.txt
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

.PHONY: run
run: $(READY) ## start the local stack and play one conversation; Ctrl-C stops it (ONCE=1: stop after the conversation)
	@exec $(BIN)/wechat-kf run $(if $(ONCE),--once)

.PHONY: up
up: $(READY) ## start the local stack in the background; .local/stack.json has its addresses and credentials
	@exec $(BIN)/wechat-kf up

.PHONY: down
down: $(READY) ## stop the local stack
	@exec $(BIN)/wechat-kf down

.PHONY: status
status: $(READY) ## show what runs, and its URLs
	@exec $(BIN)/wechat-kf status

.PHONY: logs
logs: $(READY) ## show the last lines of every log
	@exec $(BIN)/wechat-kf logs $(ARGS)

.PHONY: simulator
simulator: $(READY) ## run only the WeChat simulator, in the foreground
	@exec $(BIN)/wechat-kf simulator $(ARGS)

.PHONY: import
import: $(READY) ## register merchants from FILE=merchants.csv, by default on the local stack (ARGS: see --help)
	@$(BIN)/wechat-kf import $(FILE) $(ARGS)

.PHONY: replay
replay: $(READY) ## count, replay or discard dead letters (ARGS="deliveries --dry-run"; see --help)
	@exec $(BIN)/wechat-kf replay $(ARGS)

# Unit tests run in parallel; the others run one after another because they start servers and workers.
UNIT_TESTS = $(BIN)/python -m pytest --numprocesses auto --dist loadfile tests/unit tests/template

.PHONY: test
test: lint $(READY) ## run everything: lint, unit, template and contract tests, end-to-end tests on their own stack, the page in Chromium if installed
	@$(UNIT_TESTS)
	@$(BIN)/python -m pytest tests/contracts tests/browser tests/e2e

.PHONY: rehearsal
rehearsal: $(READY) ## run the built artefact in Lambda's own runtime, and the end-to-end tests through it (CPU=lambda, RUNTIME=oldest|newest)
	@exec $(BIN)/python -m tests.rehearsal $(if $(CPU),--cpu $(CPU)) $(if $(RUNTIME),--runtime $(RUNTIME)) $(if $(ARGS),-- $(ARGS))

.PHONY: test-deployments
test-deployments: $(READY) ## update a stack with data in it, let an update and a creation fail (UPDATE_FROM=COMMIT: update from that commit's stack)
	@$(if $(UPDATE_FROM),UPDATE_FROM=$(UPDATE_FROM)) $(BIN)/python -m pytest tests/deployments

# The unit tests on every Python that is supported, where this machine has it.
.PHONY: test-pythons
test-pythons: $(READY) ## run the unit tests on Python 3.11, 3.12 and 3.13, as far as they are installed
	@$(BIN)/python -m tests.rehearsal.all_pythons 3.11 3.12 3.13

MOTO := .venv-moto/bin
MOTO_READY := .venv-moto/ready

$(MOTO_READY): requirements-moto.txt
	@echo "setting up .venv-moto (once, about a minute)"
	@test -x $(MOTO)/python || $(PYTHON) -m venv .venv-moto
	@$(MOTO)/python -m pip install -qq --disable-pip-version-check --requirement requirements-moto.txt
	@touch $(MOTO_READY)

.PHONY: contracts-moto
contracts-moto: $(READY) $(MOTO_READY) ## the contract tests on another emulator, moto, and the template as far as moto can deploy it
	@$(BIN)/python -m tests.rehearsal.on_moto $(MOTO)/python

.PHONY: test-unit
test-unit: $(READY) ## run the fast tests, without stack or emulator
	@$(UNIT_TESTS)

.PHONY: test-browser
test-browser: $(READY) ## test the demo page in a real browser (needs chromium, or CHROMIUM=/path/to/it)
	@REQUIRE_BROWSER=1 $(BIN)/python -m pytest tests/browser

SPELLED := *.md *.yml template.yaml docs events examples functions layers/shared/wechat_kf local tools benchmarks

.PHONY: lint
lint: $(READY) ## run ruff, mypy, cfn-lint for global and China regions, and sam validate
	@$(MAKE) --no-print-directory --jobs 2 lint-python lint-template

.PHONY: lint-python
lint-python: $(READY)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/codespell $(SPELLED)
	@$(BIN)/mypy layers/shared/wechat_kf local/wechat_kf_local tools/generators tools/wechat_kf_cli functions benchmarks tests

.PHONY: lint-template
lint-template: $(READY)
	@$(BIN)/cfn-lint template.yaml --regions $(CHINA_AND_GLOBAL)
	@AWS_DEFAULT_REGION=us-east-1 SAM_CLI_TELEMETRY=0 $(BIN)/sam validate --lint

.PHONY: format
format: $(READY) ## format the code and apply ruff's fixes
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

.PHONY: docs
docs: $(READY) ## generate documents: OpenAPI, errors, event schemas, AsyncAPI, configuration
	@$(BIN)/python -m generators.openapi
	@$(BIN)/python -m generators.event_schemas
	@$(BIN)/python -m generators.configuration_page

.PHONY: site
site: $(READY) ## build the site of all pages in both languages into .local/site/html; a broken link is an error
	@$(BIN)/python -m generators.site_pages
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@echo "to read it: $(BIN)/python -m http.server --bind 127.0.0.1 --directory .local/site/html"

SCAN := .venv-scan/bin
SCAN_READY := .venv-scan/ready

.PHONY: fuzz
fuzz: $(READY) ## run property tests with new examples, then coverage-guided fuzzing of the push path (minutes); writes tests/fuzz/RESULTS.md
	@$(BIN)/python -m pytest -q --hypothesis-profile=explore -m hypothesis tests/unit
	@$(BIN)/python -m tests.fuzz

$(SCAN_READY): requirements-scan.txt
	@echo "creating .venv-scan (once, about a minute)"
	@test -x $(SCAN)/python || $(PYTHON) -m venv .venv-scan
	@$(SCAN)/python -m pip install -qq --disable-pip-version-check --requirement requirements-scan.txt
	@touch $(SCAN_READY)

.PHONY: scan
scan: $(READY) $(SCAN_READY) ## run checkov on the template; disabled checks and reasons: .checkov.yaml
	@mkdir -p .local && $(BIN)/python -m generators.template_file > .local/template.json
	@$(SCAN)/checkov --config-file .checkov.yaml

.PHONY: audit
audit: $(READY) $(SCAN_READY) ## check installed packages for known vulnerabilities (needs internet access)
	@$(SCAN)/python -c 'import requests; requests.get("https://api.osv.dev", timeout=10)' 2>/dev/null \
		|| { echo "cannot reach the advisory database api.osv.dev: internet access is required"; exit 1; }
	@$(SCAN)/pip-audit --vulnerability-service osv --progress-spinner off --path \
		"$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

.PHONY: bench
bench: $(READY) ## run all benchmarks (minutes); writes benchmarks/RESULTS.md
	@$(BIN)/python -m benchmarks

.PHONY: chaos
chaos: $(READY) ## run the chaos test on the deployed stack (about 20 minutes); writes tests/chaos/RESULTS.md (ARGS: --seed, --pushes, --sends)
	@$(BIN)/python -m tests.chaos --report tests/chaos/RESULTS.md $(ARGS)

.PHONY: chaos-in-process
chaos-in-process: $(READY) ## run the chaos test in process with 100 000 pushes (1 to 2 minutes); writes tests/chaos/RESULTS.md
	@$(BIN)/python -m tests.chaos --in-process --report tests/chaos/RESULTS.md $(ARGS)

.PHONY: doctor
doctor: $(READY) ## check a stack, local or deployed (ARGS="--stack-name NAME --region R")
	@$(BIN)/wechat-kf doctor $(ARGS)

# One cache per architecture: SAM's cache key covers the layer's files, not the architecture.
# The built template accepts only the layer's Architecture, so that CloudFormation refuses the other one
# instead of failing at the first import.
BUILT ?= .aws-sam/build
BUILD_CACHE ?= .aws-sam/cache-$(ARCHITECTURE)
.PHONY: build
build: $(READY) ## build what `sam deploy` needs (ARCHITECTURE=arm64|x86_64)
	@MAKEFLAGS= PATH="$(CURDIR)/$(BIN):$$PATH" PYTHON="$(CURDIR)/$(BIN)/python" LAYER_ARCHITECTURE=$(ARCHITECTURE) \
		AWS_DEFAULT_REGION=$${AWS_DEFAULT_REGION:-us-east-1} SAM_CLI_TELEMETRY=0 \
		$(BIN)/sam build --cached --cache-dir $(BUILD_CACHE) --build-dir $(BUILT)
	@$(BIN)/python -m generators.pin_architecture $(BUILT)/template.yaml $(ARCHITECTURE)
	@find -L $(BUILT)/SharedLayer -name '*.pyc' | grep -q . \
		|| echo "WARNING: python3.13 was not found, so the layer has no byte code and every cold start" \
		"compiles it. To fix this, put python3.13 on PATH, rm -r .aws-sam, and build again."

DIST ?= dist
.PHONY: release
release: $(READY) site ## make what a release has, in dist/: wheel, sdist, built templates, OpenAPI, AsyncAPI, event schemas, site
	@rm -rf $(DIST) && mkdir -p $(DIST)
	@$(BIN)/python -m hatchling build --directory $(DIST)
	@for architecture in arm64 x86_64; do \
		$(MAKE) --no-print-directory build ARCHITECTURE=$$architecture BUILT=.aws-sam/release-$$architecture && \
		tar --dereference --sort=name --exclude 'functions/*/__pycache__' --transform "s,^.aws-sam/release-$$architecture,.aws-sam/build," \
			--transform 's,^,wechat-kf/,' -czf $(DIST)/wechat-kf-$$architecture.tar.gz \
			LICENSE README.md samconfig.toml functions .aws-sam/release-$$architecture || exit 1; done
	@cp docs/openapi.yaml $(DIST)/openapi.yaml
	@tar -C .local/site/html --sort=name -czf $(DIST)/wechat-kf-site.tar.gz .
	@tar -C docs --sort=name -czf $(DIST)/wechat-kf-events.tar.gz asyncapi.yaml schemas
	@ls -l $(DIST)

.PHONY: build-twice
build-twice: $(READY) ## check that two builds of the same files are the same, byte for byte
	@$(BIN)/python -m tests.rehearsal.build_twice

.PHONY: lock
lock: $(SCAN_READY) ## write the layer's locked requirements, with hashes, from its requirements.txt
	@$(SCAN)/python -m generators.lock_layer

.PHONY: clean
clean: ## stop the stacks and delete everything they created
	@test ! -e $(READY) || $(BIN)/wechat-kf down
	@test ! -e $(READY) || LOCAL_DIR=$(TEST_DIR) $(BIN)/wechat-kf down
	rm -rf .venv .venv-3.* .venv-scan .venv-moto .local .aws-sam .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
