# Two commands do it all on a fresh machine with Python 3.11 and make:
#   make demo    from a simulated log to a served answer
#   make test    the tests, in minutes
# and a third runs what is exhaustive too, such as every kill of a training:
#   make test-all
#
# And three measure, on a machine that nobody else uses.
# How fast it trains, beside what bounds it and GRU4Rec:
#   make bench-train              on a simulated log, made once in build/
#   make bench-train DATA=data    on a folder that `jump-tf prepare` made
# BENCH_FLAGS go to the last of its benchmarks, tests/benchmarks/throughput.py,
# which also says how to time the official GRU4Rec beside ours.
# How fast a log of 10 million clicks becomes sessions, beside DuckDB and a
# Beam job row by row, and how fast sessions become batches:
#   make bench-data
# BENCH_FLAGS go to the first of its benchmarks,
# tests/benchmarks/prepare_speed.py; `--clicks 1000000` takes a tenth.
# How fast and how surely a model is served, on two cores with the load
# generator; BENCH_FLAGS go to tests/benchmarks/serving.py, e.g.
# `--parts load step` or `--soak-seconds 60`:
#   make bench-serve              on a simulated log, made once in build/
#   make bench-serve DATA=data    on a folder that `jump-tf prepare` made
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEMO := demo
DATA ?=
BENCH_FLAGS ?=
TEST_FLAGS ?= -n 2 --dist loadfile --no-loadscope-reorder
SIMULATED := build/bench-data

.PHONY: demo test test-all bench-train bench-data bench-serve lint format package clean

demo: $(INSTALLED)
	rm -rf $(DEMO)
	$(BIN)/jump-tf demo --workdir $(DEMO)

test: $(INSTALLED)
	$(BIN)/python -m pytest -m "not exhaustive" $(TEST_FLAGS)

test-all: $(INSTALLED)
	$(BIN)/python -m pytest $(TEST_FLAGS)

bench-train: $(INSTALLED) $(if $(DATA),,$(SIMULATED)/manifest.json)
	$(BIN)/python -m tests.benchmarks.fast_slow
	$(BIN)/python -m tests.benchmarks.losses
	$(BIN)/python -m tests.benchmarks.embedding_scale
	$(BIN)/python -m tests.benchmarks.throughput \
	  --data $(or $(DATA),$(SIMULATED)) $(BENCH_FLAGS)

bench-data: $(INSTALLED)
	$(BIN)/python -m tests.benchmarks.prepare_speed --growth $(BENCH_FLAGS)
	$(BIN)/python -m tests.benchmarks.input_speed

bench-serve: $(INSTALLED) $(if $(DATA),,$(SIMULATED)/manifest.json)
	$(BIN)/python -m pytest tests/serving/runtime/test_c_runtime.py
	$(BIN)/python -m tests.benchmarks.serving \
	  --data $(or $(DATA),$(SIMULATED)) $(BENCH_FLAGS)

$(SIMULATED)/manifest.json: | $(INSTALLED)
	$(BIN)/python -m tests.benchmarks.simulated_data $(SIMULATED)

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
	cd build/site && ../../$(BIN)/python -c "from jump_tf.config import run; \
	  [print(name, run.preset(name)) for name in ('paper', 'production')]"

$(INSTALLED): setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25"
	$(BIN)/python -m pip install --quiet --editable ".[all]"
	touch $@

clean:
	rm -rf $(VENV) $(DEMO) build *.egg-info
