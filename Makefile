# `make demo` and `make test` do everything on a machine that has Python 3.11 or newer, make and a C compiler.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed

.PHONY: demo test test-slow fuzz lint format docs architecture leaderboard leaderboard-pages wheel clean
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

architecture: $(INSTALLED)
	$(BIN)/python -m website.architecture

# Many hours on two cores; Ctrl-C saves, and the same command goes on. At equal bytes first, so that the page of all shows
# both boards; cells of earlier settings or revisions are refused by name: --overwrite those with --memories.
BOARD := docs/results/leaderboard
LEADERBOARD := $(BIN)/mnesis compare --batch 16 --budget tokens=500k --threads 2
CHOSEN := gru,lstm,echo-state,window,armt,transformer-xl,linear-attention,gla,mamba2,min-gru,delta-rule,gated-delta-rule,tcn
MORE := associative-retrieval state-tracking selective-copy piecewise-stationary memory-capacity babi
leaderboard: $(INSTALLED)
	$(LEADERBOARD) multi-query-recall parity $(MORE) --memories $(CHOSEN) --match state=16k --folder $(BOARD)/equal-bytes
	$(LEADERBOARD) multi-query-recall parity --options bilinear:hidden=64 --folder $(BOARD)
	$(LEADERBOARD) $(MORE) --memories $(CHOSEN) --folder $(BOARD)

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
