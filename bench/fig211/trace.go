// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/bench/result"
	"lazystate/internal/netrig"
	"lazystate/internal/pause"
	"lazystate/internal/seqnum"
	"lazystate/tools/testbed"
)

// segment is one with data that has come.
type segment struct {
	at   time.Time
	from netip.Addr
	seq  seqnum.Value
	len  int
}

// trace is all that comes from two servers.
type trace struct {
	fd      int
	servers [2]netip.Addr
	over    atomic.Bool
	ended   chan error

	mu  sync.Mutex
	all []segment
}

// listen begins to trace at a client.
func listen(c *testbed.Client, servers ...netip.AddrPort) (*trace, error) {
	t := &trace{fd: -1, servers: [2]netip.Addr{servers[0].Addr(), servers[1].Addr()}, ended: make(chan error, 1)}
	err := c.Try(func() (err error) {
		if t.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(swap(unix.ETH_P_ALL))); err != nil {
			return err
		}
		return errors.Join(
			unix.SetsockoptInt(t.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 32<<20),
			unix.SetsockoptTimeval(t.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000}),
		)
	})
	if err != nil {
		return nil, fmt.Errorf("packet socket on %s: %w", netrig.Dev, err)
	}
	go t.run()
	return t, nil
}

func swap(v uint16) uint16 { return v<<8 | v>>8 }

func (t *trace) run() {
	b := make([]byte, 64<<10)
	for {
		n, from, err := unix.Recvfrom(t.fd, b, 0)
		quiet := err == unix.EAGAIN || err == unix.EINTR
		switch {
		case t.over.Load() || err != nil && !quiet:
			t.ended <- err
			return
		case quiet:
			continue
		}
		if l, ok := from.(*unix.SockaddrLinklayer); ok && l.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		if s, ok := parse(b[:n]); ok && slices.Contains(t.servers[:], s.from) {
			s.at = time.Now()
			t.mu.Lock()
			t.all = append(t.all, s)
			t.mu.Unlock()
		}
	}
}

// close ends the trace.
func (t *trace) close() error {
	t.over.Store(true)
	if err := <-t.ended; err != nil && err != unix.EAGAIN && err != unix.EINTR {
		return errors.Join(err, unix.Close(t.fd))
	}
	return unix.Close(t.fd)
}

// await waits until a server is heard after a moment, and returns when that was.
func (t *trace) await(ctx context.Context, of netip.Addr, after time.Time) (time.Time, error) {
	for {
		t.mu.Lock()
		i := slices.IndexFunc(t.all, func(s segment) bool { return s.from == of && s.at.After(after) })
		var at time.Time
		if i >= 0 {
			at = t.all[i].at
		}
		t.mu.Unlock()
		if i >= 0 {
			return at, nil
		}
		if err := pause.For(ctx, 5*time.Millisecond); err != nil {
			return at, fmt.Errorf("%v: %w: %w", of, errQuiet, err)
		}
	}
}

// segments returns and forgets what there is.
func (t *trace) segments() []segment {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.all
	t.all = nil
	return all
}

// parse reads an IPv4 packet with TCP and data.
func parse(b []byte) (s segment, ok bool) {
	if len(b) < 20 || b[0]>>4 != 4 || b[9] != unix.IPPROTO_TCP {
		return s, false
	}
	head, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if head < 20 || len(b) < head+20 {
		return s, false
	}
	tcp := b[head:]
	s.from = netip.AddrFrom4([4]byte(b[12:16]))
	s.seq = seqnum.Value(binary.BigEndian.Uint32(tcp[4:]))
	s.len = total - head - int(tcp[12]>>4)*4
	return s, s.len > 0
}

// move is what came shortly before and after one was asked for.
type move struct {
	asked    time.Time
	old, now []segment // of the old server, and of the new one
}

var errQuiet = errors.New("a server was not heard")

// cut takes the window around a move out of a trace.
func cut(all []segment, asked time.Time, window time.Duration, from, to netip.Addr) (m move, err error) {
	m.asked = asked
	for _, s := range all {
		switch d := s.at.Sub(asked); {
		case d < -window/3 || d > window:
		case s.from == from:
			m.old = append(m.old, s)
		case s.from == to:
			m.now = append(m.now, s)
		}
	}
	if len(m.old) == 0 || len(m.now) == 0 {
		return m, fmt.Errorf("%d segments, %d of %s, %d of %s: %w", len(all), len(m.old), from, len(m.now), to, errQuiet)
	}
	return m, nil
}

func (m move) gap() time.Duration     { return m.now[0].at.Sub(m.old[len(m.old)-1].at) }
func (m move) overlap() time.Duration { return max(0, m.old[len(m.old)-1].at.Sub(m.asked)) }

// draw adds the segments and the three marks.
func (m move) draw(fig *result.Figure) {
	first := m.old[0].seq
	add := func(series string, s segment) {
		fig.Add(series, s.at.Sub(m.asked).Seconds()*1e3, []float64{float64(int32(s.seq-first)) / 1e3})
	}
	for _, s := range m.old {
		add("ours: old server", s)
	}
	for _, s := range m.now {
		add("ours: new server", s)
	}
	for _, s := range m.old {
		if s.at.After(m.asked) {
			add("ours: first of the old one afterwards", s)
			break
		}
	}
	add("ours: last of the old one", m.old[len(m.old)-1])
	add("ours: first of the new one", m.now[0])
}
