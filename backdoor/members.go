// SPDX-License-Identifier: Apache-2.0

package backdoor

import (
	"encoding/binary"
	"slices"
)

// record is the part of a kernel structure that one READ fetches: from the
// first to the last of the members that are wanted.
type record struct {
	base    uint64 // offset of the first byte in the structure
	size    uint64
	members map[string]Member
}

// lookup collects members of the manifest; missing ones are noted once, so
// that an error names all of them.
type lookup struct {
	m       *Manifest
	missing []string
}

// record makes the span of the named members, which must exist.
func (l *lookup) record(structure string, names ...string) record {
	r := record{members: map[string]Member{}}
	for _, n := range names {
		m, ok := l.m.Offset(structure + "." + n)
		if !ok {
			l.missing = append(l.missing, structure+"."+n)
			continue
		}
		r.add(n, m)
	}
	return r
}

// add widens the span by a member.
func (r *record) add(name string, m Member) {
	if m.Size == 0 {
		m.Size = 8
	}
	first, last := uint64(m.Off), uint64(m.Off)+uint64(m.Size)
	if len(r.members) > 0 {
		first, last = min(first, r.base), max(last, r.base+r.size)
	}
	r.base, r.size = first, last-first
	r.members[name] = m
}

func (l *lookup) member(name string) Member {
	m, ok := l.m.Offset(name)
	if !ok {
		l.missing = append(l.missing, name)
	}
	return m
}

func (l *lookup) value(name string) uint64 {
	v, ok := l.m.Value(name)
	if !ok {
		l.missing = append(l.missing, name)
	}
	return v
}

func (l *lookup) err() error {
	if len(l.missing) == 0 {
		return nil
	}
	slices.Sort(l.missing)
	return &MissingError{slices.Compact(l.missing)}
}

// read asks for the record of the structure at addr.
func (r *record) read(addr uint64) VARead {
	return VARead{VA: addr + r.base, Buf: make([]byte, r.size)}
}

// bytes returns a member out of what read fetched.
func (r *record) bytes(buf []byte, name string) []byte {
	m, ok := r.members[name]
	if !ok {
		return nil
	}
	off := uint64(m.Off) - r.base
	return buf[off : off+uint64(m.Size)]
}

// word returns the first 8, 4, 2 or 1 bytes of a member; 0 without the member.
func (r *record) word(buf []byte, name string) uint64 {
	return r.wordAt(buf, name, 0)
}

// wordAt returns the word at an offset in a member.
func (r *record) wordAt(buf []byte, name string, off int) uint64 {
	b := r.bytes(buf, name)
	switch {
	case len(b) >= off+8:
		return binary.LittleEndian.Uint64(b[off:])
	case len(b) >= off+4:
		return uint64(binary.LittleEndian.Uint32(b[off:]))
	case len(b) >= off+2:
		return uint64(binary.LittleEndian.Uint16(b[off:]))
	case len(b) > off:
		return uint64(b[off])
	}
	return 0
}
