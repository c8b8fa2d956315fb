// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/internal/netrig"
	"lazystate/internal/seqnum"
	"lazystate/mtcp"
	"lazystate/tools/lab"
)

// pair makes a connection whose streams begin at numbers of our choice: both
// ends are restored from dumps that nobody took.
func (w *world) pair(port uint16, up, down seqnum.Value) (client, server *net.TCPConn) {
	w.t.Helper()
	c, s := netip.AddrPortFrom(w.clientIP, port), netip.AddrPortFrom(w.ours, 8000)
	made := func(local, remote netip.AddrPort, out, in seqnum.Value) *Dump {
		return &Dump{
			Local: local, Remote: remote,
			Endpoint:   mtcp.Endpoint{State: mtcp.Established, Una: out, Nxt: out, Write: out, RcvNxt: in, Ack: in},
			Window:     Window{Wl1: in, Send: 1 << 16, SendMost: 1 << 16, Receive: 1 << 16, Clamp: 1 << 20, SendBuffer: 87040, RecvBuffer: 131072, BufferLocks: 0},
			Negotiated: Negotiated{MSS: 1440, Scaled: true, SendScale: 8, RecvScale: 8, SACK: true, Stamped: true, Timestamp: uint32(out)},
			Options:    NewOptions(),
		}
	}
	restored := func(h *netrig.Host, d *Dump) (r *Restored) {
		h.Do(func() error {
			stack, err := Open()
			if err != nil {
				return err
			}
			w.t.Cleanup(stack.Close)
			r, err = stack.Restore(d)
			return err
		})
		return r
	}
	// Neither may hear of the other before it is there: it would be reset.
	rs, rc := restored(w.servers[w.at], made(s, c, down, up)), restored(w.client, made(c, s, up, down))
	return w.live(rc), w.live(rs)
}

// Both sides write and read as fast as they can while the connection moves at
// random moments, its numbers wrap around, and both halves close at the end.
func TestMovesUnderLoad(t *testing.T) {
	hops := 12
	if lab.InGuest() {
		hops = 6 // under emulation
	}
	for i, f := range families[:2] {
		for j, first := range []seqnum.Value{1, ^seqnum.Value(0) - 1000, 1<<31 - 100_000} {
			t.Run(fmt.Sprintf("%s from %d", f.name, first), func(t *testing.T) {
				w := newWorld(t, f.v6)
				rng := rand.New(rand.NewPCG(uint64(i), uint64(j)))
				client, server := w.pair(40000, first, first-5000)
				var over atomic.Bool
				c := &netrig.Pump{Conn: client, InStream: downStream, OutStream: upStream, Over: &over, Seed: 1}
				s := &netrig.Pump{Conn: server, InStream: upStream, OutStream: downStream, Over: &over, Seed: 2}
				c.Start()
				s.Start()
				for hop := range hops {
					time.Sleep(time.Duration(rng.IntN(20_000)) * time.Microsecond)
					if hop == hops-3 {
						over.Store(true)
					}
					s.Stop(t)
					conn, err := w.tryMove(s.Conn)
					over := err != nil // both halves are closed
					if over {
						conn = s.Conn
						_ = conn.SetDeadline(time.Now().Add(hang))
					}
					s = s.On(conn)
					s.Start()
					if over {
						break
					}
				}
				watch := time.AfterFunc(hang/2, func() { t.Logf("hangs:\n%s", w.sockets()) })
				defer watch.Stop()
				c.Finish(t)
				s.Finish(t)
				if c.In != s.Out || s.In != c.Out {
					t.Errorf("client read %d of %d, server %d of %d", c.In, s.Out, s.In, c.Out)
				}
				t.Logf("%d bytes up, %d down", s.In, c.In)
			})
		}
	}
}

// slowly is how many bytes a second a socket sends that is to have something left when
// it is frozen: of what the tests give it, its timer has two seconds' work.
const slowly = 50_000

// A frozen socket has data that it may send, and timers that would: nothing of
// it may reach the peer, which would acknowledge it to the new server. That is
// the deadlock of §3.6.5.
func TestFrozenSocketSendsNothingNew(t *testing.T) {
	const n = 100_000
	w := newWorld(t, false)
	client, server := w.connect("tcp4")
	do(t, server, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MAX_PACING_RATE, slowly)
	})
	sendPart(t, server, downStream, 0, n)
	f, d := w.freeze(server)
	if d.sent() == n {
		t.Fatal("everything was sent before the socket was frozen")
	}
	came := func() int {
		return length(t, client, unix.SIOCINQ)
	}
	time.Sleep(300 * time.Millisecond)
	if changed, err := differs(f); err != nil {
		t.Fatal(err)
	} else if changed { // by a segment that was past the filter
		if d, err = f.Dump(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond)
	}
	if got, most := came(), n-len(d.Out)+d.sent(); got > most {
		t.Errorf("the client has %d bytes, the dump says that %d were sent", got, most)
	}
	moved := w.arrive(d)
	getPart(t, client, downStream, 0, n)
	if err := f.Discard(); err != nil {
		t.Error(err)
	}
	sendPart(t, client, upStream, 0, 10)
	getPart(t, moved, upStream, 0, 10)
}

// While a send queue is read, whatever would make the socket send has the kernel
// count all of it as sent. The dump does not believe that, until the socket's timer
// has repeated a segment, which is one that was never sent.
func TestSentInNameOnly(t *testing.T) {
	const n = 100_000
	w := newWorld(t, false)
	client, server := w.connect("tcp4")
	do(t, server, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MAX_PACING_RATE, slowly)
	})
	sendPart(t, server, downStream, 0, n)
	f := fd(t, server, w.stacks[w.at].Freeze)
	f.measured = func(q int) {
		if q != sendQueue {
			return
		}
		if err := unix.SetsockoptInt(f.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil { // it pushes
			t.Error(err)
		}
	}
	dump := func() (sent int) {
		d, err := f.Dump()
		if err != nil {
			t.Fatal(err)
		}
		return n - len(d.Out) + d.sent()
	}
	came := func() int { return length(t, client, unix.SIOCINQ) }
	sent := dump()
	if unsent, err := unix.IoctlGetInt(f.fd, unix.SIOCOUTQNSD); err != nil || unsent != 0 {
		t.Fatalf("the kernel says that %d bytes are not sent (%v)", unsent, err)
	}
	if sent == n {
		t.Error("the dump says that everything was sent")
	}
	await(t, "what was sent", func() bool { return came() >= sent })
	if changed, err := differs(f); err != nil || changed && came() == sent {
		t.Errorf("changed: %v, %v", changed, err)
	}
	await(t, "what the timer sends", func() bool { return came() > sent })
	if changed, err := differs(f); err != nil || !changed {
		t.Errorf("the timer has sent something, changed: %v, %v", changed, err)
	}
	if sent = dump(); sent < came() {
		t.Errorf("the client has %d bytes, the dump says that %d were sent", came(), sent)
	}
	if err := f.Thaw(); err != nil {
		t.Fatal(err)
	}
	getPart(t, client, downStream, 0, n)
}

// A segment that was past the filter arrives between the call that measures a
// queue and the one that reads it: what was read then means nothing, and is read
// again. Here the socket hears again at that moment.
func TestTornDump(t *testing.T) {
	const up, late, down = 100, 10, 5000
	for _, c := range []struct {
		name     string
		at       int // which queue was measured
		in, left int
		happens  func(t *testing.T, client, server *net.TCPConn)
	}{
		{"bytes arrive", recvQueue, up + late, down, func(t *testing.T, client, server *net.TCPConn) {
			sendPart(t, client, upStream, up, late)
			await(t, "them", func() bool { return length(t, server, unix.SIOCINQ) == up+late })
		}},
		{"bytes are acknowledged", sendQueue, up, 0, func(t *testing.T, client, server *net.TCPConn) {
			do(t, client, hear)
			await(t, "the acknowledgement", func() bool { return length(t, server, unix.SIOCOUTQ) == 0 })
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, false)
			client, server := w.connect("tcp4")
			sendPart(t, client, upStream, 0, up)
			await(t, "the data", func() bool { return length(t, server, unix.SIOCINQ) == up })
			do(t, client, w.stacks[0].deafen)
			sendPart(t, server, downStream, 0, down)
			f := fd(t, server, w.stacks[0].Freeze)
			do(t, server, hear)
			torn := false
			f.measured = func(q int) {
				if q == c.at && !torn {
					torn = true
					c.happens(t, client, server)
				}
			}
			d, err := f.Dump()
			if err != nil {
				t.Fatal(err)
			}
			if !torn || len(d.In) != c.in || len(d.Out) != c.left {
				t.Errorf("%d bytes in, %d out; want %d, %d", len(d.In), len(d.Out), c.in, c.left)
			}
			if err := errors.Join(netrig.Verify(d.In, upStream, 0), netrig.Verify(d.Out, downStream, 0)); err != nil {
				t.Error(err)
			}
		})
	}
}

func length(t *testing.T, c *net.TCPConn, which uint) int {
	t.Helper()
	return fd(t, c, func(fd int) (int, error) { return unix.IoctlGetInt(fd, which) })
}
