// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"lazystate/internal/seqnum"
	"lazystate/verbs/driver"
)

// CommIDs are the communication identifiers that every message but a REQ
// begins with: the sender's, and its peer's.
type CommIDs struct {
	LocalCommID, RemoteCommID uint32
}

func (c *CommIDs) decode(d *CMData) {
	c.LocalCommID, c.RemoteCommID = be.Uint32(d[0:]), be.Uint32(d[4:])
}

func (c *CommIDs) encode(d *CMData) {
	be.PutUint32(d[0:], c.LocalCommID)
	be.PutUint32(d[4:], c.RemoteCommID)
}

// MsgAbout is which message an MRA or a REJ speaks of.
type MsgAbout uint8

const (
	AboutREQ   MsgAbout = 0
	AboutREP   MsgAbout = 1
	AboutOther MsgAbout = 2 // MRA: a LAP. REJ: none
)

// MRA asks the peer to wait longer (table 107).
type MRA struct {
	CommIDs
	MessageMRAed   MsgAbout
	ServiceTimeout uint8 // exponent for Timeout, 5 bits
	PrivateData    [222]byte
}

// Decode reads the message.
func (m *MRA) Decode(d *CMData) {
	m.CommIDs.decode(d)
	m.MessageMRAed, m.ServiceTimeout = MsgAbout(d[8]>>6), d[9]>>3
	m.PrivateData = [222]byte(d[10:])
}

// Encode writes the message into d, which PutMAD has cleared.
func (m *MRA) Encode(d *CMData) {
	m.CommIDs.encode(d)
	d[8], d[9] = uint8(m.MessageMRAed)<<6, m.ServiceTimeout<<3
	copy(d[10:], m.PrivateData[:])
}

// REJ refuses a connection or ends one in the making (table 108).
type REJ struct {
	CommIDs
	MessageRejected MsgAbout
	InfoLength      uint8 // 7 bits; bytes of ARI that mean something
	Reason          driver.RejectReason
	ARI             [72]byte // additional reject information
	PrivateData     [148]byte
}

// Decode reads the message. A length beyond the ARI is cut to it.
func (m *REJ) Decode(d *CMData) {
	m.CommIDs.decode(d)
	m.MessageRejected, m.InfoLength = MsgAbout(d[8]>>6), min(d[9]>>1, uint8(len(m.ARI)))
	m.Reason = driver.RejectReason(be.Uint16(d[10:]))
	m.ARI, m.PrivateData = [72]byte(d[12:]), [148]byte(d[84:])
}

// Encode writes the message into d, which PutMAD has cleared.
func (m *REJ) Encode(d *CMData) {
	m.CommIDs.encode(d)
	d[8], d[9] = uint8(m.MessageRejected)<<6, m.InfoLength<<1
	be.PutUint16(d[10:], uint16(m.Reason))
	copy(d[12:], m.ARI[:])
	copy(d[84:], m.PrivateData[:])
}

// REP accepts a REQ (table 110).
type REP struct {
	CommIDs
	LocalQKey           uint32
	LocalQPN            uint32 // 24 bits
	LocalEECN           uint32
	StartingPSN         seqnum.PSN // where the receiver of this message begins to send
	ResponderResources  uint8
	InitiatorDepth      uint8
	TargetAckDelay      uint8 // exponent for Timeout, 5 bits
	FailoverAccepted    uint8 // 2 bits
	EndToEndFlowControl bool
	RNRRetryCount       uint8 // 3 bits
	SRQ                 bool
	LocalCAGUID         uint64
	PrivateData         [196]byte
}

// Decode reads the message.
func (m *REP) Decode(d *CMData) {
	m.CommIDs.decode(d)
	m.LocalQKey = be.Uint32(d[8:])
	m.LocalQPN, m.LocalEECN = get24(d[12:]), get24(d[16:])
	m.StartingPSN = seqnum.NewPSN(get24(d[20:]))
	m.ResponderResources, m.InitiatorDepth = d[24], d[25]
	m.TargetAckDelay, m.FailoverAccepted, m.EndToEndFlowControl = d[26]>>3, d[26]>>1&3, d[26]&1 != 0
	m.RNRRetryCount, m.SRQ = d[27]>>5, d[27]&0x10 != 0
	m.LocalCAGUID = be.Uint64(d[28:])
	m.PrivateData = [196]byte(d[36:])
}

// Encode writes the message into d, which PutMAD has cleared.
func (m *REP) Encode(d *CMData) {
	m.CommIDs.encode(d)
	be.PutUint32(d[8:], m.LocalQKey)
	put24(d[12:], m.LocalQPN)
	put24(d[16:], m.LocalEECN)
	put24(d[20:], uint32(m.StartingPSN))
	d[24], d[25] = m.ResponderResources, m.InitiatorDepth
	d[26] = m.TargetAckDelay<<3 | m.FailoverAccepted&3<<1 | bit(m.EndToEndFlowControl, 0)
	d[27] = m.RNRRetryCount<<5 | bit(m.SRQ, 4)
	be.PutUint64(d[28:], m.LocalCAGUID)
	copy(d[36:], m.PrivateData[:])
}

// RTU says that the REP has come: ready to use (table 111).
type RTU struct {
	CommIDs
	PrivateData [224]byte
}

// Decode reads the message.
func (m *RTU) Decode(d *CMData) {
	m.CommIDs.decode(d)
	m.PrivateData = [224]byte(d[8:])
}

// Encode writes the message into d, which PutMAD has cleared.
func (m *RTU) Encode(d *CMData) {
	m.CommIDs.encode(d)
	copy(d[8:], m.PrivateData[:])
}

// DREQ asks to disconnect (table 112).
type DREQ struct {
	CommIDs
	RemoteQPN   uint32 // 24 bits: the receiver's
	PrivateData [220]byte
}

// Decode reads the message.
func (m *DREQ) Decode(d *CMData) {
	m.CommIDs.decode(d)
	m.RemoteQPN = get24(d[8:])
	m.PrivateData = [220]byte(d[12:])
}

// Encode writes the message into d, which PutMAD has cleared.
func (m *DREQ) Encode(d *CMData) {
	m.CommIDs.encode(d)
	put24(d[8:], m.RemoteQPN)
	copy(d[12:], m.PrivateData[:])
}

// DREP says that the connection has ended (table 113).
type DREP struct {
	CommIDs
	PrivateData [224]byte
}

// Decode reads the message.
func (m *DREP) Decode(d *CMData) {
	m.CommIDs.decode(d)
	m.PrivateData = [224]byte(d[8:])
}

// Encode writes the message into d, which PutMAD has cleared.
func (m *DREP) Encode(d *CMData) {
	m.CommIDs.encode(d)
	copy(d[8:], m.PrivateData[:])
}
