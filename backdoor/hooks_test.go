// SPDX-License-Identifier: Apache-2.0

package backdoor_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
)

func hooks(t *testing.T, bt *backdoor.Target, k uapi.Key) *backdoor.Hooks {
	t.Helper()
	h, err := bt.Hooks(2, k)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func killOf(p bdtest.Proc) backdoor.Kill {
	return backdoor.Kill{PID: uint32(p.PID), StartTime: p.StartTime, Signal: 9}
}

func TestKills(t *testing.T) {
	target := lockable()
	victim := target.AddProcess(bdtest.Proc{UID: 1000, Comm: "bomb"})
	worker := target.AddProcess(bdtest.Proc{KThread: true, Comm: "kworker"})
	young := target.AddProcess(bdtest.Proc{UID: 1000, Comm: "young"})
	reused := killOf(young)
	reused.StartTime--
	init := backdoor.Kill{PID: 1, StartTime: target.Processes()[0].StartTime, Signal: 9}
	got, err := hooks(t, open(t, target), key).PostKills(t.Context(), []backdoor.Kill{
		killOf(victim), killOf(worker), reused, init, {PID: 99999, Signal: 9}, {PID: uint32(young.PID), StartTime: young.StartTime, Signal: 99},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []uint32{uapi.ResDone, uapi.ResKThread, uapi.ResReused, uapi.ResInit, uapi.ResESRCH, uapi.ResRange} {
		if got[i].Result != want {
			t.Errorf("kill %d: %s, want %s", i, uapi.ResultName(got[i].Result), uapi.ResultName(want))
		}
		if (got[i].Err() == nil) != (want == uapi.ResDone) {
			t.Errorf("kill %d: %v", i, got[i].Err())
		}
	}
	if target.Alive(victim.PID) || !target.Alive(worker.PID) || !target.Alive(young.PID) || !target.Alive(1) {
		t.Errorf("left: %v", target.Processes())
	}
}

// A monitor that starts again with a clock that was set back is still obeyed.
func TestHooksAfterTheClockWasSetBack(t *testing.T) {
	target := lockable()
	post := func(t *testing.T) {
		h := hooks(t, open(t, target), key)
		got, err := h.PostKills(t.Context(), []backdoor.Kill{killOf(target.AddProcess(bdtest.Proc{UID: 1000}))})
		if err != nil || got[0].Err() != nil {
			t.Errorf("kill: %v, %v", got, err)
		}
		if _, err := h.PostKnob(t.Context(), backdoor.Knob{Knob: uapi.KnobSwappiness, Value: 10}); err != nil {
			t.Errorf("knob: %v", err)
		}
	}
	post(t)
	synctest.Test(t, post) // where it is the year 2000
	post(t)
}

// 2500 kills are three batches of two writes each, all read back.
func TestKillBatches(t *testing.T) {
	target := lockable()
	var kills []backdoor.Kill
	for range 2500 {
		kills = append(kills, killOf(target.AddProcess(bdtest.Proc{UID: 1})))
	}
	bt := open(t, target)
	before := bt.Stats()
	results, err := hooks(t, bt, key).PostKills(t.Context(), kills)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		if r.Kill != kills[i] || r.Result != uapi.ResDone {
			t.Fatalf("result %d: %+v", i, r)
		}
	}
	if n := bt.Stats().Sub(before).Writes; n != 6 {
		t.Errorf("%d writes", n)
	}
	if left := target.Processes(); len(left) != 1 {
		t.Errorf("%d processes left", len(left))
	}
}

// Under the lock signals are pending: they act at release.
func TestKillsUnderLock(t *testing.T) {
	target := lockable()
	p := target.AddProcess(bdtest.Proc{UID: 1})
	bt := open(t, target)
	held, err := bt.Lock(t.Context(), backdoor.LockOptions{Slot: 2, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := hooks(t, bt, key).PostKills(t.Context(), []backdoor.Kill{killOf(p)}); err != nil {
		t.Fatal(err)
	}
	if !target.Alive(p.PID) {
		t.Error("a process died while every CPU was held")
	}
	if err := held.Unlock(t.Context()); err != nil {
		t.Fatal(err)
	}
	if target.Alive(p.PID) {
		t.Error("the signal did not act at release")
	}
}

// While a CPU is held by NMI nothing runs; the answer says so, and later done.
func TestDeferredKills(t *testing.T) {
	target := lockable()
	target.CatchCPU(1, uapi.CPUNMIIRQOff)
	p := target.AddProcess(bdtest.Proc{UID: 1})
	bt := open(t, target)
	held, err := bt.Lock(t.Context(), backdoor.LockOptions{Slot: 2, Key: key, Flags: uapi.LockNMI})
	if err != nil {
		t.Fatal(err)
	}
	h := hooks(t, bt, key)
	got, err := h.PostKills(t.Context(), []backdoor.Kill{killOf(p)})
	if err != nil || got[0].Result != uapi.ResDeferred {
		t.Fatalf("%v, %v", got, err)
	}
	if err := held.Unlock(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err = h.Results(t.Context()); err != nil || got[0].Result != uapi.ResDone || target.Alive(p.PID) {
		t.Errorf("after release: %v, %v, alive %v", got, err, target.Alive(p.PID))
	}
}

func TestWrongKeyKillsNothing(t *testing.T) {
	target := lockable()
	p := target.AddProcess(bdtest.Proc{UID: 1})
	got, err := hooks(t, open(t, target), uapi.Key{66}).PostKills(t.Context(), []backdoor.Kill{killOf(p)})
	if err != nil || got[0].Result != uapi.ResTag || !target.Alive(p.PID) {
		t.Errorf("%v, %v", got, err)
	}
}

// A hung target: the answer comes in bounded time, and says that no result was read.
func TestKillsUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target := lockable()
		p := target.AddProcess(bdtest.Proc{UID: 1})
		bt := open(t, target)
		target.Hang(true)
		got, err := hooks(t, bt, key).PostKills(t.Context(), []backdoor.Kill{killOf(p)})
		if !errors.Is(err, backdoor.ErrNoAnswer) || got[0].Result != uapi.ResNone || got[0].Err() == nil {
			t.Errorf("%v, %v", got, err)
		}
	})
}

func TestHooksWithoutPermission(t *testing.T) {
	target := bdtest.New(bdtest.WithoutRepair())
	bt := open(t, target)
	h := hooks(t, bt, key)
	if _, err := h.PostKills(t.Context(), []backdoor.Kill{{PID: 1, Signal: 9}}); !errors.Is(err, backdoor.ErrNoRegion) {
		t.Errorf("kill: %v", err)
	}
	if _, err := h.PostKnob(t.Context(), backdoor.Knob{Knob: uapi.KnobSwappiness}); !errors.Is(err, backdoor.ErrNoRegion) {
		t.Errorf("knob: %v", err)
	}
	other := lockable()
	bt = open(t, other)
	other.Memory().ReadOnly(true)
	if _, err := hooks(t, bt, key).PostKills(t.Context(), []backdoor.Kill{{PID: 1, Signal: 9}}); !errors.Is(err, backdoor.ErrReadOnly) {
		t.Errorf("second monitor: %v", err)
	}
}

func TestKnob(t *testing.T) {
	target := lockable()
	bt := open(t, target)
	h := hooks(t, bt, key)
	for i := range 20 { // more than there are slots
		want := int64(i)
		if before, err := h.PostKnob(t.Context(), backdoor.Knob{Knob: uapi.KnobSwappiness, Value: want + 1}); err != nil || before != want {
			t.Fatalf("knob %d: before %d, %v", i, before, err)
		}
	}
	_, err := h.PostKnob(t.Context(), backdoor.Knob{Knob: uapi.KnobSwappiness, Value: 201})
	var refused *backdoor.HookError
	if !errors.As(err, &refused) || refused.Result != uapi.ResRange || target.Knob(uapi.KnobSwappiness) != 20 {
		t.Errorf("swappiness 201: %v", err)
	}
	if _, err := h.PostKnob(t.Context(), backdoor.Knob{Knob: uapi.KnobNice, Arg: 4242}); !errors.As(err, &refused) || refused.Result != uapi.ResESRCH {
		t.Errorf("nice of nobody: %v", err)
	}
}
