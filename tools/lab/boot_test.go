// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// plain are the machines most tests share.
func plain(series string) Config { return Config{Kernel: series, MemMiB: 256, SwapMiB: 64, NICs: nics} }

var nics = []NIC{{Addr: "10.77.0.1/24"}, {Bridge: "none"}}

// eachKernel runs f on a shared machine of each kernel.
func eachKernel(t *testing.T, f func(*testing.T, *VM)) {
	Need(t)
	for _, series := range []string{"6.1", "6.12"} {
		t.Run(series, func(t *testing.T) { f(t, Shared(t, plain(series))) })
	}
}

func must(t *testing.T, vm *VM, argv ...string) string {
	t.Helper()
	out, err := vm.Must(t.Context(), argv...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

func TestMachineIsAsConfigured(t *testing.T) {
	eachKernel(t, func(t *testing.T, vm *VM) {
		if got := must(t, vm, "uname", "-r"); got != vm.Release() || !strings.HasPrefix(got, vm.Config().Kernel+".") {
			t.Errorf("the guest runs %s, not %s", got, vm.Release())
		}
		if got := must(t, vm, "nproc"); got != "2" {
			t.Errorf("%s CPUs", got)
		}
		if st, err := vm.Status(t.Context()); err != nil || st.SwapKiB < 64<<10-8 {
			t.Errorf("status %+v, %v", st, err)
		}
		if got := must(t, vm, "sh", "-c", "ls -d /sys/class/net/eth0/queues/tx-*"); strings.Count(got, "tx-") != 2 {
			t.Errorf("queues of eth0: %s; want a pair per vCPU", got)
		}
		if got := must(t, vm, "cat", "/sys/class/net/eth1/address"); got != vm.MAC(1) {
			t.Errorf("eth1 has %s, not %s", got, vm.MAC(1))
		}
		if got := must(t, vm, "sh", "-c", "cat /proc/1/oom_score_adj /proc/self/oom_score_adj"); got != "-1000\n0" {
			t.Errorf("oom_score_adj of init and of a child: %q", got)
		}
		// Field 41 of stat is the scheduling policy: 1 is SCHED_FIFO.
		if got := must(t, vm, "sh", "-c", "cut -d' ' -f41 /proc/1/task/*/stat | sort -u; cut -d' ' -f41 /proc/self/stat"); got != "1\n0" {
			t.Errorf("scheduling policies of init's threads and of a child: %q", got)
		}
	})
}

// CPUs come and go under an init that is a real-time process of several threads.
func TestInitOnOneCPU(t *testing.T) {
	eachKernel(t, func(t *testing.T, vm *VM) {
		const cpu1 = "/sys/devices/system/cpu/cpu1/online"
		busy := bytes.Repeat([]byte("lazystate"), 1<<17) // so that init collects garbage
		write := func(path string, b []byte) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := vm.WriteFile(ctx, path, b, 0o600); err != nil {
				t.Fatal(path, err)
			}
		}
		for range Count(4, 20) {
			write(cpu1, []byte("0"))
			for range 4 {
				write("/lab-busy", busy)
			}
			write(cpu1, []byte("1"))
		}
		must(t, vm, "rm", "/lab-busy")
	})
}

func TestRAMFileIsTheGuestsMemory(t *testing.T) {
	eachKernel(t, func(t *testing.T, vm *VM) {
		mark := make([]byte, 32)
		rand.Read(mark)
		ctx := t.Context()
		if err := vm.WriteFile(ctx, "/lab-mark", mark, 0o600); err != nil { // ramfs: it stays in one page
			t.Fatal(err)
		}
		ram, err := os.ReadFile(vm.RAMPath())
		if err != nil {
			t.Fatal(err)
		}
		var found []int
		for from := 0; ; {
			i := bytes.Index(ram[from:], mark)
			if i < 0 {
				break
			}
			found = append(found, from+i)
			from += i + 1
		}
		if len(found) == 0 {
			t.Fatal("the mark is nowhere in the RAM file")
		}
		for _, off := range found { // below the PCI hole the offset is the address
			if got, err := vm.PMemSave(ctx, uint64(off), 32); err != nil || !bytes.Equal(got, mark) {
				t.Errorf("pmemsave at %#x: %x, %v", off, got, err)
			}
		}
		for _, p := range []string{vm.RAMPath(), vm.BARPath(), filepath.Dir(vm.RAMPath()), vm.StateDir()} {
			if st, err := os.Stat(p); err != nil || st.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s: %v, %v; nobody else may read it", p, st.Mode(), err)
			}
		}
	})
}

func TestPutGet(t *testing.T) {
	vm := Shared(t, plain("6.1"))
	dir := t.TempDir()
	for _, size := range []int{0, 1, 8192, 8193, 3<<20 + 17} {
		b := make([]byte, size)
		rand.Read(b)
		src, dst := filepath.Join(dir, "src"), filepath.Join(dir, "dst")
		if err := os.WriteFile(src, b, 0o751); err != nil {
			t.Fatal(err)
		}
		if err := vm.Put(t.Context(), src, "/tmp/deep/er/file"); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(b)
		if got := must(t, vm, "sha256sum", "/tmp/deep/er/file"); !strings.HasPrefix(got, hex.EncodeToString(sum[:])) {
			t.Errorf("%d bytes arrive as %s", size, got)
		}
		if got := must(t, vm, "stat", "-c", "%a", "/tmp/deep/er/file"); got != "751" {
			t.Errorf("mode %s", got)
		}
		if err := vm.Get(t.Context(), "/tmp/deep/er/file", dst); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(dst); !bytes.Equal(got, b) {
			t.Errorf("%d bytes come back as %d", size, len(got))
		}
	}
	err := vm.Get(t.Context(), "/nowhere", filepath.Join(dir, "x"))
	if !errors.Is(err, syscall.ENOENT) {
		t.Errorf("get of nothing: %v", err)
	}
}

func TestRun(t *testing.T) {
	vm := Shared(t, plain("6.1"))
	ctx := t.Context()
	r, err := vm.RunProc(ctx, Proc{Argv: []string{"sh", "-c", "cat; echo bad >&2; id -u; pwd; echo $X; exit 7"},
		UID: 1234, Dir: "/tmp", Env: []string{"X=y"}}, strings.NewReader("in\n"))
	if want := (Result{"in\n1234\n/tmp\ny\n", "bad\n", 7}); err != nil || r != want {
		t.Errorf("got %+v, %v; want %+v", r, err, want)
	}
	if r, err := vm.Run(ctx, "sh", "-c", "kill -9 $$"); err != nil || r.Exit != 128+9 {
		t.Errorf("killed by signal 9: %+v, %v", r, err)
	}
	if _, err := vm.Run(ctx, "no-such-program"); err == nil || !strings.Contains(err.Error(), "no-such-program") {
		t.Errorf("a program that does not exist: %v", err)
	}
	if got, err := vm.RunProc(ctx, Proc{Argv: []string{"sh", "-c", "ulimit -n; cut -d' ' -f19 /proc/self/stat"}, Nice: 5, Limits: map[string]uint64{"nofile": 77}}, nil); err != nil || got.Stdout != "77\n5\n" {
		t.Errorf("limits and nice: %+v, %v", got, err)
	}
	big, err := vm.Run(ctx, "sh", "-c", "seq 200000")
	if err != nil || strings.Count(big.Stdout, "\n") != 200000 || !strings.HasSuffix(big.Stdout, "\n200000\n") {
		t.Errorf("%d bytes of output, %v", len(big.Stdout), err)
	}
	// A daemon that keeps the streams open does not keep the request open.
	if r, err := vm.Run(ctx, "sh", "-c", "sleep 1000 & echo started"); err != nil || r.Stdout != "started\n" {
		t.Errorf("daemon: %+v, %v", r, err)
	}
}

func TestConcurrentRuns(t *testing.T) {
	vm := Shared(t, plain("6.1"))
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			word := strings.Repeat(fmt.Sprint(i, " "), 5000)
			r, err := vm.RunProc(t.Context(), Proc{Argv: []string{"cat"}}, strings.NewReader(word))
			if err != nil || r.Stdout != word {
				t.Errorf("run %d: %d bytes of %d, %v", i, len(r.Stdout), len(word), err)
			}
		})
	}
	wg.Wait()
}

func TestCancelKillsTheProcess(t *testing.T) {
	vm := Shared(t, plain("6.1"))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := vm.Run(ctx, "sh", "-c", "sleep 4321 & sleep 4321"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		out, err := vm.Run(t.Context(), "sh", "-c", "ps | grep [4]321 | wc -l")
		if err == nil && out.Stdout == "0\n" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("still there: %+v, %v", out, err)
		}
	}
}

func TestStartWaitKill(t *testing.T) {
	vm := Shared(t, plain("6.1"))
	ctx := t.Context()
	pid, err := vm.Start(ctx, Proc{Argv: []string{"sh", "-c", "echo begun; sleep 1000"}, Log: "/tmp/started.log", UID: 99})
	if err != nil {
		t.Fatal(err)
	}
	if err := vm.Kill(ctx, -pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if exit, err := vm.Wait(ctx, pid); err != nil || exit != 128+15 {
		t.Errorf("exit %d, %v", exit, err)
	}
	if _, err := vm.Wait(ctx, pid); err == nil {
		t.Error("a second wait finds it again")
	}
	if err := vm.Kill(ctx, 999999, syscall.SIGTERM); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("kill of nobody: %v", err)
	}
	if b, err := vm.ReadFile(ctx, "/tmp/started.log"); err != nil || string(b) != "begun\n" {
		t.Logf("log %q, %v", b, err) // it may have been killed before
	}
}

func TestInsmod(t *testing.T) {
	eachKernel(t, func(t *testing.T, vm *VM) {
		mods := moduleFiles(t, vm, "dummy")
		ctx := t.Context()
		if err := vm.Insmod(ctx, mods[len(mods)-1], "numdummies=3"); err != nil {
			t.Fatal(err)
		}
		names, err := vm.ReadDir(ctx, "/sys/class/net")
		if got := strings.Count(strings.Join(names, " "), "dummy"); err != nil || got != 3 {
			t.Errorf("%v, %v; want 3 dummies", names, err)
		}
		if err := vm.Rmmod(ctx, "dummy"); err != nil {
			t.Error(err)
		}
		if err := vm.Insmod(ctx, mods[len(mods)-1], "nonsense"); err != nil {
			t.Errorf("a parameter the module does not know is only logged: %v", err)
		}
		if err := vm.Rmmod(ctx, "dummy"); err != nil {
			t.Error(err)
		}
	})
}

// The modules of kmod, which "make kmod" builds against unpacked headers, fit
// the kernels that run.
func TestBuiltModuleFits(t *testing.T) {
	eachKernel(t, func(t *testing.T, vm *VM) {
		if err := vm.Insmod(t.Context(), Module(t, vm, "backdoor")); err != nil {
			t.Fatal(err)
		}
		if err := vm.Rmmod(t.Context(), "backdoor"); err != nil {
			t.Error(err)
		}
	})
}

func TestNetworkIsTheLabsOwn(t *testing.T) {
	vm := Shared(t, plain("6.1"))
	err := InNetns(vm.Config().Net, func() error {
		return withAddr("br0", "10.77.0.254/24", func() error { return pingOnce("10.77.0.1") })
	})
	if err != nil {
		t.Errorf("from the namespace: %v", err)
	}
	if out := must(t, vm, "ip", "route"); strings.Contains(out, "default") {
		t.Errorf("the guest has a default route: %s", out)
	}
}
