// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"lazystate/verbs/driver"
	"lazystate/verbs/roce/netio"
)

func fill(b []byte, seed uint64) {
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = r.Read(b)
}

// sizes around the borders of packets and of a READ's chunks.
func sizes(mtu int) []int {
	list := []int{0, 1, 3, 4, 64}
	for _, k := range []int{1, 2, 16, 17, 64} {
		list = append(list, k*mtu-1, k*mtu, k*mtu+1)
	}
	return append(list, chunkBytes-1, chunkBytes+1, 300_001)
}

func everySize(t *testing.T, a, b *side, mtu int) {
	t.Helper()
	for i, n := range sizes(mtu) {
		fill(a.mem.Bytes, uint64(2*i))
		fill(b.mem.Bytes, uint64(2*i+1))
		a.op(driver.OpRDMAWrite, 0, n, b)
		a.ok()
		if !bytes.Equal(a.mem.Bytes[:n], b.mem.Bytes[:n]) || bytes.Equal(a.mem.Bytes[n:n+16], b.mem.Bytes[n:n+16]) {
			t.Fatalf("WRITE of %d bytes", n)
		}
		fill(a.mem.Bytes, uint64(2*i+2))
		a.op(driver.OpRDMARead, 0, n, b)
		a.ok()
		if !bytes.Equal(a.mem.Bytes[:n], b.mem.Bytes[:n]) || bytes.Equal(a.mem.Bytes[n:n+16], b.mem.Bytes[n:n+16]) {
			t.Fatalf("READ of %d bytes", n)
		}
		fill(a.mem.Bytes, uint64(2*i+3))
		b.recv(0, n)
		a.op(driver.OpSend, 0, n, b)
		a.ok()
		if wc := b.ok(); int(wc.ByteLen) != n || !bytes.Equal(a.mem.Bytes[:n], b.mem.Bytes[:n]) {
			t.Fatalf("SEND of %d bytes: %+v", n, wc)
		}
	}
}

func TestEverySizeOverUDP(t *testing.T) {
	for _, mtu := range []driver.MTU{driver.MTU256, driver.MTU1024, driver.MTU4096} {
		t.Run(fmt.Sprint(mtu), func(t *testing.T) {
			da, db := loopback(t, Config{MTU: mtu}, Config{MTU: mtu})
			a, b := sides(t, da, db, 1<<20)
			everySize(t, a, b, mtu.Bytes())
			t.Logf("%+v", da.Counters())
		})
	}
}

func TestEverySizeOverABadNetwork(t *testing.T) {
	for _, mtu := range []driver.MTU{driver.MTU256, driver.MTU1024, driver.MTU4096} {
		t.Run(fmt.Sprint(mtu), func(t *testing.T) {
			da, db := hubbed(t, Config{MTU: mtu}, netio.Faults{Seed: 7, Loss: 0.02, Duplicate: 0.01, Reorder: 0.01})
			a, b := sides(t, da, db, 1<<20)
			everySize(t, a, b, mtu.Bytes())
			t.Logf("%+v", da.Counters())
		})
	}
}

// What a peer adds and what the process itself adds to the same word are both there:
// the device's atomics are locked instructions, other than rdma_rxe's.
func TestAtomicsAgainstTheProcessor(t *testing.T) {
	da, db := hubbed(t, Config{}, netio.Faults{})
	a, b := sides(t, da, db, 4096)
	word := (*uint64)(unsafe.Pointer(&b.mem.Bytes[0]))
	ours, stop, done := uint64(0), make(chan struct{}), make(chan struct{})
	halt := sync.OnceFunc(func() { close(stop); <-done })
	defer halt()
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				atomic.AddUint64(word, 1)
				ours++
			}
		}
	}()
	const theirs = 2000
	for range theirs {
		a.post(driver.SendWR{Op: driver.OpAtomicFetchAndAdd, Flags: driver.SendSignaled, SG: a.sge(0, 8), RemoteAddr: b.mr.Addr, RKey: b.mr.RKey, CompareAdd: 1})
		a.ok()
	}
	halt()
	if got := atomic.LoadUint64(word); got != ours+theirs {
		t.Errorf("%d and %d additions made %d", ours, theirs, got)
	}
}
