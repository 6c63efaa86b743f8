# make demo   set up, cut out the sample pictures, say where the results are
# make test   the whole test suite           make test-quick   the contracts, in a minute and without PyTorch
# make lint   ruff, mypy, cython-lint        make bench / bench-quick   the tables of benchmarks/
# make debug-test   the suite with bounds checked in the kernels
# make docs   the site, in build/site; a warning is an error
# make fuzz   hostile files for a minute each reader (SECONDS=60), guided by coverage; needs Linux or macOS

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SOURCES := setup.py pyproject.toml $(wildcard ext/*.pyx ext/*.pxd ext/*.h)
# The training tests want PyTorch; any CPU or CUDA build will do.
TORCH ?= torch==2.13.0

.PHONY: ort demo test test-quick lint bench bench-quick debug-test fuzz wheel pictures browser npm-clients api-check docs clean

demo: $(VENV)/.installed
	$(BIN)/python docs/demo.py demo

test: $(VENV)/.tested browser ort
	$(BIN)/python -m pytest

QUICK := house params stage stages layers pipeline files engines color contributing
test-quick: $(VENV)/.quick
	$(BIN)/python -m pytest -q $(QUICK:%=tests/test_%.py)

# The tests of the pages want a browser; where there is none they skip with a reason.
browser:
	@command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq chromium; } >/dev/null 2>&1 \
	    || echo "Chromium cannot be installed: the tests of the pages will skip"

# ONNX Runtime for browsers (MIT, 14 MB): with it `bgkit serve` and the site run the network in the page. Wants npm.
ORT := bgkit/serve/page/ort
ort:
	@test -f $(ORT)/ort-wasm-simd-threaded.wasm || { mkdir -p build/npm $(ORT) && \
	    (cd build/npm && npm install --silent --no-audit --no-fund onnxruntime-web@1.30.0) && \
	    cp build/npm/node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs \
	       build/npm/node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm $(ORT); } \
	    || echo "onnxruntime-web cannot be installed: pages have no network of their own, and its tests will skip"

lint: $(VENV)/.tested
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PATH="$(abspath $(BIN)):$$PATH" cython-lint ext

bench: $(VENV)/.tested
	$(BIN)/python -m benchmarks

bench-quick: $(VENV)/.tested
	$(BIN)/python -m benchmarks --quick

debug-test: $(VENV)/.tested
	BGKIT_DEBUG=1 $(BIN)/python setup.py -q build_ext --inplace --force
	$(BIN)/python -m pytest; status=$$?; $(BIN)/python setup.py -q build_ext --inplace --force; exit $$status

SECONDS ?= 60

fuzz: $(VENV)/.tested
	$(BIN)/python -c "import atheris" 2>/dev/null || $(BIN)/pip install -q atheris
	$(BIN)/python tests/fuzz.py --seconds $(SECONDS)

# A wheel, installed outside the tree, does the main job.
wheel: $(VENV)/.tested
	rm -rf build/wheel && $(BIN)/python -m build -q --wheel --outdir build/wheel .
	rm -rf build/outside && $(PYTHON) -m venv build/outside && build/outside/bin/pip install -q build/wheel/*.whl
	cd build/outside && bin/python "$(CURDIR)/docs/demo.py" cutouts

# Public clients of npm, for tests/test_serve_clients.py.
npm-clients:
	mkdir -p build/npm && cd build/npm && npm install --silent --no-audit --no-fund remove.bg@1.3.0

# What OpenAPI says, held against a server (minutes).
api-check: $(VENV)/.tested
	$(BIN)/pip install -q "schemathesis>=4.30"
	$(BIN)/python -m bgkit serve -p classical --port 7801 & server=$$!; \
	$(BIN)/st run http://127.0.0.1:7801/openapi.json --wait-for-schema 60 --exclude-path /v1/watch/events; \
	status=$$?; kill $$server; exit $$status

docs: $(VENV)/.tested ort
	$(BIN)/python docs/pages.py build/pages
	$(BIN)/python -m sphinx -q -W --keep-going -j auto -c docs build/pages build/site
	$(BIN)/python docs/browser_demo.py build/site
	$(BIN)/python docs/site_check.py build/site
	$(BIN)/python docs/search_check.py build/site
	@echo "open build/site/index.html"

# What the README shows; all other pictures are made by the site's build.
pictures: $(VENV)/.installed
	$(BIN)/python docs/demo.py docs/images --small

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --upgrade pip

$(VENV)/.installed: $(VENV)/bin/python $(SOURCES)
	$(BIN)/pip install -qq -e .
	touch $@

$(VENV)/.quick: $(VENV)/.installed
	$(BIN)/pip install -qq -e ".[test]"
	touch $@

# All in one installation: each compiles the kernels anew.
$(VENV)/.tested: $(VENV)/bin/python $(SOURCES)
	$(BIN)/pip install -q $(TORCH)
	$(BIN)/pip install -qq -e ".[all,heic,jxl,video,test,docs]"
	touch $(VENV)/.installed $(VENV)/.quick $@

clean:
	rm -rf build demo dist $(VENV) $(ORT) bgkit/_ext/*.so ext/*.c
