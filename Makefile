# make demo: the whole pipeline from nothing; make test: the tests. Each sets up what it needs.
SHELL := /bin/bash
VENV ?= .venv
PROFILE ?= tiny
BIN := $(abspath $(VENV))/bin
RUN := PATH="$(BIN):$$PATH" PYTHONPATH=. DVC_NO_ANALYTICS=1
# the first Python that is 3.11 or 3.12 and runs; PYTHON=... chooses another
PYTHON ?= $(shell for p in python3.11 python3.12 python3; do \
  $$p -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null && echo $$p && break; done)
# a profile other than the committed one is composed in a worktree, so that this checkout stays clean; cache and
# registry are the same
SCRATCH := .lookout/demo-$(PROFILE)

.PHONY: help setup setup-gpu dev demo test test-slow bench drill check format deps up down status

help:
	@echo "make demo [PROFILE=smoke] | setup-gpu | up | down | status | test | test-slow | bench | drill | check | format | deps"

# what is never imported is not compiled
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt

# setup: what runs the pipeline; dev: also what tests and checks it (a browser's driver, a type checker, a mock cloud)
setup: $(VENV)/.installed
dev: $(VENV)/.installed-dev

$(VENV)/.installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 or 3.12 found; install one or say make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP_INSTALL) -e '.[dev]'
	touch $@

# a second environment, with vLLM, for the processes of sft, grpo and predict: `launch.python: gpu` in params
GPU_VENV ?= .venv-gpu
setup-gpu: $(GPU_VENV)/.installed

$(GPU_VENV)/.installed: deploy/gpu/requirements.in deploy/gpu/constraints.txt
	$(PYTHON) -m venv $(GPU_VENV)
	$(GPU_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -r deploy/gpu/requirements.in -c deploy/gpu/constraints.txt
	touch $@

demo: setup
ifeq ($(PROFILE),tiny)
	@$(RUN) python -m components.cli.main doctor --repair
	$(RUN) dvc repro
	$(RUN) python -m components.cli.main summary
else
	rm -rf $(SCRATCH) && git worktree prune && git worktree add --quiet --detach $(SCRATCH)
	$(RUN) dvc --cd $(SCRATCH) cache dir --local "$$($(BIN)/dvc cache dir)"
	cd $(SCRATCH) && $(RUN) python -m components.cli.main compose $(PROFILE) && $(RUN) dvc repro && $(RUN) python -m components.cli.main summary
endif

# Prefect's and MLflow's servers, a worker, deployments with schedules: on loopback
up down status: setup
	@$(RUN) python -m components.cli.main $@

test: dev
	$(RUN) pytest -n 2

test-slow: dev
	$(RUN) pytest -m "slow and not drill" -n 2 --dist loadscope

# the quick form of every benchmark, less than ten minutes on an idle machine -> docs/benchmarks.md and its plots
bench: dev
	$(RUN) python -m benchmarks.run

# kills, full disks, damaged files, hostile input: hours of an idle machine -> docs/drill.md
drill: dev
	$(RUN) pytest -m drill
	$(RUN) python -m tests.drill.campaign

check: dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(RUN) pyright
	$(RUN) lint-imports
	$(BIN)/uv pip compile --quiet --python-version 3.11 -c deploy/gpu/constraints.txt deploy/gpu/requirements.in > /dev/null

format: dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# writes each stage's code dependencies (the import closure of its module) into dvc.yaml
deps: setup
	$(RUN) python -m components.graph.code_deps --write
