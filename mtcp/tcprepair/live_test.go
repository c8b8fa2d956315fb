// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"lazystate/internal/netrig"
	"lazystate/mtcp"
	"lazystate/mtcp/cbox"
	"lazystate/mtcp/wire"
)

// Everything that a user may have set goes along, over two hops.
func TestOptionsMove(t *testing.T) {
	ints := []struct{ level, name, val int }{
		{unix.IPPROTO_TCP, unix.TCP_NODELAY, 0}, {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 77}, {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 11},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3}, {unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 12345}, {unix.IPPROTO_TCP, unix.TCP_LINGER2, 9},
		{unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, 8192}, {unix.IPPROTO_TCP, unix.TCP_INQ, 1}, {unix.IPPROTO_TCP, unix.TCP_CORK, 1},
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1}, {unix.SOL_SOCKET, unix.SO_PRIORITY, 5}, {unix.SOL_SOCKET, unix.SO_MARK, 7},
		{unix.SOL_SOCKET, unix.SO_RCVLOWAT, 2}, {unix.SOL_SOCKET, unix.SO_OOBINLINE, 1}, {unix.SOL_SOCKET, unix.SO_REUSEADDR, 1},
		{unix.SOL_SOCKET, unix.SO_RCVBUF, 50000}, {unix.SOL_SOCKET, unix.SO_MAX_PACING_RATE, 1 << 29},
	}
	own := map[bool][]struct{ level, name, val int }{
		false: {{unix.IPPROTO_IP, unix.IP_TOS, 0x10}, {unix.IPPROTO_IP, unix.IP_TTL, 33}, {unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO}},
		true:  {{unix.IPPROTO_IPV6, unix.IPV6_TCLASS, 0x10}, {unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, 33}},
	}
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			w := newWorld(t, f.v6)
			client, server := w.connect(f.network)
			do(t, server, func(fd int) error {
				var errs []error
				for _, o := range append(ints, own[f.v6]...) {
					errs = append(errs, unix.SetsockoptInt(fd, o.level, o.name, o.val))
				}
				tv := unix.Timeval{Sec: 3, Usec: 500000}
				return errors.Join(append(errs,
					unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, "reno"),
					unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 4}),
					unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv))...)
			})
			read := func(c *net.TCPConn) *Options {
				return fd(t, c, func(fd int) (*Options, error) { o := &Options{}; return o, o.read(fd, f.v6) })
			}
			want := read(server)
			if v, ok := want.Int("TCP_KEEPIDLE"); !ok || v != 77 || want.Congestion != "reno" || want.Linger != 4 {
				t.Fatalf("%+v", want)
			}
			for range 2 {
				server = w.move(server)
				if d := cmp.Diff(want, read(server), cmp.AllowUnexported(Options{})); d != "" {
					t.Error(d)
				}
			}
			do(t, server, func(fd int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_CORK, 0) })
			exchange(t, client, server)
		})
	}
}

// exchange shows that both directions work, from offset 0 of streams 7 and 8.
func exchange(t *testing.T, client, server *net.TCPConn) {
	t.Helper()
	sendPart(t, client, 7, 0, 500)
	sendPart(t, server, 8, 0, 500)
	getPart(t, server, 7, 0, 500)
	getPart(t, client, 8, 0, 500)
}

func sizes(t *testing.T, c *net.TCPConn) (s [4]int) {
	t.Helper()
	for i, o := range [][2]int{{unix.SOL_SOCKET, unix.SO_SNDBUF}, {unix.SOL_SOCKET, unix.SO_RCVBUF}, {unix.SOL_SOCKET, unix.SO_BUF_LOCK}, {unix.IPPROTO_TCP, unix.TCP_WINDOW_CLAMP}} {
		s[i] = fd(t, c, func(fd int) (int, error) { return unix.GetsockoptInt(fd, o[0], o[1]) })
	}
	return s
}

// Full queues in both directions and closed windows: nothing is lost, and the
// buffers do not grow with every hop.
func TestFullQueues(t *testing.T) {
	w := newWorld(t, false)
	client, server := w.connect("tcp4")
	if err := errors.Join(client.SetReadBuffer(1<<18), server.SetReadBuffer(1<<18)); err != nil {
		t.Fatal(err)
	}
	stuff := func(c *net.TCPConn, stream byte) (n int) {
		b := make([]byte, 4<<20)
		netrig.Fill(b, stream, 0)
		for {
			_ = c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			k, err := c.Write(b[n:])
			n += k
			if err != nil || n == len(b) {
				_ = c.SetWriteDeadline(time.Now().Add(hang))
				return n
			}
		}
	}
	up, down := stuff(client, upStream), stuff(server, downStream)
	was := sizes(t, server)
	for range 3 {
		server = w.move(server)
		if is := sizes(t, server); is[0] != was[0] || is[1] != was[1] || is[2] != was[2] {
			t.Errorf("buffers, locks, clamp %v, were %v", is, was)
		}
	}
	t.Logf("%d bytes up, %d down", up, down)
	read := make(chan struct{})
	go func() {
		defer close(read)
		getPart(t, server, upStream, 0, up)
	}()
	getPart(t, client, downStream, 0, down)
	<-read
	exchange(t, client, server)
}

// A user's own sizes stay his, and what he did not set the kernel may tune.
func TestBuffersStayTunable(t *testing.T) {
	w := newWorld(t, false)
	_, server := w.connect("tcp4")
	if s := sizes(t, w.move(server)); s[2] != 0 {
		t.Errorf("locks %d after a move", s[2])
	}
}

// The MSS is that of the handshake, not the default of an unfinished one.
func TestSegmentSize(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			w := newWorld(t, f.v6)
			client, server := w.connect(f.network)
			mss := func(c *net.TCPConn) uint32 {
				return fd(t, c, func(fd int) (uint32, error) {
					info, err := tcpInfo(fd)
					return info.Snd_mss, err
				})
			}
			sendPart(t, server, downStream, 0, 5000)
			getPart(t, client, downStream, 0, 5000)
			want := mss(server)
			for range 2 {
				if server = w.move(server); mss(server) != want {
					t.Errorf("%d, was %d", mss(server), want)
				}
			}
			exchange(t, client, server)
		})
	}
}

// The timestamps of a connection never go back, however long the dump took.
func TestTimestampsGoOn(t *testing.T) {
	w := newWorld(t, false)
	client, server := w.connect("tcp4")
	clock := func(c *net.TCPConn) uint32 {
		return fd(t, c, func(fd int) (uint32, error) {
			v, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_TIMESTAMP)
			return uint32(v), err
		})
	}
	for range 2 {
		begin := time.Now()
		f, d := w.freeze(server)
		time.Sleep(50 * time.Millisecond)
		d.Elapse(time.Since(begin))
		old := clock(server)
		moved := w.arrive(d)
		if now := clock(moved); int32(now-old) < 0 || int32(now-old) > 10_000 {
			t.Errorf("clock %d at the new server, %d before at the old one", now, old)
		}
		if err := f.Discard(); err != nil {
			t.Fatal(err)
		}
		server = moved
	}
	exchange(t, client, server)
	d := sample(mtcp.Established)
	for _, c := range []struct {
		from, to uint32
		t        time.Duration
	}{{0xfffffffe, 8, 10 * time.Millisecond}, {1, 10001, 10 * time.Millisecond}, {0, 2, 1}, {0, 0, 0}} {
		d.Negotiated.Timestamp = c.from
		if d.Elapse(c.t); d.Negotiated.Timestamp != c.to {
			t.Errorf("%d and %v: %d, want %d", c.from, c.t, d.Negotiated.Timestamp, c.to)
		}
	}
}

// A freeze that leads nowhere is undone, again and again.
func TestThaw(t *testing.T) {
	w := newWorld(t, false)
	client, server := w.connect("tcp4")
	for i := range uint64(3) {
		sendPart(t, server, downStream, 1000*i, 500)
		f, d := w.freeze(server)
		sendPart(t, client, upStream, 1000*i, 1000)
		time.Sleep(10 * time.Millisecond) // the segment comes, and is not heard
		if again, err := f.Dump(); err != nil || again.RcvNxt != d.RcvNxt {
			t.Fatalf("rcv_nxt %d, then %v, %v", d.RcvNxt, again, err)
		}
		var filter *cbox.NotMovableError
		if _, err := w.stacks[0].Freeze(f.fd); !errors.As(err, &filter) || filter.Reason != cbox.Filter {
			t.Errorf("frozen twice: %v", err)
		}
		if err := f.Thaw(); err != nil {
			t.Fatal(err)
		}
		if err := f.Discard(); err == nil {
			t.Error("discarded after it was thawed")
		}
		sendPart(t, server, downStream, 1000*i+500, 500)
		getPart(t, server, upStream, 1000*i, 1000)
		getPart(t, client, downStream, 1000*i, 1000)
		if v := fd(t, server, func(fd int) (int, error) { return unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR) }); v != 1 {
			t.Errorf("SO_REUSEADDR is %d", v)
		}
	}
}

// The old socket ends without a word, for whoever has it open.
func TestDiscard(t *testing.T) {
	w := newWorld(t, false)
	client, server := w.connect("tcp4")
	f, d := w.freeze(server)
	conn := w.arrive(d)
	if err := f.Discard(); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNABORTED) {
		t.Errorf("at the old server: %v", err)
	}
	if _, err := f.Dump(); err == nil {
		t.Error("dumped after it was discarded")
	}
	exchange(t, client, conn)
}

// A segment that is acknowledged in part stays whole in the kernel's queue.
func TestPartlyAcknowledgedSegment(t *testing.T) {
	w := newWorld(t, false)
	client, server := w.connect("tcp4")
	do(t, client, (&Stack{}).deafen)
	sendPart(t, server, downStream, 0, 1000)
	f, d := w.freeze(server)
	if err := f.Thaw(); err != nil {
		t.Fatal(err)
	}
	ack, err := wire.Segment{Src: d.Remote, Dst: d.Local, Seq: d.RcvNxt, Ack: d.Una + 100, Flags: wire.ACK, Window: 1000}.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.stacks[0].raw.send(d.Local.Addr(), ack); err != nil {
		t.Fatal(err)
	}
	await(t, "the acknowledgement", func() bool {
		return fd(t, server, func(fd int) (int, error) { return unix.IoctlGetInt(fd, unix.SIOCOUTQ) }) == 900
	})
	f, got := w.freeze(server)
	if got.Una != d.Una+100 || len(got.Out) != 900 {
		t.Fatalf("una %d, %d bytes, want %d and 900", got.Una, len(got.Out), d.Una+100)
	}
	if err := netrig.Verify(got.Out, downStream, 100); err != nil {
		t.Error(err)
	}
	if err := f.Thaw(); err != nil {
		t.Fatal(err)
	}
}

// shutdown(SHUT_RD) is nobody's business but the user's: it goes along.
func TestShutRead(t *testing.T) {
	w := newWorld(t, false)
	client, server := w.connect("tcp4")
	if err := server.CloseRead(); err != nil {
		t.Fatal(err)
	}
	server = w.move(server)
	wantEOF(t, server)
	sendPart(t, server, downStream, 0, 100)
	getPart(t, client, downStream, 0, 100)
}

// TCP_REPAIR is for those only who may administer the network.
func TestOpenWithoutCapability(t *testing.T) {
	w := newWorld(t, false)
	w.client.Do(func() error { // on a thread that ends with this
		h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&h, &none[0]); err != nil {
			return err
		}
		if _, err := Open(); !errors.Is(err, ErrPermission) {
			t.Errorf("got %v", err)
		}
		return nil
	})
}

// A connection of MPTCP has sequence numbers of its own (DECISION 26).
func TestMPTCPIsRefused(t *testing.T) {
	w := newWorld(t, false)
	var l net.Listener
	listen := net.ListenConfig{}
	listen.SetMultipathTCP(true)
	w.servers[0].Do(func() (err error) { l, err = listen.Listen(t.Context(), "tcp4", "10.9.0.1:8000"); return err })
	defer l.Close()
	w.client.Do(func() error {
		d := net.Dialer{}
		d.SetMultipathTCP(true)
		c, err := d.Dial("tcp", l.Addr().String())
		if err == nil {
			t.Cleanup(func() { c.Close() })
		}
		return err
	})
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if multi, err := c.(*net.TCPConn).MultipathTCP(); err != nil || !multi {
		t.Skip("no MPTCP on this kernel")
	}
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) { _, err = w.stacks[0].Freeze(int(fd)) })
	var no *cbox.NotMovableError
	if !errors.As(err, &no) || no.Reason != cbox.MPTCP {
		t.Errorf("got %v", err)
	}
}

// A host without the address cannot restore, and says nothing on the network.
func TestRestoreWithoutTheAddress(t *testing.T) {
	w := newWorld(t, false)
	client, server := w.connect("tcp4")
	f, d := w.freeze(server)
	w.client.Do(func() error {
		d := *d
		d.Local = netip.AddrPortFrom(netip.MustParseAddr("10.9.0.77"), 1)
		_, err := w.stacks[1].Restore(&d)
		if !errors.Is(err, unix.EADDRNOTAVAIL) {
			t.Errorf("got %v", err)
		}
		return nil
	})
	if err := f.Thaw(); err != nil {
		t.Fatal(err)
	}
	exchange(t, client, server)
}

// Data that was looked at and not read is data that moves; where the user looks
// next moves, too. TCP has this option since 6.9.
func TestPeekOffset(t *testing.T) {
	w := newWorld(t, false)
	client, server := w.connect("tcp4")
	set := func(c *net.TCPConn) error {
		return fd(t, c, func(fd int) (error, error) { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEEK_OFF, 0), nil })
	}
	if err := set(server); errors.Is(err, unix.EOPNOTSUPP) {
		return // TCP has it from 6.9 on: before, there is nothing to carry
	} else if err != nil {
		t.Fatal(err)
	}
	look := func(c *net.TCPConn, off uint64, n int) {
		t.Helper()
		b := make([]byte, n)
		got := fd(t, c, func(fd int) (int, error) { return peek(fd, b) })
		if err := netrig.Verify(b[:got], upStream, off); err != nil || got != n {
			t.Errorf("looked at %d bytes of %d, %v", got, n, err)
		}
	}
	sendPart(t, client, upStream, 0, 1000)
	await(t, "the data", func() bool {
		return length(t, server, unix.SIOCINQ) == 1000
	})
	look(server, 0, 300)
	f, _ := w.freeze(server)
	if err := f.Thaw(); err != nil {
		t.Fatal(err)
	}
	look(server, 300, 100)
	server = w.move(server)
	look(server, 400, 100)
	getPart(t, server, upStream, 0, 1000)
	exchange(t, client, server)
}

// What fails, is undone or given up leaves nothing open.
func TestNoDescriptorsAreLeft(t *testing.T) {
	w := newWorld(t, false)
	_, server := w.connect("tcp4")
	count := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	once := func() {
		f, d := w.freeze(server)
		w.servers[1].Do(func() error {
			s, err := Open()
			if err != nil {
				return err
			}
			defer s.Close()
			r, err := s.Restore(d)
			if err != nil {
				return err
			}
			r.Abandon()
			bad := *d
			bad.Options.Set("TCP_USER_TIMEOUT", -1)
			bad.Options.Set("TCP_KEEPCNT", 9999)
			if _, err := s.Restore(&bad); err == nil {
				t.Error("restored")
			}
			return nil
		})
		if err := f.Thaw(); err != nil {
			t.Fatal(err)
		}
	}
	once()
	was := count()
	for range 20 {
		once()
	}
	if is := count(); is > was {
		t.Errorf("%d descriptors, %d before", is, was)
	}
}

// A socket is of the namespace where it was made: what another thread makes of it is a
// connection there. Of a dump that makes no sense nothing is left.
func TestRestoredByAnotherThread(t *testing.T) {
	w := newWorld(t, false)
	client, server := w.connect("tcp4")
	f, d := w.freeze(server)
	empty := func() (e *Empty) {
		t.Helper()
		w.servers[1].Do(func() (err error) { e, err = w.stacks[1].Socket(w.ours); return err })
		return e
	}
	e := empty()
	r, err := w.stacks[1].RestoreOn(e, d) // by a thread that is in neither server's
	if err != nil {
		t.Fatal(err)
	}
	e.Close() // it is the connection's by now
	w.switchTo(1)
	moved := w.live(r)
	if err := f.Discard(); err != nil {
		t.Fatal(err)
	}
	exchange(t, client, moved)
	e = empty()
	if _, err := w.stacks[1].RestoreOn(e, &Dump{}); err == nil || e.fd >= 0 {
		t.Errorf("%v, and the socket is %d", err, e.fd)
	}
}
