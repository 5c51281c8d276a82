# make demo   train a VAE on real handwritten digits and write its report (two minutes)
# make test   lint, types and the fast tests
# make slow   the long evidence runs
# make docs   build the documentation into site/index.html
# make clean  forget the environment and the caches; runs/ stays

VENV := .venv
BIN  := $(VENV)/bin
DEMO := runs/demo

# The first interpreter that exists, starts and is 3.11, 3.12 or 3.13; PYTHON=… chooses another.
FITS := import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
            "$$p" -c "$(FITS)" >/dev/null 2>&1 && { echo "$$p"; break; }; done)

# Tests side by side, each with one thread and up to 2 GB.
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo test slow docs clean

help:
	@sed -n 's/^# //p' Makefile | head -5

demo: $(VENV)/.core
	@rm -rf $(DEMO)
	$(BIN)/latentia fit digits --model vae --minutes 1.5 --out $(DEMO)
	@echo
	@echo "The report:      $(CURDIR)/$(DEMO)/report.html"
	@echo "The sample grid: $(CURDIR)/$(DEMO)/samples.png"

test: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n $(JOBS) --dist worksteal

slow: $(VENV)/.dev
	$(BIN)/pytest -m slow --timeout 0

docs: $(VENV)/.dev
	$(BIN)/mkdocs build --strict --quiet
	@echo "The site: $(CURDIR)/site/index.html"

clean:
	rm -rf $(VENV) site .pytest_cache .mypy_cache .ruff_cache .hypothesis build src/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp per set of packages: pip runs again only when pyproject.toml is newer.
$(VENV)/.core: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	@touch $@ $(VENV)/.core

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Latentia needs Python 3.11, 3.12 or 3.13 with venv, and found none." \
	  "Install one, or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@"$(PYTHON)" -c "$(FITS)" 2>/dev/null || { echo "Latentia needs Python 3.11, 3.12 or 3.13 with venv, but PYTHON=$(PYTHON) is" \
	  "$$("$(PYTHON)" --version 2>&1 | head -1). Name another: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	"$(PYTHON)" -m venv $(VENV)
