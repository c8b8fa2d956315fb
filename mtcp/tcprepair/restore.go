// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"lazystate/internal/seqnum"
	"lazystate/internal/sockaddr"
)

// Restored is a socket that has its state and hears nothing yet.
type Restored struct {
	stack *Stack
	fd    int
	dump  *Dump
	lacks []string
	grown bool // a buffer is larger than it was
	live  bool

	resumed bool // another process may have begun to let it live
	spoken  bool // and has ended repair mode
}

// Restore makes a socket of a dump in the namespace of the calling thread, where
// Local must be an address. It sends nothing.
func (s *Stack) Restore(d *Dump) (*Restored, error) {
	if err := d.Check(); err != nil {
		return nil, err
	}
	e, err := s.Socket(d.Local.Addr())
	if err != nil {
		return nil, err
	}
	return s.restoreOn(e, d)
}

// Empty is a socket that nothing has been made of yet. It is of the namespace of the
// thread that made it, and so is what becomes of it, on whatever thread.
type Empty struct{ fd int }

// Socket makes one for connections of an address, in the namespace of the calling thread.
func (s *Stack) Socket(local netip.Addr) (*Empty, error) {
	if s.fresh(local) == nil {
		return nil, fmt.Errorf("restore socket: %w", unix.EAFNOSUPPORT)
	}
	fd, err := unix.Socket(sockaddr.Family(local), unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_TCP)
	if err != nil {
		return nil, fmt.Errorf("restore socket: %w", err)
	}
	return &Empty{fd}, nil
}

// Close closes one that has not become a connection, or the attempt at one.
func (e *Empty) Close() {
	if e != nil && e.fd >= 0 {
		unix.Close(e.fd)
		e.fd = -1
	}
}

// RestoreOn is Restore on a socket that is there already, in the namespace of that,
// for a dump of its address's family. It has the socket from then on, also after an error.
func (s *Stack) RestoreOn(e *Empty, d *Dump) (*Restored, error) {
	if err := d.Check(); err != nil {
		e.Close()
		return nil, err
	}
	return s.restoreOn(e, d)
}

func (s *Stack) restoreOn(e *Empty, d *Dump) (*Restored, error) {
	r := &Restored{stack: s, fd: e.fd, dump: d}
	e.fd = -1
	if err := r.restore(s.fresh(d.Local.Addr())); err != nil {
		r.Abandon()
		return nil, fmt.Errorf("restore socket %s of %s: %w", d.Local, d.Remote, err)
	}
	return r, nil
}

// fresh has a new socket's options; nil: there is no such family.
func (s *Stack) fresh(local netip.Addr) *Options {
	if local.Is4() {
		return s.defaults[0]
	}
	return s.defaults[1]
}

func (r *Restored) restore(fresh *Options) (err error) {
	if err := setInt(r.fd, unix.IPPROTO_TCP, unix.TCP_REPAIR, unix.TCP_REPAIR_ON, "TCP_REPAIR"); err != nil {
		return err
	}
	if err := r.stack.deafen(r.fd); err != nil { // the peer's segments may be here before the queues are
		return err
	}
	if r.lacks, err = r.dump.Options.apply(r.fd, fresh, false); err != nil {
		return err
	}
	if err := r.connect(); err != nil {
		return err
	}
	if err := r.negotiated(); err != nil {
		return err
	}
	if err := r.fillQueues(); err != nil {
		return err
	}
	return r.window()
}

// connect: with the numbers set, it makes an ESTABLISHED socket without a
// packet.
func (r *Restored) connect() error {
	d := r.dump
	// The MSS is computed in connect, before TCP_REPAIR_OPTIONS can tell it;
	// this is what limits it then.
	if err := setInt(r.fd, unix.IPPROTO_TCP, unix.TCP_MAXSEG, int(max(minMSS, min(d.Negotiated.MSS, maxMSS))), "TCP_MAXSEG"); err != nil {
		return err
	}
	if err := unix.Bind(r.fd, sockaddr.Of(d.Local)); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if err := setSeq(r.fd, recvQueue, d.inEnd()-seqnum.Value(len(d.In))); err != nil {
		return err
	}
	if err := setSeq(r.fd, sendQueue, d.outFirst()); err != nil {
		return err
	}
	if err := unix.Connect(r.fd, sockaddr.Of(d.Remote)); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return nil
}

// The kernel's limits of TCP_MAXSEG: include/net/tcp.h.
const (
	minMSS = 88    // TCP_MIN_MSS
	maxMSS = 32767 // MAX_TCP_WINDOW
)

func setSeq(fd, q int, seq seqnum.Value) error {
	if err := selectQueue(fd, q); err != nil {
		return err
	}
	return setInt(fd, unix.IPPROTO_TCP, unix.TCP_QUEUE_SEQ, int(int32(seq)), "TCP_QUEUE_SEQ")
}

// negotiated: the kernel takes these of a connected socket only.
func (r *Restored) negotiated() error {
	n := r.dump.Negotiated
	opts := make([]repairOpt, 0, 4)
	if n.SACK {
		opts = append(opts, repairOpt{code: optSACK})
	}
	if n.Scaled {
		opts = append(opts, repairOpt{optScale, uint32(n.SendScale) | uint32(n.RecvScale)<<16})
	}
	if n.Stamped {
		opts = append(opts, repairOpt{code: optStamp})
	}
	opts = append(opts, repairOpt{optMSS, n.MSS})
	if err := setStructs(r.fd, unix.IPPROTO_TCP, unix.TCP_REPAIR_OPTIONS, opts); err != nil {
		return fmt.Errorf("set TCP_REPAIR_OPTIONS to %+v: %w", n, err)
	}
	if !n.Stamped {
		return nil
	}
	// Never behind what the peer has seen; its lowest bit is the unit, which the
	// old kernel may have shown as 0 of an odd number.
	return setInt(r.fd, unix.IPPROTO_TCP, unix.TCP_TIMESTAMP, int(int32(n.Timestamp+2)), "TCP_TIMESTAMP")
}

func (r *Restored) window() error {
	d, w := r.dump, r.dump.Window
	wup := d.Ack
	if end := d.inEnd(); end.Less(wup) { // the peer's FIN is not there yet
		wup = end
	}
	wl1 := w.Wl1
	if last := d.inEnd() - 1; last.Less(wl1) { // so that the peer's next word on its window counts
		wl1 = last
	}
	rw := repairWindow{uint32(wl1), w.Send, w.SendMost, w.Receive + uint32(wup.Size(d.Ack)), uint32(wup)}
	return writeWindow(r.fd, rw)
}

// Live lets the socket go: it hears, says what it has to say, and comes into
// its state. The error leaves a socket that has to be closed by Abandon.
func (r *Restored) Live() error {
	d := r.dump
	if err := r.awake(); err != nil {
		return fmt.Errorf("restored socket %s of %s: %w", d.Local, d.Remote, err)
	}
	r.live = true
	return nil
}

func (r *Restored) awake() error {
	d := r.dump
	if err := hear(r.fd); err != nil && !(r.resumed && errors.Is(err, unix.ENOENT)) {
		return err
	}
	if !r.spoken {
		if err := r.speak(); err != nil {
			return err
		}
	}
	rest, err := r.unwritten()
	if err != nil {
		return err
	}
	if err := r.send(rest); err != nil {
		return err
	}
	if err := r.buffers(); err != nil {
		return err
	}
	lacks, err := d.Options.apply(r.fd, r.stack.fresh(d.Local.Addr()), true)
	r.lacks = append(r.lacks, lacks...)
	if err != nil {
		return err
	}
	return r.walk()
}

// Lacks names options that this kernel would not take.
func (r *Restored) Lacks() []string { return r.lacks }

// FD is the socket, which does not block. It stays Restored's until File or
// Abandon; other processes may be given duplicates.
func (r *Restored) FD() int { return r.fd }

// Abandon closes a socket without a FIN or a RST, wherever it had got to.
func (r *Restored) Abandon() {
	if r.fd < 0 {
		return
	}
	_ = unix.SetsockoptInt(r.fd, unix.IPPROTO_TCP, unix.TCP_REPAIR, unix.TCP_REPAIR_ON)
	unix.Close(r.fd)
	r.fd = -1
}

// Reset closes a socket with a RST, wherever it had got to.
func (r *Restored) Reset() error {
	if r.fd < 0 {
		return nil
	}
	err := Reset(r.fd)
	unix.Close(r.fd)
	r.fd = -1
	return err
}

// Reset has the end of a socket be a RST, in repair mode too, where it would be
// nothing.
func Reset(fd int) error {
	err := setInt(fd, unix.IPPROTO_TCP, unix.TCP_REPAIR, unix.TCP_REPAIR_OFF_NO_WP, "TCP_REPAIR")
	return errors.Join(err, unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}))
}

// Take gives the socket to the caller, who closes it.
func (r *Restored) Take() (int, error) {
	if !r.live {
		return -1, errors.New("socket is not live yet")
	}
	fd := r.fd
	r.fd = -1
	return fd, nil
}

// Conn is Take as a connection of Go's, which makes free with the options of a
// descriptor it is given: they are set again.
func (r *Restored) Conn() (*net.TCPConn, error) {
	fd, err := r.Take()
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "connection")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	if err := r.dump.Options.again(fd); err != nil {
		c.Close()
		return nil, err
	}
	return c.(*net.TCPConn), nil
}
