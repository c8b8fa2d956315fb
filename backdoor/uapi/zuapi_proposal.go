// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// enum bd_proposal_state
const (
	PropNone       = 0
	PropPending    = 1
	PropDone       = 2
	PropExpired    = 3
	PropDisagreed  = 4
	PropTag        = 5
	PropSeq        = 6
	PropNoKey      = 7
	PropEpoch      = 8
	PropRange      = 9
	PropNotAllowed = 10
	PropReplaced   = 11
)

// ProposalStateName names a value of enum bd_proposal_state.
func ProposalStateName(v uint32) string {
	switch v {
	case PropNone:
		return "none"
	case PropPending:
		return "pending"
	case PropDone:
		return "done"
	case PropExpired:
		return "expired"
	case PropDisagreed:
		return "disagreed"
	case PropTag:
		return "tag"
	case PropSeq:
		return "seq"
	case PropNoKey:
		return "nokey"
	case PropEpoch:
		return "epoch"
	case PropRange:
		return "range"
	case PropNotAllowed:
		return "notallowed"
	case PropReplaced:
		return "replaced"
	}
	return unknown(v)
}

// Size and offsets of struct bd_proposal.
const (
	ProposalSize         = 4096
	ProposalMonitorOff   = 0
	ProposalKindOff      = 4
	ProposalIndexOff     = 8
	ProposalLenOff       = 12
	ProposalEpochOff     = 16
	ProposalReservedOff  = 20
	ProposalSeqOff       = 24
	ProposalTagOff       = 32
	ProposalDataOff      = 40
	ProposalCommitOff    = 4088
	ProposalReserved2Off = 4092
)

// Proposal is struct bd_proposal.
type Proposal struct {
	Monitor   uint32
	Kind      uint32
	Index     uint32
	Len       uint32
	Epoch     uint32
	Reserved  uint32
	Seq       uint64
	Tag       uint64
	Data      [4048]uint8
	Commit    uint32
	Reserved2 uint32
}

// Decode copies the fields out of b, which holds at least ProposalSize bytes.
func (s *Proposal) Decode(b []byte) error {
	if len(b) < ProposalSize {
		return short("bd_proposal", len(b), ProposalSize)
	}
	s.Monitor = binary.LittleEndian.Uint32(b[0:])
	s.Kind = binary.LittleEndian.Uint32(b[4:])
	s.Index = binary.LittleEndian.Uint32(b[8:])
	s.Len = binary.LittleEndian.Uint32(b[12:])
	s.Epoch = binary.LittleEndian.Uint32(b[16:])
	s.Reserved = binary.LittleEndian.Uint32(b[20:])
	s.Seq = binary.LittleEndian.Uint64(b[24:])
	s.Tag = binary.LittleEndian.Uint64(b[32:])
	copy(s.Data[:], b[40:])
	s.Commit = binary.LittleEndian.Uint32(b[4088:])
	s.Reserved2 = binary.LittleEndian.Uint32(b[4092:])
	return nil
}

// Put writes the struct into the first ProposalSize bytes of b.
func (s *Proposal) Put(b []byte) {
	_ = b[ProposalSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Monitor)
	binary.LittleEndian.PutUint32(b[4:], s.Kind)
	binary.LittleEndian.PutUint32(b[8:], s.Index)
	binary.LittleEndian.PutUint32(b[12:], s.Len)
	binary.LittleEndian.PutUint32(b[16:], s.Epoch)
	binary.LittleEndian.PutUint32(b[20:], s.Reserved)
	binary.LittleEndian.PutUint64(b[24:], s.Seq)
	binary.LittleEndian.PutUint64(b[32:], s.Tag)
	copy(b[40:40+4048], s.Data[:])
	binary.LittleEndian.PutUint32(b[4088:], s.Commit)
	binary.LittleEndian.PutUint32(b[4092:], s.Reserved2)
}

// Encode returns the struct's bytes.
func (s *Proposal) Encode() []byte {
	b := make([]byte, ProposalSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_proposals.
const (
	ProposalsSize    = 131072
	ProposalsSlotOff = 0
)

// Size and offsets of struct bd_proposal_ack.
const (
	ProposalAckSize         = 296
	ProposalAckSeqLoOff     = 0
	ProposalAckStateOff     = 4
	ProposalAckAgreedOff    = 8
	ProposalAckNeededOff    = 12
	ProposalAckDecidedNsOff = 16
	ProposalAckValueOff     = 24
	ProposalAckCountOff     = 32
	ProposalAckReservedOff  = 36
	ProposalAckResultOff    = 40
)

// ProposalAck is struct bd_proposal_ack.
type ProposalAck struct {
	SeqLo     uint32
	State     uint32
	Agreed    uint32
	Needed    uint32
	DecidedNs uint64
	Value     int64
	Count     uint32
	Reserved  uint32
	Result    [256]uint8
}

// Decode copies the fields out of b, which holds at least ProposalAckSize bytes.
func (s *ProposalAck) Decode(b []byte) error {
	if len(b) < ProposalAckSize {
		return short("bd_proposal_ack", len(b), ProposalAckSize)
	}
	s.SeqLo = binary.LittleEndian.Uint32(b[0:])
	s.State = binary.LittleEndian.Uint32(b[4:])
	s.Agreed = binary.LittleEndian.Uint32(b[8:])
	s.Needed = binary.LittleEndian.Uint32(b[12:])
	s.DecidedNs = binary.LittleEndian.Uint64(b[16:])
	s.Value = int64(binary.LittleEndian.Uint64(b[24:]))
	s.Count = binary.LittleEndian.Uint32(b[32:])
	s.Reserved = binary.LittleEndian.Uint32(b[36:])
	copy(s.Result[:], b[40:])
	return nil
}

// Put writes the struct into the first ProposalAckSize bytes of b.
func (s *ProposalAck) Put(b []byte) {
	_ = b[ProposalAckSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.SeqLo)
	binary.LittleEndian.PutUint32(b[4:], s.State)
	binary.LittleEndian.PutUint32(b[8:], s.Agreed)
	binary.LittleEndian.PutUint32(b[12:], s.Needed)
	binary.LittleEndian.PutUint64(b[16:], s.DecidedNs)
	binary.LittleEndian.PutUint64(b[24:], uint64(s.Value))
	binary.LittleEndian.PutUint32(b[32:], s.Count)
	binary.LittleEndian.PutUint32(b[36:], s.Reserved)
	copy(b[40:40+256], s.Result[:])
}

// Encode returns the struct's bytes.
func (s *ProposalAck) Encode() []byte {
	b := make([]byte, ProposalAckSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_proposal_acks.
const (
	ProposalAcksSize             = 9504
	ProposalAcksAgreementsOff    = 0
	ProposalAcksDisagreementsOff = 8
	ProposalAcksExpiredOff       = 16
	ProposalAcksNowNsOff         = 24
	ProposalAcksSlotOff          = 32
)

// ProposalAcks is struct bd_proposal_acks.
type ProposalAcks struct {
	Agreements    uint64
	Disagreements uint64
	Expired       uint64
	NowNs         uint64
	Slot          [8][4]ProposalAck
}

// Decode copies the fields out of b, which holds at least ProposalAcksSize bytes.
func (s *ProposalAcks) Decode(b []byte) error {
	if len(b) < ProposalAcksSize {
		return short("bd_proposal_acks", len(b), ProposalAcksSize)
	}
	s.Agreements = binary.LittleEndian.Uint64(b[0:])
	s.Disagreements = binary.LittleEndian.Uint64(b[8:])
	s.Expired = binary.LittleEndian.Uint64(b[16:])
	s.NowNs = binary.LittleEndian.Uint64(b[24:])
	for i := range s.Slot {
		for j := range s.Slot[i] {
			_ = s.Slot[i][j].Decode(b[32+i*1184+j*296:])
		}
	}
	return nil
}

// Put writes the struct into the first ProposalAcksSize bytes of b.
func (s *ProposalAcks) Put(b []byte) {
	_ = b[ProposalAcksSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Agreements)
	binary.LittleEndian.PutUint64(b[8:], s.Disagreements)
	binary.LittleEndian.PutUint64(b[16:], s.Expired)
	binary.LittleEndian.PutUint64(b[24:], s.NowNs)
	for i := range s.Slot {
		for j := range s.Slot[i] {
			s.Slot[i][j].Put(b[32+i*1184+j*296:])
		}
	}
}

// Encode returns the struct's bytes.
func (s *ProposalAcks) Encode() []byte {
	b := make([]byte, ProposalAcksSize)
	s.Put(b)
	return b
}
