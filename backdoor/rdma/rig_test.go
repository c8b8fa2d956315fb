// SPDX-License-Identifier: Apache-2.0

package rdma

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/guard"
	"lazystate/backdoor/nic"
	"lazystate/backdoor/uapi"
	"lazystate/verbs"
	"lazystate/verbs/roce"
	"lazystate/verbs/roce/netio"
)

// patience bounds what would hang; it decides nothing else.
const patience = 60 * time.Second

// rig is a synthetic target behind a NIC, and a network in memory to reach it by.
type rig struct {
	*bdtest.Target
	server *nic.Server
	hub    netio.Hub
	faults netio.Faults
	last   byte
	dark   atomic.Bool // no packet leaves any port
	stop   func()
}

// wire is a port that can be cut.
type wire struct {
	netio.Port
	dark *atomic.Bool
}

func (w *wire) Send(ds []netio.Datagram) (int, error) {
	if w.dark.Load() {
		return len(ds), nil
	}
	return w.Port.Send(ds)
}

func (r *rig) cut()  { r.dark.Store(true) }
func (r *rig) heal() { r.dark.Store(false) }

func testKey(slot uint32) uapi.Key { return uapi.Key{byte(slot)} }

// open gives monitors 1 and 2 every right.
func openPolicy() guard.Policy {
	p := guard.Policy{Monitors: map[uint32]guard.Monitor{}}
	for slot := uint32(1); slot <= 2; slot++ {
		p.Monitors[slot] = guard.Monitor{Key: testKey(slot), Read: ^uint64(0), Write: ^uint64(0), Lock: true, Fence: true, Own: true}
	}
	return p
}

func newRig(t testing.TB, p guard.Policy, f netio.Faults, opts ...bdtest.Option) *rig {
	t.Helper()
	for slot := range p.Monitors {
		opts = append(opts, bdtest.WithKey(slot, p.Monitors[slot].Key))
	}
	r := &rig{Target: bdtest.New(append(opts, bdtest.ByHand())...), faults: f}
	t.Cleanup(r.Run(5 * time.Millisecond))
	r.serve(t, p)
	t.Cleanup(func() { r.stop() })
	return r
}

// cpus is the target's memory as the NIC has it: its CPUs look at what was
// written to it at once, and otherwise now and then.
type cpus struct {
	*bdtest.Memory
	t *bdtest.Target
}

func (c *cpus) Post(ctx context.Context, b *backdoor.Batch) {
	writes := slices.ContainsFunc(b.Ops, func(op backdoor.Op) bool { return op.Kind != backdoor.OpRead })
	c.Memory.Post(ctx, b)
	if writes {
		c.t.Step()
	}
}

// serve starts the NIC; stop ends it.
func (r *rig) serve(t testing.TB, p guard.Policy) {
	t.Helper()
	dev := r.device(t, 1)
	s, err := nic.New(nic.Options{Memory: &cpus{r.Memory(), r.Target}, Policy: p, Fronts: []nic.Front{{Device: dev, Listen: address(1, 7777)}}, Log: logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	r.server = s
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Errorf("nic: %v", err)
		}
	})
	r.stop = sync.OnceFunc(func() {
		cancel()
		wg.Wait()
		if err := s.Close(); err != nil {
			t.Errorf("close nic: %v", err)
		}
		if err := dev.Close(); err != nil {
			t.Errorf("close device: %v", err)
		}
	})
}

func address(host byte, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, host}), port)
}

// device is a new one at a place of the network.
func (r *rig) device(t testing.TB, host byte) *verbs.Device {
	t.Helper()
	port, err := r.hub.Port(address(host, 4791), true)
	if err == nil && r.faults != (netio.Faults{}) {
		port, err = netio.Bad(port, r.faults)
	}
	if err != nil {
		t.Fatal(err)
	}
	dev, err := roce.Open(roce.Config{Local: address(host, 0).Addr(), IO: &wire{port, &r.dark}})
	if err != nil {
		t.Fatal(err)
	}
	return verbs.New(dev)
}

// options are those of a monitor at a place of its own.
func (r *rig) options(t testing.TB, slot uint32) Options {
	r.last++
	return Options{
		Device: r.device(t, 10+r.last), Remote: address(1, 7777), Monitor: slot, Key: testKey(slot), Writable: true, Log: logger(t),
	}
}

func (r *rig) dial(t testing.TB, o Options) *Memory {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m, err := Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Errorf("close memory: %v", err)
		}
	})
	return m
}

// logger shows what the ends say when a test is run with BD_TEST_LOG=1.
func logger(t testing.TB) *slog.Logger {
	if os.Getenv("BD_TEST_LOG") == "" {
		return nil
	}
	return slog.New(slog.NewTextHandler(os.Stderr, nil)).With("test", t.Name())
}

func opened(t testing.TB, m backdoor.Memory) *backdoor.Target {
	t.Helper()
	bt, err := backdoor.Open(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return bt
}
