// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"lazystate/backdoor"
	"lazystate/tools/control"
	"lazystate/tools/lab"
	"lazystate/tools/lab/armed"
	cable "lazystate/tools/lab/link"
	"lazystate/tools/target"
)

// wireLease is how long the module keeps a silent monitor's connections, in seconds.
const wireLease = 5

// TestFleetOverRDMA: one virtual machine with a SoftRoCE device on each of two
// networks, and a bdmon process in a namespace of its own at each. The network of
// the one that owns the machine is cut, behind its own interface: the other takes
// over and kills; the first, back again, cannot (§3.4.2).
func TestFleetOverRDMA(t *testing.T) {
	lab.Need(t)
	t.Parallel()
	w := newWiredCrew(t)
	a, b := w.mates[0], w.mates[1]
	ca := w.run(a)
	first := w.whenOwns(a, ca)
	cb := w.run(b)
	b.eventually(t, "b knows the owner", func() bool { return owner(t, cb).Owner == "a" })
	w.kills(ca)
	w.refused(cb)

	w.cable.Set(cable.Faults{Cut: true})
	cut := time.Now()
	second := w.whenOwns(b, cb)
	t.Logf("b owns the machine %v after the cable of a was cut; the lease is 6s", time.Since(cut).Round(time.Millisecond))
	if second.Epoch <= first.Epoch {
		t.Errorf("epochs %d, %d", first.Epoch, second.Epoch)
	}
	w.kills(cb)
	w.refused(ca)
	w.awaitGrants(func(text string) bool {
		return !strings.Contains(text, "monitor 1 ") && strings.Contains(text, "monitor 2 ")
	})
	t.Logf("a has no keys any more %v after the cable was cut; the module's lease is %ds", time.Since(cut).Round(time.Millisecond), wireLease)

	w.cable.Set(cable.Faults{})
	a.eventually(t, "a's path is good again", func() bool { return owner(t, ca).Path == "good" })
	if got := owner(t, ca); got.Owner != "b" || got.Epoch != second.Epoch {
		t.Errorf("the machine did not stay: %+v", got)
	}
	w.refused(ca)
	w.kills(cb)
	a.end(t, syscall.SIGTERM)
	w.stale(first.Epoch)
	b.end(t, syscall.SIGTERM)
	w.changes()
	if t.Failed() {
		w.tellAll()
	}
}

// wiredCrew is two monitors that reach a machine by a network each.
type wiredCrew struct {
	*crew
	vm    *lab.VM
	cable *cable.Link // of the first
}

// A network is the machine's address there, the monitor's, and the bridge that
// the monitor is at.
var networks = []struct{ machine, monitor, bridge string }{
	{"10.77.0.1", "10.77.0.254", "br1"}, // beyond a cable from br0, where the machine is
	{"10.78.0.1", "10.78.0.254", "br2"},
}

func newWiredCrew(t *testing.T) *wiredCrew {
	t.Helper()
	w := &wiredCrew{crew: joinedCrew(t)}
	w.vm = lab.New(t, lab.Config{
		Kernel: "6.1", MemMiB: 384, Modules: []string{"rdma_rxe", "rdma_cm"},
		NICs: []lab.NIC{{Addr: networks[0].machine + "/24", RXE: true}, {Addr: networks[1].machine + "/24", RXE: true, Bridge: networks[1].bridge}},
	})
	net := w.vm.Config().Net
	var err error
	if w.cable, err = cable.Open(cable.Options{Net: net, Near: networks[0].bridge, Far: "br0", Seed: 1}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.cable.Close() })
	w.arm()
	for i, m := range w.mates {
		m.host.plug(t, net, networks[i].bridge, networks[i].monitor+"/24")
		m.write(t, "bdmon.yaml", fmt.Sprintf(`
socket: %[1]s/sock
metrics: "-"
audit: %[1]s/audit.jsonl
fleet: %[2]s
targets:
  - {name: t1, url: "%[3]s", slot: %[4]d, key_file: %[1]s/key, period: 50ms}
`, m.dir, strings.Replace(w.static(m, ""), "lease: 1s", "lease: 6s", 1), w.url(i), m.slot))
	}
	return w
}

func (w *wiredCrew) url(i int) string {
	return fmt.Sprintf("rdma://%s:7777?provider=roce&device=%s", networks[i].machine, networks[i].monitor)
}

// arm loads the modules, and gives both monitors a key.
func (w *wiredCrew) arm() {
	w.t.Helper()
	ctx := w.t.Context()
	err := w.vm.Insmod(ctx, lab.Module(w.t, w.vm, "backdoor"), "allow_repair=1")
	if err == nil {
		err = armed.GiveKeys(ctx, w.vm, armed.Keys{1: crewKey, 2: crewKey})
	}
	if err == nil {
		err = w.vm.Insmod(ctx, lab.Module(w.t, w.vm, "backdoor_rdma"), fmt.Sprintf("lease=%d", wireLease))
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// plug gives the host an interface on a bridge of a machine's network.
func (h *nsHost) plug(t *testing.T, net, bridge, prefix string) {
	t.Helper()
	name := "far-" + bridge
	err := lab.InNetns(net, func() error {
		br, err := netlink.LinkByName(bridge)
		if err != nil {
			return err
		}
		veth := &netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: name, MasterIndex: br.Attrs().Index}, PeerName: "wire", PeerNamespace: netlink.NsFd(int(h.ns)),
		}
		if err := netlink.LinkAdd(veth); err != nil {
			return err
		}
		return upLink(name)
	})
	if err == nil {
		err = h.in(func() error {
			l, err := netlink.LinkByName("wire")
			if err != nil {
				return err
			}
			addr, err := netlink.ParseAddr(prefix)
			if err != nil {
				return err
			}
			return errors.Join(netlink.AddrAdd(l, addr), netlink.LinkSetUp(l))
		})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// victim is a process in the machine.
func (w *wiredCrew) victim() int {
	w.t.Helper()
	pid, err := w.vm.Start(w.t.Context(), lab.Proc{Argv: []string{"sleep", "1000"}, UID: 1234})
	if err != nil {
		w.t.Fatal(err)
	}
	return pid
}

// kills: this monitor may, and the process is gone.
func (w *wiredCrew) kills(c *control.Client) {
	w.t.Helper()
	pid := w.victim()
	if err := c.Call(control.Request{Cmd: "kill", Target: "t1", PID: uint32(pid)}, nil); err != nil {
		w.tellAll()
		w.t.Fatalf("the owner kills: %v", err)
	}
	if exit, err := w.vm.Wait(w.t.Context(), pid); err != nil || exit != 128+9 {
		w.t.Errorf("the victim's exit is %d, %v", exit, err)
	}
}

// refused: this monitor may not.
func (w *wiredCrew) refused(c *control.Client) {
	w.t.Helper()
	pid := w.victim()
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		err = c.Call(control.Request{Cmd: "kill", Target: "t1", PID: uint32(pid)}, nil)
		if err == nil || !strings.Contains(err.Error(), "not watched now") { // on a busy host it begins late, or anew
			break
		}
	}
	if err == nil || !strings.Contains(err.Error(), "does not own") {
		w.t.Errorf("who does not own the machine kills: %v", err)
	}
	if err := w.vm.Kill(w.t.Context(), pid, syscall.SIGKILL); err != nil {
		w.t.Errorf("the victim is gone: %v", err)
	}
}

func (w *wiredCrew) awaitGrants(ok func(string) bool) {
	w.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		text, err := w.vm.ReadFile(w.t.Context(), "/sys/kernel/backdoor_rdma/grants")
		if err == nil && ok(string(text)) {
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("grants: %s, %v", text, err)
		}
	}
}

// stale: what monitor a would still like to do, by a program that believes nobody:
// the machine itself refuses the epoch it had, and its records.
func (w *wiredCrew) stale(epoch uint64) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	a := w.mates[0]
	var mem backdoor.Memory
	err := a.host.in(func() (err error) {
		mem, err = target.Open(ctx, w.url(0), target.Options{Slot: uint32(a.slot), Key: crewKey, Writable: true, Takeover: true})
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	defer mem.Close()
	t, err := backdoor.Open(ctx, mem)
	if err != nil {
		w.t.Fatal(err)
	}
	hooks, err := t.Hooks(uint32(a.slot), crewKey)
	if err != nil {
		w.t.Fatal(err)
	}
	pid := w.victim()
	start, err := startOf(ctx, t, uint32(pid))
	if err != nil {
		w.t.Fatal(err)
	}
	got, err := hooks.PostKills(ctx, []backdoor.Kill{{PID: uint32(pid), StartTime: start, Signal: 9}})
	if err == nil && (len(got) != 1 || got[0].Err() == nil) {
		w.t.Errorf("a kill of who is not the owner: %+v", got)
	}
	if err := w.vm.Kill(ctx, pid, syscall.SIGKILL); err != nil {
		w.t.Errorf("the victim is gone: %v", err)
	}
	place := mem.(backdoor.WritersPlace)
	err = place.Own(ctx, backdoor.Owner{Epoch: epoch, Monitor: uint32(a.slot)}, time.Second)
	var owned *backdoor.OwnedError
	var past *backdoor.StaleOwnerError
	if !errors.As(err, &owned) && !errors.As(err, &past) {
		w.t.Errorf("epoch %d, which is over: %v", epoch, err)
	}
}
