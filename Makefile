# `make demo` and `make test` set themselves up on a fresh machine, and start at once when run again.
PYTHON ?= python3
# A CPU build of torch; another one is taken with e.g. `make test TORCH='torch>=2.10'`.
TORCH ?= torch==2.13.0
OUT ?= demo
VENV := .venv
BIN := $(VENV)/bin


.PHONY: demo test lint docs bench shiftbench clean

demo: $(VENV)/.ready
	$(BIN)/shapeshift demo --out $(OUT) --force

# one process a core, whole files at a time, one thread each
test: $(VENV)/.ready lint
	scripts/browser.sh
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile --maxprocesses 4

lint: $(VENV)/.ready
	$(BIN)/ruff check src tests benchmarks docs
	$(BIN)/ruff format --check src tests benchmarks docs
	$(BIN)/mypy

# the gallery runs, minutes; GALLERY=no leaves it out
docs: $(VENV)/.ready
	$(BIN)/python -m sphinx -W --keep-going -b html docs build/docs

bench: $(VENV)/.ready
	$(BIN)/python benchmarks/real_data.py
	$(BIN)/python benchmarks/against_pyroved.py

# hours, nearly all of them pyroVED's; rows can be run by themselves, see benchmarks/README.md
shiftbench: $(VENV)/.ready
	$(BIN)/python benchmarks/shiftbench.py
	$(BIN)/python benchmarks/shiftbench.py --race doublet
	$(BIN)/python benchmarks/shiftbench.py --check

$(VENV)/.ready: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet '$(TORCH)'
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

clean:
	rm -rf $(VENV) $(OUT)
