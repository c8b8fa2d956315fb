// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"fmt"

	"lazystate/backdoor/uapi"
)

// Child is a process of the service below this one.
type Child struct {
	Name     string
	Slot     uint32
	Channels []*Channel // this process's ends
}

// Associate adds a process to the service, below this one, with channels to it;
// another process then opens it (Open), by this handle's Region and Slot. It is
// associate of §2.4.3. The name is this process's for its child: to associate
// it again, after a move or in a replay, returns the same child.
func (s *Session) Associate(name string, channels int) (*Child, error) {
	if name == "" || len(name) >= uapi.CboxName {
		return nil, &SizeError{"name of a process", uint64(len(name)), uapi.CboxName - 1}
	}
	var c *Child
	err := s.do(func() (err error) {
		c, err = s.associate(name, channels)
		return err
	})
	return c, err
}

func (s *Session) associate(name string, channels int) (*Child, error) {
	h, err := readHead(s.m)
	if err != nil {
		return nil, err
	}
	slot, err := s.childSlot(h, name)
	if err != nil {
		return nil, err
	}
	for have := s.rings(slot, true); have < channels; have++ {
		if err := s.addRing(h, s.slot, slot); err != nil {
			return nil, err
		}
	}
	for have := s.rings(slot, false); have < channels; have++ {
		if err := s.addRing(h, slot, s.slot); err != nil {
			return nil, err
		}
	}
	if have := s.rings(slot, true); have != channels {
		return nil, fmt.Errorf("associate %s: it has %d channels already, not %d", name, have, channels)
	}
	return &Child{name, slot, s.channelsTo(slot)}, nil
}

// rings counts those to a process, or from it. One that died while it made
// them left as many as it got to.
func (s *Session) rings(peer uint32, to bool) (n int) {
	for _, e := range s.ends {
		if e.peer == peer && e.writes == to {
			n++
		}
	}
	return n
}

// childSlot returns the slot of the child of that name; a new one is claimed
// first, because other processes may add children at the same moment.
func (s *Session) childSlot(h *Head, name string) (uint32, error) {
	for i := range h.ProcTable {
		if p := &h.ProcTable[i]; p.State != uapi.CboxProcFree && p.Parent == s.slot && nameOf(p) == name {
			return uint32(i), nil
		}
	}
	for i := range uint32(h.Procs.Count) {
		off := uint64(h.Procs.Off) + uint64(i)*uapi.CboxProcSize
		if s.m.word32(off+uapi.CboxProcStateOff).CompareAndSwap(uapi.CboxProcFree, uapi.CboxClaimed|s.slot) {
			s.m.put32(off+uapi.CboxProcParentOff, s.slot)
			putName(s.m, off+uapi.CboxProcNameOff, name)
			s.m.word32(off + uapi.CboxProcStateOff).Store(uapi.CboxProcJoined)
			return i, nil
		}
	}
	return 0, &SizeError{"processes of the service", uint64(h.Procs.Count) + 1, uint64(h.Procs.Count)}
}

// addRing claims a free ring and opens it from writer to reader.
func (s *Session) addRing(h *Head, writer, reader uint32) error {
	for i := range uint32(h.Chans.Count) {
		off := uint64(h.Chans.Off) + uint64(i)*uapi.CboxChanSize
		state := s.m.word32(off + uapi.CboxChanStateOff)
		if !state.CompareAndSwap(0, uapi.CboxClaimed|s.slot) {
			continue
		}
		s.m.put32(off+uapi.CboxChanWriterOff, writer)
		s.m.put32(off+uapi.CboxChanReaderOff, reader)
		state.Store(uapi.CboxChanOpen)
		c := h.ChanTable[i]
		c.Writer, c.Reader = writer, reader
		return s.addEnd(h, &c, End{Chan: i})
	}
	return &SizeError{"channels of the service", uint64(h.Chans.Count)/2 + 1, uint64(h.Chans.Count) / 2}
}

// disclaim frees what an earlier owner of this slot had claimed when it died.
func (s *Session) disclaim() {
	h := &s.head.CboxHead
	for i := range uint64(h.Procs.Count) {
		s.m.word32(uint64(h.Procs.Off)+i*uapi.CboxProcSize+uapi.CboxProcStateOff).CompareAndSwap(uapi.CboxClaimed|s.slot, uapi.CboxProcFree)
	}
	for i := range uint64(h.Chans.Count) {
		s.m.word32(uint64(h.Chans.Off)+i*uapi.CboxChanSize+uapi.CboxChanStateOff).CompareAndSwap(uapi.CboxClaimed|s.slot, 0)
	}
}
