# bitfront: `make demo` explores a trained network, `make test` checks everything. Both make their own environment in
# .venv with your PYTHON and your pip settings.

PYTHON ?= python3
VENV := .venv
FINN := .venv-finn
BIN := $(VENV)/bin
SUDO := $(shell [ "$$(id -u)" = 0 ] || command -v sudo)
CI_TOOLS := g++ iverilog verilator opensta qflow-tech-osu018 chromium espeak-ng
TRITON := triton==3.9.0
# What a CPU build of torch and all other packages take, with room for their downloads.
NEEDED_MEGABYTES := 4000

.DEFAULT_GOAL := help
.PHONY: help demo test lint types structure pytest slow mutate bench peers workloads reports ci-tools check-python clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/installed-report ## install, explore the built-in network `digits`, print its Pareto front
	@$(BIN)/bitfront explore digits

test: $(VENV)/installed-dev lint types structure pytest ## install what tests need, then lint, types, structure and tests

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed-dev
	$(BIN)/mypy

structure: $(VENV)/installed-dev
	$(BIN)/lint-imports

pytest: $(VENV)/installed-dev
	$(BIN)/pytest --numprocesses auto -m "not slow"

slow: $(FINN)/installed $(VENV)/installed-workloads ## the tests that take long
	FINN_PYTHON=$(CURDIR)/$(FINN)/bin/python $(BIN)/pytest --numprocesses auto -m slow

mutate: $(VENV)/installed-dev ## plant known faults one by one; fails if the tests miss one
	$(BIN)/python -m tests.mutation.mutate

bench: $(VENV)/installed-peers ## measure speeds, hold costs against their bars, write reports/published/*.md
	$(BIN)/python -m tests.benchmarks.bench

peers: $(VENV)/installed-peers $(FINN)/installed ## install what benchmarks and slow tests measure beside us

workloads: $(VENV)/installed-workloads ## install the packages whose networks and data some workloads read

reports: $(VENV)/installed-report ## rebuild reports/published from a fresh exploration of digits and the committed rows
	$(BIN)/python -m dse.publish reports/published/digits
	$(BIN)/python -m dse.publish_hardware reports/published

ci-tools: ## install the system tools that some tests use (Debian packages; needs root or sudo)
	$(SUDO) apt-get update -qq
	$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(CI_TOOLS)

$(VENV)/installed-report: EXTRA := report
$(VENV)/installed-dev: EXTRA := dev
$(VENV)/installed-dev: tests/foreign.txt
$(VENV)/installed-report $(VENV)/installed-dev: pyproject.toml constraints.txt | check-python
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$(EXTRA)]'
	$(if $(filter dev,$(EXTRA)),$(BIN)/python -m pip install --quiet --no-deps -r tests/foreign.txt)
	@# A CUDA build of torch brings its own Triton; beside a CPU build the tests need one for its interpreter.
	$(if $(filter dev,$(EXTRA)),@$(BIN)/python -c "import triton" 2>/dev/null || $(BIN)/python -m pip install --quiet --no-deps $(TRITON))
	@touch $@

$(VENV)/installed-peers: tests/peers.txt $(VENV)/installed-dev
	$(BIN)/python -m pip install --quiet --no-deps -r tests/peers.txt
	@# pyaugmecon, which the optimiser is measured beside, wants a newer Python; without one its lines stay empty.
	@for python in python3.14 python3.13 python3.12; do command -v $$python >/dev/null || continue; $$python -m venv .venv-augmecon && .venv-augmecon/bin/pip install --quiet -r tests/peers-augmecon.txt; break; done
	@touch $@

$(VENV)/installed-workloads: emulation/workloads/packages.txt $(VENV)/installed-dev
	$(BIN)/python -m pip install --quiet --no-deps -r $<
	@touch $@

$(FINN)/installed: tests/finn.txt $(VENV)/installed-dev
	$(BIN)/python -m venv --clear $(FINN)
	$(FINN)/bin/python -m pip install --quiet --no-deps -r tests/finn.txt
	@site='import sysconfig; print(sysconfig.get_path("purelib"))'; $(BIN)/python -c "$$site" > "$$($(FINN)/bin/python -c "$$site")/ours.pth"
	@touch $@

check-python:
	@command -v $(PYTHON) >/dev/null || { echo "bitfront needs Python 3.11 or newer, and there is no $(PYTHON): install one, or name yours with make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "bitfront needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) -c 'import platform; print(platform.python_version())'): name another one with make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) lacks the venv module: install it (on Debian and Ubuntu: apt-get install python3-venv), or name another Python with make PYTHON=/path/to/python3" >&2; exit 1; }
	@test -d $(VENV) || test "$$(df -Pm . | awk 'NR==2{print $$4}')" -ge $(NEEDED_MEGABYTES) || { echo "bitfront needs $(NEEDED_MEGABYTES) MB of free disk here (about 8 GB if pip picks a CUDA build of torch, see README.md), and $$(df -Pm . | awk 'NR==2{print $$4}') MB are free: make room, or work in another folder" >&2; exit 1; }

clean: ## remove the environment and all caches
	rm -rf $(VENV) $(FINN) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
