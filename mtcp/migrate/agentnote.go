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
// it was offered, where it is, the move that it is in, and the server that it was given to
// and that was silent. Little-endian:
//
//	version u8, flags u8 (1: a move, 2: it may have switched, 4: one that was given up), moves u32
//	certificates 8 each: of the offer, the present one
//	ends {address 16, port u16}: first and present server
//	the move: ends of the flow to the server that is asked, local and remote, and of that to
//	the one it had; nxt^C u32, lsr^C u32, implicit_ack u32, certificate 8
//	number of servers u8, their ends
//	if there is one: the move that was given up, likewise
type agentNote struct {
	offer, cert wire.Certificate
	first, at   netip.AddrPort
	moves       uint32
	servers     []netip.AddrPort
	move        *moveNote // nil: none
	given       *moveNote // nil: none; it has a reply
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
	noteGiven   = 1 << 2

	moveLen   = 4*addrLen + 3*4 + wire.CertLen
	noteFixed = 1 + 1 + 4 + 2*wire.CertLen + 2*addrLen + moveLen + 1

	_ = uint(steer.NoteMost - (noteFixed + mostServers*addrLen + moveLen)) // the longest fits
)

func (n *agentNote) append(b []byte) []byte {
	m, flags := moveNote{}, byte(0)
	if n.move != nil {
		m, flags = *n.move, noteMoves
	}
	if m.reply != nil {
		flags |= noteReplied
	}
	if n.given != nil {
		flags |= noteGiven
	}
	b = le.AppendUint32(append(b, noteVersion, flags), n.moves)
	b = append(append(b, n.offer[:]...), n.cert[:]...)
	b = m.append(appendEnd(appendEnd(b, n.first), n.at))
	b = append(b, byte(len(n.servers)))
	for _, a := range n.servers {
		b = appendEnd(b, a)
	}
	if n.given != nil {
		b = n.given.append(b)
	}
	return b
}

func (m *moveNote) append(b []byte) []byte {
	r := wire.MigrateReply{}
	if m.reply != nil {
		r = *m.reply
	}
	for _, a := range []netip.AddrPort{m.to.Local, m.to.Remote, m.old.Local, m.old.Remote} {
		b = appendEnd(b, a)
	}
	for _, v := range []seqnum.Value{m.sndNxt, r.LSRC, r.ImplicitAck} {
		b = le.AppendUint32(b, uint32(v))
	}
	return append(b, r.Cert[:]...)
}

// parseMove reads one, with a reply, of moveLen bytes.
func parseMove(b []byte) *moveNote {
	var ends [4]netip.AddrPort
	for i := range ends {
		ends[i] = parseEnd(b[i*addrLen:])
	}
	b = b[len(ends)*addrLen:]
	number := func(i int) seqnum.Value { return seqnum.Value(le.Uint32(b[4*i:])) }
	return &moveNote{to: steer.Flow{Local: ends[0], Remote: ends[1]}, old: steer.Flow{Local: ends[2], Remote: ends[3]}, sndNxt: number(0),
		reply: &wire.MigrateReply{LSRC: number(1), ImplicitAck: number(2), Cert: wire.Certificate(b[12:])}}
}

func parseAgentNote(b []byte) (*agentNote, error) {
	bad := &MalformedError{"note of a connection", fmt.Sprintf("%d bytes", len(b))}
	if len(b) < noteFixed || b[0] != noteVersion || b[noteFixed-1] > mostServers {
		return nil, bad
	}
	flags, servers := b[1], b[noteFixed:]
	n := &agentNote{moves: le.Uint32(b[2:])}
	if flags&noteGiven != 0 {
		if len(servers) < moveLen {
			return nil, bad
		}
		at := len(servers) - moveLen
		n.given, servers = parseMove(servers[at:]), servers[:at]
	}
	if len(servers) != int(b[noteFixed-1])*addrLen {
		return nil, bad
	}
	n.offer, n.cert = wire.Certificate(b[6:]), wire.Certificate(b[6+wire.CertLen:])
	b = b[6+2*wire.CertLen:]
	n.first, n.at = parseEnd(b), parseEnd(b[addrLen:])
	if flags&noteMoves != 0 {
		n.move = parseMove(b[2*addrLen:])
		if flags&noteReplied == 0 {
			n.move.reply = nil
		}
	}
	for ; len(servers) > 0; servers = servers[addrLen:] {
		n.servers = append(n.servers, parseEnd(servers))
	}
	return n, nil
}

// remember notes a connection for the agent after this one; mu is held.
func (a *Agent) remember(f steer.Flow, s *clientSession) {
	n := agentNote{offer: s.offer, cert: s.cert, first: s.first, at: s.at, moves: uint32(s.moves), servers: s.servers, move: s.note, given: s.given}
	if err := a.steer.Note(f, n.append(nil)); err != nil {
		a.quiet.Warn("a connection that cannot move when the agent is started anew", "err", err)
	}
}
