// SPDX-License-Identifier: Apache-2.0

package backdoor_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
)

var key = uapi.Key{1, 2, 3}

func lockable(opts ...bdtest.Option) *bdtest.Target {
	return bdtest.New(append(opts, bdtest.WithKey(2, key), bdtest.WithKey(3, key))...)
}

func TestLockUnlock(t *testing.T) {
	target := lockable()
	target.CatchCPU(1, uapi.CPUIdle)
	bt := open(t, target)
	held, err := bt.Lock(t.Context(), backdoor.LockOptions{Slot: 2, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	if slot, is := target.LockHolder(); !is || slot != 2 {
		t.Errorf("target says: held %v by %d", is, slot)
	}
	v := held.View()
	want := []backdoor.CPUState{{Where: uapi.CPUUser, Drained: true}, {Where: uapi.CPUIdle, Drained: true}}
	if d := cmp.Diff(want, v.CPUs); d != "" || !v.Drained || !v.IPI.Has(0) || !v.IPI.Has(1) || !v.NMI.Empty() {
		t.Errorf("view %+v\n%s", v, d)
	}
	if err := held.Confirm(t.Context()); err != nil {
		t.Error(err)
	}
	if err := held.Unlock(t.Context()); err != nil {
		t.Error(err)
	}
	if err := held.Unlock(t.Context()); err != nil {
		t.Errorf("second unlock: %v", err)
	}
	if _, is := target.LockHolder(); is {
		t.Error("target is still locked")
	}
}

func TestRawView(t *testing.T) {
	target := lockable()
	target.CatchCPU(0, uapi.CPUKernel)
	target.CatchCPU(1, uapi.CPUNMIIRQOff)
	held, err := open(t, target).Lock(t.Context(), backdoor.LockOptions{Slot: 2, Key: key, Flags: uapi.LockNMI})
	if err != nil {
		t.Fatal(err)
	}
	defer held.Unlock(t.Context())
	v := held.View()
	if v.Drained || v.CPUs[0].Drained || !v.NMI.Has(1) || v.NMI.Has(0) {
		t.Errorf("view %+v", v)
	}
}

func TestLockRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		o      backdoor.LockOptions
		reason uint32
	}{
		{"another monitor holds it", backdoor.LockOptions{Slot: 2, Key: key}, uapi.RefuseBusy},
		{"no key", backdoor.LockOptions{Slot: 5, Key: key}, uapi.RefuseNoKey},
		{"wrong key", backdoor.LockOptions{Slot: 2, Key: uapi.Key{9}}, uapi.RefuseTag},
	} {
		t.Run(c.name, func(t *testing.T) {
			bt := open(t, lockable())
			held, err := bt.Lock(t.Context(), backdoor.LockOptions{Slot: 3, Key: key})
			if err != nil {
				t.Fatal(err)
			}
			_, err = bt.Lock(t.Context(), c.o)
			var refused *backdoor.LockRefusedError
			if !errors.As(err, &refused) || refused.Reason != c.reason {
				t.Errorf("got %v", err)
			}
			if err := held.Unlock(t.Context()); err != nil {
				t.Errorf("the holder was disturbed: %v", err)
			}
		})
	}
}

func TestLockOptionsAreBounded(t *testing.T) {
	bt := open(t, lockable())
	for _, o := range []backdoor.LockOptions{
		{Slot: uapi.Monitors}, {Lease: 2 * time.Minute}, {Lease: time.Microsecond}, {Lease: time.Second, Drain: time.Second}, {Drain: -1},
	} {
		if _, err := bt.Lock(t.Context(), o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}

// The lease outlives many times its length while its monitor renews it, and
// ends by itself when the monitor cannot.
func TestLease(t *testing.T) {
	for name, lose := range map[string]func(*bdtest.Target){
		"writes fail": func(b *bdtest.Target) {
			b.Memory().Before(func(_ int, op *backdoor.Op) error {
				if op.Kind == backdoor.OpWrite {
					return errors.New("writes are lost")
				}
				return nil
			})
		},
		"no answers": func(b *bdtest.Target) { b.Memory().Freeze() },
		"reboot":     (*bdtest.Target).Reboot,
		"power off":  (*bdtest.Target).PowerOff,
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { testLease(t, lose) }) })
	}
}

func testLease(t *testing.T, lose func(*bdtest.Target)) {
	target := lockable()
	bt := open(t, target)
	held, err := bt.Lock(t.Context(), backdoor.LockOptions{Slot: 2, Key: key, Lease: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Second)
	if err := held.Confirm(t.Context()); err != nil {
		t.Fatalf("after ten leases: %v", err)
	}
	lose(target)
	select {
	case <-held.Lost():
	case <-time.After(5 * time.Second):
		t.Fatal("the loss of the lease was not noticed")
	}
	if err := held.Err(); !errors.Is(err, backdoor.ErrLeaseLost) {
		t.Error(err)
	}
	if err := held.Unlock(t.Context()); !errors.Is(err, backdoor.ErrLeaseLost) {
		t.Errorf("unlock says %v", err)
	}
	time.Sleep(time.Second) // the monitor gives up first: its clock began before the target's
	target.Step()
	if _, is := target.LockHolder(); is {
		t.Error("the target waits for a monitor that lost it")
	}
}

// A reset that comes between a renewal and its answer is named, though the
// renewal ends with a silence.
func TestLeaseTellsOfReboot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target := lockable()
		held, err := open(t, target).Lock(t.Context(), backdoor.LockOptions{Slot: 2, Key: key, Lease: 900 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		target.Hang(true)
		time.Sleep(850 * time.Millisecond) // a renewal was written and not answered; there is no time for another
		target.Reboot()
		<-held.Lost()
		if err := held.Err(); !errors.Is(err, backdoor.ErrLeaseLost) || !errors.Is(err, backdoor.ErrReplaced) {
			t.Error(err)
		}
	})
}

// A target whose CPUs take no interrupts gives no grant: that is an answer in
// bounded time, and no request stays behind that could freeze it later.
func TestLockOfHungTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target := lockable()
		bt := open(t, target)
		target.Hang(true)
		began := time.Now()
		_, err := bt.Lock(t.Context(), backdoor.LockOptions{Slot: 2, Key: key})
		if !errors.Is(err, backdoor.ErrNoAnswer) || time.Since(began) > 6*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		target.Hang(false)
		target.Step()
		if _, is := target.LockHolder(); is {
			t.Error("the abandoned request was granted")
		}
	})
}

// A monitor that starts again is not refused for its sequence numbers, and a
// replayed record is.
func TestSequenceRisesAcrossRestarts(t *testing.T) {
	target := lockable()
	for range 3 {
		held, err := open(t, target).Lock(t.Context(), backdoor.LockOptions{Slot: 2, Key: key})
		if err != nil {
			t.Fatal(err)
		}
		if err := held.Unlock(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// Whatever operation fails, Lock returns, and the target is free when the
// lease has ended: no monitor's fault freezes a target for good.
func TestLockFaultAtEveryIndex(t *testing.T) {
	broken := errors.New("broken wire")
	for at := 0; ; at++ {
		done := false
		synctest.Test(t, func(t *testing.T) {
			target := lockable()
			bt := open(t, target)
			before := target.Memory().Ops()
			target.Memory().OnIndex(before+at, broken)
			held, err := bt.Lock(t.Context(), backdoor.LockOptions{Slot: 2, Key: key, Lease: time.Second})
			if err == nil {
				err = held.Unlock(t.Context())
				done = err == nil
			}
			if err != nil && !errors.Is(err, broken) {
				t.Errorf("operation %d: %v", at, err)
			}
			time.Sleep(2 * time.Second)
			target.Step()
			if _, is := target.LockHolder(); is {
				t.Errorf("operation %d: the target stays locked", at)
			}
		})
		if done {
			return
		}
	}
}

func TestLockContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target := lockable()
		bt := open(t, target)
		target.Hang(true)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := bt.Lock(ctx, backdoor.LockOptions{Slot: 2, Key: key}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestFence(t *testing.T) {
	target := lockable(bdtest.WithFence())
	bt := open(t, target)
	if err := bt.Fence(t.Context(), backdoor.FenceOptions{Slot: 2, Key: uapi.Key{7}}); err == nil || target.Fenced() {
		t.Fatalf("a wrong key fenced: %v", err)
	}
	if err := bt.Fence(t.Context(), backdoor.FenceOptions{Slot: 2, Key: key}); err != nil || !target.Fenced() {
		t.Fatalf("fence: %v", err)
	}
	_, err := bt.Lock(t.Context(), backdoor.LockOptions{Slot: 3, Key: key})
	var refused *backdoor.LockRefusedError
	if !errors.As(err, &refused) || refused.Reason != uapi.RefuseFenced {
		t.Errorf("lock of a fenced target: %v", err)
	}
	if err := open(t, lockable()).Fence(t.Context(), backdoor.FenceOptions{Slot: 2, Key: key}); !errors.Is(err, backdoor.ErrNoRegion) {
		t.Errorf("fence without allow_fence: %v", err)
	}
}

// A copy of the acknowledgement that was torn by a write is read again.
func TestTornLockAck(t *testing.T) {
	target := lockable()
	bt := open(t, target)
	ack := target.Area(uapi.KindLockAck)
	n := 0
	target.Memory().During(func(int, *backdoor.Op) {
		if n++; n <= 3 {
			target.Poke(ack+uapi.LockAckSeqOff, []byte{byte(2*n + 100), 0, 0, 0})
		}
	})
	if _, err := bt.LockView(t.Context()); err != nil {
		t.Error(err)
	}
	target.Memory().During(func(int, *backdoor.Op) {
		n++
		target.Poke(ack+uapi.LockAckSeqOff, []byte{byte(n), byte(n >> 8), 1, 0})
	})
	if _, err := bt.LockView(t.Context()); !errors.Is(err, backdoor.ErrTorn) {
		t.Errorf("a record that is always being written: %v", err)
	}
}

// A writer that was taken off its CPU in mid-write is waited for.
func TestLockWaitsForTornAck(t *testing.T) {
	target := lockable()
	bt := open(t, target)
	ack := target.Area(uapi.KindLockAck) + uapi.LockAckSeqOff
	n := 0
	target.Memory().During(func(int, *backdoor.Op) {
		switch n++; {
		case n < 100: // many more than one LockView reads
			target.Poke(ack, []byte{1, 0, 0, 0})
		case n == 100:
			target.Poke(ack, []byte{2, 0, 0, 0})
		}
	})
	held, err := bt.Lock(t.Context(), backdoor.LockOptions{Slot: 2, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	if err := held.Unlock(t.Context()); err != nil {
		t.Error(err)
	}
}

// needy is a carrier that a CPU of the target answers for.
type needy struct{ *bdtest.Memory }

func (n needy) Caps() backdoor.Caps {
	c := n.Memory.Caps()
	c.NeedsCPU = true
	return c
}

// Where the carrier needs a CPU, that one is spared: else nobody hears the release.
func TestLockSparesTheCarriersCPU(t *testing.T) {
	for name, wrap := range map[string]func(*bdtest.Memory) backdoor.Memory{
		"needs none": func(m *bdtest.Memory) backdoor.Memory { return m },
		"needs one":  func(m *bdtest.Memory) backdoor.Memory { return needy{m} },
	} {
		target := lockable()
		bt, err := backdoor.Open(t.Context(), wrap(target.Memory()))
		if err != nil {
			t.Fatal(err)
		}
		held, err := bt.Lock(t.Context(), backdoor.LockOptions{Slot: 3, Key: key})
		if err != nil {
			t.Fatal(err)
		}
		var q uapi.LockReq
		if err := q.Decode(target.Peek(target.Area(uapi.KindLockReq)+3*uapi.LockReqSize, uapi.LockReqSize)); err != nil {
			t.Fatal(err)
		}
		if got, want := q.Flags&uapi.LockSpare != 0, name == "needs one"; got != want {
			t.Errorf("%s: spare is %v", name, got)
		}
		if err := held.Unlock(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
