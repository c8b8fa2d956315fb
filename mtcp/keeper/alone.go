// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// alone tells of a session that no process has. With whoever keeps it then, or with
// this keeper if nobody does, it ends by a reset: a FIN would tell the client that
// this was all. mu is held.
func (s *session) alone(k *Keeper) {
	s.conn.alone()
	if s.handed == nil && k.cfg.Waiting != nil {
		s.handed = k.cfg.Waiting(s.info(), s.region, s.conn)
	}
}

// stays has a session no longer be kept as one that comes: it lives here now, perhaps
// for a long time, and how it came is nothing that it needs. mu is held.
func (s *session) stays(k *Keeper) {
	if s.came {
		s.waitsAnew(k)
	}
}

// TellWaiting is for whoever Config.Waiting is who has lost what it was told, or could
// not keep it: it is told again.
func (k *Keeper) TellWaiting() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.sessions {
		if s.handed != nil || s.conn.before != nil {
			s.waitsAnew(k)
		}
	}
}

// waitsAnew has what Config.Waiting returns now take the place of what is to be called
// when a process has the session; mu is held.
func (s *session) waitsAnew(k *Keeper) {
	if k.cfg.Waiting == nil {
		return
	}
	if over := k.cfg.Waiting(s.info(), s.region, s.conn); over != nil {
		s.handed, s.came = over, false
	}
}

// wasHanded says so, before it may have to be told again that it is alone; mu is held.
func (s *session) wasHanded() {
	s.conn.notAlone()
	if s.handed != nil {
		s.handed()
		s.handed, s.came = nil, false
	}
}

// alone has the end of this process be a reset, until notAlone.
func (c *Conn) alone() {
	if c.before != nil {
		return
	}
	if l, err := c.lingers(); err == nil && c.reset() == nil {
		c.before = &l
	}
}

func (c *Conn) notAlone() {
	if c.before != nil {
		_ = c.linger(*c.before)
		c.before = nil
	}
}

// Lingers is SO_LINGER as the session's process has it, in seconds; -1: off.
func (c *Conn) Lingers() int32 {
	l := c.before
	if l == nil {
		now, err := c.lingers()
		if err != nil {
			return -1
		}
		l = &now
	}
	if l.Onoff == 0 {
		return -1
	}
	return l.Linger
}

// SetLingers is for a connection of which a keeper that died may have been alone.
func (c *Conn) SetLingers(sec int32) error {
	l := unix.Linger{Linger: max(0, sec)}
	if sec >= 0 {
		l.Onoff = 1
	}
	return c.linger(l)
}

func (c *Conn) lingers() (l unix.Linger, err error) {
	n := uint32(unsafe.Sizeof(l))
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(c.fd), unix.SOL_SOCKET, unix.SO_LINGER, uintptr(unsafe.Pointer(&l)), uintptr(unsafe.Pointer(&n)), 0)
	if e != 0 {
		return l, e
	}
	return l, nil
}

func (c *Conn) linger(l unix.Linger) error {
	return unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &l)
}
