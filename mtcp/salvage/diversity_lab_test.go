// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
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
func recoverInGuest() error {
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
	go func() { ended <- acceptAll(server, addUp) }()
	r, err := carryOut(keep)
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
func carryOut(keep *keeper.Keeper) (*Report, error) {
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
		Gate:     gate, Place: place, Stack: stack, Keeper: keep, Ask: Asking{Times: 20, Wait: 20 * time.Millisecond},
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
	v.nic(v.mapped(), dev, netip.AddrPortFrom(netip.MustParseAddr(monitorAddr), uapi.RDMAPort))
}

// Sessions are carried out of a kernel into another one, which panics too, and out of
// that (§3.6.3, design diversity): a box has only the logical state of TCP and of
// channels. make soak has two machines at once for it.
func TestFromKernelToKernel(t *testing.T) {
	if !lab.Soak() {
		t.Skip("two machines at once: make soak")
	}
	for _, c := range [][2]string{{"6.1", "6.12"}, {"6.12", "6.1"}} {
		t.Run(strings.Join(c[:], " to "), func(t *testing.T) {
			v := newVictim(t, c[0], "add")
			r := v.beside(c[1])
			v.cfg.Target = v.target
			clients := v.askers()
			v.panics()
			err := v.target.Fence(t.Context(), v.fence)
			if port := (*backdoor.PortOnlyError)(nil); err != nil && !errors.As(err, &port) {
				t.Fatal(err)
			}
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
