// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"lazystate/internal/sockaddr"
	"lazystate/mtcp/cbox"
)

// Frozen is a socket that no segment reaches and that answers none. It stays
// so until Thaw or Discard, whoever else has it open; a process that still
// uses it gets EPERM or EINVAL.
type Frozen struct {
	stack  *Stack
	fd     int
	dump   Dump          // what was read before TCP_REPAIR, or cannot change any more
	first  *unix.TCPInfo // before its send queue was selected for the first time
	last   *unix.TCPInfo // when the last dump ended; as first, before there was one
	queued [2]int        // bytes in the receive and the send queue then
	window uint32        // what the peer granted, 0 in the socket meanwhile
	done   bool

	measured func(queue int) // a test's, before that queue is read
}

// Freeze makes a live socket deaf, then puts it into repair mode. fd stays the
// caller's, and open until Thaw or Discard. The error may be a *cbox.NotMovableError or an *mtcp.StateError;
// nothing has happened to the socket then. Keys of TCP_MD5SIG cost more to find
// than all the rest: cbox.CheckMovable does, when a session is registered.
func (s *Stack) Freeze(fd int) (*Frozen, error) {
	local, remote, err := sockaddr.Ends(fd)
	if err != nil {
		if unfit := cbox.CheckSocket(fd); unfit != nil {
			return nil, unfit
		}
		return nil, fmt.Errorf("freeze socket: %w", err)
	}
	return s.FreezeKnown(fd, local, remote)
}

// FreezeKnown is Freeze of a socket whose ends are known.
func (s *Stack) FreezeKnown(fd int, local, remote netip.AddrPort) (*Frozen, error) {
	if err := cbox.CheckSocket(fd); err != nil {
		return nil, err
	}
	f := &Frozen{stack: s, fd: fd, dump: Dump{Local: local, Remote: remote}}
	if err := f.freeze(); err != nil {
		return nil, fmt.Errorf("freeze socket: %w", err)
	}
	return f, nil
}

// Rescue takes over a socket that another process has frozen and did not live to
// thaw, for Thaw or Discard. How much the peer had granted nobody knows any more:
// as much as it ever did, and if that is too much it says so.
func (s *Stack) Rescue(fd int) (*Frozen, error) {
	f := &Frozen{stack: s, fd: fd, dump: Dump{Options: Options{PeekOff: -1}}}
	f.dump.Options.val[reuseAddr] = 1
	w, err := readWindow(fd)
	if errors.Is(err, unix.EPERM) { // it had not come so far
		return f, nil
	}
	if err != nil {
		return nil, fmt.Errorf("rescue socket: %w", err)
	}
	if w.send == 0 {
		f.window = w.most
	}
	return f, nil
}

func (f *Frozen) freeze() (err error) {
	d := &f.dump
	if err := checkAddrs(d.Local, d.Remote); err != nil { // they mean something elsewhere
		return err
	}
	if err := d.Options.read(f.fd, d.Local.Addr().Is6()); err != nil {
		return err
	}
	if d.Options.PeekOff, err = peekOff(f.fd); err != nil {
		return err
	}
	if err := f.stack.deafen(f.fd); err != nil {
		return err
	}
	if err := setInt(f.fd, unix.IPPROTO_TCP, unix.TCP_REPAIR, unix.TCP_REPAIR_ON, "TCP_REPAIR"); err != nil {
		return errors.Join(err, hear(f.fd))
	}
	if err := f.settle(); err != nil {
		return errors.Join(err, f.thaw())
	}
	return nil
}

// settle does what has to be done in repair mode.
func (f *Frozen) settle() (err error) {
	if f.first, err = tcpInfo(f.fd); err != nil {
		return err
	}
	f.last = f.first
	if f.dump.Options.PeekOff >= 0 { // MSG_PEEK would begin behind it
		if err := setInt(f.fd, unix.SOL_SOCKET, unix.SO_PEEK_OFF, -1, "SO_PEEK_OFF"); err != nil {
			return err
		}
	}
	return f.quiet()
}

// peekOff: TCP has it since 6.9.
func peekOff(fd int) (int32, error) {
	v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEEK_OFF)
	switch {
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOPROTOOPT):
		return -1, nil
	case err != nil:
		return -1, fmt.Errorf("get SO_PEEK_OFF: %w", err)
	}
	return int32(v), nil
}

// Thaw undoes Freeze: the connection goes on here as if nothing had been. The
// peer sends again what the socket did not hear.
func (f *Frozen) Thaw() error {
	if f.done {
		return errOver
	}
	if err := f.thaw(); err != nil {
		return fmt.Errorf("thaw socket: %w", err)
	}
	f.done = true
	return nil
}

var errOver = errors.New("socket is no longer frozen")

func (f *Frozen) thaw() error {
	if f.dump.Options.PeekOff >= 0 {
		if err := setInt(f.fd, unix.SOL_SOCKET, unix.SO_PEEK_OFF, int(f.dump.Options.PeekOff), "SO_PEEK_OFF"); err != nil {
			return err
		}
	}
	if err := f.loud(); err != nil {
		return err
	}
	if err := hear(f.fd); err != nil && !errors.Is(err, unix.ENOENT) { // ENOENT: it was not deaf yet
		return err
	}
	// A window probe goes out with it: the peer learns that somebody listens.
	if err := setInt(f.fd, unix.IPPROTO_TCP, unix.TCP_REPAIR, unix.TCP_REPAIR_OFF, "TCP_REPAIR"); err != nil {
		return err
	}
	// Leaving repair mode has cleared it (net/ipv4/tcp.c, TCP_REPAIR).
	return setInt(f.fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, int(f.dump.Options.val[reuseAddr]), "SO_REUSEADDR")
}

// Discard ends the socket without a FIN or a RST, for all who have it open: they
// find it closed with ECONNABORTED. The address must not be here any more, or
// the peer must have heard the new server: the kernel answers segments for a
// socket that is gone with RST.
func (f *Frozen) Discard() error {
	if f.done {
		return errOver
	}
	err := disconnect(f.fd)
	if err == nil { // in repair mode others would get EPERM
		err = setInt(f.fd, unix.IPPROTO_TCP, unix.TCP_REPAIR, unix.TCP_REPAIR_OFF, "TCP_REPAIR")
	}
	f.done = true
	// A thread that sleeps in the socket keeps it (6.1 to 6.6); in repair mode
	// the last close of it is as silent.
	if err != nil && !errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("discard socket: %w", err)
	}
	return nil
}
