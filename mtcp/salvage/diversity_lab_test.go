// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/mtcp/cbox"
	"lazystate/mtcp/keeper"
	"lazystate/mtcp/steer"
	"lazystate/mtcp/takeover"
	"lazystate/mtcp/tcprepair"
	"lazystate/tools/lab"
	"lazystate/tools/target"
	"lazystate/verbs"
)

const (
	recoveryAddr = "10.9.0.4"
	carriedWord  = "carried out"
)

// recoverInGuest is a recovery node in a machine: it has the dead one's sessions go
// on, whose memory somebody offers on the network, and serves them to its own end.
func recoverInGuest(trial time.Duration, one func(*keeper.Keeper, *cbox.Conn) error) error {
	keep := keeper.New(keeper.Config{Log: slog.New(slog.DiscardHandler)})
	const socket = guestDir + "/keeper"
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: socket, Net: "unixpacket"})
	if err != nil {
		return err
	}
	go keep.Serve(l)
	c, err := keeper.Dial(socket, adding.name)
	if err != nil {
		return err
	}
	server, err := c.Listen(context.Background(), "tcp", fmt.Sprintf(":%d", port), cbox.Config{})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- acceptAll(server, func(c *cbox.Conn) error { return one(keep, c) }) }()
	r, err := carryOut(keep, trial)
	if err != nil {
		return err
	}
	for i := range r.Sessions {
		fmt.Println(r.Sessions[i].Remote, r.Sessions[i].Err, r.Sessions[i].Notes)
	}
	fmt.Println(carriedWord, r.Saved())
	return <-ended
}

// carryOut is what scd does with a machine that somebody has fenced.
func carryOut(keep *keeper.Keeper, trial time.Duration) (*Report, error) {
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	url := fmt.Sprintf("rdma://%s:%d?provider=roce&device=%s", monitorAddr, uapi.RDMAPort, recoveryAddr)
	mem, err := target.Open(ctx, url, target.Options{Slot: slot, Key: key})
	if err != nil {
		return nil, err
	}
	t, err := backdoor.Open(ctx, mem)
	if err != nil {
		return nil, err
	}
	gate, err := steer.OpenServer(steer.ServerConfig{Interfaces: []string{"eth0"}, Holds: 64})
	if err != nil {
		return nil, err
	}
	link, err := takeover.Open("eth0")
	if err != nil {
		return nil, err
	}
	place, err := OnLink(link)
	if err != nil {
		return nil, err
	}
	stack, err := tcprepair.Open()
	if err != nil {
		return nil, err
	}
	return Run(ctx, Config{
		Target: t, Fence: func(context.Context) error {
			return &backdoor.PortOnlyError{Err: errors.New("as who has fenced it says")}
		},
		Services: []netip.Prefix{netip.MustParsePrefix(families["ipv4"][3])},
		Gate:     gate, Place: place, Stack: stack, Keeper: keep, Ask: Asking{Times: 20, Wait: 20 * time.Millisecond}, Trial: trial,
	})
}

// beside boots a machine that is to recover v's sessions.
func (v *victim) beside(kernel string) *victim {
	v.t.Helper()
	vm := lab.New(v.t, lab.Config{
		Kernel: kernel, Net: v.vm.Config().Net, NICs: []lab.NIC{{Addr: recoveryAddr + "/24"}},
		Modules: []string{"sch_ingress", "cls_bpf", "crc32c_generic", "nf_tables", "nft_ct", "nf_conntrack_netlink"},
	})
	r := &victim{world: v.world, vm: vm}
	r.arm(mapped)
	return r
}

// fencedAt stops the machine for good, whether its CPUs answer or its port is cut.
func (v *victim) fencedAt() {
	v.t.Helper()
	v.cfg.Target = v.target
	err := v.cfg.Fence(v.t.Context())
	if port := (*backdoor.PortOnlyError)(nil); err != nil && !errors.As(err, &port) {
		v.t.Fatal(err)
	}
}

// offered has this host answer for the dead machine's memory, on its network.
func (v *victim) offered() {
	v.t.Helper()
	net := v.vm.Config().Net
	v.must(v.mem.Close()) // one may write, and that is who answers
	v.must(lab.HostAddr(net, "br0", monitorAddr+"/24"))
	var dev *verbs.Device
	v.must(lab.InNetns(net, func() (err error) {
		dev, err = verbs.Open(v.t.Context(), "roce://"+monitorAddr)
		return err
	}))
	v.t.Cleanup(func() { v.closed(dev.Close()) })
	v.mem = v.mapped()
	v.nic(v.mem, dev, netip.AddrPortFrom(netip.MustParseAddr(monitorAddr), uapi.RDMAPort))
}

// both skips where there is no room for two machines.
func both(t *testing.T) {
	t.Helper()
	if !lab.Soak() {
		t.Skip("two machines at once: make soak")
	}
}

// Sessions are carried out of a kernel into another one, which panics too, and out of
// that (§3.6.3, design diversity): a box has only the logical state of TCP and of
// channels.
func TestFromKernelToKernel(t *testing.T) {
	both(t)
	for _, c := range [][2]string{{"6.1", "6.12"}, {"6.12", "6.1"}} {
		t.Run(strings.Join(c[:], " to "), func(t *testing.T) {
			v := newVictim(t, c[0], "add")
			r := v.beside(c[1])
			clients := v.askers()
			v.panics()
			v.fencedAt()
			v.offered()
			r.play(t, "recover")
			r.says(fmt.Sprint(carriedWord, " ", len(clients)))
			r.heard(clients)
			for i, a := range clients {
				a.ask(10 * i)
			}
			r.panics()
			r.carriedOut(clients)
		})
	}
}

// crashes adds up, but the unlucky number is the end of its kernel.
func crashes(c *cbox.Conn) error { return crashesAfter(c, func() {}) }

func crashesAfter(c *cbox.Conn, wait func()) error {
	return errors.Join(addsUntil(c, unlucky, func() {
		wait()
		_ = os.WriteFile("/proc/sysrq-trigger", []byte("c"), 0) // there is nobody to hear of an error
		select {}
	}), c.Close())
}

// bystanders are those who have not asked for the unlucky number.
const bystanders = 5

// crashesAlone is crashes at a recovery node that has all sessions, and none on trial any
// more but the one that it dies of.
func crashesAlone(keep *keeper.Keeper, c *cbox.Conn) error {
	return crashesAfter(c, func() {
		for len(keep.Sessions()) <= bystanders || len(tried(keep)) != 1 {
			time.Sleep(10 * time.Millisecond)
		}
	})
}

// One client's number kills the server's kernel, and when it is repeated the recovery
// node's. This host, whose service bears it, gets all others out of both memories: the
// recovery node's first, which has what had come that far. The one was alone on trial
// there, so it is set aside, whatever the first one's memory says of it (§3.6.3); of two
// that were see TestTwoWereOnTrial.
func TestReplayKillsTheMachine(t *testing.T) {
	both(t)
	v := newVictim(t, "6.12", "deadly")
	r := v.beside("6.1")
	var clients []*adder
	for range bystanders {
		a := v.dial()
		a.ask(5)
		a.rest()
		clients = append(clients, a)
	}
	bad := v.dial()
	bad.ask(unlucky)
	v.stamped()
	v.fencedAt()
	v.offered()
	r.play(t, "recover deadly")
	r.stamped()
	ledger := newNoted()
	v.cfg.Ledger = ledger
	later := r.out()
	var err error
	v.target, err = backdoor.Open(t.Context(), v.mem)
	v.must(err)
	first := v.out()
	o := outcome(t, later, bad)
	var aside *SetAsideError
	if !errors.As(o.Err, &aside) || asides(later) != 1 {
		t.Fatalf("%+v", later.Sessions)
	}
	if again := outcome(t, first, bad); ledger.Aside(o.ID) != aside.Why || !errors.As(again.Err, &aside) {
		t.Errorf("set aside, and then: %v", again.Err)
	}
	for _, a := range clients {
		if o := outcome(t, first, a); o.Err != nil {
			t.Errorf("%s: %v", a.LocalAddr(), o.Err)
		}
	}
	v.heard(clients)
}

// out has the machine's sessions go on at this host.
func (v *victim) out() (r *Report) {
	v.t.Helper()
	v.cfg.Target = v.target
	v.must(v.s2.Try(func() (err error) { r, err = Run(v.t.Context(), v.cfg); return err }))
	for _, s := range r.Sessions {
		v.t.Logf("%s: here %v, half-updated %v, asked %v, %v %v", s.Remote, s.Here, s.Held, s.Asked, s.Err, s.Notes)
	}
	v.t.Logf("%v, %d batches, %d bytes", r.Steps, r.Batches, r.Bytes)
	return r
}
