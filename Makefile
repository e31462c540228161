# Everything a newcomer types. Each environment is made on first use and again when setup.cfg changes.
PYTHON ?= python3
BOX = .venv-box
DEV = .venv
OLDEST = .venv-oldest
BUILT_FROM = setup.cfg setup.py pyproject.toml $(wildcard edge/engines/native/*)

.PHONY: demo install test test-oldest check docs pictures bundle bundle-strip bundle-rail wheel wheels test-wheels deb release clean

demo: $(BOX)/ready ## inspect a simulated line with the shipped bundle
	$(BOX)/bin/trackside demo

install: $(DEV)/ready ## everything: training, quantization, tests

# Training in the process in which every vendor's library has run before has ended in a crash: these
# rooms have a process of their own each, beside the others, and their say after them.
APART = tests/quantize tests/reference/training
# Many tests wait for what another process does: more at a time than there are processors, a file
# after another each.
AT_ONCE ?= 3

test: $(DEV)/ready ## the tests
	@rm -f $(DEV)/apart-*.log; begun=; \
	for room in $(APART); do \
	  $(DEV)/bin/python -m pytest $$room >$(DEV)/apart-$$(basename $$room).log 2>&1 & begun="$$begun $$!"; \
	done; \
	trap "kill $$begun" INT TERM; \
	$(DEV)/bin/python -m pytest -n $(AT_ONCE) --dist loadfile $(APART:%=--ignore=%); failed=$$?; \
	for each in $$begun; do wait $$each || failed=1; done; \
	cat $(DEV)/apart-*.log; exit $$failed

# What a box may have installed years ago, and everybody else has not for as long: all that it may
# import, at the lower bounds of setup.cfg, beside the tests' own tools. Releases that old have no
# wheels for a Python that came after them: PYTHON=python3.11 where python3 is later than 3.12.
BOX_EXTRAS = genicam gpio gpiozero litert metrics modbus mqtt onnxruntime openvino parquet serial sign web
BOX_TESTS = tests/edge/web tests/edge/telemetry tests/edge/run/test_line.py \
  tests/firmware_bridge/lines tests/edge/bundle/test_signature.py

test-oldest: $(OLDEST)/ready ## the box's tests, with the oldest releases that it may have
	$(OLDEST)/bin/python -m pytest $(BOX_TESTS)

check: $(DEV)/ready ## format, lint, types, walls
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/ruff check .
	$(DEV)/bin/mypy
	$(DEV)/bin/lint-imports

# DATA holds SD-saliency-900/ and RailDefect/ as distributed; the simulated images beside them are
# made on first use.
DATA ?= runs/data
CHECKPOINTS = reference/checkpoints
MAX_DROP ?= S=0.005,MAE=0.001,flips=0.005,names=0.005
RAIL_DROP ?= S=0.01,MAE=0.005,flips=0.02,names=0.05

bundle: bundle-strip bundle-rail ## the shipped bundles anew, of the committed checkpoints

bundle-strip: $(DEV)/ready $(DATA)/simulated/frames.jsonl
	$(DEV)/bin/trackside quantize $(CHECKPOINTS)/minet_line_names.safetensors --data-root $(DATA) \
	  --out edge/bundles/strip.bundle --max-drop $(MAX_DROP) --auto --layers \
	  --min-area-mm2 8 --min-extent-mm 4

bundle-rail: $(DEV)/ready $(DATA)/track/frames.jsonl
	$(DEV)/bin/trackside quantize $(CHECKPOINTS)/minet_rail.safetensors --data-root $(DATA) \
	  --out edge/bundles/rail.bundle --max-drop $(RAIL_DROP) --auto --layers \
	  --threshold 0.8 --min-area-mm2 5 --min-extent-mm 2 --follow rail

$(DATA)/simulated/frames.jsonl:
	$(DEV)/bin/trackside simulate --out $(DATA)/simulated --frames 1800 --lines 300 --seed 100000

$(DATA)/track/frames.jsonl:
	$(DEV)/bin/trackside simulate --track --out $(DATA)/track --frames 400 --lines 200 --seed 1000 \
	  --defects-per-metre 9 --distractors-per-metre 5

docs: $(DEV)/ready ## the manual, in build/manual
	NO_MKDOCS_2_WARNING=1 $(DEV)/bin/mkdocs build
	@echo 'To read it: python3 -m http.server --directory build/manual'

pictures: $(DEV)/ready ## the manual's pictures of simulated lines, anew: look at them
	$(DEV)/bin/python docs/building/pictures.py

wheel: $(DEV)/ready ## wheel for this machine, and sdist, in dist/
	$(DEV)/bin/python -m build

wheels: $(DEV)/ready ## wheels for x86-64 and aarch64, for every Python, and the sdist, in dist/
	$(DEV)/bin/python .ci/wheels.py --out dist

deb: wheels ## Debian packages for amd64 and arm64, in dist/
	$(DEV)/bin/python .ci/deb.py --wheels dist --out dist

test-wheels: wheels ## the wheels' own tests: under an emulator, on several Pythons, built again
	TRACKSIDE_WHEELS=$(CURDIR)/dist $(DEV)/bin/python -m pytest tests/house/test_wheels.py

# All that a release is made of: of a commit with no changes beside it, and the version's own tag.
release: check test-wheels ## dist/ with SHA256SUMS, ready to be carried off
	$(DEV)/bin/python .ci/release.py --dist dist

clean:
	rm -rf $(BOX) $(DEV) $(OLDEST) build dist *.egg-info

$(BOX)/ready: $(BUILT_FROM)
	$(PYTHON) -m venv $(BOX)
	$(BOX)/bin/pip install --quiet --editable '.[onnxruntime]'
	touch $@

comma := ,
empty :=
$(OLDEST)/ready: $(BUILT_FROM) .ci/oldest.py
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python .ci/oldest.py $(BOX_EXTRAS) > $(OLDEST)/oldest.txt
	$(OLDEST)/bin/pip install --quiet --constraint $(OLDEST)/oldest.txt \
	  --editable '.[$(subst $(empty) $(empty),$(comma),$(BOX_EXTRAS))]' \
	  hypothesis onnx playwright pycocotools pytest pytest-timeout
	touch $@

$(DEV)/ready: $(BUILT_FROM)
	$(PYTHON) -m venv $(DEV)
	$(DEV)/bin/pip install --quiet --editable '.[dev]'
	touch $@
