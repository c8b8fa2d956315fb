// SPDX-License-Identifier: Apache-2.0

package mtcp

import (
	"bytes"

	"lazystate/internal/seqnum"
)

// restart: process i dies and begins again on the same machine. All others,
// and the socket, are as they were.
func (w *world) restart(i int) {
	w.resume(i)
	for key, c := range w.pipes {
		if key[0] == i {
			lsw := w.snaps[i].lsw[key[1]]
			c.ring = c.ring[:max(c.w.Head, lsw)-c.base]
			if c.w.Head < lsw {
				c.w = w.writer(lsw, c.w.Head, false)
				w.settle(i)
			}
			c.w = w.writer(lsw, c.w.Head, w.snaps[i].ndi)
		}
		if key[1] == i {
			c.r = w.reader(w.snaps[i].lsr[key[0]], max(c.w.Head, w.snaps[i].lsr[key[0]]))
		}
	}
	if i == 0 {
		w.down.Head = w.k.written()
		w.settle(0)
		w.hold = nil
		w.down = w.writer(w.snaps[0].lsw[Root], w.k.written(), w.snaps[0].ndi)
		w.up = w.reader(w.snaps[0].lsr[Root], w.k.rcvBase)
		w.actions = NewActions(w.snaps[0].actions, w.actions.Log, 4)
	}
}

func (w *world) resume(i int) { w.procs[i] = w.snaps[i].p }

func (w *world) reader(lsr, end uint64) Reader {
	r, err := NewReader(lsr, end, ringSize)
	if err != nil {
		w.fail("%v", err)
	}
	return r
}

func (w *world) writer(lsw, head uint64, ndi bool) Writer {
	wr, err := NewWriter(lsw, head, ndi)
	if err != nil {
		w.fail("%v", err)
	}
	return wr
}

// moving is a migration under way.
type moving struct {
	ask  bool // by the client, who goes on receiving
	next seqnum.Value
}

// begin: the client asks (t_init).
func (w *world) begin() *moving {
	w.client.moving = true
	return &moving{ask: true, next: w.k.iss + seqnum.Value(w.client.next())}
}

// move: S1's state is taken (t_migr) and S1 is dead. between runs until S2 is
// there: what is on its way from S1 still arrives.
func (w *world) move(m *moving, p Policy, between func()) {
	if !w.k.state.Movable() {
		w.client.moving = false
		return
	}
	conn, up, down, err := Place(w.k.endpoint(), w.k.rcvBase, w.k.written())
	if err != nil {
		w.fail("%v", err)
		return
	}
	var c Client
	if m.ask {
		if c, err = conn.Client(m.next, down); err != nil {
			w.fail("%v", err)
			return
		}
	}
	snap := Snapshot{LSR: w.snaps[0].lsr[Root], LSW: w.snaps[0].lsw[Root], Actions: w.snaps[0].actions, Shut: w.snaps[0].shut}
	cut, err := Cut(snap, up, down, c, p)
	if err != nil {
		w.fail("%v", err)
		return
	}
	s1, reply := *w.k, conn.Reply(cut)
	if cut.Send.From < s1.base || cut.Send.To > s1.written() {
		w.fail("S1 is to send %v and has %v", cut.Send, Span{s1.base, s1.written()})
		return
	}
	w.dead = true
	between()
	w.net.acks, w.net.upAcks = nil, nil
	if m.ask {
		if cut, err = w.handshake(conn, cut, reply); err != nil {
			w.fail("%v", err)
			return
		}
	}
	w.plant(&s1, cut, m.ask)
	for i := range w.procs {
		w.resume(i)
	}
	w.plantPipes(p)
	w.dead, w.client.moving = false, false
}

func (w *world) handshake(conn Connection, cut Move, r Reply) (Move, error) {
	h := Half{Una: conn.Up.First + seqnum.Value(w.client.una), Nxt: conn.Up.First + seqnum.Value(w.client.nxt), RcvNxt: w.k.iss + seqnum.Value(w.client.next())}
	una, delta, err := h.OnReply(r)
	if err != nil {
		return Move{}, err
	}
	w.client.una += uint64(una - h.Una)
	w.net.down = nil // BLACKHOLE: what still comes from S1 is ignored
	return cut.Fixup(uint64(delta))
}

// plant makes S2's socket and box of what moved, and of nothing else.
func (w *world) plant(s1 *tcp, m Move, asked bool) {
	k := &tcp{iss: s1.iss, irs: s1.irs, state: Established, base: m.LSRC, una: m.LSRC, nxt: m.LSRC}
	k.snd = bytes.Clone(s1.snd[m.Send.From-s1.base : m.Send.To-s1.base])
	held := w.hold[:m.Held.Len()]
	for i, b := range held {
		w.pass(0, Root, m.Held.From+uint64(i), b)
	}
	k.snd = append(k.snd, held...)
	w.hold = nil
	box, queue := m.Log.Clip(Span{0, m.Read}), m.Log.Clip(Span{m.Read, ^uint64(0)})
	w.log = bytes.Clone(w.log[:box.Len()])
	k.rcvBase = max(box.To, m.LSR)
	if !queue.Empty() {
		k.rcvBase = queue.From
		k.rcv = bytes.Clone(s1.rcv[queue.From-s1.rcvBase : queue.To-s1.rcvBase])
	}
	path, err := m.State().Path()
	if err != nil {
		w.fail("%v", err)
	}
	for _, e := range path {
		k.event(e)
	}
	if m.ClientFin { // nothing is before it: the FIN goes out again at once, and is acknowledged again
		k.nxt = k.end()
	}
	if k.state == FinWait2 {
		k.una = k.end()
	}
	if !asked {
		if k.nxt = s1.nxt; s1.nxt > k.end() {
			w.fail("S1 had sent up to %d, S2 has bytes up to %d only", s1.nxt, k.end())
		}
	}
	k.ack = k.rcvNxt()
	if m.ImplicitAck != min(k.rcvNxt(), k.rcvBase+uint64(len(k.rcv))) {
		w.fail("the client is told to send from %d, S2 awaits %d", m.ImplicitAck, k.rcvNxt())
	}
	w.k = k
	w.down = w.writer(m.LSW, m.Head, w.snaps[0].ndi)
	w.up = w.reader(m.LSR, k.rcvBase)
	log := w.actions.Log
	if m.Repeat {
		log = nil
	}
	w.actions = NewActions(m.Actions, log, 4)
}

func (w *world) plantPipes(p Policy) {
	for key, c := range w.pipes {
		lsw := w.snaps[key[0]].lsw[key[1]]
		res, err := Channel{LSR: w.snaps[key[1]].lsr[key[0]], LSW: lsw, Head: c.w.Head}.Sync(p)
		if err != nil {
			w.fail("%v", err)
			continue
		}
		for off := c.w.Head; off < res.Log.To; off++ {
			w.pass(key[0], key[1], off, c.ring[off-c.base])
		}
		c.ring, c.base = bytes.Clone(c.ring[res.Log.From-c.base:res.Log.To-c.base]), res.Log.From
		c.r = w.reader(res.Reader, res.Log.To)
		c.w = w.writer(res.Writer, res.Head, w.snaps[key[0]].ndi)
	}
}
