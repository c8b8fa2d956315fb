// SPDX-License-Identifier: Apache-2.0

package kmodtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lazystate/tools/lab"
	"lazystate/tools/lab/leak"
)

// TestLoadUnload: many times loaded and unloaded, the kernel has back what it had
// before (DECISIONS 8): no object and no page is kept, nor an area of vmalloc's. In
// make test 6.1 alone: rdmatest's cycles are 6.12's. One vCPU: each load and
// unload patches the kernel's text for tracepoints, and QEMU 7.2's TCG can keep
// a stale int3 of that in another vCPU, which then traps for ever.
func TestLoadUnload(t *testing.T) {
	t.Parallel() // see ownMachine
	onOne(t, "6.1", func(t *testing.T, kernel string) {
		vm := ownMachine(t, lab.Config{Kernel: kernel, VCPUs: 1, Append: leak.Append})
		if err := vm.Put(t.Context(), lab.Module(t, vm, "backdoor"), "/tmp/backdoor.ko"); err != nil {
			t.Fatal(err)
		}
		before := references(t, vm)
		leak.Check(t, vm, lab.Count(40, 300), func(times int) { t.Helper(); cycle(t, vm, times) })
		if d := cmp.Diff(before, references(t, vm)); d != "" {
			t.Errorf("references before (-), after (+):\n%s", d)
		}
		b, err := vm.ReadFile(t.Context(), "/proc/vmallocinfo")
		if err != nil || len(b) == 0 {
			t.Fatalf("%d bytes of /proc/vmallocinfo: %v", len(b), err)
		}
		for line := range strings.Lines(string(b)) {
			if strings.Contains(line, "bd_") {
				t.Errorf("left behind: %s", line)
			}
		}
		seesPages(t, vm)
	})
}

// references are the counts of them that the kernel shows: how often each PCI device
// was enabled, and who uses each module. Those of processes, sockets and files are
// their objects', which leak looks for.
func references(t *testing.T, vm *lab.VM) string {
	t.Helper()
	const script = "grep . /sys/bus/pci/devices/*/enable; cut -d' ' -f1,3 /proc/modules | sort"
	out, err := vm.Must(t.Context(), "/bin/busybox", "sh", "-c", script)
	if err != nil || !strings.Contains(out, "/enable:") {
		t.Fatalf("%s: %v", out, err)
	}
	return out
}

func cycle(t *testing.T, vm *lab.VM, n int) {
	t.Helper()
	script := fmt.Sprintf(`i=0; while [ $i -lt %d ]; do
		insmod /tmp/backdoor.ko allow_repair=1 || exit 1
		rmmod backdoor || exit 2
		i=$((i+1)); done`, n)
	if _, err := vm.Must(t.Context(), "/bin/busybox", "sh", "-c", script); err != nil {
		t.Fatal(err)
	}
}

// seesPages: what looks for leaks sees forty pages that are in no list of the
// kernel's, which a cycle's leak of one page would be: three full pipes' are.
func seesPages(t *testing.T, vm *lab.VM) {
	t.Helper()
	const full = 16 // pages of a pipe
	before := leak.At(t, vm)
	for range 3 {
		fill := fmt.Sprintf("/bin/busybox dd if=/dev/zero bs=4096 count=%d 2>/dev/null | /bin/busybox sleep 100000", full)
		if _, err := vm.Start(t.Context(), lab.Proc{Argv: []string{"/bin/busybox", "sh", "-c", fill}}); err != nil {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(time.Minute); !slices.Contains(leak.At(t, vm).Grown(before, 2*3*full), leak.Unlisted); {
		if time.Now().After(end) {
			t.Fatalf("%d pages of pipes are not seen", 3*full)
		}
	}
}
