// SPDX-License-Identifier: Apache-2.0

package shelf

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"lazystate/dsm"
	"lazystate/internal/memfd"
)

// Shelf is this node's.
type Shelf struct {
	layout
	fd   int
	mu   sync.Mutex // held by who writes on it
	mem  []byte
	lent int // so many devices read it
	over bool
}

// New makes the shelf of an incarnation of node cfg.Self, with nothing on it.
func New(cfg dsm.Config, inc uint32) (*Shelf, error) {
	l, err := layoutOf(cfg)
	if err != nil {
		return nil, err
	}
	fd, mem, err := memfd.Shown("dsm-shelf", l.size())
	if err != nil {
		return nil, err
	}
	copy(mem, l.header(cfg.Self, inc))
	return &Shelf{layout: l, fd: fd, mem: mem}, nil
}

// FD is for those who may read it. They cannot write it.
func (s *Shelf) FD() int { return s.fd }

// Put lays a page out, over what lay there. After Close nobody misses it.
func (s *Shelf) Put(e dsm.Shelve) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	count := s.count(s.mem, e.Page)
	n := count.Load()
	count.Store(n + 1)
	s.put(s.mem, e.Page, e.Ordinal, e.V)
	copy(s.page(s.mem, e.Page), e.Bytes)
	count.Store(n + 2)
}

// take notes what was taken of another's.
func (s *Shelf) take(p dsm.Page, count uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		s.took(s.mem, p).Store(count)
	}
}

// Lies is true if count is of what lies here of a page.
func (s *Shelf) Lies(p dsm.Page, count uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.over && count != 0 && s.count(s.mem, p).Load() == count
}

// Lend gives the memory that Put writes, and its file, to a device that reads it; they
// stay until Return, after Close too. There is no other mapping that every kernel registers: before
// Linux 6.2 (b40656aa7d55) what a device only reads is pinned as if it were written, and that
// is refused of shared memory which is mapped to be read (check_vma_flags: EFAULT).
func (s *Shelf) Lend() (mem []byte, fd int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return nil, -1, errOver
	}
	s.lent++
	return s.mem, s.fd, nil
}

var errOver = errors.New("the shelf is closed")

// Return takes back what was lent, when nobody reads it any more.
func (s *Shelf) Return() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lent--
	return s.free()
}

// free ends memory and file when nobody has them. It is for who holds mu.
func (s *Shelf) free() error {
	if !s.over || s.lent > 0 {
		return nil
	}
	return errors.Join(unix.Munmap(s.mem), unix.Close(s.fd))
}

// Close leaves it to who has it mapped.
func (s *Shelf) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return nil
	}
	s.over = true
	return s.free()
}

// Reader is another node's shelf. Nothing on it is believed but by the core.
type Reader struct {
	layout
	mine *Shelf
	of   dsm.NodeID
	inc  uint32
	mu   sync.RWMutex // held by who reads
	mem  []byte
	over bool
}

// Open maps the shelf of an incarnation of another node; fd stays the caller's.
func (s *Shelf) Open(fd int, of dsm.NodeID, inc uint32) (*Reader, error) {
	l := s.layout
	if err := memfd.Stays(fd, int64(l.size())); err != nil {
		return nil, fmt.Errorf("the shelf of %v: %w", of, err)
	}
	mem, err := unix.Mmap(fd, 0, l.size(), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the shelf of %v: %w", of, err)
	}
	if err := l.check(mem, of, inc); err != nil {
		return nil, errors.Join(fmt.Errorf("the shelf of %v.%d: %w", of, inc, err), unix.Munmap(mem))
	}
	return &Reader{layout: l, mine: s, of: of, inc: inc, mem: mem}, nil
}

// Look reads a page, if it lies there and is not just being laid out.
func (r *Reader) Look(p dsm.Page) dsm.Found {
	f := dsm.Found{Home: r.of, Incarnation: r.inc, Page: p}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.over || int(p) >= r.pages {
		return f
	}
	count := r.count(r.mem, p)
	n := count.Load()
	if n == 0 || n%2 == 1 {
		return f
	}
	ordinal, v := r.get(r.mem, p)
	page := bytes.Clone(r.page(r.mem, p))
	if count.Load() == n {
		f.V, f.Ordinal, f.Bytes = v, ordinal, page
		r.mine.take(p, n)
	}
	return f
}

// Took is true if that node has taken what lies on this one's shelf of a page.
func (r *Reader) Took(p dsm.Page) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return !r.over && int(p) < r.pages && r.mine.Lies(p, r.took(r.mem, p).Load())
}

// Close unmaps it. It may be called at any time, and again.
func (r *Reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return nil
	}
	r.over = true
	return unix.Munmap(r.mem)
}
