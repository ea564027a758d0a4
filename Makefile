# From a bare machine: `make demo` and `make test` make their own .venv. `make help` lists the rest.

PYTHON ?=
SECONDS ?= 15
ROUNDS ?= 7
MINUTES ?= 20
STANDBY ?=
ARGS ?=
RUN := .venv/bin/python -m
PIP_INSTALL := -m pip install -qq --disable-pip-version-check
SUITE := NO_PROXY='*'

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test docs lint format types imports coverage coverage-report test-hosts recovery stop-times forks hosts hostile faults soak fuzz proofs standby bench structure costs account build test-oldest test-newest ci clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*  ## /\1\t/p' Makefile | expand -t 14

# One .venv, grown as far as a target needs; each stamp is redone when setup.cfg changes.
.venv/bin/python:
	@python='$(PYTHON)'; [ -n "$$python" ] || python=$$(bash .ci/python default) || exit 1; \
	echo "making .venv with $$python" && rm -rf .venv && "$$python" -m venv .venv

.venv/demo.stamp .venv/docs.stamp .venv/test.stamp .venv/lint.stamp .venv/hosts.stamp: setup.cfg pyproject.toml | .venv/bin/python
.venv/demo.stamp: EXTRAS = testing,rest
.venv/docs.stamp: EXTRAS = docs
.venv/test.stamp: EXTRAS = test,official
.venv/lint.stamp: EXTRAS = test,official,lint
.venv/hosts.stamp: EXTRAS = test,official,hosts
.venv/%.stamp:
	@echo "installing polymarket_ws[$(EXTRAS)] into .venv"
	@.venv/bin/python $(PIP_INSTALL) -e '.[$(EXTRAS)]'
	@touch $@

demo: .venv/demo.stamp  ## a live table from a simulated exchange (SECONDS=15)
	@.venv/bin/polymarket-ws demo --seconds $(SECONDS)

test: .venv/test.stamp  ## the whole suite but for test-hosts, documentation included (ARGS="-k name" goes to pytest)
	@$(SUITE) $(RUN) $(if $(COVERAGE),coverage run -m) pytest -q --ignore-glob='tests/contrib/*/*' $(ARGS)

docs: .venv/docs.stamp  ## the documentation as a site, in docs/_build; a warning is an error
	@$(RUN) sphinx -E -W --keep-going -q -j auto -b html docs docs/_build
	@echo "docs/_build/index.html: $$(find docs/_build -name '*.html' | wc -l) pages"

lint: .venv/lint.stamp  ## ruff: rules and format
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .

format: .venv/lint.stamp  ## let ruff mend what it can
	@$(RUN) ruff check --fix .
	@$(RUN) ruff format .

types: .venv/lint.stamp  ## mypy --strict on the package; both checkers, strictly, on the public surface
	@$(RUN) mypy
	@$(RUN) pyright --pythonpath .venv/bin/python

imports: .venv/lint.stamp  ## the import contract of setup.cfg
	@.venv/bin/lint-imports --no-logo

coverage:  ## branch coverage: the package by the suite, each sans-I/O module by its own file
	@$(MAKE) --no-print-directory test COVERAGE=1
	@$(MAKE) --no-print-directory coverage-report

# After a `make test COVERAGE=1`.
coverage-report: .venv/test.stamp
	@$(RUN) coverage report
	@$(SUITE) .venv/bin/python tests/tools/sans_io_coverage.py

test-hosts: .venv/hosts.stamp  ## the integrations, in Django and others that run for real (ARGS="-k name")
	@bash .ci/services
	@$(SUITE) $(RUN) pytest -q tests/contrib $(ARGS)

recovery: .venv/test.stamp  ## time to recovery from each fault, and what was told
	@$(SUITE) .venv/bin/python tests/proofs/recovery_times.py

stop-times: .venv/test.stamp  ## time that stop() takes at each moment, and what it leaves
	@$(SUITE) .venv/bin/python tests/proofs/stop_times.py

forks: .venv/test.stamp  ## 1 000 children forked under a flood: what they see, and that none hangs
	@$(SUITE) .venv/bin/python tests/proofs/fork_proof.py 1000

faults: .venv/test.stamp  ## what each fault of network and machine costs; writes docs/reliability.md (minutes)
	@$(SUITE) .venv/bin/python tests/proofs/faults_proof.py $(or $(ARGS),--write)

soak: .venv/test.stamp  ## load, cuts, churn, bad callbacks; writes docs/reliability.md (MINUTES=20, STANDBY=1)
	@$(SUITE) .venv/bin/python tests/proofs/soak_proof.py $(MINUTES) --write $(if $(STANDBY),--standby)

account: .venv/test.stamp  ## 100 courses of a busy account, against the exchange's truth (minutes)
	@$(SUITE) .venv/bin/python tests/proofs/account_proof.py $(or $(ARGS),100)

hostile: .venv/test.stamp  ## what a hostile server can cost: CPU, memory, what is kept; writes docs/reliability.md
	@$(SUITE) .venv/bin/python tests/proofs/hostile_proof.py $(or $(ARGS),--write)

# The small second venv has a uWSGI in which threads are off unless asked for.
.venv-hosts/stamp: setup.cfg
	@python=$$(bash .ci/python default) && rm -rf .venv-hosts && "$$python" -m venv .venv-hosts \
	&& .venv-hosts/bin/python $(PIP_INSTALL) -e '.[testing]' celery django eventlet flask gevent gunicorn \
		ipykernel jupyter_client uwsgi uwsgidecorators \
	&& "$$python" -m venv .venv-hosts/old-uwsgi \
	&& .venv-hosts/old-uwsgi/bin/python $(PIP_INSTALL) -e . 'uwsgi==2.0.21'
	@touch $@

.venv-fuzz/stamp: setup.cfg
	@python=$$(bash .ci/python default) && rm -rf .venv-fuzz && "$$python" -m venv .venv-fuzz \
	&& .venv-fuzz/bin/python $(PIP_INSTALL) -e '.[test]' atheris
	@touch $@

fuzz: .venv-fuzz/stamp  ## look for inputs that break a parser, with atheris (SECONDS=60 for each; ARGS="session")
	@cd tests && $(SUITE) ../.venv-fuzz/bin/python -m fuzz $(SECONDS) $(ARGS)

hosts: .venv-hosts/stamp  ## in gunicorn, uWSGI, Celery, gevent and others, each run for real (minutes; ARGS="uWSGI")
	@$(SUITE) .venv-hosts/bin/python tests/proofs/hosts_proof.py $(ARGS)

proofs: .venv/test.stamp  ## what verification by hash notices, and never takes for wrong (minutes)
	@$(SUITE) .venv/bin/python tests/proofs/hash_proof.py quiet 100000
	@$(SUITE) .venv/bin/python tests/proofs/hash_proof.py deleted 200

standby: .venv/test.stamp  ## a standby under a killer, a rotation, and neither, a minute each
	@$(SUITE) .venv/bin/python tests/proofs/standby_proof.py 60 5000 killed rotated alone

.venv-bench/stamp: setup.cfg
	@python=$$(bash .ci/python newest) && rm -rf .venv-bench && "$$python" -m venv .venv-bench \
	&& .venv-bench/bin/python $(PIP_INSTALL) -e '.[fast,testing]' polymarket-client picows pydantic websockets
	@for peer in polyws polymarket-apis eggplant-sdk; do .venv-bench/bin/python $(PIP_INSTALL) $$peer || true; done
	@touch $@

bench: .venv-bench/stamp  ## against the other clients; writes docs/benchmarks.md (20 minutes; ROUNDS=7)
	@cd tests && $(SUITE) ../.venv-bench/bin/python -m bench $(ROUNDS)

structure: .venv/test.stamp  ## figures of the package's structure: rooms, sizes, the way of a price_change
	@$(SUITE) .venv/bin/python tests/tools/structure.py

costs: .venv/test.stamp  ## count the hot path's calls anew, for tests/whole/test_costs.py
	@cd tests && ../.venv/bin/python -m whole.test_costs

build: .venv/lint.stamp  ## sdist and wheel, the README as their page; the demo from the wheel in an empty environment
	@rm -rf build dist .venv-wheel
	@$(RUN) build --quiet
	@$(RUN) twine check --strict dist/*
	@.venv/bin/python -m venv .venv-wheel
	@.venv-wheel/bin/python $(PIP_INSTALL) "$$(ls dist/*.whl)[testing]"
	@cd dist && ../.venv-wheel/bin/polymarket-ws demo --seconds 2

# No `official` extra in these two: it would hold websockets below the newest.
# Made anew when setup.cfg changes; `make clean` removes them, for what is newest today.
.venv-oldest/done: setup.cfg
	@python=$$(bash .ci/python oldest) && echo "oldest: $$python" \
	&& rm -rf .venv-oldest && "$$python" -m venv .venv-oldest \
	&& .venv-oldest/bin/python tests/tools/lower_bounds.py > .venv-oldest/constraints.txt \
	&& .venv-oldest/bin/python $(PIP_INSTALL) -c .venv-oldest/constraints.txt -e '.[test]'
	@touch $@

.venv-newest/done: setup.cfg
	@python=$$(bash .ci/python newest) && echo "newest: $$python" \
	&& rm -rf .venv-newest && "$$python" -m venv .venv-newest \
	&& .venv-newest/bin/python $(PIP_INSTALL) --upgrade -e '.[test]'
	@touch $@

VERSIONS := grep -iE '^(attrs|cattrs|msgspec|prometheus.client|python-socks|trustme|urllib3|websocket-client|websockets)=='

test-oldest: .venv-oldest/done  ## the suite on the oldest Python found, with the lower bounds of setup.cfg
	@.venv-oldest/bin/python -m pip freeze | $(VERSIONS)
	@HYPOTHESIS_PROFILE=versions $(SUITE) .venv-oldest/bin/python -m pytest -q $(ARGS)

test-newest: .venv-newest/done  ## the suite on the newest Python found, with the newest dependencies
	@.venv-newest/bin/python -m pip freeze | $(VERSIONS)
	@HYPOTHESIS_PROFILE=versions $(SUITE) .venv-newest/bin/python -m pytest -q $(ARGS)

ci:  ## everything that has to hold before a change lands
	@bash .ci/run

clean:  ## remove what make made
	rm -rf .venv .venv-* .fuzz build dist docs/_build .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	rm -rf *.egg-info
