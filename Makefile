# Everything runs in .venv, which the first target makes; versions are pinned in constraints.txt.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint benchmark docs
demo: .venv/ready
	$(BIN)/diffregimes analyze digits

# worksteal: each worker begins with a half of the suite, so that the tests of a file share their
# fixtures; one that is done takes from the other
test: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist worksteal

benchmark: .venv/ready
	$(BIN)/python benchmarks/speed.py

docs: .venv/ready
	$(BIN)/python docs/tables.py

# the tests of other libraries are skipped where these are not to be had
.venv/ready: constraints.txt pyproject.toml tests/others.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "diffregimes needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt torch -e ".[dev]"
	-$(BIN)/pip install -q --disable-pip-version-check --no-deps -r tests/others.txt
	touch $@
