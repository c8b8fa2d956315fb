// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"lazystate/internal/seqnum"
	"lazystate/verbs/driver"
)

// REQ asks for a connection (table 106).
type REQ struct {
	LocalCommID         uint32
	ServiceID           ServiceID
	LocalCAGUID         uint64
	LocalQKey           uint32
	LocalQPN            uint32 // 24 bits
	ResponderResources  uint8  // READs and atomics the sender answers at once
	LocalEECN           uint32
	InitiatorDepth      uint8 // and asks at once
	RemoteEECN          uint32
	RemoteCMTimeout     uint8 // exponent for Timeout, 5 bits
	TransportService    uint8 // 2 bits; 0: reliable connection
	EndToEndFlowControl bool

	// StartingPSN is where the *receiver* of this message begins to send.
	StartingPSN seqnum.PSN

	LocalCMTimeout uint8 // 5 bits
	RetryCount     uint8 // 3 bits
	PKey           uint16
	PathMTU        driver.MTU // 4 bits
	RDCExists      bool
	RNRRetryCount  uint8 // 3 bits; 7: for ever
	MaxCMRetries   uint8 // 4 bits
	SRQ            bool
	ExtTransport   uint8 // 3 bits
	Primary        Path
	Alternate      Path
	SAPSupported   bool
	PrivateData    [92]byte
}

// Path is the way between two ports, as a REQ has it.
type Path struct {
	LocalLID, RemoteLID uint16 // 0xffff with RoCE
	LocalGID, RemoteGID driver.GID
	FlowLabel           uint32 // 20 bits
	PacketRate          uint8  // 6 bits
	TrafficClass        uint8
	HopLimit            uint8
	SL                  uint8 // 4 bits
	SubnetLocal         bool
	LocalAckTimeout     uint8 // 5 bits
}

const pathLen = 44

func (p *Path) decode(b *[pathLen]byte) {
	p.LocalLID, p.RemoteLID = be.Uint16(b[0:]), be.Uint16(b[2:])
	p.LocalGID, p.RemoteGID = driver.GID(b[4:20]), driver.GID(b[20:36])
	p.FlowLabel, p.PacketRate = be.Uint32(b[36:])>>12, b[39]&0x3f
	p.TrafficClass, p.HopLimit = b[40], b[41]
	p.SL, p.SubnetLocal = b[42]>>4, b[42]&8 != 0
	p.LocalAckTimeout = b[43] >> 3
}

func (p *Path) encode(b *[pathLen]byte) {
	be.PutUint16(b[0:], p.LocalLID)
	be.PutUint16(b[2:], p.RemoteLID)
	copy(b[4:], p.LocalGID[:])
	copy(b[20:], p.RemoteGID[:])
	be.PutUint32(b[36:], p.FlowLabel<<12|uint32(p.PacketRate&0x3f))
	b[40], b[41] = p.TrafficClass, p.HopLimit
	b[42] = p.SL<<4 | bit(p.SubnetLocal, 3)
	b[43] = p.LocalAckTimeout << 3
}

// Decode reads the message.
func (r *REQ) Decode(d *CMData) {
	r.LocalCommID = be.Uint32(d[0:])
	r.ServiceID = ServiceID(be.Uint64(d[8:]))
	r.LocalCAGUID = be.Uint64(d[16:])
	r.LocalQKey = be.Uint32(d[28:])
	r.LocalQPN, r.ResponderResources = get24(d[32:]), d[35]
	r.LocalEECN, r.InitiatorDepth = get24(d[36:]), d[39]
	r.RemoteEECN = get24(d[40:])
	r.RemoteCMTimeout, r.TransportService, r.EndToEndFlowControl = d[43]>>3, d[43]>>1&3, d[43]&1 != 0
	r.StartingPSN = seqnum.NewPSN(get24(d[44:]))
	r.LocalCMTimeout, r.RetryCount = d[47]>>3, d[47]&7
	r.PKey = be.Uint16(d[48:])
	r.PathMTU, r.RDCExists, r.RNRRetryCount = driver.MTU(d[50]>>4), d[50]&8 != 0, d[50]&7
	r.MaxCMRetries, r.SRQ, r.ExtTransport = d[51]>>4, d[51]&8 != 0, d[51]&7
	r.Primary.decode((*[pathLen]byte)(d[52:]))
	r.Alternate.decode((*[pathLen]byte)(d[96:]))
	r.SAPSupported = d[139]&4 != 0
	r.PrivateData = [92]byte(d[140:])
}

// Encode writes the message into d, which PutMAD has cleared.
func (r *REQ) Encode(d *CMData) {
	be.PutUint32(d[0:], r.LocalCommID)
	be.PutUint64(d[8:], uint64(r.ServiceID))
	be.PutUint64(d[16:], r.LocalCAGUID)
	be.PutUint32(d[28:], r.LocalQKey)
	put24(d[32:], r.LocalQPN)
	d[35] = r.ResponderResources
	put24(d[36:], r.LocalEECN)
	d[39] = r.InitiatorDepth
	put24(d[40:], r.RemoteEECN)
	d[43] = r.RemoteCMTimeout<<3 | r.TransportService&3<<1 | bit(r.EndToEndFlowControl, 0)
	put24(d[44:], uint32(r.StartingPSN))
	d[47] = r.LocalCMTimeout<<3 | r.RetryCount&7
	be.PutUint16(d[48:], r.PKey)
	d[50] = uint8(r.PathMTU)<<4 | bit(r.RDCExists, 3) | r.RNRRetryCount&7
	d[51] = r.MaxCMRetries<<4 | bit(r.SRQ, 3) | r.ExtTransport&7
	r.Primary.encode((*[pathLen]byte)(d[52:]))
	r.Alternate.encode((*[pathLen]byte)(d[96:]))
	d[139] |= bit(r.SAPSupported, 2)
	copy(d[140:], r.PrivateData[:])
}
