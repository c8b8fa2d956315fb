// SPDX-License-Identifier: Apache-2.0

package kmodtest

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/tools/lab"
	"lazystate/tools/lab/armed"
)

const slot = 2

var key = uapi.Key{0: 0x42, 8: 0x17, 15: 0xee}

// arm gives the machine's module the key of our slot.
func (k *loaded) arm(t *testing.T) {
	t.Helper()
	if err := armed.GiveKeys(t.Context(), k.vm, armed.Keys{slot: key}); err != nil {
		t.Fatal(err)
	}
}

// lock gives CPUs a sixth of the lease to leave the kernel, and then a second to
// answer: one that the host keeps away for less is held like the others.
func (k *loaded) lock(t *testing.T, flags uint32, lease time.Duration) *backdoor.Held {
	t.Helper()
	return k.lockWithin(t, flags, lease, lease/6)
}

func (k *loaded) lockWithin(t *testing.T, flags uint32, lease, drain time.Duration) *backdoor.Held {
	t.Helper()
	held, err := k.target.Lock(t.Context(), backdoor.LockOptions{
		Slot: slot, Key: key, Lease: lease, Drain: drain, Flags: flags | uapi.LockDrain, Timeout: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	return held
}

func (k *loaded) unlock(t *testing.T, held *backdoor.Held) {
	t.Helper()
	if err := held.Unlock(t.Context()); err != nil {
		t.Error(err)
	}
	k.answers(t)
}

func (k *loaded) answers(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := k.vm.Ping(ctx); err != nil {
		t.Errorf("the guest runs and does not answer: %v", err)
	}
}

// post writes one lock or fence record as it stands, in its two writes.
func (k *loaded) post(t *testing.T, kind, place uint32, r uapi.LockReq) {
	t.Helper()
	area, err := k.target.Region(kind)
	if err != nil {
		t.Fatal(err)
	}
	b, off := r.Encode(), uint64(place)*uapi.LockReqSize
	const commit = uapi.LockReqCommitOff
	if err := k.target.Do(t.Context(), area.Write(off, b[:commit]), area.Write(off+commit, b[commit:commit+4])); err != nil {
		t.Fatal(err)
	}
}

// until polls the lock's page.
func (k *loaded) until(t *testing.T, what string, ok func(*backdoor.LockView) bool) *backdoor.LockView {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		v, err := k.target.LockView(t.Context())
		switch {
		case errors.Is(err, backdoor.ErrTorn): // the host took a vCPU's time in mid-write
		case err != nil:
			t.Fatal(err)
		case ok(v):
			return v
		}
		if time.Now().After(end) {
			t.Fatalf("a minute and not: %s; %+v", what, v)
		}
	}
}

// request is a record that the target accepts.
func (k *loaded) request(kind, want uint32) uapi.LockReq {
	seq := uint64(time.Now().UnixNano()) | 1
	r := uapi.LockReq{Want: want, Epoch: uint32(seq), LeaseMs: 500, Monitor: slot, Seq: seq, Commit: uint32(seq)}
	r.Sign(key, k.target.BootID(), kind)
	return r
}

// TestLockRecords: what the target refuses, and why. None of it holds a CPU.
// In make test on one kernel: records are read by the same code on both.
func TestLockRecords(t *testing.T) {
	onOne(t, "6.12", func(t *testing.T, kernel string) {
		k := load(t, kernel, "allow_repair=1")
		k.arm(t)
		old := k.request(uapi.KindLockReq, uapi.WantFree)
		k.post(t, uapi.KindLockReq, slot, old)
		k.until(t, "a release is accepted", func(v *backdoor.LockView) bool { return v.AcceptedSeq[slot] == old.Seq })
		for _, c := range []struct {
			name   string
			place  uint32
			reason uint32
			spoil  func(*uapi.LockReq)
		}{
			{"no key", 5, uapi.RefuseNoKey, func(r *uapi.LockReq) { r.Monitor = 5 }},
			{"changed", slot, uapi.RefuseTag, func(r *uapi.LockReq) { r.LeaseMs++ }},
			{"tag of a fence", slot, uapi.RefuseTag, func(r *uapi.LockReq) { r.Sign(key, k.target.BootID(), uapi.KindFence) }},
			{"tag of another boot", slot, uapi.RefuseTag, func(r *uapi.LockReq) { r.Sign(key, [16]byte{1}, uapi.KindLockReq) }},
			{"replayed", slot, uapi.RefuseSeq, func(r *uapi.LockReq) { *r = old }},
			{"commit of another record", slot, uapi.RefuseSeq, func(r *uapi.LockReq) { r.Commit ^= 2 }},
			{"no lease", slot, uapi.RefuseLease, func(r *uapi.LockReq) { r.LeaseMs = 0; r.Sign(key, k.target.BootID(), uapi.KindLockReq) }},
			{"lease without end", slot, uapi.RefuseLease, func(r *uapi.LockReq) { r.LeaseMs = 60001; r.Sign(key, k.target.BootID(), uapi.KindLockReq) }},
		} {
			r := k.request(uapi.KindLockReq, uapi.WantLock)
			c.spoil(&r)
			k.post(t, uapi.KindLockReq, c.place, r)
			v := k.until(t, c.name+" is refused", func(v *backdoor.LockView) bool { return v.RefusedSeq[c.place] == r.Seq })
			if v.Refusal[c.place] != c.reason || v.State != uapi.LockFree || v.Grants != 0 {
				t.Errorf("%s: %s, lock is %s after %d grants", c.name, uapi.LockRefusalName(v.Refusal[c.place]), uapi.LockStateName(v.State), v.Grants)
			}
		}
	})
}

// TestLeaseEnds: a monitor that locks and dies holds the machine for its lease
// and no longer, many times in a row; the page stays readable all the while.
func TestLeaseEnds(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		k := load(t, kernel, "allow_repair=1")
		k.arm(t)
		for i := range uint64(lab.Count(10, 30)) {
			r := k.request(uapi.KindLockReq, uapi.WantLock)
			r.LeaseMs = 100
			r.Sign(key, k.target.BootID(), uapi.KindLockReq)
			k.post(t, uapi.KindLockReq, slot, r)
			k.until(t, "the lock is granted and its lease ends", func(v *backdoor.LockView) bool {
				return v.AcceptedSeq[slot] == r.Seq && v.State == uapi.LockFree && v.Expired == i+1
			})
		}
		k.answers(t)
	})
}

var complaint = regexp.MustCompile(`(?i)soft lockup|hard lockup|rcu.*(stall|starved)|hung_task|blocked for more|BUG:|WARNING:|unknown reason`)

// TestLongHold: five seconds leave no trace in the kernel's log; in make test three,
// in which both machines' CPUs are all that the host has.
func TestLongHold(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		k := load(t, kernel, "allow_repair=1")
		k.arm(t)
		held := k.lock(t, uapi.LockNMI, 3*time.Second)
		if v := held.View(); !v.Free.Empty() {
			t.Errorf("CPUs that run: %+v", v)
		}
		a := k.fetch(t).named(t, "TICKS.0").Value
		time.Sleep(time.Duration(lab.Count(3, 5)) * time.Second)
		if b := k.fetch(t).named(t, "TICKS.0").Value; b > a {
			t.Errorf("CPU 0 ticked %d times under the lock", b-a)
		}
		k.unlock(t, held)
		k.quiet(t)
	})
}

// TestSpinningCPU: a CPU with interrupts off is named where NMI is not allowed,
// and held where it is. No signal is sent meanwhile: it may hold any lock.
func TestSpinningCPU(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		k := inject(t, kernel, "allow_repair=1")
		k.arm(t)
		pid, err := k.vm.Start(t.Context(), lab.Proc{Argv: []string{"/bin/busybox", "sleep", "600"}, UID: 4242})
		if err != nil {
			t.Fatal(err)
		}
		victim := k.leader(t, pid)
		k.spin(t, 10*time.Second)
		polite := k.lock(t, 0, 5*time.Second)
		if v := polite.View(); !v.Free.Has(1) || v.Free.Has(0) || v.Drained || v.CPUs[1].Where != uapi.CPURunning {
			t.Errorf("without NMI: %+v", v)
		}
		if err := polite.Unlock(t.Context()); err != nil {
			t.Error(err)
		}
		held := k.lock(t, uapi.LockNMI, 5*time.Second)
		if v := held.View(); !v.NMI.Has(1) || !v.Free.Empty() || v.Drained || v.CPUs[1].Where != uapi.CPUNMIIRQOff {
			t.Errorf("with NMI: %+v", v)
		}
		k.killUnder(t, held, victim)
		if exit, err := k.vm.Wait(t.Context(), pid); err != nil || exit != 128+9 {
			t.Errorf("the victim's exit is %d, %v", exit, err)
		}
	})
}

// spin lets CPU 1 spin with interrupts off, and returns when it stands still.
func (k *loaded) spin(t *testing.T, d time.Duration) {
	t.Helper()
	if err := k.trigger(t, fmt.Sprintf("spin 1 %d", d.Milliseconds())); err != nil {
		t.Fatal(err)
	}
	last, since := uint64(0), time.Now()
	k.eventually(t, "CPU 1 stands still", func(v *view) bool {
		if n := v.named(t, "TICKS.1").Value; n != last {
			last, since = n, time.Now()
		}
		return time.Since(since) > 300*time.Millisecond
	})
}

// leader finds a process as a hook names it.
func (k *loaded) leader(t *testing.T, pid int) backdoor.Kill {
	t.Helper()
	for _, task := range k.tasks(t) {
		if int(task.PID) == pid {
			return backdoor.Kill{PID: uint32(pid), StartTime: task.StartTime, Signal: 9}
		}
	}
	t.Fatalf("pid %d was not seen", pid)
	return backdoor.Kill{}
}

// killUnder posts a kill that must wait for the release.
func (k *loaded) killUnder(t *testing.T, held *backdoor.Held, victim backdoor.Kill) {
	t.Helper()
	hooks, err := k.target.Hooks(slot, key)
	if err != nil {
		t.Fatal(err)
	}
	got, err := hooks.PostKills(t.Context(), []backdoor.Kill{victim})
	if err != nil || got[0].Result != uapi.ResDeferred {
		t.Errorf("under NMI: %+v, %v", got, err)
	}
	k.unlock(t, held)
	if got, err = hooks.Results(t.Context()); err != nil || got[0].Result != uapi.ResDone {
		t.Errorf("after the release: %+v, %v", got, err)
	}
}

// TestFence: over a lock whose lease ends, and over a machine one CPU of which
// takes no interrupts. Nothing thaws it but a reset. In make test one on each
// kernel: what holds a CPU that spins is TestSpinningCPU's on both.
func TestFence(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		for i, c := range []struct {
			name     string
			spinning time.Duration
		}{{"spinning", 5 * time.Second}, {"locked", 0}} {
			if isFor(kernel, i) {
				t.Run(c.name, func(t *testing.T) { fence(t, kernel, c.spinning) })
			}
		}
	})
}

func fence(t *testing.T, kernel string, spinning time.Duration) {
	k := doomed(t, kernel, "allow_repair=1", "allow_fence=1")
	k.arm(t)
	if spinning > 0 {
		k.spin(t, spinning)
	} else {
		r := k.request(uapi.KindLockReq, uapi.WantLock)
		r.LeaseMs = 3000 // or it may be over before anybody looks
		r.Sign(key, k.target.BootID(), uapi.KindLockReq)
		k.post(t, uapi.KindLockReq, slot, r)
		k.until(t, "the lock is held", func(v *backdoor.LockView) bool { return v.State == uapi.LockHeld })
	}
	if err := k.target.Fence(t.Context(), backdoor.FenceOptions{Slot: slot, Key: key, Timeout: time.Minute}); err != nil {
		t.Fatal(err)
	}
	v := k.until(t, "all CPUs are held", func(v *backdoor.LockView) bool { return v.Free.Empty() })
	if held := v.NMI.Has(1); held != (spinning > 0) || len(v.CPUs) != 2 {
		t.Errorf("held by NMI: %v; %+v", held, v)
	}
	k.staysFenced(t)
}

// staysFenced waits for longer than any lease or fault of these tests.
func (k *loaded) staysFenced(t *testing.T) {
	t.Helper()
	a := k.fetch(t)
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		if err := k.vm.Ping(ctx); err == nil {
			t.Error("the guest answers behind the fence")
		}
		cancel()
	}
	b := k.fetch(t)
	for _, name := range []string{"TICKS.0", "TICKS.1", "CTXSW"} {
		if x, y := a.named(t, name).Value, b.named(t, name).Value; x != y {
			t.Errorf("%s went from %d to %d behind the fence", name, x, y)
		}
	}
	_, err := k.target.Lock(t.Context(), backdoor.LockOptions{Slot: slot, Key: key})
	var refused *backdoor.LockRefusedError
	if !errors.As(err, &refused) || refused.Reason != uapi.RefuseFenced {
		t.Errorf("a lock behind the fence: %v", err)
	}
}

// bitFields: where Linux keeps what has no offsetof (struct
// tcp_options_received: the same order in both kernels).
func (k *loaded) bitFields(t *testing.T) {
	for name, want := range map[string][2]uint64{
		"tcp_options_received.tstamp_ok":  {1, 1},
		"tcp_options_received.wscale_ok":  {3, 1},
		"tcp_options_received.sack_ok":    {4, 3},
		"tcp_options_received.snd_wscale": {8, 4},
		"tcp_options_received.rcv_wscale": {12, 4},
	} {
		shift, _ := k.target.Manifest().Value(name + ".shift")
		width, _ := k.target.Manifest().Value(name + ".width")
		if got := [2]uint64{shift, width}; got != want {
			t.Errorf("%s: bits %v, want %v", name, got, want)
		}
	}
}
