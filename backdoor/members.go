// SPDX-License-Identifier: Apache-2.0

package backdoor

import (
	"encoding/binary"
	"slices"
)

// Record is the part of a kernel structure that one READ fetches: from the
// first to the last of the members that are wanted.
type Record struct {
	base    uint64 // offset of the first byte in the structure
	size    uint64
	members map[string]Member
}

// Fields collects members and values of a manifest; missing ones are noted, so
// that an error names all of them.
type Fields struct {
	m       *Manifest
	missing []string
}

// NewFields begins with nothing missing.
func NewFields(m *Manifest) *Fields { return &Fields{m: m} }

// Record makes the span of the named members, which must exist.
func (l *Fields) Record(structure string, names ...string) Record {
	var r Record
	for _, n := range names {
		m, ok := l.m.Offset(structure + "." + n)
		if !ok {
			l.missing = append(l.missing, structure+"."+n)
			continue
		}
		r.Add(n, m)
	}
	return r
}

// Member returns a member or a sizeof, which must exist.
func (l *Fields) Member(name string) Member {
	m, ok := l.m.Offset(name)
	if !ok {
		l.missing = append(l.missing, name)
	}
	return m
}

// Value returns a value, which must exist.
func (l *Fields) Value(name string) uint64 {
	v, ok := l.m.Value(name)
	if !ok {
		l.missing = append(l.missing, name)
	}
	return v
}

// Err is a *MissingError with all that did not exist.
func (l *Fields) Err() error {
	if len(l.missing) == 0 {
		return nil
	}
	slices.Sort(l.missing)
	return &MissingError{slices.Compact(l.missing)}
}

// Add widens the span by a member.
func (r *Record) Add(name string, m Member) {
	if m.Size == 0 {
		m.Size = 8
	}
	first, last := uint64(m.Off), uint64(m.Off)+uint64(m.Size)
	if len(r.members) > 0 {
		first, last = min(first, r.base), max(last, r.base+r.size)
	}
	if r.members == nil {
		r.members = map[string]Member{}
	}
	r.base, r.size = first, last-first
	r.members[name] = m
}

// Len is how many bytes one READ of it fetches.
func (r *Record) Len() uint64 { return r.size }

// End is the offset behind its last byte, in the structure.
func (r *Record) End() uint64 { return r.base + r.size }

// Read asks for the record of the structure at addr.
func (r *Record) Read(addr uint64) VARead {
	return VARead{VA: addr + r.base, Buf: make([]byte, r.size)}
}

// In returns the record out of a copy of the whole structure, of End bytes at least.
func (r *Record) In(whole []byte) []byte { return whole[r.base : r.base+r.size] }

// Bytes returns a member out of what Read fetched; nil without the member.
func (r *Record) Bytes(buf []byte, name string) []byte {
	m, ok := r.members[name]
	if !ok {
		return nil
	}
	off := uint64(m.Off) - r.base
	return buf[off : off+uint64(m.Size)]
}

// Word returns the first 8, 4, 2 or 1 bytes of a member; 0 without the member.
func (r *Record) Word(buf []byte, name string) uint64 {
	return r.WordAt(buf, name, 0)
}

// WordAt returns the word at an offset in a member.
func (r *Record) WordAt(buf []byte, name string, off int) uint64 {
	b := r.Bytes(buf, name)
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
