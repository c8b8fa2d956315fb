// SPDX-License-Identifier: Apache-2.0

package backdoor_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
)

// noWrites makes every write of the carrier fail.
func noWrites(b *bdtest.Target) {
	b.Memory().Before(func(_ int, op *backdoor.Op) error {
		if op.Kind == backdoor.OpWrite {
			return errors.New("writes are lost")
		}
		return nil
	})
}

// A path that is bad for half a lease costs no lease: renewals are tried again
// soon, whether they fail or get no answer.
func TestLeaseSurvivesBadPath(t *testing.T) {
	for name, spoil := range map[string]func(*bdtest.Target){
		"writes fail": noWrites, "no answer": func(b *bdtest.Target) { b.Memory().Freeze() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				target := lockable()
				held, err := open(t, target).Lock(t.Context(), backdoor.LockOptions{Slot: 2, Key: key, Lease: time.Second})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(300 * time.Millisecond)
				spoil(target)
				time.Sleep(500 * time.Millisecond)
				target.Memory().Heal()
				target.Memory().Latency(5 * time.Millisecond) // a try at the last moment would be too late
				time.Sleep(3 * time.Second)
				if err := held.Confirm(t.Context()); err != nil {
					t.Error(err)
				}
				if err := held.Unlock(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Over a slow path the target's lease begins before the grant is seen: the
// holder must not believe in it for longer than the target does.
func TestHolderGivesUpBeforeTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target := lockable()
		bt := open(t, target)
		target.Memory().Latency(150 * time.Millisecond)
		held, err := bt.Lock(t.Context(), backdoor.LockOptions{Slot: 2, Key: key, Lease: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		noWrites(target)
		for range 3000 {
			target.Step()
			if _, locked := target.LockHolder(); !locked && held.Err() == nil {
				t.Fatal("the target runs and its lock counts as held")
			}
			time.Sleep(time.Millisecond)
		}
		if err := held.Err(); !errors.Is(err, backdoor.ErrLeaseLost) {
			t.Errorf("after three leases: %v", err)
		}
		target.Memory().Heal()
		if err := held.Unlock(t.Context()); !errors.Is(err, backdoor.ErrLeaseLost) {
			t.Errorf("unlock: %v", err)
		}
	})
}

// An unlock that could not be written has unlocked nothing: the next call tries again.
func TestUnlockAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target := lockable()
		held, err := open(t, target).Lock(t.Context(), backdoor.LockOptions{Slot: 2, Key: key, Lease: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		noWrites(target)
		for range 2 {
			if err := held.Unlock(t.Context()); err == nil {
				t.Error("unlocked without a write")
			}
		}
		if _, locked := target.LockHolder(); !locked {
			t.Error("the target was let go")
		}
		target.Memory().Heal()
		for range 2 {
			if err := held.Unlock(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if _, locked := target.LockHolder(); locked {
			t.Error("target is still locked")
		}
	})
}
