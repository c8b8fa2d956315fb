// SPDX-License-Identifier: Apache-2.0

package freeport

import (
	"net"
	"testing"
)

func TestPick(t *testing.T) {
	low, err := lowestGiven()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for range 100 {
		port := Pick(t)
		if seen[port] || port >= low {
			t.Fatalf("port %d; the kernel gives from %d on", port, low)
		}
		seen[port] = true
	}
	// One that somebody listens at is left out.
	l, err := net.Listen("tcp", Addr(t))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port
	next = uint32(taken - low/2 - 1)
	if got := Pick(t); got == taken {
		t.Errorf("port %d is taken", got)
	}
}
