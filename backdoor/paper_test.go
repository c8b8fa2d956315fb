// SPDX-License-Identifier: Apache-2.0

package backdoor_test

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
)

// §3.3: a monitor reaches the memory of a target whose processors do nothing
// at all, as well as before.
func TestPaperNoProcessorOfTheTarget(t *testing.T) {
	target := bdtest.New()
	populate(target, 30)
	before := walk(t, open(t, target), backdoor.ViaIDR)
	target.Hang(true)
	bt := open(t, target)
	after := walk(t, bt, backdoor.ViaIDR)
	if len(after.Tasks) != len(before.Tasks) || after.Torn != 0 {
		t.Errorf("%d tasks, %d torn of a hung machine, %d before", len(after.Tasks), after.Torn, len(before.Tasks))
	}
	if err := bt.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// §3.3: registering gives each region its rights; every region that is not
// registered for writing refuses a write, and every one can be read.
func TestPaperRegistrationControlsAccess(t *testing.T) {
	bt := open(t, lockable(bdtest.WithFence()))
	written := 0
	for _, r := range bt.Regions() {
		buf := make([]byte, 8)
		if err := bt.Do(t.Context(), r.Read(0, buf)); err != nil {
			t.Errorf("read of %s: %v", r.Name, err)
		}
		err := bt.Do(t.Context(), r.Write(0, buf))
		var no *backdoor.AccessError
		switch {
		case r.Perm&backdoor.PermWrite != 0 && err == nil:
			written++
		case r.Perm&backdoor.PermWrite != 0 || !errors.As(err, &no):
			t.Errorf("write to %s (%s): %v", r.Name, r.Perm, err)
		}
	}
	if written != 4 { // lock, kill, knob, fence
		t.Errorf("%d regions took a write", written)
	}
}

// §3.3: remote memory is named by the target's virtual addresses.
func TestPaperVirtualAddresses(t *testing.T) {
	target := bdtest.New()
	p := target.AddProcess(bdtest.Proc{Comm: "named"})
	buf := make([]byte, 5)
	at := target.TaskAddr(p.PID) + target.Offset("task_struct.comm")
	if err := open(t, target).ReadVA(t.Context(), []backdoor.VARead{{VA: at, Buf: buf}}); err != nil || string(buf) != "named" {
		t.Errorf("%q, %v", buf, err)
	}
}

// §3.4: the pair is loosely coupled. Whoever watches, and whatever is looked
// at, not one byte of the target changes and it need not run.
func TestPaperWatchingLeavesNoTrace(t *testing.T) {
	ram, bar := make([]byte, 16<<20), make([]byte, 4096)
	target := bdtest.New(bdtest.WithBacking(ram, bar), bdtest.WithKey(2, key), bdtest.ByHand())
	populate(target, 50)
	wasRAM, wasBAR := bytes.Clone(ram), bytes.Clone(bar)
	bt := open(t, target)
	for _, via := range []backdoor.Via{backdoor.ViaIDR, backdoor.ViaList} {
		walk(t, bt, via)
	}
	if _, err := bt.LockView(t.Context()); err != nil {
		t.Error(err)
	}
	box, err := bt.Region(uapi.KindSensorbox)
	if err != nil {
		t.Fatal(err)
	}
	if err := bt.Do(t.Context(), box.Read(0, make([]byte, box.Len))); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(ram, wasRAM) || !bytes.Equal(bar, wasBAR) || bt.Stats().Writes+bt.Stats().Atomics != 0 {
		t.Errorf("watching changed the target: %+v", bt.Stats())
	}
}

// §3.9.1: the lock is a handshake of two phases. The request alone freezes
// nothing: the target acknowledges, and only its word is the grant.
func TestPaperLockIsAHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target := lockable(bdtest.ByHand())
		bt := open(t, target)
		granted := make(chan *backdoor.Held, 1)
		go func() {
			h, err := bt.Lock(t.Context(), backdoor.LockOptions{Slot: 2, Key: key, Lease: 10 * time.Second})
			if err != nil {
				t.Error(err)
			}
			granted <- h
		}()
		time.Sleep(time.Second)
		if len(granted) != 0 {
			t.Fatal("granted without the target's word")
		}
		target.Step()
		h := <-granted
		if h == nil {
			return
		}
		if got := len(h.View().CPUs); got != 2 {
			t.Errorf("%d CPUs acknowledged of 2", got)
		}
		ended := make(chan error, 1)
		go func() { ended <- h.Unlock(t.Context()) }()
		time.Sleep(time.Second)
		if len(ended) != 0 {
			t.Error("released without the target's word")
		}
		target.Step()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// §3.9.1: a system that cannot reach a point where the lock is safe makes the
// attempt end by time, with the target as it was.
func TestPaperLockTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target := lockable(bdtest.ByHand())
		bt := open(t, target)
		began := time.Now()
		_, err := bt.Lock(t.Context(), backdoor.LockOptions{Slot: 2, Key: key, Timeout: 300 * time.Millisecond})
		if took := time.Since(began); !errors.Is(err, backdoor.ErrNoAnswer) || took > 2*time.Second {
			t.Errorf("after %s: %v", took, err)
		}
		target.Step()
		if _, held := target.LockHolder(); held {
			t.Error("a request that was given up froze the target")
		}
	})
}

// §3.9.1: under the lock the state stands still. What is posted takes effect
// when the system runs again, and two looks under one lock are the same.
func TestPaperLockedStateStandsStill(t *testing.T) {
	target := lockable()
	p := target.AddProcess(bdtest.Proc{UID: 1000})
	bt := open(t, target)
	h, err := bt.Lock(t.Context(), backdoor.LockOptions{Slot: 2, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	before := walk(t, bt, backdoor.ViaIDR)
	if _, err := hooks(t, bt, key).PostKills(t.Context(), []backdoor.Kill{killOf(p)}); err != nil {
		t.Error(err)
	}
	if after := walk(t, bt, backdoor.ViaIDR); len(after.Tasks) != len(before.Tasks) || after.Torn != 0 {
		t.Errorf("%d tasks became %d under the lock", len(before.Tasks), len(after.Tasks))
	}
	if err := h.Unlock(t.Context()); err != nil {
		t.Error(err)
	}
	if target.Step(); target.Alive(p.PID) {
		t.Error("the signal had no effect after the release")
	}
}
