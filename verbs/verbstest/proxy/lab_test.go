// SPDX-License-Identifier: Apache-2.0

package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"lazystate/tools/lab"
	"lazystate/verbs/driver"
	"lazystate/verbs/roce"
	"lazystate/verbs/verbstest"
	"lazystate/verbs/verbstest/proxy"
)

func TestMain(m *testing.M) {
	os.Exit(verbstest.Check(func() int { return lab.Main(m, 2) }))
}

// patience bounds what would hang.
const patience = 2 * time.Minute

// hostAddr is this process's address in the guests' namespace.
const hostAddr = "10.78.0.1"

// guest is a machine with SoftRoCE; its tests' binary serves devices.
type guest struct {
	vm   *lab.VM
	proc lab.Proc
}

// boot boots a guest whose packets carry the largest RoCE MTU.
func boot(t *testing.T, kernel string, last int) *guest {
	t.Helper()
	vm := lab.New(t, lab.Config{
		Kernel: kernel, VCPUs: 1, MemMiB: 384, Net: "verbs",
		NICs: []lab.NIC{{Addr: fmt.Sprintf("10.78.0.%d/24", last), MTU: 4300, RXE: true}},
	})
	return &guest{vm, lab.PutTest(t, vm, lab.TestBuild{}, "./verbs/verbstest/proxy")}
}

// open opens the guest's device in a process of its own there; a former test may
// have cut its link.
func (g *guest) open(t *testing.T) driver.Device {
	t.Helper()
	g.link(t, true)
	p := g.proc
	p.Env = append(slices.Clone(p.Env), proxy.Environ("ibv://rxe0")...)
	in, toGuest := io.Pipe()
	fromGuest, out := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		exit, err := g.vm.Stream(context.Background(), p, in, out, os.Stderr)
		out.CloseWithError(fmt.Errorf("the process in the guest ended with %d: %w", exit, err))
	}()
	d, err := proxy.Dial(toGuest, fromGuest, proxy.MapFile(g.vm.RAMPath()), func() error {
		toGuest.Close()
		select {
		case <-ended:
			return nil
		case <-time.After(patience):
			return errors.New("the process in the guest does not end")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		p, err := d.Port(1)
		if err != nil {
			t.Fatal(err)
		}
		if p.State == driver.PortActive {
			return d
		}
		if time.Now().After(end) {
			t.Fatal("the port does not come up again")
		}
	}
}

func (g *guest) link(t *testing.T, up bool) {
	t.Helper()
	if _, err := g.vm.QMP(t.Context(), "set_link", map[string]any{"name": "n0", "up": up}); err != nil {
		t.Fatal(err)
	}
}

// cut takes the guest off the network.
func (g *guest) cut(t *testing.T, _ driver.Device) { g.link(t, false) }

// host opens our own endpoint in the guests' namespace.
func host(t *testing.T, g *guest) driver.Device {
	t.Helper()
	var d driver.Device
	err := lab.InNetns(g.vm.Config().Net, func() error {
		if err := address("br0", hostAddr+"/24"); err != nil {
			return err
		}
		var err error
		d, err = roce.Open(roce.Config{Local: netip.MustParseAddr(hostAddr), MTU: driver.MTU4096})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func address(link, addr string) error {
	l, err := netlink.LinkByName(link)
	if err != nil {
		return err
	}
	a, err := netlink.ParseAddr(addr)
	if err != nil {
		return err
	}
	return netlink.AddrReplace(l, a)
}

// leave takes our endpoint off the network: nobody has its address any more.
func (g *guest) leave(t *testing.T, _ driver.Device) {
	err := lab.InNetns(g.vm.Config().Net, func() error {
		l, err := netlink.LinkByName("br0")
		if err != nil {
			return err
		}
		a, err := netlink.ParseAddr(hostAddr + "/24")
		if err != nil {
			return err
		}
		return netlink.AddrDel(l, a)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// onEach tries each direction on one kernel; make soak has all of the suite on all.
func onEach(t *testing.T, short string, f func(t *testing.T, kernel string)) {
	for _, k := range []string{"6.1", "6.12"} {
		t.Run(k, func(t *testing.T) {
			if k != short && !lab.Soak() {
				t.Skip("make soak runs it")
			}
			f(t, k)
		})
	}
}

// Ours asks, the kernel's answers.
func TestRoCEToRXE(t *testing.T) {
	onEach(t, "6.1", func(t *testing.T, kernel string) {
		g := boot(t, kernel, 2)
		verbstest.Run(t, verbstest.Pair{
			Open: func(t *testing.T) (a, b driver.Device) {
				b = g.open(t)
				return host(t, g), b
			},
			Vanish: g.cut, Slow: true, Sample: lab.Sample(), WideWindows: true, SilentRefusals: true, Otherwise: verbstest.RXEAnswers,
		})
	})
}

// The kernel's asks, ours answers.
func TestRXEToRoCE(t *testing.T) {
	onEach(t, "6.12", func(t *testing.T, kernel string) {
		g := boot(t, kernel, 2)
		verbstest.Run(t, verbstest.Pair{
			Open:   func(t *testing.T) (a, b driver.Device) { return g.open(t), host(t, g) },
			Vanish: g.leave, Slow: true, Sample: lab.Sample(), Otherwise: verbstest.RXEAsks,
		})
	})
}

// Two kernels that talk to each other.
func TestRXEToRXE(t *testing.T) {
	if !lab.Soak() {
		t.Skip("make soak runs it; package ibv's tests have each kernel talk to itself")
	}
	g, h := boot(t, "6.1", 2), boot(t, "6.12", 3)
	otherwise := maps.Clone(verbstest.RXEAsks)
	maps.Copy(otherwise, verbstest.RXEAnswers)
	verbstest.Run(t, verbstest.Pair{
		Open:   func(t *testing.T) (a, b driver.Device) { return g.open(t), h.open(t) },
		Vanish: h.cut, Slow: true, Sample: lab.Sample(), WideWindows: true, SilentRefusals: true, Otherwise: otherwise,
	})
}
