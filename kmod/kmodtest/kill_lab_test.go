// SPDX-License-Identifier: Apache-2.0

package kmodtest

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/tools/lab"
)

func (k *loaded) hooks(t *testing.T, by uint32, with uapi.Key) *backdoor.Hooks {
	t.Helper()
	h, err := k.target.Hooks(by, with)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

var sleep = []string{"/bin/busybox", "sleep", "600"}

func (k *loaded) start(t *testing.T, p lab.Proc) int {
	t.Helper()
	pid, err := k.vm.Start(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // most are dead by then; the next test counts who is not
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if k.vm.Kill(ctx, pid, 9) == nil {
			k.vm.Wait(ctx, pid)
		}
	})
	return pid
}

// sleeper starts a process of the guest, and finds it as a hook names it.
func (k *loaded) sleeper(t *testing.T) (int, backdoor.Kill) {
	t.Helper()
	pid := k.start(t, lab.Proc{Argv: sleep})
	return pid, k.leader(t, pid)
}

func (k *loaded) state(t *testing.T, pid int) string {
	t.Helper()
	all, err := k.vm.PS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p.PID == pid {
			return p.State
		}
	}
	return "gone"
}

// becomes waits for a state: a process stops, goes on or falls asleep when a CPU
// comes to it.
func (k *loaded) becomes(t *testing.T, pid int, want string) {
	t.Helper()
	k.eventually(t, fmt.Sprintf("pid %d is in state %s", pid, want), func(*view) bool {
		is := k.state(t, pid)
		if is == "gone" || is == "Z" {
			t.Fatalf("pid %d is %s, to be %s", pid, is, want)
		}
		return is == want
	})
}

// postKills writes a batch as it stands, in its two writes, and waits for the answers.
func (k *loaded) postKills(t *testing.T, by, batch uint32, slots ...uapi.KillSlot) []uint32 {
	t.Helper()
	area, err := k.target.Region(uapi.KindKillReq)
	if err != nil {
		t.Fatal(err)
	}
	var bodies []byte
	for i := range slots {
		bodies = append(bodies, slots[i].Encode()...)
	}
	post := uint64(batch)<<32 | uint64(len(slots))
	if err := k.target.Do(t.Context(),
		area.Write(uapi.KillReqsSlotOff+uint64(by)*uapi.KillSlots*uapi.KillSlotSize, bodies),
		area.Write(uapi.KillReqsPostOff+uint64(by)*8, binary.LittleEndian.AppendUint64(nil, post))); err != nil {
		t.Fatal(err)
	}
	return k.killResults(t, by, post)
}

func (k *loaded) killResults(t *testing.T, by uint32, post uint64) []uint32 {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		_, acks := k.region(t, uapi.KindKillAck)
		if binary.LittleEndian.Uint64(acks[uapi.KillAcksPostAckOff+by*8:]) == post {
			results := make([]uint32, uint32(post))
			for i := range results {
				var r uapi.KillResult
				at := uapi.KillAcksResultOff + (int(by)*uapi.KillSlots+i)*uapi.KillResultSize
				if err := r.Decode(acks[at:]); err != nil || r.SeqLo != uint32(post>>32) {
					t.Errorf("result %d is of batch %d, not %d; %v", i, r.SeqLo, post>>32, err)
				}
				results[i] = r.Result
			}
			return results
		}
		if time.Now().After(end) {
			t.Fatalf("a minute and no answer to post %#x", post)
		}
	}
}

// signal makes a record that the target accepts.
func (k *loaded) signal(to backdoor.Kill, sig uint32) uapi.KillSlot {
	s := uapi.KillSlot{StartTime: to.StartTime, PID: to.PID, Signal: sig, Seq: uint64(time.Now().UnixNano())}
	s.Sign(key, k.target.BootID(), 0)
	return s
}

// TestHooks: signals and knobs, one record after the other of the same slot.
func TestHooks(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		k := load(t, kernel, "allow_repair=1")
		k.arm(t)
		k.each(t, []step{
			{"kill records", (*loaded).killRecords}, {"kill batches", (*loaded).killBatches},
			{"kill guards", (*loaded).killGuards}, {"kill under lock", (*loaded).killUnderLock},
			{"knob records", (*loaded).knobRecords}, {"sysctls", (*loaded).sysctlKnobs}, {"scheduling", (*loaded).schedulingKnobs},
			{"uid", (*loaded).uidKnob}, {"knob under lock", (*loaded).knobUnderLock},
		})
	})
}

// killRecords: what the target refuses, and why. The victim is stopped and
// continued once; that is all that happens to it.
func (k *loaded) killRecords(t *testing.T) {
	pid, victim := k.sleeper(t)
	old := k.signal(victim, 19)
	k.accepted(t, old)
	k.becomes(t, pid, "T") // when it runs again
	k.accepted(t, k.signal(victim, 18))
	for _, c := range []struct {
		name  string
		by    uint32
		want  uint32
		spoil func(*uapi.KillSlot)
	}{
		{"no key", 5, uapi.ResNoKey, func(*uapi.KillSlot) {}},
		{"changed", slot, uapi.ResTag, func(s *uapi.KillSlot) { s.PID++ }},
		{"half written", slot, uapi.ResTag, func(s *uapi.KillSlot) { s.Tag = old.Tag }},
		{"another key", slot, uapi.ResTag, func(s *uapi.KillSlot) { s.Sign(uapi.Key{1}, k.target.BootID(), 0) }},
		{"tag of another slot", slot, uapi.ResTag, func(s *uapi.KillSlot) { s.Sign(key, k.target.BootID(), 1) }},
		{"tag of another boot", slot, uapi.ResTag, func(s *uapi.KillSlot) { s.Sign(key, [16]byte{1}, 0) }},
		{"replayed", slot, uapi.ResSeq, func(s *uapi.KillSlot) { *s = old }},
		{"signal 0", slot, uapi.ResRange, func(s *uapi.KillSlot) { s.Signal = 0; s.Sign(key, k.target.BootID(), 0) }},
		{"signal 65", slot, uapi.ResRange, func(s *uapi.KillSlot) { s.Signal = 65; s.Sign(key, k.target.BootID(), 0) }},
	} {
		s := k.signal(victim, 9)
		c.spoil(&s)
		if got := k.postKills(t, c.by, uint32(s.Seq), s); got[0] != c.want {
			t.Errorf("%s: %s", c.name, uapi.ResultName(got[0]))
		}
	}
	s := k.signal(victim, 9)
	if got := k.postKills(t, slot, uint32(s.Seq)+1, s); got[0] != uapi.ResSeq {
		t.Errorf("of another batch: %s", uapi.ResultName(got[0]))
	}
	k.becomes(t, pid, "S") // none of them has killed it, or stopped it again
}

func (k *loaded) accepted(t *testing.T, s uapi.KillSlot) {
	t.Helper()
	if got := k.postKills(t, slot, uint32(s.Seq), s); got[0] != uapi.ResDone {
		t.Fatalf("signal %d: %s", s.Signal, uapi.ResultName(got[0]))
	}
}

// killBatches: more than fits is not looked at, and neither hides nor
// delays the batch behind it; one bad signature costs its batch.
func (k *loaded) killBatches(t *testing.T) {
	pid, victim := k.sleeper(t)
	area, err := k.target.Region(uapi.KindKillReq)
	if err != nil {
		t.Fatal(err)
	}
	huge := binary.LittleEndian.AppendUint64(nil, uapi.KillSlots+1|1<<32)
	if err := k.target.Do(t.Context(), area.Write(uapi.KillReqsPostOff+slot*8, huge)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	bad, good := k.signal(victim, 9), k.signal(victim, 9)
	good.Seq = bad.Seq
	bad.Tag++
	good.Sign(key, k.target.BootID(), 1)
	if got := k.postKills(t, slot, uint32(bad.Seq), bad, good); got[0] != uapi.ResTag || got[1] != uapi.ResTag {
		t.Errorf("behind a bad signature: %v", got)
	}
	k.becomes(t, pid, "S")
	k.accepted(t, k.signal(victim, 9))
	k.dies(t, pid)
}

func (k *loaded) dies(t *testing.T, pid int) {
	t.Helper()
	if exit, err := k.vm.Wait(t.Context(), pid); err != nil || exit != 128+9 {
		t.Errorf("the victim's exit is %d, %v", exit, err)
	}
}

// killGuards: whom the target spares whatever is signed.
func (k *loaded) killGuards(t *testing.T) {
	outside := k.start(t, lab.Proc{Argv: []string{"/bin/busybox", "unshare", "-p", "-f", "sh", "-c", "sleep 601; sleep 602"}})
	inside := k.childOf(t, outside)
	_, victim := k.sleeper(t)
	reused := victim
	reused.StartTime--
	kills := []backdoor.Kill{k.leader(t, 2), k.leader(t, 1), k.leader(t, inside), reused, {PID: 4194303, Signal: 9}}
	want := []uint32{uapi.ResKThread, uapi.ResInit, uapi.ResInit, uapi.ResReused, uapi.ResESRCH}
	got, err := k.hooks(t, slot, key).PostKills(t.Context(), kills)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range got {
		if r.Result != want[i] {
			t.Errorf("%+v: %s, want %s", r.Kill, uapi.ResultName(r.Result), uapi.ResultName(want[i]))
		}
	}
	for _, pid := range []int{2, 1, inside, int(victim.PID)} {
		if s := k.state(t, pid); s == "gone" || s == "Z" || s == "T" {
			t.Errorf("pid %d is %s", pid, s)
		}
	}
	// what is no init of its container may be killed, and by its outer pid
	got, err = k.hooks(t, slot, key).PostKills(t.Context(), []backdoor.Kill{k.leader(t, k.childOf(t, inside))})
	if err != nil || got[0].Result != uapi.ResDone {
		t.Errorf("a process of the container: %+v, %v", got, err)
	}
	// an ordinary user's container is no shelter, and the monitor can tell
	shell := []string{"/bin/busybox", "unshare", "-U", "-r", "-p", "-f", "sh", "-c", "sleep 603; sleep 604"}
	mine := k.childOf(t, k.start(t, lab.Proc{Argv: shell, UID: 1000}))
	for _, p := range k.tasks(t) {
		if pid := int(p.PID); p.UserNS != (pid == mine) || (p.NSPID == 1 && p.NSLevel > 0) != (pid == mine || pid == inside) {
			t.Errorf("%+v", p)
		}
	}
	got, err = k.hooks(t, slot, key).PostKills(t.Context(), []backdoor.Kill{k.leader(t, mine)})
	if err != nil || got[0].Result != uapi.ResDone {
		t.Errorf("the init of a user's container: %+v, %v", got, err)
	}
}

func (k *loaded) tasks(t *testing.T) []backdoor.Task {
	t.Helper()
	list, err := k.target.Tasks(t.Context(), backdoor.WalkOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return list.Tasks
}

func (k *loaded) childOf(t *testing.T, parent int) int {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		all, err := k.vm.PS(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range all {
			if p.PPID == parent {
				return p.PID
			}
		}
	}
	t.Fatalf("pid %d has no child", parent)
	return 0
}

// killUnderLock: where no CPU is held by NMI a signal goes out at once,
// and the process dies when it runs again.
func (k *loaded) killUnderLock(t *testing.T) {
	pid, victim := k.sleeper(t)
	held := k.lock(t, 0, 5*time.Second)
	if v := held.View(); !v.Free.Empty() || !v.NMI.Empty() {
		t.Errorf("%+v", v)
	}
	got, err := k.hooks(t, slot, key).PostKills(t.Context(), []backdoor.Kill{victim})
	if err != nil || got[0].Result != uapi.ResDone {
		t.Errorf("under the lock: %+v, %v", got, err)
	}
	if err := held.Confirm(t.Context()); err != nil {
		t.Errorf("the lock did not outlive the signal: %v", err)
	}
	k.unlock(t, held)
	k.dies(t, pid)
}
