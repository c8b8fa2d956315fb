# SPDX-License-Identifier: Apache-2.0

# Every recipe runs with the Go that bootstrap.sh found or fetched.
setup    := eval "$$(tools/bootstrap.sh env)"
built    := build
commands := $(built)/bin
# make static vets; a hundred test programs link in less time without what debuggers read.
gotest   := -p 2 -timeout 40m -count=1 -vet=off -ldflags=-s

.DEFAULT_GOAL := help
.PHONY: help build kmod cbox cdsm sparse checkpatch static test check drill drills-wire demo-migrate demo-salvage demo-dsm lab generate bench survival soak install clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

build: ## all commands into build/bin, the modules into build/kmod, the C libraries into build/lib
	@$(setup) && $(MAKE) --no-print-directory binaries kmod cbox cdsm

.PHONY: binaries
binaries:
	@$(setup) && mkdir -p $(commands) && go build -o $(commands)/ ./tools/... ./bench/... ./examples/...

build/bin/bdlab: FORCE
	@$(setup) && mkdir -p $(commands) && go build -o $@ ./tools/bdlab

.PHONY: FORCE
FORCE:

kmod: build/bin/bdlab ## backdoor.ko and bd_inject.ko for each kernel of the lab
	@tools/kmod.sh

cbox: ## libcbox.a and its headers, for servers in C whose sessions can move
	@$(MAKE) -s -C mtcp/cbox/c O=$(abspath $(built))/cbox
	@mkdir -p $(commands) && gcc -O2 -Wall -Wextra -Werror -Imtcp/cbox/c -Ikmod -o $(commands)/files examples/files/c/files.c $(built)/cbox/libcbox.a -lpthread
	@mkdir -p $(built)/lib $(built)/include/lazystate/uapi && cp $(built)/cbox/libcbox.a $(built)/lib/ && cp mtcp/cbox/c/cbox.h $(built)/include/lazystate/ && cp kmod/uapi/cbox.h kmod/uapi/scd.h $(built)/include/lazystate/uapi/

cdsm: ## libdsm.a, its headers and macros, for programs in C that share memory
	@$(MAKE) -s -C dsm/c O=$(abspath $(built))/cdsm
	@mkdir -p $(built)/lib $(built)/include/lazystate/uapi && cp $(built)/cdsm/libdsm.a $(built)/lib/ && cp dsm/c/dsm.h dsm/c/parmacs.h dsm/c/parmacs.m4 $(built)/include/lazystate/ && cp kmod/uapi/dsm.h $(built)/include/lazystate/uapi/

sparse: build/bin/bdlab ## the modules through sparse
	@tools/kmod.sh C=2 W=1

checkpatch: ## the modules through the kernel's style checker; the first run fetches it
	@$(MAKE) --no-print-directory -C kmod checkpatch

test: kmod ## everything, on real kernels in virtual machines; needs root
	@[ "$$(id -u)" = 0 ] || { echo "make test boots virtual machines and needs root; make check does not" >&2; exit 1; }
	@$(commands)/bdlab accel
	@$(setup) && LAZYSTATE_LAB=required tools/test.sh $(gotest)

static: ## format, vet, staticcheck
	@$(setup) && bad=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')) && [ -z "$$bad" ] || { echo "not gofmt'ed: $$bad" >&2; exit 1; }
	@$(setup) && for m in $$(git ls-files '*go.mod'); do go vet -C $$(dirname $$m) ./... || exit 1; done && go tool staticcheck ./...

check: static ## format, vet, staticcheck and the tests that need no root
	@$(setup) && LAZYSTATE_LAB=off tools/test.sh -count=1

drill: build ## a sick machine is healed from outside: fork bombs and memory hogs, in six to eight minutes; CARRIER=inic, bdnic, bdnic-rxe, roce or rdma
	@$(commands)/bddrill --demo --carrier $(or $(CARRIER),inic)

drills-wire: build kmod ## the drills of make drill by each carrier on a network, ten times each (rdma on 6.12: five), for hours; each run is in bench/results
	@for c in bdnic bdnic-rxe rdma; do $(commands)/bddrill --demo --only-repair --repeat 10 --carrier $$c --record bench/results/drills-$$c-6.1.json || exit; done
	@$(commands)/bddrill --demo --only-repair --repeat 5 --carrier rdma --kernel 6.12 --record bench/results/drills-rdma-6.12.json

demo-migrate: binaries ## curl downloads while its session goes through three servers, by each way, and one of them is drained; needs root
	@$(commands)/mtcpdemo

demo-dsm: binaries ## Barnes-Hut on four processes that share memory; one is killed in the midst, and the result is the same
	@$(commands)/dsmdemo

demo-salvage: binaries kmod ## a server's kernel panics in a virtual machine; a download and an asker go on at another server; needs root
	@$(commands)/salvagedemo

lab: build/bin/bdlab ## boot a machine called "lab" and open a shell in it
	@$(commands)/bdlab up --swap 256 lab
	@echo "leave the shell with ^D; bdlab down lab ends the machine" >&2
	@$(commands)/bdlab shell lab

generate: ## regenerate what is generated and fail if that changes anything
	@$(setup) && go generate ./... && git diff --exit-code

bench: build ## every table and figure into bench/results
	@$(setup) && go run ./bench/all

survival: build ## what survives which failure: a matrix of failures and carriers, measured for hours, a run at a time; RUNS=5 of each row on both kernels
	@$(setup) && go run ./bench/survival --runs $(or $(RUNS),5)

soak: build kmod ## the kernel modules', the RDMA suite's, salvage's, the auction's and the DSM's tests in full, all drills and negative controls, for hours; SEED=N orders and sizes them
	@$(setup) && LAZYSTATE_LAB=required LAZYSTATE_SOAK=1 go test $(gotest) ./kmod/kmodtest ./kmod/rdmatest ./backdoor/rdma ./backdoor/inic ./verbs/verbstest/proxy ./verbs/ibv ./tools/bdrping
	@$(setup) && LAZYSTATE_LAB=off LAZYSTATE_SOAK=1 go test -race $(gotest) ./verbs/...
	@$(setup) && go run ./bench/fuzz --time 30s # every decoder; how many inputs each has got is in bench/results/soak-fuzz.json
	@$(setup) && LAZYSTATE_SOAK=1 go test -p 2 -timeout 6h -count=1 -v -run 'Litmus|Exhaustive|Conditions|TwoFailures|Unreadable|Mutations|LongRun' ./dsm -dsm.first=$(or $(SEED),1) # what came of this and the next two is in bench/results/soak-dsm.json
	@$(setup) && LAZYSTATE_SOAK=1 go test $(gotest) -run 'Lost|Fails|Killed' ./dsm/store
	@$(setup) && LAZYSTATE_SOAK=1 LAZYSTATE_SEED=$(or $(SEED),1) go test $(gotest) -timeout 3h -run 'EveryPoint|KilledInReplay|Recovery|CrashAtEvery' ./tools/dsmrun ./dsm/daemon ./bench/apps/dsmapps
	@$(setup) && LAZYSTATE_LAB=required LAZYSTATE_SOAK=1 go test $(gotest) -timeout 6h -v -run TestOnKernels ./bench/apps/dsmapps # all its programs, on the lab's kernels
	@$(commands)/bddrill --all --seed $(or $(SEED),1) --record bench/results/soak-drills.json
	@$(setup) && go run ./bench/detect --soak=1h --seed=$(or $(SEED),1) && go run -C bench/plot . $(CURDIR)/bench/results/detect-soak.csv # an hour of mixed load, and what was announced of it
	@$(setup) && LAZYSTATE_LAB=required LAZYSTATE_SOAK=1 go test $(gotest) ./tools/bddrill ./tools/lab ./tools/bdmon ./tools/target ./tools/pkg/pkgtest ./dsm/transport
	@$(setup) && LAZYSTATE_LAB=required LAZYSTATE_SOAK=1 go test -timeout 6h -count=1 -v -run 'TestRandomMoves|TestMany|Killed|TestActionsMove' ./tools/scd ./mtcp/escrow # the moves are in bench/results/soak-moves.json
	@$(setup) && LAZYSTATE_LAB=required LAZYSTATE_SOAK=1 go test -timeout 6h -count=1 -v -run TestOnKernels ./tools/scd # all tests of the parts, on the lab's kernels
	@$(setup) && LAZYSTATE_LAB=required LAZYSTATE_SOAK=1 LAZYSTATE_SEED=$(or $(SEED),1) go test -timeout 10h -count=1 -v ./mtcp/salvage ./mtcp/extract # what it did is in bench/results/soak-salvage.json; SALVAGE_RUNS=200: so many machines fail
	@$(setup) && LAZYSTATE_LAB=required LAZYSTATE_SOAK=1 AUCTION_RECORD=$(CURDIR)/bench/results/soak-auction.json go test -timeout 6h -count=1 -v ./examples/auction/... ./examples/outcome/...
	@$(setup) && LAZYSTATE_LAB=required LAZYSTATE_SOAK=1 go test $(gotest) ./bench/all ./bench/auctionload ./bench/fig39 ./bench/fig311 ./bench/fig312

# Nothing here needs root if DESTDIR does not. The module comes by DKMS (dkms add
# of the installed sources), for it must be built on the target. What makes
# machines sick stays with the sources: bddrill and bdlab need the modules for the
# lab's kernels, bd_inject among them, and the programs beside them in build/bin,
# none of which belongs on a machine that is watched; mtcpdemo needs the web server
# of examples/. make drill, make lab and make demo-migrate run them.
prefix    ?= /usr
source    := $(DESTDIR)$(prefix)/src/lazystate-1.0
installed := bdmon bdctl bdagent bdnic scd mtcpd dsmd dsmrun dsmlog dsmtop
install: binaries cbox cdsm ## commands, units, man pages, configuration, the C libraries and the module's sources, under DESTDIR
	@for c in $(installed); do install -D -m 755 $(commands)/$$c $(DESTDIR)$(prefix)/bin/$$c; done
	@for u in tools/pkg/*.service; do install -D -m 644 $$u $(DESTDIR)$(prefix)/lib/systemd/system/$${u##*/}; done
	@install -D -m 644 tools/pkg/backdoor.rules $(DESTDIR)$(prefix)/lib/udev/rules.d/60-backdoor.rules
	@install -D -m 644 tools/pkg/backdoor.sysusers $(DESTDIR)$(prefix)/lib/sysusers.d/backdoor.conf
	@for l in libcbox.a libdsm.a; do install -D -m 644 $(built)/lib/$$l $(DESTDIR)$(prefix)/lib/$$l; done
	@cd $(built)/include && for h in lazystate/*.h lazystate/*.m4 lazystate/uapi/*.h; do install -D -m 644 $$h $(DESTDIR)$(prefix)/include/$$h; done
	@for m in $(foreach c,$(installed),tools/pkg/man/$(c).*); do install -D -m 644 $$m $(DESTDIR)$(prefix)/share/man/man$${m##*.}/$${m##*/}; done
	@for y in bdmon bdnic scd gateway; do install -D -m 640 tools/pkg/$$y.yaml $(DESTDIR)$(prefix)/share/doc/lazystate/examples/$$y.yaml; done
	@[ -e $(DESTDIR)/etc/lazystate/bdmon.yaml ] || install -D -m 640 tools/pkg/bdmon.yaml $(DESTDIR)/etc/lazystate/bdmon.yaml
	@[ -e $(DESTDIR)/etc/logrotate.d/lazystate ] || install -D -m 644 tools/pkg/lazystate.logrotate $(DESTDIR)/etc/logrotate.d/lazystate
	@for d in docs/*.md; do install -D -m 644 $$d $(DESTDIR)$(prefix)/share/doc/lazystate/$${d##*/}; done
	@cd kmod && for f in dkms.conf *.[ch] uapi/*.h rdma/*; do install -D -m 644 $$f $(source)/$$f; done
	@grep -v 'example/ inject/' kmod/Kbuild | install -m 644 /dev/stdin $(source)/Kbuild

clean: ## remove build/, which holds the kernels' cache too
	@rm -rf build
