# Two commands do it all on a fresh machine with Python 3.11 and make:
#   make demo    from a simulated log to a served answer
#   make test    all tests
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEMO := demo

.PHONY: demo test lint format package clean

demo: $(INSTALLED)
	rm -rf $(DEMO)
	$(BIN)/jump-tf demo --workdir $(DEMO)

test: $(INSTALLED)
	$(BIN)/python -m pytest

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The wheel, installed beside nothing else of ours, must hold all it needs.
package: $(INSTALLED)
	rm -rf build/wheel build/site
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir build/wheel .
	$(BIN)/pip install --quiet --no-deps --target build/site build/wheel/*.whl
	cd build/site && ../../$(BIN)/python -c "from jump_tf import config; \
	  [print(name, config.preset(name)) for name in ('paper', 'production')]"

$(INSTALLED): setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25"
	$(BIN)/python -m pip install --quiet --editable ".[all]"
	touch $@

clean:
	rm -rf $(VENV) $(DEMO) build *.egg-info
