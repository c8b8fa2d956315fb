// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"fmt"
	"net/netip"

	"lazystate/internal/seqnum"
	"lazystate/mtcp/wire"
)

// request is what S2 asks S1 for, on behalf of a client (state request, §2.5.3).
type request struct {
	cert           wire.Certificate
	next           seqnum.Value
	client, server netip.AddrPort // as S2 sees them
}

const addrLen = 16 + 2

func (r request) append(b []byte) []byte {
	b = le.AppendUint32(append(b, r.cert[:]...), uint32(r.next))
	return appendEnd(appendEnd(b, r.client), r.server)
}

// appendEnd and parseEnd are an address and a port.
func appendEnd(b []byte, a netip.AddrPort) []byte {
	ip := a.Addr().As16()
	return le.AppendUint16(append(b, ip[:]...), a.Port())
}

func parseEnd(b []byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b)).Unmap(), le.Uint16(b[16:]))
}

func parseRequest(b []byte) (r request, err error) {
	if len(b) != wire.CertLen+4+2*addrLen {
		return r, &MalformedError{"state request", fmt.Sprintf("%d bytes", len(b))}
	}
	r.cert, r.next = wire.Certificate(b[:wire.CertLen]), seqnum.Value(le.Uint32(b[wire.CertLen:]))
	b = b[wire.CertLen+4:]
	r.client, r.server = parseEnd(b), parseEnd(b[addrLen:])
	return r, nil
}

// attempt tells a client's attempts to move one session apart (MIGRATE_REFUSE
// carries it): by the flow on which S2 was asked. Where an address translator
// changes that, a client that stays is not understood by S1, and S2 has to say so.
func attempt(client, server netip.AddrPort) uint8 {
	n := wire.ServerID(client) ^ wire.ServerID(server)*31
	return uint8(n ^ n>>8 ^ n>>16 ^ n>>24)
}
