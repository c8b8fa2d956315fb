// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lazystate/internal/ready"
	"lazystate/internal/seqnum"
	"lazystate/mtcp"
)

// Dump reads the socket. A segment may have been past the filter when that
// came, on another CPU: if anything changed meanwhile it is read again.
func (f *Frozen) Dump() (*Dump, error) {
	if f.done {
		return nil, errOver
	}
	d, err := f.read()
	if err != nil {
		return nil, fmt.Errorf("dump socket: %w", err)
	}
	return d, nil
}

// Counters are those of the last Dump.
func (f *Frozen) Counters() mtcp.Counters {
	return mtcp.Counters{State: mtcp.State(f.last.State), Received: f.last.Bytes_received, Unread: uint32(f.queued[0]),
		Acked: f.last.Bytes_acked, Unacked: uint32(f.queued[1])}
}

// still reports whether nothing has come since the last dump, or since it was frozen.
func (f *Frozen) still(now *unix.TCPInfo) bool {
	return f.last.State == now.State && f.last.Bytes_received == now.Bytes_received && f.last.Bytes_acked == now.Bytes_acked
}

func (f *Frozen) read() (*Dump, error) {
	for range 10 {
		d, err := f.once()
		if err != nil {
			return nil, err
		}
		if d != nil {
			return d, d.Check()
		}
	}
	return nil, ErrUnquiet
}

// once is nil where something came meanwhile. A queue is measured and read by
// two calls: between them a byte that arrives makes it longer than it was, one
// that is acknowledged shorter, and what was read then means nothing.
func (f *Frozen) once() (*Dump, error) {
	if err := f.quiet(); err != nil {
		return nil, err
	}
	d, torn := f.copy(f.last)
	if bad := (*InvalidError)(nil); torn != nil && !errors.As(torn, &bad) {
		return nil, torn
	}
	now, err := tcpInfo(f.fd)
	if err != nil {
		return nil, err
	}
	still := f.still(now)
	f.last = now
	if !still {
		return nil, nil
	}
	if torn != nil {
		return nil, torn
	}
	d.Nxt = d.Write - seqnum.Value(f.neverSent(now))
	// Read last: a segment that brings nothing else may bring a window.
	if shut, err := d.readWindow(f); err != nil || !shut {
		return nil, err
	}
	return d, nil
}

// neverSent is how much of the send queue no segment has carried. The kernel's own
// count does not say: while that queue is selected, so that it can be read, whatever
// makes the socket send (a pacing timer, a device that is done with a segment)
// counts all of it as sent and sends nothing (net/ipv4/tcp_output.c,
// tcp_write_xmit). A new server that believed it would wait for acknowledgements of
// what nobody has. But if a segment was repeated since, it may be one that was only
// counted: the peer may have it, and the kernel's word is the safe one.
func (f *Frozen) neverSent(now *unix.TCPInfo) uint32 {
	repeated := now.Bytes_retrans - f.first.Bytes_retrans
	left := int64(f.first.Notsent_bytes) - int64(now.Bytes_sent-f.first.Bytes_sent-repeated)
	counted := left - int64(now.Notsent_bytes)
	if counted <= 1 || repeated > 0 { // 1: a FIN, which is no byte
		return now.Notsent_bytes
	}
	return uint32(left)
}

// quiet takes the peer's window away. A socket in repair mode goes on sending:
// the timers of pacing and loss probes and the device that has sent something
// all take more out of the queue. The peer would acknowledge what the dump says
// was never sent (§3.6.5).
func (f *Frozen) quiet() error {
	w, err := readWindow(f.fd)
	if err != nil || w.send == 0 {
		return err
	}
	f.window, w.send = w.send, 0
	return writeWindow(f.fd, w)
}

// loud gives the window back.
func (f *Frozen) loud() error {
	if f.window == 0 {
		return nil
	}
	w, err := readWindow(f.fd)
	if err != nil {
		return err
	}
	w.send = max(w.send, f.window)
	w.most = max(w.most, w.send)
	return writeWindow(f.fd, w)
}

func (f *Frozen) copy(info *unix.TCPInfo) (*Dump, error) {
	d := f.dump
	d.State = mtcp.State(info.State)
	if err := d.readNegotiated(f.fd, info); err != nil {
		return nil, err
	}
	if err := d.readBuffers(f.fd); err != nil {
		return nil, err
	}
	if err := f.readQueues(&d); err != nil {
		return nil, err
	}
	return &d, d.readShut(f.fd)
}

func (d *Dump) readNegotiated(fd int, info *unix.TCPInfo) error {
	n := &d.Negotiated
	n.Scaled, n.SACK, n.Stamped = info.Options&infoScale != 0, info.Options&infoSACK != 0, info.Options&infoTimestamps != 0
	if n.Scaled {
		n.SendScale, n.RecvScale = scales(info)
	}
	mss, err := getInt(fd, unix.IPPROTO_TCP, unix.TCP_MAXSEG, "TCP_MAXSEG") // in repair mode: mss_clamp
	if err != nil {
		return err
	}
	ts, err := getInt(fd, unix.IPPROTO_TCP, unix.TCP_TIMESTAMP, "TCP_TIMESTAMP")
	n.MSS, n.Timestamp = uint32(mss), uint32(ts)
	if info.Options&infoMicroseconds == 0 {
		n.Timestamp &^= 1 // kernels before 6.7 know no such mark
	}
	return err
}

// readWindow also reports whether the peer's is still taken away.
func (d *Dump) readWindow(f *Frozen) (shut bool, err error) {
	w, err := readWindow(f.fd)
	if err != nil {
		return false, err
	}
	d.Ack = seqnum.Value(w.wup)
	d.Window.Wl1, d.Window.Send, d.Window.SendMost, d.Window.Receive = seqnum.Value(w.wl1), f.window, w.most, w.receive
	return w.send == 0, nil
}

func (d *Dump) readBuffers(fd int) error {
	for _, o := range []struct {
		level, name int
		label       string
		to          *int32
	}{
		{unix.IPPROTO_TCP, unix.TCP_WINDOW_CLAMP, "TCP_WINDOW_CLAMP", &d.Window.Clamp},
		{unix.SOL_SOCKET, unix.SO_SNDBUF, "SO_SNDBUF", &d.Window.SendBuffer},
		{unix.SOL_SOCKET, unix.SO_RCVBUF, "SO_RCVBUF", &d.Window.RecvBuffer},
		{unix.SOL_SOCKET, unix.SO_BUF_LOCK, "SO_BUF_LOCK", &d.Window.BufferLocks},
	} {
		v, err := getInt(fd, o.level, o.name, o.label)
		if err != nil {
			return err
		}
		*o.to = int32(v)
	}
	return nil
}

// readShut: POLLRDHUP tells both that the peer has sent its FIN and that the
// user has shut down his receiving half.
func (d *Dump) readShut(fd int) error {
	events, err := ready.Now(uintptr(fd), unix.POLLRDHUP)
	if err != nil {
		return err
	}
	d.Options.ShutRead = events&unix.POLLRDHUP != 0 && !d.State.PeerFin()
	return nil
}

func (f *Frozen) readQueues(d *Dump) error {
	defer selectQueue(f.fd, noQueue)
	if err := f.readIn(d); err != nil {
		return err
	}
	return f.readOut(d)
}

func (f *Frozen) readIn(d *Dump) error {
	n, seq, err := f.queue(recvQueue, unix.SIOCINQ)
	if err != nil {
		return err
	}
	d.RcvNxt, d.Unread = seq, uint32(n)
	if n == 0 {
		return nil
	}
	b := make([]byte, n+1) // one more, to see that there is no more
	got, err := peek(f.fd, b)
	if err != nil {
		return fmt.Errorf("receive queue of %d bytes: %w", n, err)
	}
	if got != n {
		return invalid("receive queue", "%d bytes of %d", got, n)
	}
	d.In = b[:n:n]
	return nil
}

func (f *Frozen) readOut(d *Dump) error {
	n, seq, err := f.queue(sendQueue, unix.SIOCOUTQ)
	if err != nil {
		return err
	}
	d.Write, d.Una = seq, seq-seqnum.Value(n)
	if n > 0 && d.State.OwnFin() {
		n-- // the FIN
	}
	if n > 0 {
		d.Out, err = f.peekOut(n)
	}
	return err
}

// queue selects a queue and returns its length and the number behind it.
func (f *Frozen) queue(q int, length uint) (int, seqnum.Value, error) {
	if err := selectQueue(f.fd, q); err != nil {
		return 0, 0, err
	}
	n, err := unix.IoctlGetInt(f.fd, length)
	if err != nil {
		return 0, 0, fmt.Errorf("length of a queue: %w", err)
	}
	if f.measured != nil {
		f.measured(q)
	}
	f.queued[q-recvQueue] = n
	seq, err := getInt(f.fd, unix.IPPROTO_TCP, unix.TCP_QUEUE_SEQ, "TCP_QUEUE_SEQ")
	return n, seqnum.Value(uint32(seq)), err
}

// peekOut reads the last n bytes of the send queue. The kernel gives out whole
// segments only, the first of which may be acknowledged in part, and EFAULT if
// they do not fit (net/ipv4/tcp.c, tcp_peek_sndq).
func (f *Frozen) peekOut(n int) ([]byte, error) {
	p := f.stack.scratch.Get().(*[]byte)
	defer f.stack.scratch.Put(p)
	for room := n + 1<<17; ; room *= 2 {
		if len(*p) < room {
			*p = make([]byte, room)
		}
		got, err := peek(f.fd, *p)
		if errors.Is(err, unix.EFAULT) && room < 2*n+1<<20 {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("send queue of %d bytes: %w", n, err)
		}
		if got < n {
			return nil, invalid("send queue", "%d bytes of %d", got, n)
		}
		return append([]byte(nil), (*p)[got-n:got]...), nil
	}
}

func peek(fd int, b []byte) (int, error) {
	for {
		n, _, err := unix.Recvfrom(fd, b, unix.MSG_PEEK|unix.MSG_DONTWAIT)
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
