// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/guard"
	"lazystate/backdoor/nic"
	"lazystate/backdoor/rdma"
	"lazystate/verbs"
	"lazystate/verbs/roce"
	"lazystate/verbs/roce/netio"
)

// overWire has the dead machine's intelligent NIC (bdnic) answer on a network, and
// the recovery node read by it.
func (w *world) overWire(m backdoor.Memory, faults netio.Faults) {
	w.t.Helper()
	w.t.Cleanup(w.machine.Run(5 * time.Millisecond))
	w.carrier = w.byNIC(m, faults)
}

// byNIC is a machine's memory as its intelligent NIC gives it to who is on the wire.
func (w *world) byNIC(m backdoor.Memory, faults netio.Faults) backdoor.Memory {
	w.t.Helper()
	var hub netio.Hub
	device := func(host byte) *verbs.Device {
		at := netip.AddrFrom4([4]byte{10, 0, 0, host})
		port, err := hub.Port(netip.AddrPortFrom(at, 4791), true)
		if err == nil && faults != (netio.Faults{}) {
			port, err = netio.Bad(port, faults)
		}
		w.must(err)
		d, err := roce.Open(roce.Config{Local: at, IO: port})
		w.must(err)
		dev := verbs.New(d)
		w.t.Cleanup(func() { w.closed(dev.Close()) })
		return dev
	}
	remote := netip.MustParseAddrPort("10.0.0.1:7777")
	w.nic(m, device(1), remote)
	dialing, stop := context.WithTimeout(w.t.Context(), hang)
	defer stop()
	carrier, err := rdma.Open(dialing, rdma.Options{Device: device(2), Remote: remote, Monitor: slot, Key: key, Writable: true})
	w.must(err)
	w.t.Cleanup(func() { w.closed(carrier.Close()) })
	return carrier
}

// nic answers for a machine's memory at a device of this host's.
func (w *world) nic(m backdoor.Memory, d *verbs.Device, at netip.AddrPort) {
	w.t.Helper()
	policy := guard.Policy{Monitors: map[uint32]guard.Monitor{slot: {Key: key, Read: ^uint64(0), Write: ^uint64(0), Lock: true, Fence: true, Own: true}}}
	s, err := nic.New(nic.Options{Memory: m, Policy: policy, Fronts: []nic.Front{{Device: d, Listen: at}}})
	w.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.closed(s.Run(ctx)) })
	w.t.Cleanup(func() { cancel(); running.Wait(); w.closed(s.Close()) })
}

func (w *world) closed(err error) {
	if err != nil {
		w.t.Error(err)
	}
}

// Sessions are carried out over RoCE, too: the same remote reads, by the NIC of a
// machine whose CPUs answer its fence, or hang while the NIC cuts its port; and over
// a network that loses some.
func TestOverTheWire(t *testing.T) {
	for name, c := range map[string]struct {
		hangs  bool
		faults netio.Faults
	}{"fenced": {}, "cut": {hangs: true}, "lossy": {faults: netio.Faults{Loss: 0.01, Seed: 3}}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "ipv4", adding)
			w.opts = []bdtest.Option{bdtest.ByHand()} // else what its NIC reads changes what it reads
			clients := w.busy(20, 5, 3)
			w.die(nil)
			var m backdoor.Memory = w.machine.Memory()
			if c.hangs {
				w.machine.Hang(true)
				m, w.fence.Timeout = cutting{w.machine.Memory()}, 100*time.Millisecond
			}
			w.overWire(m, c.faults)
			r := w.salvage()
			if r.Saved() != len(clients) || w.machine.Fenced() == c.hangs {
				t.Fatalf("fenced %v, %+v", w.machine.Fenced(), r.Sessions)
			}
			for _, a := range clients {
				a.rest()
				a.ask(5)
				a.rest()
			}
			t.Logf("%v, %d reads in %d batches, %d bytes", r.Steps, r.Reads, r.Batches, r.Bytes)
		})
	}
}
