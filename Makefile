# make up      builds ./bin/vpn and runs a server with one user in the foreground
# make test    everything that can fail: unit tests with the race detector, real clients in network namespaces, coverage
# make help    the rest

.DEFAULT_GOAL := help
SHELL := /bin/sh

export GOTOOLCHAIN := local
GO      ?= go
CACHE   := $(CURDIR)/.cache
TOOLS   := $(CACHE)/bin

# The version is what git says of the checkout; without git there is none.
VCS := $(shell git rev-parse --git-dir >/dev/null 2>&1 && echo auto || echo false)

# What the tests and the linter run, at exact versions. A change of version is a new file name, so it is built anew.
GOLANGCI_VERSION := v2.13.1
XRAY_VERSION     := v1.260327.1-0.20260728075948-5ca6f4b7d4dc
SINGBOX_VERSION  := v1.14.1
WIREGUARD_VERSION := v0.0.0-20260522210424-ecfc5a8d5446
COMPOSE_VERSION  := v5.6.0
VULN_VERSION     := v1.9.0
GOLANGCI := $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION)
VULN     := $(TOOLS)/govulncheck-$(VULN_VERSION)
XRAY     := $(TOOLS)/xray-$(XRAY_VERSION)
SINGBOX  := $(TOOLS)/sing-box-$(SINGBOX_VERSION)
WIREGUARD := $(TOOLS)/wireguard-go-$(WIREGUARD_VERSION)
COMPOSE := $(TOOLS)/docker-compose-$(COMPOSE_VERSION)

# A program with the race detector waits a second at its end, unless told otherwise; tests start a great many.
export GORACE := atexit_sleep_ms=10

# xray finds fields of crypto/tls by arithmetic that -race would end the program for. SQLite is C in Go's clothes: to watch each of
# its accesses takes most of the tests' time. Only such a package can go unwatched: of one with type parameters or sync/atomic
# (its driver, its libc), the linker might take functions for everybody's, and the detector would miss what orders accesses.
RACE := -race -gcflags=github.com/xtls/xray-core/...=-d=checkptr=0 -gcflags=modernc.org/sqlite/lib=-race=false
E2E_TIMEOUT := 40m

# What runs in a container is the test binary, alone: it has to be static.
CONTAINED := CGO_ENABLED=0 $(GO) test -tags e2e -count=1 -timeout 10m ./internal/runtime/docker

# The e2e tests that run a Docker engine.
DOCKER_TESTS := ^Test.*(Docker|Contain|Engine|Compose|ImageAsAFile)

# The percentage of the code that tests have to run.
COVER := 80

# Of the e2e tests, what "make test" runs once more against a binary with the race detector: where the most happens at once
# in the control plane and in workers. RACE_TESTS=. is all of them; then the binary is static, as what runs in a container has to be.
RACE_TESTS := ^Test(TransferBothWays|WorkerKilled|StopAndStart|ACutHitsOneUserWithinASecond|ControlPlaneKilledWhileAWorkerIsBorn|AskedWhileItStarts|QuotaHoldsWithoutTheControlPlane|RateLimitOfALiveConnection|DeviceLimit|TwoInstancesNeverTouchEachOther|LiveSessionsAreShown)$$

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

.PHONY: up
up: build ## build and run a server with one user in the foreground
	bin/vpn up

.PHONY: build
build: ## build ./bin/vpn, static and stripped
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=$(VCS) -ldflags "-s -w" -o bin/vpn ./cmd/vpn

.PHONY: man
man: build ## write the man pages into bin/man
	bin/vpn man bin/man

.PHONY: unit
unit: ## unit tests with the race detector: no root, no network
	$(GO) test $(RACE) -timeout 5m ./...

.PHONY: e2e
e2e: deps fixtures ## real clients against the real binary, in network namespaces (root)
	$(GO) test -tags e2e -count=1 -timeout $(E2E_TIMEOUT) ./internal/qr ./internal/store/sqlite ./test/...
	$(CONTAINED)

.PHONY: e2e-docker
e2e-docker: deps fixtures ## the tests that need a Docker engine, with another one: DOCKERD=DIR of its programs (dockerd, docker-proxy, runc)
	PATH="$(DOCKERD):$$PATH" $(CONTAINED)
	PATH="$(DOCKERD):$$PATH" $(GO) test -tags e2e -count=1 -timeout 20m -run '$(DOCKER_TESTS)' ./test/e2e

.PHONY: test
test: deps fixtures ## install what tests need; unit, e2e and some e2e with the race detector; coverage
	test/cover $(COVER)
	$(MAKE) race

.PHONY: lint
lint: $(GOLANGCI) ## golangci-lint, gofumpt and vet, the e2e tests included; builds for three other systems
	$(GOLANGCI) run ./...
	$(GO) vet -tags e2e ./...
	@$(MAKE) --no-print-directory cross CROSS="$(CROSS_CI)"

# Where it serves, and where it is a client. CI builds one of each kind: 32 bits, another Unix, no Unix.
CROSS    := linux/386 linux/arm64 linux/arm linux/riscv64 darwin/arm64 darwin/amd64 windows/amd64 windows/arm64 freebsd/amd64
CROSS_CI := linux/386 darwin/arm64 windows/amd64 freebsd/amd64

.PHONY: cross
cross: ## build for every other system, and keep nothing
	@for t in $(CROSS); do echo "build for $$t"; \
		CGO_ENABLED=0 GOARM=7 GOOS=$${t%/*} GOARCH=$${t#*/} $(GO) build -buildvcs=false -o /dev/null ./cmd/vpn || exit 1; done

.PHONY: fmt
fmt: $(GOLANGCI) ## rewrite the code the way lint wants it
	$(GOLANGCI) fmt ./...

.PHONY: bench
bench: deps fixtures ## throughput, CPU, latency and memory beside bare engines and other servers; BENCHFLAGS=-update writes them down
	@test/deps bench
	VPN_E2E_BENCH=1 $(GO) test -tags e2e -count=1 -timeout 60m -v -run '^TestBench$$' ./test/e2e $(BENCHFLAGS)

.PHONY: race
race: deps fixtures ## e2e tests against a binary built with the race detector; all of them with RACE_TESTS=.
ifeq ($(RACE_TESTS),.)
	VPN_E2E_RACE=static $(GO) test -tags e2e -count=1 -timeout 60m -json ./test/e2e | $(GO) run ./test/summary
else
	VPN_E2E_RACE=1 $(GO) test -tags e2e -count=1 -timeout 60m -run '$(RACE_TESTS)' ./test/e2e
endif

.PHONY: cover
cover: deps fixtures ## run unit and e2e tests and fail if they run less than COVER percent of the code
	test/cover $(COVER)

.PHONY: vuln
vuln: $(VULN) ## look for known vulnerabilities in what is linked in, where their database can be reached
	@test/vuln $(VULN)

.PHONY: notices
notices: ## write the notices of third-party code anew, after a change of go.mod
	$(GO) run ./test/notices

.PHONY: check
check: deps ## all that a release has to pass, and what CI runs
	@$(MAKE) --no-print-directory --jobs=3 --output-sync=target lint fixtures $(VULN) # what computes beside what waits for the network
	@$(MAKE) --no-print-directory test vuln

.PHONY: deps
deps: ## install the Debian packages that tests need (root), or name what is missing
	@test/deps

.PHONY: fixtures
fixtures: $(TOOLS)/xray $(TOOLS)/sing-box $(TOOLS)/wireguard-go $(TOOLS)/docker-compose $(CACHE)/systemd-root.tar $(CACHE)/openrc-root.tar ## build the client programs and the init systems that the tests run

.PHONY: hooks
hooks: ## make git run hooks/pre-commit before each commit
	git config core.hooksPath hooks

.PHONY: clean
clean: ## remove what was built
	rm -rf bin $(CACHE)

$(TOOLS)/xray: $(XRAY)
	@ln -sf $(notdir $<) $@
$(TOOLS)/sing-box: $(SINGBOX)
	@ln -sf $(notdir $<) $@
$(TOOLS)/wireguard-go: $(WIREGUARD)
	@ln -sf $(notdir $<) $@
$(TOOLS)/docker-compose: $(COMPOSE)
	@ln -sf $(notdir $<) $@

$(CACHE)/systemd-root.tar: | deps
	test/systemd-root $@
$(CACHE)/openrc-root.tar: $(CACHE)/systemd-root.tar
	test/openrc-root $< $@

# go install puts a program's bare name into GOBIN; a directory of its own keeps a half-built one out of sight.
$(GOLANGCI):
	@mkdir -p $(TOOLS)
	GOBIN=$(CACHE)/build $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@mv $(CACHE)/build/golangci-lint $@
$(VULN):
	@mkdir -p $(TOOLS)
	GOBIN=$(CACHE)/build $(GO) install golang.org/x/vuln/cmd/govulncheck@$(VULN_VERSION)
	@mv $(CACHE)/build/govulncheck $@
$(XRAY):
	@mkdir -p $(TOOLS)
	CGO_ENABLED=0 GOBIN=$(CACHE)/build $(GO) install github.com/xtls/xray-core/main@$(XRAY_VERSION)
	@mv $(CACHE)/build/main $@
$(SINGBOX):
	@mkdir -p $(TOOLS)
	CGO_ENABLED=0 GOBIN=$(CACHE)/build $(GO) install -tags with_utls,with_gvisor,with_quic -ldflags -checklinkname=0 \
		github.com/sagernet/sing-box/cmd/sing-box@$(SINGBOX_VERSION)
	@mv $(CACHE)/build/sing-box $@
$(WIREGUARD):
	@mkdir -p $(TOOLS)
	CGO_ENABLED=0 GOBIN=$(CACHE)/build $(GO) install golang.zx2c4.com/wireguard@$(WIREGUARD_VERSION)
	@mv $(CACHE)/build/wireguard $@
# Its go.mod has what go install refuses, so it is built from a module that has nothing but it.
$(COMPOSE):
	@rm -rf $(CACHE)/build/compose && mkdir -p $(TOOLS) $(CACHE)/build/compose
	cd $(CACHE)/build/compose && $(GO) mod init compose && $(GO) get github.com/docker/compose/v5/cmd@$(COMPOSE_VERSION) && \
		CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X github.com/docker/compose/v5/internal.Version=$(COMPOSE_VERSION)" -o docker-compose github.com/docker/compose/v5/cmd
	@mv $(CACHE)/build/compose/docker-compose $@ && rm -rf $(CACHE)/build/compose
