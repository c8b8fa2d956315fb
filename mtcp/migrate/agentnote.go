// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"fmt"
	"net/netip"

	"lazystate/internal/seqnum"
	"lazystate/mtcp/steer"
	"lazystate/mtcp/wire"
)

// agentNote is what an agent that is started anew has to know of a connection: what
// it was offered, where it is, and the move that it is in. Little-endian:
//
//	version u8, flags u8 (1: a move, 2: it may have switched), moves u32
//	certificates 8 each: of the offer, the present one
//	ends {address 16, port u16}: first and present server; the flow to the server that is
//	asked, local and remote; that to the one it had
//	nxt^C u32, lsr^C u32, implicit_ack u32, certificate 8: of the move
//	number of servers u8, their ends
type agentNote struct {
	offer, cert wire.Certificate
	first, at   netip.AddrPort
	moves       uint32
	servers     []netip.AddrPort
	move        *moveNote // nil: none
}

// moveNote is written before what it tells of is done.
type moveNote struct {
	to, old steer.Flow         // on the wire
	sndNxt  seqnum.Value       // of the request
	reply   *wire.MigrateReply // nil: there was none
}

const (
	noteVersion = 1
	noteMoves   = 1 << 0
	noteReplied = 1 << 1

	noteFixed = 1 + 1 + 4 + 2*wire.CertLen + 6*addrLen + 3*4 + wire.CertLen + 1
)

func (n *agentNote) append(b []byte) []byte {
	m, flags := moveNote{}, byte(0)
	if n.move != nil {
		m, flags = *n.move, noteMoves
	}
	r := wire.MigrateReply{}
	if m.reply != nil {
		r, flags = *m.reply, flags|noteReplied
	}
	b = le.AppendUint32(append(b, noteVersion, flags), n.moves)
	b = append(append(b, n.offer[:]...), n.cert[:]...)
	for _, a := range []netip.AddrPort{n.first, n.at, m.to.Local, m.to.Remote, m.old.Local, m.old.Remote} {
		b = appendEnd(b, a)
	}
	for _, v := range []seqnum.Value{m.sndNxt, r.LSRC, r.ImplicitAck} {
		b = le.AppendUint32(b, uint32(v))
	}
	b = append(append(b, r.Cert[:]...), byte(len(n.servers)))
	for _, a := range n.servers {
		b = appendEnd(b, a)
	}
	return b
}

func parseAgentNote(b []byte) (*agentNote, error) {
	if len(b) < noteFixed || b[0] != noteVersion || len(b) != noteFixed+int(b[noteFixed-1])*addrLen || b[noteFixed-1] > mostServers {
		return nil, &MalformedError{"note of a connection", fmt.Sprintf("%d bytes", len(b))}
	}
	flags := b[1]
	n := &agentNote{moves: le.Uint32(b[2:])}
	b = b[6:]
	end := func() (a netip.AddrPort) {
		a, b = parseEnd(b), b[addrLen:]
		return a
	}
	cert := func() (c wire.Certificate) {
		c, b = wire.Certificate(b[:wire.CertLen]), b[wire.CertLen:]
		return c
	}
	number := func() (v seqnum.Value) {
		v, b = seqnum.Value(le.Uint32(b)), b[4:]
		return v
	}
	n.offer, n.cert = cert(), cert()
	n.first, n.at = end(), end()
	m := &moveNote{to: steer.Flow{Local: end(), Remote: end()}, old: steer.Flow{Local: end(), Remote: end()}, sndNxt: number()}
	r := &wire.MigrateReply{LSRC: number(), ImplicitAck: number(), Cert: cert()}
	if flags&noteReplied != 0 {
		m.reply = r
	}
	if flags&noteMoves != 0 {
		n.move = m
	}
	for b = b[1:]; len(b) > 0; {
		n.servers = append(n.servers, end())
	}
	return n, nil
}

// remember notes a connection for the agent after this one; mu is held.
func (a *Agent) remember(f steer.Flow, s *clientSession) {
	n := agentNote{offer: s.offer, cert: s.cert, first: s.first, at: s.at, moves: uint32(s.moves), servers: s.servers, move: s.note}
	if err := a.steer.Note(f, n.append(nil)); err != nil {
		a.quiet.Warn("a connection that cannot move when the agent is started anew", "err", err)
	}
}
