# `make demo` and `make test` set everything up by themselves; see scripts/setup.sh.

VENV := $(or $(PROTOLABEL_VENV),.venv)
PYTHON_RUN := $(VENV)/bin/python
QGIS_VENV := $(or $(PROTOLABEL_QGIS_VENV),.venv-qgis)
QGIS_RUN := $(QGIS_VENV)/bin/python
BACKEND := $(PYTHON_RUN) -m backend
DEMO := demo
PYTEST_ARGS ?=
MODEL_DATA := ../shared/data
MODEL_WEIGHTS := ../shared/weights/resnet50_imagenet_layer1-3.safetensors

SAMPLE_CODE := $(wildcard backend/sample/*.py)
LABEL_CODE := $(filter-out $(SAMPLE_CODE) backend/commands/%,$(shell find backend -name '*.py'))
MODELS := $(wildcard resources/models/*.safetensors)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo model test test-backend test-qgis test-desktop setup setup-demo setup-qgis lint format package translate clean

help:  ## Show this list.
	@echo "make demo       generate a sample orthophoto in $(DEMO)/ and label it; then see $(DEMO)/side_by_side.png"
	@echo "make test       check style, types and security, then run all tests (PYTEST_ARGS='-k crf' runs some of them);"
	@echo "                test-backend, test-qgis and test-desktop are its parts"
	@echo "make model      train the shipped encoder again from scratch (MODEL_DATA=folder, MODEL_WEIGHTS=file): 40 minutes"
	@echo "make lint       check style, types and security"
	@echo "make format     bring all code into the common style"
	@echo "make package    pack the last commit as dist/protolabel.zip, which QGIS installs"
	@echo "make translate  bring resources/i18n up to date with the texts in the code (LANGUAGES='de fr' adds some)"
	@echo "make setup      only make the Python environment $(VENV) (PROTOLABEL_VENV moves it)"
	@echo "make setup-qgis only make $(QGIS_VENV), in which the plugin is tested (PROTOLABEL_QGIS_VENV moves it)"
	@echo "make clean      remove the demo, packages and caches; the environments stay"

setup:
	@scripts/setup.sh dev

setup-demo:
	@scripts/setup.sh demo

setup-qgis:
	@scripts/setup_qgis.sh

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

# The same command goes on with a training that was interrupted. The two constants were fitted on scenes that the encoder
# had not seen, in three folds (tests/benchmarks/train_folds.py, tune.py).
model: setup
	$(BACKEND) train resources/experiments/aerial.yaml data.root=$(MODEL_DATA) encoder.weights=$(MODEL_WEIGHTS) $(MODEL_ARGS)
	$(PYTHON_RUN) scripts/ship_model.py runs/aerial/last.safetensors --temperature 1.25 --spectral 0.24

# In QGIS's Python, without a screen, with the backend of this checkout. Where PYTEST_ARGS choose none of a part's
# tests, that is no failure (pytest ends with 5).
QGIS_TEST = QT_QPA_PLATFORM=offscreen PROTOLABEL_PYTHON=$(abspath $(PYTHON_RUN)) $(QGIS_RUN) -m pytest
MAYBE_NONE = $(if $(PYTEST_ARGS),|| test $$? = 5)

test: lint test-backend test-qgis test-desktop

test-backend: setup
	$(PYTHON_RUN) -m pytest --ignore=tests/desktop $(PYTEST_ARGS) $(MAYBE_NONE)

test-qgis: setup setup-qgis
	$(QGIS_TEST) tests/plugin $(PYTEST_ARGS) $(MAYBE_NONE)

# Starts a real QGIS by itself, on a screen of its own.
test-desktop: setup setup-qgis
	$(if $(wildcard tests/desktop),$(QGIS_TEST) tests/desktop $(PYTEST_ARGS) $(MAYBE_NONE))

# Tests are not scanned: no test is packed, and the passwords in them are made up.
lint: setup
	$(PYTHON_RUN) -m ruff check .
	$(PYTHON_RUN) -m ruff format --check --quiet .
	$(PYTHON_RUN) -m mypy backend
	$(PYTHON_RUN) -m bandit --quiet --recursive --configfile pyproject.toml plugin backend __init__.py
	git ls-files -z -- ':!tests' | xargs -0 $(PYTHON_RUN) -m detect_secrets.pre_commit_hook

package:
	@scripts/package.sh

translate: setup
	@$(PYTHON_RUN) scripts/translate.py $(LANGUAGES)

format: setup
	$(PYTHON_RUN) -m ruff check --fix-only --quiet .
	$(PYTHON_RUN) -m ruff format .

clean:
	rm -rf $(DEMO) build dist .qgis-settings .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -not -path './.venv*' -prune -exec rm -rf {} +
