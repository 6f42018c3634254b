# Likeness. `make run` is the whole product; whatever it needs goes into .venv.
PORT ?= 8000
HOST ?= 127.0.0.1
PHOTO ?=
OUT ?= demo-output
# The first Python that is new enough.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
# What the tests run beside Python; libegl1 and libgl1 are for painting training pictures, g++ for a
# compiled training.
PACKAGES := chromium postgresql redis-server libegl1 libgl1 g++

# Two files of tests at a time; a browser, a studio and its engine are processes of their own.
# Their order is that of tests/conftest.py.
TWO := -n 2 --dist loadfile --no-loadscope-reorder
# What fails is run once more, alone: beside another file, on two cores, a page may come late. Both
# runs are printed, and what fails twice fails.
AGAIN := --last-failed --last-failed-no-failures none
ON_SERVERS := "database and not (engine or browser or live)"

.PHONY: run demo test lint bench system
.DEFAULT_GOAL := run

run: .venv/installed  ## the studio at http://127.0.0.1:$(PORT)/, until Ctrl-C
	@exec $(BIN)/python manage.py studio --host $(HOST) --port $(PORT)

demo: .venv/installed  ## learn the face on PHOTO (or an invented one), draw it into OUT
	@exec $(BIN)/python -m generator.engine.demo --out "$(OUT)" $(if $(PHOTO),--photo "$(PHOTO)")

test: .venv/installed-dev system  ## everything on SQLite, then what stores rows on PostgreSQL + Redis
	$(BIN)/python -m pytest $(TWO) || $(BIN)/python -m pytest $(AGAIN)
	$(BIN)/python -m tests.servers -- $(BIN)/python -m pytest $(TWO) -m $(ON_SERVERS) || \
		$(BIN)/python -m tests.servers -- $(BIN)/python -m pytest $(AGAIN) -m $(ON_SERVERS)

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/djlint --lint --quiet templates
	$(BIN)/python manage.py makemigrations --check --dry-run
	SITE_URL=https://likeness.example SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))') \
		$(BIN)/python manage.py check --deploy --fail-level WARNING

bench: .venv/installed-dev  ## how long pages take, alone and beside a training
	@for file in benchmarks/[a-z]*.py; do $(BIN)/python -m benchmarks.$$(basename $$file .py) || exit 1; done

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Likeness needs Python 3.11 or newer; none was found."; exit 1; }
	$(PYTHON) -m venv .venv

.venv/installed: requirements.txt | .venv/bin/python
	@echo "Installing what Likeness needs into .venv (once; some minutes)."
	$(PIP) -r requirements.txt
	@touch $@

.venv/installed-dev: requirements-dev.txt .venv/installed
	$(PIP) -r requirements-dev.txt
	@touch $@

system:
	@missing=""; for p in $(PACKAGES); do \
		dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q "ok installed" || missing="$$missing $$p"; done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing$$missing"; { apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; } || \
		echo "They could not be installed. Tests that need one are skipped without it."; \
	else echo "Not found as Debian packages:$$missing. Tests that need one are skipped without it."; fi
