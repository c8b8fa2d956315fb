// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

const (
	CboxMagic     = 0x31584f42544e4f43
	CboxMajor     = 0x1
	CboxMinor     = 0x0
	CboxLenMax    = 0x40000000
	CboxHeadMax   = 0x10000
	CboxProcsMax  = 0x40
	CboxChansMax  = 0x80
	CboxOptsMax   = 0x40
	CboxActsMax   = 0x80
	CboxSnapLen   = 0x1000
	CboxRingLen   = 0x4000
	CboxOpts      = 0x10
	CboxActs      = 0x20
	CboxNone      = 0xffffffff
	CboxName      = 0x18
	CboxNumbered  = 0x1
	CboxClaimed   = 0x100
	CboxSnapNDI   = 0x1
	CboxSnapShut  = 0x2
	CboxSnapFinal = 0x4
	CboxEndClosed = 0x1
	CboxChanOpen  = 0x1
	CboxOptLen    = 0x10
	CboxPassMagic = 0x3153534150584243
	CboxPassConn  = 0x1
	ScdMagic      = 0x3130304443534353
)

// enum bd_cbox_state
const (
	CboxNew      = 0
	CboxLive     = 1
	CboxLeaving  = 2
	CboxMigrated = 3
	CboxClosed   = 4
)

// CboxStateName names a value of enum bd_cbox_state.
func CboxStateName(v uint32) string {
	switch v {
	case CboxNew:
		return "new"
	case CboxLive:
		return "live"
	case CboxLeaving:
		return "leaving"
	case CboxMigrated:
		return "migrated"
	case CboxClosed:
		return "closed"
	}
	return unknown(v)
}

// enum bd_cbox_proc_state
const (
	CboxProcFree   = 0
	CboxProcJoined = 1
	CboxProcLive   = 2
	CboxProcDone   = 3
)

// CboxProcStateName names a value of enum bd_cbox_proc_state.
func CboxProcStateName(v uint32) string {
	switch v {
	case CboxProcFree:
		return "free"
	case CboxProcJoined:
		return "joined"
	case CboxProcLive:
		return "live"
	case CboxProcDone:
		return "done"
	}
	return unknown(v)
}

// enum bd_cbox_action
const (
	CboxSetOption = 1
	CboxShutRead  = 2
	CboxShutWrite = 3
	CboxClose     = 4
)

// CboxActionName names a value of enum bd_cbox_action.
func CboxActionName(v uint32) string {
	switch v {
	case CboxSetOption:
		return "set option"
	case CboxShutRead:
		return "shut read"
	case CboxShutWrite:
		return "shut write"
	case CboxClose:
		return "close"
	}
	return unknown(v)
}

// enum bd_scd_kind
const (
	ScdHello    = 1
	ScdKeep     = 2
	ScdDone     = 3
	ScdHand     = 4
	ScdListen   = 5
	ScdListener = 6
)

// ScdKindName names a value of enum bd_scd_kind.
func ScdKindName(v uint32) string {
	switch v {
	case ScdHello:
		return "hello"
	case ScdKeep:
		return "keep"
	case ScdDone:
		return "done"
	case ScdHand:
		return "hand"
	case ScdListen:
		return "listen"
	case ScdListener:
		return "listener"
	}
	return unknown(v)
}

// Size and offsets of struct bd_cbox_area.
const (
	CboxAreaSize   = 16
	CboxAreaOffOff = 0
	CboxAreaLenOff = 8
)

// CboxArea is struct bd_cbox_area.
type CboxArea struct {
	Off uint64
	Len uint64
}

// Decode copies the fields out of b, which holds at least CboxAreaSize bytes.
func (s *CboxArea) Decode(b []byte) error {
	if len(b) < CboxAreaSize {
		return short("bd_cbox_area", len(b), CboxAreaSize)
	}
	s.Off = binary.LittleEndian.Uint64(b[0:])
	s.Len = binary.LittleEndian.Uint64(b[8:])
	return nil
}

// Put writes the struct into the first CboxAreaSize bytes of b.
func (s *CboxArea) Put(b []byte) {
	_ = b[CboxAreaSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Off)
	binary.LittleEndian.PutUint64(b[8:], s.Len)
}

// Encode returns the struct's bytes.
func (s *CboxArea) Encode() []byte {
	b := make([]byte, CboxAreaSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_cbox_table.
const (
	CboxTableSize     = 8
	CboxTableOffOff   = 0
	CboxTableCountOff = 4
	CboxTableSizeOff  = 6
)

// CboxTable is struct bd_cbox_table.
type CboxTable struct {
	Off   uint32
	Count uint16
	Size  uint16
}

// Decode copies the fields out of b, which holds at least CboxTableSize bytes.
func (s *CboxTable) Decode(b []byte) error {
	if len(b) < CboxTableSize {
		return short("bd_cbox_table", len(b), CboxTableSize)
	}
	s.Off = binary.LittleEndian.Uint32(b[0:])
	s.Count = binary.LittleEndian.Uint16(b[4:])
	s.Size = binary.LittleEndian.Uint16(b[6:])
	return nil
}

// Put writes the struct into the first CboxTableSize bytes of b.
func (s *CboxTable) Put(b []byte) {
	_ = b[CboxTableSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Off)
	binary.LittleEndian.PutUint16(b[4:], s.Count)
	binary.LittleEndian.PutUint16(b[6:], s.Size)
}

// Encode returns the struct's bytes.
func (s *CboxTable) Encode() []byte {
	b := make([]byte, CboxTableSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_cbox_addr.
const (
	CboxAddrSize      = 24
	CboxAddrFamilyOff = 0
	CboxAddrPortOff   = 2
	CboxAddrScopeOff  = 4
	CboxAddrAddrOff   = 8
)

// CboxAddr is struct bd_cbox_addr.
type CboxAddr struct {
	Family uint16
	Port   uint16
	Scope  uint32
	Addr   [16]uint8
}

// Decode copies the fields out of b, which holds at least CboxAddrSize bytes.
func (s *CboxAddr) Decode(b []byte) error {
	if len(b) < CboxAddrSize {
		return short("bd_cbox_addr", len(b), CboxAddrSize)
	}
	s.Family = binary.LittleEndian.Uint16(b[0:])
	s.Port = binary.LittleEndian.Uint16(b[2:])
	s.Scope = binary.LittleEndian.Uint32(b[4:])
	copy(s.Addr[:], b[8:])
	return nil
}

// Put writes the struct into the first CboxAddrSize bytes of b.
func (s *CboxAddr) Put(b []byte) {
	_ = b[CboxAddrSize-1]
	binary.LittleEndian.PutUint16(b[0:], s.Family)
	binary.LittleEndian.PutUint16(b[2:], s.Port)
	binary.LittleEndian.PutUint32(b[4:], s.Scope)
	copy(b[8:8+16], s.Addr[:])
}

// Encode returns the struct's bytes.
func (s *CboxAddr) Encode() []byte {
	b := make([]byte, CboxAddrSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_cbox_head.
const (
	CboxHeadSize          = 256
	CboxHeadMagicOff      = 0
	CboxHeadMajorOff      = 8
	CboxHeadMinorOff      = 10
	CboxHeadHeadLenOff    = 12
	CboxHeadLenOff        = 16
	CboxHeadSessionOff    = 24
	CboxHeadGenerationOff = 40
	CboxHeadProcsOff      = 48
	CboxHeadChansOff      = 56
	CboxHeadOptsOff       = 64
	CboxHeadActsOff       = 72
	CboxHeadLogOff        = 80
	CboxHeadHoldOff       = 96
	CboxHeadLocalOff      = 112
	CboxHeadRemoteOff     = 136
	CboxHeadFlagsOff      = 160
	CboxHeadCRCOff        = 164
	CboxHeadStateOff      = 168
	CboxHeadActionsOff    = 172
	CboxHeadExportsOff    = 176
	CboxHeadReadBaseOff   = 184
	CboxHeadWriteBaseOff  = 192
	CboxHeadUpFirstOff    = 200
	CboxHeadDownFirstOff  = 204
	CboxHeadNumberedOff   = 208
	CboxHeadReservedOff   = 212
	CboxHeadReadOff       = 216
	CboxHeadWrittenOff    = 224
	CboxHeadReserved2Off  = 232
)

// CboxHead is struct bd_cbox_head.
type CboxHead struct {
	Magic      uint64
	Major      uint16
	Minor      uint16
	HeadLen    uint32
	Len        uint64
	Session    [16]uint8
	Generation uint64
	Procs      CboxTable
	Chans      CboxTable
	Opts       CboxTable
	Acts       CboxTable
	Log        CboxArea
	Hold       CboxArea
	Local      CboxAddr
	Remote     CboxAddr
	Flags      uint32
	CRC        uint32
	State      uint32
	Actions    uint32
	Exports    uint64
	ReadBase   uint64
	WriteBase  uint64
	UpFirst    uint32
	DownFirst  uint32
	Numbered   uint32
	Reserved   uint32
	Read       uint64
	Written    uint64
	Reserved2  [3]uint64
}

// Decode copies the fields out of b, which holds at least CboxHeadSize bytes.
func (s *CboxHead) Decode(b []byte) error {
	if len(b) < CboxHeadSize {
		return short("bd_cbox_head", len(b), CboxHeadSize)
	}
	s.Magic = binary.LittleEndian.Uint64(b[0:])
	s.Major = binary.LittleEndian.Uint16(b[8:])
	s.Minor = binary.LittleEndian.Uint16(b[10:])
	s.HeadLen = binary.LittleEndian.Uint32(b[12:])
	s.Len = binary.LittleEndian.Uint64(b[16:])
	copy(s.Session[:], b[24:])
	s.Generation = binary.LittleEndian.Uint64(b[40:])
	_ = s.Procs.Decode(b[48:])
	_ = s.Chans.Decode(b[56:])
	_ = s.Opts.Decode(b[64:])
	_ = s.Acts.Decode(b[72:])
	_ = s.Log.Decode(b[80:])
	_ = s.Hold.Decode(b[96:])
	_ = s.Local.Decode(b[112:])
	_ = s.Remote.Decode(b[136:])
	s.Flags = binary.LittleEndian.Uint32(b[160:])
	s.CRC = binary.LittleEndian.Uint32(b[164:])
	s.State = binary.LittleEndian.Uint32(b[168:])
	s.Actions = binary.LittleEndian.Uint32(b[172:])
	s.Exports = binary.LittleEndian.Uint64(b[176:])
	s.ReadBase = binary.LittleEndian.Uint64(b[184:])
	s.WriteBase = binary.LittleEndian.Uint64(b[192:])
	s.UpFirst = binary.LittleEndian.Uint32(b[200:])
	s.DownFirst = binary.LittleEndian.Uint32(b[204:])
	s.Numbered = binary.LittleEndian.Uint32(b[208:])
	s.Reserved = binary.LittleEndian.Uint32(b[212:])
	s.Read = binary.LittleEndian.Uint64(b[216:])
	s.Written = binary.LittleEndian.Uint64(b[224:])
	for i := range s.Reserved2 {
		s.Reserved2[i] = binary.LittleEndian.Uint64(b[232+i*8:])
	}
	return nil
}

// Put writes the struct into the first CboxHeadSize bytes of b.
func (s *CboxHead) Put(b []byte) {
	_ = b[CboxHeadSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Magic)
	binary.LittleEndian.PutUint16(b[8:], s.Major)
	binary.LittleEndian.PutUint16(b[10:], s.Minor)
	binary.LittleEndian.PutUint32(b[12:], s.HeadLen)
	binary.LittleEndian.PutUint64(b[16:], s.Len)
	copy(b[24:24+16], s.Session[:])
	binary.LittleEndian.PutUint64(b[40:], s.Generation)
	s.Procs.Put(b[48:])
	s.Chans.Put(b[56:])
	s.Opts.Put(b[64:])
	s.Acts.Put(b[72:])
	s.Log.Put(b[80:])
	s.Hold.Put(b[96:])
	s.Local.Put(b[112:])
	s.Remote.Put(b[136:])
	binary.LittleEndian.PutUint32(b[160:], s.Flags)
	binary.LittleEndian.PutUint32(b[164:], s.CRC)
	binary.LittleEndian.PutUint32(b[168:], s.State)
	binary.LittleEndian.PutUint32(b[172:], s.Actions)
	binary.LittleEndian.PutUint64(b[176:], s.Exports)
	binary.LittleEndian.PutUint64(b[184:], s.ReadBase)
	binary.LittleEndian.PutUint64(b[192:], s.WriteBase)
	binary.LittleEndian.PutUint32(b[200:], s.UpFirst)
	binary.LittleEndian.PutUint32(b[204:], s.DownFirst)
	binary.LittleEndian.PutUint32(b[208:], s.Numbered)
	binary.LittleEndian.PutUint32(b[212:], s.Reserved)
	binary.LittleEndian.PutUint64(b[216:], s.Read)
	binary.LittleEndian.PutUint64(b[224:], s.Written)
	for i := range s.Reserved2 {
		binary.LittleEndian.PutUint64(b[232+i*8:], s.Reserved2[i])
	}
}

// Encode returns the struct's bytes.
func (s *CboxHead) Encode() []byte {
	b := make([]byte, CboxHeadSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_cbox_proc.
const (
	CboxProcSize         = 128
	CboxProcSnapOffOff   = 0
	CboxProcSnapLenOff   = 8
	CboxProcParentOff    = 12
	CboxProcStateOff     = 16
	CboxProcReservedOff  = 20
	CboxProcPIDOff       = 24
	CboxProcNameOff      = 32
	CboxProcReserved2Off = 56
	CboxProcOwnerOff     = 64
	CboxProcBusyOff      = 68
	CboxProcReserved3Off = 72
)

// CboxProc is struct bd_cbox_proc.
type CboxProc struct {
	SnapOff   uint64
	SnapLen   uint32
	Parent    uint32
	State     uint32
	Reserved  uint32
	PID       uint64
	Name      [24]byte
	Reserved2 uint64
	Owner     uint32
	Busy      uint32
	Reserved3 [7]uint64
}

// Decode copies the fields out of b, which holds at least CboxProcSize bytes.
func (s *CboxProc) Decode(b []byte) error {
	if len(b) < CboxProcSize {
		return short("bd_cbox_proc", len(b), CboxProcSize)
	}
	s.SnapOff = binary.LittleEndian.Uint64(b[0:])
	s.SnapLen = binary.LittleEndian.Uint32(b[8:])
	s.Parent = binary.LittleEndian.Uint32(b[12:])
	s.State = binary.LittleEndian.Uint32(b[16:])
	s.Reserved = binary.LittleEndian.Uint32(b[20:])
	s.PID = binary.LittleEndian.Uint64(b[24:])
	copy(s.Name[:], b[32:])
	s.Reserved2 = binary.LittleEndian.Uint64(b[56:])
	s.Owner = binary.LittleEndian.Uint32(b[64:])
	s.Busy = binary.LittleEndian.Uint32(b[68:])
	for i := range s.Reserved3 {
		s.Reserved3[i] = binary.LittleEndian.Uint64(b[72+i*8:])
	}
	return nil
}

// Put writes the struct into the first CboxProcSize bytes of b.
func (s *CboxProc) Put(b []byte) {
	_ = b[CboxProcSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.SnapOff)
	binary.LittleEndian.PutUint32(b[8:], s.SnapLen)
	binary.LittleEndian.PutUint32(b[12:], s.Parent)
	binary.LittleEndian.PutUint32(b[16:], s.State)
	binary.LittleEndian.PutUint32(b[20:], s.Reserved)
	binary.LittleEndian.PutUint64(b[24:], s.PID)
	copy(b[32:32+24], s.Name[:])
	binary.LittleEndian.PutUint64(b[56:], s.Reserved2)
	binary.LittleEndian.PutUint32(b[64:], s.Owner)
	binary.LittleEndian.PutUint32(b[68:], s.Busy)
	for i := range s.Reserved3 {
		binary.LittleEndian.PutUint64(b[72+i*8:], s.Reserved3[i])
	}
}

// Encode returns the struct's bytes.
func (s *CboxProc) Encode() []byte {
	b := make([]byte, CboxProcSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_cbox_snap.
const (
	CboxSnapSize       = 64
	CboxSnapSeqOff     = 0
	CboxSnapCRCOff     = 8
	CboxSnapLenOff     = 12
	CboxSnapNumberOff  = 16
	CboxSnapOrderOff   = 24
	CboxSnapLSROff     = 32
	CboxSnapLSWOff     = 40
	CboxSnapLogBaseOff = 48
	CboxSnapActionsOff = 56
	CboxSnapFlagsOff   = 60
	CboxSnapEndsOff    = 62
)

// CboxSnap is struct bd_cbox_snap.
type CboxSnap struct {
	Seq     uint64
	CRC     uint32
	Len     uint32
	Number  uint64
	Order   uint64
	LSR     uint64
	LSW     uint64
	LogBase uint64
	Actions uint32
	Flags   uint16
	Ends    uint16
}

// Decode copies the fields out of b, which holds at least CboxSnapSize bytes.
func (s *CboxSnap) Decode(b []byte) error {
	if len(b) < CboxSnapSize {
		return short("bd_cbox_snap", len(b), CboxSnapSize)
	}
	s.Seq = binary.LittleEndian.Uint64(b[0:])
	s.CRC = binary.LittleEndian.Uint32(b[8:])
	s.Len = binary.LittleEndian.Uint32(b[12:])
	s.Number = binary.LittleEndian.Uint64(b[16:])
	s.Order = binary.LittleEndian.Uint64(b[24:])
	s.LSR = binary.LittleEndian.Uint64(b[32:])
	s.LSW = binary.LittleEndian.Uint64(b[40:])
	s.LogBase = binary.LittleEndian.Uint64(b[48:])
	s.Actions = binary.LittleEndian.Uint32(b[56:])
	s.Flags = binary.LittleEndian.Uint16(b[60:])
	s.Ends = binary.LittleEndian.Uint16(b[62:])
	return nil
}

// Put writes the struct into the first CboxSnapSize bytes of b.
func (s *CboxSnap) Put(b []byte) {
	_ = b[CboxSnapSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Seq)
	binary.LittleEndian.PutUint32(b[8:], s.CRC)
	binary.LittleEndian.PutUint32(b[12:], s.Len)
	binary.LittleEndian.PutUint64(b[16:], s.Number)
	binary.LittleEndian.PutUint64(b[24:], s.Order)
	binary.LittleEndian.PutUint64(b[32:], s.LSR)
	binary.LittleEndian.PutUint64(b[40:], s.LSW)
	binary.LittleEndian.PutUint64(b[48:], s.LogBase)
	binary.LittleEndian.PutUint32(b[56:], s.Actions)
	binary.LittleEndian.PutUint16(b[60:], s.Flags)
	binary.LittleEndian.PutUint16(b[62:], s.Ends)
}

// Encode returns the struct's bytes.
func (s *CboxSnap) Encode() []byte {
	b := make([]byte, CboxSnapSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_cbox_end.
const (
	CboxEndSize     = 16
	CboxEndChanOff  = 0
	CboxEndFlagsOff = 4
	CboxEndPosOff   = 8
)

// CboxEnd is struct bd_cbox_end.
type CboxEnd struct {
	Chan  uint32
	Flags uint32
	Pos   uint64
}

// Decode copies the fields out of b, which holds at least CboxEndSize bytes.
func (s *CboxEnd) Decode(b []byte) error {
	if len(b) < CboxEndSize {
		return short("bd_cbox_end", len(b), CboxEndSize)
	}
	s.Chan = binary.LittleEndian.Uint32(b[0:])
	s.Flags = binary.LittleEndian.Uint32(b[4:])
	s.Pos = binary.LittleEndian.Uint64(b[8:])
	return nil
}

// Put writes the struct into the first CboxEndSize bytes of b.
func (s *CboxEnd) Put(b []byte) {
	_ = b[CboxEndSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Chan)
	binary.LittleEndian.PutUint32(b[4:], s.Flags)
	binary.LittleEndian.PutUint64(b[8:], s.Pos)
}

// Encode returns the struct's bytes.
func (s *CboxEnd) Encode() []byte {
	b := make([]byte, CboxEndSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_cbox_chan.
const (
	CboxChanSize           = 192
	CboxChanRingOff        = 0
	CboxChanWriterOff      = 16
	CboxChanReaderOff      = 20
	CboxChanStateOff       = 24
	CboxChanReservedOff    = 28
	CboxChanReserved2Off   = 32
	CboxChanHeadOff        = 64
	CboxChanEndOff         = 72
	CboxChanWriterWaitsOff = 76
	CboxChanReserved3Off   = 80
	CboxChanLSROff         = 128
	CboxChanReadOff        = 136
	CboxChanGoneOff        = 144
	CboxChanReaderWaitsOff = 148
	CboxChanReserved4Off   = 152
)

// CboxChan is struct bd_cbox_chan.
type CboxChan struct {
	Ring        CboxArea
	Writer      uint32
	Reader      uint32
	State       uint32
	Reserved    uint32
	Reserved2   [4]uint64
	Head        uint64
	End         uint32
	WriterWaits uint32
	Reserved3   [6]uint64
	LSR         uint64
	Read        uint64
	Gone        uint32
	ReaderWaits uint32
	Reserved4   [5]uint64
}

// Decode copies the fields out of b, which holds at least CboxChanSize bytes.
func (s *CboxChan) Decode(b []byte) error {
	if len(b) < CboxChanSize {
		return short("bd_cbox_chan", len(b), CboxChanSize)
	}
	_ = s.Ring.Decode(b[0:])
	s.Writer = binary.LittleEndian.Uint32(b[16:])
	s.Reader = binary.LittleEndian.Uint32(b[20:])
	s.State = binary.LittleEndian.Uint32(b[24:])
	s.Reserved = binary.LittleEndian.Uint32(b[28:])
	for i := range s.Reserved2 {
		s.Reserved2[i] = binary.LittleEndian.Uint64(b[32+i*8:])
	}
	s.Head = binary.LittleEndian.Uint64(b[64:])
	s.End = binary.LittleEndian.Uint32(b[72:])
	s.WriterWaits = binary.LittleEndian.Uint32(b[76:])
	for i := range s.Reserved3 {
		s.Reserved3[i] = binary.LittleEndian.Uint64(b[80+i*8:])
	}
	s.LSR = binary.LittleEndian.Uint64(b[128:])
	s.Read = binary.LittleEndian.Uint64(b[136:])
	s.Gone = binary.LittleEndian.Uint32(b[144:])
	s.ReaderWaits = binary.LittleEndian.Uint32(b[148:])
	for i := range s.Reserved4 {
		s.Reserved4[i] = binary.LittleEndian.Uint64(b[152+i*8:])
	}
	return nil
}

// Put writes the struct into the first CboxChanSize bytes of b.
func (s *CboxChan) Put(b []byte) {
	_ = b[CboxChanSize-1]
	s.Ring.Put(b[0:])
	binary.LittleEndian.PutUint32(b[16:], s.Writer)
	binary.LittleEndian.PutUint32(b[20:], s.Reader)
	binary.LittleEndian.PutUint32(b[24:], s.State)
	binary.LittleEndian.PutUint32(b[28:], s.Reserved)
	for i := range s.Reserved2 {
		binary.LittleEndian.PutUint64(b[32+i*8:], s.Reserved2[i])
	}
	binary.LittleEndian.PutUint64(b[64:], s.Head)
	binary.LittleEndian.PutUint32(b[72:], s.End)
	binary.LittleEndian.PutUint32(b[76:], s.WriterWaits)
	for i := range s.Reserved3 {
		binary.LittleEndian.PutUint64(b[80+i*8:], s.Reserved3[i])
	}
	binary.LittleEndian.PutUint64(b[128:], s.LSR)
	binary.LittleEndian.PutUint64(b[136:], s.Read)
	binary.LittleEndian.PutUint32(b[144:], s.Gone)
	binary.LittleEndian.PutUint32(b[148:], s.ReaderWaits)
	for i := range s.Reserved4 {
		binary.LittleEndian.PutUint64(b[152+i*8:], s.Reserved4[i])
	}
}

// Encode returns the struct's bytes.
func (s *CboxChan) Encode() []byte {
	b := make([]byte, CboxChanSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_cbox_act.
const (
	CboxActSize        = 48
	CboxActNumberOff   = 0
	CboxActKindOff     = 4
	CboxActLenOff      = 6
	CboxActLevelOff    = 8
	CboxActNameOff     = 12
	CboxActPosOff      = 16
	CboxActValueOff    = 24
	CboxActCRCOff      = 40
	CboxActReservedOff = 44
)

// CboxAct is struct bd_cbox_act.
type CboxAct struct {
	Number   uint32
	Kind     uint16
	Len      uint16
	Level    int32
	Name     int32
	Pos      uint64
	Value    [16]uint8
	CRC      uint32
	Reserved uint32
}

// Decode copies the fields out of b, which holds at least CboxActSize bytes.
func (s *CboxAct) Decode(b []byte) error {
	if len(b) < CboxActSize {
		return short("bd_cbox_act", len(b), CboxActSize)
	}
	s.Number = binary.LittleEndian.Uint32(b[0:])
	s.Kind = binary.LittleEndian.Uint16(b[4:])
	s.Len = binary.LittleEndian.Uint16(b[6:])
	s.Level = int32(binary.LittleEndian.Uint32(b[8:]))
	s.Name = int32(binary.LittleEndian.Uint32(b[12:]))
	s.Pos = binary.LittleEndian.Uint64(b[16:])
	copy(s.Value[:], b[24:])
	s.CRC = binary.LittleEndian.Uint32(b[40:])
	s.Reserved = binary.LittleEndian.Uint32(b[44:])
	return nil
}

// Put writes the struct into the first CboxActSize bytes of b.
func (s *CboxAct) Put(b []byte) {
	_ = b[CboxActSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Number)
	binary.LittleEndian.PutUint16(b[4:], s.Kind)
	binary.LittleEndian.PutUint16(b[6:], s.Len)
	binary.LittleEndian.PutUint32(b[8:], uint32(s.Level))
	binary.LittleEndian.PutUint32(b[12:], uint32(s.Name))
	binary.LittleEndian.PutUint64(b[16:], s.Pos)
	copy(b[24:24+16], s.Value[:])
	binary.LittleEndian.PutUint32(b[40:], s.CRC)
	binary.LittleEndian.PutUint32(b[44:], s.Reserved)
}

// Encode returns the struct's bytes.
func (s *CboxAct) Encode() []byte {
	b := make([]byte, CboxActSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_cbox_opt.
const (
	CboxOptSize     = 32
	CboxOptLevelOff = 0
	CboxOptNameOff  = 4
	CboxOptLenOff   = 8
	CboxOptUsedOff  = 10
	CboxOptValueOff = 12
	CboxOptCRCOff   = 28
)

// CboxOpt is struct bd_cbox_opt.
type CboxOpt struct {
	Level int32
	Name  int32
	Len   uint16
	Used  uint16
	Value [16]uint8
	CRC   uint32
}

// Decode copies the fields out of b, which holds at least CboxOptSize bytes.
func (s *CboxOpt) Decode(b []byte) error {
	if len(b) < CboxOptSize {
		return short("bd_cbox_opt", len(b), CboxOptSize)
	}
	s.Level = int32(binary.LittleEndian.Uint32(b[0:]))
	s.Name = int32(binary.LittleEndian.Uint32(b[4:]))
	s.Len = binary.LittleEndian.Uint16(b[8:])
	s.Used = binary.LittleEndian.Uint16(b[10:])
	copy(s.Value[:], b[12:])
	s.CRC = binary.LittleEndian.Uint32(b[28:])
	return nil
}

// Put writes the struct into the first CboxOptSize bytes of b.
func (s *CboxOpt) Put(b []byte) {
	_ = b[CboxOptSize-1]
	binary.LittleEndian.PutUint32(b[0:], uint32(s.Level))
	binary.LittleEndian.PutUint32(b[4:], uint32(s.Name))
	binary.LittleEndian.PutUint16(b[8:], s.Len)
	binary.LittleEndian.PutUint16(b[10:], s.Used)
	copy(b[12:12+16], s.Value[:])
	binary.LittleEndian.PutUint32(b[28:], s.CRC)
}

// Encode returns the struct's bytes.
func (s *CboxOpt) Encode() []byte {
	b := make([]byte, CboxOptSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_cbox_pass.
const (
	CboxPassSize          = 56
	CboxPassMagicOff      = 0
	CboxPassOffsetOff     = 8
	CboxPassLengthOff     = 16
	CboxPassSessionOff    = 24
	CboxPassGenerationOff = 40
	CboxPassSlotOff       = 48
	CboxPassFlagsOff      = 52
)

// CboxPass is struct bd_cbox_pass.
type CboxPass struct {
	Magic      uint64
	Offset     uint64
	Length     uint64
	Session    [16]uint8
	Generation uint64
	Slot       uint32
	Flags      uint32
}

// Decode copies the fields out of b, which holds at least CboxPassSize bytes.
func (s *CboxPass) Decode(b []byte) error {
	if len(b) < CboxPassSize {
		return short("bd_cbox_pass", len(b), CboxPassSize)
	}
	s.Magic = binary.LittleEndian.Uint64(b[0:])
	s.Offset = binary.LittleEndian.Uint64(b[8:])
	s.Length = binary.LittleEndian.Uint64(b[16:])
	copy(s.Session[:], b[24:])
	s.Generation = binary.LittleEndian.Uint64(b[40:])
	s.Slot = binary.LittleEndian.Uint32(b[48:])
	s.Flags = binary.LittleEndian.Uint32(b[52:])
	return nil
}

// Put writes the struct into the first CboxPassSize bytes of b.
func (s *CboxPass) Put(b []byte) {
	_ = b[CboxPassSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Magic)
	binary.LittleEndian.PutUint64(b[8:], s.Offset)
	binary.LittleEndian.PutUint64(b[16:], s.Length)
	copy(b[24:24+16], s.Session[:])
	binary.LittleEndian.PutUint64(b[40:], s.Generation)
	binary.LittleEndian.PutUint32(b[48:], s.Slot)
	binary.LittleEndian.PutUint32(b[52:], s.Flags)
}

// Encode returns the struct's bytes.
func (s *CboxPass) Encode() []byte {
	b := make([]byte, CboxPassSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_scd_request.
const (
	ScdRequestSize        = 80
	ScdRequestMagicOff    = 0
	ScdRequestKindOff     = 8
	ScdRequestSlotOff     = 12
	ScdRequestOffsetOff   = 16
	ScdRequestLengthOff   = 24
	ScdRequestSessionOff  = 32
	ScdRequestNameOff     = 48
	ScdRequestPortOff     = 72
	ScdRequestReservedOff = 76
)

// ScdRequest is struct bd_scd_request.
type ScdRequest struct {
	Magic    uint64
	Kind     uint32
	Slot     uint32
	Offset   uint64
	Length   uint64
	Session  [16]uint8
	Name     [24]byte
	Port     uint32
	Reserved uint32
}

// Decode copies the fields out of b, which holds at least ScdRequestSize bytes.
func (s *ScdRequest) Decode(b []byte) error {
	if len(b) < ScdRequestSize {
		return short("bd_scd_request", len(b), ScdRequestSize)
	}
	s.Magic = binary.LittleEndian.Uint64(b[0:])
	s.Kind = binary.LittleEndian.Uint32(b[8:])
	s.Slot = binary.LittleEndian.Uint32(b[12:])
	s.Offset = binary.LittleEndian.Uint64(b[16:])
	s.Length = binary.LittleEndian.Uint64(b[24:])
	copy(s.Session[:], b[32:])
	copy(s.Name[:], b[48:])
	s.Port = binary.LittleEndian.Uint32(b[72:])
	s.Reserved = binary.LittleEndian.Uint32(b[76:])
	return nil
}

// Put writes the struct into the first ScdRequestSize bytes of b.
func (s *ScdRequest) Put(b []byte) {
	_ = b[ScdRequestSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Magic)
	binary.LittleEndian.PutUint32(b[8:], s.Kind)
	binary.LittleEndian.PutUint32(b[12:], s.Slot)
	binary.LittleEndian.PutUint64(b[16:], s.Offset)
	binary.LittleEndian.PutUint64(b[24:], s.Length)
	copy(b[32:32+16], s.Session[:])
	copy(b[48:48+24], s.Name[:])
	binary.LittleEndian.PutUint32(b[72:], s.Port)
	binary.LittleEndian.PutUint32(b[76:], s.Reserved)
}

// Encode returns the struct's bytes.
func (s *ScdRequest) Encode() []byte {
	b := make([]byte, ScdRequestSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_scd_answer.
const (
	ScdAnswerSize     = 16
	ScdAnswerMagicOff = 0
	ScdAnswerKindOff  = 8
	ScdAnswerErrorOff = 12
)

// ScdAnswer is struct bd_scd_answer.
type ScdAnswer struct {
	Magic uint64
	Kind  uint32
	Error int32
}

// Decode copies the fields out of b, which holds at least ScdAnswerSize bytes.
func (s *ScdAnswer) Decode(b []byte) error {
	if len(b) < ScdAnswerSize {
		return short("bd_scd_answer", len(b), ScdAnswerSize)
	}
	s.Magic = binary.LittleEndian.Uint64(b[0:])
	s.Kind = binary.LittleEndian.Uint32(b[8:])
	s.Error = int32(binary.LittleEndian.Uint32(b[12:]))
	return nil
}

// Put writes the struct into the first ScdAnswerSize bytes of b.
func (s *ScdAnswer) Put(b []byte) {
	_ = b[ScdAnswerSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Magic)
	binary.LittleEndian.PutUint32(b[8:], s.Kind)
	binary.LittleEndian.PutUint32(b[12:], uint32(s.Error))
}

// Encode returns the struct's bytes.
func (s *ScdAnswer) Encode() []byte {
	b := make([]byte, ScdAnswerSize)
	s.Put(b)
	return b
}
