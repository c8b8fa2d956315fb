// SPDX-License-Identifier: Apache-2.0

package wire

// Malformed says why bytes are no packet that is spoken here. Its values are
// small, so that an endpoint can count by them.
type Malformed uint8

const (
	ErrTruncated Malformed = iota + 1
	ErrVersion
	ErrOpcode
	ErrLength // not a multiple of four, a payload where none may be, or too long
	ErrMAD
	NumMalformed // for arrays indexed by Malformed
)

// Error says what is wrong.
func (e Malformed) Error() string {
	switch e {
	case ErrTruncated:
		return "packet is shorter than its headers"
	case ErrVersion:
		return "unknown transport header version"
	case ErrOpcode:
		return "opcode is not of the reliable connection or the datagram service"
	case ErrLength:
		return "packet has a length that its opcode cannot have"
	case ErrMAD:
		return "datagram is no MAD of the communication manager"
	}
	return "malformed packet"
}

// Packet is a packet in the payload of a UDP datagram. The opcode says which of
// the extension headers are there; the others keep what they had.
type Packet struct {
	BTH
	DETH      DETH
	RETH      RETH
	Atomic    AtomicETH
	AETH      AETH
	AtomicAck uint64 // AtomicAckETH: the value before
	Imm       uint32 // ImmDt, host order here
	InvRKey   uint32 // IETH
	Payload   []byte // without pad and ICRC
}

// Parse takes b, a UDP payload with its ICRC, apart. It does not check the
// ICRC. Payload is a part of b. Errors are of type Malformed.
func (p *Packet) Parse(b []byte) error {
	if len(b) < BTHLen+ICRCLen {
		return ErrTruncated
	}
	p.BTH.decode((*[BTHLen]byte)(b))
	info := &ops[p.Opcode]
	switch {
	case p.Version != 0:
		return ErrVersion
	case info.props == 0:
		return ErrOpcode
	case len(b)&3 != 0 || len(b) > MaxPacket:
		return ErrLength
	}
	head, end := int(info.hdr), len(b)-ICRCLen-int(p.Pad)
	if end < head {
		return ErrTruncated
	}
	p.Payload = b[head:end:end]
	switch {
	case info.props&PropPayload == 0 && len(b) != head+ICRCLen:
		return ErrLength
	case p.Opcode == OpCNP && len(p.Payload) != CNPLen:
		return ErrLength
	}
	p.decodeExt(info.props, b[BTHLen:head])
	return nil
}

// decodeExt reads the extension headers; b has the length that props ask for.
func (p *Packet) decodeExt(props Props, b []byte) {
	switch {
	case props&PropRETH != 0:
		p.RETH.decode((*[16]byte)(b))
		b = b[16:]
	case props&PropAETH != 0:
		p.AETH.decode((*[4]byte)(b))
		b = b[4:]
	case props&PropAtomicETH != 0:
		p.Atomic.decode((*[28]byte)(b))
	case props&PropDETH != 0:
		p.DETH.decode((*[8]byte)(b))
		b = b[8:]
	}
	switch {
	case props&PropImm != 0:
		p.Imm = be.Uint32(b)
	case props&PropIETH != 0:
		p.InvRKey = be.Uint32(b)
	case props&PropAtomicAckETH != 0:
		p.AtomicAck = be.Uint64(b)
	}
}

// Len returns the length of a UDP payload: headers, payload, pad and ICRC.
func Len(op Opcode, payload int) int {
	return op.HeaderLen() + (payload+3)&^3 + ICRCLen
}

// PutHeader writes the headers for a payload of that many bytes into b, sets
// the pad count and returns their length. The caller puts the payload behind
// them, zero bytes up to a multiple of four, and seals the packet.
func (p *Packet) PutHeader(b []byte, payload int) int {
	p.Pad = uint8(-payload & 3)
	info := &ops[p.Opcode]
	p.BTH.encode((*[BTHLen]byte)(b))
	b = b[BTHLen:info.hdr]
	switch {
	case info.props&PropRETH != 0:
		p.RETH.encode((*[16]byte)(b))
		b = b[16:]
	case info.props&PropAETH != 0:
		p.AETH.encode((*[4]byte)(b))
		b = b[4:]
	case info.props&PropAtomicETH != 0:
		p.Atomic.encode((*[28]byte)(b))
	case info.props&PropDETH != 0:
		p.DETH.encode((*[8]byte)(b))
		b = b[8:]
	}
	switch {
	case info.props&PropImm != 0:
		be.PutUint32(b, p.Imm)
	case info.props&PropIETH != 0:
		be.PutUint32(b, p.InvRKey)
	case info.props&PropAtomicAckETH != 0:
		be.PutUint64(b, p.AtomicAck)
	}
	return int(info.hdr)
}

// Put writes the whole packet into b, which has at least Len bytes, and
// returns its length; the ICRC's four bytes are left for Flow.Seal. An opcode
// that is not spoken here is a panic.
func (p *Packet) Put(b []byte) int {
	n := p.PutHeader(b, len(p.Payload))
	n += copy(b[n:n+len(p.Payload)], p.Payload)
	for range p.Pad {
		b[n] = 0
		n++
	}
	return n + ICRCLen
}
