// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"

	"lazystate/internal/seqnum"
)

// Sizes on the wire.
const (
	BTHLen  = 12
	ICRCLen = 4
	CNPLen  = 16 // reserved bytes behind the BTH of a CNP

	// MaxHeader is the longest chain of transport headers, MaxPacket the longest
	// UDP payload: MTU 4096 and a WRITE ONLY with immediate.
	MaxHeader = 40
	MaxPacket = 32 + 4096 + ICRCLen

	Port        = 4791   // UDP destination port of RoCEv2
	DefaultPKey = 0xffff // the only partition there is without a subnet manager
)

var be = binary.BigEndian

// BTH is the base transport header (9.2).
type BTH struct {
	Opcode    Opcode
	Solicited bool  // SE: wakes a receiver that armed for solicited events only
	MigReq    bool  // M: path migration state; true where nobody migrates
	Pad       uint8 // bytes behind the payload, 0 to 3
	Version   uint8 // TVer, 0
	PKey      uint16
	FECN      bool // masked in the ICRC, as BECN and the six bits behind them
	BECN      bool
	DestQP    uint32 // 24 bits
	AckReq    bool
	PSN       seqnum.PSN
}

func (h *BTH) decode(b *[BTHLen]byte) {
	h.Opcode = Opcode(b[0])
	h.Solicited, h.MigReq = b[1]&0x80 != 0, b[1]&0x40 != 0
	h.Pad, h.Version = b[1]>>4&3, b[1]&15
	h.PKey = be.Uint16(b[2:])
	h.FECN, h.BECN = b[4]&0x80 != 0, b[4]&0x40 != 0
	h.DestQP = be.Uint32(b[4:]) & 0xffffff
	h.AckReq = b[8]&0x80 != 0
	h.PSN = seqnum.NewPSN(be.Uint32(b[8:]))
}

func (h *BTH) encode(b *[BTHLen]byte) {
	b[0] = uint8(h.Opcode)
	b[1] = bit(h.Solicited, 7) | bit(h.MigReq, 6) | h.Pad&3<<4 | h.Version&15
	be.PutUint16(b[2:], h.PKey)
	be.PutUint32(b[4:], h.DestQP&0xffffff|uint32(bit(h.FECN, 7)|bit(h.BECN, 6))<<24)
	be.PutUint32(b[8:], uint32(h.PSN)&0xffffff|uint32(bit(h.AckReq, 7))<<24)
}

func bit(set bool, n uint) uint8 {
	if set {
		return 1 << n
	}
	return 0
}

// DETH is the datagram extended transport header (9.3.1).
type DETH struct {
	QKey  uint32
	SrcQP uint32 // 24 bits
}

func (h *DETH) decode(b *[8]byte) {
	h.QKey, h.SrcQP = be.Uint32(b[:]), be.Uint32(b[4:])&0xffffff
}

func (h *DETH) encode(b *[8]byte) {
	be.PutUint32(b[:], h.QKey)
	be.PutUint32(b[4:], h.SrcQP&0xffffff)
}

// RETH is the RDMA extended transport header (9.3.3).
type RETH struct {
	VA   uint64
	RKey uint32
	Len  uint32 // of the whole message
}

func (h *RETH) decode(b *[16]byte) {
	h.VA, h.RKey, h.Len = be.Uint64(b[:]), be.Uint32(b[8:]), be.Uint32(b[12:])
}

func (h *RETH) encode(b *[16]byte) {
	be.PutUint64(b[:], h.VA)
	be.PutUint32(b[8:], h.RKey)
	be.PutUint32(b[12:], h.Len)
}

// AtomicETH is the header of an atomic request (9.3.4).
type AtomicETH struct {
	VA      uint64
	RKey    uint32
	SwapAdd uint64 // what to store, or what to add
	Compare uint64 // 0 in a FETCH_ADD
}

func (h *AtomicETH) decode(b *[28]byte) {
	h.VA, h.RKey = be.Uint64(b[:]), be.Uint32(b[8:])
	h.SwapAdd, h.Compare = be.Uint64(b[12:]), be.Uint64(b[20:])
}

func (h *AtomicETH) encode(b *[28]byte) {
	be.PutUint64(b[:], h.VA)
	be.PutUint32(b[8:], h.RKey)
	be.PutUint64(b[12:], h.SwapAdd)
	be.PutUint64(b[20:], h.Compare)
}

// AETH is the acknowledge header (9.3.5).
type AETH struct {
	Syndrome Syndrome
	MSN      uint32 // 24 bits: messages completed at the responder
}

func (h *AETH) decode(b *[4]byte) {
	h.Syndrome, h.MSN = Syndrome(b[0]), be.Uint32(b[:])&0xffffff
}

func (h *AETH) encode(b *[4]byte) {
	be.PutUint32(b[:], uint32(h.Syndrome)<<24|h.MSN&0xffffff)
}
