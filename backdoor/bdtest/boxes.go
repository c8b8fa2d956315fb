// SPDX-License-Identifier: Apache-2.0

package bdtest

import (
	"encoding/binary"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
)

// WithBoxes gives the target a directory of continuation boxes with so many
// entries, and an arena of so many pages.
func WithBoxes(entries, pages int) Option {
	return func(c *config) { c.boxes, c.boxPages = entries, pages }
}

func (t *Target) addBoxes() {
	if t.cfg.boxPages == 0 {
		return
	}
	entries := uapi.BoxesSize + t.cfg.boxes*uapi.BoxSize
	t.addArea(uapi.KindBoxes, "boxes", backdoor.PermRead, uint64(entries+8*t.cfg.boxPages))
	h := uapi.Boxes{
		Magic: uapi.BoxesMagic, EntrySize: uapi.BoxSize, Capacity: uint32(t.cfg.boxes), Slots: uint32(t.cfg.boxPages),
		MapOff: uint32(entries), BootID: t.boot,
	}
	h.Put(t.ram[t.area[uapi.KindBoxes]:])
}

// SetBox writes entry i of the directory; pages are the words of the map from
// its first on, and what they say is not asked.
func (t *Target) SetBox(i int, e uapi.Box, pages ...uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.area[uapi.KindBoxes] + uapi.BoxesSize
	e.Put(t.ram[at+uint64(i)*uapi.BoxSize:])
	words := t.ram[at+uint64(t.cfg.boxes)*uapi.BoxSize:]
	for j, p := range pages {
		binary.LittleEndian.PutUint64(words[8*(int(e.First)+j):], p)
	}
}
