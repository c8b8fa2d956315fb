// SPDX-License-Identifier: Apache-2.0

package pager

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"lazystate/dsm"
	"lazystate/internal/memfd"
)

// Pager is a region and who uses it. All but Next is under the node's lock.
type Pager struct {
	mode     Mode
	pageSize int
	fd       int    // the region
	alias    []byte // of it; see Bytes
	pages    []page
	free     [][]byte // buffers
	leaving  []dsm.Page
	top      int // no page from here on was ever in place

	u     uffd
	base  uint64
	scan  scanner
	wrote []dsm.Page // that have left since they were asked for
	wakes []dsm.Page // whoever waits for these may go on
	ended bool       // the program
	err   error      // the first
}

// page is in place, or in a buffer, or zeros.
type page struct {
	access dsm.Access
	bytes  []byte // nil if it is in place, or zeros
	leaves bool   // it is in its buffer, and in place until Settle
}

// New makes a region of zeros that the program may not access.
func New(pages, pageSize int, mode Mode) (*Pager, error) {
	if pages <= 0 || pageSize%unix.Getpagesize() != 0 || pageSize <= 0 {
		return nil, fmt.Errorf("a region of %d pages of %d bytes: pages here have %d", pages, pageSize, unix.Getpagesize())
	}
	size := pages * pageSize
	fd, err := memfd.Sealed("dsm-region", int64(size))
	if err != nil {
		return nil, err
	}
	alias, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("map the region: %w", err)
	}
	return &Pager{mode: mode, pageSize: pageSize, fd: fd, alias: alias, pages: make([]page, pages), u: -1}, nil
}

// FD is the region's, for the program to map.
func (p *Pager) FD() int { return p.fd }

// Memory is the region for a node.
func (p *Pager) Memory() dsm.Memory {
	if p.mode == Async {
		return scanned{p}
	}
	return p
}

// Attach begins to watch the program, whose descriptors become the pager's.
func (p *Pager) Attach(u, pagemap int, base uint64) error {
	p.u, p.scan.fd, p.base = uffd(u), pagemap, base
	if _, err := p.u.handshake(p.mode.need()); err != nil {
		return fmt.Errorf("%v: %w", p.mode, err)
	}
	return p.u.register(base, uint64(len(p.alias)))
}

// Detach tells that the program has ended: there is nobody to protect pages from.
func (p *Pager) Detach() { p.ended = true }

// Close unmaps the region here. The program has ended.
func (p *Pager) Close() error {
	err := errors.Join(unix.Munmap(p.alias), unix.Close(p.fd))
	if p.u >= 0 {
		err = errors.Join(err, unix.Close(int(p.u)), unix.Close(p.scan.fd))
	}
	return err
}

// Next waits for an access that needs the node. It is for a thread of its own.
func (p *Pager) Next() (Fault, error) {
	var b [msgSize]byte
	for {
		n, err := unix.Read(int(p.u), b[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return Fault{}, fmt.Errorf("read a userfaultfd: %w", err)
		}
		m, err := parseMessage(b[:n])
		if err != nil {
			return Fault{}, err
		}
		if m.addr < p.base || m.addr-p.base >= uint64(len(p.alias)) {
			return Fault{}, fmt.Errorf("a page fault at %#x, outside the region", m.addr)
		}
		return Fault{dsm.Fault{Page: dsm.Page((m.addr - p.base) / uint64(p.pageSize)), Write: m.write}, m.thread}, nil
	}
}

// Fault is an access of a thread of the program.
type Fault struct {
	dsm.Fault
	Thread uint32
}

// Allowed is true if the program may do the access by now.
func (p *Pager) Allowed(f dsm.Fault) bool {
	a := p.pages[f.Page].access
	return a == dsm.Write || a == dsm.Read && !f.Write
}

// Resume has the program try an access again, when the caller of Woken wakes it.
func (p *Pager) Resume(at dsm.Page) { p.wakes = append(p.wakes, at) }

// Woken returns what wakes those who were resumed; it is to be called without the
// node's lock.
func (p *Pager) Woken() func() {
	if len(p.wakes) == 0 || p.ended {
		return func() {}
	}
	pages := p.wakes
	p.wakes = nil
	return func() {
		for _, at := range pages {
			_ = p.u.wake(p.addr(at), uint64(p.pageSize)) // a program that has ended sleeps no more
		}
	}
}

// Err is why the program cannot be watched any more, as when it has ended.
func (p *Pager) Err() error { return p.err }

func (p *Pager) fail(err error) {
	if p.err == nil && !p.ended {
		p.err = err
	}
}

func (p *Pager) addr(at dsm.Page) uint64 { return p.base + uint64(at)*uint64(p.pageSize) }

// inPlace is a page's alias, which must be there.
func (p *Pager) inPlace(at dsm.Page) []byte {
	off := int(at) * p.pageSize
	return p.alias[off : off+p.pageSize : off+p.pageSize]
}

// Bytes is a page's contents, until the next Protect.
func (p *Pager) Bytes(at dsm.Page) []byte {
	pg := &p.pages[at]
	if pg.access != dsm.None {
		return p.inPlace(at)
	}
	if pg.bytes == nil {
		pg.bytes = p.buffer()
		clear(pg.bytes)
	}
	return pg.bytes
}

// buffer has anything in it.
func (p *Pager) buffer() []byte {
	if n := len(p.free); n > 0 {
		b := p.free[n-1]
		p.free = p.free[:n-1]
		return b
	}
	return make([]byte, p.pageSize)
}

// Protect sets what the program may do. What is taken from it is so at Settle,
// the latest: it stands until then.
func (p *Pager) Protect(at dsm.Page, a dsm.Access) {
	pg := &p.pages[at]
	was := pg.access
	switch {
	case a == was:
	case a == dsm.None:
		p.takeOut(at)
	case was == dsm.None:
		p.putIn(at, a)
	case p.mode == Async:
		pg.access = a
	default:
		mode := uint64(protectDontWake)
		if a == dsm.Read {
			mode = protectWP // nobody waits for that
		}
		pg.access = a
		p.fail(p.u.protect(p.addr(at), uint64(p.pageSize), mode))
	}
}

// takeOut puts a page into a buffer.
func (p *Pager) takeOut(at dsm.Page) {
	pg := &p.pages[at]
	b := p.buffer()
	copy(b, p.inPlace(at))
	*pg = page{access: dsm.None, bytes: b, leaves: true}
	p.leaving = append(p.leaving, at)
	if p.mode == Async {
		p.wrote = append(p.wrote, at) // maybe, and nobody can ask then
	}
}

// putIn puts a page in place.
func (p *Pager) putIn(at dsm.Page, a dsm.Access) {
	pg := &p.pages[at]
	if pg.leaves {
		p.fail(p.Settle())
	}
	b := p.Bytes(at)
	mode := uint64(copyDontWake | copyWP)
	if p.mode == Sync && a == dsm.Write {
		mode = copyDontWake
	}
	err := p.u.copy(p.addr(at), b, mode)
	for errors.Is(err, unix.EAGAIN) { // the program's mappings change
		err = p.u.copy(p.addr(at), b, mode)
	}
	if errors.Is(err, unix.EEXIST) { // the program has put something there, by whatever call
		p.fail(p.punch(at, at+1))
		err = p.u.copy(p.addr(at), b, mode)
	}
	p.fail(err)
	*pg = page{access: a}
	p.free = append(p.free, b)
	p.top = max(p.top, int(at)+1)
}

// Settle carries out what was put off. The program goes on only then.
func (p *Pager) Settle() error {
	slices.Sort(p.leaving)
	for i := 0; i < len(p.leaving); {
		j := i + 1
		for j < len(p.leaving) && p.leaving[j] == p.leaving[j-1]+1 {
			j++
		}
		p.fail(p.punch(p.leaving[i], p.leaving[j-1]+1))
		i = j
	}
	for _, at := range p.leaving {
		p.pages[at].leaves = false
	}
	p.leaving = p.leaving[:0]
	return p.err
}

// punch makes a hole of the pages [from, to).
func (p *Pager) punch(from, to dsm.Page) error {
	size := int64(p.pageSize)
	err := unix.Fallocate(p.fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, int64(from)*size, int64(to-from)*size)
	if err != nil {
		return fmt.Errorf("punch a hole: %w", err)
	}
	return nil
}

// scanned is a Pager whose kernel notes writes.
type scanned struct{ *Pager }

// Written returns the pages that were written since the last call, or have left.
func (p scanned) Written() []dsm.Page {
	pages := p.wrote
	p.wrote = nil
	if p.top == 0 {
		return pages
	}
	size := uint64(p.pageSize)
	err := p.scan.scan(p.base, p.base+uint64(p.top)*size, func(start, end uint64) {
		for a := start; a < end; a += size {
			if at := dsm.Page((a - p.base) / size); p.pages[at].access != dsm.None { // else it is in no table
				pages = append(pages, at)
			}
		}
	})
	p.fail(err)
	return pages
}
