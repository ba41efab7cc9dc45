.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SITE_STAMP := $(VENV)/.installed_site

.PHONY: help install demo test lint docs site torture bench gpu study study-report clean

help:
	@echo "make demo     install if needed, then train and compare; results in demo/"
	@echo "make test     install if needed, then run the quick tests"
	@echo "make lint     ruff (format and rules) and mypy"
	@echo "make docs     run what README, docs/, CONTRIBUTING and examples/ show; build the site"
	@echo "make site     the documentation as pages in build/site; a warning or a dead link ends it"
	@echo "make torture  bad settings, tables and run folders at random, and kills (about an hour); SEED=N repeats one"
	@echo "make bench    install if needed, with the peers; then measure speed (about an hour)"
	@echo "make gpu      on a machine with a card: equality, waits, kernels, speed, memory (at most 8 minutes)"
	@echo "make study    run the cells of the study that stand in no table (hours; may be stopped and continued)"
	@echo "make study-report  figures, tables and verdicts of docs/study.md from studies/results"
	@echo "make clean    remove the virtual environment, caches and demo/ (never runs/)"

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $(STAMP)

# twisted_mirror at lift=identity: the theorems on what a flow cannot do hold there, so a prediction can fail.
demo: install
	$(BIN)/ddl-dyn --runs demo compare with \
	  tasks=van_der_pol,twisted_mirror,sunspots models=ddl,resnet,highway,neural_ode \
	  per_task.twisted_mirror.model_args.lift=identity \
	  per_task.van_der_pol.task_args.mu=1.5 per_task.van_der_pol.task_args.dt=0.1 \
	  budget.kind=parameters train.updates=1000 data.steps=100

test: install
	$(BIN)/python -m pytest -m "not slow" -n auto

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Code blocks, examples, links, paths and names: documents that run stay true.
docs: install site
	$(BIN)/python -m pytest tests/test_readme.py tests/test_docs.py tests/test_face.py tests/test_examples.py \
	  tests/config/test_user_files.py tests/site

# What builds the site is wanted here alone.
$(SITE_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[site]"
	@touch $(SITE_STAMP)

# The variable silences a notice of the theme on a later mkdocs.
site: install $(SITE_STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build -f docs/site/mkdocs.yml

# Prints its seed and counts; a fault with the words that repeat it.
SEED ?= 0
torture: install
	$(BIN)/python -m tests.torture --seed $(SEED)

# The peers are wanted here alone; without them the benchmark runs with empty columns.
bench: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[bench]"
	$(BIN)/python -m benchmarks.throughput

# The machine's own Python, whose torch is built for its card.
gpu:
	$(PYTHON) -m benchmarks.gpu

study: install
	$(BIN)/python -m studies list
	$(BIN)/python -m studies run

study-report: install
	$(BIN)/python -m studies report

clean:
	rm -rf $(VENV) demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
