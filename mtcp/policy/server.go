// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
)

// Load is what a server says of itself. Without a capacity it is of no use as a
// target of Shed, and never overloaded.
type Load struct {
	Name     string
	Sessions int
	Capacity int
}

// Session is one that may be sent away.
type Session struct {
	ID      string
	Service string
	Client  netip.Addr
	Bytes   int64 // of its state: what moving it costs
}

// Reason is why a server sends a session away.
type Reason uint8

// The reasons there are (§2.6.2).
const (
	ForLoad Reason = iota + 1
	ForDrain
	ForContent
)

func (r Reason) String() string {
	if r == 0 || r > ForContent {
		return "no reason"
	}
	return [...]string{"", "load", "drain", "content"}[r]
}

// Move is a decision.
type Move struct {
	Session string
	To      string
	Reason  Reason
}

// Shed sends sessions away once a server is above High of its capacity, until it
// is at Low, to servers that are and stay below Low themselves. Between the two
// nothing is done: sessions do not go to and fro.
type Shed struct{ High, Low float64 }

// Plan says which sessions go where: the cheapest first, to whoever has the most
// room.
func (s Shed) Plan(self Load, others []Load, sessions []Session) []Move {
	if self.Capacity <= 0 || float64(self.Sessions) <= s.High*float64(self.Capacity) {
		return nil
	}
	return spread(sessions, self.Sessions-s.mark(self), s.rooms(others), ForLoad)
}

func (s Shed) mark(l Load) int { return int(math.Floor(s.Low * float64(l.Capacity))) }

// room is how many more a server takes.
type room struct {
	name string
	left int
}

func (s Shed) rooms(others []Load) []room {
	var out []room
	for _, o := range others {
		if o.Capacity > 0 {
			out = append(out, room{o.Name, s.mark(o) - o.Sessions})
		}
	}
	return out
}

// spread sends up to n sessions to where the most room is.
func spread(sessions []Session, n int, rooms []room, why Reason) []Move {
	var out []Move
	for _, v := range cheapest(sessions)[:min(max(n, 0), len(sessions))] {
		best := -1
		for i, r := range rooms {
			if r.left > 0 && (best < 0 || r.left > rooms[best].left) {
				best = i
			}
		}
		if best < 0 {
			return out
		}
		rooms[best].left--
		out = append(out, Move{v.ID, rooms[best].name, why})
	}
	return out
}

func cheapest(sessions []Session) []Session {
	out := slices.Clone(sessions)
	slices.SortFunc(out, func(a, b Session) int {
		return cmp.Or(cmp.Compare(a.Bytes, b.Bytes), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Drain sends everything to one server.
func Drain(sessions []Session, to string) []Move {
	var out []Move
	for _, v := range cheapest(sessions) {
		out = append(out, Move{v.ID, to, ForDrain})
	}
	return out
}

// Rule says whose sessions a server has: those of a service (""; any) of clients
// in a network.
type Rule struct {
	Clients netip.Prefix
	Service string
	To      string
}

// Content distributes sessions by who the client is; the first rule that fits
// counts.
type Content []Rule

// Plan sends away what belongs elsewhere. Sessions that no rule names stay, and
// so do those whose server is not among the others.
func (c Content) Plan(self string, others []Load, sessions []Session) []Move {
	var out []Move
	for _, v := range sessions {
		to := c.of(v)
		if to == "" || to == self || !slices.ContainsFunc(others, func(l Load) bool { return l.Name == to }) {
			continue
		}
		out = append(out, Move{v.ID, to, ForContent})
	}
	return out
}

func (c Content) of(v Session) string {
	for _, r := range c {
		if (r.Service == "" || r.Service == v.Service) && r.Clients.Contains(v.Client.Unmap()) {
			return r.To
		}
	}
	return ""
}
