// SPDX-License-Identifier: Apache-2.0

package wire

import "net/netip"

// ServiceID is who is asked for. Of the RDMA IP CM service (annex A11) it is
// made of a protocol and a port.
type ServiceID uint64

// PortSpace is enum rdma_ucm_port_space: 0x0100 and the IP protocol.
type PortSpace uint16

const (
	PSTCP PortSpace = 0x0106 // RDMA_PS_TCP: reliable connections
	PSUDP PortSpace = 0x0111 // RDMA_PS_UDP: datagrams
)

// NewServiceID returns the service ID of a port.
func NewServiceID(ps PortSpace, port uint16) ServiceID {
	return ServiceID(ps)<<16 | ServiceID(port)
}

// Port returns what NewServiceID was given; false for an ID of another kind.
func (s ServiceID) Port() (PortSpace, uint16, bool) {
	return PortSpace(s >> 16), uint16(s), s>>24 == 1
}

// IPHeaderLen is what the IP CM service takes of a REQ's private data.
const IPHeaderLen = 36

// IPHeader is the header of the IP CM service in a REQ (A11.3.2): the addresses
// that the dialling program used. The destination port is in the service ID.
type IPHeader struct {
	SrcPort  uint16
	Src, Dst netip.Addr
}

// DecodeIPHeader reads the header from the private data of a REQ. A version
// other than 0 and an IP version other than 4 and 6 are ErrMAD.
func DecodeIPHeader(private *[92]byte) (IPHeader, error) {
	h := IPHeader{
		SrcPort: be.Uint16(private[2:]),
		Src:     netip.AddrFrom16([16]byte(private[4:])),
		Dst:     netip.AddrFrom16([16]byte(private[20:])),
	}
	switch {
	case private[0] != 0:
		return IPHeader{}, ErrMAD
	case private[1]>>4 == 4:
		h.Src = netip.AddrFrom4([4]byte(private[16:]))
		h.Dst = netip.AddrFrom4([4]byte(private[32:]))
	case private[1]>>4 != 6:
		return IPHeader{}, ErrMAD
	}
	return h, nil
}

// Encode writes the header; the user's private data follow at IPHeaderLen.
func (h *IPHeader) Encode(private *[92]byte) {
	clear(private[:IPHeaderLen])
	be.PutUint16(private[2:], h.SrcPort)
	if h.Src.Is4() && h.Dst.Is4() {
		private[1] = 4 << 4
		src, dst := h.Src.As4(), h.Dst.As4()
		copy(private[16:], src[:])
		copy(private[32:], dst[:])
		return
	}
	private[1] = 6 << 4
	src, dst := h.Src.As16(), h.Dst.As16()
	copy(private[4:], src[:])
	copy(private[20:], dst[:])
}
