// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"lazystate/verbs/driver"
	"lazystate/verbs/internal/soft"
)

// remote is what a peer can be allowed.
const remote = driver.AccessRemoteRead | writes

const writes = driver.AccessRemoteWrite | driver.AccessRemoteAtomic

// table is the device's own key table, in memory that its peers map for
// reading: a registration lives while its slot's sequence is odd.
type table struct {
	fd, ro int // the second is what peers get
	b      []byte

	mu    sync.Mutex
	free  []uint32
	next  uint32
	slots map[uint32]*shared // by key
}

// shared is a registration that peers may use.
type shared struct {
	region *soft.Region
	slot   uint32
	seq    uint64
	fd     int // what peers get
}

func newTable() (*table, error) {
	fd, b, err := soft.Shared(tableSize)
	if err != nil {
		return nil, err
	}
	ro, err := readOnly(fd)
	if err != nil {
		unix.Munmap(b)
		unix.Close(fd)
		return nil, err
	}
	u32(b, tabMagic).Store(magic)
	u32(b, tabMagic+4).Store(version)
	return &table{fd: fd, ro: ro, b: b, slots: map[uint32]*shared{}}, nil
}

func (t *table) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.slots {
		unix.Close(s.fd)
	}
	unix.Close(t.ro)
	unix.Close(t.fd)
	unix.Munmap(t.b)
	t.b, t.slots = nil, map[uint32]*shared{}
}

func slotOff(slot uint32) int { return tabSlots + int(slot)*slotSize }

// add publishes r.
func (t *table) add(r *soft.Region) (*shared, error) {
	fd := -1
	var err error
	if r.Access&writes != 0 {
		fd, err = unix.FcntlInt(uintptr(r.Mem.FD), unix.F_DUPFD_CLOEXEC, 0)
	} else {
		fd, err = readOnly(r.Mem.FD)
	}
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &shared{region: r, fd: fd}
	switch {
	case t.b == nil:
		err = driver.ErrClosed
	case len(t.free) > 0:
		s.slot = t.free[len(t.free)-1]
		t.free = t.free[:len(t.free)-1]
	case t.next < slots:
		s.slot = t.next
		t.next++
	default:
		err = fmt.Errorf("%d registrations: %w", slots, driver.ErrQueueFull)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	u64(t.b, slotOff(s.slot)+8).Store(uint64(r.Key))
	s.seq = u64(t.b, slotOff(s.slot)).Add(1)
	t.slots[r.Key] = s
	return s, nil
}

// end says that r does not live any more. Peers that were at it may still be.
func (t *table) end(r *soft.Region) *shared {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.slots[r.Key]
	if s == nil {
		return nil
	}
	delete(t.slots, r.Key)
	u64(t.b, slotOff(s.slot)).Add(1)
	t.free = append(t.free, s.slot)
	unix.Close(s.fd)
	return s
}

// message tells a peer of s, with its file.
func (s *shared) message() *message {
	r := s.region
	return &message{
		Kind: kRegion, Slot: s.slot, Seq: s.seq, PD: uint32(r.PD), Key: r.Key, Access: uint32(r.Access),
		Addr: r.Addr, Len: uint64(len(r.Mem.Bytes)), Off: uint64(r.Mem.Offset),
	}
}

// peerTable is a peer's table: hostile.
type peerTable struct{ mapping }

func (t *peerTable) check() error {
	if m, v := u32(t.b, tabMagic).Load(), u32(t.b, tabMagic+4).Load(); m != magic || v != version {
		return fmt.Errorf("key table of version %d (magic %#x)", v, m)
	}
	return nil
}

// lives reports whether the registration of that slot and sequence has not ended.
func (t *peerTable) lives(slot uint32, seq uint64) bool {
	return seq&1 == 1 && u64(t.b, slotOff(slot)).Load() == seq
}

// has looks for a living registration with key: the peer made it, and its
// message is still on its way.
func (t *peerTable) has(key uint32) bool {
	for slot := range uint32(slots) {
		off := slotOff(slot)
		switch {
		case u64(t.b, off).Load() == 0:
			return false // slots are first used in order
		case u64(t.b, off).Load()&1 == 1 && u64(t.b, off+8).Load() == uint64(key):
			return true
		}
	}
	return false
}
