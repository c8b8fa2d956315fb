// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"lazystate/tools/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m, 1)) }

// On the oldest kernel, which finds writes by faults alone, page faults are served as
// they are to be, and programs survive the loss of a node. make soak tries a newer one
// too, and all programs.
func TestOnKernels(t *testing.T) {
	names := []string{"barnes", "cache"}
	kernels := []string{"6.1"}
	if lab.Soak() {
		names, kernels = nil, append(kernels, "6.12")
		for name := range small {
			names = append(names, name)
		}
	}
	for _, kernel := range kernels {
		t.Run(kernel, func(t *testing.T) {
			vm := lab.Shared(t, lab.Config{Kernel: kernel, MemMiB: 512})
			lab.RunTest(t, vm, "./dsm/pager", "-test.skip=^TestProgram$") // that is what others start
			install(t, vm, "tools/dsmd", "tools/dsmrun", "bench/apps/dsmapps")
			for _, name := range names {
				t.Run(name, func(t *testing.T) { killedThere(t, vm, name) })
			}
		})
	}
}

// there is where programs lie in the guest.
const there = "/dsm"

func install(t *testing.T, vm *lab.VM, programs ...string) {
	t.Helper()
	for _, p := range programs {
		bin, err := lab.Program(t.Context(), path.Base(p), "lazystate/"+p)
		if err == nil {
			err = vm.Put(t.Context(), bin, path.Join(there, path.Base(p)))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// killedThere runs a program on two nodes, one of which dies in the midst.
func killedThere(t *testing.T, vm *lab.VM, name string) {
	want := sized(t, name).Sequential()
	argv := slices.Concat([]string{there + "/dsmrun", "-n", "2", "--region", "4M", "--every", "200ms", "--kill", "1@5", "--", there + "/dsmapps", name}, small[name])
	r, err := vm.Run(t.Context(), argv...)
	if err != nil {
		t.Fatal(err)
	}
	var said report
	if err := json.Unmarshal([]byte(r.Stdout), &said); err != nil || r.Exit != 0 || said.Digest != want {
		t.Errorf("exit %d, %q, not the result %s: %v\n%s", r.Exit, r.Stdout, want, err, r.Stderr)
	}
	if !strings.Contains(r.Stderr, "msg=recovers") || !strings.Contains(r.Stderr, "msg=lives") {
		t.Errorf("nobody tells of a recovery:\n%s", r.Stderr)
	}
}
