// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"hash/crc32"
	"sync"
)

// A CRC register is linear: if two messages of one length differ by d, their
// registers differ by what d alone would leave in a register that began as
// zero. So the pseudo headers are summed once per flow, and what changes from
// packet to packet (lengths, ID, the masked byte of the BTH) is a table's entry
// on top: the ICRC of a packet costs the CRC of the UDP payload and no more.
//
// The same gives the ID back. A register holds its message times x^32 modulo P;
// messages that differ in the ID alone, with n bytes behind it, have CRCs that
// differ by id(x) * x^(8n+32). Times x^-(8n+16) that is id(x) * x^16: the ID in
// the register's low half and zeros above it, or the packet is damaged.

const lengths = MaxPacket/4 + 1 // a UDP payload is a multiple of four bytes

type tables struct {
	len4, len6 [lengths]uint32 // of the pseudo headers with the lengths set
	id         [2][256]uint32  // high and low byte of the IPv4 ID
	flags      [256]uint32     // high byte of the flags, as a difference
	bth4       [256]uint32     // makes byte 4 of the BTH count as 0xff
	rewind     [lengths]uint32 // x^-(8n+16)
}

var theTables = sync.OnceValue(func() *tables {
	t := new(tables)
	t.fillLengths()
	t.fillBytes()
	t.fillRewind()
	return t
})

// alone returns what a message leaves in a register that began as zero.
func alone(msg []byte) uint32 { return ^crc32.Update(^uint32(0), crc32.IEEETable, msg) }

func (t *tables) fillLengths() {
	var v4 [v4Len]byte
	var v6 [v6Len]byte
	for k := range lengths {
		udp := uint16(4*k + 8)
		be.PutUint16(v4[v4Total:], udp+20)
		be.PutUint16(v4[v4Len-udpLen:], udp)
		t.len4[k] = alone(v4[:])
		be.PutUint16(v6[v6Plen:], udp)
		be.PutUint16(v6[v6Len-udpLen:], udp)
		t.len6[k] = alone(v6[:])
	}
}

func (t *tables) fillBytes() {
	at := func(offset, v int) uint32 {
		var h [v4Len]byte
		h[offset] = byte(v)
		return alone(h[:])
	}
	for v := range 256 {
		t.id[0][v], t.id[1][v] = at(v4ID, v), at(v4ID+1, v)
		t.flags[v] = at(v4Flags, v)
		// A difference in byte 4 is one in the register, four bytes earlier.
		t.bth4[v] = unX(uint32(v^0xff), 32)
	}
}

// Bytes behind the ID that the ICRC covers, without the UDP payload; the ICRC
// itself, which the UDP payload has, is not covered.
const behindID = v4Len - v4ID - 2 - ICRCLen

func (t *tables) fillRewind() {
	t.rewind[0] = unX(one, 8*behindID+16)
	step := unX(one, 32)
	for k := 1; k < lengths; k++ {
		t.rewind[k] = mulMod(step, t.rewind[k-1])
	}
}

// rewindID turns a difference of ICRCs of a UDP payload of n bytes into the ID.
func (t *tables) rewindID(diff uint32, n int) (uint16, bool) {
	id := mulMod(diff, t.rewind[n/4])
	return uint16(id>>8&0xff | id<<8&0xff00), id>>16 == 0
}

// Polynomials over GF(2) modulo CRC-32's, with the coefficient of x^0 in the
// highest bit, as hash/crc32 has them.
const (
	ieee = crc32.IEEE
	one  = uint32(1) << 31
)

// nibbles[v] is v, four low bits, times x^4.
var nibbles = func() (t [16]uint32) {
	for v := range t {
		t[v] = timesX(timesX(timesX(timesX(uint32(v)))))
	}
	return t
}()

func timesX(a uint32) uint32 { return a>>1 ^ ieee&-(a&1) }

// unX divides a by x^n.
func unX(a uint32, n int) uint32 {
	for range n {
		if a&one != 0 {
			a = (a^ieee)<<1 | 1
		} else {
			a <<= 1
		}
	}
	return a
}

// mulMod multiplies two polynomials, four bits at a time.
func mulMod(a, b uint32) uint32 {
	b1 := timesX(b)
	b2 := timesX(b1)
	b3 := timesX(b2)
	m := [16]uint32{0, b3, b2, b2 ^ b3, b1, b1 ^ b3, b1 ^ b2, b1 ^ b2 ^ b3}
	for i := range 8 {
		m[8+i] = m[i] ^ b
	}
	var p uint32
	for range 8 {
		p = p>>4 ^ nibbles[p&15] ^ m[a&15]
		a >>= 4
	}
	return p
}
