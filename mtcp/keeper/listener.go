// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"errors"
	"maps"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/internal/ready"
	"lazystate/mtcp/cbox"
)

// listenerKey is under what a listening socket is found again, by the next
// process or by a mover: the keeper's duplicate keeps it and its queue alive. It
// is never made non-blocking, for that would be so in the process too.
type listenerKey struct {
	service
	port uint16
}

// listen is LISTEN: it duplicates the socket. One that does not listen yet is no
// reason to let go of another: of two that are bound to a port one can listen, and who
// came second can have that.
func (k *Keeper) listen(svc service, f *os.File) error {
	port, listens, err := ofListener(int(f.Fd()))
	if err != nil {
		return err
	}
	l, err := dup(f)
	if err != nil {
		return err
	}
	key := listenerKey{svc, port}
	k.mu.Lock()
	defer k.mu.Unlock()
	old := k.listeners[key]
	switch {
	case k.closed:
		err = unix.ESHUTDOWN
	case old == nil:
		err = k.take(svc.uid, Share{Listeners: 1})
	case !listens:
		err = unix.EADDRINUSE
	default:
		_ = old.Close()
	}
	if err != nil {
		_ = l.Close()
		return err
	}
	k.listeners[key] = l
	k.tell()
	return nil
}

// ofListener returns the port of a TCP socket that listens, or is bound.
func ofListener(fd int) (port uint16, listens bool, err error) {
	proto, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	if err != nil {
		return 0, false, err
	}
	is, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return 0, false, err
	}
	local, err := unix.Getsockname(fd)
	if err != nil {
		return 0, false, err
	}
	switch a := local.(type) {
	case *unix.SockaddrInet4:
		port = uint16(a.Port)
	case *unix.SockaddrInet6:
		port = uint16(a.Port)
	}
	if port == 0 || proto != unix.IPPROTO_TCP {
		err = unix.EPROTOTYPE
	}
	return port, is != 0, err
}

// listenerOf is LISTENER. It returns a duplicate, for another process may put its own
// in the place of ours before the answer is on its way: the number would be another
// descriptor's then. Whoever bound it and died before it listened, or is about to: it
// does now. Nobody waits in one that cannot, so it is let go of. That may wait for who
// has the socket; nobody else does.
func (k *Keeper) listenerOf(svc service, port uint16) (*os.File, error) {
	key := listenerKey{svc, port}
	k.mu.Lock()
	held := k.listeners[key]
	if held == nil {
		k.mu.Unlock()
		return nil, unix.ENOENT
	}
	l, err := dup(held)
	k.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if err := startListening(l); err == nil {
		return l, nil
	}
	_ = l.Close()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.listeners[key] == held {
		_ = held.Close()
		delete(k.listeners, key)
		delete(k.sizes, key)
		k.untake(svc.uid, Share{Listeners: 1})
	}
	return nil, unix.ENOENT
}

// learn notes what boxes a process makes for those that come to a socket: who is in its
// queue is to find as much room for the service's processes and their channels. mu is held.
func (k *Keeper) learn(s *session) {
	key := listenerKey{s.service, s.conn.local.Port()}
	if k.listeners[key] != nil && s.generation == 1 {
		k.sizes[key] = s.box.Sizes()
	}
}

// queueWait bounds how long TakeQueue waits for a connection that a process has
// taken from under its hands.
const queueWait = 50 * time.Millisecond

// TakeQueue takes the connections that wait in the queues of listening sockets
// as new sessions: nobody has served them, so they can go anywhere. Their boxes are
// like that of the last one which a process has accepted there (learn). Those that
// cannot be moved are refused: their clients get a reset.
func (k *Keeper) TakeQueue() ([]cbox.ID, error) {
	k.mu.Lock()
	all := make(map[listenerKey]*os.File, len(k.listeners))
	sizes := maps.Clone(k.sizes)
	var errs []error
	for key, l := range k.listeners {
		if !waits(int(l.Fd())) {
			continue
		}
		f, err := dup(l)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all[key] = f
	}
	k.mu.Unlock()
	var ids []cbox.ID
	for key, l := range all {
		cfg := sizes[key]
		cfg.Name = key.name
		got, err := k.takeAll(key.service, l, cfg)
		ids, errs = append(ids, got...), append(errs, err)
	}
	return ids, errors.Join(errs...)
}

// waits reports whether anything is in a listening socket's queue.
func waits(fd int) bool {
	events, err := ready.Now(uintptr(fd), unix.POLLIN)
	return err == nil && events&unix.POLLIN != 0 // one that does not listen says POLLHUP
}

var errEmpty = errors.New("queue is empty")

type taken struct {
	id   cbox.ID
	err  error
	last bool // the socket gives no more
}

// takeAll empties one queue; it closes l. Should a process be quicker with the
// last connection, the accept waits for the next client and takes that.
func (k *Keeper) takeAll(svc service, l *os.File, cfg cbox.Config) (ids []cbox.ID, err error) {
	for {
		if !waits(int(l.Fd())) {
			return ids, errors.Join(err, l.Close())
		}
		got := make(chan taken, 1)
		go func() { got <- k.takeOne(svc, l, cfg) }()
		select {
		case t := <-got:
			if t.err == errEmpty {
				continue
			}
			if err = errors.Join(err, t.err); t.last {
				return ids, errors.Join(err, l.Close())
			}
			if t.err == nil {
				ids = append(ids, t.id)
			}
		case <-time.After(queueWait):
			go func() { <-got; _ = l.Close() }()
			return ids, err
		}
	}
}

func (k *Keeper) takeOne(svc service, l *os.File, cfg cbox.Config) taken {
	fd, _, err := unix.Accept4(int(l.Fd()), unix.SOCK_CLOEXEC)
	if err == unix.EAGAIN { // a process was quicker
		return taken{err: errEmpty}
	}
	if err != nil {
		return taken{err: os.NewSyscallError("accept", err), last: true}
	}
	f := os.NewFile(uintptr(fd), "accepted")
	defer f.Close()
	id, err := k.takeNew(svc, f, cfg)
	return taken{id: id, err: err}
}

// takeNew makes the box of a connection that no process has seen.
func (k *Keeper) takeNew(svc service, f *os.File, cfg cbox.Config) (cbox.ID, error) {
	conn, err := dupConn(f)
	if err != nil {
		return cbox.ID{}, err
	}
	refuse := func(err error) (cbox.ID, error) {
		_ = conn.reset()
		_ = conn.Close()
		return cbox.ID{}, err
	}
	region, err := newBox(f, cfg)
	if err != nil {
		return refuse(err)
	}
	s, err := k.keep(svc, cbox.ID{}, region, conn, nil)
	if err != nil {
		_ = region.File.Close()
		return refuse(err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.find(s, 0)
	return s.id, nil
}

func newBox(f *os.File, cfg cbox.Config) (cbox.Region, error) {
	conn, err := tcpConn(f)
	if err != nil {
		return cbox.Region{}, err
	}
	defer conn.Close()
	return cbox.NewBox(conn, cfg)
}
