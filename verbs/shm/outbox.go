// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"sync"

	"golang.org/x/sys/unix"

	"lazystate/internal/unixsock"
)

// outbox writes to a socket in a goroutine of its own: whoever registers
// memory, or holds a lock, waits for no peer.
type outbox struct {
	sock socket

	mu     sync.Mutex
	out    []outgoing
	wake   chan struct{}
	closed bool
}

type outgoing struct {
	m     *message
	files []int // closed when written
}

// backlog is how many messages wait for a peer that does not read.
const backlog = 4 * slots

func newOutbox(s socket) outbox { return outbox{sock: s, wake: make(chan struct{}, 1)} }

// send queues m with duplicates of files. A peer that cannot be told is let go:
// it would wait for ever.
func (b *outbox) send(m *message, files ...int) {
	o := outgoing{m: m}
	for _, fd := range files {
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			unixsock.Close(o.files)
			b.sock.Close()
			return
		}
		o.files = append(o.files, dup)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(b.out) > backlog {
		unixsock.Close(o.files)
		b.sock.Close()
		return
	}
	b.out = append(b.out, o)
	b.poke()
}

func (b *outbox) poke() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// run writes what was queued, until the outbox is closed.
func (b *outbox) run() {
	for range b.wake {
		b.mu.Lock()
		out, closed := b.out, b.closed
		b.out = nil
		b.mu.Unlock()
		for _, o := range out {
			if !closed && b.sock.write(o.m, o.files...) != nil {
				b.sock.Close()
			}
			unixsock.Close(o.files)
		}
		if closed {
			return
		}
	}
}

// close closes the socket and ends run.
func (b *outbox) close() {
	b.sock.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.poke()
}
