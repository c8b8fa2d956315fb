// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"lazystate/internal/syncbuf"
	"lazystate/repair/drill"
	"lazystate/tools/lab"
	"lazystate/tools/lab/armed"
)

// nsHost is a network namespace of the test's own: a monitor's machine, as far
// as the network is concerned.
type nsHost struct {
	ns netns.NsHandle
}

// newHost makes a namespace with a link "bd0" whose other end can be cut.
func newHost(t *testing.T) *nsHost {
	t.Helper()
	h := &nsHost{}
	err := onThread(func() error {
		var err error
		if h.ns, err = netns.New(); err != nil {
			return err
		}
		if err := upLink("lo"); err != nil {
			return err
		}
		veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "bd0"}, PeerName: "bd0far"}
		if err := netlink.LinkAdd(veth); err != nil {
			return err
		}
		if err := upLink("bd0"); err != nil {
			return err
		}
		return upLink("bd0far")
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.ns.Close() })
	return h
}

// onThread runs f on a thread that ends with it, and its namespace with that.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		done <- f()
	}()
	return <-done
}

func upLink(name string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(l)
}

// in runs f inside the namespace.
func (h *nsHost) in(f func() error) error {
	return onThread(func() error {
		if err := netns.Set(h.ns); err != nil {
			return err
		}
		return f()
	})
}

// cut takes the link's other end down, or brings it up.
func (h *nsHost) cut(t *testing.T, down bool) {
	t.Helper()
	err := h.in(func() error {
		l, err := netlink.LinkByName("bd0far")
		if err != nil {
			return err
		}
		if down {
			return netlink.LinkSetDown(l)
		}
		return netlink.LinkSetUp(l)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// join connects two namespaces by a link with an address at each end.
func join(t *testing.T, a, b *nsHost) {
	t.Helper()
	address := func(cidr string) error {
		addr, err := netlink.ParseAddr(cidr)
		if err != nil {
			return err
		}
		l, err := netlink.LinkByName("ctl")
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(l, addr); err != nil {
			return err
		}
		return netlink.LinkSetUp(l)
	}
	err := a.in(func() error {
		veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "ctl"}, PeerName: "ctl", PeerNamespace: netlink.NsFd(int(b.ns))}
		if err := netlink.LinkAdd(veth); err != nil {
			return err
		}
		return address("10.99.0.1/24")
	})
	if err == nil {
		err = b.in(func() error { return address("10.99.0.2/24") })
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestFleetHealsARealMachine: one virtual machine, two bdmon processes in
// network namespaces of their own. The first is killed -9 while it holds the
// machine frozen: the second heals. The second's link fails: the first, back
// again, heals. Never both, and both logs say so.
func TestFleetHealsARealMachine(t *testing.T) {
	lab.Need(t)
	rogue, err := drill.Build(t.Context(), filepath.Join(lab.CacheDir(), "rogue"))
	if err != nil {
		t.Fatal(err)
	}
	vm := lab.New(t, lab.Config{Kernel: "6.1", MemMiB: 384, Files: map[string]string{"/bin/rogue": rogue}})
	if err := vm.Insmod(t.Context(), lab.Module(t, vm, "backdoor"), "allow_repair=1", "limits=NPROCS:150"); err != nil {
		t.Fatal(err)
	}
	if err := armed.GiveKeys(t.Context(), vm, armed.Keys{1: crewKey, 2: crewKey}); err != nil {
		t.Fatal(err)
	}
	c := labCrew(t, vm)
	a, b := c.mates[0], c.mates[1]
	ca := c.run(a)
	c.whenOwns(a, ca)
	cb := c.run(b)
	b.eventually(t, "b knows the owner", func() bool { return owner(t, cb).Owner == "a" })

	c.release(vm)
	c.whenLogged(a, `"step":"kill"`)
	a.end(t, syscall.SIGKILL)
	killed := time.Now()
	second := c.whenOwns(b, cb)
	t.Logf("b owns the machine %v after a was killed; the lease is 2s", time.Since(killed).Round(time.Millisecond))
	c.whenHealed(vm, b)

	ca = c.run(a)
	a.eventually(t, "a knows the owner", func() bool { return owner(t, ca).Owner == "b" })
	c.release(vm)
	b.host.cut(t, true)
	cutAt := time.Now()
	third := c.whenOwns(a, ca)
	t.Logf("a owns the machine %v after b's link was cut", time.Since(cutAt).Round(time.Millisecond))
	c.whenHealed(vm, a)
	if second.Epoch >= third.Epoch {
		t.Errorf("epochs %d, %d", second.Epoch, third.Epoch)
	}
	if got := owner(t, cb); got.Owner != "a" || got.Path != "failed" {
		t.Errorf("b says %+v", got)
	}
	b.host.cut(t, false)
	b.eventually(t, "b's link is good again", func() bool { return owner(t, cb).Path == "good" })
	time.Sleep(3 * time.Second)
	if got := owner(t, cb); got.Owner != "a" || got.Epoch != third.Epoch {
		t.Errorf("the target did not stay: %+v", got)
	}
	a.end(t, syscall.SIGTERM)
	b.end(t, syscall.SIGTERM)
	c.changes()
	c.killsAreOwners()
	if t.Failed() {
		c.tellAll()
	}
}

// joinedCrew is two monitors, each on a host of its own, that hear each other.
func joinedCrew(t *testing.T) *crew {
	t.Helper()
	c := &crew{rig: &rig{stderr: &syncbuf.Buffer{}}, t: t}
	hosts := []*nsHost{newHost(t), newHost(t)}
	join(t, hosts[0], hosts[1])
	for i, name := range []string{"a", "b"} {
		c.mates = append(c.mates, newMate(t, name, 1+i, fmt.Sprintf("10.99.0.%d:9465", 1+i)))
		c.mates[i].host = hosts[i]
	}
	return c
}

func labCrew(t *testing.T, vm *lab.VM) *crew {
	t.Helper()
	c := joinedCrew(t)
	for _, m := range c.mates {
		m.write(t, "bdmon.yaml", fmt.Sprintf(`
socket: %[1]s/sock
metrics: "-"
audit: %[1]s/audit.jsonl
fleet: %[2]s
targets:
  - name: t1
    url: lab:%[3]s
    slot: %[4]d
    key_file: %[1]s/key
    period: 10ms
    probe: {interface: bd0}
    repair: {cool_down: 1s}
    healers: [{kind: proc, sensors: [NPROCS], policy: {POLICY_TOO_MANY_PROCS: 100}, confirm: 1s}]
`, m.dir, strings.Replace(c.static(m, ""), "lease: 1s", "lease: 2s", 1), vm.Name(), m.slot))
	}
	return c
}

// release starts a fork bomb in the guest.
func (c *crew) release(vm *lab.VM) {
	c.t.Helper()
	if _, err := vm.Start(c.t.Context(), lab.Proc{Argv: []string{"/bin/rogue", "bomb-cpu", "300"}, UID: drill.RogueUID}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *crew) whenLogged(m *mate, what string) {
	c.t.Helper()
	for end := time.Now().Add(2 * time.Minute); !strings.Contains(c.bytesOf(m, "audit.jsonl"), what); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			c.tellAll()
			c.t.Fatalf("%s never wrote %s", m.name, what)
		}
	}
}

// whenHealed waits until the guest itself counts no rogue any more, and the
// monitor says that it healed.
func (c *crew) whenHealed(vm *lab.VM, by *mate) {
	c.t.Helper()
	for end := time.Now().Add(3 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second)
		r, err := vm.Run(ctx, "sh", "-c", "ps -o user,comm | grep -c rogue || true")
		cancel()
		log := c.bytesOf(by, "audit.jsonl")
		if err == nil && strings.TrimSpace(r.Stdout) == "0" && strings.Contains(log, `"result":"healed"`) {
			return
		}
		if time.Now().After(end) {
			c.tellAll()
			c.t.Fatalf("never healed: %v, %+v", err, r)
		}
	}
}

// killsAreOwners: every decision to freeze or to kill lies in a term of its
// monitor's, and no two monitors' terms overlap.
func (c *crew) killsAreOwners() {
	c.t.Helper()
	for _, m := range c.mates {
		owns := false
		kills := 0
		for line := range strings.Lines(c.bytesOf(m, "audit.jsonl")) {
			var r struct{ Incident, Step string }
			if json.Unmarshal([]byte(line), &r) != nil {
				continue
			}
			switch {
			case r.Incident == "ownership":
				owns = r.Step == "own"
			case r.Step == "kill" || r.Step == "freeze":
				kills++
				if !owns {
					c.t.Errorf("%s acted without owning the target: %s", m.name, line)
				}
			}
		}
		if kills == 0 {
			c.t.Errorf("%s never acted", m.name)
		}
	}
}
