# Everything runs in .venv, made on first use. `make help` lists what there is to make.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt

# What Python compiles is kept for the next process, whatever the shell says.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo demo-train test test-slow test-gpu lint format docs bench-tokenizer bench-quantizer bench-peers bench-prior bench-prior-speed bench-rd bench-vqgan race results dist check-dist clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# One stamp per set of extras: a second call starts at once, a changed pyproject installs anew.
.stamps/venv:
	$(PYTHON) -m venv $(VENV)
	@mkdir -p .stamps && touch $@

.stamps/%: .stamps/venv pyproject.toml constraints.txt
	$(PIP) --editable '.[$*]'
	@touch $@

demo: .stamps/samples,fast ## compress sample photographs with the model in the box, beside JPEG and WebP (1 min)
	$(BIN)/loopyvq demo --out runs/demo

demo-train: .stamps/demo ## train for two minutes on sample photographs and show where the tokens go
	$(BIN)/loopyvq demo --train --out runs/demo-train

lint: .stamps/dev ## check format, style, types and the layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint ## lint, then run the fast tests and the examples in the docstrings
	$(BIN)/pytest -n 2

test-slow: .stamps/dev ## run the tests that take longer than a few seconds
	$(BIN)/pytest -m slow

test-gpu: .stamps/dev ## run the tests that need a CUDA device
	$(BIN)/pytest -m gpu

format: .stamps/dev ## rewrite the code in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: .stamps/docs .stamps/demo ## build the documentation into docs/_build
	$(BIN)/sphinx-build --quiet --fail-on-warning docs docs/_build

bench-tokenizer: .stamps/demo ## train loop, fixed depth and plain VQ alike and compare them (1 h; needs DATA and TEST)
	$(BIN)/python benchmarks/tokenizer.py --data $(DATA) --test $(TEST)

bench-quantizer: .stamps/peers ## time the quantizer against other libraries (20 min)
	.venv-peers/bin/python benchmarks/quantizer/run.py

.stamps/peers: pyproject.toml constraints.txt benchmarks/peers/requirements.txt benchmarks/peers/requirements_no_deps.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -r benchmarks/peers/requirements.txt
	.venv-peers/bin/pip install --quiet --disable-pip-version-check --no-deps -r benchmarks/peers/requirements_no_deps.txt
	.venv-peers/bin/pip install --quiet --disable-pip-version-check -c constraints.txt --editable '.[fast,eval]'
	@mkdir -p .stamps && touch $@

bench-peers: .stamps/peers ## run the acceptance list over other libraries' quantizers and ours (7 min)
	.venv-peers/bin/python benchmarks/peers/run.py

bench-prior: .stamps/demo .stamps/fast ## train the same prior over loopy, fixed-depth and plain VQ tokens (1 h; needs DATA in classes; OPTIONS)
	$(BIN)/python benchmarks/prior_compare/run.py --data $(DATA) $(OPTIONS)

bench-prior-speed: .stamps/peers ## time priors against taming-transformers and Hugging Face (30 min; needs TAMING, a checkout)
	.venv-peers/bin/python benchmarks/prior/run.py --taming $(TAMING)

bench-rd: .stamps/demo ## compare real files with JPEG, WebP, AVIF and JPEG 2000 (needs MODEL and TEST)
	$(BIN)/loopyvq evaluate rd --data $(TEST) --model $(MODEL) --out runs/rd

race: .stamps/demo ## race variable length against fixed depth at equal bytes (needs DATA and TEST; SEEDS, ENTRIES, OPTIONS)
	$(BIN)/python benchmarks/race/run.py --data $(DATA) --test $(TEST) $(foreach entry,$(ENTRIES),--entry $(entry)) $(if $(SEEDS),--seeds $(SEEDS)) $(OPTIONS)
	$(BIN)/python benchmarks/race/synthetic.py

bench-vqgan: .stamps/train ## time one training step of taming's own code against ours (10 min; needs TAMING, a checkout)
	$(BIN)/python benchmarks/vqgan_step/run.py --taming $(TAMING)

results: .stamps/demo ## measure the model in the box and write docs/results.md (needs TEST; AGAINST, OPTIONS)
	$(BIN)/python benchmarks/results/run.py --test $(TEST) $(foreach entry,$(AGAINST),--against $(entry)) $(OPTIONS)

dist: .stamps/dev ## build the wheel and the source archive into dist
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist .

check-dist: dist ## check what dist holds, install the wheel into an empty environment and use it there (1 min)
	$(BIN)/python tools/check_dist.py dist
	$(BIN)/python tools/try_wheel.py dist --constraints constraints.txt

clean: ## remove everything that was made
	rm -rf $(VENV) .venv-peers .stamps runs dist docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis
