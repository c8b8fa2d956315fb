// SPDX-License-Identifier: Apache-2.0

package target

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/tools/lab"
	"lazystate/tools/lab/armed"
)

// TestFencedWhileItStood: a machine that stands in the middle of a transfer is
// fenced, and then runs again (§3.5.1: a target that was only slow must stay
// silent). No segment of it is seen.
func TestFencedWhileItStood(t *testing.T) {
	kernels := []string{"6.12"} // the port is the carrier's, whatever runs behind it
	if lab.Soak() {
		kernels = append(kernels, "6.1")
	}
	for _, kernel := range kernels {
		t.Run(kernel, func(t *testing.T) { fencedWhileItStood(t, kernel) })
	}
}

func fencedWhileItStood(t *testing.T, kernel string) {
	const guest, host = "10.79.0.1", "10.79.0.254"
	key := uapi.Key{7, 7, 7}
	vm := lab.New(t, lab.Config{
		Kernel: kernel, VCPUs: 1, // QEMU dies of no reset of one CPU
		Net: fmt.Sprintf("fenced-%d", os.Getpid()), NICs: []lab.NIC{{Addr: guest + "/24"}},
	})
	if err := lab.HostAddr(vm.Config().Net, vm.Config().NICs[0].Bridge, host+"/24"); err != nil {
		t.Fatal(err)
	}
	load(t, vm, "allow_fence=1")
	if err := armed.GiveKeys(t.Context(), vm, armed.Keys{3: key}); err != nil {
		t.Fatal(err)
	}
	m, target := opened(t, vm)
	if !m.Caps().CutsPort {
		t.Error("the carrier does not say that it cuts the port")
	}
	sent, err := vm.Sent(0)
	if err != nil {
		t.Fatal(err)
	}
	defer sent.Close()
	got := lab.Transfer(t, vm, guest)

	stand := func() {
		t.Helper()
		more(t, "bytes of the transfer", got)
		if err := vm.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	goOn := func() {
		t.Helper()
		if err := vm.Cont(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	stand()
	goOn()
	more(t, "segments of a machine that only stood", &sent.TCP)

	stand()
	err = target.Fence(t.Context(), backdoor.FenceOptions{Slot: 3, Key: key, Timeout: 100 * time.Millisecond})
	var port *backdoor.PortOnlyError
	if !errors.As(err, &port) {
		t.Fatalf("the fence of a machine that stands: %v", err)
	}
	before := sent.TCP.Load()
	goOn()
	fenced(t, target)
	time.Sleep(time.Second) // longer than a retransmission would be away
	if n := sent.TCP.Load() - before; n != 0 {
		t.Errorf("%d segments of a fenced machine", n)
	}

	if err := m.(backdoor.Resetter).Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	before = sent.Other.Load()
	vm.Run(t.Context(), "ping", "-c", "1", "-W", "1", host)
	if sent.Other.Load() == before {
		t.Error("the reset has not put its port back")
	}
}

// more waits until a count has risen.
func more(t *testing.T, what string, n *atomic.Int64) {
	t.Helper()
	for before, end := n.Load(), time.Now().Add(time.Minute); n.Load() == before; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("a minute, and no more %s", what)
		}
	}
}

// fenced waits until the machine has seen the request that lay in its memory.
func fenced(t *testing.T, target *backdoor.Target) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		v, err := target.LockView(ctx)
		if err == nil && v.State == uapi.LockFenced && v.Free.Empty() {
			return
		}
		if err != nil && !errors.Is(err, backdoor.ErrTorn) {
			t.Fatalf("a machine that runs on behind its fence: %v", err)
		}
		time.Sleep(time.Millisecond)
	}
}
