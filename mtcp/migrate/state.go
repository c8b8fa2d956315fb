// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"encoding/binary"
	"fmt"
	"slices"

	"lazystate/mtcp"
	"lazystate/mtcp/wire"
)

// State is the state reply for one session (§2.5.3): what S1 knows of it when
// nothing changes it any more. S2 cuts it by the same arithmetic as S1 (mtcp.Cut),
// so no conclusion travels, only facts.
//
// On the wire it is little-endian:
//
//	magic "MTST", version u16, flags u16
//	read u64, written u64, client's next u64, certificate 8
//	name: length u16, bytes; socket: length u32, bytes; box: length u32, bytes
type State struct {
	Name          string // of the service: who may go on with it
	Read, Written uint64 // where its application was
	Client        mtcp.Client
	Cert          wire.Certificate // that the client has
	Socket        []byte           // tcprepair.Dump
	Box           []byte           // cbox.Image
}

const (
	stateMagic   = "MTST"
	stateVersion = 2
	stateFixed   = 4 + 2 + 2 + 3*8 + wire.CertLen

	flagKnown = 1 << 0
	flagFin   = 1 << 1
)

var le = binary.LittleEndian

// AppendBinary encodes a state.
func (s *State) AppendBinary(b []byte) []byte {
	flags := uint16(0)
	if s.Client.Known {
		flags |= flagKnown
	}
	if s.Client.Fin {
		flags |= flagFin
	}
	b = slices.Grow(b, stateFixed+2+len(s.Name)+4+len(s.Socket)+4+len(s.Box))
	b = append(b, stateMagic...)
	b = le.AppendUint16(b, stateVersion)
	b = le.AppendUint16(b, flags)
	for _, v := range []uint64{s.Read, s.Written, s.Client.Next} {
		b = le.AppendUint64(b, v)
	}
	b = append(b, s.Cert[:]...)
	b = append(le.AppendUint16(b, uint16(len(s.Name))), s.Name...)
	b = append(le.AppendUint32(b, uint32(len(s.Socket))), s.Socket...)
	return append(le.AppendUint32(b, uint32(len(s.Box))), s.Box...)
}

// MalformedError is a message of another server that cannot be understood.
type MalformedError struct{ What, Why string }

func (e *MalformedError) Error() string { return e.What + ": " + e.Why }

// ParseState decodes what another server sent. Socket and Box are parts of b,
// and are checked by who decodes them.
func ParseState(b []byte) (*State, error) {
	bad := func(why string, args ...any) (*State, error) {
		return nil, &MalformedError{"state reply", fmt.Sprintf(why, args...)}
	}
	if len(b) < stateFixed || string(b[:4]) != stateMagic {
		return bad("%d bytes of something else", len(b))
	}
	if v := le.Uint16(b[4:]); v != stateVersion {
		return bad("version %d, this is version %d", v, stateVersion)
	}
	flags := le.Uint16(b[6:])
	s := &State{Read: le.Uint64(b[8:]), Written: le.Uint64(b[16:])}
	s.Client = mtcp.Client{Known: flags&flagKnown != 0, Fin: flags&flagFin != 0, Next: le.Uint64(b[24:])}
	s.Cert = wire.Certificate(b[32:])
	b = b[stateFixed:]
	var name []byte
	for _, f := range []struct {
		to   *[]byte
		size int
	}{{&name, 2}, {&s.Socket, 4}, {&s.Box, 4}} {
		if len(b) < f.size {
			return bad("cut short")
		}
		n := uint64(le.Uint16(b))
		if f.size == 4 {
			n = uint64(le.Uint32(b))
		}
		if b = b[f.size:]; n > uint64(len(b)) {
			return bad("a part of %d bytes, %d are left", n, len(b))
		}
		*f.to, b = b[:n:n], b[n:]
	}
	if len(b) > 0 {
		return bad("%d bytes left over", len(b))
	}
	s.Name = string(name)
	return s, nil
}
