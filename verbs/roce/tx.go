// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"errors"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/verbs/roce/netio"
	"lazystate/verbs/roce/wire"
)

const (
	arenaBytes = 512 << 10
	arenaSends = 128
	fullWait   = 20 * time.Millisecond // for a port that takes no more
)

// txQueue is an arena of packets that leave with the next flush: whole ones,
// and trains of packets of one length to one peer.
type txQueue struct {
	d       *Device
	arena   []byte
	used    int
	out     []netio.Datagram
	flow    *wire.Flow // of the last datagram
	packets int        // in the last datagram
	size    int        // of the packet being written
	joins   bool       // it continues the last datagram
	caps    netio.Caps
}

// begin makes room for one packet of n bytes; end seals it.
func (t *txQueue) begin(p *path, n int) []byte {
	if t.used+n > len(t.arena) || len(t.out) == arenaSends {
		t.flush()
	}
	t.joins = t.flow == &p.out && t.canJoin(n)
	if !t.joins {
		t.out = append(t.out, netio.Datagram{Peer: p.peer})
		t.flow, t.packets = &p.out, 0
	}
	t.size = n
	return t.arena[t.used : t.used+n : t.used+n]
}

// canJoin: all packets of a train are as long as the first, the last may be shorter.
func (t *txQueue) canJoin(n int) bool {
	if len(t.out) == 0 || t.packets >= t.caps.TrainLen {
		return false
	}
	last := &t.out[len(t.out)-1]
	first := last.Segment
	if first == 0 {
		first = len(last.Data)
	}
	return len(last.Data) == t.packets*first && n <= first && len(last.Data)+n <= t.caps.TrainBytes
}

func (t *txQueue) end() {
	last := &t.out[len(t.out)-1]
	pkt := t.arena[t.used : t.used+t.size]
	t.flow.Seal(pkt, uint16(t.packets)) // the ID that the kernel will give it
	if t.joins {
		if last.Segment == 0 {
			last.Segment = len(last.Data)
		}
		last.Data = last.Data[:len(last.Data)+t.size]
	} else {
		last.Data = t.arena[t.used : t.used+t.size]
	}
	t.packets++
	t.used += t.size
}

// cancel forgets the packet that was begun.
func (t *txQueue) cancel() {
	if !t.joins {
		t.out = t.out[:len(t.out)-1]
		t.flow = nil
	}
}

// flush sends everything.
func (t *txQueue) flush() {
	out := t.out
	for len(out) > 0 {
		n, err := t.d.port.Send(out)
		out = out[n:]
		if err == nil {
			continue
		}
		if !errors.Is(err, netio.ErrFull) || !t.d.waitWritable() {
			t.d.count.SendDrops += uint64(len(out))
			break
		}
	}
	clear(t.out)
	t.out, t.used, t.flow, t.packets = t.out[:0], 0, nil, 0
	t.caps = t.d.port.Caps()
}

// waitWritable waits a moment for room in the port. The lock is kept: nobody
// else could send either.
func (d *Device) waitWritable() bool {
	fds := [1]unix.PollFd{{Fd: int32(d.port.FD()), Events: unix.POLLOUT}}
	n, _ := unix.Poll(fds[:], int(fullWait.Milliseconds()))
	return n > 0
}

// path is the way to a peer and back.
type path struct {
	peer netip.AddrPort // where packets go
	out  wire.Flow
	from netip.AddrPort // where packets came from last
	in   wire.Flow
}
