// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// many opens n connections, whose descriptors at the server are returned.
func (w *world) many(n int) (clients, servers []*net.TCPConn) {
	w.t.Helper()
	l := w.listen("tcp4")
	for range n {
		client, server := w.dial(l)
		clients, servers = append(clients, client), append(servers, server)
	}
	return clients, servers
}

// drain moves all connections, one step at a time, and tells how much of the
// processor each step took.
func (w *world) drain(servers []*net.TCPConn) (moved []*net.TCPConn, steps [4]time.Duration) {
	w.t.Helper()
	n := len(servers)
	frozen, dumps, restored := make([]*Frozen, n), make([]*Dump, n), make([]*Restored, n)
	fds := make([]int, n)
	for i, c := range servers {
		fds[i] = fd(w.t, c, func(fd int) (int, error) { return fd, nil })
	}
	here, there := w.stacks[w.at], w.stacks[1-w.at]
	w.servers[w.at].Do(func() error {
		steps[0] = w.each(n, func(i int) (err error) { frozen[i], err = here.Freeze(fds[i]); return err })
		steps[1] = w.each(n, func(i int) (err error) { dumps[i], err = frozen[i].Dump(); return err })
		return nil
	})
	w.servers[1-w.at].Do(func() error {
		steps[2] = w.each(n, func(i int) (err error) { restored[i], err = there.Restore(dumps[i]); return err })
		w.each(n, func(i int) (err error) {
			for err == nil && w.changed(frozen[i]) {
				restored[i].Abandon()
				if dumps[i], err = frozen[i].Dump(); err == nil {
					restored[i], err = there.Restore(dumps[i])
				}
			}
			return err
		})
		w.switchTo(1 - w.at)
		steps[3] = w.each(n, func(i int) error { return restored[i].Live() })
		return nil
	})
	for i, r := range restored {
		c, err := r.Conn()
		if err != nil {
			w.t.Fatal(err)
		}
		w.own(c)
		moved = append(moved, c)
		if err := frozen[i].Discard(); err != nil {
			w.t.Fatal(err)
		}
	}
	return moved, steps
}

// each runs f n times on a thread of its own caller and returns the processor's
// time for it.
func (w *world) each(n int, f func(i int) error) time.Duration {
	var before, after unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &before)
	for i := range n {
		if err := f(i); err != nil {
			w.t.Error(err)
		}
	}
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &after)
	return time.Duration(after.Nano() - before.Nano())
}

// A server is drained of many sessions at once, each with something in both
// queues, and all of them go on.
func TestDrain(t *testing.T) {
	const n = 200
	w := newWorld(t, false)
	clients, servers := w.many(n)
	for hop := range uint64(2) {
		for i, c := range clients {
			sendPart(t, c, upStream, 2000*hop, 1000)
			sendPart(t, servers[i], downStream, 4000*hop, 4000)
		}
		moved, steps := w.drain(servers)
		t.Logf("per session: freeze %v, dump %v, restore %v, live %v", steps[0]/n, steps[1]/n, steps[2]/n, steps[3]/n)
		for i, c := range clients {
			sendPart(t, c, upStream, 2000*hop+1000, 1000)
			getPart(t, moved[i], upStream, 2000*hop, 2000)
			getPart(t, c, downStream, 4000*hop, 4000)
		}
		servers = moved
	}
}

// The server's time for a session in a batch of 1,000 (Prism: 232 us a hand-off;
// a Linux baseline of Capybara's: about 50).
func BenchmarkDrain(b *testing.B) {
	const n = 1000
	b.ReportAllocs()
	var sum [4]time.Duration
	for b.Loop() {
		func() {
			w := newWorld(b, false)
			_, servers := w.many(n)
			_, steps := w.drain(servers)
			for i := range sum {
				sum[i] += steps[i]
			}
		}()
	}
	all := time.Duration(0)
	for i, what := range []string{"freeze", "dump", "restore", "live"} {
		b.ReportMetric(float64(sum[i].Microseconds())/float64(n*b.N), what+"-us")
		all += sum[i]
	}
	b.ReportMetric(float64(all.Microseconds())/float64(n*b.N), "session-us")
	b.ReportMetric(0, "ns/op")
}

// From the first moment at which the peer is not heard to the first at which it
// is again, without the network between the servers.
func BenchmarkFrozenToLive(b *testing.B) {
	w := newWorld(b, false)
	client, server := w.connect("tcp4")
	var sum time.Duration
	for i := uint64(0); b.Loop(); i++ {
		raw := fd(b, server, func(fd int) (int, error) { return fd, nil })
		var f *Frozen
		var wire []byte
		begin := time.Now()
		w.servers[w.at].Do(func() (err error) {
			begin = time.Now()
			if f, err = w.stacks[w.at].Freeze(raw); err != nil {
				return err
			}
			d, err := f.Dump()
			if err == nil {
				wire = d.AppendBinary(nil)
			}
			sum += time.Since(begin)
			return err
		})
		var r *Restored
		w.servers[1-w.at].Do(func() error {
			begin = time.Now()
			d, err := Parse(wire, 1<<20)
			if err == nil {
				r, err = w.stacks[1-w.at].Restore(d)
			}
			sum += time.Since(begin)
			return err
		})
		w.switchTo(1 - w.at)
		begin = time.Now()
		if err := r.Live(); err != nil {
			b.Fatal(err)
		}
		sum += time.Since(begin)
		if err := f.Discard(); err != nil {
			b.Fatal(err)
		}
		server.Close()
		c, err := r.Conn()
		if err != nil {
			b.Fatal(err)
		}
		server = c
		sendPart(b, client, upStream, i, 1)
		getPart(b, server, upStream, i, 1)
	}
	server.Close()
	b.ReportMetric(float64(sum.Nanoseconds())/1e3/float64(b.N), "frozen-us")
	b.ReportMetric(0, "ns/op")
}

func (w *world) own(c *net.TCPConn) {
	w.t.Cleanup(func() { _ = c.SetLinger(0); c.Close() })
	_ = c.SetDeadline(time.Now().Add(hang))
}

// listen opens a port of the service on the server that the client talks to.
func (w *world) listen(network string) net.Listener {
	w.t.Helper()
	var l net.Listener
	listen := net.ListenConfig{}
	listen.SetMultipathTCP(false)
	host := w.ours.String()
	if network == "tcp" {
		host = "" // one socket for both families
	}
	w.servers[w.at].Do(func() (err error) {
		l, err = listen.Listen(w.t.Context(), network, net.JoinHostPort(host, "0"))
		return err
	})
	w.t.Cleanup(func() { l.Close() })
	return l
}

// dial returns both ends of a connection to a listener.
func (w *world) dial(l net.Listener) (client, server *net.TCPConn) {
	w.t.Helper()
	port := l.Addr().(*net.TCPAddr).Port
	w.client.Do(func() error {
		d := net.Dialer{Timeout: hang}
		c, err := d.DialContext(w.t.Context(), "tcp", netip.AddrPortFrom(w.ours, uint16(port)).String())
		if err == nil {
			client = c.(*net.TCPConn)
		}
		return err
	})
	c, err := l.Accept()
	if err != nil {
		w.t.Fatal(err)
	}
	server = c.(*net.TCPConn)
	w.own(client)
	w.own(server)
	return client, server
}
