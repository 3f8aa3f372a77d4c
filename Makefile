# Everything runs in .venv; nothing is installed outside it, except the system packages that
# `make test` says it installs. Works with GNU make 3.81 on, so with the one of macOS.

VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt
DEMO   := examples/digits/edgewright.yaml

.PHONY: help demo stop fleet-up fleet-down test test-faults bench bench-fleet lint docs clean

help:
	@echo "make demo   install, then the whole story once on examples/digits; ends with a running service"
	@echo "make stop   end that service"
	@echo "make fleet-up    ten devices on this machine (SSH servers with homes of their own), for examples/fleet.yaml"
	@echo "make fleet-down  ends them"
	@echo "make test   every test (installs what they need)"
	@echo "make test-faults  the fault tests alone, and how many faults were survived"
	@echo "make bench  compare with PyTorch, ONNX Runtime and OpenVINO + NNCF on this machine"
	@echo "make bench-fleet  one wave over 1,000 simulated devices: time, memory, bytes sent to each"
	@echo "make lint   ruff and mypy --strict"
	@echo "make docs   regenerate docs/configuration.md, docs/cli.md and docs/reliability.md"
	@echo "make clean  remove .venv and caches (runs and services in .edgewright stay)"

demo: $(VENV)/.installed
	$(BIN)/edgewright run $(DEMO)
	$(BIN)/python examples/ask.py $(DEMO)

stop: $(VENV)/.installed
	$(BIN)/edgewright stop

fleet-up: $(VENV)/.installed-for-tests
	@$(BIN)/python tools/fleet.py up

fleet-down: $(BIN)/python
	@$(BIN)/python tools/fleet.py down

# A file of tests stays in one process, because its tests share what they set up. Many of them wait for a while, for
# time-outs and for other processes: one process more than there are processors.
PROCESSORS := $(shell getconf _NPROCESSORS_ONLN)
SPREAD := -n $(shell expr $(PROCESSORS) + 1) --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test: $(VENV)/.installed-for-tests
	sh tools/system-packages.sh
	$(BIN)/python -m pytest $(SPREAD) -m "not alone"
	$(BIN)/python -m pytest -m alone

test-faults: $(VENV)/.installed-for-tests
	sh tools/system-packages.sh
	$(BIN)/python -m pytest $(SPREAD) tests/faults $$($(BIN)/python tests/faults/rows.py)

bench: $(VENV)/.installed-for-tests
	$(BIN)/python benchmarks/run.py

bench-fleet: $(VENV)/.installed-for-tests
	$(BIN)/python benchmarks/fleet.py

lint: $(VENV)/.installed-for-tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict src

docs: $(VENV)/.installed-for-tests
	$(BIN)/edgewright schema --markdown > docs/configuration.md
	$(BIN)/python tools/write_cli_docs.py > docs/cli.md
	$(BIN)/python tools/write_reliability_docs.py > docs/reliability.md

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist

$(BIN)/python:
	sh tools/make-venv.sh $(VENV)

# No torch here: the demo's network was exported without it, and on Linux the public torch brings CUDA.
$(VENV)/.installed: $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing into $(VENV) (about 230 MB the first time) …"
	@$(PIP) -e ".[openvino,examples]"
	@touch $@

$(VENV)/.installed-for-tests: $(VENV)/.installed
	@echo "Installing what the tests need into $(VENV) …"
	@$(BIN)/python tools/install_cpu_torch.py
	@$(PIP) -e ".[openvino,torch,ssh,sign,channel,examples,minilm,test]"
	@touch $@
