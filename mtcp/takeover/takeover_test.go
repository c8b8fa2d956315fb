// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"errors"
	"net"
	"syscall"
	"testing"

	"lazystate/mtcp/tcprepair"
)

// take moves connections and their address to the other server.
func (w *world) take(conns []*net.TCPConn) []*net.TCPConn {
	w.t.Helper()
	leaving, err := w.links[w.at].Leave(w.service.Addr())
	must(w.t, err)
	var dumps []*tcprepair.Dump
	var frozen []*tcprepair.Frozen
	for _, c := range conns {
		f, d := w.freeze(c)
		frozen, dumps = append(frozen, f), append(dumps, d)
	}
	arriving, err := w.links[1-w.at].Arrive(leaving.Prefix())
	must(w.t, err)
	restored := w.restore(dumps) // what has come since, the guard lets nobody be told of
	must(w.t, leaving.Release())
	must(w.t, arriving.Open())
	var here []*net.TCPConn
	for _, r := range restored {
		here = append(here, w.live(r))
	}
	must(w.t, leaving.Done())
	for _, f := range frozen {
		must(w.t, f.Discard())
	}
	w.at = 1 - w.at
	return here
}

// The address and its sessions go back and forth; clients are in the middle of
// everything, both kernels have a listener on the port, and nobody is reset.
func TestTakeover(t *testing.T) {
	for family := range families {
		t.Run(family, func(t *testing.T) {
			const n = 20
			w := newWorld(t, family)
			var listeners [2]*net.TCPListener
			for i := range listeners {
				listeners[i] = w.listen(i, 8000)
			}
			var clients, servers []*net.TCPConn
			for range n {
				clients = append(clients, w.dial(8000))
				servers = append(servers, w.accept(listeners[0]))
			}
			for hop := range 4 {
				for i, c := range clients {
					if i%3 > 0 {
						send(t, c, "up before")
					}
					if i%2 > 0 {
						send(t, servers[i], "down before")
					}
				}
				servers = w.take(servers)
				for i, c := range clients {
					send(t, c, "up after")
					send(t, servers[i], "down after")
				}
				for i, c := range clients {
					if i%3 > 0 {
						get(t, servers[i], "up before")
					}
					if i%2 > 0 {
						get(t, c, "down before")
					}
					get(t, servers[i], "up after")
					get(t, c, "down after")
				}
				fresh := w.dial(8000)
				server := w.accept(listeners[w.at])
				send(t, fresh, "new")
				get(t, server, "new")
				_ = hop
			}
		})
	}
}

// Without the guard, the kernel whose socket is gone resets the client: what
// the guard is for, and that this test would see it.
func TestWithoutGuardTheClientIsReset(t *testing.T) {
	w := newWorld(t, "ipv4")
	l := w.listen(0, 8000)
	client, server := w.dial(8000), w.accept(l)
	f, _ := w.freeze(server)
	must(t, f.Discard())
	_, err := client.Write([]byte("x"))
	for err == nil {
		_, err = client.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v", err)
	}
}

// Both sides give up in the middle: the session goes on where it was.
func TestUndo(t *testing.T) {
	for family := range families {
		t.Run(family, func(t *testing.T) {
			w := newWorld(t, family)
			l := w.listen(0, 8000)
			w.listen(1, 8000)
			client, server := w.dial(8000), w.accept(l)
			for _, released := range []bool{false, true} {
				send(t, client, "one")
				leaving, err := w.links[0].Leave(w.service.Addr())
				must(t, err)
				f, d := w.freeze(server)
				send(t, client, "two")
				arriving, err := w.links[1].Arrive(leaving.Prefix())
				must(t, err)
				r := w.restore([]*tcprepair.Dump{d})[0]
				if released {
					must(t, leaving.Release())
					must(t, arriving.Announce())
				}
				send(t, client, "three")
				r.Abandon()
				must(t, arriving.Undo())
				must(t, leaving.Undo())
				must(t, f.Thaw())
				send(t, server, "four")
				get(t, server, "onetwothree")
				get(t, client, "four")
			}
		})
	}
}
