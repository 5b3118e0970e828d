# The targets that people use. `make test` is the bar that a change must pass;
# it is what CI runs (.ci/run), and it finishes within ten minutes on two cores.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO          ?= go
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

# test-deep: how many seeds the fleet simulator runs, and how long each fuzz
# target is fuzzed.
SEEDS    ?= 2000
FUZZTIME ?= 60s
# … and how long it plays what goes into the ledger docs/soak.md.
SOAK     ?= 1h
# make test: how many mutants it draws, and by what; the same seed draws the same ones.
MUTANTS     ?= 25
# … of the code whose every mutant was run since it last changed.
MUTANTS_OF  ?= ^.?(lever|quorum)\.
MUTANT_SEED ?= $(shell git rev-parse --short HEAD 2>/dev/null || date -u +%F)
# Where terraform finds its AWS provider: a directory for its -plugin-dir; empty: it downloads it.
TERRAFORM_PLUGINS ?=

.PHONY: help
help: ## list these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

.PHONY: build
build: ## build bin/mapwarden, a static binary
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=auto -o bin/ ./cmd/mapwarden

.PHONY: demo
demo: ## watch it work: real servers, faults and traffic, with and without mapwarden (90 s)
	$(GO) run ./cmd/mapwarden demo

.PHONY: components
components: ## get what tests need from outside: aws, boto3, node, haproxy, nginx, postgresql, chromium (as root), AWS's JavaScript SDK and service model
	scripts/components.sh

.PHONY: test
test: components ## everything that must hold; nothing is left out
	scripts/gofmt.sh
	$(GO) vet ./...
	MAPWARDEN_COMPONENTS=required $(GO) test -race -shuffle=on -timeout 14m ./...
	$(GO) test -shuffle=on -timeout 14m ./internal/fleetsim
	$(GO) run ./scripts/mutate -sample $(MUTANTS) -seed $(MUTANT_SEED) -only '$(MUTANTS_OF)'

.PHONY: test-here
test-here: ## what can run on this machine as it is, and a list of what was left out
	$(GO) test -shuffle=on -v ./... 2>&1 | grep -E '^(FAIL|ok|panic:|\s*--- FAIL)|LEFT OUT'

.PHONY: test-deep
test-deep: test ## hours rather than minutes: many seeds, long fuzzing, a slice of the soak
	MAPWARDEN_COMPONENTS=required MAPWARDEN_SEEDS=$(SEEDS) $(GO) test -race -shuffle=on -count=1 -timeout 4h ./...
	if command -v terraform >/dev/null; then \
		MAPWARDEN_TERRAFORM_PLUGINS="$(TERRAFORM_PLUGINS)" $(GO) test -tags terraform -count=1 -timeout 30m -run TestTerraform ./internal/registry/awsjson; \
	else echo "LEFT OUT: TestTerraform, for terraform is not on this machine"; fi
	GO="$(GO)" scripts/fuzz.sh $(FUZZTIME)
	$(GO) run ./scripts/soak -for $(SOAK)
	$(GO) run ./scripts/mutate

.PHONY: mutants
mutants: ## change the code that decides in every small way; fails where no test notices (goes on where it was stopped)
	$(GO) run ./scripts/mutate

.PHONY: lint
lint: ## gofmt, vet, staticcheck, and the rules of the house that a program can check
	scripts/gofmt.sh
	$(GO) vet ./...
	$(GO) vet -tags terraform ./internal/registry/awsjson
	$(GO) run $(STATICCHECK) ./...
	scripts/lint.sh

.PHONY: bench
bench: ## every benchmark, then the programs under bench/ where there are any
	GO="$(GO)" scripts/bench.sh

.PHONY: docs
docs: ## regenerate the reference pages; fails where the committed ones were stale
	$(GO) generate ./...
	git diff --exit-code -- docs
