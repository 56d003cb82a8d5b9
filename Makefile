# Two commands do all their set-up themselves: `make demo` and `make test`.
# PYTHON chooses the interpreter (3.10 to 3.13) that the virtual environment is made from.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CONSTRAINT=$(CURDIR)/constraints.txt $(BIN)/python -m pip install --quiet
BUILD_INPUTS := Makefile setup.py pyproject.toml constraints.txt $(filter-out %/_kernels.c %/_raster.c, \
	$(foreach folder,runtime/kernels runtime/sources/street,$(wildcard $(folder)/*.[ch] $(folder)/*.pyx)))

.PHONY: demo test test-all lint clean

demo: $(VENV)/demo.stamp  ## fuse, calibrate, build, stream: the main job on the test camera
	$(BIN)/python samples/demo

test: $(VENV)/dev.stamp  ## everything that needs nothing beside this folder
	$(BIN)/python -m pytest -q -m "not shared and not slow"

test-all: $(VENV)/dev.stamp  ## with the slow tests, and those that use the folder ../shared
	$(BIN)/python -m pytest -q

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build demo *.egg-info

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# torch's CPU build: a plain `pip install torch` would bring gigabytes of CUDA libraries.
$(VENV)/torch.stamp: $(BIN)/python
	$(BIN)/python -c 'import torch' 2>/dev/null || $(PIP) 'torch==2.13.0+cpu' 2>/dev/null || \
		$(PIP) --extra-index-url https://download.pytorch.org/whl/cpu 'torch==2.13.0+cpu'
	touch $@

# openvino is the default engine on x86-64; the search for a hybrid needs torch, the video (H.264)
# the cameras' packages.
$(VENV)/demo.stamp: $(VENV)/torch.stamp $(BUILD_INPUTS)
	$(PIP) --editable '.[train,openvino,camera]'
	touch $@

$(VENV)/dev.stamp: $(VENV)/torch.stamp $(BUILD_INPUTS)
	$(PIP) --editable '.[dev]'
	touch $(VENV)/demo.stamp $@
