// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Bell is how a keeper wakes a process whose sessions have moved while it was
// blocked in a read: one eventfd for all its sessions. The keeper is given File
// and calls RingBell on its copy after it has changed the state of boxes.
type Bell struct {
	File *os.File

	mu       sync.Mutex
	sessions map[*Session]struct{}
}

// NewBell makes one and listens to it until Close.
func NewBell() (*Bell, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	b := &Bell{File: os.NewFile(uintptr(fd), "bell"), sessions: map[*Session]struct{}{}}
	go b.listen()
	return b, nil
}

// Close stops it; sessions then notice a move at their next call only.
func (b *Bell) Close() error { return b.File.Close() }

func (b *Bell) listen() {
	var count [8]byte
	for {
		if _, err := b.File.Read(count[:]); err != nil {
			return
		}
		b.mu.Lock()
		woken := make([]*Session, 0, len(b.sessions))
		for s := range b.sessions {
			woken = append(woken, s)
		}
		b.mu.Unlock()
		for _, s := range woken {
			s.look()
		}
	}
}

// Each calls f for every session that the bell rings for; conn is nil but for
// roots. A keeper that was started anew is told by that what there is.
func (b *Bell) Each(f func(s *Session, slot uint32, conn *net.TCPConn)) {
	b.mu.Lock()
	all := make([]*Session, 0, len(b.sessions))
	for s := range b.sessions {
		all = append(all, s)
	}
	b.mu.Unlock()
	for _, s := range all {
		if s.root != nil {
			f(s, s.slot, s.root.tcp)
			continue
		}
		f(s, s.slot, nil)
	}
}

func (b *Bell) add(s *Session) {
	if b != nil {
		b.mu.Lock()
		b.sessions[s] = struct{}{}
		b.mu.Unlock()
	}
}

func (b *Bell) drop(s *Session) {
	if b != nil {
		b.mu.Lock()
		delete(b.sessions, s)
		b.mu.Unlock()
	}
}

// RingBell rings the bell that f is a copy of.
func RingBell(f *os.File) error {
	_, err := f.Write(binary.NativeEndian.AppendUint64(nil, 1))
	return err
}
