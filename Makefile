PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
AUDIT := $(VENV)/audit
STATE ?= lab
WORKERS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); echo $$((n < 4 ? 2 * n : 8)))
READY := $(VENV)/.ready

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements.txt pyproject.toml setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "sluice needs Python 3.11 or later: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "sluice needs Python's venv module (Debian: apt install python3-venv)" >&2; exit 1; }
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

setup: $(READY)  ## the Python environment, MicroPython, umqtt.simple and Mosquitto
	@$(BIN)/python -m sluice.toolchain
	$(if $(filter setup,$(MAKECMDGOALS)),@echo 'next: export PATH="$$PWD/$(BIN):$$PATH"')

demo: setup  ## a cloud, a board and two updates: a good one and one that rolls back
	@$(BIN)/sluice demo

test: setup  ## every test, and what differs between releases of MicroPython on each of them
	@$(BIN)/python -m sluice.toolchain --all
	@$(BIN)/python -m sluice.chromium
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

test-all: setup  ## every test on every release of MicroPython: for the night
	@$(BIN)/python -m sluice.toolchain --all
	@$(BIN)/python -m sluice.chromium
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --micropython all
faults: setup  ## everything that can fail, at every place where it can; an hour and more
	@$(BIN)/python -m tests.faults $(FLAGS)

qualify: setup  ## the cases of AWS IoT Device Advisor, against a simulated board
	@$(BIN)/python -m tests.qualify $(FLAGS)

fuzz: setup  ## 100,000 inputs for each parser that faces the wire or a file; two hours
	@$(BIN)/python -m tests.fuzz $(FLAGS)

flash: setup  ## the firmware on a board: make flash PORT=/dev/ttyUSB0 THING=pump [STATE=lab]
	@test -n "$(PORT)" && test -n "$(THING)" || \
		{ echo "say which port and thing: make flash PORT=/dev/ttyUSB0 THING=pump" >&2; exit 1; }
	@$(BIN)/sluice flash --port $(PORT) --thing $(THING) --state $(STATE) $(FLAGS)

powercut: setup  ## the power cut at every operation of every story: make powercut [POWERCUT="--stride 4"]
	@$(BIN)/python tests/powercut $(POWERCUT)

audit: setup  ## advisories about the pinned dependencies, where an index of them can be had
	@test -x $(AUDIT)/bin/pip-audit || $(PYTHON) -m venv $(AUDIT)
	@$(AUDIT)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-audit.txt
	@$(BIN)/python -m sluice.audit $(AUDIT)/bin/pip-audit requirements.txt requirements-audit.txt

lint: setup  ## ruff, and nothing else
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

bench: setup  ## the measurements behind the README's numbers; 15 minutes
	@$(BIN)/python -m bench $(FLAGS)

bench-quick: setup  ## some of them, in two minutes
	@$(BIN)/python -m bench --quick

bench-rv32: setup  ## the device's modules on an ESP32-C3's instruction set, in qemu
	@$(BIN)/python -m bench.rv32 $(FLAGS)

screenshots: setup  ## the pictures of docs/fleet.md, by a browser that looks at the page
	@$(BIN)/python -m tests.screenshots

clean:  ## remove what the targets above made here
	rm -rf $(VENV) build dist *.egg-info .pytest_cache

clean-cache: $(READY)  ## remove the programs that were fetched for this user, which all checkouts share
	@$(BIN)/sluice setup --remove

.PHONY: help setup demo test test-all powercut faults fuzz qualify flash lint audit bench bench-quick bench-rv32 \
	screenshots clean clean-cache
