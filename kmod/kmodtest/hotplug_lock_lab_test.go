// SPDX-License-Identifier: Apache-2.0

package kmodtest

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/tools/lab"
)

// comeAndGo takes CPU 1 out and puts it back, again and again, and writes how
// often.
const comeAndGo = `n=0
while [ ! -e /tmp/still ]; do
	echo 0 >` + cpu1 + ` && echo 1 >` + cpu1 + ` || exit 1
	n=$((n+1)); echo $n >/tmp/turns.new; mv /tmp/turns.new /tmp/turns
done`

// TestLockWhileCPUsComeAndGo: whoever leaves or comes while the lock is asked
// for and held, it is granted and let go of as ever; no lease has to end it. CPU 1
// looks first, so mostly it leads: the one that leaves.
func TestLockWhileCPUsComeAndGo(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		k := load(t, kernel, "allow_repair=1", "nic_cpu=1")
		k.arm(t)
		pid, err := k.vm.Start(t.Context(), lab.Proc{Argv: []string{"/bin/busybox", "sh", "-c", comeAndGo}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { k.stays(t, pid) }) // before the module goes
		locks := 0
		begun, long := time.Now(), time.Duration(lab.Count(5, 15))*time.Second
		for time.Since(begun) < long || time.Since(begun) < 2*time.Minute && k.turns(t) < 2 {
			locks++
			held := k.lockWithin(t, uapi.LockNMI, 5*time.Second, 100*time.Millisecond)
			k.consistent(t, held.View())
			if locks%16 == 1 {
				time.Sleep(300 * time.Millisecond) // longer than all that is waited for
			}
			if err := held.Unlock(t.Context()); err != nil {
				t.Fatalf("lock %d: %v", locks, err)
			}
			time.Sleep(time.Duration(locks%8) * 4 * time.Millisecond) // or the CPUs have no time to leave
		}
		v := k.until(t, "the lock is free", func(v *backdoor.LockView) bool { return v.State == uapi.LockFree })
		if v.Expired != 0 || v.Grants != uint64(locks) {
			t.Errorf("of %d locks %d were granted, %d ended by their lease", locks, v.Grants, v.Expired)
		}
		turns := k.turns(t)
		if turns < 2 {
			t.Errorf("CPU 1 came and went %d times", turns)
		}
		t.Logf("%d locks while CPU 1 came and went %d times", locks, turns)
	})
}

// turns are how often CPU 1 came and went.
func (k *loaded) turns(t *testing.T) int {
	t.Helper()
	b, err := k.vm.ReadFile(t.Context(), "/tmp/turns")
	if err != nil {
		return 0 // not once
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// stays ends comeAndGo, and the guest has two CPUs and no complaint.
func (k *loaded) stays(t *testing.T, pid int) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := k.vm.WriteFile(ctx, "/tmp/still", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if exit, err := k.vm.Wait(ctx, pid); err != nil || exit != 0 {
		t.Errorf("the shell: exit %d, %v", exit, err)
	}
	if _, err := k.vm.Must(ctx, "/bin/busybox", "rm", "-f", "/tmp/still", "/tmp/turns"); err != nil {
		t.Error(err)
	}
	online, err := k.vm.ReadFile(ctx, "/sys/devices/system/cpu/online")
	if err != nil || string(online) != "0-1\n" {
		t.Errorf("online: %q, %v", online, err)
	}
	log, err := k.vm.Must(ctx, "dmesg")
	if bad := complaint.FindAllString(log, -1); err != nil || bad != nil {
		t.Errorf("the kernel complains: %q, %v", bad, err)
	}
}

// consistent: each CPU that has a record is in one mask, or out.
func (k *loaded) consistent(t *testing.T, v *backdoor.LockView) {
	t.Helper()
	for cpu, c := range v.CPUs {
		masks := 0
		for _, m := range []backdoor.CPUMask{v.IPI, v.NMI, v.Free} {
			if m.Has(cpu) {
				masks++
			}
		}
		if masks > 1 || masks == 0 && c.Where != uapi.CPUOffline {
			t.Errorf("CPU %d is in %d masks: %+v", cpu, masks, v)
		}
	}
	if v.Drained && !v.Free.Empty() {
		t.Errorf("drained, and CPUs run: %+v", v)
	}
}

// TestLockBesideACPUThatIsOut: records are by a CPU's number, also behind one
// that is out.
func TestLockBesideACPUThatIsOut(t *testing.T) {
	t.Parallel() // see ownMachine
	onOne(t, "6.12", func(t *testing.T, kernel string) {
		k := &loaded{vm: ownMachine(t, lab.Config{Kernel: kernel, VCPUs: 3})}
		if err := k.vm.Insmod(t.Context(), lab.Module(t, k.vm, "backdoor"), "allow_repair=1"); err != nil {
			t.Fatal(err)
		}
		k.open(t)
		k.arm(t)
		if _, err := k.vm.Must(t.Context(), "/bin/busybox", "sh", "-c", "echo 0 >"+cpu1); err != nil {
			t.Fatal(err)
		}
		held := k.lock(t, uapi.LockNMI, 5*time.Second)
		v := held.View()
		k.consistent(t, v)
		if len(v.CPUs) != 3 || v.CPUs[1].Where != uapi.CPUOffline || v.CPUs[2].Where <= uapi.CPURunning || !v.Free.Empty() {
			t.Errorf("CPU 1 is out: %+v", v)
		}
		k.unlock(t, held)
	})
}
