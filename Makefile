# `make demo` and `make test` set everything up by themselves; see scripts/setup.sh.

VENV := $(or $(PROTOLABEL_VENV),.venv)
PYTHON_RUN := $(VENV)/bin/python
BACKEND := $(PYTHON_RUN) -m backend
DEMO := demo
PYTEST_ARGS ?=

SAMPLE_CODE := $(wildcard backend/sample/*.py)
LABEL_CODE := $(filter-out $(SAMPLE_CODE) backend/commands/%,$(shell find backend -name '*.py'))
MODELS := $(wildcard resources/models/*.safetensors)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test setup setup-demo lint format clean

help:  ## Show this list.
	@echo "make demo    generate a sample orthophoto in $(DEMO)/ and label it; then see $(DEMO)/side_by_side.png"
	@echo "make test    check style and types, then run all tests (PYTEST_ARGS='-k crf' runs some of them)"
	@echo "make setup   only make the Python environment $(VENV) (PROTOLABEL_VENV moves it)"
	@echo "make lint    check style and types"
	@echo "make format  bring all code into the common style"
	@echo "make clean   remove the demo and caches; the environment stays"

setup:
	@scripts/setup.sh dev

setup-demo:
	@scripts/setup.sh demo

demo: setup-demo $(DEMO)/side_by_side.png
	@echo
	@echo "Picture           $(CURDIR)/$(DEMO)/side_by_side.png"
	@echo "Orthophoto        $(CURDIR)/$(DEMO)/orthophoto.tif"
	@echo "Support polygons  $(CURDIR)/$(DEMO)/support.gpkg"
	@echo "Label map         $(CURDIR)/$(DEMO)/labels_predicted.tif"
	@echo "Confidence        $(CURDIR)/$(DEMO)/confidence.tif"
	@echo "Polygons          $(CURDIR)/$(DEMO)/polygons.gpkg"
	@echo "Truth             $(CURDIR)/$(DEMO)/labels.tif"

# Of several files that one command writes, the last one stands for all; the others only see to it that they exist.
$(DEMO)/support.gpkg: $(SAMPLE_CODE) | setup-demo
	$(BACKEND) sample $(DEMO)

$(DEMO)/orthophoto.tif $(DEMO)/labels.tif: $(DEMO)/support.gpkg | setup-demo
	@test -e $@ || $(BACKEND) sample $(DEMO)

LABEL = $(BACKEND) label $(DEMO)/orthophoto.tif $(DEMO)/support.gpkg $(DEMO)/labels_predicted.tif \
	--confidence $(DEMO)/confidence.tif --vector $(DEMO)/polygons.gpkg

$(DEMO)/labels_predicted.tif: $(DEMO)/support.gpkg $(LABEL_CODE) $(MODELS) | $(DEMO)/orthophoto.tif setup-demo
	$(LABEL)

$(DEMO)/confidence.tif $(DEMO)/polygons.gpkg: $(DEMO)/labels_predicted.tif | setup-demo
	@test -e $@ || $(LABEL)

$(DEMO)/side_by_side.png: $(DEMO)/labels_predicted.tif $(DEMO)/confidence.tif $(DEMO)/polygons.gpkg \
		backend/commands/compare.py | $(DEMO)/labels.tif setup-demo
	$(BACKEND) compare $(DEMO)/orthophoto.tif $(DEMO)/labels_predicted.tif $@ --truth $(DEMO)/labels.tif \
		--support $(DEMO)/support.gpkg --confidence $(DEMO)/confidence.tif

test: setup
	$(PYTHON_RUN) -m ruff check .
	$(PYTHON_RUN) -m ruff format --check --quiet .
	$(PYTHON_RUN) -m mypy backend
	$(PYTHON_RUN) -m pytest $(PYTEST_ARGS)

lint: setup
	$(PYTHON_RUN) -m ruff check .
	$(PYTHON_RUN) -m ruff format --check .
	$(PYTHON_RUN) -m mypy backend

format: setup
	$(PYTHON_RUN) -m ruff check --fix-only --quiet .
	$(PYTHON_RUN) -m ruff format .

clean:
	rm -rf $(DEMO) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
