// SPDX-License-Identifier: Apache-2.0

package extract

import (
	"cmp"
	"slices"

	"lazystate/internal/seqnum"
	"lazystate/mtcp"
	"lazystate/mtcp/tcprepair"
)

// assembly is a socket on its way to a dump.
type assembly struct {
	s     *socket
	d     *tcprepair.Dump
	most  uint64 // bytes of a queue
	holes []Hole
	notes []string
}

// Hole is a run of numbers of the send queue whose bytes could not be told from
// memory that was being changed. Dump.Out has zeros there.
type Hole struct {
	From, To seqnum.Value
	Why      error
}

// reconcile makes one state of what the queues and the socket say. The rules,
// where somebody was inside:
//
//   - the queues' numbers outrank the socket's, which are written before them
//     (receiving: rcv_nxt) or behind them (sending: snd_nxt);
//   - what was received ends where the receive queue ends without a gap, and
//     must reach what was acknowledged: the peer sends the rest again;
//   - the first sk_buff of the write queue counts as sent: the device may have
//     had it before snd_nxt says so, and MAX must not be wound down (§3.6.5);
//   - the end of what was written is that of the last sk_buff;
//   - a FIN counts if its sk_buff is there, whatever the state says.
//
// With nobody inside queues and socket must agree, or the socket is damaged.
func (w *walk) reconcile(most uint64) (*assembly, error) {
	s := w.s
	a := &assembly{s: s, most: most, d: &tcprepair.Dump{
		Local: s.local, Remote: s.remote, Window: s.window, Negotiated: s.negotiated, Options: s.options(w.congestion),
	}}
	a.d.State, a.d.Una, a.d.Ack = s.state, s.sndUna, s.rcvWup
	for _, q := range []*queue{&w.receive, &w.write, &w.rtx} {
		if q.err != nil && (!s.held || w.tooMuch(q)) {
			return a, q.err
		}
	}
	if err := a.incoming(w.receive.skbs); err != nil {
		return a, err
	}
	if err := a.outgoing(w.outgoing(), w.write.skbs); err != nil {
		return a, err
	}
	return a, nil
}

func (a *assembly) incoming(skbs []*skb) error {
	s := a.s
	tiles := make([]tile, 0, len(skbs))
	for _, k := range skbs {
		if s.copied.Less(k.end) {
			tiles = append(tiles, k.received(s.held))
		}
	}
	slices.SortStableFunc(tiles, func(x, y tile) int { return cmp.Compare(int32(x.from-s.copied), int32(y.from-s.copied)) })
	at, fin, why := s.copied, false, error(nil)
	for i := range tiles {
		t := &tiles[i]
		if t.to.Less(at) || t.to == at && !t.fin {
			continue
		}
		if fin || at.Less(t.from) {
			why = lost(Torn, "the receive queue has a gap at %d", at)
			break
		}
		if why = t.why; why != nil {
			break
		}
		a.d.In = append(a.d.In, t.bytes[t.from.Size(at):]...)
		at, fin = t.to, t.fin
		a.note(t)
	}
	if uint64(len(a.d.In)) > a.most {
		return lost(TooLarge, "a receive queue of %d bytes", len(a.d.In))
	}
	return a.receivedTo(at, fin, why)
}

// receivedTo decides what has been received: the bytes to at, and a FIN that
// is in the queue.
func (a *assembly) receivedTo(at seqnum.Value, fin bool, why error) error {
	s, d := a.s, a.d
	d.Unread = uint32(len(d.In))
	d.RcvNxt = at
	told := s.state.PeerFin() // tcp_fin has been here
	eaten := told && !fin && len(d.In) == 0 && s.copied == s.rcvNxt
	if fin && told {
		d.RcvNxt++
	}
	switch {
	case fin && !told && !s.held:
		return lost(Damaged, "a FIN was received in %v", s.state)
	case told && !fin && !eaten:
		return firstOf(why, lost(Torn, "the peer's FIN is not in the receive queue"))
	case !s.held && d.RcvNxt != s.rcvNxt:
		return lost(Damaged, "received to %d, the queue ends at %d (%v)", s.rcvNxt, d.RcvNxt, why)
	case d.RcvNxt.Less(d.Ack):
		return firstOf(why, lost(Torn, "acknowledged to %d, the receive queue ends at %d", d.Ack, d.RcvNxt))
	}
	return nil
}

func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func (a *assembly) note(t *tile) {
	const changing = "bytes of a file or of a process's memory, which may have changed (sendfile, zero copy)"
	if t.changing && !slices.Contains(a.notes, changing) {
		a.notes = append(a.notes, changing)
	}
}

// outgoing lays the tiles from una on.
func (a *assembly) outgoing(tiles []tile, write []*skb) error {
	s, d := a.s, a.d
	at, fin := s.sndUna, false
	for i := range tiles {
		t := &tiles[i]
		if t.to.Less(at) || t.to == at && !t.fin {
			continue
		}
		if fin {
			return lost(Damaged, "a sk_buff to send behind the FIN")
		}
		switch {
		case t.to.Less(t.from):
			return t.why
		case uint64(s.sndUna.Size(t.to)) > a.most:
			return lost(TooLarge, "a send queue to %d, from %d on", t.to, s.sndUna)
		}
		if at.Less(t.from) {
			a.hole(at, t.from, lost(Torn, "a sk_buff to send is in neither queue"))
			at = t.from
		}
		if t.bytes == nil {
			a.hole(at, t.to, t.why)
		} else {
			d.Out = append(d.Out, t.bytes[t.from.Size(at):]...)
			a.note(t)
		}
		at, fin = t.to, t.fin
	}
	return a.writtenTo(at, fin, write)
}

func (a *assembly) hole(from, to seqnum.Value, why error) {
	if from == to {
		return
	}
	a.d.Out = append(a.d.Out, make([]byte, from.Size(to))...)
	a.holes = append(a.holes, Hole{from, to, why})
}

// writtenTo decides what has been written and sent: the bytes to at, and a FIN
// that is in a queue.
func (a *assembly) writtenTo(at seqnum.Value, fin bool, write []*skb) error {
	s, d := a.s, a.d
	fin, err := a.ownFin(at, fin)
	if err != nil || d.State.OwnFinAcked() {
		d.Write, d.Nxt, d.Out = s.sndUna, s.sndUna, nil
		return err
	}
	d.Write = at
	if fin {
		d.Write++
	}
	switch beyond := int32(s.writeSeq - d.Write); {
	case beyond == 0, beyond < 0 && s.held: // what is queued is counted a moment later
	case beyond < 0 || !s.held:
		return lost(Damaged, "written to %d, the queues end at %d", s.writeSeq, d.Write)
	case uint64(beyond) > a.most:
		return lost(TooLarge, "written to %d, the queues end at %d", s.writeSeq, d.Write)
	default:
		a.lastHole(at)
	}
	d.Nxt = s.sndNxt
	switch {
	case s.held:
		d.Nxt = a.perhapsSent(write)
	case len(a.holes) > 0:
		return a.holes[0].Why
	}
	if d.Nxt.Less(d.Una) || d.Write.Less(d.Nxt) {
		return lost(Damaged, "una %d, nxt %d, written to %d", d.Una, d.Nxt, d.Write)
	}
	return nil
}

// lastHole is what is written and in no queue: the end of a sk_buff that is being
// cut in two (net/ipv4/tcp_output.c, tso_fragment), and the FIN behind it.
func (a *assembly) lastHole(at seqnum.Value) {
	to := a.s.writeSeq
	if a.d.State.OwnFin() {
		to--
	}
	a.hole(at, to, lost(Torn, "the last sk_buff to send is in neither queue"))
	a.d.Write = a.s.writeSeq
}

// perhapsSent is MAX: what may be under way already is the write queue's first.
func (a *assembly) perhapsSent(write []*skb) seqnum.Value {
	nxt := a.s.sndNxt
	for _, k := range write {
		if k.seq.LessEq(a.s.sndNxt) && a.s.sndNxt.Less(k.end) {
			nxt = seqnum.Max(nxt, k.end)
		}
	}
	if a.d.Write.Less(nxt) {
		nxt = a.d.Write
	}
	return nxt
}

// ownFin decides how far the socket's own end has come, and whether its FIN is
// behind at. The state changes before the FIN is queued, and after it is
// acknowledged (net/ipv4/tcp.c, __tcp_close; net/ipv4/tcp_input.c,
// tcp_rcv_state_process).
func (a *assembly) ownFin(at seqnum.Value, fin bool) (bool, error) {
	s, d := a.s, a.d
	acked := s.sndUna == s.writeSeq && at == s.sndUna && !fin
	switch {
	case fin && (!s.state.OwnFin() || s.state.OwnFinAcked()):
		return false, lost(Damaged, "a FIN to send in %v", s.state)
	case fin, !s.state.OwnFin():
		return fin, nil
	case s.state.OwnFinAcked():
		if !acked {
			return false, lost(Damaged, "%v, una %d, written to %d", s.state, s.sndUna, s.writeSeq)
		}
		return false, nil
	case !s.held:
		return false, lost(Damaged, "%v without a FIN", s.state)
	case s.writeSeq == at+1: // on its way into a queue, or from one to the other
		return true, nil
	case acked && s.owned || s.writeSeq == at && s.state == mtcp.Closing:
		// Not yet queued, or acknowledged: the numbers are the same.
		return false, lost(Torn, "%v, and the FIN is in no queue", s.state)
	case acked && s.state == mtcp.FinWait1:
		d.State = mtcp.FinWait2
		return false, nil
	case acked:
		return false, lost(Unmovable, "%v, and all is acknowledged", s.state)
	case s.writeSeq == at:
		d.State = map[mtcp.State]mtcp.State{mtcp.FinWait1: mtcp.Established, mtcp.LastAck: mtcp.CloseWait}[s.state]
	}
	return false, nil
}
