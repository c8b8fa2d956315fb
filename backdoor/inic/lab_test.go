// SPDX-License-Identifier: Apache-2.0

package inic_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cilium/ebpf/btf"
	"github.com/google/go-cmp/cmp"

	"lazystate/backdoor"
	"lazystate/backdoor/inic"
	"lazystate/backdoor/layout"
	"lazystate/backdoor/uapi"
	"lazystate/tools/lab"
	"lazystate/tools/lab/armed"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m, 1)) }

const labSlot = 2

var labKey = uapi.Key{0: 0x5e, 7: 0x11, 15: 0xc7}

// guest is a machine of the lab that runs the module, seen from outside.
type guest struct {
	*lab.VM
	mem *inic.Memory
	t   *backdoor.Target
}

type labCase struct {
	name string
	run  func(*testing.T, *guest)
}

// cases share one load of the module, which the last takes away.
var cases = []labCase{
	{"GroundTruth", labGroundTruth}, {"Processes", labProcesses}, {"OffsetsAgreeWithBTF", labOffsets},
	{"Lock", labLock}, {"Kill", labKill}, {"Identity", labIdentity},
}

// TestLab runs everything on both of Debian's kernels, one machine at a time: 6.1
// with random addresses, and five levels of page tables where the CPU has them,
// 6.12 without. make soak has 6.1 also without.
func TestLab(t *testing.T) {
	t.Run("6.12", func(t *testing.T) { onMachine(t, lab.Config{Kernel: "6.12"}) })
	t.Run("6.1-kaslr", func(t *testing.T) { onMachine(t, lab.Config{Kernel: "6.1", KASLR: true}) })
	if lab.Soak() {
		t.Run("6.1", func(t *testing.T) { onMachine(t, lab.Config{Kernel: "6.1"}) })
	}
}

func onMachine(t *testing.T, c lab.Config) {
	vm := lab.New(t, c)
	ship(t, vm)
	g := armedGuest(t, vm)
	t.Logf("page_offset_base %#x, phys_base %#x, %d levels",
		g.value(t, "page_offset_base"), g.value(t, "phys_base"), g.value(t, "page_table_levels"))
	for _, lc := range cases {
		t.Run(lc.name, func(t *testing.T) { lc.run(t, g) })
	}
}

// ship puts into the guest what the tests use there.
func ship(t *testing.T, vm *lab.VM) {
	t.Helper()
	if err := vm.Put(t.Context(), lab.Module(t, vm, "backdoor"), "/backdoor.ko"); err != nil {
		t.Fatal(err)
	}
}

// armedGuest loads the module with a key for our slot, and opens the target.
func armedGuest(t *testing.T, vm *lab.VM) *guest {
	t.Helper()
	// By a program that ends: nothing may depend on its address space.
	if _, err := vm.Must(t.Context(), "insmod", "/backdoor.ko", "allow_repair=1"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := vm.Rmmod(context.Background(), "backdoor"); err != nil {
			t.Errorf("unload: %v", err)
		}
	})
	if err := armed.GiveKeys(t.Context(), vm, armed.Keys{labSlot: labKey}); err != nil {
		t.Fatal(err)
	}
	mem, target, err := armed.Open(t.Context(), vm, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mem.Close() })
	return &guest{VM: vm, mem: mem, t: target}
}

// paused runs fn while the machine stands still, so that two looks at its
// memory are looks at the same memory.
func (g *guest) paused(t *testing.T, fn func()) {
	t.Helper()
	if err := g.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := g.Cont(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	fn()
}

// memSave reads a virtual address through QEMU's own walk of the page tables.
func (g *guest) memSave(t *testing.T, va uint64, n int) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "memsave")
	args := map[string]any{"val": int64(va), "size": n, "filename": file, "cpu-index": 0}
	if _, err := g.QMP(t.Context(), "memsave", args); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (g *guest) value(t *testing.T, name string) uint64 {
	t.Helper()
	v, ok := g.t.Manifest().Value(name)
	if !ok {
		t.Fatalf("manifest has no %s", name)
	}
	return v
}

func labGroundTruth(t *testing.T, g *guest) {
	// All memory that the module's loader gave back is used by another once:
	// page tables of a process that has ended are no way to vmalloc.
	if _, err := g.Must(t.Context(), "sh", "-c", "dd if=/dev/zero of=/fill bs=1M count=330; rm /fill"); err != nil {
		t.Fatal(err)
	}
	g.paused(t, func() {
		g.compareMemory(t, "init_task, in the kernel image", g.value(t, "init_task"), 4096)
		g.compareMemory(t, "the module's struct, by page tables", g.value(t, "module"), 256)
		list, err := g.t.Tasks(t.Context(), backdoor.WalkOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range list.Tasks[:5] {
			stack := g.pointer(t, task.Addr, "task_struct.stack")
			g.compareMemory(t, "the stack of "+task.Comm+", in vmalloc", stack, 16384)
			g.compareMemory(t, "the task_struct of "+task.Comm, task.Addr, 4096)
		}
	})
	g.paused(t, func() {
		base := g.value(t, "page_offset_base")
		for _, pa := range []uint64{1 << 20, 64 << 20, 300 << 20} {
			want, err := g.PMemSave(t.Context(), pa, 1<<16)
			if err != nil {
				t.Fatal(err)
			}
			got := backdoor.VARead{VA: base + pa, Buf: make([]byte, 1<<16)}
			if err := g.t.ReadVA(t.Context(), []backdoor.VARead{got}); err != nil || !bytes.Equal(got.Buf, want) {
				t.Errorf("physical %#x differs from QEMU's view: %v", pa, err)
			}
		}
	})
}

func (g *guest) compareMemory(t *testing.T, what string, va uint64, n int) {
	t.Helper()
	read := backdoor.VARead{VA: va, Buf: make([]byte, n)}
	if err := g.t.ReadVA(t.Context(), []backdoor.VARead{read}); err != nil {
		t.Errorf("%s at %#x: %v", what, va, err)
		return
	}
	if want := g.memSave(t, va, n); !bytes.Equal(read.Buf, want) {
		t.Errorf("%s at %#x differs from QEMU's view", what, va)
	}
}

func (g *guest) pointer(t *testing.T, addr uint64, member string) uint64 {
	t.Helper()
	m, ok := g.t.Manifest().Offset(member)
	if !ok {
		t.Fatalf("manifest has no %s", member)
	}
	word := backdoor.VARead{VA: addr + uint64(m.Off), Buf: make([]byte, 8)}
	if err := g.t.ReadVA(t.Context(), []backdoor.VARead{word}); err != nil {
		t.Fatal(err)
	}
	v := uint64(0)
	for i, b := range word.Buf {
		v |= uint64(b) << (8 * i)
	}
	return v
}

// who is what guest and monitor must say alike of a process.
type who struct {
	PPID, UID int
	Comm      string
}

func labProcesses(t *testing.T, g *guest) {
	pid, err := g.Start(t.Context(), lab.Proc{Argv: []string{"sleep", "1000"}, UID: 1234})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Kill(context.Background(), pid, 9)
	g.crowd(t, 300)
	before, err := g.PS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var lists []*backdoor.TaskList
	for _, via := range []backdoor.Via{backdoor.ViaIDR, backdoor.ViaList} {
		list, err := g.t.Tasks(t.Context(), backdoor.WalkOptions{Via: via})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("by %s: %d tasks, %d torn, %+v", via, list.Seen, list.Torn, list.Stats)
		if n := uint64(list.Seen); via == backdoor.ViaIDR && (n < 300 || list.Stats.Reads > 4*n+n/32+16 || list.Stats.Batches > n/16+16) {
			t.Errorf("DECISION 20 has a budget of %d reads in %d batches for %d tasks", 4*n+n/32+16, n/16+16, n)
		}
		lists = append(lists, list)
	}
	after, err := g.PS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stable, maybe := both(before, after)
	for _, list := range lists {
		compareTables(t, list, stable, maybe)
	}
	g.checkUser(t, lists[0], int32(pid))
}

// crowd starts so many processes, which end with the test.
func (g *guest) crowd(t *testing.T, n int) {
	t.Helper()
	const uid = 1235
	script := fmt.Sprintf(`trap 'kill -9 $all; exit' TERM
		for i in $(seq %d); do sleep 1000 & all="$all $!"; done
		wait`, n)
	parent, err := g.Start(t.Context(), lab.Proc{Argv: []string{"sh", "-c", script}, UID: uid})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := g.Kill(ctx, parent, 15); err != nil {
			t.Error(err)
		}
		g.Wait(ctx, parent)
	})
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		all, err := g.PS(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		there := 0
		for _, p := range all {
			if p.UID == uid && p.Comm == "sleep" {
				there++
			}
		}
		if there == n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d processes of %d after a minute", there, n)
		}
	}
}

// both returns the processes that two listings agree on, and the pids of either.
func both(a, b []lab.Process) (stable map[int32]who, maybe map[int32]bool) {
	stable, maybe = map[int32]who{}, map[int32]bool{}
	first := map[int]lab.Process{}
	for _, p := range a {
		first[p.PID], maybe[int32(p.PID)] = p, true
	}
	for _, p := range b {
		maybe[int32(p.PID)] = true
		if old, ok := first[p.PID]; ok && old.Comm == p.Comm && old.PPID == p.PPID {
			stable[int32(p.PID)] = who{p.PPID, p.UID, p.Comm}
		}
	}
	return stable, maybe
}

func compareTables(t *testing.T, list *backdoor.TaskList, stable map[int32]who, maybe map[int32]bool) {
	t.Helper()
	got := map[int32]who{}
	for _, task := range list.Tasks {
		if !maybe[task.PID] {
			t.Logf("by %s: pid %d %q lived between the listings only", list.Via, task.PID, task.Comm)
		}
		if w, ok := stable[task.PID]; ok {
			got[task.PID] = who{int(task.PPID), int(task.UID), w.Comm}
			// /proc decorates the names of kernel workers.
			if !task.KThread() && task.Comm != w.Comm {
				t.Errorf("by %s: pid %d is %q, the guest says %q", list.Via, task.PID, task.Comm, w.Comm)
			}
		}
	}
	if d := cmp.Diff(stable, got); d != "" {
		t.Errorf("by %s: guest (-), monitor (+)\n%s", list.Via, d)
	}
}

// checkUser compares one process's figures with what can be known of it.
func (g *guest) checkUser(t *testing.T, list *backdoor.TaskList, pid int32) {
	t.Helper()
	for _, task := range list.Tasks {
		if task.PID != pid {
			continue
		}
		if task.UID != 1234 || task.EUID != 1234 || task.KThread() || task.MM == 0 || task.Threads != 1 || task.Live != 1 ||
			task.StartTime == 0 || task.PgTables == 0 || task.RSS()+task.RSSError == 0 || task.NSLevel != 0 {
			t.Errorf("%+v", task)
		}
		return
	}
	t.Errorf("pid %d was not seen", pid)
}

// The module's compiler and the kernel's agree on every offset.
func labOffsets(t *testing.T, g *guest) {
	raw, err := g.ReadFile(t.Context(), "/sys/kernel/btf/vmlinux")
	if err != nil {
		t.Fatal(err)
	}
	spec, err := btf.LoadSpecFromReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	_, _, names := g.t.Manifest().Names()
	if len(names) < 100 {
		t.Errorf("%d members in the manifest", len(names))
	}
	for _, m := range layout.Compare(spec, g.t.Manifest()) {
		t.Error(m)
	}
}

func labLock(t *testing.T, g *guest) {
	const lease = 6 * time.Second
	held, err := g.t.Lock(t.Context(), backdoor.LockOptions{
		Slot: labSlot, Key: labKey, Lease: lease, Drain: time.Second, // which outlives some seconds of a host that has no time
		Flags: uapi.LockDrain | uapi.LockNMI,
	})
	if err != nil {
		t.Fatal(err)
	}
	v := held.View()
	t.Logf("drained %v, CPUs %+v, ipi %x, nmi %x", v.Drained, v.CPUs, v.IPI, v.NMI)
	if len(v.CPUs) != 2 || !v.Free.Empty() {
		t.Errorf("view %+v", v)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := g.Ping(ctx); err == nil {
		t.Error("the guest answers under the lock")
	}
	list, err := g.t.Tasks(t.Context(), backdoor.WalkOptions{})
	if err != nil || v.Drained && list.Torn != 0 {
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
	ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := g.Ping(ctx); err != nil {
		t.Errorf("the guest does not answer after the lock: %v", err)
	}
	_, err = g.t.Lock(t.Context(), backdoor.LockOptions{Slot: labSlot, Key: uapi.Key{1}})
	var refused *backdoor.LockRefusedError
	if !errors.As(err, &refused) || refused.Reason != uapi.RefuseTag {
		t.Errorf("wrong key: %v", err)
	}
}

func labKill(t *testing.T, g *guest) {
	hooks, err := g.t.Hooks(labSlot, labKey)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := g.Start(t.Context(), lab.Proc{Argv: []string{"sleep", "1000"}, UID: 1234})
	if err != nil {
		t.Fatal(err)
	}
	kills := g.killsFor(t, int32(pid), 1, 2)
	wrong := kills[0]
	wrong.StartTime--
	got, err := hooks.PostKills(t.Context(), append(kills, wrong, backdoor.Kill{PID: 3999999, Signal: 9}))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []uint32{uapi.ResDone, uapi.ResInit, uapi.ResKThread, uapi.ResReused, uapi.ResESRCH} {
		if got[i].Result != want {
			t.Errorf("kill %+v: %s, want %s", got[i].Kill, uapi.ResultName(got[i].Result), uapi.ResultName(want))
		}
	}
	if exit, err := g.Wait(t.Context(), pid); err != nil || exit != 128+9 {
		t.Errorf("the victim's exit is %d, %v", exit, err)
	}
	before, err := hooks.PostKnob(t.Context(), backdoor.Knob{Knob: uapi.KnobSwappiness, Value: 33})
	if err != nil || before != 60 {
		t.Errorf("swappiness was %d, %v", before, err)
	}
	if b, err := g.ReadFile(t.Context(), "/proc/sys/vm/swappiness"); err != nil || string(b) != "33\n" {
		t.Errorf("swappiness is %q, %v", b, err)
	}
	if _, err := hooks.PostKnob(t.Context(), backdoor.Knob{Knob: uapi.KnobSwappiness, Value: 60}); err != nil {
		t.Error(err)
	}
}

// killsFor makes SIGKILLs for pids, with the start times that the walk shows.
func (g *guest) killsFor(t *testing.T, pids ...int32) []backdoor.Kill {
	t.Helper()
	list, err := g.t.Tasks(t.Context(), backdoor.WalkOptions{})
	if err != nil {
		t.Fatal(err)
	}
	start := map[int32]uint64{}
	for _, task := range list.Tasks {
		start[task.PID] = task.StartTime
	}
	var kills []backdoor.Kill
	for _, pid := range pids {
		kills = append(kills, backdoor.Kill{PID: uint32(pid), StartTime: start[pid], Signal: 9})
	}
	return kills
}

// An unloaded, a newly loaded and a reset machine are not the one that was opened.
// The reset is the carrier's: in make test of one kernel.
func labIdentity(t *testing.T, g *guest) {
	if err := g.Rmmod(t.Context(), "backdoor"); err != nil {
		t.Fatal(err)
	}
	if err := g.t.Check(t.Context()); !errors.Is(err, backdoor.ErrWithdrawn) {
		t.Errorf("unloaded: %v", err)
	}
	if err := g.Insmod(t.Context(), lab.Module(t, g.VM, "backdoor")); err != nil {
		t.Fatal(err)
	}
	if err := g.t.Check(t.Context()); !errors.Is(err, backdoor.ErrReplaced) {
		t.Errorf("loaded again: %v", err)
	}
	if g.Config().Kernel != "6.1" && !lab.Soak() {
		return
	}
	now, err := backdoor.Open(t.Context(), g.mem)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.mem.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := now.Check(t.Context()); !errors.Is(err, backdoor.ErrReplaced) {
		t.Errorf("reset: %v", err)
	}
	if err := g.Insmod(t.Context(), lab.Module(t, g.VM, "backdoor")); err != nil {
		t.Fatal(err) // so that the clean-up has something to unload
	}
}
