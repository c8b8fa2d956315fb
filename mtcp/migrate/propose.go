// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"fmt"
	"net/netip"
)

// proposal is what S1 wants S2 to take on: the sessions of an address.
type proposal struct {
	way  Way
	addr netip.Addr
}

func (p proposal) append(b []byte) []byte {
	a := p.addr.As16()
	return append(append(b, byte(p.way)), a[:]...)
}

func parseProposal(b []byte) (proposal, error) {
	if len(b) != 17 {
		return proposal{}, &MalformedError{"proposal", fmt.Sprintf("%d bytes", len(b))}
	}
	return proposal{Way(b[0]), netip.AddrFrom16([16]byte(b[1:])).Unmap()}, nil
}
