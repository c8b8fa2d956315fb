// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"lazystate/tools/lab"
)

// The peers here are stock programs over the kernel's rdma_rxe and rdma_cm, in a
// guest; we are at the other end of its bridge, with a plain UDP socket.

const (
	guest4, guest6 = "10.77.0.2", "fd77::2"
	ours4, ours6   = "10.77.0.1", "fd77::1"

	bound = 2 * time.Minute // of what would hang
)

// peer is a guest, and the address family to talk to it with.
type peer struct {
	vm    *lab.VM
	guest string
	ours  string
	gid   string // index of the guest's
	loss  string // of ours
}

func bootPeer(t *testing.T, kernel string) *lab.VM {
	t.Helper()
	vm := lab.Shared(t, lab.Config{
		Kernel: kernel, NICs: []lab.NIC{{Addr: guest4 + "/24", MTU: 4300, RXE: true}},
		Packages: []string{"rdmacm-utils", "perftest", "ibverbs-utils"},
	})
	if err := vm.Sysctl(t.Context(), "net.ipv6.conf.eth0.dad_transmits", "0"); err != nil {
		t.Fatal(err) // an address that is being looked for elsewhere cannot be used yet
	}
	if r, err := vm.Run(t.Context(), "/bin/busybox", "ip", "addr", "add", guest6+"/64", "dev", "eth0"); err != nil || r.Exit != 0 && !strings.Contains(r.Stderr, "exists") {
		t.Fatalf("%v, exit %d: %s", err, r.Exit, r.Stderr)
	}
	settled(t, vm)
	err := lab.InNetns(vm.Config().Net, func() error {
		br, err := netlink.LinkByName("br0")
		for _, a := range []string{ours4 + "/24", ours6 + "/64"} {
			if err == nil {
				addr := &netlink.Addr{IPNet: mustNet(t, a), Flags: unix.IFA_F_NODAD}
				if err = netlink.AddrAdd(br, addr); errors.Is(err, os.ErrExist) {
					err = nil
				}
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return vm
}

// settled waits until the guest's addresses can be used, the link-local one too,
// which is looked for elsewhere for a second after boot: the connection manager of
// the guest finds no device for an address that is still tentative (0x40,
// IFA_F_TENTATIVE).
func settled(t *testing.T, vm *lab.VM) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	for {
		b, err := vm.ReadFile(ctx, "/proc/net/if_inet6")
		if err != nil {
			t.Fatal(err)
		}
		tentative := false
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) == 6 {
				flags, err := strconv.ParseUint(f[4], 16, 32)
				tentative = tentative || err != nil || flags&unix.IFA_F_TENTATIVE != 0
			}
		}
		if !tentative {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (p *peer) device() string {
	d := "roce://" + p.ours
	if p.loss != "" {
		d += "?loss=" + p.loss + "&seed=7"
	}
	return d
}

// start runs bdrping at our end of the bridge.
func (p *peer) start(t *testing.T, args ...string) *command {
	t.Helper()
	return startIn(t, func(f func() error) error { return lab.InNetns(p.vm.Config().Net, f) }, args...)
}

// try runs a program in the guest, which must succeed and print what is wanted.
func (p *peer) try(t *testing.T, want string, argv ...string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	r, err := p.vm.Run(ctx, argv...)
	if err != nil || r.Exit != 0 || !strings.Contains(r.Stdout, want) {
		return fmt.Errorf("%v: %v, exit %d\n%s\n%s", argv, err, r.Exit, lastLines(r.Stdout, 20), r.Stderr)
	}
	t.Logf("%v:\n%s", argv, lastLines(r.Stdout, 3))
	return nil
}

// lastLines returns the beginnings of the last lines.
func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	lines = lines[max(0, len(lines)-n):]
	for i := range lines {
		lines[i] = lines[i][:min(len(lines[i]), 160)]
	}
	return strings.Join(lines, "\n")
}

// Each kernel, each family, with loss and without; make soak tries more of what they
// make together.
func TestStockPeers(t *testing.T) {
	type pairing struct {
		kernel, loss string
		v6           bool
	}
	all := []pairing{{"6.1", "", false}, {"6.12", "0.02", true}}
	if lab.Soak() {
		all = append(all, pairing{"6.1", "", true}, pairing{"6.1", "0.02", false}, pairing{"6.1", "0.02", true}, pairing{"6.12", "", false})
	}
	for _, c := range all {
		family := "IPv4"
		if c.v6 {
			family = "IPv6"
		}
		t.Run(fmt.Sprintf("%s/%s/loss%s", c.kernel, family, c.loss), func(t *testing.T) {
			p := &peer{vm: bootPeer(t, c.kernel), guest: guest4, ours: ours4, loss: c.loss}
			if c.v6 {
				p.guest, p.ours = guest6, ours6
			}
			p.gid = p.gidOf(t, netip.MustParseAddr(p.guest))
			p.pings(t)
			p.perftests(t)
		})
	}
}

// gidOf finds an address among the guest's GIDs, which come a moment after it.
func (p *peer) gidOf(t *testing.T, a netip.Addr) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	for ctx.Err() == nil {
		for i := range 8 {
			b, err := p.vm.ReadFile(ctx, fmt.Sprintf("/sys/class/infiniband/rxe0/ports/1/gids/%d", i))
			if err != nil {
				break
			}
			if g, err := netip.ParseAddr(strings.TrimSpace(string(b))); err == nil && g.Unmap() == a {
				return fmt.Sprint(i)
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("the guest has no GID of %v", a)
	return ""
}

// pings is rping in both roles.
func (p *peer) pings(t *testing.T) {
	t.Run("rping client", func(t *testing.T) {
		s := p.start(t, "server", "--device", p.device(), "--clients", "1", "--size", "60000")
		s.listening(t)
		if err := p.try(t, "ping data: rdma-ping-9", "rping", "-c", "-a", p.ours, "-C", "10", "-S", "9000", "-v", "-V"); err != nil {
			s.cancel() // it would wait for ever
			t.Error(err)
		}
		if out := s.rest(t); out != "served 10 pings\n" {
			t.Errorf("%s%s", out, s.stderr.String())
		}
	})
	t.Run("rping server", func(t *testing.T) {
		pid, err := p.vm.Start(t.Context(), lab.Proc{Argv: []string{"rping", "-s", "-a", p.guest, "-C", "10", "-S", "9000"}})
		if err != nil {
			t.Fatal(err)
		}
		if out := p.ping(t); strings.Count(out, "9000 bytes from ") != 10 {
			t.Error(out)
		}
		ctx, cancel := context.WithTimeout(t.Context(), bound)
		defer cancel()
		if code, err := p.vm.Wait(ctx, pid); code != 0 || err != nil {
			t.Errorf("rping -s: exit %d, %v", code, err)
		}
	})
}

// ping pings the guest's rping, which may not listen yet.
func (p *peer) ping(t *testing.T) string {
	t.Helper()
	to := netip.AddrPortFrom(netip.MustParseAddr(p.guest), rpingPort).String()
	for end := time.Now().Add(bound); ; {
		c := p.start(t, "client", "--device", p.device(), "--count", "10", "--size", "9000", to)
		out, _ := io.ReadAll(c.out)
		code := <-c.code
		if code == 0 {
			return string(out)
		}
		if !strings.Contains(c.stderr.String(), "nobody listens") || time.Now().After(end) {
			t.Fatalf("exit %d: %s%s", code, out, c.stderr.String())
		}
	}
}

// perftests are the stock clients against our server.
func (p *peer) perftests(t *testing.T) {
	port := 18515
	for _, c := range []struct {
		test, size, iters string
	}{
		{"read_lat", "64", "500"},
		{"read_lat", "10000", "200"},
		{"write_lat", "64", "300"},
		{"atomic_lat", "8", "500"},
		{"read_bw", "65536", "200"},
		{"write_bw", "65536", "200"},
		{"send_bw", "65536", "200"},
	} {
		t.Run("ib_"+c.test+"_"+c.size, func(t *testing.T) {
			for again := 0; ; again++ {
				port++
				refused, err := p.perftest(t, port, c.test, c.size, c.iters)
				if err == nil {
					return
				}
				if !p.raced(refused) || again == mostRaces {
					t.Fatalf("%v\n%s", err, refused)
				}
				t.Logf("rxe sent a message that it did not have, again: %s", refused)
			}
		})
	}
}

// mostRaces is how often one test meets the race of rxe.
const mostRaces = 2

// raced reports whether a refusal was of what rxe 6.1 sends when its requester goes
// back while its completer, on the other CPU, moves on: req_retry reads
// qp->comp.psn once for the PSN to begin at and once for how much of the message
// to skip, and all of it is then one packet off (rxe_req.c; 6.12 runs both in one
// task). A message that begins in the middle of another shows it.
func (p *peer) raced(refused string) bool {
	return p.loss != "" && p.vm.Config().Kernel == "6.1" &&
		strings.Contains(refused, "in the middle of a message: NAK: invalid request")
}

// perftest runs one stock client against our server, and returns what that refused.
func (p *peer) perftest(t *testing.T, port int, test, size, iters string) (refused string, err error) {
	t.Helper()
	s := p.start(t, "perftest", "--device", p.device(), "--listen", fmt.Sprintf("%s:%d", ours4, port),
		"--test", test, "--size", size, "--iters", iters, "--clients", "1")
	s.listening(t)
	argv := []string{"ib_" + test, "-d", "rxe0", "-x", p.gid, "-F", "-n", iters, "-p", fmt.Sprint(port)}
	if test != "atomic_lat" {
		argv = append(argv, "-s", size)
	}
	err = p.try(t, "#bytes", append(argv, ours4)...)
	s.rest(t)
	return s.stderr.String(), err
}

func mustNet(t *testing.T, s string) *net.IPNet {
	t.Helper()
	ip, n, err := net.ParseCIDR(s)
	if err != nil {
		t.Fatal(err)
	}
	n.IP = ip
	return n
}
