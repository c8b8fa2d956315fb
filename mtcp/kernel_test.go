// SPDX-License-Identifier: Apache-2.0

package mtcp

import (
	"fmt"
	"math/rand/v2"

	"lazystate/internal/seqnum"
)

// tcp is one server's socket. Positions count a FIN behind the last byte.
type tcp struct {
	iss, irs seqnum.Value // numbers of byte 0
	state    State
	base     uint64 // first byte of snd
	snd      []byte // unacknowledged and unsent
	una, nxt uint64
	rcvBase  uint64 // first byte of rcv: the application has read up to here
	rcv      []byte
	ack      uint64 // told to the client
}

func (k *tcp) written() uint64 { return k.base + uint64(len(k.snd)) }

func (k *tcp) end() uint64 {
	if k.state.OwnFin() {
		return k.written() + 1
	}
	return k.written()
}

func (k *tcp) rcvNxt() uint64 {
	n := k.rcvBase + uint64(len(k.rcv))
	if k.state.PeerFin() {
		n++
	}
	return n
}

func (k *tcp) event(e Event) {
	next, err := k.state.After(e)
	if err != nil {
		panic(err)
	}
	k.state = next
}

func (k *tcp) endpoint() Endpoint {
	return Endpoint{State: k.state, Una: k.iss + seqnum.Value(k.una), Nxt: k.iss + seqnum.Value(k.nxt), Write: k.iss + seqnum.Value(k.end()),
		RcvNxt: k.irs + seqnum.Value(k.rcvNxt()), Ack: k.irs + seqnum.Value(k.ack), Unread: uint32(len(k.rcv))}
}

// segment is on the network. It outlives its sender.
type segment struct {
	from uint64
	data []byte
	fin  bool
}

// client is the peer: its TCP and its application, which never fail.
type client struct {
	requests []byte
	una, nxt uint64 // of what it sends; the FIN is one more
	got      []byte
	fin      bool // the server's came
	moving   bool // MIGRATING: sends nothing, ignores acknowledgements
}

func (c *client) next() uint64 {
	if c.fin {
		return uint64(len(c.got)) + 1
	}
	return uint64(len(c.got))
}

// network carries segments to the client, acknowledgements to the server and
// acknowledgements to the client.
type network struct {
	down   []segment
	acks   []uint64 // of the client
	upAcks []uint64 // of the server
}

// step lets one thing happen to the connection; it reports whether anything could.
func (w *world) step(rng *rand.Rand) bool {
	k, c, n := w.k, &w.client, &w.net
	for _, i := range rng.Perm(7) {
		switch i {
		case 0: // the server sends, or sends again
			from := k.nxt
			if rng.IntN(4) == 0 {
				from = k.una
			}
			if from < k.end() {
				w.send(from, 1+rng.Uint64N(6))
				return true
			}
		case 1: // a segment arrives, or is lost
			if len(n.down) > 0 {
				w.arrive(take(rng, &n.down))
				return true
			}
		case 2: // an acknowledgement of the client arrives, or is lost
			if len(n.acks) > 0 && !w.dead {
				w.acked(take(rng, &n.acks))
				return true
			}
		case 3: // the client sends
			if end := uint64(len(c.requests)) + 1; !c.moving && !w.dead && c.una < end {
				w.clientSends(rng)
				return true
			}
		case 4: // the server acknowledges
			if k.ack != k.rcvNxt() && !w.dead && k.state.Movable() {
				k.ack = k.rcvNxt()
				n.upAcks = append(n.upAcks, k.ack)
				return true
			}
		case 5: // which the client hears
			if len(n.upAcks) > 0 {
				if a := take(rng, &n.upAcks); !c.moving {
					c.una = max(c.una, a)
				}
				return true
			}
		case 6: // a segment or an acknowledgement is lost
			if len(n.down)+len(n.acks) > 8 {
				n.down, n.acks = nil, nil
				return true
			}
		}
	}
	return false
}

func take[T any](rng *rand.Rand, s *[]T) T {
	i := rng.IntN(len(*s))
	v := (*s)[i]
	*s = append((*s)[:i:i], (*s)[i+1:]...)
	return v
}

func (w *world) send(from, n uint64) {
	k := w.k
	if w.dead || !k.state.Movable() {
		return
	}
	to := min(from+n, k.end())
	s := segment{from: from}
	if s.fin = to > k.written(); s.fin {
		to--
	}
	s.data = append([]byte(nil), k.snd[from-k.base:to-k.base]...)
	w.net.down = append(w.net.down, s)
	if s.fin {
		to++
	}
	k.nxt = max(k.nxt, to)
}

func (w *world) arrive(s segment) {
	c := &w.client
	have := uint64(len(c.got))
	if s.from <= have && !c.fin {
		for i := have; i < s.from+uint64(len(s.data)); i++ {
			c.got = append(c.got, s.data[i-s.from])
		}
		c.fin = s.fin
	}
	w.net.acks = append(w.net.acks, c.next())
}

func (w *world) acked(a uint64) {
	k := w.k
	if a > k.nxt { // §3.6.5: it would be thrown away for ever, and the next as well
		w.fail("the client acknowledges %d, the server has sent %d only", a, k.nxt)
		return
	}
	if a <= k.una || !k.state.Movable() {
		return
	}
	k.una = a
	drop := min(a, k.written()) - k.base
	k.base, k.snd = k.base+drop, k.snd[drop:]
	if k.state.OwnFin() && !k.state.OwnFinAcked() && a == k.end() {
		k.event(FinAcked)
	}
}

func (w *world) clientSends(rng *rand.Rand) {
	k, c := w.k, &w.client
	n := uint64(len(c.requests))
	have := k.rcvBase + uint64(len(k.rcv))
	from := max(c.una, min(have, n)) // it sends again from una at the earliest: the rest is forgotten
	if k.state.PeerFin() || !k.state.Movable() {
		return
	}
	if c.una > have {
		w.fail("the client was told to forget up to %d, the server has %d", c.una, have)
		return
	}
	to := min(n, from+1+rng.Uint64N(5))
	k.rcv = append(k.rcv, c.requests[from:to]...)
	if c.nxt = max(c.nxt, to); to == n && rng.IntN(2) == 0 {
		c.nxt = n + 1
		k.event(FinArrived)
	}
}

func (w *world) fail(format string, args ...any) {
	w.broken = append(w.broken, fmt.Sprintf(format, args...))
}
