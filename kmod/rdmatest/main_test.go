// SPDX-License-Identifier: Apache-2.0

package rdmatest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lazystate/backdoor/uapi"
	"lazystate/repair/drill"
	"lazystate/tools/lab"
	"lazystate/tools/lab/armed"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m, 3)) }

var kernels = []string{"6.1", "6.12"}

// addrs are the targets' on the monitor's network, IPv4 and IPv6.
var addrs = map[string][2]string{"6.1": {"10.77.0.1", "fd77::1"}, "6.12": {"10.77.0.2", "fd77::2"}}

// onEach runs a test on each kernel, one after the other: the machines share
// the monitor's.
func onEach(t *testing.T, f func(t *testing.T, kernel string)) {
	for _, k := range kernels {
		t.Run(k, func(t *testing.T) { f(t, k) })
	}
}

// onOne is onEach in make soak. In make test a test whose subject is the same code
// on both kernels runs on one of them.
func onOne(t *testing.T, kernel string, f func(t *testing.T, kernel string)) {
	if lab.Soak() {
		onEach(t, f)
		return
	}
	t.Run(kernel, func(t *testing.T) { f(t, kernel) })
}

func network() string { return fmt.Sprintf("rdmatest-%d", os.Getpid()) }

const (
	rdmaTool = "/usr/bin/rdma"
	rogue    = "/bin/rogue" // what eats memory
)

// machine is a target, with rxe on its interface and no module of ours.
func machine(t *testing.T, kernel string) *lab.VM {
	t.Helper()
	hog, err := drill.Build(t.Context(), filepath.Join(lab.CacheDir(), "rogue"))
	if err != nil {
		t.Fatal(err)
	}
	vm := lab.Shared(t, lab.Config{
		Kernel: kernel, SwapMiB: 256, Net: network(), NICs: []lab.NIC{{Addr: addrs[kernel][0] + "/24"}},
		Files: map[string]string{rdmaTool: rdmaTool, rogue: hog}, Modules: []string{"rdma_rxe", "rdma_cm"},
	})
	addRxe(t, vm, addrs[kernel][1])
	return vm
}

var watching sync.Mutex // tests of two machines may need the monitors' at once

// watcher is the machine of the monitors.
func watcher(t *testing.T) *lab.VM {
	t.Helper()
	watching.Lock()
	defer watching.Unlock()
	vm := lab.Shared(t, lab.Config{
		Kernel: "6.1", VCPUs: 1, MemMiB: 256, Net: network(), NICs: []lab.NIC{{Addr: "10.77.0.9/24"}},
		Files:    map[string]string{rdmaTool: rdmaTool, "/usr/bin/peer": peerProgram(t)},
		Packages: []string{"ibverbs-providers"}, Modules: []string{"rdma_rxe", "rdma_ucm"},
	})
	addRxe(t, vm, "fd77::9")
	return vm
}

// addRxe makes rxe0 unless an earlier test did.
func addRxe(t *testing.T, vm *lab.VM, ipv6 string) {
	t.Helper()
	if out := run(t, vm, rdmaTool, "link"); strings.Contains(out, "rxe0") {
		return
	}
	if err := vm.Sysctl(t.Context(), "net.ipv6.conf.eth0.accept_dad", "0"); err != nil {
		t.Fatal(err)
	}
	run(t, vm, "ip", "-6", "addr", "add", ipv6+"/64", "dev", "eth0")
	run(t, vm, rdmaTool, "link", "add", "rxe0", "type", "rxe", "netdev", "eth0")
}

func run(t *testing.T, vm *lab.VM, argv ...string) string {
	t.Helper()
	out, err := vm.Must(t.Context(), argv...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// peerProgram compiles kmod/test/peer.c once: a shared machine is known by its
// configuration, and this is a part of it.
func peerProgram(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(os.TempDir(), fmt.Sprintf("peer-%d", os.Getpid()))
	if _, err := os.Stat(bin); err == nil {
		return bin
	}
	out, err := exec.Command("gcc", "-Wall", "-Wextra", "-Werror", "-O2", "-o", bin, "../test/peer.c", "-lrdmacm", "-libverbs").CombinedOutput()
	if err != nil {
		t.Fatalf("compile peer.c: %v\n%s", err, out)
	}
	return bin
}

// loaded is a target with both modules, and the monitor's peer program.
type loaded struct {
	vm      *lab.VM
	addr    string
	boot    [16]byte
	peer    *peer
	counter uint64 // of the last hello; they rise
}

// keys of slots 0 to 2; slot 3 has none.
var keys = armed.Keys{0: {1, 2, 3}, 1: {4, 5, 6}, 2: {7, 8, 9}}

// load inserts both modules for one test. Parameters that begin with "rdma."
// are backdoor_rdma.ko's.
func load(t *testing.T, kernel string, params ...string) *loaded {
	t.Helper()
	k := &loaded{vm: machine(t, kernel), addr: addrs[kernel][0], counter: firstCounter}
	k.insmod(t, params...)
	t.Cleanup(func() {
		if err := k.vm.Rmmod(context.Background(), "backdoor_rdma", "backdoor"); err != nil {
			t.Error(err)
		}
	})
	k.peer = newPeer(t, watcher(t))
	return k
}

// lone counts the machines of alone.
var lone atomic.Int32

// alone is a target of its own, for tests that run when those that share machines
// are through, with both modules. A monitor remembers for half a minute which
// machine had an address, so each has its own.
func alone(t *testing.T, kernel, cmdline string) *loaded {
	t.Helper()
	host := 100 + lone.Add(1)
	k := &loaded{addr: fmt.Sprintf("10.77.0.%d", host), counter: firstCounter}
	k.vm = lab.New(t, lab.Config{
		Kernel: kernel, Append: cmdline, Net: network(), NICs: []lab.NIC{{Addr: k.addr + "/24"}},
		Files: map[string]string{rdmaTool: rdmaTool}, Modules: []string{"rdma_rxe", "rdma_cm"},
	})
	addRxe(t, k.vm, fmt.Sprintf("fd77::%x", host))
	k.insmod(t, "allow_repair=1")
	k.peer = newPeer(t, watcher(t))
	return k
}

// step is a part of a test that closes what it opens: the parts share one load.
type step struct {
	name string
	run  func(*loaded, *testing.T)
}

func (k *loaded) each(t *testing.T, steps []step) {
	for _, s := range steps {
		t.Run(s.name, func(t *testing.T) { s.run(k, t) })
	}
}

func (k *loaded) insmod(t *testing.T, params ...string) {
	t.Helper()
	own, rdma := split(params)
	if err := k.vm.Insmod(t.Context(), lab.Module(t, k.vm, "backdoor"), own...); err != nil {
		t.Fatal(err)
	}
	if err := armed.GiveKeys(t.Context(), k.vm, keys); err != nil {
		t.Fatal(err)
	}
	if err := k.vm.Insmod(t.Context(), lab.Module(t, k.vm, "backdoor_rdma"), rdma...); err != nil {
		t.Fatal(err)
	}
	k.boot = k.bootID(t)
}

func split(params []string) (own, rdma []string) {
	for _, p := range params {
		if name, ok := strings.CutPrefix(p, "rdma."); ok {
			rdma = append(rdma, name)
		} else {
			own = append(own, p)
		}
	}
	return own, rdma
}

func (k *loaded) bootID(t *testing.T) (id [16]byte) {
	t.Helper()
	text := k.file(t, "/sys/kernel/backdoor/boot_id")
	for i := range id {
		fmt.Sscanf(text[2*i:], "%02x", &id[i])
	}
	return id
}

func (k *loaded) file(t *testing.T, path string) string {
	t.Helper()
	b, err := k.vm.ReadFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// denied is how often the module says that it refused somebody for a reason.
func (k *loaded) denied(t *testing.T, reason uint32) (n int) {
	t.Helper()
	for line := range strings.Lines(k.file(t, "/sys/kernel/backdoor_rdma/denials")) {
		var r uint32
		var count int
		if fmt.Sscan(line, &r, &count); r == reason {
			return count
		}
	}
	t.Fatalf("the module does not count %s", uapi.DenialReasonName(reason))
	return 0
}

// grants are the lines of sysfs, until there are as many as wanted.
func (k *loaded) grants(t *testing.T, want int) []string {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		lines := strings.FieldsFunc(k.file(t, "/sys/kernel/backdoor_rdma/grants"), func(r rune) bool { return r == '\n' })
		if len(lines) == want {
			return lines
		}
		if time.Now().After(end) {
			t.Fatalf("a minute and not %d grants: %q", want, lines)
		}
	}
}
