// SPDX-License-Identifier: Apache-2.0

package rdma_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/rdma"
	"lazystate/backdoor/uapi"
	"lazystate/tools/lab"
	"lazystate/tools/lab/armed"
	"lazystate/verbs"
	"lazystate/verbs/roce"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m, 1)) }

const labSlot = 2

var (
	labKey  = uapi.Key{0: 0x5e, 7: 0x11, 15: 0xc7}
	ourAddr = netip.MustParseAddr("10.77.0.254")
	itsAddr = netip.MustParseAddr("10.77.0.1")
)

// guest is a machine of the lab whose module answers through rdma_rxe, seen by
// RoCEv2 in this process, from the machine's network.
type guest struct {
	*lab.VM
	mem *rdma.Memory
	t   *backdoor.Target
}

// TestLab runs on both of Debian's kernels, one machine at a time.
func TestLab(t *testing.T) {
	for _, kernel := range []string{"6.1", "6.12"} {
		t.Run(kernel, func(t *testing.T) {
			vm := lab.New(t, lab.Config{
				Kernel: kernel, NICs: []lab.NIC{{Addr: itsAddr.String() + "/24", RXE: true}},
				Modules: []string{"rdma_rxe", "rdma_cm"},
			})
			if err := lab.HostAddr(vm.Config().Net, "br0", ourAddr.String()+"/24"); err != nil {
				t.Fatal(err)
			}
			g := open(t, vm)
			for _, c := range []struct { // they share the connection; the last takes it away
				name string
				run  func(*testing.T, *guest)
			}{
				{"Read", labRead}, {"Lock", labLock}, {"Repair", labRepair}, {"Owner", labOwner}, {"Refused", labRefused}, {"Identity", labIdentity},
			} {
				t.Run(c.name, func(t *testing.T) { c.run(t, g) })
			}
		})
	}
}

func insmod(t *testing.T, vm *lab.VM) {
	t.Helper()
	err := vm.Insmod(t.Context(), lab.Module(t, vm, "backdoor"), "allow_repair=1")
	if err == nil {
		err = armed.GiveKeys(t.Context(), vm, armed.Keys{labSlot: labKey})
	}
	if err == nil {
		err = vm.Insmod(t.Context(), lab.Module(t, vm, "backdoor_rdma"))
	}
	if err == nil { // a queue's interrupts, or workers, on the CPU that the lock stops would silence it
		_, err = vm.Must(t.Context(), armed.Agent, "--once", "--nic", "eth0")
	}
	if err != nil {
		t.Fatal(err)
	}
}

// open loads the modules and connects.
func open(t *testing.T, vm *lab.VM) *guest {
	t.Helper()
	insmod(t, vm)
	t.Cleanup(func() {
		if err := vm.Rmmod(context.Background(), "backdoor_rdma", "backdoor"); err != nil {
			t.Errorf("unload: %v", err)
		}
	})
	g := &guest{VM: vm}
	var dev *roce.Device
	err := lab.InNetns(vm.Config().Net, func() (err error) {
		dev, err = roce.Open(roce.Config{Local: ourAddr})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	g.mem, err = rdma.Open(ctx, rdma.Options{
		Device: verbs.New(dev), Remote: netip.AddrPortFrom(itsAddr, uapi.RDMAPort), Monitor: labSlot, Key: labKey, Writable: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.mem.Close(); err != nil {
			t.Error(err)
		}
	})
	if g.t, err = backdoor.Open(ctx, g.mem); err != nil {
		t.Fatal(err)
	}
	return g
}

// labRead: what the module says of the machine is what the machine says.
func labRead(t *testing.T, g *guest) {
	if c := g.mem.Caps(); !c.NeedsCPU || c.Atomics || !c.Writable {
		t.Errorf("capabilities %+v", c)
	}
	pid, err := g.Start(t.Context(), lab.Proc{Argv: []string{"sleep", "1000"}, UID: 1234})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Kill(context.Background(), pid, 9)
	for _, via := range []backdoor.Via{backdoor.ViaIDR, backdoor.ViaList} {
		began := time.Now()
		list, err := g.t.Tasks(t.Context(), backdoor.WalkOptions{Via: via})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("by %s: %d tasks in %v, %+v", via, list.Seen, time.Since(began), list.Stats)
		found := false
		for _, task := range list.Tasks {
			found = found || task.PID == int32(pid) && task.UID == 1234 && task.Comm == "sleep"
		}
		if !found {
			t.Errorf("by %s: the process of uid 1234 is not there", via)
		}
	}
	for _, r := range g.t.Regions() {
		if r.Perm&backdoor.PermRead == 0 {
			continue
		}
		n := min(r.Len, 1<<16)
		if err := g.t.Do(t.Context(), r.Read(0, make([]byte, n)), r.Read(r.Len-1, make([]byte, 1))); err != nil {
			t.Errorf("%s: %v", r.Name, err)
		}
	}
}

func labLock(t *testing.T, g *guest) {
	const lease = 6 * time.Second
	held, err := g.t.Lock(t.Context(), backdoor.LockOptions{
		Slot: labSlot, Key: labKey, Lease: lease, Drain: time.Second, // which outlives some seconds without an answer
		Flags: uapi.LockNMI | uapi.LockDrain,
	})
	if err != nil {
		t.Fatal(err)
	}
	v := held.View()
	t.Logf("drained %v, parked %s, ipi %s, nmi %s, free %s", v.Drained, v.Parked, v.IPI, v.NMI, v.Free)
	if v.Free.Empty() || v.Parked.Empty() && v.IPI.Empty() {
		t.Errorf("one CPU is to answer, the other to stand still: %+v", v)
	}
	if _, err := g.t.Tasks(t.Context(), backdoor.WalkOptions{}); err != nil {
		t.Errorf("walk under the lock: %v", err)
	}
	renewed := v.LeaseEnd
	if lab.Soak() {
		renewed += lease // at a time when the first would have ended
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		now, err := g.t.LockView(t.Context())
		if err == nil && now.State == uapi.LockHeld && now.LeaseEnd > renewed {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("a minute and not renewed: %+v, %v", now, err)
		}
	}
	if err := held.Confirm(t.Context()); err != nil {
		t.Error(err)
	}
	if err := held.Unlock(t.Context()); err != nil {
		t.Error(err)
	}
	if err := g.Ping(t.Context()); err != nil {
		t.Errorf("the guest does not answer after the lock: %v", err)
	}
}

func labRepair(t *testing.T, g *guest) {
	pid, err := g.Start(t.Context(), lab.Proc{Argv: []string{"sleep", "1000"}, UID: 1234})
	if err != nil {
		t.Fatal(err)
	}
	list, err := g.t.Tasks(t.Context(), backdoor.WalkOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var kills []backdoor.Kill
	for _, task := range list.Tasks {
		if task.PID == int32(pid) {
			kills = append(kills, backdoor.Kill{PID: uint32(pid), StartTime: task.StartTime, Signal: 9})
		}
	}
	hooks, err := g.t.Hooks(labSlot, labKey)
	if err != nil {
		t.Fatal(err)
	}
	got, err := hooks.PostKills(t.Context(), append(kills, backdoor.Kill{PID: 3999999, Signal: 9}))
	if err != nil || len(got) != 2 || got[0].Result != uapi.ResDone || got[1].Result != uapi.ResESRCH {
		t.Errorf("%+v, %v", got, err)
	}
	if exit, err := g.Wait(t.Context(), pid); err != nil || exit != 128+9 {
		t.Errorf("the victim's exit is %d, %v", exit, err)
	}
	if before, err := hooks.PostKnob(t.Context(), backdoor.Knob{Knob: uapi.KnobSwappiness, Value: 33}); err != nil || before != 60 {
		t.Errorf("swappiness was %d, %v", before, err)
	}
	if _, err := hooks.PostKnob(t.Context(), backdoor.Knob{Knob: uapi.KnobSwappiness, Value: 60}); err != nil {
		t.Error(err)
	}
}

// labOwner: the module's own record of who owns it.
func labOwner(t *testing.T, g *guest) {
	ctx := t.Context()
	o := backdoor.Owner{Epoch: 3, Monitor: labSlot}
	if err := g.mem.Own(ctx, o, time.Minute); err != nil {
		t.Fatal(err)
	}
	if v, err := g.mem.Owner(ctx); err != nil || !v.Held || v.Owner != o {
		t.Errorf("%+v, %v", v, err)
	}
	if err := g.mem.Disown(ctx); err != nil {
		t.Error(err)
	}
	var stale *backdoor.StaleOwnerError
	if err := g.mem.Own(ctx, backdoor.Owner{Epoch: 2, Monitor: labSlot}, time.Minute); !errors.As(err, &stale) {
		t.Errorf("an old epoch: %v", err)
	}
}

// labRefused: an address that no region has ends with an access error, not with
// the target, and the connection comes back.
func labRefused(t *testing.T, g *guest) {
	r, err := g.t.Region(uapi.KindMemory)
	if err != nil {
		t.Fatal(err)
	}
	beyond := r
	beyond.Len += 1 << 30 // this side is told to look away
	if err := g.mem.Bind([]backdoor.Region{r, beyond}); err != nil {
		t.Fatal(err)
	}
	wild := backdoor.Op{Kind: backdoor.OpRead, Addr: r.Addr + r.Len + 1<<20, Key: r.Key, Buf: make([]byte, 64)}
	var refused *backdoor.AccessError
	if err := backdoor.Do(t.Context(), g.mem, wild); !errors.As(err, &refused) {
		t.Errorf("behind the region: %v", err)
	}
	if err := backdoor.Do(t.Context(), g.mem, r.Read(4096, make([]byte, 64))); err != nil {
		t.Errorf("after a refusal: %v", err)
	}
	if err := g.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if err := g.mem.Bind(g.t.Regions()); err != nil { // it sees again
		t.Error(err)
	}
}

// labIdentity: an unloaded module, a new load, and a reset machine: in make test of
// one kernel, for it is this side that must not be fooled.
func labIdentity(t *testing.T, g *guest) {
	await := func(what string, check func() error, want ...error) {
		t.Helper()
		for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
			err := check()
			for _, w := range want {
				if errors.Is(err, w) {
					return
				}
			}
			if time.Now().After(end) {
				t.Fatalf("%s: %v", what, err)
			}
		}
	}
	check := func() error { return g.t.Check(t.Context()) }
	if err := g.Rmmod(t.Context(), "backdoor_rdma", "backdoor"); err != nil {
		t.Fatal(err)
	}
	await("unloaded", check, backdoor.ErrWithdrawn)
	insmod(t, g.VM)
	await("loaded again", check, backdoor.ErrReplaced)
	if g.Config().Kernel != "6.1" && !lab.Soak() {
		return
	}
	now, err := backdoor.Open(t.Context(), g.mem)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	await("reset", func() error { return now.Check(t.Context()) }, backdoor.ErrUnanswered, backdoor.ErrWithdrawn)
	insmod(t, g.VM)
	await("booted again", func() error { return now.Check(t.Context()) }, backdoor.ErrReplaced)
}
