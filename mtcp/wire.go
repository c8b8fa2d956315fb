// SPDX-License-Identifier: Apache-2.0

package mtcp

import (
	"fmt"

	"lazystate/internal/seqnum"
)

// Reply is MIGRATE_REPLY: what S2's SYN+ACK tells the client.
type Reply struct{ LSRC, ImplicitAck seqnum.Value }

// Client reads MIGRATE_REQUEST at S1: next is next^C(t_init). A client cannot
// have received what was never sent.
func (c Connection) Client(next seqnum.Value, down Down) (Client, error) {
	end := c.Down.Seq(down.Nxt)
	if down.Fin >= FinSent {
		end++
	}
	if end.Less(next) {
		return Client{}, &InconsistentError{"next^C", fmt.Sprint(next), fmt.Sprintf("at most %d, which S1 has sent", end)}
	}
	if down.Fin >= FinSent && next == end {
		return Client{Known: true, Next: down.Nxt, Fin: true}, nil
	}
	off, ok := c.Down.Offset(next, down.Nxt)
	if !ok {
		return Client{}, &InconsistentError{"next^C", fmt.Sprint(next), "a byte of this connection"}
	}
	return Client{Known: true, Next: off}, nil
}

// Reply returns what the client is told of a move. The numbers count FINs.
func (c Connection) Reply(m Move) Reply {
	r := Reply{c.Down.Seq(m.LSRC), c.Up.Seq(m.ImplicitAck)}
	if m.ClientFin {
		r.LSRC++
	}
	if m.PeerFin {
		r.ImplicitAck++
	}
	return r
}

// Half is the client's end of the connection, in TCP's numbers.
type Half struct {
	Una, Nxt seqnum.Value // its send buffer: first byte not acknowledged, first not sent
	RcvNxt   seqnum.Value // next^C
}

// OnReply is what the client does with MIGRATE_REPLY: it drops from its send
// buffer what S2 has got from S1, and says how much it received from S1 since
// S1 computed lsr^C (RCVD_WHILE_MIGRATING).
func (h Half) OnReply(r Reply) (una seqnum.Value, delta seqnum.Size, err error) {
	if !r.ImplicitAck.LessEq(h.Nxt) || !h.Una.LessEq(r.ImplicitAck) {
		return 0, 0, &InconsistentError{"implicit_ack", fmt.Sprint(r.ImplicitAck), fmt.Sprintf("between %d and %d", h.Una, h.Nxt)}
	}
	if !r.LSRC.LessEq(h.RcvNxt) {
		return 0, 0, &InconsistentError{"lsr^C", fmt.Sprint(r.LSRC), fmt.Sprintf("at most next^C %d", h.RcvNxt)}
	}
	return r.ImplicitAck, r.LSRC.Size(h.RcvNxt), nil
}
