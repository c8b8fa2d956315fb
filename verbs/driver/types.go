// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"net/netip"
	"time"
)

// Handles of a device's objects; 0 is none.
type (
	PD      uint32
	MR      uint32
	MW      uint32
	Channel uint32 // completion channel
	CQ      uint32
	SRQ     uint32
	QP      uint32
	AH      uint32
)

// Access is what a registration allows: enum ibv_access_flags.
type Access uint32

const (
	AccessLocalWrite   Access = 1
	AccessRemoteWrite  Access = 2
	AccessRemoteRead   Access = 4
	AccessRemoteAtomic Access = 8
	AccessMWBind       Access = 16
	AccessZeroBased    Access = 32 // addresses of the registration begin at 0
)

// Memory is what a registration covers. The bytes lie outside the Go heap
// (mmap or C) and stay mapped until the registration has ended.
type Memory struct {
	Bytes  []byte
	FD     int   // file or memfd behind Bytes; -1: none. What verbs/shm shares
	Offset int64 // of Bytes in FD
}

// MRInfo is a registration: struct ibv_mr.
type MRInfo struct {
	MR         MR
	LKey, RKey uint32
	Addr       uint64 // remote address of the first byte (iova)
	Len        uint64
}

// DeviceAttr is struct ibv_device_attr, the part that callers ask for.
type DeviceAttr struct {
	Name      string // "rxe0", "roce:10.77.0.1"
	Provider  string // "ibv", "roce", "shm", "mem"
	Firmware  string
	NodeGUID  uint64
	VendorID  uint32
	Ports     int
	MaxMRSize uint64
	MaxQP     int
	MaxQPWR   int
	MaxSGE    int
	MaxCQ     int
	MaxCQE    int
	MaxMR     int
	MaxPD     int
	MaxMW     int
	MaxSRQ    int
	MaxSRQWR  int
	MaxInline int

	MaxQPRdAtom     int // READs and atomics a QP answers at once
	MaxQPInitRdAtom int // and asks at once
	MaxMsgSize      uint32

	Atomics AtomicCap
	Caps    Caps
}

// AtomicCap is enum ibv_atomic_cap: against whom atomics are atomic.
type AtomicCap uint8

const (
	AtomicNone AtomicCap = iota
	AtomicHCA            // against other operations of the device only (rxe)
	AtomicGlob           // against the owner's CPUs too
)

// Caps are abilities that not every device has.
type Caps uint32

const (
	CapSRQ      Caps = 1 << iota // shared receive queues
	CapWindows                   // memory windows, bound by work requests
	CapLocalInv                  // OpLocalInv and OpSendWithInv
	CapEvents                    // asynchronous events
	CapUD                        // unreliable datagrams
	CapCM                        // connection manager
	CapHandler                   // implements HandlerDevice
)

// PortState is enum ibv_port_state.
type PortState uint8

const (
	PortDown   PortState = 1
	PortInit   PortState = 2
	PortArmed  PortState = 3
	PortActive PortState = 4
)

// PortAttr is struct ibv_port_attr, the part that callers ask for.
type PortAttr struct {
	Num       int // from 1
	State     PortState
	MaxMTU    MTU
	ActiveMTU MTU
	LID       uint16
	MaxMsg    uint32
	GIDs      int
	Ethernet  bool   // link layer
	Netdev    string // "" if the device has none
}

// MTU is enum ibv_mtu: 1 is 256 bytes, 5 is 4096.
type MTU uint8

const (
	MTU256  MTU = 1
	MTU512  MTU = 2
	MTU1024 MTU = 3
	MTU2048 MTU = 4
	MTU4096 MTU = 5
)

// Bytes returns the payload of a packet; 0 for what is no MTU.
func (m MTU) Bytes() int {
	if m < MTU256 || m > MTU4096 {
		return 0
	}
	return 128 << m
}

// GID is a port's address: an IPv6 address, or IPv4 mapped into one.
type GID [16]byte

// Addr returns the IP address behind a RoCEv2 GID.
func (g GID) Addr() netip.Addr { return netip.AddrFrom16(g).Unmap() }

// GIDOf returns the GID of an IP address.
func GIDOf(a netip.Addr) GID { return a.As16() }

// GIDType is enum ibv_gid_type.
type GIDType uint8

const (
	GIDInfiniBand GIDType = iota
	GIDRoCEv1
	GIDRoCEv2
)

// GIDEntry is a row of a port's GID table.
type GIDEntry struct {
	Index  int
	GID    GID
	Type   GIDType
	Netdev string
}

// QPType is enum ibv_qp_type.
type QPType uint8

const (
	RC QPType = 2
	UD QPType = 4
)

// QPState is enum ibv_qp_state.
type QPState uint8

const (
	QPReset QPState = iota
	QPInit
	QPRTR
	QPRTS
	QPSQD
	QPSQE
	QPError
)

// QPCap is struct ibv_qp_cap.
type QPCap struct {
	MaxSendWR, MaxRecvWR   int
	MaxSendSGE, MaxRecvSGE int
	MaxInline              int // bytes
}

// QPInitAttr is struct ibv_qp_init_attr.
type QPInitAttr struct {
	Type           QPType
	SendCQ, RecvCQ CQ
	SRQ            SRQ // 0: a receive queue of its own
	Cap            QPCap
	SigAll         bool // every send completes visibly
}

// QPInfo is a queue pair as it was made: Cap may be larger than asked.
type QPInfo struct {
	QP  QP
	Num uint32 // 24 bits
	Cap QPCap
}

// AHAttr is struct ibv_ah_attr: the way to a peer.
type AHAttr struct {
	DGID         GID
	SGIDIndex    int
	FlowLabel    uint32
	HopLimit     uint8
	TrafficClass uint8
	DLID         uint16 // InfiniBand only
	SL           uint8
	Port         int
}

// QPMask is enum ibv_qp_attr_mask.
type QPMask uint32

const (
	QPMaskState           QPMask = 1 << 0
	QPMaskAccess          QPMask = 1 << 3
	QPMaskPKeyIndex       QPMask = 1 << 4
	QPMaskPort            QPMask = 1 << 5
	QPMaskQKey            QPMask = 1 << 6
	QPMaskAV              QPMask = 1 << 7
	QPMaskPathMTU         QPMask = 1 << 8
	QPMaskTimeout         QPMask = 1 << 9
	QPMaskRetry           QPMask = 1 << 10
	QPMaskRNRRetry        QPMask = 1 << 11
	QPMaskRQPSN           QPMask = 1 << 12
	QPMaskMaxRdAtomic     QPMask = 1 << 13
	QPMaskMinRNRTimer     QPMask = 1 << 15
	QPMaskSQPSN           QPMask = 1 << 16
	QPMaskMaxDestRdAtomic QPMask = 1 << 17
	QPMaskDestQPN         QPMask = 1 << 20
)

// QPAttr is struct ibv_qp_attr.
type QPAttr struct {
	State           QPState
	Access          Access
	PKeyIndex       uint16
	Port            int
	QKey            uint32
	AV              AHAttr
	PathMTU         MTU
	Timeout         uint8 // local ack timeout: 4.096 us << Timeout; 0: for ever
	RetryCount      uint8 // 0..7
	RNRRetry        uint8 // 0..7; 7: for ever
	RQPSN, SQPSN    uint32
	MaxRdAtomic     uint8 // READs and atomics asked at once
	MaxDestRdAtomic uint8 // and answered at once
	MinRNRTimer     uint8 // code of table 45 of the InfiniBand specification
	DestQPN         uint32
}

// AckTimeout returns the time that a code of a local ack timeout stands for;
// 0 is for ever.
func AckTimeout(code uint8) time.Duration {
	if code == 0 {
		return 0
	}
	return 4096 * time.Nanosecond << (code & 31)
}

// rnrTimers are the times of a code of an RNR timer, in units of 10 us
// (InfiniBand specification volume 1, table 45).
var rnrTimers = [32]uint32{
	65536, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192,
	256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384, 24576, 32768, 49152,
}

// RNRTimer returns the time that a code of an RNR timer stands for.
func RNRTimer(code uint8) time.Duration {
	return time.Duration(rnrTimers[code&31]) * 10 * time.Microsecond
}
