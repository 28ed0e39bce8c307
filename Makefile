# `make demo` and `make test` set up all they need in .venv; nothing else is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

LOWEST := build/lowest
LOWEST_UV := $(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)
LOWEST_TOOLS := duckdb hypothesis librosa onnx onnxruntime polars pytest pytest-xdist scikit-image torchmetrics
LOWEST_TESTS := $(addprefix tests/test_,acoustics.py audio.py bulk.py bulk_ray.py cli.py hub.py \
  layout.py losses.py metrics.py models.py outputs.py packages.py pictures.py spectra.py wrap.py)

.PHONY: help demo test lint format bench tables docs page page-build dist lowest clean

help:  ## Say what there is to make
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' Makefile

demo: $(VENV)/.installed  ## Draw ten spoken digits with the shipped weights
	$(BIN)/audiate demo

test: $(VENV)/.installed-dev  ## Run all tests (with AUDIATE_DATA set, those on real data too)
	$(BIN)/pytest

lint: $(VENV)/.installed-dev  ## ruff and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/.installed-dev  ## Let ruff format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.installed-dev  ## Measure speed, as ratios
	$(BIN)/python -m benchmarks

tables: $(VENV)/.installed-dev  ## Print every table of the results into out/tables (AUDIATE_DATA; resumes)
	$(BIN)/python -m benchmarks.tables

docs: $(VENV)/.installed-docs  ## Build the documentation into build/docs; it has the page after page-build
	$(BIN)/sphinx-build -q -W --keep-going -j auto -d build/doctrees docs build/docs
	@echo "to read it, also with the page: $(BIN)/python -m http.server --bind 127.0.0.1 --directory build/docs"

page: page-build  ## Serve the page that listens and draws at http://127.0.0.1:4173
	cd web && npm run preview

page-build: web/node_modules/.installed $(VENV)/.installed-page  ## Build that page into web/dist
	$(BIN)/python web/prepare.py
	cd web && npm run build

dist: $(VENV)/.installed-build  ## Build both source distributions, and from these the wheels, into dist/
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/python -m build --outdir dist packages/papers

lowest: $(VENV)/bin/python  ## Run fast tests with the lowest versions of dependencies that are allowed
	$(BIN)/python -m venv --clear $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet uv
	$(LOWEST_UV) --resolution lowest-direct -e '.[bulk,measures,ray,tensorboard]'
	$(LOWEST)/bin/uv pip freeze --python $(LOWEST) --exclude-editable > $(LOWEST)/bounds.txt
	$(LOWEST_UV) --constraints $(LOWEST)/bounds.txt $(LOWEST_TOOLS)
	$(LOWEST)/bin/python -m pytest $(LOWEST_TESTS)
	# Exporting needs a later PyTorch than all else does.
	$(LOWEST_UV) --resolution lowest-direct --upgrade -e '.[onnx]'
	$(LOWEST)/bin/python -m pytest tests/test_export.py tests/test_wrap.py

clean:  ## Remove the virtual environments, and what was built
	rm -rf $(VENV) $(LOWEST) dist build/docs build/doctrees web/node_modules web/dist web/public/assets

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "audiate needs Python 3.11 or later: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "no venv module: on Debian, apt install python3-venv" >&2; exit 1; }

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "setting up $(VENV): PyTorch is large, this can take minutes"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "setting up $(VENV): PyTorch is large, this can take minutes"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-deps Resemblyzer
	@touch $@ $(VENV)/.installed $(VENV)/.installed-docs $(VENV)/.installed-page

$(VENV)/.installed-docs: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "setting up $(VENV): PyTorch is large, this can take minutes"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[docs]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-page: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "setting up $(VENV): PyTorch is large, this can take minutes"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[onnx]'
	@touch $@ $(VENV)/.installed

web/node_modules/.installed: web/package.json web/package-lock.json
	@command -v npm >/dev/null || \
	  { echo "the page needs Node.js 20 or later with npm: on Debian, apt install nodejs npm" >&2; exit 1; }
	cd web && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(VENV)/.installed-build: $(VENV)/bin/python constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt build
	@touch $@
