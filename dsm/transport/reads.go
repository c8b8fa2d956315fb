// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"unsafe"

	"lazystate/dsm"
	"lazystate/dsm/shelf"
	"lazystate/verbs"
)

const (
	mostLooks = 16 // at once; others wait
	markSize  = 4
	lentSize  = 24
)

// lent is where a node has things for a peer on another host: its shelf, to be read,
// and marks, a word for each page, where the peer writes what it took. On the wire:
// address:8, key:4 of the one, then of the other; zeros for none.
type lent struct {
	shelf, marks       uint64
	shelfKey, marksKey uint32
}

func (l lent) bytes() []byte {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, lentSize), l.shelf)
	b = binary.LittleEndian.AppendUint32(b, l.shelfKey)
	b = binary.LittleEndian.AppendUint64(b, l.marks)
	return binary.LittleEndian.AppendUint32(b, l.marksKey)
}

func parseLent(b []byte) lent {
	return lent{
		shelf: binary.LittleEndian.Uint64(b), shelfKey: binary.LittleEndian.Uint32(b[8:]),
		marks: binary.LittleEndian.Uint64(b[12:]), marksKey: binary.LittleEndian.Uint32(b[20:]),
	}
}

// reads are what is one-sided on a connection. The peer's processor takes no part in a
// look at its shelf: three READs in order and, if they have found something, a WRITE of
// a mark.
//
// The trap: hardware pins what is registered, so a shelf takes as much memory as the
// region has.
type reads struct {
	conn       *verbs.Conn
	mine       *shelf.Shelf
	theirs     *shelf.Remote
	at         lent // theirs
	pages      int
	head, page int       // bytes
	reg        *verbs.MR // mine
	marks      *verbs.MR // the peer's
	buf        *verbs.MR // a slot a look

	mu    sync.Mutex
	free  []int
	busy  map[int]dsm.Page // by slot
	waits []dsm.Page       // for one
	over  bool
}

func newReads(conn *verbs.Conn, mine *shelf.Shelf, theirs *shelf.Remote, cfg dsm.Config) (*reads, error) {
	r := &reads{conn: conn, mine: mine, theirs: theirs, pages: cfg.Pages, head: theirs.Head(), page: cfg.PageSize, busy: map[int]dsm.Page{}}
	for slot := range mostLooks {
		r.free = append(r.free, slot)
	}
	var err error
	if r.marks, err = conn.AllocMR(markSize*cfg.Pages, verbs.AccessLocalWrite|verbs.AccessRemoteWrite); err != nil {
		return nil, err
	}
	if r.buf, err = conn.AllocMR(mostLooks*r.slotSize(), verbs.AccessLocalWrite); err != nil {
		return nil, err
	}
	if r.reg, err = register(conn.PD, mine); err != nil {
		return nil, fmt.Errorf("register the shelf: %w", err)
	}
	return r, nil
}

// register has a peer read a shelf, and not write it, whoever has it mapped how.
func register(pd *verbs.PD, mine *shelf.Shelf) (*verbs.MR, error) {
	mem, fd, err := mine.Lend()
	if err != nil {
		return nil, err
	}
	// With the file a peer on this host has it mapped, and asks nobody.
	m := verbs.Memory{Bytes: mem, FD: fd}
	mr, err := pd.RegMemory(m, uint64(uintptr(unsafe.Pointer(&mem[0]))), verbs.AccessRemoteRead)
	if err != nil {
		return nil, errors.Join(err, mine.Return())
	}
	return mr, nil
}

func (r *reads) slotSize() int { return 2*r.head + r.page }

// register has the connection's end wait for it, and let go of what it has registered: a
// device may take longer over a large shelf than a call may last.
func (c *wired) register(mine *shelf.Shelf, theirs *shelf.Remote, cfg dsm.Config, found func(dsm.Found)) (*reads, error) {
	c.use.RLock()
	defer c.use.RUnlock()
	if c.over {
		return nil, net.ErrClosed
	}
	r, err := newReads(c.queue, mine, theirs, cfg)
	if err == nil {
		c.reads, c.found = r, found
	}
	return r, err
}

// lend has a peer that has said hello read this node's shelf, and hears where its is.
func (t *Transport) lend(w *wired, c *conn, its hello) error {
	var mine lent
	if t.shelf != nil {
		r, err := w.register(t.shelf, t.shelf.Remote(its.from, its.inc), t.cfg.Cluster, t.recv.Found)
		if err != nil {
			return err
		}
		mine = lent{r.reg.Addr(), r.marks.Addr(), r.reg.RKey(), r.marks.RKey()}
	}
	if _, err := c.Write(mine.bytes()); err != nil {
		return err
	}
	b := make([]byte, lentSize)
	if _, err := io.ReadFull(c, b); err != nil {
		return err
	}
	if w.reads != nil {
		w.reads.at = parseLent(b)
	}
	return nil
}

// look has a page read when ask comes. Receiver.Found is told.
func (r *reads) look(p dsm.Page) (dsm.Found, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over || int(p) >= r.pages || r.at.shelfKey == 0 {
		return r.theirs.Nothing(p), true
	}
	r.waits = append(r.waits, p)
	return dsm.Found{}, false
}

func (r *reads) ask() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.post()
}

// post asks for as many pages as there are slots. What cannot be posted is on a
// connection that ends, and close answers it.
func (r *reads) post() {
	for len(r.waits) > 0 && len(r.free) > 0 {
		slot, p := r.free[len(r.free)-1], r.waits[0]
		r.free, r.waits, r.busy[slot] = r.free[:len(r.free)-1], r.waits[1:], p
		at := slot * r.slotSize()
		head, page := r.theirs.At(p)
		read := func(off, from, n int) verbs.SendWR {
			return verbs.SendWR{ID: ofLook | uint64(slot), Op: verbs.OpRDMARead, SG: []verbs.SGE{r.buf.SGE(off, n)}, RemoteAddr: r.at.shelf + uint64(from), RKey: r.at.shelfKey}
		}
		last := read(at+r.head+r.page, head, r.head)
		last.Flags = verbs.SendSignaled
		if _, err := r.conn.PostSend(read(at, head, r.head), read(at+r.head, page, r.page), last); err != nil {
			return
		}
	}
}

// done is what a look has found.
func (r *reads) done(slot int) dsm.Found {
	b := r.buf.Bytes()[slot*r.slotSize():][:r.slotSize()]
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.busy[slot]
	f, count := r.theirs.Found(p, b[:r.head], b[r.head:r.head+r.page], b[r.head+r.page:])
	delete(r.busy, slot)
	r.free = append(r.free, slot)
	r.post()
	if count != 0 && r.at.marksKey != 0 { // a mark that is lost costs its home a copy
		mark := binary.LittleEndian.AppendUint32(nil, count)
		_, _ = r.conn.PostSend(verbs.SendWR{Op: verbs.OpRDMAWrite, Flags: verbs.SendInline, Inline: mark, RemoteAddr: r.at.marks + markSize*uint64(p), RKey: r.at.marksKey})
	}
	return f
}

// Took is true if the peer has taken what lies here of a page.
func (r *reads) Took(p dsm.Page) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over || int(p) >= r.pages {
		return false
	}
	mark := (*atomic.Uint32)(unsafe.Pointer(&r.marks.Bytes()[markSize*int(p)]))
	return r.mine.Lies(p, mark.Load())
}

// close ends the registration, and all looks with nothing. Before it nobody is in done
// any more, and the connection ends after it.
func (r *reads) close() (nothing []dsm.Found, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	for _, p := range r.busy {
		nothing = append(nothing, r.theirs.Nothing(p))
	}
	for _, p := range r.waits {
		nothing = append(nothing, r.theirs.Nothing(p))
	}
	if err := r.reg.Close(); err != nil {
		return nothing, err // the device may read on
	}
	return nothing, r.mine.Return()
}
