// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"fmt"

	"lazystate/internal/seqnum"
	"lazystate/mtcp"
)

// Obey returns the socket that a move wants at the new server: the queues cut
// to what moves, the numbers and the state that go with them. c and m come from
// mtcp.Place and mtcp.Cut over this dump's Endpoint; local and remote are the
// connection's ends there. What is behind Una and not behind Nxt counts as sent;
// where the client has said what it has (m was fixed up), call Resend.
func (d *Dump) Obey(c mtcp.Connection, m mtcp.Move) (*Dump, error) {
	n := *d
	n.State = m.State()
	if err := n.obeyDown(c.Down, m); err != nil {
		return nil, fmt.Errorf("socket at the new server: %w", err)
	}
	if err := n.obeyUp(c.Up, m); err != nil {
		return nil, fmt.Errorf("socket at the new server: %w", err)
	}
	return &n, n.Check()
}

func (d *Dump) obeyDown(down mtcp.Stream, m mtcp.Move) error {
	from := down.Seq(m.Send.From)
	skip, n := int64(int32(from-d.outFirst())), int64(m.Send.Len())
	if skip < 0 || skip+n > int64(len(d.Out)) {
		return invalid("send queue", "%d bytes from %d are wanted of %d from %d", n, from, len(d.Out), d.outFirst())
	}
	d.Out = d.Out[skip : skip+n]
	sent := d.Nxt
	d.Una, d.Write = from, from+seqnum.Value(n)
	if d.State.OwnFin() {
		d.Write++
	}
	if d.State.OwnFinAcked() {
		d.Una = d.Write
	}
	d.Nxt = between(d.Una, sent, d.Write)
	return nil
}

func (d *Dump) obeyUp(up mtcp.Stream, m mtcp.Move) error {
	base := d.inEnd() - seqnum.Value(len(d.In)) // the number of the first unread byte
	read := up.Seq(m.Read)
	if read != base {
		return invalid("receive queue", "it begins at %d, the application had read to %d", base, read)
	}
	keep := uint64(0) // what the box does not have
	if m.Log.To > m.Read {
		keep = m.Log.To - m.Read
	}
	if keep > uint64(len(d.In)) {
		return invalid("receive queue", "%d bytes are wanted of %d", keep, len(d.In))
	}
	right := d.Ack + seqnum.Value(d.Window.Receive) // a granted window does not shrink
	d.In = d.In[:keep]
	d.Unread = uint32(keep)
	d.RcvNxt = up.Seq(m.ImplicitAck)
	if m.PeerFin {
		d.RcvNxt++
	}
	if d.RcvNxt.Less(d.Ack) {
		d.Ack = d.RcvNxt
	}
	d.Window.Receive = uint32(d.Ack.Size(right))
	return nil
}

// between returns v, or the end of [first, last] that it lies beyond.
func between(first, v, last seqnum.Value) seqnum.Value {
	switch {
	case v.Less(first):
		return first
	case last.Less(v):
		return last
	}
	return v
}
