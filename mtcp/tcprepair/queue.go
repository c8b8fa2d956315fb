// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// fillQueues puts back what was received, and what was sent and not
// acknowledged. What was never sent goes the ordinary way, once live.
func (r *Restored) fillQueues() error {
	d := r.dump
	if err := r.room(unix.SO_RCVBUFFORCE, "SO_RCVBUFFORCE", d.Window.RecvBuffer, len(d.In)); err != nil {
		return err
	}
	if err := r.room(unix.SO_SNDBUFFORCE, "SO_SNDBUFFORCE", d.Window.SendBuffer, len(d.Out)); err != nil {
		return err
	}
	if err := r.fill(recvQueue, unix.SO_RCVBUFFORCE, d.Window.RecvBuffer, d.In); err != nil {
		return fmt.Errorf("receive queue: %w", err)
	}
	if err := r.fill(sendQueue, unix.SO_SNDBUFFORCE, d.Window.SendBuffer, d.Out[:d.sent()]); err != nil {
		return fmt.Errorf("send queue: %w", err)
	}
	return selectQueue(r.fd, noQueue)
}

// room makes a buffer as large as it was, or larger for a while: small segments
// take several times their size. The kernel doubles what it is told.
func (r *Restored) room(opt int, label string, was int32, n int) error {
	r.grown = r.grown || 2*n > int(was)/2
	return setInt(r.fd, unix.SOL_SOCKET, opt, min(max(int(was)/2, 2*n), maxQueue), label)
}

// fill writes b into the queue that is selected.
func (r *Restored) fill(q, opt int, was int32, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if err := selectQueue(r.fd, q); err != nil {
		return err
	}
	return r.write(b, filling{opt: opt, was: was})
}

// send writes what was never sent. There is no way back any more, so it goes in
// whether TCP has memory or not.
func (r *Restored) send(b []byte) error {
	if err := r.write(b, filling{opt: unix.SO_SNDBUFFORCE, was: r.dump.Window.SendBuffer, force: true}); err != nil {
		return fmt.Errorf("send queue: %w", err)
	}
	return nil
}

// write writes all of b.
func (r *Restored) write(b []byte, f filling) error {
	f.most, f.room, f.limit, f.left = len(b), len(b), min(mostGrowth*len(b), maxQueue), len(b)+1
	for len(b) > 0 {
		n, err := unix.SendmsgN(r.fd, b[:min(f.most, len(b))], nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		switch {
		case err == nil:
			b = b[n:]
		case errors.Is(err, unix.EINTR):
		case noRoom(err):
			if err := r.again(&f, len(b), err); err != nil {
				return err
			}
		default:
			return err
		}
	}
	return nil
}

// noRoom is how the kernel refuses bytes: EAGAIN is the send queue's; ENOBUFS is
// left over from an allocation that went well where the receive queue's bytes are
// more than the buffer or all of TCP may hold (net/ipv4/tcp_input.c,
// tcp_send_rcvq).
func noRoom(err error) bool {
	return errors.Is(err, unix.ENOMEM) || errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENOBUFS)
}

// filling is how far a queue that finds no room has gone.
type filling struct {
	opt         int   // that sets the buffer's size
	was         int32 // that size
	most        int   // bytes at a time
	room, limit int   // bytes that the buffer is made for
	force       bool
	left        int // when it was forced last
	since       time.Time
}

const (
	leastPiece = 4096 // takes twice itself
	mostGrowth = 8
	memoryWait = 200 * time.Millisecond // a client waits meanwhile
)

// again makes the best of no room: less at a time, then a larger buffer. If that
// is not it, then all of TCP has no memory left (net.ipv4.tcp_mem), and other
// sockets may soon give some back; or the bytes are forced in.
func (r *Restored) again(f *filling, left int, err error) error {
	switch {
	case f.most > leastPiece:
		f.most /= 2
		return nil
	case f.room < f.limit:
		f.room, f.most = 2*f.room, left
		return r.room(f.opt, "socket buffer", f.was, f.room)
	case f.force && left < f.left:
		f.left = left
		return r.squeeze()
	case f.since.IsZero():
		f.since = time.Now()
	case time.Since(f.since) > r.stack.wait:
		return fmt.Errorf("%d bytes left: %w: %w", left, ErrMemory, err)
	}
	time.Sleep(time.Millisecond)
	return nil
}

// squeeze makes the send buffer so small that the next piece overfills it. That
// piece the kernel takes over TCP's limit; where there seems to be room in the
// buffer it refuses (net/core/sock.c, __sk_mem_raise_allocated).
func (r *Restored) squeeze() error {
	var info [9]uint32 // SK_MEMINFO_*
	if err := getStruct(r.fd, unix.SOL_SOCKET, unix.SO_MEMINFO, &info); err != nil {
		return fmt.Errorf("get SO_MEMINFO: %w", err)
	}
	const queued = 5 // SK_MEMINFO_WMEM_QUEUED
	r.grown = true
	return setInt(r.fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, int(info[queued]/2+1), "SO_SNDBUFFORCE")
}

// buffers gives both buffers the sizes they had: one that stayed as large as
// its queue needed would double with every move. What the user did not set
// himself the kernel may go on tuning.
func (r *Restored) buffers() error {
	w := r.dump.Window
	if r.grown {
		if err := r.room(unix.SO_RCVBUFFORCE, "SO_RCVBUFFORCE", w.RecvBuffer, 0); err != nil {
			return err
		}
		if err := r.room(unix.SO_SNDBUFFORCE, "SO_SNDBUFFORCE", w.SendBuffer, 0); err != nil {
			return err
		}
	}
	if w.Clamp > 0 {
		if err := setInt(r.fd, unix.IPPROTO_TCP, unix.TCP_WINDOW_CLAMP, int(w.Clamp), "TCP_WINDOW_CLAMP"); err != nil {
			return err
		}
	}
	if w.BufferLocks < 0 {
		return nil
	}
	return setInt(r.fd, unix.SOL_SOCKET, unix.SO_BUF_LOCK, int(w.BufferLocks), "SO_BUF_LOCK")
}
