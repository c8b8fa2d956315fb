// SPDX-License-Identifier: Apache-2.0

package call

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/internal/memfd"
	"lazystate/internal/unixsock"
)

// Server is the daemon's end of one program. Next is for one thread, Answer for
// whoever has a call to answer; the other methods are for whoever has the node's
// lock.
type Server struct {
	Thread uint32 // of the program
	ring   *ring
	tail   uint32        // of the operations that were taken
	last   atomic.Uint32 // call
	conn   *net.UnixConn
	mine   []int // descriptors: ring, private state
}

// Offer is what a program is welcomed with. Of Welcome the ring's size, the magic
// and the device's flag are settled here. Private is the state that it goes on from.
type Offer struct {
	Welcome uapi.DsmWelcome
	Region  int // descriptor
	Device  int // /dev/userfaultfd, or -1
	Private []byte
}

// Attached is what the program has given; it is the caller's.
type Attached struct{ Uffd, Pagemap int }

// Accept sets one program up. The caller watches its region and says Start then.
func Accept(conn *net.UnixConn, o Offer) (*Server, Attached, error) {
	s := &Server{conn: conn}
	a, err := s.accept(o)
	if err != nil {
		closeAll(s.mine)
		if s.ring != nil {
			err = errors.Join(err, unix.Munmap(s.ring.b))
		}
		return nil, a, fmt.Errorf("set a program up: %w", err)
	}
	return s, a, nil
}

func (s *Server) accept(o Offer) (a Attached, err error) {
	if err := s.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return a, err
	}
	if err := s.hello(); err != nil {
		return a, err
	}
	w := o.Welcome
	if err := s.newRing(w.Locks + 1); err != nil {
		return a, err
	}
	private, err := newPrivate(o.Private)
	if err != nil {
		return a, err
	}
	s.mine = append(s.mine, private)
	w.Magic, w.RingBytes, w.PrivateBytes = uapi.DsmMagic, uint32(len(s.ring.b)), uint64(len(o.Private))
	fds := append([]int{o.Region}, s.mine...)
	if o.Device >= 0 {
		w.Flags |= uapi.DsmDevice
		fds = append(fds, o.Device)
	}
	if err := send(s.conn, w.Encode(), fds...); err != nil {
		return a, err
	}
	if err := s.conn.SetDeadline(time.Time{}); err != nil { // the program may do all else first
		return a, err
	}
	return s.ready()
}

// hello hears who comes.
func (s *Server) hello() error {
	thread, err := hearHello(s.conn)
	if errors.Is(err, unix.EPROTO) {
		return errors.Join(err, refuse(s.conn, unix.EPROTO, err.Error()))
	}
	s.Thread = thread
	return err
}

func hearHello(conn *net.UnixConn) (thread uint32, err error) {
	b, fds, err := receive(conn, uapi.DsmHelloSize)
	closeAll(fds)
	if err != nil {
		return 0, err
	}
	var h uapi.DsmHello
	if err := h.Decode(b); err != nil {
		return 0, err
	}
	if h.Magic != uapi.DsmMagic {
		return 0, fmt.Errorf("a program of another version, its magic is %#x: %w", h.Magic, unix.EPROTO)
	}
	return h.Thread, nil
}

// Refuse welcomes a program with an error.
func Refuse(conn *net.UnixConn, e unix.Errno, why string) error {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := hearHello(conn); err != nil {
		return err
	}
	return refuse(conn, e, why)
}

func refuse(conn *net.UnixConn, e unix.Errno, why string) error {
	w := uapi.DsmWelcome{Magic: uapi.DsmMagic, Error: int32(e)}
	uapi.PutCString(w.Text[:], why)
	return send(conn, w.Encode())
}

func (s *Server) newRing(locks uint32) error {
	size := RingBytes(locks)
	fd, err := memfd.Sealed("dsm-ring", int64(size))
	if err != nil {
		return err
	}
	s.mine = append(s.mine, fd)
	b, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map the ring: %w", err)
	}
	s.ring = newRing(b, locks)
	return nil
}

// newPrivate makes the file of the private state. It is read and written, never
// mapped here, for the program may cut it.
func newPrivate(state []byte) (int, error) {
	fd, err := unix.MemfdCreate("dsm-private", unix.MFD_CLOEXEC)
	if err != nil {
		return -1, os.NewSyscallError("memfd_create", err)
	}
	for off := 0; off < len(state); {
		n, err := unix.Pwrite(fd, state[off:], int64(off))
		if err != nil && err != unix.EINTR {
			unix.Close(fd)
			return -1, fmt.Errorf("private state: %w", err)
		}
		off += max(n, 0)
	}
	return fd, nil
}

// ready takes the descriptors of the program.
func (s *Server) ready() (a Attached, err error) {
	b, fds, err := receive(s.conn, uapi.DsmReadySize)
	if err != nil {
		return a, err
	}
	var r uapi.DsmReady
	if err := r.Decode(b); err != nil || r.Magic != uapi.DsmMagic || len(fds) != 2 {
		closeAll(fds)
		return a, fmt.Errorf("a program is ready with magic %#x and %d descriptors", r.Magic, len(fds))
	}
	return Attached{fds[0], fds[1]}, nil
}

// Start tells the program that its region is watched, or why not.
func (s *Server) Start(why error) error {
	m := uapi.DsmStart{Magic: uapi.DsmMagic}
	if why != nil {
		m.Error = int32(unix.EIO)
		var e unix.Errno
		if errors.As(why, &e) {
			m.Error = int32(e)
		}
		uapi.PutCString(m.Text[:], why.Error())
	}
	return send(s.conn, m.Encode())
}

// Peer is who the program is, by the kernel's word.
func (s *Server) Peer() (*unix.Ucred, error) { return unixsock.Peer(s.conn) }

// Gone waits until the program has ended, or has said something.
func (s *Server) Gone() error {
	n, err := s.conn.Read(make([]byte, 1))
	switch {
	case err == nil && n > 0:
		return fmt.Errorf("the program speaks where nothing is to be said")
	case err == nil, errors.Is(err, io.EOF):
		return nil
	}
	return err
}

// Close hangs up: the program is killed if it lives.
func (s *Server) Close() error {
	closeAll(s.mine)
	return s.conn.Close()
}
