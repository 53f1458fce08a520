PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: install demo docs notebooks test test-slow test-frameworks lint clean

# Installs the tested versions; `pip install .` alone takes the ranges of pyproject.toml.
install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit('jaxloss needs Python 3.11 or newer, this is ' + sys.version.split()[0] if sys.version_info < (3, 11) else 0)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[test]"
	touch $@

demo: install
	$(BIN)/python -m jaxloss.launch --config=configs/quickstart.py --workdir=runs/quickstart

# The site, into build/site; a link that leads nowhere is an error. The tests build it, too.
docs: install
	$(BIN)/python -m mkdocs build --strict --site-dir build/site

# The notebooks are written as text; what is opened is made of it. The badges for Colab follow from the address in pyproject.toml.
notebooks: install
	$(BIN)/python tools/colab.py
	$(BIN)/python -m jupytext --quiet --to ipynb --update notebooks/*.py

test: install
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder -m "not slow"

test-slow: install
	JAXLOSS_TESTS_COMPILER=users $(BIN)/python -m pytest -m slow

# Losses in PyTorch, Keras and TensorFlow, which are installed in an environment of their own.
test-frameworks: install .venv-frameworks/.installed
	JAXLOSS_FRAMEWORKS_PYTHON=$(CURDIR)/.venv-frameworks/bin/python $(BIN)/python -m pytest tests/symbolic/test_frameworks.py

.venv-frameworks/.installed:
	$(PYTHON) -m venv .venv-frameworks
	.venv-frameworks/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	.venv-frameworks/bin/python -m pip install --quiet --disable-pip-version-check keras tensorflow-cpu
	touch $@

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf $(VENV) .venv-frameworks build *.egg-info .pytest_cache .ruff_cache .hypothesis
