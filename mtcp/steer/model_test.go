// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"bytes"
	"encoding/binary"

	"lazystate/internal/seqnum"
	"lazystate/mtcp/wire"
)

// What the programs answer.
const (
	verdictNext     = 0xffffffff
	verdictShot     = 2
	verdictRedirect = 7
)

// model is what bpf/agent.h is to do, said once more and without a kernel.
type model struct {
	sessions map[Flow]*bpfSession
	wires    map[Flow]bpfWire
	told     []Told
}

func flags(s wire.Segment, f wire.Flags) bool { return s.Flags&f != 0 }

func ours(s wire.Segment) bool {
	o := s.Options
	return len(s.Payload) == 0 && len(o) >= 8 && o[0] == 253 && o[2] == 'M' && o[3] == 'T'
}

// out is a segment that the client's TCP sends.
func (m *model) out(s wire.Segment) (uint32, wire.Segment) {
	e := m.sessions[Flow{s.Src, s.Dst}]
	if e == nil || ours(s) {
		return verdictNext, s
	}
	if flags(s, wire.RST) && State(e.State) != Moved {
		m.told = append(m.told, Abort)
	}
	if State(e.State) == Migrating && !expired(*e) && (len(s.Payload) > 0 || flags(s, wire.FIN|wire.SYN)) {
		return verdictShot, s
	}
	if State(e.State) == Switched && len(s.Payload) == 0 && !flags(s, wire.FIN|wire.SYN) {
		return verdictRedirect, s // to nowhere
	}
	if State(e.State) == Switched {
		return verdictShot, s
	}
	if e.Flags&clampOut != 0 && flags(s, wire.ACK) && seqnum.Value(e.Sent).Less(s.Ack) {
		s.Ack = seqnum.Value(e.Sent)
	}
	w := flowOf(e.Wire)
	if w == (Flow{s.Src, s.Dst}) {
		return verdictNext, shifted(s, e.Up, e.Down)
	}
	s.Src, s.Dst = w.Local, w.Remote
	if e.Flags&direct != 0 {
		return verdictNext, shifted(s, e.Up, e.Down)
	}
	return verdictRedirect, shifted(s, e.Up, e.Down)
}

// shifted adds to the numbers of the sender's space and to those of the other's.
func shifted(s wire.Segment, own, other uint32) wire.Segment {
	s.Seq += seqnum.Value(own)
	if flags(s, wire.ACK) {
		s.Ack += seqnum.Value(other)
		s.Options = eachSack(s.Options, func(o []byte) {
			for o = o[2:]; len(o) >= 4; o = o[4:] {
				binary.BigEndian.PutUint32(o, binary.BigEndian.Uint32(o)+other)
			}
		})
	}
	return s
}

// eachSack changes the SACK option of a copy.
func eachSack(opts []byte, f func(o []byte)) []byte {
	opts = bytes.Clone(opts)
	if len(opts) < 12 {
		return opts
	}
	for o := opts; len(o) > 1 && o[0] != 0; {
		switch {
		case o[0] == 1:
			o = o[1:]
			continue
		case o[1] < 2 || int(o[1]) > len(o):
			return opts
		case o[0] == 5:
			f(o[:o[1]])
			return opts
		}
		o = o[o[1]:]
	}
	return opts
}

// in is a segment that comes from a server.
func (m *model) in(s wire.Segment) (uint32, wire.Segment) {
	w, ok := m.wires[Flow{s.Dst, s.Src}]
	if !ok {
		return m.unasked(s)
	}
	app := flowOf(w.App)
	e := m.sessions[app]
	switch {
	case e == nil:
		return verdictNext, s
	case w.Hop == e.Hop && ours(s) && !flags(s, wire.SYN):
		if State(e.State) == Switched && first(shifted(s, -e.Down, -e.Up), e) {
			e.State = uint32(Moved)
		}
		m.told = append(m.told, Option)
		return verdictShot, s
	case w.Hop == e.Hop:
		return m.come(s, e, app)
	case w.Hop != 0 && w.Hop == e.Next && State(e.State) == Migrating:
		m.told = append(m.told, Next)
	}
	return verdictShot, s
}

func (m *model) unasked(s wire.Segment) (uint32, wire.Segment) {
	switch {
	case !ours(s):
		return verdictNext, s
	case flags(s, wire.SYN):
		m.told = append(m.told, Offered)
		return verdictNext, s
	}
	m.told = append(m.told, Option)
	return verdictShot, s
}

func (m *model) come(s wire.Segment, e *bpfSession, app Flow) (uint32, wire.Segment) {
	migrating := State(e.State) == Migrating && !expired(*e)
	if State(e.State) != Migrating && flags(s, wire.SYN) {
		m.told = append(m.told, Next)
		return verdictShot, s
	}
	back := shifted(s, -e.Down, -e.Up)
	if State(e.State) == Switched {
		if !first(back, e) {
			return verdictShot, s
		}
		e.State = uint32(Moved)
	}
	if migrating && flags(s, wire.RST|wire.FIN|wire.SYN) {
		return verdictShot, s
	}
	back.Dst, back.Src = app.Local, app.Remote
	if end := back.Seq.Add(seqnum.Size(len(s.Payload))) + fin(s); e.Flags&clampOut != 0 && seqnum.Value(e.Sent).Less(end) {
		e.Sent = uint32(end)
	}
	if migrating && e.Flags&clampIn != 0 && flags(s, wire.ACK) {
		back.Options = eachSack(back.Options, func(o []byte) {
			for i := range o {
				o[i] = 1
			}
		})
		if seqnum.Value(e.Frozen).Less(back.Ack) {
			back.Ack = seqnum.Value(e.Frozen)
		}
	}
	return verdictNext, back
}

func fin(s wire.Segment) seqnum.Value {
	if flags(s, wire.FIN) {
		return 1
	}
	return 0
}

// first reports whether a segment, in the client's numbers, is S2's first word.
func first(s wire.Segment, e *bpfSession) bool {
	ahead := int32(s.Seq - seqnum.Value(e.Sent))
	return !flags(s, wire.RST) && flags(s, wire.ACK) &&
		(e.Flags&clampOut == 0 || ahead >= -1<<16 && ahead <= 1<<20) &&
		(e.Flags&clampIn == 0 || !s.Ack.Less(seqnum.Value(e.Frozen)))
}
