# `make smoke`, `make reproduce` and `make test` are all that a fresh machine needs; each makes .venv first.
VENV := .venv
BIN := $(VENV)/bin

$(if $(shell pwd | grep '["$$`\\]'),$(error the project's path has one of " $$ ` \ in it, which a shell reads as something else: move or rename the folder))

# `python` in dvc.yaml is this environment's, and no tool calls home.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DO_NOT_TRACK := 1
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help reproduce reproduce-all smoke ui tables worker test check coverage lock environment peer
help:
	@$(info $(HELP)):

define HELP
make smoke         the whole road in a minute, on a dozen generated pictures: its numbers mean nothing
make reproduce     the papers in miniature, on generated pictures, offline: 15 minutes on two quiet CPU cores
make reproduce-all NYUDv2, SIFT Flow and PASCAL-Context, every row of their tables: 15 minutes
make ui            MLflow, opened on the papers' tables, until Ctrl-C
make worker        Prefect's server, UI and workers here, until Ctrl-C
make environment   .venv, which all others make first: 3 to 6 minutes, 6.5 GB, the only use of the network;
                   `. .venv/bin/activate` has a terminal use it
make test          the checks and all tests; `make check` the checks alone, `make coverage` what the tests miss
make lock          the newest versions into requirements.lock

Everything else: `python -m fcn --help`, `dvc repro`, README.md
endef

reproduce: environment
	@$(whole_road)
	@echo; echo "The whole story, departures included: data/sample/report/report.html"
	@echo "In MLflow, as the papers' tables:      make ui"

reproduce-all: PROFILE = profiles/sample-all/
reproduce-all: environment
	@$(whole_road)
	@echo; echo "The whole story, departures included: data/sample-all/report/report.html"

smoke: PROFILE = profiles/smoke/
smoke: environment
	@$(whole_road)
	@echo; echo "The numbers of a dozen pictures mean nothing; data/smoke/report/report.html has them."

# Of the profile in the folder PROFILE, the root's without one; with the table of scores.
define whole_road
test -e .git || $(BIN)/dvc config --local core.no_scm true; $(BIN)/python -m fcn mend && \
$(BIN)/python -m fcn reproduce --params $(PROFILE)params.yaml && \
sed -n '/^# /,/Percent[.]/p' data/$(or $(notdir $(PROFILE:/=)),sample)/tables/scores.md
endef

# MLflow, opened on the papers' tables; where its database is gone, filled first with what is here of any profile.
# `make ui PORT=5001` where 5000 is taken.
PORT ?= 5000
ui: tables environment
	@why=$$($(BIN)/python -c 'import socket; socket.create_server(("127.0.0.1", int("$(PORT)")))' 2>&1 | tail -n 1); \
	[ -z "$$why" ] || { why=$${why#*: }; why=$${why##*] }; echo "error: port $(PORT) can't be used ($${why%% (while *}); choose another: make ui PORT=5001. If an earlier make ui has it, it can just be opened" >&2; exit 1; }
	@test -s mlflow.db || $(with_tables) | while read -r params; do \
	  MLFLOW_TRACKING_URI= $(BIN)/python -m fcn publish --params "$$params" || exit 1; \
	done
	@echo "In some seconds, until Ctrl-C: http://127.0.0.1:$(PORT) has every table, the trainings and the models"
	@MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false $(BIN)/python -W ignore -m uvicorn fcn.serving.ui:app --port $(PORT) --log-level warning

tables:
	@test -s mlflow.db || [ -n "$$($(with_tables))" ] || \
	{ echo "error: there are no tables to show yet: make smoke, in a minute, or make reproduce makes some" >&2; exit 1; }

# Each params.yaml, a line, of which tables are here.
with_tables = { for params in params.yaml profiles/*/params.yaml; do \
  profile=$$(sed -n 's/^profile: *\([^ \#]*\).*/\1/p' "$$params" 2>/dev/null); \
  [ ! -e "data/$$profile/tables/scores.json" ] || echo "$$params"; \
done; }

# Prefect's server, pools, deployments and workers here, until Ctrl-C. `make worker PORT=4201` where 4200 is taken.
worker: PORT = 4200
worker: environment
	@exec $(BIN)/python -m flows.site --port $(PORT)

# Side by side: four for two cores, for many tests wait for processes. A file's tests stay together.
TESTS := -n 4 --dist loadfile --no-loadscope-reorder
test: check peer
	$(BIN)/python -m pytest $(TESTS)

# Of fcn/, by all tests but those of flows/: their real servers, traced, would take an hour more.
coverage: environment peer
	$(BIN)/python -m pytest $(TESTS) --ignore=tests/doors --cov=fcn --cov-report=term:skip-covered

check: environment
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# .venv/.installed is the requirements.lock that make has installed there, and empty until it has. Another one is installed
# over it, for something may be at work in the environment; into one that make didn't make, never. One that was cut off
# before it had pip is made anew. A moved one is broken: its commands name the Python of the old place.
moved := [ -f $(VENV)/pyvenv.cfg ] && ! grep -qF "$(CURDIR)/$(VENV)" $(VENV)/pyvenv.cfg
environment:
	@cmp -s requirements.lock $(VENV)/.installed && [ -e $(BIN)/python ] && { [ -L $(VENV) ] || ! { $(moved); }; } || { $(install); }

define install
set -e; \
if [ -L $(VENV) ] || { [ -e $(VENV) ] && { [ ! -f $(VENV)/.installed ] || { $(moved); }; }; }; then \
  echo "error: make didn't make the environment $(VENV), or not in this place: move it away, and make makes one;" >&2; \
  echo "or, in yours, pip install -r requirements.lock && cp requirements.lock $(VENV)/.installed" >&2; \
  exit 1; \
fi; \
if maker=$$(cat .venv-maker 2>/dev/null) && kill -0 "$$maker" 2>/dev/null; then \
  echo "error: another make (process $$maker) is at work on $(VENV): start this again when it is done" >&2; exit 1; \
fi; \
echo $$$$ > .venv-maker; trap 'rm -f .venv-maker' EXIT; \
if [ ! -e $(BIN)/python ] || { [ ! -s $(VENV)/.installed ] && ! $(BIN)/python -m pip --version >/dev/null 2>&1; }; then \
  $(find_python); rm -rf $(VENV); mkdir $(VENV); : > $(VENV)/.installed; "$$python" -m venv $(VENV); \
fi; \
$(launcher) > $(BIN)/fcn; chmod +x $(BIN)/fcn; \
echo "$(VENV) gets the packages of requirements.lock, once: some minutes, 6.5 GB; of each that isn't small a line:"; \
{ $(BIN)/python -m pip install --progress-bar off -r requirements.lock && echo ended 0 || echo ended 1; } | $(in_short); \
wrong=$$($(BIN)/python -m pip check) || { echo "$$wrong" >&2; exit 1; }; \
cp requirements.lock $(VENV)/.installed; \
echo "$(VENV) is ready: \`. $(BIN)/activate\` has a terminal use it, and make does by itself"
endef

# Of what pip says of hundreds of packages: those that have a megabyte or more, and the last step. Ends as pip did.
define in_short
{ while read -r word rest; do \
  case "$$word $$rest" in \
    "ended "*) exit $$rest ;; \
    "Downloading "*MB\) | "Using cached "*MB\)) echo "  $$word $$rest" ;; \
    "Installing collected "*) echo "  and now all are installed: a minute or two" ;; \
  esac; \
done; exit 1; }
endef

# `fcn`, from any folder of the project: -P, because names of modules below fcn/ are also those of Python's own.
launcher = printf '\#!/bin/sh\nPYTHONPATH="%s" exec "%s" -P -m fcn "$$@"\n' "$(CURDIR)" "$(CURDIR)/$(BIN)/python"

# torchfcn's own requirements are of 2019 and would not install; tests/ import the little of it that they compare with.
peer: environment
	@cmp -s requirements-peer.lock $(VENV)/.installed-peer || { \
	  $(BIN)/python -m pip install --quiet --progress-bar off --no-deps -r requirements-peer.lock && \
	  cp requirements-peer.lock $(VENV)/.installed-peer; }

# The newest versions that pyproject.toml allows, as they install together; HELD are moved by hand, once all tests passed.
HELD := torch==2.14.1 torchvision==0.29.1 'dvc[s3,ssh]==3.67.1' prefect==3.8.8 mlflow==3.17.2
lock:
	@$(find_python); "$$python" -m venv --clear .venv-lock
	.venv-lock/bin/python -m pip install --quiet --progress-bar off '.[dev]' $(HELD)
	.venv-lock/bin/python -m pip freeze --all --exclude fcn-reproduction --exclude pip > .venv-lock/frozen
	{ sed '/^[^#]/,$$d' requirements.lock; sed -E '/^(cuda|nvidia|triton)/s/$$/; sys_platform == "linux"/' .venv-lock/frozen; } > .venv-lock/new
	mv .venv-lock/new requirements.lock
	rm -rf .venv-lock

# A Python that can make environments; the oldest supported one first, because the lock was made with it.
define find_python
for python in python3.11 python3.12 python3.13 python3.14 python3 python none; do \
  "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11, 4))' 2>/dev/null && break; \
done; \
if [ "$$python" = none ]; then \
  echo "error: no Python that fits; found: $$(python3 --version 2>&1). Needed is 3.11.4 or newer with its venv module" >&2; \
  echo "(Debian and Ubuntu: apt install python3-venv), on PATH as python3.11 ... python3" >&2; \
  exit 1; \
fi
endef
