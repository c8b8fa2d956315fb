#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes a Debian 12 machine able to build and test lazystate. Does nothing, in
# well under a second, where everything is there. Sourced by the Makefile's
# recipes ("bootstrap.sh env" prints what to eval) or run by itself.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
bootstrap_go=1.26.8 # used only where PATH has no Go as new as go.mod asks

packages="ca-certificates make gcc gcc-12 libc6-dev m4 libelf1 sparse
	qemu-system-x86 busybox-static kmod xz-utils iproute2 systemd python3-scapy
	libibverbs-dev librdmacm-dev ibverbs-providers
	clang llvm libbpf-dev nftables
	curl wget mpg123 iperf3 postgresql-15 logrotate chromium"

say() { echo "bootstrap: $*" >&2; }
die() { say "$*"; exit 1; }

missing_packages() {
	# shellcheck disable=SC2086
	dpkg-query -W -f '${Package} ${db:Status-Status}\n' $packages 2>/dev/null |
		awk -v want="$(echo $packages)" '
			$2 == "installed" { have[$1] = 1 }
			END { n = split(want, w, " "); for (i = 1; i <= n; i++) if (!have[w[i]]) printf "%s ", w[i] }'
}

install_packages() {
	[ "$(id -u)" = 0 ] || die "not root, and these packages are missing: $*. Run as root, or: apt-get install $*"
	export DEBIAN_FRONTEND=noninteractive
	if [ -z "$(find /var/lib/apt/lists -name '*Packages*' -mtime -2 2>/dev/null | head -n 1)" ]; then
		say "apt-get update"
		apt-get -qq update >&2
	fi
	say "apt-get install $*"
	# The tests start a PostgreSQL of their own: the package is not to make one of the machine's.
	[ -e /etc/postgresql-common ] || say "PostgreSQL is to have no cluster of the machine's: /etc/postgresql-common/createcluster.conf says so"
	[ -e /etc/postgresql-common ] || { mkdir /etc/postgresql-common && echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf; }
	# shellcheck disable=SC2068
	apt-get -qq -y -o Dpkg::Use-Pty=0 install --no-install-recommends $@ >&2
}

# new_enough VERSION WANTED
new_enough() {
	[ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

# QEMU before 8.1 translates guest code without holding its page. A guest that
# patches its own text then now and then keeps a breakpoint that is long gone
# and hangs in it for ever.
qemu_is_good() {
	new_enough "$(dpkg-query -W -f '${Version}' qemu-system-x86 2>/dev/null | sed 's/^[0-9]*://')" 8.1
}

# upgrade_qemu takes QEMU from this release's backports, with lists of its own:
# the machine's sources stay as they are.
upgrade_qemu() {
	[ "$(id -u)" = 0 ] || return 0
	apt="$root/build/apt"
	mkdir -p "$apt/lists/partial" "$root/build/cache"
	apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Identifier: Packages' | awk '
		$2 == "bookworm" { print "deb", $1, $2, "main"; print "deb", $1, $2 "-backports", "main"; exit }' >"$apt/sources.list"
	set -- -qq -y -o Dpkg::Use-Pty=0 -o APT::Sandbox::User=root -o Dir::State::Lists="$apt/lists" \
		-o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=-
	say "apt-get install qemu-system-x86 from bookworm-backports"
	export DEBIAN_FRONTEND=noninteractive
	if ! { [ -s "$apt/sources.list" ] && apt-get "$@" update >&2 &&
		apt-get "$@" install --no-install-recommends -t bookworm-backports qemu-system-x86 >&2; }; then
		say "it could not be had: with the release's own QEMU a guest under load hangs at times"
		touch "$root/build/cache/no-newer-qemu"
	fi
}

go_version() { "$1" env GOVERSION 2>/dev/null | sed 's/^go//; s/[^0-9.].*//'; }

# find_go prints the folder of a go command that is new enough.
find_go() {
	want=$(awk '$1 == "go" { print $2; exit }' "$root/go.mod")
	for go in "$(command -v go || true)" "$root/build/go/bin/go"; do
		if [ -x "$go" ] && new_enough "$(cd / && GOTOOLCHAIN=local go_version "$go")" "$want"; then
			dirname "$go"
			return 0
		fi
	done
	return 1
}

# Debian's own Go can do one thing for us: fetch the toolchain as a module,
# through the module proxy and its checksums.
fetch_go() {
	say "no Go as new as go.mod asks: fetching $bootstrap_go as a Go module into build/go"
	old=/usr/lib/go-1.19/bin/go
	[ -x $old ] || install_packages golang-1.19-go
	tmp=$(mktemp -d)
	mod="golang.org/toolchain@v0.0.1-go$bootstrap_go.linux-amd64"
	(cd "$tmp" && env -u GOROOT GOPATH="$tmp/gopath" GOMODCACHE="$tmp/mod" GOFLAGS=-modcacherw GO111MODULE=on $old mod download "$mod") >&2 ||
		die "$mod could not be had"
	rm -rf "$root/build/go"
	mkdir -p "$root/build"
	mv "$tmp/mod/$mod" "$root/build/go"
	chmod -R u+w "$root/build/go"
	chmod +x "$root"/build/go/bin/* "$root"/build/go/pkg/tool/*/* # Go 1.19 drops these bits
	rm -rf "$tmp"
}

# The tests of fleets run etcd servers of their own. The package is unpacked,
# not installed: that would start a server of the machine's.
fetch_etcd() {
	say "unpacking etcd-server into build/cache"
	mkdir -p "$root/build/cache"
	tmp=$(mktemp -d)
	if (cd "$tmp" && apt-get -qq -o APT::Sandbox::User=root download etcd-server >&2 && dpkg-deb -x etcd-server_*.deb .); then
		mv "$tmp/usr/bin/etcd" "$root/build/cache/etcd"
	else
		say "it could not be had: the tests of fleets will say so"
	fi
	rm -rf "$tmp"
}

[ "$(uname -sm)" = "Linux x86_64" ] || die "lazystate runs on Linux x86_64, this is $(uname -sm)"
command -v apt-get >/dev/null && command -v dpkg-query >/dev/null ||
	die "no apt here: on another system than Debian 12 install the likes of: $(echo $packages)"

# A module of its own, so that ./... does not enter what lies under build/.
mkdir -p "$root/build"
[ -f "$root/build/go.mod" ] || echo "module build" >"$root/build/go.mod"

# The lab resolves its kernels through apt and notes what it found.
if [ "$(id -u)" = 0 ] && [ ! -f "$root/build/cache/kernels/6.12.resolved" ] &&
	! apt-cache show linux-image-6.12-amd64 >/dev/null 2>&1; then
	say "apt-get update: apt does not know the lab's kernels"
	apt-get -qq update >&2
	apt-cache show linux-image-6.12-amd64 >/dev/null 2>&1 ||
		die "no linux-image-6.12-amd64: this needs Debian 12 with bookworm-security in its sources"
fi
qemu_is_good || [ -f "$root/build/cache/no-newer-qemu" ] || upgrade_qemu
missing=$(missing_packages)
[ -z "$missing" ] || install_packages "$missing"
[ -x "$root/build/cache/etcd" ] || command -v etcd >/dev/null || fetch_etcd
find_go >/dev/null || fetch_go
[ "${1:-}" != env ] || printf 'PATH=%s:$PATH GOTOOLCHAIN=local GOFLAGS="${GOFLAGS:--buildvcs=false}"; export PATH GOTOOLCHAIN GOFLAGS\n' "$(find_go)"
