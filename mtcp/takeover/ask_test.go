// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/internal/seqnum"
	"lazystate/mtcp/tcprepair"
	"lazystate/mtcp/wire"
)

// The old server died when some of what it sent had arrived, and some had not.
// Nobody but the client knows how much; under the guard it is asked, and gets
// the rest at once.
func TestAskUnderTheGuard(t *testing.T) {
	for family := range families {
		t.Run(family, func(t *testing.T) {
			w := newWorld(t, family)
			listeners := []*net.TCPListener{w.listen(0, 8000), w.listen(1, 8000)}
			client, server := w.dial(8000), w.accept(listeners[0])
			text := strings.Repeat("0123456789", 1000)
			raw, err := client.SyscallConn()
			must(t, err)
			filter := func(on bool) {
				_ = raw.Control(func(fd uintptr) {
					if on {
						drop := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K}
						must(t, unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop}))
					} else {
						must(t, unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0))
					}
				})
			}
			filter(true)
			send(t, server, text)
			leaving, err := w.links[0].Leave(w.service.Addr())
			must(t, err)
			frozen, d := w.freeze(server)
			filter(false)
			w.servers[0].Do(func() error { return deliver(d, text[:4000]) })
			must(t, leaving.Release())

			arriving, err := w.links[1].Arrive(w.service)
			must(t, err)
			must(t, arriving.Announce())
			var asker *tcprepair.Asker
			w.servers[1].Do(func() (err error) { asker, err = w.links[1].Asker(w.service.Addr()); return err })
			defer asker.Close()
			stranger := *d // whom nobody knows
			stranger.Remote = w.stranger(family)
			nowhere := *d // to whom no route leads: the others are asked all the same
			nowhere.Remote = netip.MustParseAddrPort(map[string]string{"ipv4": "203.0.113.9:1", "ipv6": "[2001:db8::9]:1"}[family])
			n, err := asker.Ask([]*tcprepair.Dump{&nowhere, d, &stranger}, 10, 50*time.Millisecond)
			if !errors.Is(err, unix.ENETUNREACH) || n != 1 {
				t.Fatalf("%d answered, %v", n, err)
			}
			if len(d.Out) != len(text)-4000 || d.Nxt != d.Una || len(stranger.Out) != len(text) || stranger.Nxt == stranger.Una {
				t.Fatalf("%d bytes from %d, nxt %d; the other %d", len(d.Out), d.Una, d.Nxt, len(stranger.Out))
			}
			r := w.restore([]*tcprepair.Dump{d})[0]
			must(t, arriving.Open())
			moved := w.live(r)
			must(t, leaving.Done())
			must(t, frozen.Discard())
			get(t, client, text)
			send(t, client, "thanks")
			get(t, moved, "thanks")
		})
	}
}

// deliver sends a socket's data as the socket would have, past the guard.
func deliver(d *tcprepair.Dump, text string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	to := unix.Sockaddr(&unix.SockaddrInet4{Addr: [4]byte(d.Remote.Addr().AsSlice()[:4])})
	if d.Remote.Addr().Is6() {
		unix.Close(fd)
		fd, err = unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		to = &unix.SockaddrInet6{Addr: d.Remote.Addr().As16()}
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, tcprepair.ProbeMark); err != nil {
		return err
	}
	for off := 0; off < len(text); off += 1000 {
		seg, err := wire.Segment{Src: d.Local, Dst: d.Remote, Seq: d.Una + seqnum.Value(off), Ack: d.RcvNxt, Flags: wire.ACK, Window: 1000, Payload: []byte(text[off : off+1000])}.Append(nil)
		if err != nil {
			return err
		}
		if err := unix.Sendto(fd, seg, 0, to); err != nil {
			return err
		}
	}
	return nil
}
