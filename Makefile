# Every target sets up what it needs; start with `make run`.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: mlflow-server help setup setup-dev run test check check-tests fuzz mutants lint audit bench demo-models screenshots clean faults load uploads

ADDRESS ?= 127.0.0.1
PORT ?= 8501
WORKERS ?= 1
PYTHON ?=
ARGS ?=
export PYTHON
# Compiled tests and modules are kept: every process of a test run would compile all of them again.
unexport PYTHONDONTWRITEBYTECODE

venv := .venv/bin/python
bootstrap := python=$$(sh scripts/find_python.sh) && exec "$$python" -m
# Several test processes, one per core; ARGS='-n 0' runs them in one.
pytest := $(venv) -m pytest -n logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile
	@echo
	@echo "  RSNA_ROOT=/data make run     use the RSNA 2022 set instead of synthetic studies"
	@echo "  make run PORT=8502           listen on another port"
	@echo "  make run WORKERS=4           four server processes behind HAProxy"
	@echo "  make test ARGS='-k boxes'    hand arguments to pytest (-n 0: one process; --cov measures coverage)"

setup:  ## make .venv with the packages the program needs
	@$(bootstrap) scripts.install

setup-dev:
	@$(bootstrap) scripts.install --dev

run:  ## set up, prepare synthetic studies, open the dashboard
	@$(bootstrap) scripts.launch --address "$(ADDRESS)" --port "$(PORT)" --workers "$(WORKERS)"

test: setup-dev  ## run all tests
	@$(pytest) $(ARGS)

check: setup-dev  ## lint, and the quick tests: no training, server, browser or full-size network
	@$(MAKE) --no-print-directory -j 2 lint check-tests

check-tests:
	@$(pytest) -q -m "not browser and not server and not training and not slow" $(ARGS)

fuzz: setup-dev  ## throw every malformed file at the readers and count what becomes of it
	@$(venv) -m tests.robustness.fuzz $(ARGS)

lint: setup-dev  ## check style, types and import layers
	$(venv) -m ruff check .
	$(venv) -m ruff format --check .
	$(venv) -m pyright
	$(venv) .venv/bin/lint-imports

faults: setup-dev  ## kill 200 writes half-way and look at what they left
	@$(venv) -m tests.faults.kill_writes $(ARGS)

load: setup-dev  ## load a server by 20 sessions (ARGS='--readers 30 --workers 2': a class): errors, leaks, times
	@$(venv) -m benchmarks.load_test $(ARGS)

uploads: setup-dev  ## send a server 500 uploads, half of them bad, and measure the memory it keeps
	@$(venv) -m benchmarks.upload_memory $(ARGS)

mutants: setup-dev  ## change the formulas one operator at a time and list what no test notices
	@$(venv) -m pip install -q -r requirements-mutants.txt
	@OMP_NUM_THREADS=1 $(venv) -m mutmut run $(ARGS) && $(venv) -m mutmut results

mlflow-server: setup  ## install an MLflow server below var/, for the test that reports to a real one
	@$(venv) -m venv var/mlflow-server
	@var/mlflow-server/bin/python -m pip install -q -r requirements-mlflow.txt

audit: setup-dev  ## list known vulnerabilities and the licences of all packages
	@$(venv) -m pip install -q -r requirements-audit.txt || echo "pip-audit cannot be installed; is there a network?"
	@$(venv) -m scripts.audit

bench: setup-dev  ## measure each claimed speed against its peer
	@$(venv) -m benchmarks.run $(ARGS)

demo-models: setup  ## train the shipped models again on synthetic studies
	@$(venv) -m core demo-models $(ARGS)

screenshots: setup-dev  ## take the pictures of docs/images again, in Chromium
	@$(venv) -m core demo
	@$(venv) -m scripts.screenshots $(ARGS)

clean:  ## remove caches and test output; .venv and var/ stay
	@rm -rf .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage htmlcov artifacts
	@find . -path ./.venv -prune -o -type d -name __pycache__ -exec rm -rf {} +
