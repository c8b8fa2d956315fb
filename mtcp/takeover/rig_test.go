// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"lazystate/internal/netrig"
	"lazystate/mtcp/tcprepair"
	"lazystate/tools/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m, 1)) }

const hang = 60 * time.Second

// world is a client and two servers, one of which has the service's address.
type world struct {
	t       *testing.T
	client  *netrig.Host
	servers [2]*netrig.Host
	stacks  [2]*tcprepair.Stack
	links   [2]*Link
	service netip.Prefix
	at      int
}

var families = map[string][3]string{ // client, what the servers have of their own, service
	"ipv4": {"10.9.0.9/24", "10.9.0.%d/24", "10.9.0.100/24"},
	"ipv6": {"fd00::9/64", "fd00::%d/64", "fd00::100/64"},
}

func newWorld(t *testing.T, family string) *world {
	t.Helper()
	if err := netrig.Usable(); err != nil {
		lab.Skip(t, err.Error())
	}
	r := netrig.New(t, "client", "s1", "s2")
	w := &world{t: t, client: r.Host("client"), servers: [2]*netrig.Host{r.Host("s1"), r.Host("s2")}}
	f := families[family]
	w.service = netip.MustParsePrefix(f[2])
	w.client.Addr(f[0])
	for i, s := range w.servers {
		s.Addr(own(f[1], i))
		s.Do(func() (err error) {
			if w.stacks[i], err = tcprepair.Open(); err != nil {
				return err
			}
			w.links[i], err = Open(netrig.Dev)
			return err
		})
		t.Cleanup(func() {
			w.stacks[i].Close()
			if err := w.links[i].Close(); err != nil {
				t.Error(err)
			}
		})
	}
	w.servers[0].Addr(f[2])
	return w
}

func own(format string, i int) string {
	return netip.MustParsePrefix(format[:len(format)-len("%d/24")] + string(rune('1'+i)) + format[len(format)-3:]).String()
}

// stranger is the end of a connection that is not there.
func (w *world) stranger(family string) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParsePrefix(families[family][0]).Addr(), 9)
}

// listen opens the service's port on a server, whose kernel then would answer
// for it.
func (w *world) listen(i, port int) *net.TCPListener {
	w.t.Helper()
	var l net.Listener
	w.servers[i].Do(func() (err error) {
		c := net.ListenConfig{}
		c.SetMultipathTCP(false)
		l, err = c.Listen(w.t.Context(), "tcp", netip.AddrPortFrom(netip.IPv6Unspecified(), uint16(port)).String())
		return err
	})
	w.t.Cleanup(func() { l.Close() })
	return l.(*net.TCPListener)
}

func (w *world) dial(port int) *net.TCPConn {
	w.t.Helper()
	var conn *net.TCPConn
	w.client.Do(func() error {
		d := net.Dialer{Timeout: hang}
		c, err := d.DialContext(w.t.Context(), "tcp", netip.AddrPortFrom(w.service.Addr(), uint16(port)).String())
		if err == nil {
			conn = c.(*net.TCPConn)
		}
		return err
	})
	w.own(conn)
	return conn
}

func (w *world) own(c *net.TCPConn) {
	w.t.Cleanup(func() { _ = c.SetLinger(0); c.Close() })
	_ = c.SetDeadline(time.Now().Add(hang))
}

func (w *world) accept(l *net.TCPListener) *net.TCPConn {
	w.t.Helper()
	c, err := l.AcceptTCP()
	if err != nil {
		w.t.Fatal(err)
	}
	w.own(c)
	return c
}

func (w *world) freeze(c *net.TCPConn) (*tcprepair.Frozen, *tcprepair.Dump) {
	w.t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		w.t.Fatal(err)
	}
	var f *tcprepair.Frozen
	var d *tcprepair.Dump
	if cerr := raw.Control(func(fd uintptr) {
		if f, err = w.stacks[w.at].Freeze(int(fd)); err == nil {
			d, err = f.Dump()
		}
	}); cerr != nil {
		err = cerr
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return f, d
}

// restore makes the sockets on the other server, where the address must be.
func (w *world) restore(dumps []*tcprepair.Dump) []*tcprepair.Restored {
	w.t.Helper()
	var all []*tcprepair.Restored
	w.servers[1-w.at].Do(func() error {
		for _, d := range dumps {
			r, err := w.stacks[1-w.at].Restore(d)
			if err != nil {
				return err
			}
			all = append(all, r)
		}
		return nil
	})
	return all
}

func (w *world) live(r *tcprepair.Restored) *net.TCPConn {
	w.t.Helper()
	if err := r.Live(); err != nil {
		w.t.Fatal(err)
	}
	c, err := r.Conn()
	if err != nil {
		w.t.Fatal(err)
	}
	w.own(c)
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func send(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if _, err := c.Write([]byte(s)); err != nil {
		t.Fatalf("write %q: %v", s, err)
	}
}

func get(t *testing.T, c net.Conn, s string) {
	t.Helper()
	b := make([]byte, len(s))
	for n := 0; n < len(b); {
		k, err := c.Read(b[n:])
		if err != nil {
			t.Fatalf("read %q: %v after %q", s, err, b[:n])
		}
		n += k
	}
	if string(b) != s {
		t.Fatalf("read %q, want %q", b, s)
	}
}
