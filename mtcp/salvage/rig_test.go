// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
	"lazystate/internal/netrig"
	"lazystate/mtcp/extract/extracttest"
	"lazystate/mtcp/keeper"
	"lazystate/mtcp/steer"
	"lazystate/mtcp/takeover"
	"lazystate/mtcp/tcprepair"
	"lazystate/tools/lab"
)

const (
	hang = 60 * time.Second
	slot = 1
	port = 8000

	record = "../../bench/results/soak-salvage.json" // where make soak leaves what came of it
)

var key = uapi.Key{1, 2, 3}

// world is a client, a server that dies and one that goes on.
type world struct {
	t       testing.TB
	rig     *netrig.Rig
	client  *netrig.Host
	s1, s2  *server
	service netip.Prefix

	machine *bdtest.Target // what is left of s1
	grave   *extracttest.Grave
	cfg     Config
	fence   backdoor.FenceOptions
	carrier backdoor.Memory // nil: the machine's own
	boxes   int             // that there is room for
	opts    []bdtest.Option // more of them
	dig     func(*bdtest.Target) extracttest.Machine
	excused func(error) // nil, or asked about an error that a machine out of reach accounts for

	mu   sync.Mutex
	ends []string
}

// server is a host with a keeper.
type server struct {
	*netrig.Host
	w    *world
	keep *keeper.Keeper
	path string
}

var families = map[string][4]string{ // client, s1, s2, service
	"ipv4": {"10.9.0.9/24", "10.9.0.1/24", "10.9.0.2/24", "10.9.0.100/24"},
	"ipv6": {"fd00::9/64", "fd00::1/64", "fd00::2/64", "fd00::100/64"},
}

// names is what a case is called: a word, and those of the pairs (string, bool) that
// are so.
func names(name string, pairs ...any) string {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1].(bool) {
			name += ", " + pairs[i].(string)
		}
	}
	return name
}

// newWorld has both servers serve by the same processes, and s2 ready to salvage.
func newWorld(t testing.TB, family string, processes ...process) *world {
	t.Helper()
	if err := netrig.Usable(); err != nil {
		lab.Skip(t, err.Error())
	}
	r := netrig.New(t, "client", "s1", "s2", "s3")
	w := &world{t: t, rig: r, client: r.Host("client"), boxes: 128}
	w.dig = func(m *bdtest.Target) extracttest.Machine { return m }
	t.Cleanup(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if t.Failed() {
			t.Logf("processes have ended: %q", w.ends)
		}
	})
	f := families[family]
	w.client.Addr(f[0])
	w.service = netip.MustParsePrefix(f[3])
	w.s1 = w.server(r.Host("s1"), f[1])
	w.s1.Addr(f[3])
	w.s1.start(processes...)
	w.recoverAt("s2", processes...)
	return w
}

// recoverAt makes a host the recovery node.
func (w *world) recoverAt(name string, processes ...process) {
	w.t.Helper()
	own := netip.MustParsePrefix(families["ipv4"][2])
	if w.service.Addr().Is6() {
		own = netip.MustParsePrefix(families["ipv6"][2])
	}
	if name != "s2" {
		own = netip.PrefixFrom(own.Addr().Next(), own.Bits())
	}
	w.s2 = w.server(w.rig.Host(name), own.String())
	w.s2.start(processes...)
	w.s2.Do(w.tools)
}

func (w *world) server(h *netrig.Host, addr string) *server {
	w.t.Helper()
	h.Addr(addr)
	s := &server{h, w, keeper.New(keeper.Config{Log: slog.New(slog.DiscardHandler)}), filepath.Join(w.t.TempDir(), "scd")}
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: s.path, Net: "unixpacket"})
	w.must(err)
	go s.keep.Serve(l)
	w.t.Cleanup(func() { l.Close(); s.keep.Close() })
	return s
}

func (w *world) must(err error) {
	w.t.Helper()
	if w.excused != nil && cannot(err) {
		w.excused(err)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) at() netip.AddrPort { return netip.AddrPortFrom(w.service.Addr(), port) }

// dial is a client that adds up too.
func (w *world) dial() *adder {
	w.t.Helper()
	a := &adder{t: w.t}
	w.client.Do(func() (err error) {
		// A bad link may lose all three questions for the neighbour, which ends a connect.
		for end := time.Now().Add(hang); ; {
			a.Conn, err = (&net.Dialer{Timeout: hang}).DialContext(w.t.Context(), "tcp", w.at().String())
			if !errors.Is(err, unix.EHOSTUNREACH) || time.Now().After(end) {
				return err
			}
		}
	})
	w.t.Cleanup(func() { a.Close() })
	_ = a.SetDeadline(time.Now().Add(hang))
	return a
}

// busy are n clients, of which the i-th has asked i*ask times and heard i*heard answers.
func (w *world) busy(n, ask, heard int) (all []*adder) {
	for i := range n {
		a := w.dial()
		a.ask(ask * i)
		a.hear(heard * i)
		all = append(all, a)
	}
	return all
}

type adder struct {
	net.Conn
	t              testing.TB
	next, answered uint64
	summed         uint64
}

// deaf has nothing reach the client's TCP, until it is told otherwise: what is
// sent meanwhile is lost.
func (a *adder) deaf(on bool) {
	a.t.Helper()
	raw, err := a.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		a.t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) {
		if !on {
			if err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0); err == unix.ENOENT {
				err = nil // it was not
			}
			return
		}
		drop := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K}
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop})
	})
	if err != nil {
		a.t.Fatal(err)
	}
}

// ask sends n numbers.
func (a *adder) ask(n int) {
	a.t.Helper()
	var b []byte
	for range n {
		a.next++
		b = binary.LittleEndian.AppendUint64(b, a.next)
	}
	if _, err := a.Write(b); err != nil {
		a.t.Fatal(err)
	}
}

// hear checks n sums.
func (a *adder) hear(n int) {
	a.t.Helper()
	b := make([]byte, 8)
	for range n {
		if _, err := io.ReadFull(a, b); err != nil {
			a.t.Fatalf("sum %d: %v", a.answered+1, err)
		}
		a.answered++
		a.summed += a.answered
		if got := binary.LittleEndian.Uint64(b); got != a.summed {
			a.t.Fatalf("sum %d is %d, not %d", a.answered, got, a.summed)
		}
	}
}

// rest checks what was asked and not heard.
func (a *adder) rest() { a.t.Helper(); a.hear(int(a.next - a.answered)) }

// die is the end of s1.
func (w *world) die(broken func(i int, d *tcprepair.Dump, s *extracttest.Sock)) {
	w.t.Helper()
	w.bury(w.s1, broken)
}

// bury has what a server's kernel had become the memory of a machine that stands
// still. broken may change that.
func (w *world) bury(dead *server, broken func(i int, d *tcprepair.Dump, s *extracttest.Sock)) {
	w.t.Helper()
	w.carrier = nil
	members, values := extracttest.Manifest("6.12")
	w.machine = bdtest.New(append(w.opts, bdtest.WithRAM(w.boxes<<19), bdtest.WithManifest(members, values), bdtest.WithBoxes(w.boxes, w.boxes*32), bdtest.WithFence(), bdtest.WithKey(slot, key))...)
	w.grave = extracttest.Dig(w.dig(w.machine), "6.12")
	var stack *tcprepair.Stack
	dead.Do(func() (err error) { stack, err = tcprepair.Open(); return err })
	w.t.Cleanup(stack.Close)
	frozen, err := w.grave.All(dead.keep, stack, broken)
	w.must(err)
	dead.Unaddr(w.service.String())
	for i := range frozen {
		w.must(frozen[i].Discard())
	}
}

// tools are what Run needs.
func (w *world) tools() error {
	gate, err := steer.OpenServer(steer.ServerConfig{Interfaces: []string{netrig.Dev}, Holds: 1 << 13})
	if err != nil {
		return err
	}
	w.t.Cleanup(func() { gate.Close() })
	link, err := takeover.Open(netrig.Dev)
	if err != nil {
		return err
	}
	w.t.Cleanup(func() { link.Close() })
	place, err := OnLink(link)
	if err != nil {
		return err
	}
	w.t.Cleanup(func() { place.Close() })
	stack, err := tcprepair.Open()
	if err != nil {
		return err
	}
	w.t.Cleanup(stack.Close)
	w.fence = backdoor.FenceOptions{Slot: slot, Key: key}
	w.cfg = Config{
		Fence:    func(ctx context.Context) error { return w.cfg.Target.Fence(ctx, w.fence) },
		Services: []netip.Prefix{w.service},
		Gate:     gate, Place: place, Stack: stack, Keeper: w.s2.keep, Ask: Asking{Times: 20, Wait: 20 * time.Millisecond},
	}
	return nil
}

// salvage runs at s2.
func (w *world) salvage() *Report {
	w.t.Helper()
	var err error
	if w.carrier == nil {
		w.carrier = w.machine.Memory()
	}
	w.cfg.Target, err = backdoor.Open(w.t.Context(), w.carrier)
	w.must(err)
	var r *Report
	w.s2.Do(func() (err error) { r, err = Run(w.t.Context(), w.cfg); return err })
	return r
}
