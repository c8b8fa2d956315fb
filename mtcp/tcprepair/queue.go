// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"errors"
	"fmt"

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
	return r.write(b, opt, was)
}

// send writes what was never sent.
func (r *Restored) send(b []byte) error {
	if err := r.write(b, unix.SO_SNDBUFFORCE, r.dump.Window.SendBuffer); err != nil {
		return fmt.Errorf("send queue: %w", err)
	}
	return nil
}

// write writes all of b. Where the kernel finds no room it is asked for less at
// a time, then given more.
func (r *Restored) write(b []byte, opt int, was int32) error {
	most := len(b)
	for grown := len(b); len(b) > 0; {
		n, err := unix.SendmsgN(r.fd, b[:min(most, len(b))], nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		switch {
		case err == nil:
			b = b[n:]
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOMEM), errors.Is(err, unix.EAGAIN):
			if most > 4096 {
				most /= 2
				continue
			}
			if grown *= 2; grown > maxQueue {
				return err
			}
			if err := r.room(opt, "socket buffer", was, grown); err != nil {
				return err
			}
			most = len(b)
		default:
			return err
		}
	}
	return nil
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
