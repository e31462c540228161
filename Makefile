# Everything a newcomer types. Each environment is made on first use and again when setup.cfg changes.
PYTHON ?= python3
BOX = .venv-box
DEV = .venv
BUILT_FROM = setup.cfg setup.py pyproject.toml $(wildcard edge/engines/native/*)

.PHONY: demo install test check wheel clean

demo: $(BOX)/ready ## inspect a simulated line with the shipped bundle
	$(BOX)/bin/trackside demo

install: $(DEV)/ready ## everything: training, quantization, tests

test: $(DEV)/ready ## the tests
	$(DEV)/bin/python -m pytest

check: $(DEV)/ready ## format, lint, types, walls
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/ruff check .
	$(DEV)/bin/mypy
	$(DEV)/bin/lint-imports

wheel: $(DEV)/ready ## wheel and sdist in dist/
	$(DEV)/bin/python -m build

clean:
	rm -rf $(BOX) $(DEV) build dist *.egg-info

$(BOX)/ready: $(BUILT_FROM)
	$(PYTHON) -m venv $(BOX)
	$(BOX)/bin/pip install --quiet --editable '.[onnxruntime]'
	touch $@

$(DEV)/ready: $(BUILT_FROM)
	$(PYTHON) -m venv $(DEV)
	$(DEV)/bin/pip install --quiet --editable '.[dev]'
	touch $@
