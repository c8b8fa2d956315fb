// SPDX-License-Identifier: Apache-2.0

package mtcp

import "fmt"

// Snapshot is what the root process exported last, as far as the connection
// goes. The zero value is the initial state: the log began at accept.
type Snapshot struct {
	LSR, LSW uint64
	Actions  uint32 // actions on the socket before it
	Shut     bool   // one of them closed the sending half
}

// Client is what the client said of itself when it asked to move, at t_init.
// The zero value is a client that was not asked (§3.6.5: recovery must not
// involve it).
type Client struct {
	Known bool
	Next  uint64 // next^C: the first byte it has not received
	Fin   bool   // it has the server's FIN, too
}

// Move is what becomes of a connection: what goes along and where the new
// server begins. See Cut.
type Move struct {
	Snapshot
	LSRC        uint64 // lsr^C (Equation 2.1): S2's TCP sends from here
	ClientFin   bool   // the client has the server's FIN
	LSWC        uint64 // lsw^C (Equation 2.2)
	ImplicitAck uint64 // the client need not send what comes before
	Send        Span   // of S1's send buffer
	Held        Span   // released by an export, not yet given to TCP: from the box
	Log         Span   // received bytes: from the box up to Read, then from S1's receive buffer
	Read        uint64 // where S1's application had read to
	Head        uint64 // first byte that S2's application may add to the stream
	Discard     uint64 // snd_bytes_discard: how much of its replay is swallowed
	OwnFin      bool   // S2's TCP closes its sending half behind Head at once
	PeerFin     bool   // S2's TCP has the client's FIN already
	Repeat      bool   // the replay performs the actions it repeats, rather than have them swallowed

	down Down // at S1
}

// Cut decides what moves of a connection and where its ends go on (§2.5.3).
//
// Down: S2 sends from lsr^C. Minimal moves [lsr^C, lsw) and leaves the rest to
// the replay. A client that was not asked may have more than it acknowledged,
// and acknowledges it to S2: then all that was ever sent must move (§3.6.5),
// for an acknowledgement beyond what S2 sent would be thrown away for ever.
//
// Up: the log begins at lsr. Minimal moves what the client was told it may
// forget, [lsr, ack^S1); the client sends the rest again.
func Cut(s Snapshot, up Up, down Down, c Client, p Policy) (Move, error) {
	m := Move{Snapshot: s, Read: up.Read, down: down}
	if err := inOrder("lsr", s.LSR, up.Read); err != nil {
		return Move{}, err
	}
	if err := m.checkEnd(down); err != nil {
		return Move{}, err
	}
	m.cutDown(down, c, p)
	m.cutUp(up, p)
	return m, nil
}

// checkEnd: what lies behind a shutdown has all been written.
func (m *Move) checkEnd(down Down) error {
	if m.Shut && m.LSW < down.Written {
		return &InconsistentError{"lsw", fmt.Sprint(m.LSW), fmt.Sprintf("the end of a stream that is shut, %d", down.Written)}
	}
	if down.Fin != FinNone && m.LSW > down.Written {
		return &InconsistentError{"output behind the FIN", Span{down.Written, m.LSW}.String(), "none"}
	}
	return nil
}

// cutDown: Minimal, without the client's word, is §3.6.5's step 1 in one form instead of
// its two branches. What moves, with what is held, ends at max(lsw, MAX), and what the
// replay makes from lsw to that end is discarded. Where MAX <= lsw that is [una, lsw) and
// nothing, else [una, MAX) and MAX - lsw, as printed. MAX is Nxt: what lies behind it in
// the send buffer was never sent, and the replay makes it again. Whole moves that, too,
// and discards as much more. The client's word takes MAX's place: it has what it says,
// and nothing that it could acknowledge lies behind.
func (m *Move) cutDown(down Down, c Client, p Policy) {
	m.LSRC = down.Una
	m.ClientFin = down.Fin == FinSeen
	if c.Known { // Equation 2.1: it may have acknowledged more to S1 since it asked, and acknowledgements get lost
		m.LSRC = max(m.LSRC, c.Next)
		m.ClientFin = m.ClientFin || c.Fin
	}
	end := down.Written
	if p == Minimal {
		end = min(end, m.LSW)
		if !c.Known {
			end = max(end, down.Nxt)
		}
	}
	m.Send = Span{m.LSRC, max(end, m.LSRC)}
	m.Held = Span{m.Send.To, m.Send.To}
	if m.LSW > down.Written {
		m.Held.To = m.LSW
	}
	m.Head = m.Held.To
	m.Discard = m.Head - min(m.Head, m.LSW)
	// A FIN that nobody would send again goes along: the replay will not close
	// what was closed before the snapshot, and no TCP takes back a FIN it sent.
	m.OwnFin = m.Shut || m.ClientFin || down.Fin != FinNone && (p == Whole || !c.Known && down.Fin == FinSent)
	m.Repeat = p == Minimal && !m.OwnFin
}

func (m *Move) cutUp(up Up, p Policy) {
	m.LSWC = up.Ack // Equation 2.2: never less than what the client knows of
	end := up.Next
	m.PeerFin = up.Fin
	if p == Minimal {
		end = m.LSWC
		m.PeerFin = up.FinAcked
	}
	m.Log = Span{m.LSR, max(m.LSR, end)}
	m.ImplicitAck = max(m.LSR, end)
}

// Fixup takes into account what the client received from S1 while it was
// MIGRATING: delta_fixup_rcv bytes and perhaps the FIN, counted as TCP does.
// They are dropped from the front of the send buffer; what they exceed it by
// is discarded from the replay.
func (m Move) Fixup(delta uint64) (Move, error) {
	most := m.down.Nxt - min(m.down.Nxt, m.LSRC) // S1 never sent more
	if m.down.Fin >= FinSent && !m.ClientFin && delta == most+1 {
		m.ClientFin, m.OwnFin, m.Repeat = true, true, false
		delta--
	}
	if err := inOrder("bytes received while migrating", delta, most); err != nil {
		return Move{}, err
	}
	m.LSRC += delta
	if m.LSRC > m.Send.To {
		m.Send = Span{m.LSRC, m.LSRC}
		m.Held = m.Send // S1's TCP never had anything held
		m.Head = m.LSRC
	}
	m.Send.From = m.LSRC
	m.Discard = m.Head - min(m.Head, m.LSW)
	return m, nil
}

// State is the state in which S2's endpoint begins; State.Path leads there.
func (m Move) State() State {
	switch {
	case m.OwnFin && m.PeerFin && m.down.State == Closing:
		return Closing
	case m.OwnFin && m.PeerFin:
		return LastAck
	case m.OwnFin && m.ClientFin:
		return FinWait2
	case m.OwnFin:
		return FinWait1
	case m.PeerFin:
		return CloseWait
	}
	return Established
}
