// SPDX-License-Identifier: Apache-2.0

package driver

// Opcode is what a send work request does: enum ibv_wr_opcode.
type Opcode uint8

const (
	OpRDMAWrite         Opcode = 0
	OpRDMAWriteWithImm  Opcode = 1
	OpSend              Opcode = 2
	OpSendWithImm       Opcode = 3
	OpRDMARead          Opcode = 4
	OpAtomicCmpAndSwp   Opcode = 5
	OpAtomicFetchAndAdd Opcode = 6
	OpLocalInv          Opcode = 7
	OpBindMW            Opcode = 8
	OpSendWithInv       Opcode = 9
)

// SendFlags is enum ibv_send_flags.
type SendFlags uint8

const (
	SendFence     SendFlags = 1 // wait for the READs and atomics before
	SendSignaled  SendFlags = 2 // report the completion
	SendSolicited SendFlags = 4 // wake a peer that armed for solicited only
	SendInline    SendFlags = 8 // the payload is SendWR.Inline, copied before the post returns
)

// SGE is struct ibv_sge: a piece of local memory. Addr counts as the
// registration does: MRInfo.Addr is its first byte.
type SGE struct {
	Addr   uint64
	Length uint32
	LKey   uint32
}

// SendWR is struct ibv_send_wr.
type SendWR struct {
	ID         uint64
	Op         Opcode
	Flags      SendFlags
	SG         []SGE
	Inline     []byte // instead of SG, with SendInline
	RemoteAddr uint64
	RKey       uint32
	Imm        uint32 // host order here; InvKey of OpSendWithInv and OpLocalInv
	CompareAdd uint64 // what *addr must be; or the addend
	Swap       uint64

	// Of UD.
	AH        AH
	RemoteQPN uint32
	RemoteQK  uint32

	// Of OpBindMW (type 2 windows).
	Bind *MWBind
}

// MWBind is a window onto a part of a registration.
type MWBind struct {
	MW     MW
	RKey   uint32 // the new key: the window's with another low byte
	MR     MR
	Addr   uint64
	Length uint64
	Access Access
}

// RecvWR is struct ibv_recv_wr.
type RecvWR struct {
	ID uint64
	SG []SGE
}

// WCOpcode is what ended: enum ibv_wc_opcode.
type WCOpcode uint8

const (
	WCSend            WCOpcode = 0
	WCRDMAWrite       WCOpcode = 1
	WCRDMARead        WCOpcode = 2
	WCCompSwap        WCOpcode = 3
	WCFetchAdd        WCOpcode = 4
	WCBindMW          WCOpcode = 5
	WCLocalInv        WCOpcode = 6
	WCRecv            WCOpcode = 128
	WCRecvRDMAWithImm WCOpcode = 129
)

// WCFlags is enum ibv_wc_flags.
type WCFlags uint8

const (
	WCGRH     WCFlags = 1 // UD: 40 bytes of address come before the payload
	WCWithImm WCFlags = 2
	WCWithInv WCFlags = 8
)

// WC is a completion: struct ibv_wc. Of one that failed only ID, Status,
// QPNum and VendorErr are valid.
type WC struct {
	ID        uint64
	Status    WCStatus
	Op        WCOpcode
	Flags     WCFlags
	ByteLen   uint32
	Imm       uint32 // host order; or the key that was invalidated
	QPNum     uint32
	SrcQP     uint32 // UD
	VendorErr uint32
}
