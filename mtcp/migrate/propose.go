// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"fmt"
	"net/netip"

	"lazystate/backdoor/uapi"
	"lazystate/mtcp/steer"
)

// proposal is what S1 wants S2 to take on: the sessions of an address, or one
// session with its ends as S1 sees them.
type proposal struct {
	way  Way
	addr netip.Addr // ByTakeover
	flow steer.Flow // ByGateway
	name string     // likewise: of the service
}

func (p proposal) String() string {
	if p.way == ByTakeover {
		return p.addr.String()
	}
	return p.flow.String()
}

func (p proposal) append(b []byte) []byte {
	b = append(b, byte(p.way))
	if p.way == ByTakeover {
		a := p.addr.As16()
		return append(b, a[:]...)
	}
	return append(appendEnd(appendEnd(b, p.flow.Local), p.flow.Remote), p.name...)
}

func parseProposal(b []byte) (proposal, error) {
	bad := func() (proposal, error) {
		return proposal{}, &MalformedError{"proposal", fmt.Sprintf("%d bytes", len(b))}
	}
	if len(b) == 0 {
		return bad()
	}
	p := proposal{way: Way(b[0])}
	switch {
	case p.way == ByTakeover && len(b) == 17:
		p.addr = netip.AddrFrom16([16]byte(b[1:])).Unmap()
	case p.way == ByGateway && len(b) >= 1+2*addrLen && len(b) < 1+2*addrLen+uapi.CboxName:
		p.flow = steer.Flow{Local: parseEnd(b[1:]), Remote: parseEnd(b[1+addrLen:])}
		p.name = string(b[1+2*addrLen:])
	default:
		return bad()
	}
	return p, nil
}
