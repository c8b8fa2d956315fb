// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
)

// Read reads from the client, through the log: what a process before this one
// has read after its last export comes first. It returns a LogFullError when
// the log has no room left and the application has read all of it.
func (r *rootState) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	r.rmu.Lock()
	defer r.rmu.Unlock()
	for {
		news := r.s.exports()
		r.in.p, r.in.n, r.in.err = p, 0, nil
		if err := r.raw.Read(r.in.fn); err != nil && r.in.err == nil {
			r.in.err = r.failed(err)
		}
		r.in.p = nil
		again, err := r.s.retry(r.in.err, r.until(&r.readBy), news)
		if !again {
			return r.in.n, err
		}
	}
}

// failed translates the poller's word: a deadline that look set means a move.
func (r *rootState) failed(err error) error {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if r.s.closed {
		return net.ErrClosed
	}
	if r.s.moved {
		return r.s.why()
	}
	return err
}

// readStep is one attempt to read, called by the poller. False: wait until the
// socket has something.
func (r *rootState) readStep(fd uintptr) bool {
	s, t := r.s, &r.in
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.err = s.enter(); t.err != nil {
		return true
	}
	defer s.leave()
	if got := r.up.Logged(uint64(len(t.p))); !got.Empty() {
		t.n = int(got.Len())
		r.log.take(got.From, t.p[:t.n])
		r.up.Read(got.Len())
		return true
	}
	if r.up.Full() {
		t.err = &LogFullError{"connection", r.up.Pos}
		return true
	}
	// Straight into the log: what the kernel has counted as read is there, even
	// if this process does not live to see the call return.
	room := r.log.at(r.up.End, min(uint64(len(t.p)), r.up.Room()))
	n, err := ignoringEINTR(func() (int, error) { return unix.Read(int(fd), room) })
	switch {
	case err == unix.EAGAIN:
		r.giveBack()
		return false
	case err != nil:
		t.err = &net.OpError{Op: "read", Net: "tcp", Source: r.LocalAddr(), Addr: r.RemoteAddr(), Err: os.NewSyscallError("read", err)}
		return true
	case n == 0:
		t.err = io.EOF
		return true
	}
	t.n = copy(t.p, room[:n])
	r.up.Fetch(uint64(n))
	r.up.Read(uint64(n))
	r.touched = max(r.touched, min(r.up.End-r.log.base, uint64(len(r.log.data))))
	s.m.put64(uapi.CboxHeadReadOff, r.up.End)
	return true
}

// giveBack returns the pages of an empty log, but for the first, before the
// process waits for the client: an idle session is to cost little.
func (r *rootState) giveBack() {
	if r.touched <= pageSize || r.up.LSR != r.up.End {
		return
	}
	r.touched = pageSize
	_ = unix.Madvise(r.log.data[pageSize:], unix.MADV_REMOVE) // an arena may not give any back
}

// Write writes to the client. What a process before this one wrote after its
// last export is swallowed; in a nondeterministic interval all is held.
func (r *rootState) Write(p []byte) (int, error) {
	r.wmu.Lock()
	defer r.wmu.Unlock()
	done := 0
	for {
		news := r.s.exports()
		r.out.p, r.out.n, r.out.err = p[done:], 0, nil
		if err := r.raw.Write(r.out.fn); err != nil && r.out.err == nil {
			r.out.err = r.failed(err)
		}
		r.out.p = nil
		done += r.out.n
		again, err := r.s.retry(r.out.err, r.until(&r.writeBy), news)
		if !again {
			return done, err
		}
	}
}

// writeStep is one attempt to write all that is left, and to send what older
// exports have released. False: wait until the socket takes more.
func (r *rootState) writeStep(fd uintptr) bool {
	s, t := r.s, &r.out
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.err = s.enter(); t.err != nil {
		return true
	}
	defer s.leave()
	if r.ended && t.n < len(t.p) {
		t.err = &net.OpError{Op: "write", Net: "tcp", Source: r.LocalAddr(), Addr: r.RemoteAddr(), Err: unix.EPIPE}
		return true
	}
	wait, err := r.send(int(fd))
	for !wait && err == nil && t.n < len(t.p) {
		var n int
		n, wait, err = r.writeSome(int(fd), t.p[t.n:])
		t.n += n
	}
	if wait && r.up.Crowded() { // the client may wait for us to read
		wait, err = false, &LogFullError{"connection", r.up.Pos}
	}
	t.err = err
	return !wait
}

// writeSome writes what goes the same way; it returns how much.
func (r *rootState) writeSome(fd int, p []byte) (n int, wait bool, err error) {
	if k := r.down.Swallow(uint64(len(p))); k > 0 {
		r.down.Write(k)
		return int(k), false, nil
	}
	if r.down.Holds() {
		room := uint64(len(r.hold.data)) - r.down.Held().Len()
		if room == 0 {
			return 0, false, &LogFullError{"output held", r.down.Pos}
		}
		k := min(room, uint64(len(p)))
		r.hold.put(r.down.Pos, p[:k])
		r.down.Write(k)
		return int(k), false, nil
	}
	n, wait, err = r.writeSocket(fd, p)
	r.down.Write(uint64(n))
	r.s.m.put64(uapi.CboxHeadWrittenOff, r.down.Head)
	return n, wait, err
}

func (r *rootState) writeSocket(fd int, p []byte) (n int, wait bool, err error) {
	n, err = ignoringEINTR(func() (int, error) { return unix.Write(fd, p) })
	switch {
	case err == unix.EAGAIN:
		return 0, true, nil
	case err != nil:
		return 0, false, &net.OpError{Op: "write", Net: "tcp", Source: r.LocalAddr(), Addr: r.RemoteAddr(), Err: os.NewSyscallError("write", err)}
	}
	return n, false, nil
}

// send gives the socket what exports have released, and then the FIN if one is due.
func (r *rootState) send(fd int) (wait bool, err error) {
	for r.down.Head < r.release && !wait && err == nil {
		var n int
		n, wait, err = r.writeSocket(fd, r.hold.at(r.down.Head, r.release-r.down.Head))
		r.down.Passed(r.down.Head + uint64(n))
		r.s.m.put64(uapi.CboxHeadWrittenOff, r.down.Head)
	}
	if wait || err != nil || !r.shutDue {
		return wait, err
	}
	r.shutDue = false
	return false, shutdown(fd, unix.SHUT_WR)
}

// flush sends what was released, waiting as a Write would.
func (r *rootState) flush() error {
	_, err := r.Write(nil)
	return err
}

// flushNow sends what it can without waiting, and leaves the rest to a goroutine.
func (r *rootState) flushNow() error {
	var wait bool
	err := control(r.tcp, func(fd int) (err error) { wait, err = r.send(fd); return })
	if wait {
		go r.flush()
	}
	return err
}

func ignoringEINTR(f func() (int, error)) (int, error) {
	for {
		if n, err := f(); err != unix.EINTR {
			return n, err
		}
	}
}

// SetDeadline, SetReadDeadline and SetWriteDeadline are those of net.Conn.
func (r *rootState) SetDeadline(t time.Time) error {
	return errors.Join(r.SetReadDeadline(t), r.SetWriteDeadline(t))
}

// SetReadDeadline: see SetDeadline.
func (r *rootState) SetReadDeadline(t time.Time) error {
	return r.deadline(&r.readBy, t, r.tcp.SetReadDeadline)
}

// SetWriteDeadline: see SetDeadline.
func (r *rootState) SetWriteDeadline(t time.Time) error {
	return r.deadline(&r.writeBy, t, r.tcp.SetWriteDeadline)
}

func (r *rootState) deadline(by *time.Time, t time.Time, set func(time.Time) error) error {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if r.s.closed {
		return net.ErrClosed
	}
	*by = t
	if r.s.moved {
		return nil // the deadline that look has set stays
	}
	return set(t)
}

// until is a deadline, which another goroutine may be setting.
func (r *rootState) until(by *time.Time) time.Time {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return *by
}

// interrupt ends calls that wait for the client; mu is held, moved is set.
func (r *rootState) interrupt() { _ = r.tcp.SetDeadline(time.Unix(1, 0)) }
