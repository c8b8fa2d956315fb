// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

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
	CboxHeadTrialOff      = 232
	CboxHeadReserved2Off  = 236
	CboxHeadTriedOff      = 240
	CboxHeadReserved3Off  = 248
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
	Trial      uint32
	Reserved2  uint32
	Tried      uint64
	Reserved3  uint64
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
	s.Trial = binary.LittleEndian.Uint32(b[232:])
	s.Reserved2 = binary.LittleEndian.Uint32(b[236:])
	s.Tried = binary.LittleEndian.Uint64(b[240:])
	s.Reserved3 = binary.LittleEndian.Uint64(b[248:])
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
	binary.LittleEndian.PutUint32(b[232:], s.Trial)
	binary.LittleEndian.PutUint32(b[236:], s.Reserved2)
	binary.LittleEndian.PutUint64(b[240:], s.Tried)
	binary.LittleEndian.PutUint64(b[248:], s.Reserved3)
}

// Encode returns the struct's bytes.
func (s *CboxHead) Encode() []byte {
	b := make([]byte, CboxHeadSize)
	s.Put(b)
	return b
}
