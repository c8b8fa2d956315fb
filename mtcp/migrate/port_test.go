// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"lazystate/mtcp/steer"
)

// The ports of all flows that the kernel's programs may know of a session are kept, and no
// longer; the one that was used last for longest, also if that was for the second time.
func TestPortsAreKeptAsFlowsAre(t *testing.T) {
	end := func(n int) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr("10.0.0.9"), uint16(1000+n)) }
	open := func(fd int) bool {
		_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		return err == nil
	}
	var s clientSession
	var fds []int
	keep := func(n int) {
		t.Helper()
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, fd)
		s.keepPort(end(n), fd)
	}
	for n := range steer.Flows {
		keep(n)
	}
	s.keepPort(end(0), 0)  // it went there once more
	s.keepPort(end(99), 0) // which nobody has
	for n := range fds {
		if !open(fds[n]) {
			t.Fatalf("port %d of %d is another's", n, len(fds))
		}
	}
	keep(steer.Flows)
	if open(fds[1]) || !open(fds[0]) || len(s.ports) != steer.Flows {
		t.Errorf("the oldest is kept: %t, the one that was used again: %t; %d in all", open(fds[1]), open(fds[0]), len(s.ports))
	}
	twice := fds[2]
	keep(2) // reserved anew
	if open(twice) || !open(fds[len(fds)-1]) || len(s.ports) != steer.Flows {
		t.Errorf("the first descriptor is kept: %t, the second: %t; %d ports", open(twice), open(fds[len(fds)-1]), len(s.ports))
	}
	s.freePorts()
	for n, fd := range fds {
		if open(fd) {
			t.Errorf("port %d is kept when the connection is over", n)
		}
	}
}
