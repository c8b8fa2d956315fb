// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/binary"
	"slices"

	"lazystate/dsm"
	"lazystate/dsm/vtime"
)

// entry is where a page of a checkpoint lies.
type entry struct {
	page dsm.Page
	v    vtime.Time // p.v
	at   place
	crc  uint32
}

// place is a page's place in a segment.
type place struct {
	segment uint32
	slot    uint32
}

// The index is "dsmi" version:1 count:4, then page:4 segment:4 slot:4 crc32c:4 and
// the version, 8 a node, of each page, little-endian, by rising page. Its own
// checksum is in the manifest.
const (
	indexMagic = "dsmi"
	indexHead  = len(indexMagic) + 1 + 4
)

func entrySize(nodes int) int { return 16 + 8*nodes }

func appendIndex(b []byte, entries []entry) []byte {
	b = append(b, indexMagic...)
	b = append(b, Format)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(entries)))
	for _, e := range entries {
		for _, v := range []uint32{uint32(e.page), e.at.segment, e.at.slot, e.crc} {
			b = binary.LittleEndian.AppendUint32(b, v)
		}
		for _, v := range e.v {
			b = binary.LittleEndian.AppendUint64(b, v)
		}
	}
	return b
}

// parseIndex reads what appendIndex writes, for a checkpoint with this manifest.
func parseIndex(b []byte, m *manifest) ([]entry, error) {
	if len(b) < indexHead || string(b[:len(indexMagic)]) != indexMagic || b[len(indexMagic)] != Format {
		return nil, damaged("it is no index of format %d", Format)
	}
	n := int64(binary.LittleEndian.Uint32(b[indexHead-4:]))
	b = b[indexHead:]
	size := entrySize(m.Nodes)
	if n > int64(m.Pages) || n*int64(size) != int64(len(b)) {
		return nil, damaged("%d pages of %d in %d bytes", n, m.Pages, len(b))
	}
	slots := map[uint32]uint32{}
	for _, s := range m.Segments {
		slots[s.Number] = s.Pages
	}
	entries := make([]entry, n)
	for i := range entries {
		e := parseEntry(b[i*size:], m.Nodes)
		if int(e.page) >= m.Pages || i > 0 && e.page <= entries[i-1].page {
			return nil, damaged("page %d of %d out of order", e.page, m.Pages)
		}
		if e.at.slot >= slots[e.at.segment] {
			return nil, damaged("page %d lies at %d of %d in pages-%d", e.page, e.at.slot, slots[e.at.segment], e.at.segment)
		}
		entries[i] = e
	}
	return entries, nil
}

func parseEntry(b []byte, nodes int) entry {
	word := func(i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) }
	e := entry{page: dsm.Page(word(0)), at: place{word(1), word(2)}, crc: word(3), v: vtime.New(nodes)}
	for i := range e.v {
		e.v[i] = binary.LittleEndian.Uint64(b[16+8*i:])
	}
	return e
}

// find returns a page's entry.
func find(entries []entry, p dsm.Page) (entry, bool) {
	i, ok := slices.BinarySearchFunc(entries, p, func(e entry, p dsm.Page) int { return int(e.page) - int(p) })
	if !ok {
		return entry{}, false
	}
	return entries[i], true
}
