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
# What takes longest begins first, or it would run alone at the end.
long="kmod/kmodtest tools/bddrill tools/bdrping verbs/ibv backdoor/inic kmod/rdmatest tools/lab verbs/verbstest/proxy"
# These are modules of their own, so that their libraries stay out of ours.
{
	go test "$@" $(printf './%s ' $long) ./... 2>&1 || echo $? >build/test.code
	for m in bench/plot examples/caddy test/browser; do
		go -C $m test "$@" ./... 2>&1 || echo $? >build/test.code
	done
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
