// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"

	"lazystate/internal/netrig"
	"lazystate/mtcp"
	"lazystate/tools/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m, 1)) }

const hang = 60 * time.Second

// world is a client and two servers that both have the service's address; which
// of them the client talks to is in its neighbour table.
type world struct {
	t              testing.TB
	rig            *netrig.Rig
	client         *netrig.Host
	servers        [2]*netrig.Host
	stacks         [2]*Stack
	clientIP, ours netip.Addr
	at             int // the server that the client talks to
}

func newWorld(t testing.TB, v6 bool) *world {
	t.Helper()
	if err := netrig.Usable(); err != nil {
		lab.Skip(t, err.Error())
	}
	r := netrig.New(t, "client", "s1", "s2")
	w := &world{t: t, rig: r, client: r.Host("client"), servers: [2]*netrig.Host{r.Host("s1"), r.Host("s2")}}
	w.clientIP, w.ours = netip.MustParseAddr("10.9.0.9"), netip.MustParseAddr("10.9.0.1")
	bits := "/24"
	if v6 {
		w.clientIP, w.ours, bits = netip.MustParseAddr("fd00::9"), netip.MustParseAddr("fd00::1"), "/64"
	}
	w.client.Addr(w.clientIP.String() + bits)
	for i, s := range w.servers {
		s.Addr(w.ours.String() + bits)
		s.Do(func() (err error) { w.stacks[i], err = Open(); return err })
		t.Cleanup(w.stacks[i].Close)
	}
	w.switchTo(0)
	return w
}

// in begins a subtest at the first server.
func (w *world) in(t testing.TB) {
	w.t = t
	w.switchTo(0)
}

func (w *world) switchTo(i int) {
	w.at = i
	w.client.Neigh(w.ours, w.servers[i].MAC())
}

// connect returns both ends of a connection to the server that the client talks
// to.
func (w *world) connect(network string) (client, server *net.TCPConn) {
	w.t.Helper()
	l := w.listen(network)
	defer l.Close()
	return w.dial(l)
}

// fd runs f on a connection's descriptor.
func fd[T any](t testing.TB, c *net.TCPConn, f func(fd int) (T, error)) T {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var v T
	var inner error
	if err := raw.Control(func(fd uintptr) { v, inner = f(int(fd)) }); err != nil {
		t.Fatal(err)
	}
	if inner != nil {
		t.Fatal(inner)
	}
	return v
}

func do(t testing.TB, c *net.TCPConn, f func(fd int) error) {
	t.Helper()
	fd(t, c, func(fd int) (struct{}, error) { return struct{}{}, f(fd) })
}

func stateOf(t testing.TB, c *net.TCPConn) mtcp.State {
	t.Helper()
	return fd(t, c, func(fd int) (mtcp.State, error) {
		info, err := tcpInfo(fd)
		if err != nil {
			return 0, err
		}
		return mtcp.State(info.State), nil
	})
}

func await(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(hang); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func (w *world) freeze(server *net.TCPConn) (*Frozen, *Dump) {
	w.t.Helper()
	f := fd(w.t, server, w.stacks[w.at].Freeze)
	d, err := f.Dump()
	if err != nil {
		w.t.Fatal(err)
	}
	return f, d
}

// arrive brings a dump to life at the server that the client is not switched to.
func (w *world) arrive(d *Dump) *net.TCPConn {
	w.t.Helper()
	r := w.restore(d)
	w.switchTo(1 - w.at)
	return w.live(r)
}

func (w *world) restore(d *Dump) (r *Restored) {
	w.t.Helper()
	got, err := Parse(d.AppendBinary(nil), 1<<30)
	if err != nil {
		w.t.Fatal(err)
	}
	w.servers[1-w.at].Do(func() error {
		r, err = w.stacks[1-w.at].Restore(got)
		return err
	})
	return r
}

func (w *world) live(r *Restored) *net.TCPConn {
	w.t.Helper()
	if err := r.Live(); err != nil {
		r.Abandon()
		w.t.Fatal(err)
	}
	if l := r.Lacks(); len(l) > 0 {
		w.t.Errorf("lacks %q", l)
	}
	conn, err := r.Conn()
	if err != nil {
		w.t.Fatal(err)
	}
	w.own(conn)
	return conn
}

// move takes a connection to the other server.
func (w *world) move(server *net.TCPConn) *net.TCPConn {
	w.t.Helper()
	conn, err := w.tryMove(server)
	if err != nil {
		w.t.Fatal(err)
	}
	return conn
}

// tryMove leaves a connection where it is if it is over, or ends under the move: the
// error is an *mtcp.StateError, and the only one.
func (w *world) tryMove(server *net.TCPConn) (*net.TCPConn, error) {
	w.t.Helper()
	var f *Frozen
	var over *mtcp.StateError
	do(w.t, server, func(fd int) (err error) {
		f, err = w.stacks[w.at].Freeze(fd)
		if errors.As(err, &over) {
			return nil
		}
		return err
	})
	if over != nil {
		return nil, over
	}
	var r *Restored
	for {
		d, err := f.Dump()
		if errors.As(err, &over) {
			return nil, errors.Join(over, f.Thaw())
		}
		if err != nil {
			w.t.Fatal(err)
		}
		if r = w.restore(d); !w.changed(f) {
			break
		}
		r.Abandon()
	}
	w.switchTo(1 - w.at)
	conn := w.live(r)
	if err := f.Discard(); err != nil {
		w.t.Fatal(err)
	}
	server.Close()
	return conn, nil
}

// differs reports whether a socket is no longer what its last dump says: a segment was past
// the filter when that came. What the socket has said since gets out here, so the dump
// is made again. It does not where sessions move for real (takeover's guard, steer's
// holds), and the peer sends again what was received behind the dump.
func differs(f *Frozen) (bool, error) {
	now, err := tcpInfo(f.fd)
	if err != nil {
		return false, err
	}
	w, err := readWindow(f.fd)
	return w.send != 0 || !f.still(now) || f.neverSent(now) != f.neverSent(f.last), err
}

func (w *world) changed(f *Frozen) bool {
	w.t.Helper()
	changed, err := differs(f)
	if err != nil {
		w.t.Fatal(err)
	}
	if changed {
		w.t.Log("a segment was past the filter")
	}
	return changed
}

// sendPart writes n bytes of a stream, from off on.
func sendPart(t testing.TB, c io.Writer, stream byte, off uint64, n int) {
	t.Helper()
	b := make([]byte, n)
	netrig.Fill(b, stream, off)
	if _, err := c.Write(b); err != nil {
		t.Fatalf("write [%d,%d): %v", off, off+uint64(n), err)
	}
}

// getPart reads n bytes of a stream, from off on.
func getPart(t testing.TB, c io.Reader, stream byte, off uint64, n int) {
	t.Helper()
	b := make([]byte, n)
	if k, err := io.ReadFull(c, b); err != nil {
		t.Fatalf("read [%d,%d): %v after %d bytes", off, off+uint64(n), err, k)
	}
	if err := netrig.Verify(b, stream, off); err != nil {
		t.Fatal(err)
	}
}

func wantEOF(t testing.TB, c io.Reader) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Fatalf("read %d bytes, %v, want EOF", n, err)
	}
}

var families = []struct {
	name, network string
	v6            bool
}{{"ipv4", "tcp4", false}, {"ipv6", "tcp6", true}, {"ipv4 on an ipv6 socket", "tcp", false}}

const (
	upStream   = 1
	downStream = 2
)

// sockets is what ss says of every host, for a test that hangs.
func (w *world) sockets() (all string) {
	for _, h := range []*netrig.Host{w.client, w.servers[0], w.servers[1]} {
		h.Do(func() error {
			out, err := exec.CommandContext(w.t.Context(), "ss", "-tanemoi").CombinedOutput()
			all += h.Name + "\n" + string(out)
			return err
		})
	}
	return all
}
