# Every target says what it is for after `##`; `make help` prints them.
PYTHON ?= python3
LOCK ?= requirements/dev.lock
OFFRAMP := .venv/bin/offramp

# Where Python is told to keep no bytecode it compiles every library anew at each start, which is half of what the tests do.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup up down status demo test check bench

help: ## Print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Make .venv what LOCK says (requirements/dev.lock; run.lock is enough to run it); <1 s when it is
	@$(PYTHON) deploy/stack/setup.py $(LOCK)

up: setup ## Start Kafka, PostgreSQL and S3 on this machine and make databases and topics
	@$(OFFRAMP) stack up
	@$(OFFRAMP) topics apply

down: setup ## Stop what `make up` started
	@$(OFFRAMP) stack down

status: setup ## Say what runs where
	@$(OFFRAMP) stack status

demo: setup ## Carry a customer out of its contract on real servers; DATA=folder of OULAD for real data
	@$(OFFRAMP) demo $(if $(DATA),--data $(DATA))

# Files of tests share the cores, as each has topics, databases and buckets of its own; chosen ones run one by one.
test: setup ## Run every test on real servers; ARGS="-k notice" for some
	@$(OFFRAMP) stack during -- .venv/bin/python -m pytest $(or $(ARGS),-n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder)

check: setup ## Lint, types, import contracts, generated files
	@.venv/bin/ruff check --quiet .
	@.venv/bin/ruff format --check --quiet .
	@.venv/bin/mypy
	@said=$$(.venv/bin/lint-imports --no-cache 2>&1) && echo "$$said" | tail -n 1 || { echo "$$said"; exit 1; }
	@$(OFFRAMP) events document --check

bench: LOCK = requirements/bench.lock
bench: setup ## Measure beside floors and peers, about a quarter of an hour; ONLY=relay for one, SCALE=1 for full size
	@$(OFFRAMP) stack during -- .venv/bin/python -m bench $(if $(ONLY),--only $(ONLY)) $(if $(SCALE),--scale $(SCALE))
