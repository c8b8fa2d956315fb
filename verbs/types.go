// SPDX-License-Identifier: Apache-2.0

package verbs

import "lazystate/verbs/driver"

// What the devices and their users share: package driver says what each is.
type (
	Access      = driver.Access
	AHAttr      = driver.AHAttr
	AsyncEvent  = driver.AsyncEvent
	AtomicCap   = driver.AtomicCap
	Caps        = driver.Caps
	ConnParam   = driver.ConnParam
	DeviceAttr  = driver.DeviceAttr
	EventType   = driver.EventType
	GID         = driver.GID
	GIDEntry    = driver.GIDEntry
	Memory      = driver.Memory
	MTU         = driver.MTU
	MWBind      = driver.MWBind
	Opcode      = driver.Opcode
	PortAttr    = driver.PortAttr
	QPCap       = driver.QPCap
	QPState     = driver.QPState
	RecvWR      = driver.RecvWR
	RejectError = driver.RejectError
	SendFlags   = driver.SendFlags
	SendWR      = driver.SendWR
	SGE         = driver.SGE
	WC          = driver.WC
	WCError     = driver.WCError
	WCFlags     = driver.WCFlags
	WCOpcode    = driver.WCOpcode
	WCStatus    = driver.WCStatus
)

// Errors that callers branch on.
var (
	ErrNotSupported = driver.ErrNotSupported
	ErrInvalid      = driver.ErrInvalid
	ErrQueueFull    = driver.ErrQueueFull
	ErrClosed       = driver.ErrClosed
	ErrUnreachable  = driver.ErrUnreachable
)

// enum ibv_access_flags.
const (
	AccessLocalWrite   = driver.AccessLocalWrite
	AccessRemoteWrite  = driver.AccessRemoteWrite
	AccessRemoteRead   = driver.AccessRemoteRead
	AccessRemoteAtomic = driver.AccessRemoteAtomic
	AccessMWBind       = driver.AccessMWBind
	AccessZeroBased    = driver.AccessZeroBased

	// AccessAll lets the peer do everything.
	AccessAll = AccessLocalWrite | AccessRemoteWrite | AccessRemoteRead | AccessRemoteAtomic
)

// enum ibv_wr_opcode.
const (
	OpRDMAWrite         = driver.OpRDMAWrite
	OpRDMAWriteWithImm  = driver.OpRDMAWriteWithImm
	OpSend              = driver.OpSend
	OpSendWithImm       = driver.OpSendWithImm
	OpRDMARead          = driver.OpRDMARead
	OpAtomicCmpAndSwp   = driver.OpAtomicCmpAndSwp
	OpAtomicFetchAndAdd = driver.OpAtomicFetchAndAdd
	OpLocalInv          = driver.OpLocalInv
	OpBindMW            = driver.OpBindMW
	OpSendWithInv       = driver.OpSendWithInv
)

// enum ibv_send_flags.
const (
	SendFence     = driver.SendFence
	SendSignaled  = driver.SendSignaled
	SendSolicited = driver.SendSolicited
	SendInline    = driver.SendInline
)

// enum ibv_wc_opcode and ibv_wc_flags.
const (
	WCSend            = driver.WCSend
	WCRDMAWrite       = driver.WCRDMAWrite
	WCRDMARead        = driver.WCRDMARead
	WCCompSwap        = driver.WCCompSwap
	WCFetchAdd        = driver.WCFetchAdd
	WCBindMW          = driver.WCBindMW
	WCLocalInv        = driver.WCLocalInv
	WCRecv            = driver.WCRecv
	WCRecvRDMAWithImm = driver.WCRecvRDMAWithImm

	WCGRH     = driver.WCGRH
	WCWithImm = driver.WCWithImm
	WCWithInv = driver.WCWithInv
)

// enum ibv_wc_status, those that a program meets.
const (
	WCSuccess        = driver.WCSuccess
	WCLocLenErr      = driver.WCLocLenErr
	WCLocQPOpErr     = driver.WCLocQPOpErr
	WCLocProtErr     = driver.WCLocProtErr
	WCWRFlushErr     = driver.WCWRFlushErr
	WCMWBindErr      = driver.WCMWBindErr
	WCLocAccessErr   = driver.WCLocAccessErr
	WCRemInvReqErr   = driver.WCRemInvReqErr
	WCRemAccessErr   = driver.WCRemAccessErr
	WCRemOpErr       = driver.WCRemOpErr
	WCRetryExcErr    = driver.WCRetryExcErr
	WCRNRRetryExcErr = driver.WCRNRRetryExcErr
	WCGeneralErr     = driver.WCGeneralErr
)

// enum ibv_qp_state.
const (
	QPReset = driver.QPReset
	QPInit  = driver.QPInit
	QPRTR   = driver.QPRTR
	QPRTS   = driver.QPRTS
	QPSQD   = driver.QPSQD
	QPSQE   = driver.QPSQE
	QPError = driver.QPError
)

// enum ibv_atomic_cap, and abilities that not every device has.
const (
	AtomicNone = driver.AtomicNone
	AtomicHCA  = driver.AtomicHCA
	AtomicGlob = driver.AtomicGlob

	CapSRQ      = driver.CapSRQ
	CapWindows  = driver.CapWindows
	CapLocalInv = driver.CapLocalInv
	CapEvents   = driver.CapEvents
	CapUD       = driver.CapUD
	CapCM       = driver.CapCM
	CapHandler  = driver.CapHandler
)

// enum ibv_mtu.
const (
	MTU256  = driver.MTU256
	MTU512  = driver.MTU512
	MTU1024 = driver.MTU1024
	MTU2048 = driver.MTU2048
	MTU4096 = driver.MTU4096
)
