// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"
)

const (
	magic   = 0x6d687376 // "vshm"
	version = 1
)

// A queue pair's segment. Its owner writes the first line, its peer the second
// and the ring.
const (
	segMagic  = 0   // u32 magic, u32 version
	segState  = 64  // u32: segReady, segGone
	segStatus = 68  // u32: driver.WCStatus of the message with number segAcked, 0: it goes on
	segAcked  = 72  // u64: messages accepted
	segTail   = 80  // u64: bytes of the ring consumed
	segAccess = 88  // u32: what the queue pair lets the peer do
	segHead   = 128 // u64: bytes of the ring produced
	segBusy   = 136 // u32: odd while the peer is at the owner's memory
	segFault  = 140 // u32: the peer asked for what it may not
	segRing   = 4096

	ringSize = 256 << 10
	segSize  = segRing + ringSize
)

const (
	segReady = 1
	segGone  = 2 // in the error state, or destroyed
)

// The key table: a header, then slots. Written by its owner only.
const (
	tabMagic  = 0  // u32 magic, u32 version
	tabAsleep = 64 // u32: the owner waits at its doorbell
	tabSlots  = 128

	// A slot: u64 sequence (odd: the registration lives), u64 key.
	slotSize  = 16
	slots     = 1 << 16
	tableSize = tabSlots + slots*slotSize
)

// Hints: a bit for each queue pair number, modulo their count. Written by all.
const (
	hintBits = 4096
	hintSize = hintBits / 8
)

// record is what stands before each piece of a message in the ring.
type record struct {
	Size  uint32 // payload bytes behind it
	Op    uint8  // driver.Opcode, or opSkip
	Flags uint8
	RNR   uint8 // retries that the sender has for a receive; 7: for ever
	Imm   uint32
	Total uint32 // bytes of the whole message
}

const (
	recordSize = 32
	opSkip     = 0xff // the ring's end: go on at its beginning

	recFirst     = 1
	recLast      = 2
	recSolicited = 4
)

func (r *record) put(b []byte) {
	binary.LittleEndian.PutUint32(b, r.Size)
	b[4], b[5], b[6] = r.Op, r.Flags, r.RNR
	binary.LittleEndian.PutUint32(b[8:], r.Imm)
	binary.LittleEndian.PutUint32(b[12:], r.Total)
}

func getRecord(b []byte) record {
	return record{
		Size: binary.LittleEndian.Uint32(b), Op: b[4], Flags: b[5], RNR: b[6],
		Imm: binary.LittleEndian.Uint32(b[8:]), Total: binary.LittleEndian.Uint32(b[12:]),
	}
}

// u64 and u32 are words that two processes share.
func u64(m []byte, off int) *atomic.Uint64 { return (*atomic.Uint64)(unsafe.Pointer(&m[off])) }
func u32(m []byte, off int) *atomic.Uint32 { return (*atomic.Uint32)(unsafe.Pointer(&m[off])) }

// pad rounds up to what keeps records aligned.
func pad(n uint32) uint64 { return (uint64(n) + recordSize - 1) &^ (recordSize - 1) }
