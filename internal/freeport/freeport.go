// SPDX-License-Identifier: Apache-2.0

package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
)

var (
	mu   sync.Mutex
	next = rand.Uint32() // tests of other processes look for ports too
)

// Pick returns a port that nobody listens at on 127.0.0.1, another at each call.
func Pick(t testing.TB) int {
	t.Helper()
	given, err := lowestGiven()
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	below := given / 2 // as many are looked through
	for range below {
		next++
		port := below + int(next%uint32(below))
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatalf("no free port between %d and %d", below, given)
	return 0
}

// Addr returns 127.0.0.1 with such a port.
func Addr(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", Pick(t))
}

func lowestGiven() (low int, err error) {
	const file = "/proc/sys/net/ipv4/ip_local_port_range"
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	if _, err := fmt.Sscan(string(b), &low); err != nil || low < 4096 {
		return 0, fmt.Errorf("%s: %q: %v", file, b, err)
	}
	return low, nil
}
