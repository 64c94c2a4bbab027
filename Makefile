# Everything that is built stands in bin/; remove it to start anew.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
# The tools and the preview command build side by side: each has stretches that use one core only.
MAKEFLAGS += --no-builtin-rules --jobs=3

STACK ?= dev
EXAMPLE ?=
OUT ?=
DAY ?=
export CGO_ENABLED := 0
# The largest packages (Pulumi's SDKs) compile in a quarter less time for a quarter more memory, 3.6 GB, with less garbage collection.
BUILD := GOGC=400 go build
PULUMI_VERSION := $(shell sed -nE 's|.*github.com/pulumi/pulumi/pkg/v3 (v[^ ]+).*|\1|p' tools/pulumi/go.mod)

# The command line tool is built only where there is none.
ENGINE := bin/eks/node_modules/.package-lock.json $(if $(shell command -v pulumi),,bin/pulumi)

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: preview
preview: tools bin/preview ## Show what `pulumi preview` will show, without an account (STACK=dev|prod, EXAMPLE=team, OUT=dir writes YAML and JSON)
	@bin/preview -stack $(STACK) $(if $(EXAMPLE),-example $(EXAMPLE)) $(if $(OUT),-out $(OUT))

.PHONY: diff
diff: tools bin/preview ## Show what merging would do to stacks that another commit brought up, as Markdown (BASE=main, STACK=prod for one, OUT=file, LIMIT=bytes)
	@bin/preview -diff $(or $(BASE),main) -limit $(or $(LIMIT),0) $(if $(filter-out file,$(origin STACK)),-stack $(STACK)) $(if $(OUT),>$(OUT))

.PHONY: cost
cost: bin/preview ## Print what a stack costs a month, each line with its formula, and what CloudWatch would take (STACK=dev|prod)
	@bin/preview -stack $(STACK) -cost

.PHONY: images
images: bin/preview ## Print the images that a stack runs, for mirroring (STACK=dev|prod|local)
	@bin/preview -stack $(STACK) -images

.PHONY: migrate-tsdb
migrate-tsdb: bin/preview ## Print the schema that moves the index of logs from DynamoDB to TSDB (STACK=dev|prod, DAY=2027-01-10)
	@bin/preview -stack $(STACK) -migrate-tsdb "$(or $(DAY),none)"

.PHONY: test
test: tools ## Run the unit and engine tests
	GOGC=400 KANSOKU_TOOLS=required go test -timeout 30m ./...
	@test -x bin/lab/promtool -a -x bin/lab/loki || echo "The alerts were not evaluated: bin/lab has no promtool and Loki. \`make verify\` builds them, and does."

.PHONY: lint
lint: bin/golangci-lint bin/actionlint ## Lint and check the formatting
	bin/golangci-lint run ./...
	cd tests/lab && ../../bin/golangci-lint run ./...
	bin/actionlint

.PHONY: fmt
fmt: bin/golangci-lint ## Format
	bin/golangci-lint fmt ./... tests/lab/...

.PHONY: bench
bench: tools bin/preview ## Print times, memory, constructor costs and the critical path of an up
	go test -run '^$$' -bench . -benchtime 5x ./tests
	@for stack in dev prod; do bin/preview -stack $$stack -critical-path | sed -n '/^critical path/,$$p'; done

.PHONY: bench-logs
bench-logs: bin/lab/loki bin/lab/minio bin/lab/minio-setup bin/lab/dynalite ## Print what the same lines cost in S3 and DynamoDB as configured in 2020 and as we do
	cd tests/lab && go run ./benchlogs

.PHONY: bench-queries
bench-queries: bin/lab/prometheus bin/lab/promtool ## Print how long the panels of two dashboards take over 30 days, with recording rules and without
	cd tests/lab && go run ./benchqueries

.PHONY: verify
verify: tools bin/preview verify-binaries ## Let the tools that consume what we render judge it: the API server, promtool, amtool, Loki, Thanos
	KANSOKU_LAB_TOOLS=required go test -count=1 ./components/rules
	cd tests/lab && go test -count=1 -timeout 20m ./verify -v | sed -n '/^=== /!p'

.PHONY: lab
lab: lab-build ## Run the stack on a real Kubernetes node on this machine, test it, and leave nothing behind (root on Debian 12)
	@$(LAB) down -wipe
	@status=0; $(LAB) up && $(LAB) test -skip ^TestAlerts || status=$$?; \
		$(LAB) usage || status=$$?; \
		(cd tests/lab && go test -count=1 ./down -v) || status=$$?; \
		$(LAB) down -wipe && exit $$status

.PHONY: lab-alerts
lab-alerts: lab-build ## The same with the tests of alerts: a healthy stack is quiet for ten minutes, what is provoked fires and ends
	@$(LAB) down -wipe
	@status=0; $(LAB) up && $(LAB) test -run ^TestAlerts || status=$$?; $(LAB) down -wipe && exit $$status

.PHONY: lab-up lab-test lab-down
lab-up: lab-build ## Start the node and deploy the stack
	@$(LAB) up

lab-test: lab-build ## Run the lab's tests (RUN=regular expression)
	@$(LAB) test -run '$(RUN)'

lab-down: ## End the node and remove its data
	@$(LAB) down -wipe

LAB := bin/lab/lab
RUN ?=

.PHONY: lab-build
lab-build: tools lab-binaries
	@cd tests/lab && $(BUILD) -o ../../$(LAB) ./cmd/lab && GOGC=400 go test -c -o ../../bin/lab/cases.test ./cases

.PHONY: generate
generate: bin/controller-gen ## Regenerate the CRDs and the golden files
	go generate ./...
	UPDATE_GOLDEN=1 go test ./... >/dev/null

.PHONY: release-snapshot
release-snapshot: tools ## Keep this program's state as that of a release (VERSION=x.y.z), which later programs must not lose
	@test -n "$(VERSION)" || { echo "which release? make release-snapshot VERSION=x.y.z" >&2; exit 1; }
	KANSOKU_RELEASE=$(VERSION) go test -count=1 -run '^TestReleaseSnapshot$$' -v ./tests

.PHONY: tools
tools: $(ENGINE) ## Build what the engine without a cloud needs

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin out

bin/pulumi: tools/pulumi/go.mod tools/pulumi/go.sum
	@echo "building the Pulumi CLI $(PULUMI_VERSION): two to six minutes, once"
	cd tools/pulumi && $(BUILD) -ldflags "-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=$(PULUMI_VERSION)" \
		-o ../../bin/pulumi github.com/pulumi/pulumi/pkg/v3/cmd/pulumi

bin/eks/node_modules/.package-lock.json: tools/eks/package.json tools/eks/package-lock.json
	@mkdir -p bin/eks && cp tools/eks/package.json tools/eks/package-lock.json bin/eks/
	npm ci --prefix bin/eks --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

bin/golangci-lint: tools/golangci-lint/go.mod tools/golangci-lint/go.sum
	cd tools/golangci-lint && $(BUILD) -ldflags "-s -w" -o ../../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint

bin/actionlint: tools/actionlint/go.mod tools/actionlint/go.sum
	cd tools/actionlint && $(BUILD) -ldflags "-s -w" -o ../../bin/actionlint github.com/rhysd/actionlint/cmd/actionlint

bin/controller-gen: tools/controller-gen/go.mod tools/controller-gen/go.sum
	cd tools/controller-gen && $(BUILD) -o ../../bin/controller-gen sigs.k8s.io/controller-tools/cmd/controller-gen

.PHONY: bin/preview
bin/preview:
	@$(BUILD) -ldflags "-s -w" -o bin/preview ./cmd/preview

include tools/lab/Makefile
