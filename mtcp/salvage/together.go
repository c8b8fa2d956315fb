// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"lazystate/mtcp/landing"
	"lazystate/mtcp/takeover"
)

// Sessions are independent of each other, and most of what one needs to live here is work
// for a CPU: so several go on at once (Config.AtOnce). What keeps that sound:
//   - Sockets are made by the thread that Run was called on, for they are of its network
//     namespace for good; whatever is done with them may be done by any thread.
//   - TCP is told of a window by a route to the peer, which counts for all that is made
//     meanwhile. So sockets are made in rounds, in each of which a peer has one window.
//     Who is killed in between has its routes swept away by the next (OnLink).
//   - All of a batch are entrusted before one of them lives, as before.
//   - The ledger is told of each by itself. If this process dies over several, each of them
//     may be what it died of: all are tried again, after the others, and then one after
//     another. The innocent has one death then and not two, so none is set aside for
//     another's doing (Ledger.Deaths). Of a machine's death the boxes tell, in which all
//     that have not got over their trial are suspects whether they began together or not.

// mostTogether bounds for how many the first of a batch waits.
const mostTogether = 8

// together is how many go on as one batch: who is to keep them is asked once for all.
func (r *run) together() int {
	if r.Entrust == nil {
		return r.AtOnce
	}
	return max(r.AtOnce, mostTogether)
}

// atOnce does something about sessions, in their order, about several at a time.
func (r *run) atOnce(all []*session, do func(*session) error) {
	n := min(r.AtOnce, len(all))
	if slices.ContainsFunc(all, func(s *session) bool { return s.again }) {
		n = 1 // then it is known of which of them this process dies
	}
	var begun atomic.Int64
	var workers sync.WaitGroup
	for range n {
		workers.Go(func() {
			for i := begun.Add(1); i <= int64(len(all)); i = begun.Add(1) {
				s := all[i-1]
				r.note(s, landing.Ledger.Begin)
				s.Err = do(s)
				r.note(s, landing.Ledger.End)
			}
		})
	}
	workers.Wait()
}

// restore makes the boxes and sockets of a batch, and returns the sessions that have theirs.
func (r *run) restore(batch []*session) []*session {
	failed := func(s *session) bool { return s.Err != nil }
	for _, some := range r.rounds(batch) {
		over := r.windows(some)
		for _, s := range some {
			s.socket, s.Err = r.Stack.Socket(s.Local.Addr())
		}
		r.atOnce(slices.DeleteFunc(some, failed), func(s *session) error { return s.restore(r) })
		over()
	}
	return slices.DeleteFunc(batch, failed)
}

// mostSegments is more than any path holds: the window comes from a stranger's memory.
const mostSegments = 8192

// window is that which a session's socket is to begin with; 0: as any other does. So it is
// where that is the same: a route takes three requests of the kernel.
func (r *run) window(s *session) uint32 {
	if r.Fresh || s.Start.Cwnd == takeover.InitialWindow {
		return 0
	}
	return min(s.Start.Cwnd, mostSegments)
}

// peer is whom a route leads to.
func (s *session) peer() netip.Addr { return s.Remote.Addr().WithZone("") }

// rounds are those whose sockets can be made together, in order as far as that goes.
func (r *run) rounds(all []*session) (out [][]*session) {
	var windows []map[netip.Addr]uint32 // of each round's peers
	for _, s := range all {
		n := r.window(s)
		i := slices.IndexFunc(windows, func(of map[netip.Addr]uint32) bool {
			have, there := of[s.peer()]
			return !there || have == n
		})
		if i < 0 {
			i = len(out)
			out, windows = append(out, nil), append(windows, map[netip.Addr]uint32{})
		}
		out[i] = append(out[i], s)
		windows[i][s.peer()] = n
	}
	return out
}

// windows has the sockets that are made until over begin with the windows that the dead
// ones had. Without that a session begins as a new one does, no more.
func (r *run) windows(round []*session) (over func()) {
	undo := map[netip.Addr]func() error{}
	var asked []*session // for whose peers there is a route
	for _, s := range round {
		n := r.window(s)
		if n == 0 || undo[s.peer()] != nil {
			continue
		}
		u, err := r.Place.Begin(s.Local.Addr(), s.Remote.Addr(), n)
		if err != nil {
			s.Notes = append(s.Notes, err.Error())
			continue
		}
		undo[s.peer()], asked = u, append(asked, s)
	}
	return func() {
		for _, s := range asked {
			if err := undo[s.peer()](); err != nil {
				s.Notes = append(s.Notes, err.Error())
			}
		}
	}
}
