// SPDX-License-Identifier: Apache-2.0

package rdma

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/guard"
	"lazystate/backdoor/uapi"
	"lazystate/verbs/roce/netio"
)

// two are monitors 1 and 2, each on a machine of its own.
func (r *rig) two(t *testing.T) (one, two *backdoor.Target) {
	t.Helper()
	return opened(t, r.dial(t, r.options(t, 1))), opened(t, r.dial(t, r.options(t, 2)))
}

// kill posts one kill as a monitor, and returns the target's answer.
func kill(t *testing.T, bt *backdoor.Target, slot uint32, p bdtest.Proc, patience time.Duration) error {
	t.Helper()
	h, err := bt.Hooks(slot, testKey(slot))
	if err != nil {
		t.Fatal(err)
	}
	h.Timeout = patience
	res, err := h.PostKills(t.Context(), []backdoor.Kill{{PID: uint32(p.PID), StartTime: p.StartTime, Signal: 9}})
	if err != nil {
		return err
	}
	return res[0].Err()
}

// §3.8's delayed write agreement, over the wire: one monitor alone kills nobody,
// two that ask for the same do, each with the ordinary calls of package backdoor.
func TestAgreementOnTheWire(t *testing.T) {
	p := openPolicy()
	p.Writes = map[uint32]guard.Agreement{uapi.KindKillReq: {K: 2, Window: 30 * time.Second}}
	r := newRig(t, p, netio.Faults{})
	victim, other := r.AddProcess(bdtest.Proc{UID: 1000, Comm: "bomb"}), r.AddProcess(bdtest.Proc{UID: 1000, Comm: "good"})
	one, two := r.two(t)
	if err := kill(t, one, 1, victim, 50*time.Millisecond); !errors.Is(err, backdoor.ErrNoAnswer) || !r.Alive(victim.PID) {
		t.Errorf("one alone: %v", err)
	}
	if err := kill(t, two, 2, other, 50*time.Millisecond); !errors.Is(err, backdoor.ErrNoAnswer) || !r.Alive(other.PID) {
		t.Errorf("the other asks for another: %v", err)
	}
	var wg sync.WaitGroup
	var errs [2]error
	wg.Go(func() { errs[0] = kill(t, one, 1, victim, patience) })
	wg.Go(func() { errs[1] = kill(t, two, 2, victim, patience) })
	wg.Wait()
	// Both records are carried out: who comes second may find it dead.
	for _, err := range errs {
		var hook *backdoor.HookError
		if err != nil && !(errors.As(err, &hook) && (hook.Result == uapi.ResESRCH || hook.Result == uapi.ResReused)) {
			t.Errorf("both ask for the same: %v", err)
		}
	}
	if r.Alive(victim.PID) || !r.Alive(other.PID) {
		t.Errorf("victim alive %v, other alive %v", r.Alive(victim.PID), r.Alive(other.PID))
	}
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) { // they are counted when the log is written
		st := r.server.Stats()
		if st.Agreed > 0 && st.Disagreed > 0 && st.Grants == 2 && st.QPs == 10 && st.Up {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("stats %+v", st)
		}
	}
}

// Reads that must match: a lone one has no answer, and fails as silence does; the
// same of two monitors is answered to both.
func TestReadsMustMatch(t *testing.T) {
	p := openPolicy()
	p.Reads = map[uint32]guard.Agreement{uapi.KindMemory: {K: 2, Window: 30 * time.Second}}
	r := newRig(t, p, netio.Faults{})
	o1, o2 := r.options(t, 1), r.options(t, 2)
	o1.AckTimeout, o2.AckTimeout = 15, 15 // 134 ms, 7 retries: each asks until the other does, too
	m1, m2 := r.dial(t, o1), r.dial(t, o2)
	region := func(m *Memory) backdoor.Region {
		mem, err := opened(t, m).Region(uapi.KindMemory)
		if err != nil {
			t.Fatal(err)
		}
		return mem
	}
	mem1, mem2 := region(m1), region(m2)
	alone := backdoor.Do(t.Context(), m1, mem1.Read(4096, make([]byte, 5000)))
	if !errors.Is(alone, backdoor.ErrUnanswered) {
		t.Errorf("one alone: %v", alone)
	}
	var wg sync.WaitGroup
	var errs [2]error
	got := [2][]byte{make([]byte, 5000), make([]byte, 5000)}
	r.Poke(mem1.Addr+8192, []byte("secret"))
	wg.Go(func() { errs[0] = backdoor.Do(t.Context(), m1, mem1.Read(8192, got[0])) })
	wg.Go(func() { errs[1] = backdoor.Do(t.Context(), m2, mem2.Read(8192, got[1])) })
	wg.Wait()
	for i := range errs {
		if errs[i] != nil || string(got[i][:6]) != "secret" {
			t.Errorf("monitor %d: %v, %q", i+1, errs[i], got[i][:6])
		}
	}
}

// One owner heals, by epoch and lease; what the other writes is refused, and so is
// what the first writes when its time is over.
func TestOneOwner(t *testing.T) {
	r := newRig(t, openPolicy(), netio.Faults{})
	victim := r.AddProcess(bdtest.Proc{UID: 1000, Comm: "bomb"})
	one, two := r.two(t)
	m1, m2 := one.Memory().(*Memory), two.Memory().(*Memory)
	ctx := t.Context()
	if v, err := m1.Owner(ctx); err != nil || v.Held || v.Epoch != 0 {
		t.Errorf("nobody's: %+v, %v", v, err)
	}
	first := backdoor.Owner{Epoch: 5, Monitor: 1}
	if err := m1.Own(ctx, first, time.Minute); err != nil {
		t.Fatal(err)
	}
	if v, err := m2.Owner(ctx); err != nil || !v.Held || v.Owner != first || v.Left <= 0 || v.Left > time.Minute {
		t.Errorf("the first's: %+v, %v", v, err)
	}
	var owned *backdoor.OwnedError
	if err := m2.Own(ctx, backdoor.Owner{Epoch: 6, Monitor: 2}, time.Minute); !errors.As(err, &owned) || owned.By.Owner != first {
		t.Errorf("taken twice: %v", err)
	}
	var refused *backdoor.AccessError
	if err := kill(t, two, 2, victim, patience); !errors.As(err, &refused) || !r.Alive(victim.PID) {
		t.Errorf("kill of who does not own it: %v", err)
	}
	if err := m1.Disown(ctx); err != nil {
		t.Fatal(err)
	}
	if m1.Caps().Writable {
		t.Error("this side writes what it gave up")
	}
	var stale *backdoor.StaleOwnerError
	if err := m2.Own(ctx, backdoor.Owner{Epoch: 4, Monitor: 2}, time.Minute); !errors.As(err, &stale) || stale.Last.Epoch != 5 {
		t.Errorf("an old epoch: %v", err)
	}
	if err := m2.Own(ctx, backdoor.Owner{Epoch: 6, Monitor: 2}, time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := kill(t, two, 2, victim, patience); err != nil || r.Alive(victim.PID) {
		t.Errorf("kill of the owner: %v", err)
	}
}

// A lease that is not renewed ends on both sides: the holder stops by its own clock,
// and another takes its place.
func TestOwnersLeaseEnds(t *testing.T) {
	r := newRig(t, openPolicy(), netio.Faults{})
	one, two := r.two(t)
	m1, m2 := one.Memory().(*Memory), two.Memory().(*Memory)
	if err := m1.Own(t.Context(), backdoor.Owner{Epoch: 1, Monitor: 1}, 100*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		err := m2.Own(t.Context(), backdoor.Owner{Epoch: 2, Monitor: 2}, time.Minute)
		if err == nil {
			break
		}
		if !errors.Is(err, backdoor.ErrReadOnly) || time.Now().After(end) {
			t.Fatal(err)
		}
	}
	if m1.Caps().Writable {
		t.Error("the first would still write")
	}
	if err := m1.Own(t.Context(), backdoor.Owner{Epoch: 1, Monitor: 1}, time.Minute); !errors.Is(err, backdoor.ErrReadOnly) {
		t.Errorf("the first comes back: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m2.Owner(ended); err == nil {
		t.Error("Owner ignores its context")
	}
	if err := m2.Own(t.Context(), backdoor.Owner{Epoch: 1 << 40, Monitor: 2}, time.Minute); err == nil {
		t.Error("an epoch that does not fit was taken")
	}
}
