// SPDX-License-Identifier: Apache-2.0

package mtcp

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"lazystate/internal/seqnum"
)

func sprint(v any) string { return fmt.Sprint(v) }

func cut(t *testing.T, s Snapshot, up Up, down Down, c Client, p Policy) Move {
	t.Helper()
	m, err := Cut(s, up, down, c, p)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var estab = State(Established)

// §2.5.1, Equation 2.1: lsr^C = max(next^C(t_init), una^S1(t_migr)). Either may
// be the later: acknowledgements arrive after the client asked, and may be
// lost before. Numbers wrap around between the two, or before both.
func TestPaperEquation21(t *testing.T) {
	for _, first := range []seqnum.Value{0, 0xffffffff - 20, 0xffffffff - 90, 0xffffffff - 500} {
		conn := Connection{Down: Stream{First: first}}
		for _, c := range []struct{ next, una, want uint64 }{{100, 80, 100}, {100, 130, 130}, {100, 100, 100}, {10, 180, 180}} {
			down := Down{Una: c.una, Nxt: 200, Written: 200, State: estab}
			client, err := conn.Client(conn.Down.Seq(c.next), down)
			if err != nil {
				t.Fatal(err)
			}
			m := cut(t, Snapshot{LSW: 200}, Up{}, down, client, Minimal)
			if m.LSRC != c.want || conn.Reply(m).LSRC != conn.Down.Seq(c.want) {
				t.Errorf("first %#x: max(%d, %d) = %d, and the client is told %d", first, c.next, c.una, m.LSRC, conn.Reply(m).LSRC)
			}
		}
	}
}

// Equation 2.2: lsw^C = max(una^C(t_init), ack^S1(t_migr)), which is the
// second, because the client learns of acknowledgements from S1 alone.
func TestPaperEquation22(t *testing.T) {
	m := cut(t, Snapshot{LSR: 10}, Up{Read: 40, Ack: 70, Next: 90}, Down{State: estab}, Client{Known: true}, Minimal)
	if m.LSWC != 70 {
		t.Errorf("lsw^C = %d", m.LSWC)
	}
}

// §2.5.3: lsr^C and lsw^S determine the part of the send buffer that moves.
func TestPaperSendBuffer(t *testing.T) {
	m := cut(t, Snapshot{LSW: 150}, Up{}, Down{Una: 80, Nxt: 180, Written: 200, State: estab}, Client{Known: true, Next: 100}, Minimal)
	if m.Send != (Span{100, 150}) || m.Discard != 0 || m.Head != 150 {
		t.Errorf("%+v", m)
	}
}

// §2.5.3: if that part is empty, lsr^C - lsw^S bytes have reached the client
// and are discarded by the new server from what the replay makes.
func TestPaperSendBytesDiscard(t *testing.T) {
	m := cut(t, Snapshot{LSW: 60}, Up{}, Down{Una: 80, Nxt: 180, Written: 200, State: estab}, Client{Known: true, Next: 100}, Minimal)
	if !m.Send.Empty() || m.Discard != 40 || m.Head != 100 {
		t.Errorf("%+v", m)
	}
}

// §2.5.3: lsw^C and lsr^S determine the part of the received data that moves,
// and implicit_ack = max(lsr^S, lsw^C) what the client must not send again.
func TestPaperReceiveLogAndImplicitAck(t *testing.T) {
	m := cut(t, Snapshot{LSR: 10}, Up{Read: 40, Ack: 70, Next: 90}, Down{State: estab}, Client{Known: true}, Minimal)
	if m.Log != (Span{10, 70}) || m.ImplicitAck != 70 {
		t.Errorf("%+v", m)
	}
	// "lsr^S is included [...] to account for the case when the receive log is empty".
	m = cut(t, Snapshot{LSR: 80}, Up{Read: 80, Ack: 70, Next: 90}, Down{State: estab}, Client{Known: true}, Minimal)
	if !m.Log.Empty() || m.ImplicitAck != 80 {
		t.Errorf("empty log: %+v", m)
	}
}

// §2.5.3: delta_fixup_rcv = next^C - lsr^C bytes came in on the old connection
// while MIGRATING. S2 drops up to so many from the front of its send buffer
// and adds what is left of them to snd_bytes_discard.
func TestPaperFixup(t *testing.T) {
	m := cut(t, Snapshot{LSW: 150}, Up{}, Down{Una: 80, Nxt: 180, Written: 200, State: estab}, Client{Known: true, Next: 100}, Minimal)
	for _, c := range []struct {
		delta uint64
		send  Span
		disc  uint64
	}{{0, Span{100, 150}, 0}, {30, Span{130, 150}, 0}, {50, Span{150, 150}, 0}, {70, Span{170, 170}, 20}} {
		f, err := m.Fixup(c.delta)
		if err != nil || f.Send != c.send || f.Discard != c.disc || f.Head != f.LSW+f.Discard {
			t.Errorf("delta %d: %+v, %v", c.delta, f, err)
		}
	}
	if _, err := m.Fixup(81); err == nil {
		t.Error("the client has received what S1 never sent, and nobody minds")
	}
}

// §2.5.3: the client trims its send buffer by implicit_ack and answers with
// what it received since S1 computed lsr^C.
func TestPaperClientOnReply(t *testing.T) {
	h := Half{Una: 0xfffffff0, Nxt: 20, RcvNxt: 5}
	una, delta, err := h.OnReply(Reply{LSRC: 0xfffffffe, ImplicitAck: 8})
	if err != nil || una != 8 || delta != 7 {
		t.Errorf("una %d, delta %d, %v", una, delta, err)
	}
	for _, r := range []Reply{{LSRC: 6, ImplicitAck: 8}, {LSRC: 5, ImplicitAck: 21}, {LSRC: 5, ImplicitAck: 0xffffffef}} {
		if _, _, err := h.OnReply(r); err == nil {
			t.Errorf("%+v was taken", r)
		}
	}
}

// §2.5.3: what a client claims to have received was sent.
func TestPaperRequestIsChecked(t *testing.T) {
	conn := Connection{Down: Stream{First: 0xffffff00}}
	down := Down{Una: 0x80, Nxt: 0x180, Written: 0x200, State: estab}
	c, err := conn.Client(0x40, down)
	if err != nil || c.Next != 0x140 || c.Fin {
		t.Errorf("%+v, %v", c, err)
	}
	var bad *InconsistentError
	if _, err := conn.Client(0x81, down); !errors.As(err, &bad) {
		t.Errorf("a byte that was not sent: %v", err)
	}
	if c, err := conn.Client(0xffffff90, Down{Una: 0x80, Nxt: 0x80, Written: 0x80, Fin: FinSent, State: FinWait1}); err == nil {
		t.Errorf("more than the FIN: %+v", c)
	}
}

// §3.6.5, step 1: without the client's word the send window stays as it was.
// If MAX <= lsw, [una, lsw) goes along; else [una, MAX), and MAX - lsw bytes of
// the replay are discarded.
func TestPaperClientNotAsked(t *testing.T) {
	m := cut(t, Snapshot{LSW: 190}, Up{}, Down{Una: 80, Nxt: 180, Written: 200, State: estab}, Client{}, Minimal)
	if m.Send != (Span{80, 190}) || m.Discard != 0 {
		t.Errorf("snapshot behind the last byte sent: %+v", m)
	}
	m = cut(t, Snapshot{LSW: 120}, Up{}, Down{Una: 80, Nxt: 180, Written: 200, State: estab}, Client{}, Minimal)
	if m.Send != (Span{80, 180}) || m.Discard != 60 {
		t.Errorf("snapshot before it: %+v", m)
	}
}

// The one form of cutDown is both branches of it, whatever was sent, held and exported.
func TestPaperSendSideBranches(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 365))
	var first, held int
	for range 10_000 {
		una := rng.Uint64N(50)
		next := una + rng.Uint64N(50)     // MAX
		written := next + rng.Uint64N(50) // of which the rest was never sent
		lsw := rng.Uint64N(written + 50)  // beyond: held in the box
		snd, discard := Span{una, next}, next-min(next, lsw)
		if next <= lsw {
			snd, discard = Span{una, lsw}, 0
			first++
		}
		if lsw > written {
			held++
		}
		m := cut(t, Snapshot{LSW: lsw}, Up{}, Down{Una: una, Nxt: next, Written: written, State: estab}, Client{}, Minimal)
		if got := (Span{m.Send.From, m.Held.To}); got != snd || m.Discard != discard || m.Send.To != m.Held.From {
			t.Fatalf("una %d, MAX %d, written %d, lsw %d: %v and %v, %d discarded; printed are %v and %d", una, next, written, lsw, m.Send, m.Held, m.Discard, snd, discard)
		}
	}
	if first < 1000 || first > 9000 || held < 1000 {
		t.Errorf("%d of the first branch, %d with held output", first, held)
	}
}

// The same, step 2, with the printed [lsw, ack) read as [lsr, ack) (lsw belongs
// to the other stream); and the greedy alternative that it mentions.
func TestPaperReceiveBufferPolicies(t *testing.T) {
	up := Up{Read: 40, Ack: 70, Next: 90}
	if m := cut(t, Snapshot{LSR: 10}, up, Down{State: estab}, Client{}, Minimal); m.Log != (Span{10, 70}) {
		t.Errorf("minimal: %v", m.Log)
	}
	if m := cut(t, Snapshot{LSR: 10}, up, Down{State: estab}, Client{}, Whole); m.Log != (Span{10, 90}) || m.ImplicitAck != 90 {
		t.Errorf("greedy: %v, implicit_ack %d", m.Log, m.ImplicitAck)
	}
}

// §2.4.1: a session without a snapshot goes on from the reproducible initial
// state: all that was read since accept comes again, all that was written is
// discarded.
func TestPaperInitialState(t *testing.T) {
	m := cut(t, Snapshot{}, Up{Read: 40, Ack: 40, Next: 40}, Down{Una: 500, Nxt: 500, Written: 500, State: estab}, Client{Known: true, Next: 500}, Minimal)
	if m.Log != (Span{0, 40}) || m.Discard != 500 || !m.Send.Empty() {
		t.Errorf("%+v", m)
	}
}
