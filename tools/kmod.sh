#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds kmod/ against the headers of each lab kernel into build/kmod/RELEASE.
# kbuild writes beside its sources, so each kernel gets a copy of them; only
# what changed is copied and compiled. Arguments go to make and make any output
# a failure: C=2 runs sparse. The modules get no BTF: nothing reads it, 6.1's
# headers lack what it is made from, and 6.12's would ask for pahole. What is for
# debuggers is not made: as Debian and dkms do they would be stripped of it, nine
# tenths of them, for every test of the lab copies one into its guest.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
[ -f kmod/Kbuild ] || [ -f kmod/Makefile ] || { echo "kmod: kmod/ has no Kbuild" >&2; exit 1; }

# sync DIR: copies kmod/ into DIR and removes copies of sources that are gone. A copy
# is as old as itself: with its source's time, one that changed between the copying
# and the compiling would be older than what was compiled, and never be compiled.
sync() {
	mkdir -p "$1"
	(cd kmod && find . -type f '(' -name '*.[chS]' -o -name Kbuild -o -name Makefile ')') | sort >"$1/.sources.new"
	if [ -f "$1/.sources" ]; then
		comm -23 "$1/.sources" "$1/.sources.new" | while read -r gone; do rm -f "$1/$gone"; done
	fi
	mv "$1/.sources.new" "$1/.sources"
	(cd kmod && xargs cp -u --parents -t "$1") <"$1/.sources"
}

mkdir -p build
exec 9>build/kmod.lock
flock 9 # two builds in one folder would spoil each other

kernels=$(build/bin/bdlab kernels)
echo "$kernels" | while IFS='	' read -r series release version headers; do
	out="$root/build/kmod/$release"
	if [ $# -eq 0 ] && [ -f "$out/.built" ] && [ -z "$(find kmod tools/kmod.sh "$headers/Makefile" -newer "$out/.built" | head -n 1)" ]; then
		echo "kmod: $series ($release, package $version): up to date"
		continue
	fi
	rm -f "$out/.built"
	touch "$root/build/kmod.begun" # what changes during the build is built again
	sync "$out"
	# A make that calls us lends no jobs to what is no make of its own.
	if ! MAKEFLAGS= make -s -j "$(nproc)" -C "$headers" M="$out" CONFIG_DEBUG_INFO= CONFIG_DEBUG_INFO_BTF_MODULES= "$@" modules >"$out/.log" 2>&1; then
		cat "$out/.log" >&2
		echo "kmod: build against $release failed" >&2
		exit 1
	fi
	if grep . "$out/.log" >&2 && [ $# -gt 0 ]; then
		echo "kmod: a check ($*) against $release is not clean" >&2
		exit 1
	fi
	find "$out" -name '*.ko' -exec strip --strip-debug {} +
	cp -p "$root/build/kmod.begun" "$out/.built"
	echo "kmod: $series ($release, package $version): $(cd "$out" && find . -name '*.ko' | sed 's|^\./||' | sort | tr '\n' ' ')"
done
