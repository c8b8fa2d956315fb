// SPDX-License-Identifier: Apache-2.0

package rdma

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/guard"
	"lazystate/backdoor/uapi"
	"lazystate/verbs/roce/netio"
)

func TestConformance(t *testing.T) {
	bdtest.Conformance(t, func(t *testing.T, opts ...bdtest.Option) (backdoor.Memory, *bdtest.Target) {
		r := newRig(t, openPolicy(), netio.Faults{}, opts...)
		return r.dial(t, r.options(t, 1)), r.Target
	})
}

// The same over a network that loses, doubles, overtakes and damages packets.
func TestConformanceOverBadNetwork(t *testing.T) {
	bdtest.Conformance(t, func(t *testing.T, opts ...bdtest.Option) (backdoor.Memory, *bdtest.Target) {
		f := netio.Faults{Seed: 7, Loss: 0.01, Duplicate: 0.01, Reorder: 0.01, Delay: 0, Corrupt: 0.005}
		r := newRig(t, openPolicy(), f, opts...)
		o := r.options(t, 1)
		o.AckTimeout = 13 // 34 ms: what is lost is asked for again soon, and for a quarter of a second
		return r.dial(t, o), r.Target
	})
}

// Transfers of all sizes, larger than a work request and than the staging memory.
func TestSizes(t *testing.T) {
	r := newRig(t, openPolicy(), netio.Faults{}, bdtest.WithRAM(48<<20))
	m := r.dial(t, r.options(t, 1))
	r.Offer("scratch", backdoor.PermRead|backdoor.PermWrite, 12<<20)
	s, err := opened(t, m).Region(uapi.KindDevice)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 63, 64, 255, 256, 257, 4095, 4097, chunk - 1, chunk, chunk + 1, 1 << 20, bulkStage + 12345, 12 << 20} {
		want, got := make([]byte, n), make([]byte, n)
		for i := range want {
			want[i] = byte(rng.Uint32())
		}
		off := uint64(rng.IntN(int(s.Len) - n + 1))
		if err := backdoor.Do(t.Context(), m, s.Write(off, want), s.Read(off, got)); err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if !bytes.Equal(want, got) || !bytes.Equal(want, r.Peek(s.Addr+off, n)) {
			t.Fatalf("%d bytes at %d came back otherwise", n, off)
		}
	}
}

// A NIC that is started anew has given nothing: the same target goes on over a new
// grant, with keys that are translated.
func TestNICRestarts(t *testing.T) {
	r := newRig(t, openPolicy(), netio.Faults{})
	m := r.dial(t, r.options(t, 1))
	bt := opened(t, m)
	before := m.session.Load().grant
	r.stop()
	if err := bt.Check(t.Context()); err == nil {
		t.Error("a root was read without a NIC")
	}
	r.serve(t, openPolicy())
	r.until(t, bt)
	if _, err := bt.Tasks(t.Context(), backdoor.WalkOptions{}); err != nil {
		t.Errorf("walk with the regions of the first grant: %v", err)
	}
	if after := m.session.Load().grant; after.RootKey == before.RootKey {
		t.Errorf("grants %+v and %+v have the same key", before, after)
	}
}

// until waits until the target is there again.
func (r *rig) until(t *testing.T, bt *backdoor.Target) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		err := bt.Check(t.Context())
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// A target that rebooted behind a lost connection shows as replaced, not as
// silent, and what was bound is of no use any more.
func TestRebootBehindALostConnection(t *testing.T) {
	r := newRig(t, openPolicy(), netio.Faults{})
	m := r.dial(t, r.options(t, 1))
	bt := opened(t, m)
	r.stop()
	r.Reboot()
	r.serve(t, openPolicy())
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		err := bt.Check(t.Context())
		if errors.Is(err, backdoor.ErrReplaced) {
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	box, err := bt.Region(uapi.KindSensorbox)
	if err != nil {
		t.Fatal(err)
	}
	if err := backdoor.Do(t.Context(), m, box.Read(0, make([]byte, 64))); !errors.Is(err, backdoor.ErrReplaced) {
		t.Errorf("read of the old boot's region: %v", err)
	}
	opened(t, m)
}

// Silence is ErrUnanswered: not gone, not withdrawn, not replaced. Once it is
// known, nobody waits for it again.
func TestSilence(t *testing.T) {
	r := newRig(t, openPolicy(), netio.Faults{})
	o := r.options(t, 1)
	o.AckTimeout, o.Retries = 15, 2 // 134 ms: a machine that answers late is not silent
	m := r.dial(t, o)
	bt := opened(t, m)
	r.cut()
	err := bt.Check(t.Context())
	if !errors.Is(err, backdoor.ErrUnanswered) || errors.Is(err, backdoor.ErrGone) || errors.Is(err, backdoor.ErrWithdrawn) || errors.Is(err, backdoor.ErrNoAnswer) {
		t.Errorf("cut off: %v", err)
	}
	if err := m.Probe(t.Context()); err != nil {
		t.Errorf("this side's port is said to be bad: %v", err)
	}
	for range 3 { // the first may wait for the attempt that is being made
		if err := bt.Check(t.Context()); !errors.Is(err, backdoor.ErrUnanswered) {
			t.Errorf("still cut off: %v", err)
		}
	}
	r.heal()
	r.until(t, bt)
}

func TestDenied(t *testing.T) {
	r := newRig(t, openPolicy(), netio.Faults{})
	for _, c := range []struct {
		name   string
		slot   uint32
		key    uapi.Key
		reason uint32
	}{
		{"a wrong key", 1, testKey(2), uapi.DenyBootID}, // signed by a key that we do not have: not believed
		{"no key for the slot", 5, testKey(5), uapi.DenyNoKey},
	} {
		o := r.options(t, c.slot)
		o.Key = c.key
		m, err := Open(t.Context(), o)
		var denied *DeniedError
		if !errors.As(err, &denied) || denied.Reason != c.reason || denied.Signed {
			t.Errorf("%s: %v", c.name, err)
		}
		if m != nil {
			t.Error("a memory beside an error")
		}
	}
	r.Withdraw()
	if _, err := Open(t.Context(), r.options(t, 1)); !errors.Is(err, backdoor.ErrWithdrawn) {
		t.Errorf("no module: %v", err)
	}
}

// A monitor that was restarted takes back what its dead self held.
func TestTakeover(t *testing.T) {
	r := newRig(t, openPolicy(), netio.Faults{})
	first := r.dial(t, r.options(t, 1))
	grant := first.session.Load().grant.Grant
	o := r.options(t, 1)
	o.Takeover = true
	second := opened(t, r.dial(t, o))
	if err := second.Check(t.Context()); err != nil {
		t.Error(err)
	}
	r.until(t, opened(t, first))
	if now := first.session.Load().grant.Grant; now == grant {
		t.Errorf("grant %d outlived the take-over", grant)
	}
}

// What a monitor's policy leaves out is not in its table; what it knows of anyway
// is refused by the NIC, and the connection comes back.
func TestPolicyOnTheWire(t *testing.T) {
	p := openPolicy()
	m2 := p.Monitors[2]
	m2.Read = guard.Kinds(uapi.KindTable, uapi.KindManifest, uapi.KindSensorbox, uapi.KindLockAck)
	m2.Write = guard.Kinds(uapi.KindKnobReq, uapi.KindLockReq)
	m2.Lock = false
	p.Monitors[2] = m2
	r := newRig(t, p, netio.Faults{})
	m := r.dial(t, r.options(t, 2))
	bt := opened(t, m)
	for _, kind := range []uint32{uapi.KindMemory, uapi.KindKillReq, uapi.KindLockReq, uapi.KindOwnerReq, uapi.KindPanic} {
		if _, err := bt.Region(kind); !errors.Is(err, backdoor.ErrNoRegion) {
			t.Errorf("region %s: %v", uapi.RegionKindName(kind), err)
		}
	}
	knobs, err := bt.Region(uapi.KindKnobReq)
	if err != nil {
		t.Fatal(err)
	}
	const slot = uapi.KnobSlots * uapi.KnobSlotSize
	var refused *backdoor.AccessError
	if err := backdoor.Do(t.Context(), m, knobs.Write(1*slot, []byte("x"))); !errors.As(err, &refused) {
		t.Errorf("write to another monitor's slots: %v", err)
	}
	if err := backdoor.Do(t.Context(), m, knobs.Write(2*slot, []byte("x"))); err != nil {
		t.Errorf("write to its own after a refusal: %v", err)
	}
	m1 := opened(t, r.dial(t, r.options(t, 1)))
	box, err := m1.Region(uapi.KindSensorbox)
	if err != nil {
		t.Fatal(err)
	}
	box.Perm = backdoor.PermRead | backdoor.PermWrite // a monitor that lies to itself
	if err := m1.Memory().Bind([]backdoor.Region{box}); err != nil {
		t.Fatal(err)
	}
	if err := backdoor.Do(t.Context(), m1.Memory(), box.Write(0, []byte("x"))); !errors.As(err, &refused) {
		t.Errorf("write to the sensor box: %v", err)
	}
}

// Every batch ends, once, whatever the network and the NIC do meanwhile.
func TestEveryBatchEnds(t *testing.T) {
	r := newRig(t, openPolicy(), netio.Faults{})
	o := r.options(t, 1)
	o.AckTimeout, o.Retries, o.Backoff = 10, 1, 5*time.Millisecond // 4 ms: also an answer that is late ends it
	m := r.dial(t, o)
	var bt *backdoor.Target
	for end := time.Now().Add(patience); bt == nil; time.Sleep(time.Millisecond) {
		var err error
		if bt, err = backdoor.Open(t.Context(), m); err != nil && time.Now().After(end) {
			t.Fatal(err)
		}
	}
	box, err := bt.Region(uapi.KindSensorbox)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			sample := backdoor.NewRepeatBatch(box.Read(0, make([]byte, 4096)), box.Read(0, make([]byte, 64)))
			for ctx.Err() == nil {
				b := sample
				if g%2 == 0 {
					b = backdoor.NewBatch(box.Read(0, make([]byte, box.Len)), box.Read(64, make([]byte, 8)))
				}
				m.Post(t.Context(), b)
				select {
				case <-b.Done(): // a batch that ends twice panics
				case <-time.After(patience):
					t.Error("a batch does not end")
					return
				}
			}
		})
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range 12 {
		time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
		if i%3 == 2 {
			r.stop()
			r.serve(t, openPolicy())
			continue
		}
		r.cut()
		time.Sleep(time.Duration(rng.IntN(60)) * time.Millisecond)
		r.heal()
	}
	cancel()
	wg.Wait()
}
