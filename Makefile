# SPDX-License-Identifier: Apache-2.0

# Every recipe runs with the Go that bootstrap.sh found or fetched.
setup    := eval "$$(tools/bootstrap.sh env)"
commands := build/bin
gotest   := -p 2 -timeout 20m -count=1

.DEFAULT_GOAL := help
.PHONY: help build kmod sparse test check drill lab generate bench soak clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' Makefile

build: ## all commands into build/bin, the modules into build/kmod
	@$(setup) && $(MAKE) --no-print-directory binaries kmod

.PHONY: binaries
binaries:
	@$(setup) && mkdir -p $(commands) && go build -o $(commands)/ ./tools/... ./bench/...

build/bin/bdlab: FORCE
	@$(setup) && mkdir -p $(commands) && go build -o $@ ./tools/bdlab

.PHONY: FORCE
FORCE:

kmod: build/bin/bdlab ## backdoor.ko and bd_inject.ko for each kernel of the lab
	@tools/kmod.sh

sparse: build/bin/bdlab ## the modules through sparse
	@tools/kmod.sh C=2 W=1

test: kmod ## everything, on real kernels in virtual machines; needs root
	@[ "$$(id -u)" = 0 ] || { echo "make test boots virtual machines and needs root; make check does not" >&2; exit 1; }
	@$(setup) && LAZYSTATE_LAB=required tools/test.sh $(gotest)

check: ## format, vet, staticcheck and the tests that need no root
	@$(setup) && bad=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')) && [ -z "$$bad" ] || { echo "not gofmt'ed: $$bad" >&2; exit 1; }
	@$(setup) && go vet ./... && go tool staticcheck ./...
	@$(setup) && LAZYSTATE_LAB=off tools/test.sh -count=1

drill: build ## a sick machine is healed from outside: fork bombs and memory hogs, in about five minutes
	@$(commands)/bddrill --demo

lab: build/bin/bdlab ## boot a machine called "lab" and open a shell in it
	@$(commands)/bdlab up --swap 256 lab
	@echo "leave the shell with ^D; bdlab down lab ends the machine" >&2
	@$(commands)/bdlab shell lab

generate: ## regenerate what is generated and fail if that changes anything
	@$(setup) && go generate ./... && git diff --exit-code

bench: build ## every table and figure into bench/results
	@$(setup) && go run ./bench/all

soak: build ## all drills and negative controls, for hours; SEED=N orders and sizes them
	@$(commands)/bddrill --all --seed $(or $(SEED),1) --record bench/results/soak-drills.json

clean: ## remove build/, which holds the kernels' cache too
	@rm -rf build
