// SPDX-License-Identifier: Apache-2.0

package inic

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
)

// witness guards against writing into the memory of a kernel that follows the
// one whose root is believed. A root lies in the BAR, which keeps its bytes over
// a reset; no notifier runs before `panic=N`, sysrq-b or a triple fault, and
// without Resets nobody says that there was one. So right before each write
// the old places are looked at: the root, the records that name the boot, and
// the page that is written, in which nothing may have changed since this side
// wrote there last, for nobody else does.
//
// The trap: a page may be used anew and look like before. It is a bound on the
// harm, no proof (docs/security.md).
type witness struct {
	mu    sync.Mutex
	words []word
	pages map[uint64][]byte // of request regions, by their offset in the RAM file
	lost  backdoor.BootID   // whose memory was found to be another's
}

// word is what some place has to hold.
type word struct {
	file *mapping
	off  uint64
	want []byte
}

const (
	witnessPage = 4096
	mostWitness = 1 << 20 // of one region
)

// names are the places that say whose memory it is, of each kind that has one.
var names = map[uint32][][2]uint64{ // offset and length
	uapi.KindTable:    {{uapi.TableMagicOff, 8}, {uapi.TableBootIDOff, 16}},
	uapi.KindManifest: {{uapi.ManifestMagicOff, 8}, {uapi.ManifestBootIDOff, 16}},
	uapi.KindLockAck:  {{uapi.LockAckMagicOff, 8}},
}

// remember takes the witness of the regions as they are now. m.mu is held.
func (m *Memory) remember() {
	w := &m.witness
	w.mu.Lock()
	defer w.mu.Unlock()
	w.words, w.pages = nil, map[uint64][]byte{}
	p := m.regions.Load()
	if p == nil || !m.writable {
		return
	}
	w.take(m.bar, uapi.RootBootIDOff, 16)
	for i := range *p {
		r := &(*p)[i]
		for _, n := range names[r.Kind] {
			if file, off, why := m.place(r, r.Addr+n[0], n[1]); why == "" && n[0]+n[1] <= r.Len {
				w.take(file, off, n[1])
			}
		}
		if requests(r) {
			m.rememberPages(r)
		}
	}
}

// requests reports whether a region is written by monitors alone.
func requests(r *backdoor.Region) bool {
	return r.Perm&backdoor.PermWrite != 0 && r.Perm&backdoor.PermAtomic == 0 && !r.MMIO && !r.BAR && r.Len <= mostWitness
}

func (m *Memory) rememberPages(r *backdoor.Region) {
	_, off, why := m.place(r, r.Addr, r.Len)
	if why != "" {
		return
	}
	for at := off &^ (witnessPage - 1); at < off+r.Len; at += witnessPage {
		m.witness.pages[at] = bytes.Clone(m.page(at))
	}
}

// page is a copy of a page of the RAM file; nil if it cannot be read.
func (m *Memory) page(at uint64) []byte {
	b := make([]byte, witnessPage)
	if at+witnessPage > uint64(len(m.ram.data)) || m.ram.load(at, b) != nil {
		return nil
	}
	return b
}

func (w *witness) take(file *mapping, off, n uint64) {
	want := make([]byte, n)
	if file.load(off, want) == nil {
		w.words = append(w.words, word{file, off, want})
	}
}

// write changes n bytes of a region by do, if the memory is still that of the
// kernel that the regions are of.
func (m *Memory) write(r *backdoor.Region, file *mapping, off, n uint64, do func() error) error {
	if file != m.ram {
		return do()
	}
	w := &m.witness
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := m.published(); err != nil {
		return fmt.Errorf("write to region %q: %w", r.Name, err)
	}
	why := ""
	if w.lost == r.BootID && r.BootID != (backdoor.BootID{}) {
		why = "it was found changed before"
	} else if why = m.changed(off, n); why != "" {
		w.lost = r.BootID
	}
	if why != "" {
		return fmt.Errorf("write to region %q: its memory is no longer that kernel's (%s): %w", r.Name, why, backdoor.ErrReplaced)
	}
	err := do()
	for at := off &^ (witnessPage - 1); at < off+n; at += witnessPage {
		if w.pages[at] != nil {
			w.pages[at] = m.page(at)
		}
	}
	return err
}

// published refuses what is written while there is no root, or a withdrawn one:
// for a moment, or for good.
func (m *Memory) published() error {
	var magic, generation [8]byte
	if err := errors.Join(m.bar.load(uapi.RootMagicOff, magic[:]), m.bar.load(uapi.RootGenerationOff, generation[:])); err != nil {
		return err
	}
	switch {
	case binary.LittleEndian.Uint64(magic[:]) != uapi.RootMagic:
		return fmt.Errorf("its root is gone: %w", backdoor.ErrReplaced)
	case generation == [8]byte{}:
		return backdoor.ErrWithdrawn
	}
	return nil
}

// changed says what speaks against the memory, "" if nothing does.
func (m *Memory) changed(off, n uint64) string {
	for _, k := range m.witness.words {
		now := make([]byte, len(k.want))
		if k.file.load(k.off, now) != nil || !bytes.Equal(now, k.want) {
			return "what names its boot is gone"
		}
	}
	for at := off &^ (witnessPage - 1); at < off+n; at += witnessPage {
		if was := m.witness.pages[at]; was != nil && !bytes.Equal(was, m.page(at)) {
			return "somebody else wrote to its page"
		}
	}
	return ""
}
