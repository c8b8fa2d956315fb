// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/mtcp/cbox"
	"lazystate/tools/lab"
	"lazystate/tools/lab/armed"
)

// The test's own binary is the server in the machine.
const roleEnv = "SALVAGE_ROLE"

func TestMain(m *testing.M) {
	role := os.Getenv(roleEnv)
	if role == "" {
		os.Exit(lab.Main(m, 1))
	}
	one := map[string]func(*cbox.Conn) error{"add": addUp, "bulk": bulk}[role]
	if err := serveInGuest(one); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serveInGuest serves whoever comes. There is no keeper: what outlives this
// machine is the memory of its module.
func serveInGuest(one func(*cbox.Conn) error) error {
	l, err := cbox.Listen(context.Background(), "tcp", fmt.Sprintf(":%d", port), cbox.Config{Name: adding.name})
	if err != nil {
		return err
	}
	fmt.Println("serving")
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		conn, ok := c.(*cbox.Conn)
		if !ok {
			return fmt.Errorf("%T has no box", c)
		}
		go func() {
			if err := one(conn); err != nil {
				fmt.Println(err)
			}
		}()
	}
}

const (
	guestDir = "/run/salvage"
	guestLog = guestDir + "/log"
)

// victim is a machine of the lab in s1's place.
type victim struct {
	*world
	vm     *lab.VM
	target *backdoor.Target
}

// newVictim boots it and has it serve.
func newVictim(t *testing.T, kernel, role string) *victim {
	t.Helper()
	vm := lab.New(t, lab.Config{Kernel: kernel, MemMiB: 512, NICs: []lab.NIC{{Addr: "10.9.0.1/24"}}})
	v := &victim{world: newWorld(t, "ipv4", adding), vm: vm}
	v.s1.Unaddr(v.service.String()) // it is the machine's
	v.cable()
	v.arm()
	_, err := vm.Must(t.Context(), "ip", "addr", "add", v.service.String(), "dev", "eth0")
	v.must(err)
	prog := lab.PutTest(t, vm, lab.TestBuild{}, "./mtcp/salvage")
	_, err = vm.Start(t.Context(), lab.Proc{
		Argv: []string{"/bin/sh", "-c", `mkdir -p ` + guestDir + `; exec "$0" >` + guestLog + ` 2>&1`, prog.Argv[0]},
		Dir:  prog.Dir, Env: append([]string{roleEnv + "=" + role}, prog.Env...),
	})
	v.must(err)
	for end := time.Now().Add(hang); !strings.Contains(v.log(), "serving"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the machine does not serve: %s", v.log())
		}
	}
	return v
}

func (v *victim) log() string {
	b, err := v.vm.ReadFile(v.t.Context(), guestLog)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// cable joins the machine's network to the rig's.
func (v *victim) cable() {
	v.t.Helper()
	ns, err := netns.GetFromPath(lab.NetnsPath(v.vm.Config().Net))
	v.must(err)
	defer ns.Close()
	join := func(name string) error {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		br, err := netlink.LinkByName("br0")
		if err != nil {
			return err
		}
		return errors.Join(netlink.LinkSetMaster(l, br), netlink.LinkSetUp(l))
	}
	v.rig.Wire.Do(func() error {
		veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "lab"}, PeerName: "rig", PeerNamespace: netlink.NsFd(ns)}
		return errors.Join(netlink.LinkAdd(veth), join("lab"))
	})
	v.must(lab.InNetns(v.vm.Config().Net, func() error { return join("rig") }))
}

// arm loads the module and opens the target.
func (v *victim) arm() {
	v.t.Helper()
	ctx := v.t.Context()
	v.must(v.vm.Put(ctx, lab.Module(v.t, v.vm, "backdoor"), "/backdoor.ko"))
	_, err := v.vm.Must(ctx, "insmod", "/backdoor.ko", "allow_fence=1", "boxes_mib=16")
	v.must(err)
	v.must(armed.GiveKeys(ctx, v.vm, armed.Keys{slot: key}))
	mem, target, err := armed.Open(ctx, v.vm, true)
	v.must(err)
	v.t.Cleanup(func() { mem.Close() })
	v.target, v.cfg.Target = target, target
	v.fence.Timeout = time.Second
}

// A server's kernel panics while its clients ask and wait, and their sessions go
// on at this host, out of its memory: on both kernels, in the middle of what they
// were at.
func TestPanic(t *testing.T) {
	for _, kernel := range []string{"6.1", "6.12"} {
		t.Run(kernel, func(t *testing.T) {
			v := newVictim(t, kernel, "add")
			var clients []*adder
			for i := range 8 {
				a := v.dial()
				a.ask(20 * i)
				a.hear(20 * i)
				clients = append(clients, a)
			}
			for i, a := range clients {
				a.ask(100 * i) // are on their way when it happens
			}
			v.panics()
			for i, a := range clients {
				a.ask(i % 3) // into nothing
			}
			var r *Report
			v.s2.Do(func() (err error) { r, err = Run(t.Context(), v.cfg); return err })
			for _, s := range r.Sessions {
				t.Logf("%s: half-updated %v, asked %v, %v %v", s.Remote, s.Held, s.Asked, s.Err, s.Notes)
			}
			t.Logf("%v, %d batches, %d bytes", r.Steps, r.Batches, r.Bytes)
			if r.Saved() != len(clients) {
				t.Fatalf("%d of %d sessions live", r.Saved(), len(clients))
			}
			for _, a := range clients {
				a.rest()
				a.ask(50)
				a.rest()
			}
		})
	}
}

// panics has the machine crash and waits for its stamp.
func (v *victim) panics() {
	v.t.Helper()
	_, err := v.vm.Start(v.t.Context(), lab.Proc{Argv: []string{"/bin/sh", "-c", "echo c >/proc/sysrq-trigger"}})
	v.must(err)
	region, err := v.target.Region(uapi.KindPanic)
	v.must(err)
	stamp := make([]byte, uapi.PanicSize)
	for end := time.Now().Add(hang); ; time.Sleep(time.Millisecond) {
		v.must(v.target.Do(v.t.Context(), region.Read(0, stamp)))
		if backdoor.DecodePanic(stamp) != nil {
			return
		}
		if time.Now().After(end) {
			v.t.Fatal("the machine does not panic")
		}
	}
}
