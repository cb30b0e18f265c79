# What a developer needs, one word each: `make help`.

SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
ARCHITECTURE ?= arm64
LOCAL_DIR ?= .local
ONCE ?=

BIN := .venv/bin
READY := .venv/ready
CHINA_AND_GLOBAL := us-east-1 eu-central-1 cn-north-1 cn-northwest-1
REQUIREMENTS := requirements-dev.txt layers/shared/requirements.txt
TEST_DIR := .local/test

export LOCAL_DIR
# Functions are deployed as they lie there: no byte code shall gather among them.
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

.PHONY: setup
setup: $(READY) ## the virtual environment with everything pinned (once)

$(READY): $(REQUIREMENTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	@echo "setting up .venv (once, about a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --requirement requirements-dev.txt
	@touch $(READY)

.PHONY: run
run: $(READY) ## the whole stack and one conversation before your eyes; Ctrl-C ends it (ONCE=1: ends after the walk)
	@exec $(BIN)/python -m local.walk $(if $(ONCE),--once)

.PHONY: up
up: $(READY) ## the stack in the background; .local/stack.json says where everything is
	@exec $(BIN)/python -m local.stack up

.PHONY: down
down: $(READY) ## stop the background stack
	@exec $(BIN)/python -m local.stack down

.PHONY: status
status: $(READY) ## what runs, and where
	@exec $(BIN)/python -m local.stack status

.PHONY: logs
logs: $(READY) ## the last lines of every log
	@exec $(BIN)/python -m local.stack logs

.PHONY: simulator
simulator: $(READY) ## only the WeChat simulator, in the foreground
	@exec $(BIN)/python -m local.simulator --port 0

.PHONY: import
import: $(READY) ## register merchants from FILE=merchants.csv on the stack of .local (ARGS: see --help)
	@$(BIN)/python -m tools.ops.import_merchants $(FILE) $(ARGS)

.PHONY: replay
replay: $(READY) ## count dead letters, put them back in line, or discard them (ARGS="deliveries --dry-run"; see --help)
	@exec $(BIN)/python -m tools.ops.replay $(ARGS)

# On all processors. The others take turns: their servers and workers want the machine for themselves.
UNIT_TESTS = $(BIN)/python -m pytest --numprocesses auto --dist loadfile tests/unit tests/template

.PHONY: test
test: lint $(READY) ## everything: lint, unit, contracts, template, end to end on a stack of its own, and the page in Chromium if there is one
	@$(UNIT_TESTS)
	@$(BIN)/python -m pytest tests/contracts tests/browser tests/e2e

.PHONY: test-unit
test-unit: $(READY) ## the fast tests: no stack, no emulator
	@$(UNIT_TESTS)

.PHONY: test-browser
test-browser: $(READY) ## the demo page in a real browser (needs chromium, or CHROMIUM=/path/to/it)
	@REQUIRE_BROWSER=1 $(BIN)/python -m pytest tests/browser

.PHONY: lint
lint: $(READY) ## ruff, mypy, cfn-lint for global and China regions, sam validate
	@$(MAKE) --no-print-directory --jobs 2 lint-python lint-template

.PHONY: lint-python
lint-python: $(READY)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy layers/shared/wechat_kf functions tools local benchmarks tests

.PHONY: lint-template
lint-template: $(READY)
	@$(BIN)/cfn-lint template.yaml --regions $(CHINA_AND_GLOBAL)
	@AWS_DEFAULT_REGION=us-east-1 SAM_CLI_TELEMETRY=0 $(BIN)/sam validate --lint

.PHONY: format
format: $(READY) ## put the code in shape
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

.PHONY: docs
docs: $(READY) ## write the generated documents: HTTP API, OpenAPI, configuration
	@$(BIN)/python -m tools.docs.openapi
	@$(BIN)/python -m tools.docs.configuration_page

SCAN := .venv-scan/bin
SCAN_READY := .venv-scan/ready

.PHONY: fuzz
fuzz: $(READY) ## property tests with new examples, then coverage-guided fuzzing of the push path, some minutes; writes tests/fuzz/RESULTS.md
	@$(BIN)/python -m pytest -q --hypothesis-profile=explore -m hypothesis tests/unit
	@PYTHONPATH=layers/shared:. $(BIN)/python -m tests.fuzz

$(SCAN_READY): requirements-scan.txt
	@echo "setting up .venv-scan (once, about a minute)"
	@test -x $(SCAN)/python || $(PYTHON) -m venv .venv-scan
	@$(SCAN)/python -m pip install -qq --disable-pip-version-check --requirement requirements-scan.txt
	@touch $(SCAN_READY)

.PHONY: scan
scan: $(READY) $(SCAN_READY) ## checkov over the template; what is off and why: .checkov.yaml
	@mkdir -p .local && $(BIN)/python -m tools.docs.template_file > .local/template.json
	@$(SCAN)/checkov --config-file .checkov.yaml

.PHONY: audit
audit: $(READY) $(SCAN_READY) ## known faults of everything installed here (needs the internet)
	@$(SCAN)/python -c 'import requests; requests.get("https://api.osv.dev", timeout=10)' 2>/dev/null \
		|| { echo "no advisory database within reach (api.osv.dev): run this where the internet is"; exit 1; }
	@$(SCAN)/pip-audit --vulnerability-service osv --progress-spinner off --path \
		"$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

.PHONY: bench
bench: $(READY) ## measure both sides in one run, some minutes; writes benchmarks/RESULTS.md
	@$(BIN)/python -m benchmarks

.PHONY: chaos
chaos: $(READY) ## the deployed stack under a scripted storm, some 20 minutes; writes tests/chaos/RESULTS.md (ARGS: --seed, --pushes, --sends)
	@PYTHONPATH=layers/shared $(BIN)/python -m tests.chaos --report tests/chaos/RESULTS.md $(ARGS)

.PHONY: chaos-in-process
chaos-in-process: $(READY) ## 100 000 pushes against the layer alone, a minute or two; writes tests/chaos/RESULTS.md
	@PYTHONPATH=layers/shared $(BIN)/python -m tests.chaos --in-process --report tests/chaos/RESULTS.md $(ARGS)

.PHONY: doctor
doctor: $(READY) ## check a stack, local or deployed (ARGS="--stack-name NAME --region R")
	@$(BIN)/python -m tools.ops.doctor $(ARGS)

# One cache per architecture: SAM's cache key knows the layer's files, not what they were built for.
# The built template takes no other Architecture than its layer's: CloudFormation refuses the other one,
# which would fail at the first import.
BUILT := .aws-sam/build
PIN = /^    - /d; s/^    AllowedValues:.*/    AllowedValues: [$(ARCHITECTURE)]/; s/^    Default:.*/    Default: $(ARCHITECTURE)/
.PHONY: build
build: $(READY) ## what `sam deploy` needs (ARCHITECTURE=arm64|x86_64)
	@MAKEFLAGS= PATH="$(CURDIR)/$(BIN):$$PATH" PYTHON="$(CURDIR)/$(BIN)/python" LAYER_ARCHITECTURE=$(ARCHITECTURE) \
		AWS_DEFAULT_REGION=$${AWS_DEFAULT_REGION:-us-east-1} SAM_CLI_TELEMETRY=0 \
		$(BIN)/sam build --cached --cache-dir .aws-sam/cache-$(ARCHITECTURE)
	@sed -i.bak '/^  Architecture:/,/^    Default:/{ $(PIN); }' $(BUILT)/template.yaml
	@grep -qx '    AllowedValues: .$(ARCHITECTURE).' $(BUILT)/template.yaml \
		|| { echo "the built template could not be bound to $(ARCHITECTURE)"; exit 1; }
	@find -L $(BUILT)/SharedLayer -name '*.pyc' | grep -q . \
		|| echo "WARNING: the layer has no byte code, for no python3.13 could be run: every cold start" \
		"compiles it anew. To mend it, put python3.13 on PATH, rm -r .aws-sam, and build again."

.PHONY: clean
clean: ## stop the stacks and remove everything that was made here
	@test ! -e $(READY) || $(BIN)/python -m local.stack down
	@test ! -e $(READY) || LOCAL_DIR=$(TEST_DIR) $(BIN)/python -m local.stack down
	rm -rf .venv .venv-scan .local .aws-sam .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
