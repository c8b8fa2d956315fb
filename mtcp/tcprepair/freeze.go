// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lazystate/mtcp/cbox"
)

// Frozen is a socket that no segment reaches and that answers none. It stays
// so until Thaw or Discard, whoever else has it open; a process that still
// writes to it gets EPERM or EINVAL.
type Frozen struct {
	stack   *Stack
	fd      int // a duplicate: the caller may close his
	v6      bool
	options *Options // read before TCP_REPAIR
	window  uint32   // what the peer granted, 0 in the socket meanwhile
	done    bool
}

// Freeze makes a live socket deaf, then puts it into repair mode. fd stays the
// caller's. The error may be a *cbox.NotMovableError or an *mtcp.StateError;
// nothing has happened to the socket then.
func (s *Stack) Freeze(fd int) (*Frozen, error) {
	if err := cbox.CheckMovable(fd); err != nil {
		return nil, err
	}
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("freeze socket: dup: %w", err)
	}
	f := &Frozen{stack: s, fd: dup}
	if err := f.freeze(); err != nil {
		unix.Close(dup)
		return nil, fmt.Errorf("freeze socket: %w", err)
	}
	return f, nil
}

func (f *Frozen) freeze() error {
	local, _, err := ends(f.fd)
	if err != nil {
		return err
	}
	f.v6 = local.Addr().Is6()
	if f.options, err = readOptions(f.fd, f.v6); err != nil {
		return err
	}
	if f.options.PeekOff, err = peekOff(f.fd); err != nil {
		return err
	}
	if err := deafen(f.fd); err != nil {
		return err
	}
	if err := setInt(f.fd, unix.IPPROTO_TCP, unix.TCP_REPAIR, unix.TCP_REPAIR_ON, "TCP_REPAIR"); err != nil {
		return errors.Join(err, hear(f.fd))
	}
	if f.options.PeekOff >= 0 { // MSG_PEEK would begin behind it
		if err := setInt(f.fd, unix.SOL_SOCKET, unix.SO_PEEK_OFF, -1, "SO_PEEK_OFF"); err != nil {
			return errors.Join(err, f.thaw())
		}
	}
	if err := f.quiet(); err != nil {
		return errors.Join(err, f.thaw())
	}
	return nil
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

// nothing is a socket filter (classic BPF, "ret 0") that lets nothing through:
// a segment is dropped before TCP sees it, so there is no answer either.
var nothing = [...]unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K}}

func deafen(fd int) error {
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &nothing[0]}); err != nil {
		return fmt.Errorf("attach a filter to the socket: %w", err)
	}
	return nil
}

func hear(fd int) error {
	return setInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0, "SO_DETACH_FILTER")
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
	f.close()
	return nil
}

var errOver = errors.New("socket is no longer frozen")

func (f *Frozen) thaw() error {
	if f.options.PeekOff >= 0 {
		if err := setInt(f.fd, unix.SOL_SOCKET, unix.SO_PEEK_OFF, int(f.options.PeekOff), "SO_PEEK_OFF"); err != nil {
			return err
		}
	}
	if err := f.loud(); err != nil {
		return err
	}
	if err := hear(f.fd); err != nil {
		return err
	}
	// A window probe goes out with it: the peer learns that somebody listens.
	if err := setInt(f.fd, unix.IPPROTO_TCP, unix.TCP_REPAIR, unix.TCP_REPAIR_OFF, "TCP_REPAIR"); err != nil {
		return err
	}
	// Leaving repair mode has cleared it (net/ipv4/tcp.c, TCP_REPAIR).
	return setInt(f.fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, int(f.options.val[reuseAddr]), "SO_REUSEADDR")
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
	f.close()
	// A thread that sleeps in the socket keeps it (6.1 to 6.6); in repair mode
	// the last close of it is as silent.
	if err != nil && !errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("discard socket: %w", err)
	}
	return nil
}

func (f *Frozen) close() {
	f.done = true
	unix.Close(f.fd)
}
