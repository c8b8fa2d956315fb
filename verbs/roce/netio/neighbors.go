// SPDX-License-Identifier: Apache-2.0

package netio

import (
	"bytes"
	"net/netip"
	"time"

	"lazystate/verbs/roce/frame"
)

const (
	maxNeighbors = 1024
	maxKept      = 16 // packets that wait for one neighbor
	askEvery     = 100 * time.Millisecond
)

// neighbors are the stations of a segment. Only those that we send to, or that
// send to us, get a place: a segment's chatter cannot fill the table. Whoever
// invents senders can: then one place is emptied for each that is needed.
type neighbors struct {
	known map[netip.Addr]frame.MAC
	asked map[netip.Addr]*question
}

// question is a neighbor that is asked for.
type question struct {
	last time.Duration // when; 0: not yet
	kept []Datagram
}

func (n *neighbors) init() {
	n.known, n.asked = map[netip.Addr]frame.MAC{}, map[netip.Addr]*question{}
}

func (n *neighbors) find(a netip.Addr) (frame.MAC, bool) {
	mac, ok := n.known[a]
	return mac, ok
}

// keep holds a packet back until its neighbor is known.
func (n *neighbors) keep(a netip.Addr, d *Datagram) {
	q := n.asked[a]
	if q == nil {
		makeRoom(n.asked)
		q = &question{}
		n.asked[a] = q
	}
	if len(q.kept) == maxKept {
		q.kept = q.kept[1:] // the newest is what the peer still waits for
	}
	q.kept = append(q.kept, Datagram{Peer: d.Peer, Data: bytes.Clone(d.Data)})
}

// makeRoom takes any one out of a full table: if it was a real one it comes back.
func makeRoom[V any](table map[netip.Addr]V) {
	if len(table) < maxNeighbors {
		return
	}
	for a := range table {
		delete(table, a)
		return
	}
}

// mayAsk reports whether it is time to ask for a, again.
func (n *neighbors) mayAsk(a netip.Addr, now time.Duration) bool {
	q := n.asked[a]
	if q.last != 0 && now-q.last < askEvery {
		return false
	}
	q.last = max(now, 1)
	return true
}

// learn notes where a is and returns what waited for it. Who was never asked
// for gets a place if there is room: it has just sent to us.
func (n *neighbors) learn(a netip.Addr, mac frame.MAC) []Datagram {
	q := n.asked[a]
	old, ok := n.known[a]
	switch {
	case ok && old == mac:
		return nil
	case !ok && q == nil && len(n.known) >= maxNeighbors:
		return nil
	case !ok:
		makeRoom(n.known)
	}
	n.known[a] = mac
	delete(n.asked, a)
	if q == nil {
		return nil
	}
	return q.kept
}
