// SPDX-License-Identifier: Apache-2.0

package lab_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lazystate/backdoor"
	"lazystate/tools/lab"
	"lazystate/tools/lab/armed"
)

const (
	hole = 2 << 30 // where q35 begins the PCI hole in a guest of 5 GiB
	high = 4 << 30 // and where RAM goes on
)

// TestFiveGiB boots memory that spans the PCI hole: q35 maps what is above
// 2 GiB of the file at 4 GiB of the guest's address space. QEMU's own copy, the
// file and the I-NIC agree on it, and the walk of a process table that lies up
// there shows what the guest's /proc does.
func TestFiveGiB(t *testing.T) {
	lab.Need(t)
	t.Parallel()
	var fs unix.Statfs_t
	if err := unix.Statfs("/dev/shm", &fs); err != nil {
		t.Fatal(err)
	}
	if available(t) < 10<<30 || fs.Bavail*uint64(fs.Bsize) < 6<<30 {
		t.Skip("less than 10 GiB of memory free")
	}
	vm := lab.New(t, lab.Config{MemMiB: 5 << 10})
	if err := vm.Insmod(t.Context(), lab.Module(t, vm, "backdoor")); err != nil {
		t.Fatal(err)
	}
	mem, target, err := armed.Open(t.Context(), vm, false)
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	f, err := os.Open(vm.RAMPath())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()

	base, ok := target.Manifest().Value("page_offset_base")
	if !ok {
		t.Fatal("no page_offset_base")
	}
	pages := []uint64{high, high + 123<<20, high + 1<<30 + 4096, high + 3<<30 - 4096}
	above := 0
	for _, task := range tasks(t, vm, target) {
		if gpa := task.Addr - base; gpa >= high && gpa < high+3<<30 {
			pages = append(pages, gpa&^4095)
			above++
		}
	}
	if above == 0 {
		t.Fatal("no process lies above 4 GiB: nothing is shown")
	}
	if err := vm.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, gpa := range pages[:min(len(pages), 12)] {
		saved, err := vm.PMemSave(t.Context(), gpa, 4096)
		if err != nil {
			t.Fatal(err)
		}
		ours, file := make([]byte, 4096), make([]byte, 4096)
		if err := target.ReadVA(t.Context(), []backdoor.VARead{{VA: base + gpa, Buf: ours}}); err != nil {
			t.Errorf("read %#x: %v", gpa, err)
		}
		if _, err := f.ReadAt(file, int64(gpa-high+hole)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(saved, ours) || !bytes.Equal(saved, file) {
			t.Errorf("guest-physical %#x: the I-NIC agrees with QEMU: %v, the file at %#x: %v",
				gpa, bytes.Equal(saved, ours), gpa-high+hole, bytes.Equal(saved, file))
		}
	}
	if err := vm.Cont(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func available(t *testing.T) (bytes uint64) {
	t.Helper()
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if n, _ := fmt.Sscanf(line, "MemAvailable: %d kB", &bytes); n == 1 {
			return bytes << 10
		}
	}
	t.Fatal("no MemAvailable")
	return 0
}

// agrees compares what does not change by itself; /proc adds a kernel worker's
// queue to its name.
func agrees(p lab.Process, task backdoor.Task) bool {
	return p.PPID == int(task.PPID) && p.UID == int(task.UID) && strings.HasPrefix(p.Comm, task.Comm)
}

// tasks compares a walk with the guest's process list: who is there before and
// after it is in it, under the parent, user and name of one of both.
func tasks(t *testing.T, vm *lab.VM, target *backdoor.Target) []backdoor.Task {
	t.Helper()
	list := func() map[int]lab.Process {
		t.Helper()
		all, err := vm.PS(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		byPID := map[int]lab.Process{}
		for _, p := range all {
			byPID[p.PID] = p
		}
		return byPID
	}
	before := list()
	walk, err := target.Tasks(t.Context(), backdoor.WalkOptions{})
	if err != nil {
		t.Fatal(err)
	}
	after := list()
	seen := map[int]bool{}
	for _, task := range walk.Tasks {
		pid := int(task.PID)
		seen[pid] = true
		was, ok := before[pid]
		is, still := after[pid]
		// A kernel thread that has just begun is called kthreadd until it runs: meanwhile it may be renamed.
		if ok && still && !agrees(was, task) && !agrees(is, task) {
			t.Errorf("/proc has %+v, then %+v, the walk pid %d ppid %d uid %d %q", was, is, task.PID, task.PPID, task.UID, task.Comm)
		}
	}
	for pid, p := range before {
		if _, still := after[pid]; still && !seen[pid] {
			t.Errorf("the walk has no %+v", p)
		}
	}
	if len(seen) < 20 {
		t.Errorf("%d processes", len(seen))
	}
	return walk.Tasks
}
