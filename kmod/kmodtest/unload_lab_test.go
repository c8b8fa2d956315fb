// SPDX-License-Identifier: Apache-2.0

package kmodtest

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/tools/lab"
)

// insert is load and arm without a removal at the end: for tests that take the
// module or the machine away themselves.
func (k *loaded) insert(t *testing.T, params ...string) {
	t.Helper()
	if err := k.vm.Insmod(t.Context(), lab.Module(t, k.vm, "backdoor"), params...); err != nil {
		t.Fatal(err)
	}
	k.open(t)
	k.arm(t)
}

// unloading holds all CPUs but the one on which rmmod runs, which it lets go on
// then: no sooner, however long the lock takes. A CPU 1 that the host keeps away
// for too long leaves the lead to CPU 0, which then is not spared: once more.
func (k *loaded) unloading(t *testing.T) (pid int, held *backdoor.Held) {
	for range 5 {
		pid = k.start(t, lab.Proc{Argv: []string{"/bin/sh", "-c", "kill -STOP $$; rmmod backdoor"}, CPUs: []int{0}})
		k.becomes(t, pid, "T")
		rmmod := k.leader(t, pid)
		rmmod.Signal = uint32(syscall.SIGCONT)
		held = k.lock(t, uapi.LockSpare, 3*time.Second)
		v := held.View()
		if v.Free.Has(0) && !v.Free.Has(1) {
			got, err := k.hooks(t, slot, key).PostKills(t.Context(), []backdoor.Kill{rmmod})
			if !errors.Is(err, backdoor.ErrWithdrawn) && (err != nil || got[0].Result != uapi.ResDone) { // rmmod may be quick
				t.Fatalf("rmmod is let go on: %+v, %v", got, err)
			}
			return pid, held
		}
		t.Logf("not spared: %+v", v)
		k.unlock(t, held)
		if err := k.vm.Kill(t.Context(), pid, 9); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("five locks, and none spares CPU 0 alone")
	return 0, nil
}

// TestUnloadUnderLock: the module goes while our own slot holds all CPUs but
// the one that unloads it. The CPUs come back when the lease ends, the holder
// learns that it has lost the lock, and nobody waits for longer.
func TestUnloadUnderLock(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		k := &loaded{vm: machine(t, kernel)}
		k.insert(t, "allow_repair=1")
		t.Cleanup(func() { k.vm.Rmmod(context.Background(), "backdoor") }) // gone already, if all is well
		pid, held := k.unloading(t)
		select {
		case <-held.Lost():
		case <-time.After(time.Minute):
			t.Fatal("a minute and the lock still seems held")
		}
		if err := held.Err(); !errors.Is(err, backdoor.ErrLeaseLost) || !errors.Is(err, backdoor.ErrWithdrawn) {
			t.Errorf("the holder hears: %v", err)
		}
		if err := held.Unlock(t.Context()); !errors.Is(err, backdoor.ErrLeaseLost) {
			t.Errorf("unlock: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if exit, err := k.vm.Wait(ctx, pid); err != nil || exit != 0 {
			t.Errorf("rmmod: exit %d, %v", exit, err)
		}
		if mods := k.guestFile(t, "/proc/modules"); strings.Contains(mods, "backdoor ") {
			t.Errorf("still loaded: %s", mods)
		}
		k.quiet(t)
	})
}

// quiet: nothing in the guest's log is a complaint.
func (k *loaded) quiet(t *testing.T) {
	t.Helper()
	k.answers(t)
	log, err := k.vm.Must(t.Context(), "dmesg")
	if err != nil {
		t.Fatal(err)
	}
	if bad := complaint.FindAllString(log, -1); bad != nil {
		t.Errorf("the kernel complains: %q", bad)
	}
}

// walkUntil walks the process table until it cannot, and returns why.
func (k *loaded) walkUntil(t *testing.T, walking chan<- struct{}) <-chan error {
	t.Helper()
	out := make(chan error, 1)
	go func() {
		for first := true; ; first = false {
			list, err := k.target.Tasks(context.Background(), backdoor.WalkOptions{})
			if err != nil {
				out <- err
				return
			}
			if len(list.Tasks)+list.Torn == 0 {
				out <- errors.New("a walk without tasks and without an error")
				return
			}
			if first {
				close(walking)
			}
		}
	}()
	return out
}

// losesMachine takes the machine away under a lock and a walk.
func (k *loaded) losesMachine(t *testing.T, take func(), want error) {
	t.Helper()
	held := k.lock(t, uapi.LockNMI, 3*time.Second)
	walking := make(chan struct{})
	walk := k.walkUntil(t, walking)
	<-walking
	take()
	bound := time.After(time.Minute)
	select {
	case err := <-walk:
		// a reset overwrites memory before anybody can tell of it
		var corrupt *backdoor.CorruptError
		if !errors.Is(err, want) && !errors.As(err, &corrupt) {
			t.Errorf("the walk ends with: %v", err)
		}
	case <-bound:
		t.Fatal("a minute and the walk goes on")
	}
	select {
	case <-held.Lost():
	case <-bound:
		t.Fatal("a minute and the lock still seems held")
	}
	if err := held.Err(); !errors.Is(err, backdoor.ErrLeaseLost) || !errors.Is(err, want) {
		t.Errorf("the holder hears: %v", err)
	}
	if err := held.Unlock(t.Context()); !errors.Is(err, backdoor.ErrLeaseLost) {
		t.Errorf("unlock: %v", err)
	}
	k.away(t, want)
}

// away: whatever is asked of the old target, the answer is that it is no more.
func (k *loaded) away(t *testing.T, want error) {
	t.Helper()
	_, lock := k.target.Lock(t.Context(), backdoor.LockOptions{Slot: slot, Key: key})
	_, kill := k.hooks(t, slot, key).PostKills(t.Context(), []backdoor.Kill{{PID: 1, Signal: 9}})
	_, walk := k.target.Tasks(t.Context(), backdoor.WalkOptions{})
	for _, err := range []error{lock, kill, walk, k.target.Check(t.Context())} {
		if !errors.Is(err, want) {
			t.Errorf("of a machine that is no more: %v, want %v", err, want)
		}
	}
}

// resetUnderLock: the reset button while a lock and a walk are under way.
// The BAR keeps the old boot's id; whoever counts resets does not believe it.
func (k *loaded) resetUnderLock(t *testing.T) {
	t.Helper()
	k.losesMachine(t, func() {
		if _, err := k.vm.QMP(t.Context(), "system_reset", nil); err != nil {
			t.Error(err)
		}
	}, backdoor.ErrReplaced)
	if err := k.vm.WaitBoot(t.Context(), 3*time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := k.target.Check(t.Context()); !errors.Is(err, backdoor.ErrReplaced) {
		t.Errorf("after the boot: %v", err)
	}
}
