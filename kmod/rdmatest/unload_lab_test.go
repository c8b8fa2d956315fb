// SPDX-License-Identifier: Apache-2.0

package rdmatest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"lazystate/backdoor/uapi"
	"lazystate/tools/lab"
	"lazystate/tools/lab/leak"
)

// TestUnloadWithConnections: the module goes while monitors are connected; what
// they had is worth nothing, and after a reload they are let in again.
func TestUnloadWithConnections(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		k := load(t, kernel, "allow_repair=1")
		a, b := k.dial(t, hello{}), k.dial(t, hello{monitor: 1})
		joined := k.dial(t, hello{join: a.grant.Grant})
		if err := k.vm.Rmmod(t.Context(), "backdoor_rdma"); err != nil {
			t.Fatal(err)
		}
		a.gone(t)
		b.gone(t)
		joined.gone(t)
		if _, err := k.tryDial(t, hello{}); err == nil {
			t.Error("somebody answers")
		}
		if err := k.vm.Insmod(t.Context(), lab.Module(t, k.vm, "backdoor_rdma")); err != nil {
			t.Fatal(err)
		}
		c := k.dial(t, hello{}) // backdoor.ko stayed, and with it boot id, keys, counters
		c.stands(t)
		k.refused(t, hello{counter: k.counter}, uapi.DenyCounter)
		c.close(t)
		k.healthy(t)
	})
}

// TestDeviceGoes: the RDMA device is taken away under its connections and comes
// back; monitors dial again. What the module set for it goes and comes too.
func TestDeviceGoes(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		k := load(t, kernel)
		a, b := k.dial(t, hello{}), k.dial(t, hello{monitor: 1})
		if p := k.softirqPolicy(t); p != "1" {
			t.Errorf("ksoftirqd/0 has policy %s beside a device in software", p)
		}
		run(t, k.vm, rdmaTool, "link", "delete", "rxe0")
		if p := k.softirqPolicy(t); p != "0" {
			t.Errorf("ksoftirqd/0 has policy %s without one", p)
		}
		k.grants(t, 0)
		a.gone(t)
		b.gone(t)
		run(t, k.vm, rdmaTool, "link", "add", "rxe0", "type", "rxe", "netdev", "eth0")
		c := k.dial(t, hello{})
		c.stands(t)
		if p := k.softirqPolicy(t); p != "1" {
			t.Errorf("ksoftirqd/0 has policy %s beside its successor", p)
		}
		c.close(t)
		k.healthy(t)
	})
}

// softirqPolicy is field 41 of ksoftirqd/0's stat: 0 fair, 1 FIFO.
func (k *loaded) softirqPolicy(t *testing.T) string {
	t.Helper()
	all, err := k.vm.PS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p.Comm == "ksoftirqd/0" {
			stat := k.file(t, fmt.Sprintf("/proc/%d/stat", p.PID))
			f := strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
			return f[38]
		}
	}
	t.Fatal("no ksoftirqd/0")
	return ""
}

// TestSoftirqsGoBack: at unload, and not at all where the operator wants it so.
func TestSoftirqsGoBack(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		k := load(t, kernel, "rdma.softirq_fifo=0")
		if p := k.softirqPolicy(t); p != "0" {
			t.Errorf("policy %s with softirq_fifo=0", p)
		}
		for _, want := range []string{"1", "0"} {
			var err error
			if want == "1" {
				run(t, k.vm, "rmmod", "backdoor_rdma")
				err = k.vm.Insmod(t.Context(), lab.Module(t, k.vm, "backdoor_rdma"))
			} else {
				err = k.vm.Rmmod(t.Context(), "backdoor_rdma")
			}
			if err != nil {
				t.Fatal(err)
			}
			if p := k.softirqPolicy(t); p != want {
				t.Errorf("policy %s, want %s", p, want)
			}
		}
		if err := k.vm.Insmod(t.Context(), lab.Module(t, k.vm, "backdoor_rdma")); err != nil {
			t.Fatal(err) // for the cleanup
		}
	})
}

// TestReboot: the target boots anew. What was said to it before, and recorded,
// counts for nothing; who asks again is let in. It is the hello that keeps this, the
// same on both kernels.
func TestReboot(t *testing.T) {
	onOne(t, "6.1", func(t *testing.T, kernel string) {
		k := load(t, kernel)
		c := k.dial(t, hello{})
		old := k.boot
		recorded := k.text(hello{})
		if err := k.vm.Reset(t.Context()); err != nil {
			t.Fatal(err)
		}
		addRxe(t, k.vm, addrs[kernel][1])
		k.insmod(t)
		if k.boot == old {
			t.Fatal("the same boot id")
		}
		if _, err := c.tryRead(t, c.grant.RootAddr, c.grant.RootKey, 8); err == nil {
			t.Error("a connection to the former boot can be read with")
		}
		c.close(t)
		if _, err := k.peer.dialRaw(t, k.addr, recorded); err == nil || !strings.Contains(err.Error(), "boot") {
			t.Errorf("a recorded hello: %v", err)
		}
		d := k.refused(t, hello{boot: &old}, uapi.DenyBootID)
		again := k.dial(t, hello{boot: &d.BootID})
		again.stands(t)
		again.close(t)
	})
}

// TestCycles: many connections, and as many loads under a connection, and the
// kernel has back what it had before (DECISIONS 8). Machines of their own, at the
// same time. In make test 6.12 alone: kmodtest's cycles are 6.1's.
func TestCycles(t *testing.T) {
	onOne(t, "6.12", func(t *testing.T, kernel string) {
		t.Parallel()
		// A monitor remembers for half a minute which machine had an address: one
		// that comes after another with it is asked nothing, and the dial times out.
		own := map[string][2]string{"6.1": {"10.77.0.3", "fd77::3"}, "6.12": {"10.77.0.4", "fd77::4"}}[kernel]
		k := &loaded{addr: own[0], counter: firstCounter}
		k.vm = lab.New(t, lab.Config{
			Kernel: kernel, VCPUs: 1, Append: leak.Append, Net: network(), NICs: []lab.NIC{{Addr: k.addr + "/24"}},
			Files: map[string]string{rdmaTool: rdmaTool}, Modules: []string{"rdma_rxe", "rdma_cm"},
		})
		addRxe(t, k.vm, own[1])
		k.insmod(t, "allow_repair=1")
		k.peer = newPeer(t, watcher(t))
		for _, c := range []struct {
			name string
			one  func(*testing.T)
		}{{"connect", k.connectOnce}, {"load", k.loadOnce}} {
			t.Run(c.name, func(t *testing.T) {
				leak.Check(t, k.vm, lab.Count(40, 300), func(times int) {
					t.Helper()
					for range times {
						c.one(t)
					}
					// vmalloc's area is flushed when a module is loaded
					if err := errors.Join(k.vm.Insmod(t.Context(), lab.Module(t, k.vm, "bd_inject"), "i_am_a_lab=1"), k.vm.Rmmod(t.Context(), "bd_inject")); err != nil {
						t.Fatal(err)
					}
				})
			})
		}
		k.healthy(t)
	})
}

func (k *loaded) connectOnce(t *testing.T) {
	t.Helper()
	c := k.dial(t, hello{})
	c.stands(t)
	c.close(t)
}

func (k *loaded) loadOnce(t *testing.T) {
	t.Helper()
	c := k.dial(t, hello{flags: uapi.HelloTakeover})
	if err := k.vm.Rmmod(t.Context(), "backdoor_rdma"); err != nil {
		t.Fatal(err)
	}
	c.close(t)
	if err := k.vm.Insmod(t.Context(), lab.Module(t, k.vm, "backdoor_rdma")); err != nil {
		t.Fatal(err)
	}
}
