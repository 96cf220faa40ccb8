# Every target that has a ## comment is listed by `make help`.

GOLANGCI_VERSION := v2.15.0
LINTER := bin/golangci-lint-$(GOLANGCI_VERSION)
LINTER_MODULE := github.com/golangci/golangci-lint/v2/cmd/golangci-lint
GOTESTSUM_VERSION := v1.13.0
TESTER := bin/gotestsum-$(GOTESTSUM_VERSION)

# Whatever the page is built from; what is built or installed does not count.
WEB_SOURCES := $(shell find web \( -name node_modules -o -path web/dist \) -prune -o -type f ! -name '*.go' -print 2>/dev/null)
WEB_MODULES := web/node_modules/.installed
WEB_PAGE := web/dist/index.html

# One Postgres and one Redis for all packages' tests, gone afterwards.
WITH_SERVERS := go run ./internal/testkit/teststack

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## Show the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: build ## Set everything up and run it: Postgres, Redis, two demo clinics, the API, the playground
	@exec bin/taskmed dev --with-parent

.PHONY: build
build: web ## Build bin/taskmed, the playground included
	@go build -trimpath -o bin/taskmed ./cmd/taskmed

.PHONY: web
web: $(WEB_PAGE) ## Build the playground's page if its sources changed

$(WEB_PAGE): $(WEB_SOURCES) $(WEB_MODULES)
	cd web && npm run build

$(WEB_MODULES): web/package.json web/package-lock.json
	cd web && npm ci --no-audit --no-fund
	@touch $@

# How the packages' tests run. docs/decisions/0008 says why, and
# internal/testkit/teststack has a test that holds these lists against the code.
MODULE := github.com/taskmed/taskmed
# These share state between goroutines and run with the race detector; chaos
# builds the whole server with it.
RACE := internal/auth internal/calendar internal/chaos internal/database internal/entity internal/fitness \
	internal/gcpace internal/gqlserver internal/gqlserver/operation internal/gqlserver/streams internal/keyed internal/live internal/load \
	internal/attachments internal/attachments/attachmentserver internal/attachments/store internal/maintenance internal/messaging internal/outbox internal/people/guesses internal/persisted internal/profile internal/telemetry \
	internal/webhooks internal/webhooks/inspector internal/telemetry/dashboard internal/telemetry/logs internal/telemetry/metrics internal/answers internal/trust internal/coherence
# These start programs of others (Postgres, Redis, a browser) and may run again when
# they fail. No other may: a test of isolation or staleness that fails once has failed.
AGAIN := internal/devstack internal/e2e

PACKAGES = $(shell go list ./...)
RACE_PACKAGES = $(addprefix $(MODULE)/,$(RACE))
AGAIN_PACKAGES = $(addprefix $(MODULE)/,$(AGAIN))
PLAIN_PACKAGES = $(filter-out $(RACE_PACKAGES) $(AGAIN_PACKAGES),$(PACKAGES))
# Those whose tests need neither Postgres nor Redis.
FAST_PACKAGES = $(shell go list -f '{{.ImportPath}} {{.TestImports}} {{.XTestImports}}' ./... | grep -vE '/internal/(testkit|devstack)[] /]' | cut -d ' ' -f 1)

# `make lint` vets what is tested here.
GO_TEST := -vet=off -timeout 20m

.PHONY: test
test: web compiler $(TESTER) ## Run every test, on a private Postgres and Redis; those of what goroutines share with the race detector
	cd web && npm test
	@# All three runs run, and any fault fails.
	$(WITH_SERVERS) sh -c 'failed=0; \
		$(TESTER) --format standard-quiet --packages "$(RACE_PACKAGES)" -- -race $(GO_TEST) || failed=1; \
		$(TESTER) --format standard-quiet --packages "$(PLAIN_PACKAGES)" -- $(GO_TEST) || failed=1; \
		$(TESTER) --format standard-quiet --packages "$(AGAIN_PACKAGES)" --rerun-fails=2 --rerun-fails-max-failures=6 -- $(GO_TEST) || failed=1; \
		exit $$failed'

.PHONY: check
check: lint generated fast ## What to run before each commit, in two minutes: lint, generated code, the tests that need no servers

.PHONY: fast
fast: web ## Run the tests that need no servers
	go test $(FAST_PACKAGES)

.PHONY: generated
generated: ## Fail if the generated code is not current
	@tree() { git status --porcelain && git diff; }; \
	before=$$(tree); \
	$(MAKE) --no-print-directory generate || exit 1; \
	if [ "$$(tree)" != "$$before" ]; then \
		git status --short; git --no-pager diff; \
		echo 'make generate changed the tree: commit what it wrote' >&2; exit 1; \
	fi

$(TESTER):
	@mkdir -p $(@D)
	GOBIN=$(CURDIR)/bin/.install go install gotest.tools/gotestsum@$(GOTESTSUM_VERSION)
	@mv bin/.install/gotestsum $@ && rmdir bin/.install

# The race detector links against C.
.PHONY: compiler
compiler:
	@command -v $${CC:-cc} >/dev/null 2>&1 || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc libc6-dev; \
		else \
			echo 'the race detector needs a C compiler: apt-get install gcc libc6-dev, or xcode-select --install' >&2; exit 1; \
		fi; }

.PHONY: e2e
e2e: web ## Run the tests that use the whole server through a browser
	$(WITH_SERVERS) go test -count 1 -v ./internal/e2e/...

.PHONY: bench
bench: web ## Run the benchmarks
	$(WITH_SERVERS) go test -run '^$$' -bench . -benchmem ./...

.PHONY: bench-uncached
bench-uncached: build ## Measure what uncached answers cost beside a handler written by hand (Linux)
	$(WITH_SERVERS) go run ./bench/uncached

.PHONY: lint
lint: $(LINTER) ## Check the code with golangci-lint, at the version named here
	$(LINTER) run --allow-serial-runners ./...

$(LINTER):
	@mkdir -p $(@D)
	GOBIN=$(CURDIR)/bin/.install go install $(LINTER_MODULE)@$(GOLANGCI_VERSION)
	@mv bin/.install/golangci-lint $@ && rmdir bin/.install

.PHONY: generate
generate: ## Write the generated code, docs and alerting rules anew
	go run ./internal/tools/gqlgen
	UPDATE_GOLDEN=1 go test -count 1 -run TestMarkdown_IsTheDocumentedTable ./internal/rights
	UPDATE_GOLDEN=1 go test -count 1 -run 'TestPrometheusRules|TestGrafana' ./internal/telemetry
	$(WITH_SERVERS) env UPDATE_GOLDEN=1 go test -count 1 -run TestObservability ./internal/app
