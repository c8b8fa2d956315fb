// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"encoding/binary"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/mtcp"
)

// end is this process's end of one ring: it reads there or writes.
type end struct {
	s       *Session
	idx     uint32
	peer    uint32 // slot
	off     uint64 // of struct bd_cbox_chan
	ring    ring
	writes  bool
	r       mtcp.Reader
	w       mtcp.Writer
	closed  bool   // by this process
	wordOff uint64 // what it sleeps on: head if it reads, lsr if it writes
}

func (e *end) String() string {
	verb := "from"
	if e.writes {
		verb = "to"
	}
	return fmt.Sprintf("channel %d %s process %d", e.idx, verb, e.peer)
}

func (e *end) at(field int) uint64 { return e.off + uint64(field) }

// findEnds finds this process's ends in the table, at the positions of its
// last snapshot; one that it does not mention was associated later.
func (s *Session) findEnds(h *Head, snap *Snapshot) error {
	s.ends = nil
	for i := range h.ChanTable {
		c := &h.ChanTable[i]
		if c.State != uapi.CboxChanOpen || c.Writer != s.slot && c.Reader != s.slot {
			continue
		}
		at := End{Chan: uint32(i)}
		for _, e := range snap.Ends {
			if e.Chan == uint32(i) {
				at = e
			}
		}
		if err := s.addEnd(h, c, at); err != nil {
			return fmt.Errorf("channel %d: %w", i, err)
		}
	}
	return nil
}

func (s *Session) addEnd(h *Head, c *uapi.CboxChan, at End) (err error) {
	e := &end{s: s, idx: at.Chan, off: uint64(h.Chans.Off) + uint64(at.Chan)*uapi.CboxChanSize,
		ring: ring{s.m[c.Ring.Off:][:c.Ring.Len], 0}, writes: c.Writer == s.slot, closed: at.Closed}
	if e.writes {
		e.peer, e.wordOff = c.Reader, e.at(uapi.CboxChanLSROff)
		e.w, err = mtcp.NewWriter(at.Pos, c.Head, s.ndi)
		e.s.m.word32(e.at(uapi.CboxChanWriterWaitsOff)).Store(0)
	} else {
		e.peer, e.wordOff = c.Writer, e.at(uapi.CboxChanHeadOff)
		e.r, err = mtcp.NewReader(at.Pos, c.Head, c.Ring.Len)
		e.s.m.word32(e.at(uapi.CboxChanReaderWaitsOff)).Store(0)
	}
	if err != nil {
		return err
	}
	s.ends = append(s.ends, e)
	e.exported(s.ndi) // what the snapshot released, should nobody have got to do it
	return nil
}

// position writes where this end is into a snapshot.
func (e *end) position(b []byte) {
	at := uapi.CboxEnd{Chan: e.idx, Pos: e.r.Pos}
	if e.writes {
		at.Pos = e.w.Pos
	}
	if e.closed {
		at.Flags = uapi.CboxEndClosed
	}
	at.Put(b)
}

// exported follows a snapshot that counts: a reader's log is trimmed and its
// writer woken, a writer's held bytes are passed on.
func (e *end) exported(ndi bool) {
	m := e.s.m
	if !e.writes {
		e.r.Export()
		// The store is a barrier, and mostly nothing was read since the last one.
		if lsr := m.word64(e.at(uapi.CboxChanLSROff)); lsr.Load() != e.r.LSR {
			lsr.Store(e.r.LSR)
		}
		e.wake(uapi.CboxChanLSROff, uapi.CboxChanWriterWaitsOff)
		if e.closed {
			m.word32(e.at(uapi.CboxChanGoneOff)).Store(1)
		}
		return
	}
	released, _ := e.w.Export(ndi) // canExport has asked already
	if !released.Empty() {
		e.pass(released.To)
	}
	if e.closed {
		m.word32(e.at(uapi.CboxChanEndOff)).Store(1)
		e.wake(uapi.CboxChanHeadOff, uapi.CboxChanReaderWaitsOff)
	}
}

// pass lets the reader have all before off.
func (e *end) pass(off uint64) {
	e.w.Passed(off)
	e.s.m.word64(e.at(uapi.CboxChanHeadOff)).Store(off)
	e.wake(uapi.CboxChanHeadOff, uapi.CboxChanReaderWaitsOff)
}

// wake wakes the other end if it sleeps on a word.
func (e *end) wake(word, waits int) {
	if e.s.m.word32(e.at(waits)).Load() != 0 {
		e.s.m.wake(e.at(word))
	}
}

// read is one attempt; wait: there is nothing yet. seen is the word to sleep on.
func (e *end) read(p []byte) (n int, wait bool, seen uint32, err error) {
	head := e.s.m.word64(e.at(uapi.CboxChanHeadOff)).Load()
	done := e.s.m.word32(e.at(uapi.CboxChanEndOff)).Load() != 0
	seen = uint32(head)
	if done { // it was stored after the last head
		head = e.s.m.word64(e.at(uapi.CboxChanHeadOff)).Load()
	}
	if head < e.r.End || head-e.r.LSR > e.r.Size {
		return 0, false, 0, damaged(e.String(), "head %d, log [%d,%d)", head, e.r.LSR, e.r.End)
	}
	e.r.Fetch(head - e.r.End)
	got := e.r.Logged(uint64(len(p)))
	switch {
	case e.closed:
		return 0, false, 0, io.ErrClosedPipe
	case !got.Empty():
		n = int(got.Len())
		e.ring.take(got.From, p[:n])
		e.r.Read(got.Len())
		e.s.m.put64(e.at(uapi.CboxChanReadOff), e.r.Pos)
		return n, false, 0, nil
	case done:
		return 0, false, 0, io.EOF
	case e.r.Full():
		return 0, false, 0, &LogFullError{e.String(), e.r.Pos}
	}
	return 0, true, seen, nil
}

// write is one attempt; wait: the reader's log is in the way.
func (e *end) write(p []byte) (n int, wait bool, seen uint32, err error) {
	if e.closed {
		return 0, false, 0, io.ErrClosedPipe
	}
	if k := e.w.Swallow(uint64(len(p))); k > 0 {
		e.w.Write(k)
		return int(k), false, 0, nil
	}
	if e.s.m.word32(e.at(uapi.CboxChanGoneOff)).Load() != 0 {
		return 0, false, 0, unix.EPIPE
	}
	lsr := e.s.m.word64(e.at(uapi.CboxChanLSROff)).Load()
	if lsr > e.w.Head || e.w.Pos-lsr > uint64(len(e.ring.data)) {
		return 0, false, 0, damaged(e.String(), "reader's log from %d, [%d,%d) written", lsr, e.w.Head, e.w.Pos)
	}
	room := uint64(len(e.ring.data)) - (e.w.Pos - lsr)
	if room == 0 {
		if e.w.NDI && !e.w.Held().Empty() {
			return 0, false, 0, &LogFullError{"output held", e.w.Pos}
		}
		return 0, true, uint32(lsr), nil
	}
	k := min(room, uint64(len(p)))
	e.ring.put(e.w.Pos, p[:k])
	holds := e.w.Holds()
	e.w.Write(k)
	if !holds {
		e.pass(e.w.Pos)
	}
	return int(k), false, 0, nil
}

// close ends this end; in a nondeterministic interval the other learns of it
// with the next export, as it learns of what was written.
func (e *end) close() {
	if e.closed {
		return
	}
	e.closed = true
	switch {
	case e.s.ndi:
	case e.writes && e.w.Pos >= e.w.Head: // else the replay is not there yet, and it is closed already
		e.s.m.word32(e.at(uapi.CboxChanEndOff)).Store(1)
		e.wake(uapi.CboxChanHeadOff, uapi.CboxChanReaderWaitsOff)
	case !e.writes:
		e.s.m.word32(e.at(uapi.CboxChanGoneOff)).Store(1)
		e.wake(uapi.CboxChanLSROff, uapi.CboxChanWriterWaitsOff)
	}
}

// nameOf returns the name of a slot.
func nameOf(p *uapi.CboxProc) string { return uapi.CString(p.Name[:]) }

func putName(m memory, off uint64, name string) {
	var b [uapi.CboxName]byte
	uapi.PutCString(b[:], name)
	copy(m[off:], b[:])
}

var le = binary.LittleEndian
