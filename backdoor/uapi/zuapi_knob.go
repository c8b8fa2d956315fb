// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

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
