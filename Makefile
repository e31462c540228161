# Everything a newcomer types. Each environment is made on first use and again when setup.cfg changes.
PYTHON ?= python3
BOX = .venv-box
DEV = .venv
OLDEST = .venv-oldest
LABEL_STUDIO = .venv-label-studio
GOOSEBIT = .venv-goosebit
TESTED_WITH = .ci/tested-with.txt
BUILT_FROM = setup.cfg setup.py pyproject.toml $(wildcard edge/engines/native/*)

.PHONY: demo install newest test test-oldest label-studio goosebit check docs pictures bundle bundle-strip bundle-rail wheel wheels test-wheels deb test-deb container test-container box box-test box-short box-short-built box-short-tested release clean

demo: $(BOX)/ready ## inspect a simulated line with the shipped bundle
	$(BOX)/bin/trackside demo

install: $(DEV)/ready ## everything: training, quantization, tests

newest: ## the newest releases of what all that needs, to run the tests with and to commit
	rm -rf $(DEV)
	echo '# None yet.' >$(TESTED_WITH)
	$(MAKE) $(DEV)/ready
	$(DEV)/bin/python .ci/tested_with.py >$(TESTED_WITH)

# Training in the process in which every vendor's library has run before has ended in a crash: these
# rooms have a process of their own each, beside the others, and their say after them.
APART = tests/quantize tests/reference/training
# Many tests wait for what another process does: more at a time than there are processors, a file
# after another each. The rooms with the longest files come first, so that none is left for the end.
AT_ONCE ?= 3
LONGEST = tests/house tests/benchmarks
ROOMS = $(LONGEST) $(filter-out $(LONGEST) $(APART) %/__pycache__,$(patsubst %/,%,$(wildcard tests/*/)))
# What hundreds of processes are to load is compiled once, whatever the environment says; and there
# are processes enough without threads.
test: export PYTHONDONTWRITEBYTECODE =
test: export OMP_NUM_THREADS = 1

test: $(DEV)/ready ## the tests
	@rm -f $(DEV)/apart-*.log; begun=; \
	for room in $(APART); do \
	  $(DEV)/bin/python -m pytest $$room >$(DEV)/apart-$$(basename $$room).log 2>&1 & begun="$$begun $$!"; \
	done; \
	trap "kill $$begun" INT TERM; \
	$(DEV)/bin/python -m pytest -n $(AT_ONCE) --dist loadfile --no-loadscope-reorder \
	  $(APART:%=--ignore=%) $(ROOMS); failed=$$?; \
	for each in $$begun; do wait $$each || failed=1; done; \
	cat $(DEV)/apart-*.log; exit $$failed

# What a box may have installed years ago, and everybody else has not for as long: all that it may
# import, at the lower bounds of setup.cfg, beside the tests' own tools. Releases that old have no
# wheels for a Python that came after them: PYTHON=python3.11 where python3 is later than 3.12.
BOX_EXTRAS = genicam gpio gpiozero litert metrics modbus mqtt onnxruntime openvino parquet serial sign web
BOX_TESTS = tests/edge/web tests/edge/telemetry tests/edge/run/test_line.py \
  tests/firmware_bridge/lines tests/edge/bundle/test_signature.py

test-oldest: $(OLDEST)/ready ## the box's tests, with the oldest releases that it may have
	$(OLDEST)/bin/python -m pytest -n $(AT_ONCE) --dist loadfile $(BOX_TESTS)

# A hundred packages of its own, none of which agrees with ours.
label-studio: $(LABEL_STUDIO)/ready ## Label Studio, for tests/edge/review/test_label_studio.py

goosebit: $(GOOSEBIT)/ready ## a server of hawkBit's DDI, for tests/edge/fleet/test_hawkbit.py

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
	$(DEV)/bin/trackside quantize $(CHECKPOINTS)/minet_strip.safetensors --data-root $(DATA) \
	  --validation $(DATA)/SD-saliency-900 --out edge/bundles/strip.bundle \
	  --max-drop $(MAX_DROP) --auto --layers \
	  --clip 0.1 --um-per-px 211.5 --min-area-mm2 8 --min-extent-mm 4
	$(DEV)/bin/python -m benchmarks.shipped_limits strip --data $(DATA) --out edge/bundles/strip.bundle

bundle-rail: $(DEV)/ready $(DATA)/track/frames.jsonl
	$(DEV)/bin/trackside quantize $(CHECKPOINTS)/minet_rail.safetensors --data-root $(DATA) \
	  --out edge/bundles/rail.bundle --max-drop $(RAIL_DROP) --auto --layers \
	  --threshold 0.8 --min-area-mm2 5 --min-extent-mm 2 --follow rail
	$(DEV)/bin/python -m benchmarks.shipped_limits rail --data $(DATA) --out edge/bundles/rail.bundle

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

# As root, in systems of their own that Debian's `piuparts` makes and takes apart.
test-deb: $(DEV)/ready ## the amd64 package's life, by piuparts: installed, upgraded, removed, purged
	$(DEV)/bin/python .ci/wheels.py --only x86_64 --out build/deb
	$(DEV)/bin/python .ci/deb.py --only amd64 --wheels build/deb --out build/deb
	$(DEV)/bin/python .ci/deb.py --only amd64 --bare --version 0.0.1 --wheels build/deb --out build/deb/old
	TRACKSIDE_DEBS=$(CURDIR)/build/deb $(DEV)/bin/python -m pytest tests/house/test_piuparts.py

container: $(DEV)/ready ## the container image of a line, in dist/
	$(DEV)/bin/python .ci/wheels.py --only x86_64 --out build/container
	$(DEV)/bin/python .ci/deb.py --only amd64 --wheels build/container --out build/container
	$(DEV)/bin/python .ci/container.py --deb build/container/trackside_*_amd64.deb --out dist

test-container: container ## runs it by podman, read-only and without rights
	TRACKSIDE_CONTAINER=$$(ls $(CURDIR)/dist/trackside_*_amd64.container.tar) \
	  $(DEV)/bin/python -m pytest tests/house/test_container.py

# As root: the files of a system belong to its own users.
box: $(DEV)/ready ## a Debian with the package, a camera and pins, to be booted, in build/box
	$(DEV)/bin/python tests/box/build.py --out build/box

CUTS ?= 30
box-test: box ## boots it under QEMU: watchdog, unplugged camera, full disk, clock, CUTS power cuts
	TRACKSIDE_BOX=$(CURDIR)/build/box TRACKSIDE_CUTS=$(CUTS) $(DEV)/bin/python -m pytest -s tests/box

box-short: ## the same in its short form: boots, inspects, and loses its power once
	$(MAKE) box-short-built
	$(MAKE) box-short-tested

# Of the package's extras those alone that its line wants. Not a failure where a machine has no root,
# no mmdebstrap or no way to Debian's packages.
box-short-built: $(DEV)/ready
	@rm -f build/box-short/disk; \
	  $(DEV)/bin/python tests/box/build.py --out build/box-short --extras gpio,serial || [ $$? = 75 ]

box-short-tested: $(DEV)/ready
	@[ ! -e build/box-short/disk ] || \
	  TRACKSIDE_BOX=$(CURDIR)/build/box-short $(DEV)/bin/python -m pytest -s tests/box/test_box.py

test-wheels: wheels ## the wheels' own tests: under an emulator, on several Pythons, built again
	TRACKSIDE_WHEELS=$(CURDIR)/dist $(DEV)/bin/python -m pytest tests/house/test_wheels.py

# All that a release is made of: of a commit with no changes beside it, and the version's own tag.
release: $(DEV)/ready ## dist/ with SHA256SUMS, ready to be carried off
	$(DEV)/bin/python .ci/release.py --dist dist --before
	$(MAKE) check test-wheels
	$(DEV)/bin/python .ci/release.py --dist dist

clean:
	rm -rf $(BOX) $(DEV) $(OLDEST) $(LABEL_STUDIO) $(GOOSEBIT) build dist *.egg-info

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
	  hypothesis onnx playwright pycocotools pytest pytest-timeout pytest-xdist
	touch $@

$(LABEL_STUDIO)/ready:
	$(PYTHON) -m venv $(LABEL_STUDIO)
	$(LABEL_STUDIO)/bin/pip install --quiet 'label-studio>=1.20'
	touch $@

# It wants Python 3.11: PYTHON=python3.11 where python3 is older.
$(GOOSEBIT)/ready:
	$(PYTHON) -m venv $(GOOSEBIT)
	$(GOOSEBIT)/bin/pip install --quiet 'goosebit>=0.2.12'
	touch $@

$(DEV)/ready: $(BUILT_FROM) $(TESTED_WITH)
	$(PYTHON) -m venv $(DEV)
	$(DEV)/bin/pip install --quiet --constraint $(TESTED_WITH) --editable '.[dev]'
	touch $@
