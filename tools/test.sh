#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs go test over the whole module, prints go's own lines as they come and
# at the end how long each package took. Arguments go to go test.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
mkdir -p build
log=build/test.log
start=$(date +%s)
code=0
# Tests build commands too, and link those sooner without what debuggers read.
export GOFLAGS="${GOFLAGS:-} -ldflags=-s"
# What one of them has built lies there for the others.
export LAZYSTATE_PROGRAMS="$root/build/programs"
rm -rf "$LAZYSTATE_PROGRAMS"
rm -f build/test.code # of a run that was interrupted
# What takes longest begins first, or it would run alone at the end. A package takes
# all of its machines' places (tools/lab: three on a host) before its first boot and
# keeps them: rdmatest's three are beside packages without machines, the two of
# kmodtest, lab and proxy beside packages that have one at a time. Else one waits for
# the other, and half of this host with it.
long="kmod/rdmatest verbs/roce mtcp/tcprepair bench/ttcp examples/web
	kmod/kmodtest tools/bddrill tools/bdrping verbs/ibv
	tools/lab tools/scd verbs/verbstest/proxy mtcp/salvage backdoor/inic dsm/transport"
# These are modules of their own, so that their libraries stay out of ours.
modules() {
	for m in bench/plot examples/caddy test/browser; do
		go -C $m test "$@" ./... 2>&1 || echo $? >build/test.code
	done
}
{
	modules "$@" >build/test.modules & # they are few and small: alone at the end they would have half of the host
	go test "$@" $(printf './%s ' $long) ./... 2>&1 || echo $? >build/test.code
	wait
	cat build/test.modules
} | tee "$log"
if [ -f build/test.code ]; then
	code=$(cat build/test.code)
	rm -f build/test.code
fi

echo
echo "time ledger (seconds, package):"
sed -n -E 's/^(ok|FAIL|---)?[[:space:]]*(lazystate[^[:space:]]*)[[:space:]]+([0-9.]+)s.*/\3 \2 \1/p' "$log" |
	sort -rn | awk '{ printf "%9.1f  %s%s\n", $1, $2, $3 == "FAIL" ? "  FAILED" : ""; sum += $1 }
		END { printf "%9.1f  all packages\n", sum }'
printf '%9d  wall time\n' $(($(date +%s) - start))
exit "$code"
