# Everything here needs Python 3.11 or newer, make and git; the rest is set up
# by itself, into .venv and .tools beside this file.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Tests and benchmarks share the machine's cores with PostgreSQL.
WORKERS ?= 2

export UV_PYTHON_DOWNLOADS := never
# Where it is set, each of the many processes of a test run compiles everything anew.
unexport PYTHONDONTWRITEBYTECODE
UV := .tools/bin/uv
BIN := .venv/bin
SYNC := $(UV) sync --quiet --locked --python .tools/bin/python

.PHONY: help
help: ## This list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

.PHONY: demo
demo: .venv/.run ## One trading day through the real interfaces, then keep serving (ONCE=1: then end)
	@exec $(BIN)/kabao demo $(if $(filter-out 0 no false,$(ONCE)),--once)

.PHONY: test
test: .venv/.dev ## Every test, at counts for every day (ARGS="tests/ledger -k lots" for some)
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal -m "not proof" $(ARGS)

.PHONY: proof
proof: .venv/.dev ## The full counts of the reliability tests; takes hours
	@$(BIN)/pytest -m proof $(ARGS)

.PHONY: check
check: .venv/.dev ## Format, lint, types, layers
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

.PHONY: bench
bench: .venv/.dev ## Engine and HTTP against pgbench in the same run; writes benchmarks/results
	@$(BIN)/kabao bench $(ARGS)

.PHONY: fmt
fmt: .venv/.dev ## Format the code and mend what can be mended
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: lock
lock: $(UV) ## Resolve the dependencies anew into uv.lock
	@$(UV) lock

# The stamps are older than what they stand for whenever that has changed. The
# demo needs nothing of the developers' tools; what they add is left in place.
.venv/.run: uv.lock pyproject.toml $(UV)
	@echo "Installing Kabao into .venv ..." >&2
	@$(SYNC) --no-dev --inexact
	@touch $@

.venv/.dev: uv.lock pyproject.toml $(UV)
	@echo "Installing Kabao and its developers' tools into .venv ..." >&2
	@$(SYNC)
	@touch $@ .venv/.run

$(UV):
	@for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	    if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        found=$$python; break; \
	    fi; \
	done; \
	if [ -z "$${found:-}" ]; then \
	    echo "Kabao needs Python 3.11 or newer; python3 is $$(python3 --version 2>&1)." >&2; exit 1; \
	fi; \
	if ! "$$found" -m venv --clear .tools; then \
	    echo "Python cannot make virtual environments here; install python3-venv." >&2; exit 1; \
	fi; \
	.tools/bin/pip install --quiet --disable-pip-version-check 'uv>=0.9,<1'
