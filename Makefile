# make demo    a report from real rollouts, in demo/
# make test    the tests
# make check   style, types, layers
# Each works alone and in any order. The first one makes .venv; PYTHON=... chooses the interpreter.

PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt
INPUTS := pyproject.toml constraints.txt .venv/made


.PHONY: demo test check clean

demo: .venv/has-all
	$(BIN)/deadreckon demo --out demo

test: .venv/has-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

check: .venv/has-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_layers.py

clean:
	rm -rf .venv demo

.venv/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "$(PYTHON) is missing or older than Python 3.11: run make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "no venv module: install python3-venv, then make again" >&2; exit 1; }
	@touch $@

.venv/has-all: $(INPUTS)
	$(INSTALL) -e ".[all]"
	@touch $@

.venv/has-test: $(INPUTS)
	$(INSTALL) -e ".[all,test]"
	@touch .venv/has-all $@

.venv/has-dev: $(INPUTS)
	$(INSTALL) -e ".[all,dev]"
	@touch .venv/has-all .venv/has-test $@
