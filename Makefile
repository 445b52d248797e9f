# `make run` and `make test` are all that is needed; each sets up its own environment first.
VENV   ?= .venv
PYTHON ?= python3
CONFIG ?= configs/deep_sigmoid.yaml
PY      = $(VENV)/bin/python
READY   = $(VENV)/.ready

# What the libraries take from each other: numbers, tables, figures, workers and data. Old libraries warn of newer
# ones that they stand on, so what is deprecated is no error there.
FLOOR_TESTS ?= tests/mlp tests/experiments/storage tests/experiments/sweeps tests/experiments/datasets \
	tests/experiments/cli tests/experiments/plots tests/experiments/report tests/experiments/pipeline
OLD_WARN = -W ignore::DeprecationWarning -W ignore::PendingDeprecationWarning

.PHONY: run test test-all test-floors check bench benchmark-diagnosis docs reproduce reproduce-literature live clean

run: $(READY)            ## train and draw one question: make run CONFIG=configs/smoke.yaml
	$(PY) scripts/run.py $(CONFIG) $(ARGS)

live: $(READY)           ## the lab: networks train while one watches; Ctrl-C closes it
	$(PY) scripts/live.py $(ARGS)

test: $(READY)           ## the tests (three minutes on two cores)
	$(PY) -m pytest -n auto --dist worksteal -m "not slow" $(ARGS)

test-all: $(READY)       ## the tests and the slow scientific checks
	$(PY) -m pytest -n auto --dist worksteal $(ARGS)

test-floors:             ## a fair part of the tests with the lowest versions that pyproject.toml allows
	$(PYTHON) -m venv $(VENV)-floors
	$(VENV)-floors/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(VENV)-floors/bin/uv pip install --quiet --python $(VENV)-floors/bin/python \
		--resolution lowest-direct -e ".[dev]"
	$(VENV)-floors/bin/python -m pytest -n auto -m "not slow" $(OLD_WARN) $(FLOOR_TESTS) $(ARGS)

check: $(READY)          ## ruff, mypy and the tests: what runs before each commit
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(MAKE) test

bench: $(READY)          ## this engine beside the alternatives that are installed
	$(PY) scripts/bench.py $(ARGS)

benchmark-diagnosis: $(READY)  ## how often the diagnosis is right: results/diagnosis/README.md
	$(PY) scripts/diagnose.py --benchmark 28 $(ARGS)

docs: $(READY)           ## every generated table of a page, and the schema of configs
	$(PY) -c "from experiments.report.readme import renew; renew()"

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	touch $@

reproduce: $(READY)      ## every claim of the write-up, from nothing: results/write_up/report.html
	$(PY) scripts/reproduce.py $(ARGS)

reproduce-literature: $(READY)  ## published numbers beside ours: results/literature/README.md
	$(PY) scripts/reproduce.py --collection literature $(ARGS)

clean:                   ## the environment and caches; results stay
	rm -rf $(VENV) $(VENV)-floors build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
