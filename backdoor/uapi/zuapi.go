// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

const (
	VersionMajor       = 0x1
	VersionMinor       = 0x0
	RootMagic          = 0x31524f4f44425a4c
	TableMagic         = 0x31454c4241544442
	ManifestMagic      = 0x3146494e414d4442
	SboxMagic          = 0x31584f42534e4553
	UIDsMagic          = 0x3153444955534442
	LockMagic          = 0x314b434f4c4f4442
	UsersMagic         = 0x3153524553554442
	PanicMagic         = 0x3143494e41504442
	Monitors           = 0x8
	MaxCPUs            = 0x100
	MaxRegions         = 0x2a
	RegionName         = 0x18
	KillSlots          = 0x400
	KnobSlots          = 0x8
	ForeignMax         = 0x40
	UserPages          = 0x10
	UIDsMax            = 0x7f
	PermRead           = 0x1
	PermWrite          = 0x2
	PermAtomic         = 0x4
	RegionMMIO         = 0x1
	RegionBar          = 0x2
	EntryName          = 0x30
	SensorMin          = 0x1
	SensorClock        = 0x2
	SensorOrphaned     = 0x4
	SensorUser         = 0x8
	SensorHeartbeat    = 0x10
	SensorName         = 0x18
	SensorUnit         = 0x8
	SboxPages          = 0x4
	SboxCapacity       = 0xff
	UserCapacity       = 0x40
	UserRegionPages    = 0x11
	LockNMI            = 0x1
	LockSpare          = 0x2
	LockDrain          = 0x4
	FenceWant          = 0x46454e43
	IoctlMagic         = 0xbd
	IoctlVersion       = 0x8020bd00
	IoctlNewSensor     = 0xc038bd01
	IoctlReleaseSensor = 0x4004bd02
	IoctlSetKey        = 0x4020bd03
	IoctlAddForeign    = 0x4040bd04
	IoctlAdoptSensor   = 0xc038bd05
	RDMAPort           = 0x1e61
	HelloMagic         = 0x494c4548
	DenialMagic        = 0x594e4544
	GrantMagic         = 0x4e415247
	HelloMax           = 0x38
	DenialMax          = 0x94
	GrantMax           = 0xc4
	HelloTakeover      = 0x1
	GrantLock          = 0x1
	GrantSoftware      = 0x2
	GrantAtomic        = 0x4
	OwnerMagic         = 0x31524e574f444253
	OwnerNone          = 0xffffffff
	Proposals          = 0x4
	ProposalData       = 0xfd0
	PolicyLock         = 0x1
	PolicyFence        = 0x2
	PolicyOwn          = 0x4
	PolicyAll          = 0x7
	IoctlSetPolicy     = 0x4020bd06
	IoctlSetAgreement  = 0x4018bd07
	IoctlSeal          = 0x4008bd08
)

// enum bd_region_kind
const (
	KindTable       = 1
	KindManifest    = 2
	KindSensorbox   = 3
	KindUserSensors = 4
	KindUIDs        = 5
	KindMemory      = 6
	KindLockReq     = 7
	KindLockAck     = 8
	KindKillReq     = 9
	KindKillAck     = 10
	KindKnobReq     = 11
	KindKnobAck     = 12
	KindFence       = 13
	KindPanic       = 14
	KindForeign     = 15
	KindDevice      = 16
	KindBoxes       = 17
	KindOwnerReq    = 18
	KindOwnerAck    = 19
	KindProposals   = 20
	KindProposalAck = 21
	KindHello       = 22
	KindDenial      = 23
	KindGrant       = 24
)

// RegionKindName names a value of enum bd_region_kind.
func RegionKindName(v uint32) string {
	switch v {
	case KindTable:
		return "table"
	case KindManifest:
		return "manifest"
	case KindSensorbox:
		return "sensorbox"
	case KindUserSensors:
		return "user sensors"
	case KindUIDs:
		return "uids"
	case KindMemory:
		return "memory"
	case KindLockReq:
		return "lock req"
	case KindLockAck:
		return "lock ack"
	case KindKillReq:
		return "kill req"
	case KindKillAck:
		return "kill ack"
	case KindKnobReq:
		return "knob req"
	case KindKnobAck:
		return "knob ack"
	case KindFence:
		return "fence"
	case KindPanic:
		return "panic"
	case KindForeign:
		return "foreign"
	case KindDevice:
		return "device"
	case KindBoxes:
		return "boxes"
	case KindOwnerReq:
		return "owner req"
	case KindOwnerAck:
		return "owner ack"
	case KindProposals:
		return "proposals"
	case KindProposalAck:
		return "proposal ack"
	case KindHello:
		return "hello"
	case KindDenial:
		return "denial"
	case KindGrant:
		return "grant"
	}
	return unknown(v)
}

// enum bd_manifest_tag
const (
	TagEnd    = 0
	TagString = 1
	TagValue  = 2
	TagOffset = 3
)

// ManifestTagName names a value of enum bd_manifest_tag.
func ManifestTagName(v uint32) string {
	switch v {
	case TagEnd:
		return "end"
	case TagString:
		return "string"
	case TagValue:
		return "value"
	case TagOffset:
		return "offset"
	}
	return unknown(v)
}

// enum bd_class
const (
	Progress = 1
	Level    = 2
	Pressure = 3
)

// ClassName names a value of enum bd_class.
func ClassName(v uint32) string {
	switch v {
	case Progress:
		return "progress"
	case Level:
		return "level"
	case Pressure:
		return "pressure"
	}
	return unknown(v)
}

// enum bd_lock_want
const (
	WantFree = 0
	WantLock = 1
)

// LockWantName names a value of enum bd_lock_want.
func LockWantName(v uint32) string {
	switch v {
	case WantFree:
		return "free"
	case WantLock:
		return "lock"
	}
	return unknown(v)
}

// enum bd_lock_state
const (
	LockFree     = 0
	LockStopping = 1
	LockHeld     = 2
	LockFenced   = 4
)

// LockStateName names a value of enum bd_lock_state.
func LockStateName(v uint32) string {
	switch v {
	case LockFree:
		return "free"
	case LockStopping:
		return "stopping"
	case LockHeld:
		return "held"
	case LockFenced:
		return "fenced"
	}
	return unknown(v)
}

// enum bd_cpu_where
const (
	CPUOffline   = 0
	CPURunning   = 1
	CPUUser      = 2
	CPUIdle      = 3
	CPUKernel    = 4
	CPUNMIUser   = 5
	CPUNMIKernel = 6
	CPUNMIIRQOff = 7
)

// CPUWhereName names a value of enum bd_cpu_where.
func CPUWhereName(v uint32) string {
	switch v {
	case CPUOffline:
		return "offline"
	case CPURunning:
		return "running"
	case CPUUser:
		return "user"
	case CPUIdle:
		return "idle"
	case CPUKernel:
		return "kernel"
	case CPUNMIUser:
		return "nmi user"
	case CPUNMIKernel:
		return "nmi kernel"
	case CPUNMIIRQOff:
		return "nmi irqoff"
	}
	return unknown(v)
}

// enum bd_lock_refusal
const (
	RefuseNone       = 0
	RefuseTag        = 1
	RefuseSeq        = 2
	RefuseBusy       = 3
	RefuseLease      = 4
	RefuseNoKey      = 5
	RefuseFenced     = 6
	RefuseNotAllowed = 7
)

// LockRefusalName names a value of enum bd_lock_refusal.
func LockRefusalName(v uint32) string {
	switch v {
	case RefuseNone:
		return "none"
	case RefuseTag:
		return "tag"
	case RefuseSeq:
		return "seq"
	case RefuseBusy:
		return "busy"
	case RefuseLease:
		return "lease"
	case RefuseNoKey:
		return "nokey"
	case RefuseFenced:
		return "fenced"
	case RefuseNotAllowed:
		return "notallowed"
	}
	return unknown(v)
}

// enum bd_result
const (
	ResNone       = 0
	ResDone       = 1
	ResESRCH      = 2
	ResReused     = 3
	ResKThread    = 4
	ResInit       = 5
	ResTag        = 6
	ResSeq        = 7
	ResNotAllowed = 8
	ResRange      = 9
	ResError      = 10
	ResNoKey      = 11
	ResQueued     = 12
	ResDeferred   = 13
)

// ResultName names a value of enum bd_result.
func ResultName(v uint32) string {
	switch v {
	case ResNone:
		return "none"
	case ResDone:
		return "done"
	case ResESRCH:
		return "esrch"
	case ResReused:
		return "reused"
	case ResKThread:
		return "kthread"
	case ResInit:
		return "init"
	case ResTag:
		return "tag"
	case ResSeq:
		return "seq"
	case ResNotAllowed:
		return "notallowed"
	case ResRange:
		return "range"
	case ResError:
		return "error"
	case ResNoKey:
		return "nokey"
	case ResQueued:
		return "queued"
	case ResDeferred:
		return "deferred"
	}
	return unknown(v)
}

// enum bd_knob
const (
	KnobOvercommitMemory = 1
	KnobThreadsMax       = 2
	KnobUIDNProc         = 3
	KnobNice             = 4
	KnobSchedNormal      = 5
	KnobSchedFIFO        = 6
	KnobPowerOff         = 7
	KnobReboot           = 8
	KnobCrashKexec       = 9
	KnobPIDMax           = 10
	KnobDropCaches       = 11
	KnobSwappiness       = 12
)

// KnobName names a value of enum bd_knob.
func KnobName(v uint32) string {
	switch v {
	case KnobOvercommitMemory:
		return "overcommit memory"
	case KnobThreadsMax:
		return "threads max"
	case KnobUIDNProc:
		return "uid nproc"
	case KnobNice:
		return "nice"
	case KnobSchedNormal:
		return "sched normal"
	case KnobSchedFIFO:
		return "sched fifo"
	case KnobPowerOff:
		return "poweroff"
	case KnobReboot:
		return "reboot"
	case KnobCrashKexec:
		return "crash kexec"
	case KnobPIDMax:
		return "pid max"
	case KnobDropCaches:
		return "drop caches"
	case KnobSwappiness:
		return "swappiness"
	}
	return unknown(v)
}

// enum bd_panic_cause
const (
	PanicNone  = 0
	PanicPanic = 1
	PanicOops  = 2
)

// PanicCauseName names a value of enum bd_panic_cause.
func PanicCauseName(v uint32) string {
	switch v {
	case PanicNone:
		return "none"
	case PanicPanic:
		return "panic"
	case PanicOops:
		return "oops"
	}
	return unknown(v)
}

// enum bd_denial_reason
const (
	DenyMalformed = 1
	DenyVersion   = 2
	DenyBootID    = 3
	DenyNoKey     = 4
	DenyTag       = 5
	DenyCounter   = 6
	DenyFull      = 7
	DenyJoin      = 8
	DenyPolicy    = 9
	DenyClosed    = 10
)

// DenialReasonName names a value of enum bd_denial_reason.
func DenialReasonName(v uint32) string {
	switch v {
	case DenyMalformed:
		return "malformed"
	case DenyVersion:
		return "version"
	case DenyBootID:
		return "bootid"
	case DenyNoKey:
		return "nokey"
	case DenyTag:
		return "tag"
	case DenyCounter:
		return "counter"
	case DenyFull:
		return "full"
	case DenyJoin:
		return "join"
	case DenyPolicy:
		return "policy"
	case DenyClosed:
		return "closed"
	}
	return unknown(v)
}

// enum bd_owner_want
const (
	OwnerGive = 0
	OwnerTake = 1
)

// OwnerWantName names a value of enum bd_owner_want.
func OwnerWantName(v uint32) string {
	switch v {
	case OwnerGive:
		return "give"
	case OwnerTake:
		return "take"
	}
	return unknown(v)
}

// enum bd_owner_refusal
const (
	OwnNone       = 0
	OwnTag        = 1
	OwnSeq        = 2
	OwnNoKey      = 3
	OwnHeld       = 4
	OwnEpoch      = 5
	OwnLease      = 6
	OwnNotAllowed = 7
)

// OwnerRefusalName names a value of enum bd_owner_refusal.
func OwnerRefusalName(v uint32) string {
	switch v {
	case OwnNone:
		return "none"
	case OwnTag:
		return "tag"
	case OwnSeq:
		return "seq"
	case OwnNoKey:
		return "nokey"
	case OwnHeld:
		return "held"
	case OwnEpoch:
		return "epoch"
	case OwnLease:
		return "lease"
	case OwnNotAllowed:
		return "notallowed"
	}
	return unknown(v)
}

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

// Size and offsets of struct bd_root.
const (
	RootSize          = 64
	RootMagicOff      = 0
	RootMajorOff      = 8
	RootMinorOff      = 10
	RootSizeOff       = 12
	RootBootIDOff     = 16
	RootGenerationOff = 32
	RootTableAddrOff  = 40
	RootTableGPAOff   = 48
	RootTableLenOff   = 56
	RootTableKeyOff   = 60
)

// Root is struct bd_root.
type Root struct {
	Magic      uint64
	Major      uint16
	Minor      uint16
	Size       uint32
	BootID     [16]uint8
	Generation uint64
	TableAddr  uint64
	TableGPA   uint64
	TableLen   uint32
	TableKey   uint32
}

// Decode copies the fields out of b, which holds at least RootSize bytes.
func (s *Root) Decode(b []byte) error {
	if len(b) < RootSize {
		return short("bd_root", len(b), RootSize)
	}
	s.Magic = binary.LittleEndian.Uint64(b[0:])
	s.Major = binary.LittleEndian.Uint16(b[8:])
	s.Minor = binary.LittleEndian.Uint16(b[10:])
	s.Size = binary.LittleEndian.Uint32(b[12:])
	copy(s.BootID[:], b[16:])
	s.Generation = binary.LittleEndian.Uint64(b[32:])
	s.TableAddr = binary.LittleEndian.Uint64(b[40:])
	s.TableGPA = binary.LittleEndian.Uint64(b[48:])
	s.TableLen = binary.LittleEndian.Uint32(b[56:])
	s.TableKey = binary.LittleEndian.Uint32(b[60:])
	return nil
}

// Put writes the struct into the first RootSize bytes of b.
func (s *Root) Put(b []byte) {
	_ = b[RootSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Magic)
	binary.LittleEndian.PutUint16(b[8:], s.Major)
	binary.LittleEndian.PutUint16(b[10:], s.Minor)
	binary.LittleEndian.PutUint32(b[12:], s.Size)
	copy(b[16:16+16], s.BootID[:])
	binary.LittleEndian.PutUint64(b[32:], s.Generation)
	binary.LittleEndian.PutUint64(b[40:], s.TableAddr)
	binary.LittleEndian.PutUint64(b[48:], s.TableGPA)
	binary.LittleEndian.PutUint32(b[56:], s.TableLen)
	binary.LittleEndian.PutUint32(b[60:], s.TableKey)
}

// Encode returns the struct's bytes.
func (s *Root) Encode() []byte {
	b := make([]byte, RootSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_region.
const (
	RegionSize          = 88
	RegionNameOff       = 0
	RegionKindOff       = 24
	RegionPermOff       = 28
	RegionAddrOff       = 32
	RegionLenOff        = 40
	RegionGPAOff        = 48
	RegionKeyOff        = 56
	RegionFlagsOff      = 60
	RegionGenerationOff = 64
	RegionBootIDOff     = 72
)

// Region is struct bd_region.
type Region struct {
	Name       [24]byte
	Kind       uint32
	Perm       uint32
	Addr       uint64
	Len        uint64
	GPA        uint64
	Key        uint32
	Flags      uint32
	Generation uint64
	BootID     [16]uint8
}

// Decode copies the fields out of b, which holds at least RegionSize bytes.
func (s *Region) Decode(b []byte) error {
	if len(b) < RegionSize {
		return short("bd_region", len(b), RegionSize)
	}
	copy(s.Name[:], b[0:])
	s.Kind = binary.LittleEndian.Uint32(b[24:])
	s.Perm = binary.LittleEndian.Uint32(b[28:])
	s.Addr = binary.LittleEndian.Uint64(b[32:])
	s.Len = binary.LittleEndian.Uint64(b[40:])
	s.GPA = binary.LittleEndian.Uint64(b[48:])
	s.Key = binary.LittleEndian.Uint32(b[56:])
	s.Flags = binary.LittleEndian.Uint32(b[60:])
	s.Generation = binary.LittleEndian.Uint64(b[64:])
	copy(s.BootID[:], b[72:])
	return nil
}

// Put writes the struct into the first RegionSize bytes of b.
func (s *Region) Put(b []byte) {
	_ = b[RegionSize-1]
	copy(b[0:0+24], s.Name[:])
	binary.LittleEndian.PutUint32(b[24:], s.Kind)
	binary.LittleEndian.PutUint32(b[28:], s.Perm)
	binary.LittleEndian.PutUint64(b[32:], s.Addr)
	binary.LittleEndian.PutUint64(b[40:], s.Len)
	binary.LittleEndian.PutUint64(b[48:], s.GPA)
	binary.LittleEndian.PutUint32(b[56:], s.Key)
	binary.LittleEndian.PutUint32(b[60:], s.Flags)
	binary.LittleEndian.PutUint64(b[64:], s.Generation)
	copy(b[72:72+16], s.BootID[:])
}

// Encode returns the struct's bytes.
func (s *Region) Encode() []byte {
	b := make([]byte, RegionSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_table.
const (
	TableSize          = 3744
	TableMagicOff      = 0
	TableCountOff      = 8
	TableEntrySizeOff  = 12
	TableGenerationOff = 16
	TableBootIDOff     = 24
	TableReservedOff   = 40
	TableRegionsOff    = 48
)

// Table is struct bd_table.
type Table struct {
	Magic      uint64
	Count      uint32
	EntrySize  uint32
	Generation uint64
	BootID     [16]uint8
	Reserved   uint64
	Regions    [42]Region
}

// Decode copies the fields out of b, which holds at least TableSize bytes.
func (s *Table) Decode(b []byte) error {
	if len(b) < TableSize {
		return short("bd_table", len(b), TableSize)
	}
	s.Magic = binary.LittleEndian.Uint64(b[0:])
	s.Count = binary.LittleEndian.Uint32(b[8:])
	s.EntrySize = binary.LittleEndian.Uint32(b[12:])
	s.Generation = binary.LittleEndian.Uint64(b[16:])
	copy(s.BootID[:], b[24:])
	s.Reserved = binary.LittleEndian.Uint64(b[40:])
	for i := range s.Regions {
		_ = s.Regions[i].Decode(b[48+i*88:])
	}
	return nil
}

// Put writes the struct into the first TableSize bytes of b.
func (s *Table) Put(b []byte) {
	_ = b[TableSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Magic)
	binary.LittleEndian.PutUint32(b[8:], s.Count)
	binary.LittleEndian.PutUint32(b[12:], s.EntrySize)
	binary.LittleEndian.PutUint64(b[16:], s.Generation)
	copy(b[24:24+16], s.BootID[:])
	binary.LittleEndian.PutUint64(b[40:], s.Reserved)
	for i := range s.Regions {
		s.Regions[i].Put(b[48+i*88:])
	}
}

// Encode returns the struct's bytes.
func (s *Table) Encode() []byte {
	b := make([]byte, TableSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_manifest.
const (
	ManifestSize          = 48
	ManifestMagicOff      = 0
	ManifestLenOff        = 8
	ManifestCountOff      = 12
	ManifestCRC32Off      = 16
	ManifestReservedOff   = 20
	ManifestBootIDOff     = 24
	ManifestGenerationOff = 40
)

// Manifest is struct bd_manifest.
type Manifest struct {
	Magic      uint64
	Len        uint32
	Count      uint32
	CRC32      uint32
	Reserved   uint32
	BootID     [16]uint8
	Generation uint64
}

// Decode copies the fields out of b, which holds at least ManifestSize bytes.
func (s *Manifest) Decode(b []byte) error {
	if len(b) < ManifestSize {
		return short("bd_manifest", len(b), ManifestSize)
	}
	s.Magic = binary.LittleEndian.Uint64(b[0:])
	s.Len = binary.LittleEndian.Uint32(b[8:])
	s.Count = binary.LittleEndian.Uint32(b[12:])
	s.CRC32 = binary.LittleEndian.Uint32(b[16:])
	s.Reserved = binary.LittleEndian.Uint32(b[20:])
	copy(s.BootID[:], b[24:])
	s.Generation = binary.LittleEndian.Uint64(b[40:])
	return nil
}

// Put writes the struct into the first ManifestSize bytes of b.
func (s *Manifest) Put(b []byte) {
	_ = b[ManifestSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Magic)
	binary.LittleEndian.PutUint32(b[8:], s.Len)
	binary.LittleEndian.PutUint32(b[12:], s.Count)
	binary.LittleEndian.PutUint32(b[16:], s.CRC32)
	binary.LittleEndian.PutUint32(b[20:], s.Reserved)
	copy(b[24:24+16], s.BootID[:])
	binary.LittleEndian.PutUint64(b[40:], s.Generation)
}

// Encode returns the struct's bytes.
func (s *Manifest) Encode() []byte {
	b := make([]byte, ManifestSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_entry_head.
const (
	EntryHeadSize    = 56
	EntryHeadTagOff  = 0
	EntryHeadSizeOff = 4
	EntryHeadNameOff = 8
)

// EntryHead is struct bd_entry_head.
type EntryHead struct {
	Tag  uint32
	Size uint32
	Name [48]byte
}

// Decode copies the fields out of b, which holds at least EntryHeadSize bytes.
func (s *EntryHead) Decode(b []byte) error {
	if len(b) < EntryHeadSize {
		return short("bd_entry_head", len(b), EntryHeadSize)
	}
	s.Tag = binary.LittleEndian.Uint32(b[0:])
	s.Size = binary.LittleEndian.Uint32(b[4:])
	copy(s.Name[:], b[8:])
	return nil
}

// Put writes the struct into the first EntryHeadSize bytes of b.
func (s *EntryHead) Put(b []byte) {
	_ = b[EntryHeadSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Tag)
	binary.LittleEndian.PutUint32(b[4:], s.Size)
	copy(b[8:8+48], s.Name[:])
}

// Encode returns the struct's bytes.
func (s *EntryHead) Encode() []byte {
	b := make([]byte, EntryHeadSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_entry_value.
const (
	EntryValueSize     = 64
	EntryValueHeadOff  = 0
	EntryValueValueOff = 56
)

// EntryValue is struct bd_entry_value.
type EntryValue struct {
	Head  EntryHead
	Value uint64
}

// Decode copies the fields out of b, which holds at least EntryValueSize bytes.
func (s *EntryValue) Decode(b []byte) error {
	if len(b) < EntryValueSize {
		return short("bd_entry_value", len(b), EntryValueSize)
	}
	_ = s.Head.Decode(b[0:])
	s.Value = binary.LittleEndian.Uint64(b[56:])
	return nil
}

// Put writes the struct into the first EntryValueSize bytes of b.
func (s *EntryValue) Put(b []byte) {
	_ = b[EntryValueSize-1]
	s.Head.Put(b[0:])
	binary.LittleEndian.PutUint64(b[56:], s.Value)
}

// Encode returns the struct's bytes.
func (s *EntryValue) Encode() []byte {
	b := make([]byte, EntryValueSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_entry_offset.
const (
	EntryOffsetSize      = 64
	EntryOffsetHeadOff   = 0
	EntryOffsetOffsetOff = 56
	EntryOffsetBytesOff  = 60
)

// EntryOffset is struct bd_entry_offset.
type EntryOffset struct {
	Head   EntryHead
	Offset uint32
	Bytes  uint32
}

// Decode copies the fields out of b, which holds at least EntryOffsetSize bytes.
func (s *EntryOffset) Decode(b []byte) error {
	if len(b) < EntryOffsetSize {
		return short("bd_entry_offset", len(b), EntryOffsetSize)
	}
	_ = s.Head.Decode(b[0:])
	s.Offset = binary.LittleEndian.Uint32(b[56:])
	s.Bytes = binary.LittleEndian.Uint32(b[60:])
	return nil
}

// Put writes the struct into the first EntryOffsetSize bytes of b.
func (s *EntryOffset) Put(b []byte) {
	_ = b[EntryOffsetSize-1]
	s.Head.Put(b[0:])
	binary.LittleEndian.PutUint32(b[56:], s.Offset)
	binary.LittleEndian.PutUint32(b[60:], s.Bytes)
}

// Encode returns the struct's bytes.
func (s *EntryOffset) Encode() []byte {
	b := make([]byte, EntryOffsetSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_sensor.
const (
	SensorSize         = 64
	SensorIDOff        = 0
	SensorClassOff     = 4
	SensorReserved8Off = 5
	SensorFlagsOff     = 6
	SensorLimitOff     = 8
	SensorValueOff     = 16
	SensorNameOff      = 24
	SensorUnitOff      = 48
	SensorReservedOff  = 56
)

// Sensor is struct bd_sensor.
type Sensor struct {
	ID        uint32
	Class     uint8
	Reserved8 uint8
	Flags     uint16
	Limit     uint64
	Value     uint64
	Name      [24]byte
	Unit      [8]byte
	Reserved  uint64
}

// Decode copies the fields out of b, which holds at least SensorSize bytes.
func (s *Sensor) Decode(b []byte) error {
	if len(b) < SensorSize {
		return short("bd_sensor", len(b), SensorSize)
	}
	s.ID = binary.LittleEndian.Uint32(b[0:])
	s.Class = b[4]
	s.Reserved8 = b[5]
	s.Flags = binary.LittleEndian.Uint16(b[6:])
	s.Limit = binary.LittleEndian.Uint64(b[8:])
	s.Value = binary.LittleEndian.Uint64(b[16:])
	copy(s.Name[:], b[24:])
	copy(s.Unit[:], b[48:])
	s.Reserved = binary.LittleEndian.Uint64(b[56:])
	return nil
}

// Put writes the struct into the first SensorSize bytes of b.
func (s *Sensor) Put(b []byte) {
	_ = b[SensorSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.ID)
	b[4] = s.Class
	b[5] = s.Reserved8
	binary.LittleEndian.PutUint16(b[6:], s.Flags)
	binary.LittleEndian.PutUint64(b[8:], s.Limit)
	binary.LittleEndian.PutUint64(b[16:], s.Value)
	copy(b[24:24+24], s.Name[:])
	copy(b[48:48+8], s.Unit[:])
	binary.LittleEndian.PutUint64(b[56:], s.Reserved)
}

// Encode returns the struct's bytes.
func (s *Sensor) Encode() []byte {
	b := make([]byte, SensorSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_sbox.
const (
	SboxSize          = 64
	SboxMagicOff      = 0
	SboxMajorOff      = 8
	SboxMinorOff      = 10
	SboxCapacityOff   = 12
	SboxCountOff      = 16
	SboxRecordSizeOff = 20
	SboxGenerationOff = 24
	SboxBootIDOff     = 32
	SboxMonoNsOff     = 48
	SboxHzOff         = 56
	SboxNCPUsOff      = 60
)

// Sbox is struct bd_sbox.
type Sbox struct {
	Magic      uint64
	Major      uint16
	Minor      uint16
	Capacity   uint32
	Count      uint32
	RecordSize uint32
	Generation uint64
	BootID     [16]uint8
	MonoNs     uint64
	Hz         uint32
	NCPUs      uint32
}

// Decode copies the fields out of b, which holds at least SboxSize bytes.
func (s *Sbox) Decode(b []byte) error {
	if len(b) < SboxSize {
		return short("bd_sbox", len(b), SboxSize)
	}
	s.Magic = binary.LittleEndian.Uint64(b[0:])
	s.Major = binary.LittleEndian.Uint16(b[8:])
	s.Minor = binary.LittleEndian.Uint16(b[10:])
	s.Capacity = binary.LittleEndian.Uint32(b[12:])
	s.Count = binary.LittleEndian.Uint32(b[16:])
	s.RecordSize = binary.LittleEndian.Uint32(b[20:])
	s.Generation = binary.LittleEndian.Uint64(b[24:])
	copy(s.BootID[:], b[32:])
	s.MonoNs = binary.LittleEndian.Uint64(b[48:])
	s.Hz = binary.LittleEndian.Uint32(b[56:])
	s.NCPUs = binary.LittleEndian.Uint32(b[60:])
	return nil
}

// Put writes the struct into the first SboxSize bytes of b.
func (s *Sbox) Put(b []byte) {
	_ = b[SboxSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Magic)
	binary.LittleEndian.PutUint16(b[8:], s.Major)
	binary.LittleEndian.PutUint16(b[10:], s.Minor)
	binary.LittleEndian.PutUint32(b[12:], s.Capacity)
	binary.LittleEndian.PutUint32(b[16:], s.Count)
	binary.LittleEndian.PutUint32(b[20:], s.RecordSize)
	binary.LittleEndian.PutUint64(b[24:], s.Generation)
	copy(b[32:32+16], s.BootID[:])
	binary.LittleEndian.PutUint64(b[48:], s.MonoNs)
	binary.LittleEndian.PutUint32(b[56:], s.Hz)
	binary.LittleEndian.PutUint32(b[60:], s.NCPUs)
}

// Encode returns the struct's bytes.
func (s *Sbox) Encode() []byte {
	b := make([]byte, SboxSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_user_page.
const (
	UserPageSize          = 40
	UserPageGenerationOff = 0
	UserPageUsedOff       = 8
	UserPageOrphanedOff   = 16
	UserPageHeartbeatOff  = 24
	UserPageUIDOff        = 32
	UserPageReservedOff   = 36
)

// UserPage is struct bd_user_page.
type UserPage struct {
	Generation uint64
	Used       uint64
	Orphaned   uint64
	Heartbeat  uint64
	UID        uint32
	Reserved   uint32
}

// Decode copies the fields out of b, which holds at least UserPageSize bytes.
func (s *UserPage) Decode(b []byte) error {
	if len(b) < UserPageSize {
		return short("bd_user_page", len(b), UserPageSize)
	}
	s.Generation = binary.LittleEndian.Uint64(b[0:])
	s.Used = binary.LittleEndian.Uint64(b[8:])
	s.Orphaned = binary.LittleEndian.Uint64(b[16:])
	s.Heartbeat = binary.LittleEndian.Uint64(b[24:])
	s.UID = binary.LittleEndian.Uint32(b[32:])
	s.Reserved = binary.LittleEndian.Uint32(b[36:])
	return nil
}

// Put writes the struct into the first UserPageSize bytes of b.
func (s *UserPage) Put(b []byte) {
	_ = b[UserPageSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Generation)
	binary.LittleEndian.PutUint64(b[8:], s.Used)
	binary.LittleEndian.PutUint64(b[16:], s.Orphaned)
	binary.LittleEndian.PutUint64(b[24:], s.Heartbeat)
	binary.LittleEndian.PutUint32(b[32:], s.UID)
	binary.LittleEndian.PutUint32(b[36:], s.Reserved)
}

// Encode returns the struct's bytes.
func (s *UserPage) Encode() []byte {
	b := make([]byte, UserPageSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_user_dir.
const (
	UserDirSize        = 656
	UserDirMagicOff    = 0
	UserDirReservedOff = 8
	UserDirPageOff     = 16
)

// UserDir is struct bd_user_dir.
type UserDir struct {
	Magic    uint64
	Reserved uint64
	Page     [16]UserPage
}

// Decode copies the fields out of b, which holds at least UserDirSize bytes.
func (s *UserDir) Decode(b []byte) error {
	if len(b) < UserDirSize {
		return short("bd_user_dir", len(b), UserDirSize)
	}
	s.Magic = binary.LittleEndian.Uint64(b[0:])
	s.Reserved = binary.LittleEndian.Uint64(b[8:])
	for i := range s.Page {
		_ = s.Page[i].Decode(b[16+i*40:])
	}
	return nil
}

// Put writes the struct into the first UserDirSize bytes of b.
func (s *UserDir) Put(b []byte) {
	_ = b[UserDirSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Magic)
	binary.LittleEndian.PutUint64(b[8:], s.Reserved)
	for i := range s.Page {
		s.Page[i].Put(b[16+i*40:])
	}
}

// Encode returns the struct's bytes.
func (s *UserDir) Encode() []byte {
	b := make([]byte, UserDirSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_uid.
const (
	UIDSize         = 32
	UIDUIDOff       = 0
	UIDTasksOff     = 4
	UIDProcsOff     = 8
	UIDForksPerSOff = 12
	UIDFootprintOff = 16
	UIDForksOff     = 24
)

// UID is struct bd_uid.
type UID struct {
	UID       uint32
	Tasks     uint32
	Procs     uint32
	ForksPerS uint32
	Footprint uint64
	Forks     uint64
}

// Decode copies the fields out of b, which holds at least UIDSize bytes.
func (s *UID) Decode(b []byte) error {
	if len(b) < UIDSize {
		return short("bd_uid", len(b), UIDSize)
	}
	s.UID = binary.LittleEndian.Uint32(b[0:])
	s.Tasks = binary.LittleEndian.Uint32(b[4:])
	s.Procs = binary.LittleEndian.Uint32(b[8:])
	s.ForksPerS = binary.LittleEndian.Uint32(b[12:])
	s.Footprint = binary.LittleEndian.Uint64(b[16:])
	s.Forks = binary.LittleEndian.Uint64(b[24:])
	return nil
}

// Put writes the struct into the first UIDSize bytes of b.
func (s *UID) Put(b []byte) {
	_ = b[UIDSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.UID)
	binary.LittleEndian.PutUint32(b[4:], s.Tasks)
	binary.LittleEndian.PutUint32(b[8:], s.Procs)
	binary.LittleEndian.PutUint32(b[12:], s.ForksPerS)
	binary.LittleEndian.PutUint64(b[16:], s.Footprint)
	binary.LittleEndian.PutUint64(b[24:], s.Forks)
}

// Encode returns the struct's bytes.
func (s *UID) Encode() []byte {
	b := make([]byte, UIDSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_uids.
const (
	UIDsSize        = 4096
	UIDsMagicOff    = 0
	UIDsCountOff    = 8
	UIDsOverflowOff = 12
	UIDsSeqOff      = 16
	UIDsMonoNsOff   = 24
	UIDsUIDOff      = 32
)

// UIDs is struct bd_uids.
type UIDs struct {
	Magic    uint64
	Count    uint32
	Overflow uint32
	Seq      uint64
	MonoNs   uint64
	UID      [127]UID
}

// Decode copies the fields out of b, which holds at least UIDsSize bytes.
func (s *UIDs) Decode(b []byte) error {
	if len(b) < UIDsSize {
		return short("bd_uids", len(b), UIDsSize)
	}
	s.Magic = binary.LittleEndian.Uint64(b[0:])
	s.Count = binary.LittleEndian.Uint32(b[8:])
	s.Overflow = binary.LittleEndian.Uint32(b[12:])
	s.Seq = binary.LittleEndian.Uint64(b[16:])
	s.MonoNs = binary.LittleEndian.Uint64(b[24:])
	for i := range s.UID {
		_ = s.UID[i].Decode(b[32+i*32:])
	}
	return nil
}

// Put writes the struct into the first UIDsSize bytes of b.
func (s *UIDs) Put(b []byte) {
	_ = b[UIDsSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Magic)
	binary.LittleEndian.PutUint32(b[8:], s.Count)
	binary.LittleEndian.PutUint32(b[12:], s.Overflow)
	binary.LittleEndian.PutUint64(b[16:], s.Seq)
	binary.LittleEndian.PutUint64(b[24:], s.MonoNs)
	for i := range s.UID {
		s.UID[i].Put(b[32+i*32:])
	}
}

// Encode returns the struct's bytes.
func (s *UIDs) Encode() []byte {
	b := make([]byte, UIDsSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_foreign.
const (
	ForeignSize     = 56
	ForeignNameOff  = 0
	ForeignAddrOff  = 40
	ForeignSizeOff  = 48
	ForeignFlagsOff = 52
)

// Foreign is struct bd_foreign.
type Foreign struct {
	Name  [40]byte
	Addr  uint64
	Size  uint32
	Flags uint32
}

// Decode copies the fields out of b, which holds at least ForeignSize bytes.
func (s *Foreign) Decode(b []byte) error {
	if len(b) < ForeignSize {
		return short("bd_foreign", len(b), ForeignSize)
	}
	copy(s.Name[:], b[0:])
	s.Addr = binary.LittleEndian.Uint64(b[40:])
	s.Size = binary.LittleEndian.Uint32(b[48:])
	s.Flags = binary.LittleEndian.Uint32(b[52:])
	return nil
}

// Put writes the struct into the first ForeignSize bytes of b.
func (s *Foreign) Put(b []byte) {
	_ = b[ForeignSize-1]
	copy(b[0:0+40], s.Name[:])
	binary.LittleEndian.PutUint64(b[40:], s.Addr)
	binary.LittleEndian.PutUint32(b[48:], s.Size)
	binary.LittleEndian.PutUint32(b[52:], s.Flags)
}

// Encode returns the struct's bytes.
func (s *Foreign) Encode() []byte {
	b := make([]byte, ForeignSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_lock_req.
const (
	LockReqSize        = 64
	LockReqWantOff     = 0
	LockReqEpochOff    = 4
	LockReqLeaseMsOff  = 8
	LockReqDrainMsOff  = 12
	LockReqFlagsOff    = 16
	LockReqMonitorOff  = 20
	LockReqSeqOff      = 24
	LockReqTagOff      = 32
	LockReqCommitOff   = 40
	LockReqReservedOff = 44
)

// LockReq is struct bd_lock_req.
type LockReq struct {
	Want     uint32
	Epoch    uint32
	LeaseMs  uint32
	DrainMs  uint32
	Flags    uint32
	Monitor  uint32
	Seq      uint64
	Tag      uint64
	Commit   uint32
	Reserved [5]uint32
}

// Decode copies the fields out of b, which holds at least LockReqSize bytes.
func (s *LockReq) Decode(b []byte) error {
	if len(b) < LockReqSize {
		return short("bd_lock_req", len(b), LockReqSize)
	}
	s.Want = binary.LittleEndian.Uint32(b[0:])
	s.Epoch = binary.LittleEndian.Uint32(b[4:])
	s.LeaseMs = binary.LittleEndian.Uint32(b[8:])
	s.DrainMs = binary.LittleEndian.Uint32(b[12:])
	s.Flags = binary.LittleEndian.Uint32(b[16:])
	s.Monitor = binary.LittleEndian.Uint32(b[20:])
	s.Seq = binary.LittleEndian.Uint64(b[24:])
	s.Tag = binary.LittleEndian.Uint64(b[32:])
	s.Commit = binary.LittleEndian.Uint32(b[40:])
	for i := range s.Reserved {
		s.Reserved[i] = binary.LittleEndian.Uint32(b[44+i*4:])
	}
	return nil
}

// Put writes the struct into the first LockReqSize bytes of b.
func (s *LockReq) Put(b []byte) {
	_ = b[LockReqSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Want)
	binary.LittleEndian.PutUint32(b[4:], s.Epoch)
	binary.LittleEndian.PutUint32(b[8:], s.LeaseMs)
	binary.LittleEndian.PutUint32(b[12:], s.DrainMs)
	binary.LittleEndian.PutUint32(b[16:], s.Flags)
	binary.LittleEndian.PutUint32(b[20:], s.Monitor)
	binary.LittleEndian.PutUint64(b[24:], s.Seq)
	binary.LittleEndian.PutUint64(b[32:], s.Tag)
	binary.LittleEndian.PutUint32(b[40:], s.Commit)
	for i := range s.Reserved {
		binary.LittleEndian.PutUint32(b[44+i*4:], s.Reserved[i])
	}
}

// Encode returns the struct's bytes.
func (s *LockReq) Encode() []byte {
	b := make([]byte, LockReqSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_lock_reqs.
const (
	LockReqsSize    = 512
	LockReqsSlotOff = 0
)

// LockReqs is struct bd_lock_reqs.
type LockReqs struct {
	Slot [8]LockReq
}

// Decode copies the fields out of b, which holds at least LockReqsSize bytes.
func (s *LockReqs) Decode(b []byte) error {
	if len(b) < LockReqsSize {
		return short("bd_lock_reqs", len(b), LockReqsSize)
	}
	for i := range s.Slot {
		_ = s.Slot[i].Decode(b[0+i*64:])
	}
	return nil
}

// Put writes the struct into the first LockReqsSize bytes of b.
func (s *LockReqs) Put(b []byte) {
	_ = b[LockReqsSize-1]
	for i := range s.Slot {
		s.Slot[i].Put(b[0+i*64:])
	}
}

// Encode returns the struct's bytes.
func (s *LockReqs) Encode() []byte {
	b := make([]byte, LockReqsSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_lock_cpu.
const (
	LockCPUSize        = 8
	LockCPUWhereOff    = 0
	LockCPUDrainedOff  = 1
	LockCPUReservedOff = 2
	LockCPUEpochLoOff  = 4
)

// LockCPU is struct bd_lock_cpu.
type LockCPU struct {
	Where    uint8
	Drained  uint8
	Reserved uint16
	EpochLo  uint32
}

// Decode copies the fields out of b, which holds at least LockCPUSize bytes.
func (s *LockCPU) Decode(b []byte) error {
	if len(b) < LockCPUSize {
		return short("bd_lock_cpu", len(b), LockCPUSize)
	}
	s.Where = b[0]
	s.Drained = b[1]
	s.Reserved = binary.LittleEndian.Uint16(b[2:])
	s.EpochLo = binary.LittleEndian.Uint32(b[4:])
	return nil
}

// Put writes the struct into the first LockCPUSize bytes of b.
func (s *LockCPU) Put(b []byte) {
	_ = b[LockCPUSize-1]
	b[0] = s.Where
	b[1] = s.Drained
	binary.LittleEndian.PutUint16(b[2:], s.Reserved)
	binary.LittleEndian.PutUint32(b[4:], s.EpochLo)
}

// Encode returns the struct's bytes.
func (s *LockCPU) Encode() []byte {
	b := make([]byte, LockCPUSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_lock_ack.
const (
	LockAckSize           = 2408
	LockAckMagicOff       = 0
	LockAckSeqOff         = 8
	LockAckStateOff       = 12
	LockAckHolderOff      = 16
	LockAckEpochOff       = 20
	LockAckDrainedOff     = 24
	LockAckNCPUsOff       = 28
	LockAckGrantsOff      = 32
	LockAckExpiredOff     = 40
	LockAckSinceNsOff     = 48
	LockAckLeaseEndNsOff  = 56
	LockAckNowNsOff       = 64
	LockAckParkedOff      = 72
	LockAckIPIOff         = 104
	LockAckNMIOff         = 136
	LockAckFreeOff        = 168
	LockAckRefusalOff     = 200
	LockAckRefusedSeqOff  = 232
	LockAckAcceptedSeqOff = 296
	LockAckCPUOff         = 360
)

// LockAck is struct bd_lock_ack.
type LockAck struct {
	Magic       uint64
	Seq         uint32
	State       uint32
	Holder      uint32
	Epoch       uint32
	Drained     uint32
	NCPUs       uint32
	Grants      uint64
	Expired     uint64
	SinceNs     uint64
	LeaseEndNs  uint64
	NowNs       uint64
	Parked      [4]uint64
	IPI         [4]uint64
	NMI         [4]uint64
	Free        [4]uint64
	Refusal     [8]uint32
	RefusedSeq  [8]uint64
	AcceptedSeq [8]uint64
	CPU         [256]LockCPU
}

// Decode copies the fields out of b, which holds at least LockAckSize bytes.
func (s *LockAck) Decode(b []byte) error {
	if len(b) < LockAckSize {
		return short("bd_lock_ack", len(b), LockAckSize)
	}
	s.Magic = binary.LittleEndian.Uint64(b[0:])
	s.Seq = binary.LittleEndian.Uint32(b[8:])
	s.State = binary.LittleEndian.Uint32(b[12:])
	s.Holder = binary.LittleEndian.Uint32(b[16:])
	s.Epoch = binary.LittleEndian.Uint32(b[20:])
	s.Drained = binary.LittleEndian.Uint32(b[24:])
	s.NCPUs = binary.LittleEndian.Uint32(b[28:])
	s.Grants = binary.LittleEndian.Uint64(b[32:])
	s.Expired = binary.LittleEndian.Uint64(b[40:])
	s.SinceNs = binary.LittleEndian.Uint64(b[48:])
	s.LeaseEndNs = binary.LittleEndian.Uint64(b[56:])
	s.NowNs = binary.LittleEndian.Uint64(b[64:])
	for i := range s.Parked {
		s.Parked[i] = binary.LittleEndian.Uint64(b[72+i*8:])
	}
	for i := range s.IPI {
		s.IPI[i] = binary.LittleEndian.Uint64(b[104+i*8:])
	}
	for i := range s.NMI {
		s.NMI[i] = binary.LittleEndian.Uint64(b[136+i*8:])
	}
	for i := range s.Free {
		s.Free[i] = binary.LittleEndian.Uint64(b[168+i*8:])
	}
	for i := range s.Refusal {
		s.Refusal[i] = binary.LittleEndian.Uint32(b[200+i*4:])
	}
	for i := range s.RefusedSeq {
		s.RefusedSeq[i] = binary.LittleEndian.Uint64(b[232+i*8:])
	}
	for i := range s.AcceptedSeq {
		s.AcceptedSeq[i] = binary.LittleEndian.Uint64(b[296+i*8:])
	}
	for i := range s.CPU {
		_ = s.CPU[i].Decode(b[360+i*8:])
	}
	return nil
}

// Put writes the struct into the first LockAckSize bytes of b.
func (s *LockAck) Put(b []byte) {
	_ = b[LockAckSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Magic)
	binary.LittleEndian.PutUint32(b[8:], s.Seq)
	binary.LittleEndian.PutUint32(b[12:], s.State)
	binary.LittleEndian.PutUint32(b[16:], s.Holder)
	binary.LittleEndian.PutUint32(b[20:], s.Epoch)
	binary.LittleEndian.PutUint32(b[24:], s.Drained)
	binary.LittleEndian.PutUint32(b[28:], s.NCPUs)
	binary.LittleEndian.PutUint64(b[32:], s.Grants)
	binary.LittleEndian.PutUint64(b[40:], s.Expired)
	binary.LittleEndian.PutUint64(b[48:], s.SinceNs)
	binary.LittleEndian.PutUint64(b[56:], s.LeaseEndNs)
	binary.LittleEndian.PutUint64(b[64:], s.NowNs)
	for i := range s.Parked {
		binary.LittleEndian.PutUint64(b[72+i*8:], s.Parked[i])
	}
	for i := range s.IPI {
		binary.LittleEndian.PutUint64(b[104+i*8:], s.IPI[i])
	}
	for i := range s.NMI {
		binary.LittleEndian.PutUint64(b[136+i*8:], s.NMI[i])
	}
	for i := range s.Free {
		binary.LittleEndian.PutUint64(b[168+i*8:], s.Free[i])
	}
	for i := range s.Refusal {
		binary.LittleEndian.PutUint32(b[200+i*4:], s.Refusal[i])
	}
	for i := range s.RefusedSeq {
		binary.LittleEndian.PutUint64(b[232+i*8:], s.RefusedSeq[i])
	}
	for i := range s.AcceptedSeq {
		binary.LittleEndian.PutUint64(b[296+i*8:], s.AcceptedSeq[i])
	}
	for i := range s.CPU {
		s.CPU[i].Put(b[360+i*8:])
	}
}

// Encode returns the struct's bytes.
func (s *LockAck) Encode() []byte {
	b := make([]byte, LockAckSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_fence.
const (
	FenceSize    = 512
	FenceSlotOff = 0
)

// Fence is struct bd_fence.
type Fence struct {
	Slot [8]LockReq
}

// Decode copies the fields out of b, which holds at least FenceSize bytes.
func (s *Fence) Decode(b []byte) error {
	if len(b) < FenceSize {
		return short("bd_fence", len(b), FenceSize)
	}
	for i := range s.Slot {
		_ = s.Slot[i].Decode(b[0+i*64:])
	}
	return nil
}

// Put writes the struct into the first FenceSize bytes of b.
func (s *Fence) Put(b []byte) {
	_ = b[FenceSize-1]
	for i := range s.Slot {
		s.Slot[i].Put(b[0+i*64:])
	}
}

// Encode returns the struct's bytes.
func (s *Fence) Encode() []byte {
	b := make([]byte, FenceSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_kill_slot.
const (
	KillSlotSize         = 32
	KillSlotStartTimeOff = 0
	KillSlotPIDOff       = 8
	KillSlotSignalOff    = 12
	KillSlotSeqOff       = 16
	KillSlotTagOff       = 24
)

// KillSlot is struct bd_kill_slot.
type KillSlot struct {
	StartTime uint64
	PID       uint32
	Signal    uint32
	Seq       uint64
	Tag       uint64
}

// Decode copies the fields out of b, which holds at least KillSlotSize bytes.
func (s *KillSlot) Decode(b []byte) error {
	if len(b) < KillSlotSize {
		return short("bd_kill_slot", len(b), KillSlotSize)
	}
	s.StartTime = binary.LittleEndian.Uint64(b[0:])
	s.PID = binary.LittleEndian.Uint32(b[8:])
	s.Signal = binary.LittleEndian.Uint32(b[12:])
	s.Seq = binary.LittleEndian.Uint64(b[16:])
	s.Tag = binary.LittleEndian.Uint64(b[24:])
	return nil
}

// Put writes the struct into the first KillSlotSize bytes of b.
func (s *KillSlot) Put(b []byte) {
	_ = b[KillSlotSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.StartTime)
	binary.LittleEndian.PutUint32(b[8:], s.PID)
	binary.LittleEndian.PutUint32(b[12:], s.Signal)
	binary.LittleEndian.PutUint64(b[16:], s.Seq)
	binary.LittleEndian.PutUint64(b[24:], s.Tag)
}

// Encode returns the struct's bytes.
func (s *KillSlot) Encode() []byte {
	b := make([]byte, KillSlotSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_kill_reqs.
const (
	KillReqsSize    = 262208
	KillReqsPostOff = 0
	KillReqsSlotOff = 64
)

// Size and offsets of struct bd_kill_result.
const (
	KillResultSize      = 8
	KillResultSeqLoOff  = 0
	KillResultResultOff = 4
)

// KillResult is struct bd_kill_result.
type KillResult struct {
	SeqLo  uint32
	Result uint32
}

// Decode copies the fields out of b, which holds at least KillResultSize bytes.
func (s *KillResult) Decode(b []byte) error {
	if len(b) < KillResultSize {
		return short("bd_kill_result", len(b), KillResultSize)
	}
	s.SeqLo = binary.LittleEndian.Uint32(b[0:])
	s.Result = binary.LittleEndian.Uint32(b[4:])
	return nil
}

// Put writes the struct into the first KillResultSize bytes of b.
func (s *KillResult) Put(b []byte) {
	_ = b[KillResultSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.SeqLo)
	binary.LittleEndian.PutUint32(b[4:], s.Result)
}

// Encode returns the struct's bytes.
func (s *KillResult) Encode() []byte {
	b := make([]byte, KillResultSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_kill_acks.
const (
	KillAcksSize           = 65664
	KillAcksPostAckOff     = 0
	KillAcksResultOff      = 64
	KillAcksAcceptedSeqOff = 65600
)

// Size and offsets of struct bd_knob_slot.
const (
	KnobSlotSize         = 64
	KnobSlotKnobOff      = 0
	KnobSlotArgOff       = 4
	KnobSlotValueOff     = 8
	KnobSlotStartTimeOff = 16
	KnobSlotSeqOff       = 24
	KnobSlotTagOff       = 32
	KnobSlotCommitOff    = 40
	KnobSlotReservedOff  = 44
)

// KnobSlot is struct bd_knob_slot.
type KnobSlot struct {
	Knob      uint32
	Arg       uint32
	Value     int64
	StartTime uint64
	Seq       uint64
	Tag       uint64
	Commit    uint32
	Reserved  [5]uint32
}

// Decode copies the fields out of b, which holds at least KnobSlotSize bytes.
func (s *KnobSlot) Decode(b []byte) error {
	if len(b) < KnobSlotSize {
		return short("bd_knob_slot", len(b), KnobSlotSize)
	}
	s.Knob = binary.LittleEndian.Uint32(b[0:])
	s.Arg = binary.LittleEndian.Uint32(b[4:])
	s.Value = int64(binary.LittleEndian.Uint64(b[8:]))
	s.StartTime = binary.LittleEndian.Uint64(b[16:])
	s.Seq = binary.LittleEndian.Uint64(b[24:])
	s.Tag = binary.LittleEndian.Uint64(b[32:])
	s.Commit = binary.LittleEndian.Uint32(b[40:])
	for i := range s.Reserved {
		s.Reserved[i] = binary.LittleEndian.Uint32(b[44+i*4:])
	}
	return nil
}

// Put writes the struct into the first KnobSlotSize bytes of b.
func (s *KnobSlot) Put(b []byte) {
	_ = b[KnobSlotSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Knob)
	binary.LittleEndian.PutUint32(b[4:], s.Arg)
	binary.LittleEndian.PutUint64(b[8:], uint64(s.Value))
	binary.LittleEndian.PutUint64(b[16:], s.StartTime)
	binary.LittleEndian.PutUint64(b[24:], s.Seq)
	binary.LittleEndian.PutUint64(b[32:], s.Tag)
	binary.LittleEndian.PutUint32(b[40:], s.Commit)
	for i := range s.Reserved {
		binary.LittleEndian.PutUint32(b[44+i*4:], s.Reserved[i])
	}
}

// Encode returns the struct's bytes.
func (s *KnobSlot) Encode() []byte {
	b := make([]byte, KnobSlotSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_knob_reqs.
const (
	KnobReqsSize    = 4096
	KnobReqsSlotOff = 0
)

// KnobReqs is struct bd_knob_reqs.
type KnobReqs struct {
	Slot [8][8]KnobSlot
}

// Decode copies the fields out of b, which holds at least KnobReqsSize bytes.
func (s *KnobReqs) Decode(b []byte) error {
	if len(b) < KnobReqsSize {
		return short("bd_knob_reqs", len(b), KnobReqsSize)
	}
	for i := range s.Slot {
		for j := range s.Slot[i] {
			_ = s.Slot[i][j].Decode(b[0+i*512+j*64:])
		}
	}
	return nil
}

// Put writes the struct into the first KnobReqsSize bytes of b.
func (s *KnobReqs) Put(b []byte) {
	_ = b[KnobReqsSize-1]
	for i := range s.Slot {
		for j := range s.Slot[i] {
			s.Slot[i][j].Put(b[0+i*512+j*64:])
		}
	}
}

// Encode returns the struct's bytes.
func (s *KnobReqs) Encode() []byte {
	b := make([]byte, KnobReqsSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_knob_result.
const (
	KnobResultSize      = 16
	KnobResultSeqLoOff  = 0
	KnobResultResultOff = 4
	KnobResultValueOff  = 8
)

// KnobResult is struct bd_knob_result.
type KnobResult struct {
	SeqLo  uint32
	Result uint32
	Value  int64
}

// Decode copies the fields out of b, which holds at least KnobResultSize bytes.
func (s *KnobResult) Decode(b []byte) error {
	if len(b) < KnobResultSize {
		return short("bd_knob_result", len(b), KnobResultSize)
	}
	s.SeqLo = binary.LittleEndian.Uint32(b[0:])
	s.Result = binary.LittleEndian.Uint32(b[4:])
	s.Value = int64(binary.LittleEndian.Uint64(b[8:]))
	return nil
}

// Put writes the struct into the first KnobResultSize bytes of b.
func (s *KnobResult) Put(b []byte) {
	_ = b[KnobResultSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.SeqLo)
	binary.LittleEndian.PutUint32(b[4:], s.Result)
	binary.LittleEndian.PutUint64(b[8:], uint64(s.Value))
}

// Encode returns the struct's bytes.
func (s *KnobResult) Encode() []byte {
	b := make([]byte, KnobResultSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_knob_acks.
const (
	KnobAcksSize           = 1088
	KnobAcksResultOff      = 0
	KnobAcksAcceptedSeqOff = 1024
)

// KnobAcks is struct bd_knob_acks.
type KnobAcks struct {
	Result      [8][8]KnobResult
	AcceptedSeq [8]uint64
}

// Decode copies the fields out of b, which holds at least KnobAcksSize bytes.
func (s *KnobAcks) Decode(b []byte) error {
	if len(b) < KnobAcksSize {
		return short("bd_knob_acks", len(b), KnobAcksSize)
	}
	for i := range s.Result {
		for j := range s.Result[i] {
			_ = s.Result[i][j].Decode(b[0+i*128+j*16:])
		}
	}
	for i := range s.AcceptedSeq {
		s.AcceptedSeq[i] = binary.LittleEndian.Uint64(b[1024+i*8:])
	}
	return nil
}

// Put writes the struct into the first KnobAcksSize bytes of b.
func (s *KnobAcks) Put(b []byte) {
	_ = b[KnobAcksSize-1]
	for i := range s.Result {
		for j := range s.Result[i] {
			s.Result[i][j].Put(b[0+i*128+j*16:])
		}
	}
	for i := range s.AcceptedSeq {
		binary.LittleEndian.PutUint64(b[1024+i*8:], s.AcceptedSeq[i])
	}
}

// Encode returns the struct's bytes.
func (s *KnobAcks) Encode() []byte {
	b := make([]byte, KnobAcksSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_panic.
const (
	PanicSize       = 256
	PanicMagicOff   = 0
	PanicCauseOff   = 8
	PanicCPUOff     = 12
	PanicMonoNsOff  = 16
	PanicJiffiesOff = 24
	PanicTextOff    = 32
)

// Panic is struct bd_panic.
type Panic struct {
	Magic   uint64
	Cause   uint32
	CPU     uint32
	MonoNs  uint64
	Jiffies uint64
	Text    [224]byte
}

// Decode copies the fields out of b, which holds at least PanicSize bytes.
func (s *Panic) Decode(b []byte) error {
	if len(b) < PanicSize {
		return short("bd_panic", len(b), PanicSize)
	}
	s.Magic = binary.LittleEndian.Uint64(b[0:])
	s.Cause = binary.LittleEndian.Uint32(b[8:])
	s.CPU = binary.LittleEndian.Uint32(b[12:])
	s.MonoNs = binary.LittleEndian.Uint64(b[16:])
	s.Jiffies = binary.LittleEndian.Uint64(b[24:])
	copy(s.Text[:], b[32:])
	return nil
}

// Put writes the struct into the first PanicSize bytes of b.
func (s *Panic) Put(b []byte) {
	_ = b[PanicSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Magic)
	binary.LittleEndian.PutUint32(b[8:], s.Cause)
	binary.LittleEndian.PutUint32(b[12:], s.CPU)
	binary.LittleEndian.PutUint64(b[16:], s.MonoNs)
	binary.LittleEndian.PutUint64(b[24:], s.Jiffies)
	copy(b[32:32+224], s.Text[:])
}

// Encode returns the struct's bytes.
func (s *Panic) Encode() []byte {
	b := make([]byte, PanicSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_ioc_version.
const (
	IOCVersionSize          = 32
	IOCVersionMajorOff      = 0
	IOCVersionMinorOff      = 2
	IOCVersionFlagsOff      = 4
	IOCVersionBootIDOff     = 8
	IOCVersionGenerationOff = 24
)

// IOCVersion is struct bd_ioc_version.
type IOCVersion struct {
	Major      uint16
	Minor      uint16
	Flags      uint32
	BootID     [16]uint8
	Generation uint64
}

// Decode copies the fields out of b, which holds at least IOCVersionSize bytes.
func (s *IOCVersion) Decode(b []byte) error {
	if len(b) < IOCVersionSize {
		return short("bd_ioc_version", len(b), IOCVersionSize)
	}
	s.Major = binary.LittleEndian.Uint16(b[0:])
	s.Minor = binary.LittleEndian.Uint16(b[2:])
	s.Flags = binary.LittleEndian.Uint32(b[4:])
	copy(s.BootID[:], b[8:])
	s.Generation = binary.LittleEndian.Uint64(b[24:])
	return nil
}

// Put writes the struct into the first IOCVersionSize bytes of b.
func (s *IOCVersion) Put(b []byte) {
	_ = b[IOCVersionSize-1]
	binary.LittleEndian.PutUint16(b[0:], s.Major)
	binary.LittleEndian.PutUint16(b[2:], s.Minor)
	binary.LittleEndian.PutUint32(b[4:], s.Flags)
	copy(b[8:8+16], s.BootID[:])
	binary.LittleEndian.PutUint64(b[24:], s.Generation)
}

// Encode returns the struct's bytes.
func (s *IOCVersion) Encode() []byte {
	b := make([]byte, IOCVersionSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_ioc_sensor.
const (
	IOCSensorSize         = 56
	IOCSensorVersionOff   = 0
	IOCSensorIDOff        = 4
	IOCSensorClassOff     = 8
	IOCSensorReserved8Off = 9
	IOCSensorFlagsOff     = 10
	IOCSensorOffsetOff    = 12
	IOCSensorLimitOff     = 16
	IOCSensorNameOff      = 24
	IOCSensorUnitOff      = 48
)

// IOCSensor is struct bd_ioc_sensor.
type IOCSensor struct {
	Version   uint32
	ID        uint32
	Class     uint8
	Reserved8 uint8
	Flags     uint16
	Offset    uint32
	Limit     uint64
	Name      [24]byte
	Unit      [8]byte
}

// Decode copies the fields out of b, which holds at least IOCSensorSize bytes.
func (s *IOCSensor) Decode(b []byte) error {
	if len(b) < IOCSensorSize {
		return short("bd_ioc_sensor", len(b), IOCSensorSize)
	}
	s.Version = binary.LittleEndian.Uint32(b[0:])
	s.ID = binary.LittleEndian.Uint32(b[4:])
	s.Class = b[8]
	s.Reserved8 = b[9]
	s.Flags = binary.LittleEndian.Uint16(b[10:])
	s.Offset = binary.LittleEndian.Uint32(b[12:])
	s.Limit = binary.LittleEndian.Uint64(b[16:])
	copy(s.Name[:], b[24:])
	copy(s.Unit[:], b[48:])
	return nil
}

// Put writes the struct into the first IOCSensorSize bytes of b.
func (s *IOCSensor) Put(b []byte) {
	_ = b[IOCSensorSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Version)
	binary.LittleEndian.PutUint32(b[4:], s.ID)
	b[8] = s.Class
	b[9] = s.Reserved8
	binary.LittleEndian.PutUint16(b[10:], s.Flags)
	binary.LittleEndian.PutUint32(b[12:], s.Offset)
	binary.LittleEndian.PutUint64(b[16:], s.Limit)
	copy(b[24:24+24], s.Name[:])
	copy(b[48:48+8], s.Unit[:])
}

// Encode returns the struct's bytes.
func (s *IOCSensor) Encode() []byte {
	b := make([]byte, IOCSensorSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_ioc_key.
const (
	IOCKeySize        = 32
	IOCKeyVersionOff  = 0
	IOCKeyMonitorOff  = 4
	IOCKeyKeyOff      = 8
	IOCKeyRevokeOff   = 24
	IOCKeyReservedOff = 28
)

// IOCKey is struct bd_ioc_key.
type IOCKey struct {
	Version  uint32
	Monitor  uint32
	Key      [16]uint8
	Revoke   uint32
	Reserved uint32
}

// Decode copies the fields out of b, which holds at least IOCKeySize bytes.
func (s *IOCKey) Decode(b []byte) error {
	if len(b) < IOCKeySize {
		return short("bd_ioc_key", len(b), IOCKeySize)
	}
	s.Version = binary.LittleEndian.Uint32(b[0:])
	s.Monitor = binary.LittleEndian.Uint32(b[4:])
	copy(s.Key[:], b[8:])
	s.Revoke = binary.LittleEndian.Uint32(b[24:])
	s.Reserved = binary.LittleEndian.Uint32(b[28:])
	return nil
}

// Put writes the struct into the first IOCKeySize bytes of b.
func (s *IOCKey) Put(b []byte) {
	_ = b[IOCKeySize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Version)
	binary.LittleEndian.PutUint32(b[4:], s.Monitor)
	copy(b[8:8+16], s.Key[:])
	binary.LittleEndian.PutUint32(b[24:], s.Revoke)
	binary.LittleEndian.PutUint32(b[28:], s.Reserved)
}

// Encode returns the struct's bytes.
func (s *IOCKey) Encode() []byte {
	b := make([]byte, IOCKeySize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_ioc_foreign.
const (
	IOCForeignSize        = 64
	IOCForeignVersionOff  = 0
	IOCForeignReservedOff = 4
	IOCForeignWordOff     = 8
)

// IOCForeign is struct bd_ioc_foreign.
type IOCForeign struct {
	Version  uint32
	Reserved uint32
	Word     Foreign
}

// Decode copies the fields out of b, which holds at least IOCForeignSize bytes.
func (s *IOCForeign) Decode(b []byte) error {
	if len(b) < IOCForeignSize {
		return short("bd_ioc_foreign", len(b), IOCForeignSize)
	}
	s.Version = binary.LittleEndian.Uint32(b[0:])
	s.Reserved = binary.LittleEndian.Uint32(b[4:])
	_ = s.Word.Decode(b[8:])
	return nil
}

// Put writes the struct into the first IOCForeignSize bytes of b.
func (s *IOCForeign) Put(b []byte) {
	_ = b[IOCForeignSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Version)
	binary.LittleEndian.PutUint32(b[4:], s.Reserved)
	s.Word.Put(b[8:])
}

// Encode returns the struct's bytes.
func (s *IOCForeign) Encode() []byte {
	b := make([]byte, IOCForeignSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_hello.
const (
	HelloSize        = 56
	HelloMagicOff    = 0
	HelloMajorOff    = 4
	HelloMinorOff    = 6
	HelloMonitorOff  = 8
	HelloFlagsOff    = 12
	HelloJoinOff     = 16
	HelloReservedOff = 20
	HelloBootIDOff   = 24
	HelloCounterOff  = 40
	HelloTagOff      = 48
)

// Hello is struct bd_hello.
type Hello struct {
	Magic    uint32
	Major    uint16
	Minor    uint16
	Monitor  uint32
	Flags    uint32
	Join     uint32
	Reserved uint32
	BootID   [16]uint8
	Counter  uint64
	Tag      uint64
}

// Decode copies the fields out of b, which holds at least HelloSize bytes.
func (s *Hello) Decode(b []byte) error {
	if len(b) < HelloSize {
		return short("bd_hello", len(b), HelloSize)
	}
	s.Magic = binary.LittleEndian.Uint32(b[0:])
	s.Major = binary.LittleEndian.Uint16(b[4:])
	s.Minor = binary.LittleEndian.Uint16(b[6:])
	s.Monitor = binary.LittleEndian.Uint32(b[8:])
	s.Flags = binary.LittleEndian.Uint32(b[12:])
	s.Join = binary.LittleEndian.Uint32(b[16:])
	s.Reserved = binary.LittleEndian.Uint32(b[20:])
	copy(s.BootID[:], b[24:])
	s.Counter = binary.LittleEndian.Uint64(b[40:])
	s.Tag = binary.LittleEndian.Uint64(b[48:])
	return nil
}

// Put writes the struct into the first HelloSize bytes of b.
func (s *Hello) Put(b []byte) {
	_ = b[HelloSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Magic)
	binary.LittleEndian.PutUint16(b[4:], s.Major)
	binary.LittleEndian.PutUint16(b[6:], s.Minor)
	binary.LittleEndian.PutUint32(b[8:], s.Monitor)
	binary.LittleEndian.PutUint32(b[12:], s.Flags)
	binary.LittleEndian.PutUint32(b[16:], s.Join)
	binary.LittleEndian.PutUint32(b[20:], s.Reserved)
	copy(b[24:24+16], s.BootID[:])
	binary.LittleEndian.PutUint64(b[40:], s.Counter)
	binary.LittleEndian.PutUint64(b[48:], s.Tag)
}

// Encode returns the struct's bytes.
func (s *Hello) Encode() []byte {
	b := make([]byte, HelloSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_denial.
const (
	DenialSize       = 56
	DenialMagicOff   = 0
	DenialMajorOff   = 4
	DenialMinorOff   = 6
	DenialReasonOff  = 8
	DenialMonitorOff = 12
	DenialBootIDOff  = 16
	DenialCounterOff = 32
	DenialHighestOff = 40
	DenialTagOff     = 48
)

// Denial is struct bd_denial.
type Denial struct {
	Magic   uint32
	Major   uint16
	Minor   uint16
	Reason  uint32
	Monitor uint32
	BootID  [16]uint8
	Counter uint64
	Highest uint64
	Tag     uint64
}

// Decode copies the fields out of b, which holds at least DenialSize bytes.
func (s *Denial) Decode(b []byte) error {
	if len(b) < DenialSize {
		return short("bd_denial", len(b), DenialSize)
	}
	s.Magic = binary.LittleEndian.Uint32(b[0:])
	s.Major = binary.LittleEndian.Uint16(b[4:])
	s.Minor = binary.LittleEndian.Uint16(b[6:])
	s.Reason = binary.LittleEndian.Uint32(b[8:])
	s.Monitor = binary.LittleEndian.Uint32(b[12:])
	copy(s.BootID[:], b[16:])
	s.Counter = binary.LittleEndian.Uint64(b[32:])
	s.Highest = binary.LittleEndian.Uint64(b[40:])
	s.Tag = binary.LittleEndian.Uint64(b[48:])
	return nil
}

// Put writes the struct into the first DenialSize bytes of b.
func (s *Denial) Put(b []byte) {
	_ = b[DenialSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Magic)
	binary.LittleEndian.PutUint16(b[4:], s.Major)
	binary.LittleEndian.PutUint16(b[6:], s.Minor)
	binary.LittleEndian.PutUint32(b[8:], s.Reason)
	binary.LittleEndian.PutUint32(b[12:], s.Monitor)
	copy(b[16:16+16], s.BootID[:])
	binary.LittleEndian.PutUint64(b[32:], s.Counter)
	binary.LittleEndian.PutUint64(b[40:], s.Highest)
	binary.LittleEndian.PutUint64(b[48:], s.Tag)
}

// Encode returns the struct's bytes.
func (s *Denial) Encode() []byte {
	b := make([]byte, DenialSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_grant.
const (
	GrantSize        = 136
	GrantMagicOff    = 0
	GrantMajorOff    = 4
	GrantMinorOff    = 6
	GrantFlagsOff    = 8
	GrantMonitorOff  = 12
	GrantCounterOff  = 16
	GrantGrantOff    = 24
	GrantNicCPUOff   = 28
	GrantReadOff     = 32
	GrantWriteOff    = 40
	GrantRootAddrOff = 48
	GrantRootLenOff  = 56
	GrantRootKeyOff  = 60
	GrantRootOff     = 64
	GrantTagOff      = 128
)

// Grant is struct bd_grant.
type Grant struct {
	Magic    uint32
	Major    uint16
	Minor    uint16
	Flags    uint32
	Monitor  uint32
	Counter  uint64
	Grant    uint32
	NicCPU   uint32
	Read     uint64
	Write    uint64
	RootAddr uint64
	RootLen  uint32
	RootKey  uint32
	Root     Root
	Tag      uint64
}

// Decode copies the fields out of b, which holds at least GrantSize bytes.
func (s *Grant) Decode(b []byte) error {
	if len(b) < GrantSize {
		return short("bd_grant", len(b), GrantSize)
	}
	s.Magic = binary.LittleEndian.Uint32(b[0:])
	s.Major = binary.LittleEndian.Uint16(b[4:])
	s.Minor = binary.LittleEndian.Uint16(b[6:])
	s.Flags = binary.LittleEndian.Uint32(b[8:])
	s.Monitor = binary.LittleEndian.Uint32(b[12:])
	s.Counter = binary.LittleEndian.Uint64(b[16:])
	s.Grant = binary.LittleEndian.Uint32(b[24:])
	s.NicCPU = binary.LittleEndian.Uint32(b[28:])
	s.Read = binary.LittleEndian.Uint64(b[32:])
	s.Write = binary.LittleEndian.Uint64(b[40:])
	s.RootAddr = binary.LittleEndian.Uint64(b[48:])
	s.RootLen = binary.LittleEndian.Uint32(b[56:])
	s.RootKey = binary.LittleEndian.Uint32(b[60:])
	_ = s.Root.Decode(b[64:])
	s.Tag = binary.LittleEndian.Uint64(b[128:])
	return nil
}

// Put writes the struct into the first GrantSize bytes of b.
func (s *Grant) Put(b []byte) {
	_ = b[GrantSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Magic)
	binary.LittleEndian.PutUint16(b[4:], s.Major)
	binary.LittleEndian.PutUint16(b[6:], s.Minor)
	binary.LittleEndian.PutUint32(b[8:], s.Flags)
	binary.LittleEndian.PutUint32(b[12:], s.Monitor)
	binary.LittleEndian.PutUint64(b[16:], s.Counter)
	binary.LittleEndian.PutUint32(b[24:], s.Grant)
	binary.LittleEndian.PutUint32(b[28:], s.NicCPU)
	binary.LittleEndian.PutUint64(b[32:], s.Read)
	binary.LittleEndian.PutUint64(b[40:], s.Write)
	binary.LittleEndian.PutUint64(b[48:], s.RootAddr)
	binary.LittleEndian.PutUint32(b[56:], s.RootLen)
	binary.LittleEndian.PutUint32(b[60:], s.RootKey)
	s.Root.Put(b[64:])
	binary.LittleEndian.PutUint64(b[128:], s.Tag)
}

// Encode returns the struct's bytes.
func (s *Grant) Encode() []byte {
	b := make([]byte, GrantSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_owner_req.
const (
	OwnerReqSize        = 64
	OwnerReqWantOff     = 0
	OwnerReqEpochOff    = 4
	OwnerReqLeaseMsOff  = 8
	OwnerReqMonitorOff  = 12
	OwnerReqSeqOff      = 16
	OwnerReqTagOff      = 24
	OwnerReqCommitOff   = 32
	OwnerReqReservedOff = 36
)

// OwnerReq is struct bd_owner_req.
type OwnerReq struct {
	Want     uint32
	Epoch    uint32
	LeaseMs  uint32
	Monitor  uint32
	Seq      uint64
	Tag      uint64
	Commit   uint32
	Reserved [7]uint32
}

// Decode copies the fields out of b, which holds at least OwnerReqSize bytes.
func (s *OwnerReq) Decode(b []byte) error {
	if len(b) < OwnerReqSize {
		return short("bd_owner_req", len(b), OwnerReqSize)
	}
	s.Want = binary.LittleEndian.Uint32(b[0:])
	s.Epoch = binary.LittleEndian.Uint32(b[4:])
	s.LeaseMs = binary.LittleEndian.Uint32(b[8:])
	s.Monitor = binary.LittleEndian.Uint32(b[12:])
	s.Seq = binary.LittleEndian.Uint64(b[16:])
	s.Tag = binary.LittleEndian.Uint64(b[24:])
	s.Commit = binary.LittleEndian.Uint32(b[32:])
	for i := range s.Reserved {
		s.Reserved[i] = binary.LittleEndian.Uint32(b[36+i*4:])
	}
	return nil
}

// Put writes the struct into the first OwnerReqSize bytes of b.
func (s *OwnerReq) Put(b []byte) {
	_ = b[OwnerReqSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Want)
	binary.LittleEndian.PutUint32(b[4:], s.Epoch)
	binary.LittleEndian.PutUint32(b[8:], s.LeaseMs)
	binary.LittleEndian.PutUint32(b[12:], s.Monitor)
	binary.LittleEndian.PutUint64(b[16:], s.Seq)
	binary.LittleEndian.PutUint64(b[24:], s.Tag)
	binary.LittleEndian.PutUint32(b[32:], s.Commit)
	for i := range s.Reserved {
		binary.LittleEndian.PutUint32(b[36+i*4:], s.Reserved[i])
	}
}

// Encode returns the struct's bytes.
func (s *OwnerReq) Encode() []byte {
	b := make([]byte, OwnerReqSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_owner_reqs.
const (
	OwnerReqsSize    = 512
	OwnerReqsSlotOff = 0
)

// OwnerReqs is struct bd_owner_reqs.
type OwnerReqs struct {
	Slot [8]OwnerReq
}

// Decode copies the fields out of b, which holds at least OwnerReqsSize bytes.
func (s *OwnerReqs) Decode(b []byte) error {
	if len(b) < OwnerReqsSize {
		return short("bd_owner_reqs", len(b), OwnerReqsSize)
	}
	for i := range s.Slot {
		_ = s.Slot[i].Decode(b[0+i*64:])
	}
	return nil
}

// Put writes the struct into the first OwnerReqsSize bytes of b.
func (s *OwnerReqs) Put(b []byte) {
	_ = b[OwnerReqsSize-1]
	for i := range s.Slot {
		s.Slot[i].Put(b[0+i*64:])
	}
}

// Encode returns the struct's bytes.
func (s *OwnerReqs) Encode() []byte {
	b := make([]byte, OwnerReqsSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_owner_ack.
const (
	OwnerAckSize           = 216
	OwnerAckMagicOff       = 0
	OwnerAckSeqOff         = 8
	OwnerAckOwnerOff       = 12
	OwnerAckEpochOff       = 16
	OwnerAckReservedOff    = 20
	OwnerAckLeaseEndNsOff  = 24
	OwnerAckSinceNsOff     = 32
	OwnerAckNowNsOff       = 40
	OwnerAckChangesOff     = 48
	OwnerAckRefusalOff     = 56
	OwnerAckRefusedSeqOff  = 88
	OwnerAckAcceptedSeqOff = 152
)

// OwnerAck is struct bd_owner_ack.
type OwnerAck struct {
	Magic       uint64
	Seq         uint32
	Owner       uint32
	Epoch       uint32
	Reserved    uint32
	LeaseEndNs  uint64
	SinceNs     uint64
	NowNs       uint64
	Changes     uint64
	Refusal     [8]uint32
	RefusedSeq  [8]uint64
	AcceptedSeq [8]uint64
}

// Decode copies the fields out of b, which holds at least OwnerAckSize bytes.
func (s *OwnerAck) Decode(b []byte) error {
	if len(b) < OwnerAckSize {
		return short("bd_owner_ack", len(b), OwnerAckSize)
	}
	s.Magic = binary.LittleEndian.Uint64(b[0:])
	s.Seq = binary.LittleEndian.Uint32(b[8:])
	s.Owner = binary.LittleEndian.Uint32(b[12:])
	s.Epoch = binary.LittleEndian.Uint32(b[16:])
	s.Reserved = binary.LittleEndian.Uint32(b[20:])
	s.LeaseEndNs = binary.LittleEndian.Uint64(b[24:])
	s.SinceNs = binary.LittleEndian.Uint64(b[32:])
	s.NowNs = binary.LittleEndian.Uint64(b[40:])
	s.Changes = binary.LittleEndian.Uint64(b[48:])
	for i := range s.Refusal {
		s.Refusal[i] = binary.LittleEndian.Uint32(b[56+i*4:])
	}
	for i := range s.RefusedSeq {
		s.RefusedSeq[i] = binary.LittleEndian.Uint64(b[88+i*8:])
	}
	for i := range s.AcceptedSeq {
		s.AcceptedSeq[i] = binary.LittleEndian.Uint64(b[152+i*8:])
	}
	return nil
}

// Put writes the struct into the first OwnerAckSize bytes of b.
func (s *OwnerAck) Put(b []byte) {
	_ = b[OwnerAckSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Magic)
	binary.LittleEndian.PutUint32(b[8:], s.Seq)
	binary.LittleEndian.PutUint32(b[12:], s.Owner)
	binary.LittleEndian.PutUint32(b[16:], s.Epoch)
	binary.LittleEndian.PutUint32(b[20:], s.Reserved)
	binary.LittleEndian.PutUint64(b[24:], s.LeaseEndNs)
	binary.LittleEndian.PutUint64(b[32:], s.SinceNs)
	binary.LittleEndian.PutUint64(b[40:], s.NowNs)
	binary.LittleEndian.PutUint64(b[48:], s.Changes)
	for i := range s.Refusal {
		binary.LittleEndian.PutUint32(b[56+i*4:], s.Refusal[i])
	}
	for i := range s.RefusedSeq {
		binary.LittleEndian.PutUint64(b[88+i*8:], s.RefusedSeq[i])
	}
	for i := range s.AcceptedSeq {
		binary.LittleEndian.PutUint64(b[152+i*8:], s.AcceptedSeq[i])
	}
}

// Encode returns the struct's bytes.
func (s *OwnerAck) Encode() []byte {
	b := make([]byte, OwnerAckSize)
	s.Put(b)
	return b
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

// Size and offsets of struct bd_ioc_policy.
const (
	IOCPolicySize        = 32
	IOCPolicyVersionOff  = 0
	IOCPolicyMonitorOff  = 4
	IOCPolicyReadOff     = 8
	IOCPolicyWriteOff    = 16
	IOCPolicyFlagsOff    = 24
	IOCPolicyReservedOff = 28
)

// IOCPolicy is struct bd_ioc_policy.
type IOCPolicy struct {
	Version  uint32
	Monitor  uint32
	Read     uint64
	Write    uint64
	Flags    uint32
	Reserved uint32
}

// Decode copies the fields out of b, which holds at least IOCPolicySize bytes.
func (s *IOCPolicy) Decode(b []byte) error {
	if len(b) < IOCPolicySize {
		return short("bd_ioc_policy", len(b), IOCPolicySize)
	}
	s.Version = binary.LittleEndian.Uint32(b[0:])
	s.Monitor = binary.LittleEndian.Uint32(b[4:])
	s.Read = binary.LittleEndian.Uint64(b[8:])
	s.Write = binary.LittleEndian.Uint64(b[16:])
	s.Flags = binary.LittleEndian.Uint32(b[24:])
	s.Reserved = binary.LittleEndian.Uint32(b[28:])
	return nil
}

// Put writes the struct into the first IOCPolicySize bytes of b.
func (s *IOCPolicy) Put(b []byte) {
	_ = b[IOCPolicySize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Version)
	binary.LittleEndian.PutUint32(b[4:], s.Monitor)
	binary.LittleEndian.PutUint64(b[8:], s.Read)
	binary.LittleEndian.PutUint64(b[16:], s.Write)
	binary.LittleEndian.PutUint32(b[24:], s.Flags)
	binary.LittleEndian.PutUint32(b[28:], s.Reserved)
}

// Encode returns the struct's bytes.
func (s *IOCPolicy) Encode() []byte {
	b := make([]byte, IOCPolicySize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_ioc_agreement.
const (
	IOCAgreementSize        = 24
	IOCAgreementVersionOff  = 0
	IOCAgreementKindOff     = 4
	IOCAgreementKOff        = 8
	IOCAgreementVotersOff   = 12
	IOCAgreementWindowMsOff = 16
	IOCAgreementReservedOff = 20
)

// IOCAgreement is struct bd_ioc_agreement.
type IOCAgreement struct {
	Version  uint32
	Kind     uint32
	K        uint32
	Voters   uint32
	WindowMs uint32
	Reserved uint32
}

// Decode copies the fields out of b, which holds at least IOCAgreementSize bytes.
func (s *IOCAgreement) Decode(b []byte) error {
	if len(b) < IOCAgreementSize {
		return short("bd_ioc_agreement", len(b), IOCAgreementSize)
	}
	s.Version = binary.LittleEndian.Uint32(b[0:])
	s.Kind = binary.LittleEndian.Uint32(b[4:])
	s.K = binary.LittleEndian.Uint32(b[8:])
	s.Voters = binary.LittleEndian.Uint32(b[12:])
	s.WindowMs = binary.LittleEndian.Uint32(b[16:])
	s.Reserved = binary.LittleEndian.Uint32(b[20:])
	return nil
}

// Put writes the struct into the first IOCAgreementSize bytes of b.
func (s *IOCAgreement) Put(b []byte) {
	_ = b[IOCAgreementSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Version)
	binary.LittleEndian.PutUint32(b[4:], s.Kind)
	binary.LittleEndian.PutUint32(b[8:], s.K)
	binary.LittleEndian.PutUint32(b[12:], s.Voters)
	binary.LittleEndian.PutUint32(b[16:], s.WindowMs)
	binary.LittleEndian.PutUint32(b[20:], s.Reserved)
}

// Encode returns the struct's bytes.
func (s *IOCAgreement) Encode() []byte {
	b := make([]byte, IOCAgreementSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_ioc_seal.
const (
	IOCSealSize        = 8
	IOCSealVersionOff  = 0
	IOCSealReservedOff = 4
)

// IOCSeal is struct bd_ioc_seal.
type IOCSeal struct {
	Version  uint32
	Reserved uint32
}

// Decode copies the fields out of b, which holds at least IOCSealSize bytes.
func (s *IOCSeal) Decode(b []byte) error {
	if len(b) < IOCSealSize {
		return short("bd_ioc_seal", len(b), IOCSealSize)
	}
	s.Version = binary.LittleEndian.Uint32(b[0:])
	s.Reserved = binary.LittleEndian.Uint32(b[4:])
	return nil
}

// Put writes the struct into the first IOCSealSize bytes of b.
func (s *IOCSeal) Put(b []byte) {
	_ = b[IOCSealSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Version)
	binary.LittleEndian.PutUint32(b[4:], s.Reserved)
}

// Encode returns the struct's bytes.
func (s *IOCSeal) Encode() []byte {
	b := make([]byte, IOCSealSize)
	s.Put(b)
	return b
}
