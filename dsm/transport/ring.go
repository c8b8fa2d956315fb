// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lazystate/dsm/shelf"
	"lazystate/internal/futex"
)

// Two rings lie in memory that both processes have, one for each direction; in the
// first page are their counts, each on a cache line of its own:
//
//	0  tail of the dialer's ring    64  head    128  its reader sleeps    192  its writer sleeps
//	256, 320, 384, 448 of the listener's
//	512  the dialer has closed      576 the listener has
const (
	ringBytes = 1 << 20 // of one direction, a power of two
	ringStart = 4096
	ringTotal = ringStart + 2*ringBytes
	cacheLine = 64
)

// ring is one direction. Only its writer moves the tail and only its reader the
// head; both count bytes and wrap around.
type ring struct {
	tail, head    *atomic.Uint32
	reads, writes *atomic.Uint32 // 1: who reads, or writes, sleeps
	data          []byte
}

// room is what may be written at once. The other's word is not believed.
func (r *ring) room() (int, error) {
	used := r.tail.Load() - r.head.Load()
	if used > ringBytes {
		return 0, nonsense("a ring of %d bytes has %d in it", ringBytes, used)
	}
	return ringBytes - int(used), nil
}

func (r *ring) put(b []byte) {
	tail := r.tail.Load()
	at := int(tail % ringBytes)
	n := copy(r.data[at:], b)
	copy(r.data, b[n:])
	r.tail.Store(tail + uint32(len(b)))
	if r.reads.Load() == 1 {
		futex.Wake(r.tail)
	}
}

// get takes what there is, as much as goes into b.
func (r *ring) get(b []byte) (int, error) {
	head := r.head.Load()
	used := r.tail.Load() - head
	if used > ringBytes {
		return 0, nonsense("a ring of %d bytes has %d in it", ringBytes, used)
	}
	b = b[:min(len(b), int(used))]
	at := int(head % ringBytes)
	n := copy(b, r.data[at:])
	copy(b[n:], r.data)
	if len(b) > 0 {
		r.head.Store(head + uint32(len(b)))
		if r.writes.Load() == 1 {
			futex.Wake(r.head)
		}
	}
	return len(b), nil
}

// nap is how long a sleep lasts at the most, when nobody wakes the sleeper.
const nap = 50 * time.Millisecond

// sleep waits for word to change, unless ready is true.
func sleep(asleep, word *atomic.Uint32, seen uint32, ready func() bool) {
	asleep.Store(1)
	if word.Load() == seen && !ready() {
		futex.Wait(word, seen, nap)
	}
	asleep.Store(0)
}

// shared is a conduit over two rings. The socket that it began with stays, to hear
// of the other's death.
type shared struct {
	mem     []byte
	in, out ring
	closed  *atomic.Uint32 // this end has
	left    *atomic.Uint32 // the other has
	socket  *socket
	gone    atomic.Bool   // the other is dead
	theirs  *shelf.Reader // nil: the other has none
	mu      sync.RWMutex
	over    bool
}

// newShared maps the rings of a descriptor, for the one end or the other. Close
// closes the shelf, and so does an error.
func newShared(fd int, dialed bool, s *socket, theirs *shelf.Reader) (*shared, error) {
	mem, err := unix.Mmap(fd, 0, ringTotal, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, errors.Join(err, closeShelf(theirs))
	}
	word := func(line int) *atomic.Uint32 { return (*atomic.Uint32)(unsafe.Pointer(&mem[line*cacheLine])) }
	ringOf := func(i int) ring {
		at := ringStart + i*ringBytes
		return ring{word(4 * i), word(4*i + 1), word(4*i + 2), word(4*i + 3), mem[at : at+ringBytes]}
	}
	c := &shared{mem: mem, out: ringOf(0), in: ringOf(1), closed: word(8), left: word(9), socket: s, theirs: theirs}
	if !dialed {
		c.in, c.out, c.closed, c.left = c.out, c.in, c.left, c.closed
	}
	go c.watch()
	return c, nil
}

// watch waits for the end of the socket: nothing is said there any more.
func (c *shared) watch() {
	var b [1]byte
	_, _ = c.socket.Read(b[:])
	c.gone.Store(true)
	c.mu.RLock()
	defer c.mu.RUnlock()
	if !c.over {
		c.wake()
	}
}

// wake wakes this end's threads.
func (c *shared) wake() {
	futex.Wake(c.in.tail)
	futex.Wake(c.out.head)
}

// ended is true if nothing more is to be waited for.
func (c *shared) ended() bool {
	return c.gone.Load() || c.closed.Load() == 1 || c.left.Load() == 1
}

func (c *shared) Read(b []byte) (int, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for {
		if c.over || c.closed.Load() == 1 {
			return 0, net.ErrClosed
		}
		ended := c.ended()
		seen := c.in.tail.Load()
		if n, err := c.in.get(b); n > 0 || err != nil {
			return n, err
		}
		if ended {
			return 0, io.EOF
		}
		sleep(c.in.reads, c.in.tail, seen, c.ended)
	}
}

func (c *shared) Write(b []byte) (int, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	done := 0
	for {
		n, seen, err := c.write(b[done:])
		if done += n; err != nil || done == len(b) {
			return done, err
		}
		if n == 0 {
			sleep(c.out.writes, c.out.head, seen, c.ended)
		}
	}
}

func (c *shared) TryWrite(b []byte) (int, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	n, _, err := c.write(b)
	return n, err
}

// write writes what there is room for, as the head was when it looked.
func (c *shared) write(b []byte) (n int, head uint32, err error) {
	if c.over || c.closed.Load() == 1 {
		return 0, 0, net.ErrClosed
	}
	if c.ended() {
		return 0, 0, unix.EPIPE
	}
	head = c.out.head.Load()
	room, err := c.out.room()
	if err != nil {
		return 0, head, err
	}
	b = b[:min(room, len(b))]
	if len(b) > 0 {
		c.out.put(b)
	}
	return len(b), head, nil
}

// Close wakes both ends; the memory goes when nobody here is in it.
func (c *shared) Close() error {
	c.mu.RLock()
	if !c.over {
		c.closed.Store(1)
		c.wake()
		futex.Wake(c.out.tail) // the other's reader, and its writer
		futex.Wake(c.in.head)
	}
	c.mu.RUnlock()
	err := c.socket.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return nil
	}
	c.over = true
	return errors.Join(err, unix.Munmap(c.mem), closeShelf(c.theirs))
}

func closeShelf(r *shelf.Reader) error {
	if r == nil {
		return nil
	}
	return r.Close()
}
