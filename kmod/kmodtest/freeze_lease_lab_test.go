// SPDX-License-Identifier: Apache-2.0

package kmodtest

import (
	"errors"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/tools/lab/armed"
)

// TestMonitorDies: the machine that a monitor left locked runs again by itself,
// does not obey what comes late of the same lock, and may be locked anew.
// In make test on one kernel: that a lease ends is TestLeaseEnds' on both.
func TestMonitorDies(t *testing.T) {
	onOne(t, "6.1", func(t *testing.T, kernel string) {
		k := load(t, kernel, "allow_repair=1")
		k.arm(t)
		r := k.request(uapi.KindLockReq, uapi.WantLock)
		r.LeaseMs = 5000 // in which it must be seen held, renewed, and seen held again
		k.repost(t, &r)
		k.until(t, "the lock is held", func(v *backdoor.LockView) bool { return v.State == uapi.LockHeld })
		k.repost(t, &r) // one renewal, and then no more
		renewed := k.until(t, "it is renewed", func(v *backdoor.LockView) bool { return v.AcceptedSeq[slot] == r.Seq })
		ended := k.until(t, "the lease ends", func(v *backdoor.LockView) bool { return v.State == uapi.LockFree })
		if renewed.State != uapi.LockHeld || ended.Expired != 1 || ended.Grants != 1 || ended.Since < renewed.LeaseEnd {
			t.Errorf("renewed %+v\nended %+v", renewed, ended)
		}
		k.answers(t)
		k.repost(t, &r)
		v := k.until(t, "the late renewal is refused", func(v *backdoor.LockView) bool { return v.RefusedSeq[slot] == r.Seq })
		if v.Refusal[slot] != uapi.RefuseLease || v.State != uapi.LockFree || v.Grants != 1 {
			t.Errorf("a late renewal: %s; %+v", uapi.LockRefusalName(v.Refusal[slot]), v)
		}
		held := k.lock(t, uapi.LockNMI, 5*time.Second)
		if v := held.View(); v.Grants != 2 || v.Expired != 1 {
			t.Errorf("the next lock: %+v", v)
		}
		k.unlock(t, held)
	})
}

// repost sends a request again as a record of its own: the same epoch.
func (k *loaded) repost(t *testing.T, r *uapi.LockReq) {
	t.Helper()
	r.Seq = uint64(time.Now().UnixNano())
	r.Commit = uint32(r.Seq)
	r.Sign(key, k.target.BootID(), uapi.KindLockReq)
	k.post(t, uapi.KindLockReq, slot, *r)
}

// TestTwoMonitors: who comes second is told who holds the lock, cannot take it
// away by a release of its own, and gets it when the first has let go.
// In make test on one kernel: records are read by the same code on both.
func TestTwoMonitors(t *testing.T) {
	onOne(t, "6.12", func(t *testing.T, kernel string) {
		k := load(t, kernel, "allow_repair=1")
		k.arm(t)
		second := backdoor.LockOptions{Slot: 3, Key: uapi.Key{3: 0x33}, Lease: 5 * time.Second}
		if err := armed.GiveKeys(t.Context(), k.vm, armed.Keys{second.Slot: second.Key}); err != nil {
			t.Fatal(err)
		}
		first := k.lock(t, 0, 5*time.Second)
		_, err := k.target.Lock(t.Context(), second)
		var refused *backdoor.LockRefusedError
		if !errors.As(err, &refused) || refused.Reason != uapi.RefuseBusy || refused.Holder != slot {
			t.Errorf("the second: %v", err)
		}
		free := uapi.LockReq{Want: uapi.WantFree, Monitor: second.Slot, Seq: uint64(time.Now().UnixNano())}
		free.Commit = uint32(free.Seq)
		free.Sign(second.Key, k.target.BootID(), uapi.KindLockReq)
		k.post(t, uapi.KindLockReq, second.Slot, free)
		k.until(t, "the second's release is read", func(v *backdoor.LockView) bool { return v.AcceptedSeq[second.Slot] == free.Seq })
		lease := first.View().LeaseEnd
		k.until(t, "the first goes on renewing", func(v *backdoor.LockView) bool { return v.State == uapi.LockHeld && v.LeaseEnd > lease })
		if err := first.Confirm(t.Context()); err != nil {
			t.Errorf("the first was disturbed: %v", err)
		}
		k.unlock(t, first)
		held, err := k.target.Lock(t.Context(), second)
		if err != nil {
			t.Fatal(err)
		}
		if v := held.View(); v.Holder != second.Slot || v.Expired != 0 {
			t.Errorf("%+v", v)
		}
		k.unlock(t, held)
	})
}
