// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
	"lazystate/mtcp"
	"lazystate/mtcp/cbox"
	"lazystate/mtcp/extract/extracttest"
	"lazystate/mtcp/tcprepair"
)

// Sessions go on at another server out of the memory of one that is dead: with
// requests that were read and not answered, answers that were not acknowledged,
// and nothing at all. Nothing is done twice and nothing is missing.
func TestSalvage(t *testing.T) {
	for family := range families {
		for _, policy := range []mtcp.Policy{mtcp.Minimal, mtcp.Whole} {
			for _, silent := range []bool{false, true} {
				name := family + " " + policy.String()
				if silent {
					name += " not asking"
				}
				t.Run(name, func(t *testing.T) {
					w := newWorld(t, family, adding)
					w.cfg.Policy, w.cfg.NotAsking = policy, silent
					clients := w.busy(6, 10, 5)
					w.die(nil)
					for i, a := range clients {
						a.ask(i % 3) // into nothing
					}
					r := w.salvage()
					if n := r.Saved(); n != len(clients) {
						t.Fatalf("%d saved: %+v", n, r.Sessions)
					}
					if !w.machine.Fenced() {
						t.Error("the dead machine is not fenced")
					}
					for _, a := range clients {
						a.rest()
						a.ask(20)
						a.rest()
					}
					for _, s := range r.Sessions {
						if s.Asked == silent {
							t.Errorf("%s asked: %v", s.Remote, s.Asked)
						}
					}
					t.Logf("%v, %d batches, %d bytes", r.Steps, r.Batches, r.Bytes)
				})
			}
		}
	}
}

// outcome is that of a client's session.
func outcome(t testing.TB, r *Report, a *adder) *Outcome {
	t.Helper()
	for i := range r.Sessions {
		if r.Sessions[i].Remote.String() == a.LocalAddr().String() {
			return &r.Sessions[i]
		}
	}
	t.Fatalf("%s is in no report", a.LocalAddr())
	return nil
}

// settled waits until the server has written so much to its only client.
func (w *world) settled(written uint64) {
	w.t.Helper()
	w.until(w.s1, nil, func(_, n uint64) bool { return n == written })
}

// read waits until a server has read so much of its only client.
func (w *world) read(s *server, read uint64) {
	w.t.Helper()
	w.until(s, nil, func(n, _ uint64) bool { return n == read })
}

// until waits for the session of a client, or for the only one there is. It looks less and less often: each look stops the session, and a server that wakes
// later than the next one, as on a busy host, would never come to anything.
func (w *world) until(s *server, of *adder, ok func(read, written uint64) bool) {
	w.t.Helper()
	pause := time.Millisecond
	for end := time.Now().Add(hang); ; time.Sleep(pause) {
		pause = min(2*pause, 100*time.Millisecond)
		all := s.keep.Sessions()
		for _, one := range all {
			if (of == nil && len(all) == 1 || of != nil && one.Remote.String() == of.LocalAddr().String()) && ok(s.offsets(one.ID)) {
				return
			}
		}
		if time.Now().After(end) {
			w.t.Fatal("the server does not come so far")
		}
	}
}

func (s *server) offsets(id cbox.ID) (read, written uint64) {
	s.w.t.Helper()
	held, err := s.keep.Hold(id, hang)
	s.w.must(err)
	defer held.Thaw()
	read, written, err = held.Box.Offsets(held.Conn)
	s.w.must(err)
	return read, written
}

// What was lost in flight with the server is sent again at once where the client
// is asked, and by a timer where it is not (§3.6.5).
func TestLostInFlight(t *testing.T) {
	for _, silent := range []bool{false, true} {
		t.Run(fmt.Sprintf("not asking %v", silent), func(t *testing.T) {
			w := newWorld(t, "ipv4", adding)
			w.cfg.NotAsking = silent
			a := w.dial()
			a.ask(100)
			a.hear(100)
			a.deaf(true)
			// Each answer may go out by itself, and the server's socket takes no more than
			// 83 of those: it would wait for room, of which no acknowledgement ever tells.
			a.ask(60)
			w.settled(8 * 160)
			w.die(nil)
			a.deaf(false)
			r := w.salvage()
			if r.Saved() != 1 {
				t.Fatalf("%+v", r.Sessions)
			}
			began := time.Now()
			a.rest()
			t.Logf("the client has the rest after %v", time.Since(began))
			a.ask(10)
			a.rest()
		})
	}
}

// A session that is damaged is named with the reason and its client is reset, the
// others go on.
func TestDamagedSessionIsNamed(t *testing.T) {
	for what, c := range map[string]struct {
		sock func(s *extracttest.Sock)
		box  func(w *world, page uint64)
		want string
	}{
		"socket":        {sock: func(s *extracttest.Sock) { s.Set("tcp_sock.copied_seq", 5) }, want: "damaged"},
		"a filter":      {sock: func(s *extracttest.Sock) { s.Set("sock.sk_filter", 4096) }, want: "filter"},
		"its addresses": {sock: func(s *extracttest.Sock) { s.Set("sock.sk_num", 1) }, want: "its socket is"},
		"box":           {box: func(w *world, page uint64) { w.machine.Poke64(page, 1) }, want: "magic"},
		"box that leaves": {box: func(w *world, page uint64) {
			w.machine.Poke(page+uapi.CboxHeadStateOff, []byte{uapi.CboxLeaving})
		}, want: ErrMoved.Error()},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t, "ipv4", adding)
			good, bad, good2 := w.dial(), w.dial(), w.dial()
			for _, a := range []*adder{good, bad, good2} {
				a.ask(3)
				a.rest()
			}
			victim := -1
			w.die(func(i int, d *tcprepair.Dump, s *extracttest.Sock) {
				if d.Remote.String() == bad.LocalAddr().String() {
					if victim = i; c.sock != nil {
						c.sock(s)
					}
				}
			})
			if c.box != nil {
				c.box(w, w.grave.Boxes[victim][0])
			}
			r := w.salvage()
			if o := outcome(t, r, bad); o.Err == nil || !strings.Contains(o.Err.Error(), c.want) {
				t.Errorf("%v, not %s", o.Err, c.want)
			}
			for _, a := range []*adder{good, good2} {
				if o := outcome(t, r, a); o.Err != nil {
					t.Error(o.Err)
				}
				a.ask(5)
				a.rest()
			}
			if _, err := bad.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the lost session's client: %v", err)
			}
		})
	}
}

// The congestion window is as it was, or, where the dead node was repairing a loss,
// as it was before (§3.6.5, step 6), and no route is left of it. Fresh: as of a new
// connection.
func TestWindowIsKept(t *testing.T) {
	for _, family := range []string{"ipv4", "ipv6"} {
		for name, c := range map[string]struct {
			prior uint64
			fresh bool
			want  uint32
		}{"kept": {want: 77}, "before the loss": {prior: 99, want: 99}, "fresh": {fresh: true, want: 10}} {
			t.Run(family+" "+name, func(t *testing.T) {
				w := newWorld(t, family, adding)
				w.cfg.Fresh = c.fresh
				a := w.dial()
				a.ask(3)
				a.rest()
				w.die(func(_ int, _ *tcprepair.Dump, s *extracttest.Sock) {
					s.Set("tcp_sock.snd_cwnd", 77)
					if c.prior != 0 {
						s.Set("tcp_sock.prior_cwnd", c.prior)
						s.SetBit("inet_connection_sock.icsk_ca_state", 4) // TCP_CA_Loss
					}
				})
				if r := w.salvage(); r.Saved() != 1 || len(r.Sessions[0].Notes) != 0 {
					t.Fatalf("%+v", r.Sessions)
				}
				if got := w.window(w.s2.keep.Sessions()[0].ID); got != c.want {
					t.Errorf("a window of %d segments, want %d", got, c.want)
				}
				w.noRoutes()
				a.ask(30)
				a.rest()
			})
		}
	}
}

// window is how many segments a session that lives at the recovery node may have under way.
func (w *world) window(id cbox.ID) uint32 {
	w.t.Helper()
	held, err := w.s2.keep.Hold(id, hang)
	w.must(err)
	defer held.Thaw()
	raw, err := held.Conn.SyscallConn()
	w.must(err)
	var info *unix.TCPInfo
	cerr := raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
	w.must(errors.Join(cerr, err))
	return info.Snd_cwnd
}

// A target that cannot be fenced keeps its addresses: it may only have been slow.
func TestNoFenceNoTakeover(t *testing.T) {
	w := newWorld(t, "ipv4", adding)
	a := w.dial()
	a.ask(3)
	a.rest()
	w.machine = bdtest.New(bdtest.WithBoxes(4, 4), bdtest.WithFence(), bdtest.WithKey(slot, uapi.Key{9}))
	target, err := backdoor.Open(t.Context(), w.machine.Memory())
	w.must(err)
	w.cfg.Target, w.fence.Timeout = target, 50*time.Millisecond
	if err := w.s2.Try(func() error { _, err := Run(t.Context(), w.cfg); return err }); err == nil || w.machine.Fenced() {
		t.Errorf("fenced: %v, %v", w.machine.Fenced(), err)
	}
	a.ask(3)
	a.rest()
}

// A session of two processes goes on, each from its own snapshot; what was in the
// rings between them is read out of their memory.
func TestTwoProcesses(t *testing.T) {
	w := newWorld(t, "ipv4", fronting, backing)
	clients := w.busy(4, 7, 5)
	w.die(nil)
	if r := w.salvage(); r.Saved() != len(clients) {
		t.Fatalf("%+v", r.Sessions)
	}
	for _, a := range clients {
		a.rest()
		a.ask(20)
		a.rest()
	}
}

// cutting is a carrier that cuts the target's port at a fence.
type cutting struct{ *bdtest.Memory }

func (c cutting) Caps() backdoor.Caps {
	caps := c.Memory.Caps()
	caps.CutsPort = true
	return caps
}

// Of a machine whose CPUs do not answer the port is cut, and that is enough: its
// sessions are salvaged. If the CPUs run meanwhile, what was read may be of two
// moments, so it is read again once they have stopped at the fence.
func TestPortAlone(t *testing.T) {
	for _, c := range []struct{ wakes, panicked bool }{{}, {wakes: true}, {panicked: true}, {wakes: true, panicked: true}} {
		t.Run(names("hangs", "wakes", c.wakes, "has panicked", c.panicked), func(t *testing.T) {
			wakes := c.wakes
			w := newWorld(t, "ipv4", adding)
			a := w.dial()
			a.ask(30)
			a.hear(10)
			w.die(nil)
			w.machine.Hang(true)
			if c.panicked {
				w.machine.Crash(uapi.PanicPanic, "the end")
			}
			w.fence.Timeout = 30 * time.Millisecond
			memory := w.machine.Memory()
			heads := 0
			w.carrier = cutting{memory}
			memory.Before(func(_ int, op *backdoor.Op) error {
				if op.Kind == backdoor.OpRead && len(op.Buf) == 4096 && op.Addr == w.grave.Boxes[0][0] { // the box is being read
					heads++
					w.machine.Hang(!wakes)
				}
				return nil
			})
			r := w.salvage()
			if want := map[bool]int{false: 1, true: 2}[wakes]; r.Saved() != 1 || w.machine.Fenced() != wakes || heads != want {
				t.Fatalf("fenced %v, read %d times, %+v", w.machine.Fenced(), heads, r.Sessions)
			}
			a.rest()
			a.ask(3)
			a.rest()
		})
	}
}

// The bound: 100 idle sessions in at most 10 remote batches, boxes and
// all, and the longest chain of sk_buffs beside.
func TestHundredSessions(t *testing.T) {
	w := newWorld(t, "ipv4", adding)
	clients := make([]*adder, 100)
	for i := range clients {
		clients[i] = w.dial()
		clients[i].ask(3)
		clients[i].rest()
	}
	w.die(nil)
	r := w.salvage()
	if r.Saved() != len(clients) {
		for _, s := range r.Sessions {
			if s.Err != nil {
				t.Error(s.Err)
			}
		}
	}
	for _, a := range clients {
		a.ask(2)
		a.rest()
	}
	// Nothing is in any queue; 128 operations are a batch, and a box takes two of
	// its steps and, as it does not lie in one piece, more than one operation each.
	if r.Batches > 10 {
		t.Errorf("%d batches", r.Batches)
	}
	t.Logf("%v, %d batches, %d bytes", r.Steps, r.Batches, r.Bytes)
}
