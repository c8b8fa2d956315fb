// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"lazystate/internal/seqnum"
	"lazystate/mtcp"
)

// A Dump on the wire is little-endian:
//
//	magic "TCPD", version u16, length of the fixed part u16
//	the fixed part: see appendFixed
//	options: count u8, each {place in optionTable u8, value u32}
//	congestion control: length u8, name
//	receive queue: length u32, bytes; send queue likewise
//
// A younger version may have a longer fixed part and further options: both are
// skipped, for the rest does not depend on them.
const (
	wireMagic   = "TCPD"
	wireVersion = 1
	fixedLen    = 2*addrLen + 1 + 6*4 + 7*4 + 4 + 4 + 3*4 + 2*8
	addrLen     = 16 + 2
	wireMost    = len(wireMagic) + 4 + fixedLen + 1 + 5*len(optionTable) + 1 + 16 + 8 // without the queues
)

var le = binary.LittleEndian

const (
	flagScaled = 1 << iota
	flagSACK
	flagStamped
	flagShutRead
)

// AppendBinary encodes a dump for another server.
func (d *Dump) AppendBinary(b []byte) []byte {
	b = slices.Grow(b, wireMost+len(d.In)+len(d.Out))
	b = append(b, wireMagic...)
	b = le.AppendUint16(b, wireVersion)
	b = le.AppendUint16(b, fixedLen)
	b = d.appendFixed(b)
	b = d.Options.append(b)
	b = append(le.AppendUint32(b, uint32(len(d.In))), d.In...)
	return append(le.AppendUint32(b, uint32(len(d.Out))), d.Out...)
}

func (d *Dump) appendFixed(b []byte) []byte {
	b = appendAddr(appendAddr(b, d.Local), d.Remote)
	b = append(b, byte(d.State))
	for _, v := range []seqnum.Value{d.Una, d.Nxt, d.Write, d.RcvNxt, d.Ack, d.Window.Wl1} {
		b = le.AppendUint32(b, uint32(v))
	}
	w := d.Window
	for _, v := range []uint32{w.Send, w.SendMost, w.Receive, uint32(w.Clamp), uint32(w.SendBuffer), uint32(w.RecvBuffer), uint32(w.BufferLocks)} {
		b = le.AppendUint32(b, v)
	}
	n := d.Negotiated
	b = le.AppendUint32(b, n.MSS)
	b = append(b, n.SendScale, n.RecvScale, d.flags(), 0)
	b = le.AppendUint32(b, n.Timestamp)
	b = le.AppendUint32(b, uint32(d.Options.Linger))
	b = le.AppendUint32(b, uint32(d.Options.PeekOff))
	b = le.AppendUint64(b, uint64(d.Options.RecvTimeo))
	return le.AppendUint64(b, uint64(d.Options.SendTimeo))
}

func (d *Dump) flags() (f byte) {
	for i, set := range []bool{d.Negotiated.Scaled, d.Negotiated.SACK, d.Negotiated.Stamped, d.Options.ShutRead} {
		if set {
			f |= 1 << i
		}
	}
	return f
}

func appendAddr(b []byte, a netip.AddrPort) []byte {
	ip := a.Addr().As16()
	return le.AppendUint16(append(b, ip[:]...), a.Port())
}

func (o *Options) append(b []byte) []byte {
	at := len(b)
	b = append(b, 0)
	for i := range optionTable {
		if o.has&(1<<i) != 0 {
			b[at]++
			b = le.AppendUint32(append(b, byte(i)), uint32(o.val[i]))
		}
	}
	return append(append(b, byte(len(o.Congestion))), o.Congestion...)
}

// Parse decodes what another server sent, which may be hostile: what it returns
// can be given to Restore. Queues of more than most bytes together are a
// *SizeError.
func Parse(b []byte, most int) (*Dump, error) {
	r := reader{b: b}
	if string(r.take(4)) != wireMagic {
		return nil, invalid("magic", "not a socket dump")
	}
	if v := r.u16(); v < wireVersion {
		return nil, invalid("version", "%d, want %d or later", v, wireVersion)
	}
	n := int(r.u16())
	fixed := reader{b: r.take(n)}
	d := &Dump{}
	d.parseFixed(&fixed)
	d.Options.parse(&r)
	d.In = r.queue(&most)
	d.Out = r.queue(&most)
	if r.over != nil {
		return nil, r.over
	}
	if r.short || fixed.short || len(r.b) > 0 {
		return nil, invalid("length", "%d bytes, %d left over", len(b), len(r.b))
	}
	d.Unread = uint32(len(d.In))
	return d, d.Check()
}

func (d *Dump) parseFixed(r *reader) {
	d.Local, d.Remote = r.addr(), r.addr()
	d.State = mtcp.State(r.u8())
	for _, v := range []*seqnum.Value{&d.Una, &d.Nxt, &d.Write, &d.RcvNxt, &d.Ack, &d.Window.Wl1} {
		*v = seqnum.Value(r.u32())
	}
	w := &d.Window
	w.Send, w.SendMost, w.Receive = r.u32(), r.u32(), r.u32()
	for _, v := range []*int32{&w.Clamp, &w.SendBuffer, &w.RecvBuffer, &w.BufferLocks} {
		*v = int32(r.u32())
	}
	n := &d.Negotiated
	n.MSS = r.u32()
	n.SendScale, n.RecvScale = r.u8(), r.u8()
	f := r.u8()
	r.u8()
	n.Scaled, n.SACK, n.Stamped, d.Options.ShutRead = f&flagScaled != 0, f&flagSACK != 0, f&flagStamped != 0, f&flagShutRead != 0
	n.Timestamp = r.u32()
	d.Options.Linger, d.Options.PeekOff = int32(r.u32()), int32(r.u32())
	d.Options.RecvTimeo, d.Options.SendTimeo = int64(r.u64()), int64(r.u64())
}

func (o *Options) parse(r *reader) {
	for range r.u8() {
		if i, v := int(r.u8()), int32(r.u32()); i < len(optionTable) {
			o.set(i, v)
		}
	}
	o.Congestion = string(r.take(int(r.u8())))
}

// reader takes a message apart; behind its end everything is zero.
type reader struct {
	b     []byte
	short bool
	over  error
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.short, r.b = true, nil
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) u8() uint8 {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if b := r.take(2); b != nil {
		return le.Uint16(b)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return le.Uint32(b)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if b := r.take(8); b != nil {
		return le.Uint64(b)
	}
	return 0
}

func (r *reader) addr() netip.AddrPort {
	b := r.take(16)
	if b == nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b)).Unmap(), r.u16())
}

// queue takes a queue out of an allowance.
func (r *reader) queue(most *int) []byte {
	n := r.u32()
	if uint64(n) > uint64(max(*most, 0)) {
		r.over = &SizeError{"queue", uint64(n), uint64(max(*most, 0))}
		return nil
	}
	*most -= int(n)
	return r.take(int(n))
}
