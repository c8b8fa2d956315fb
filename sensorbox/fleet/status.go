// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"fmt"
	"slices"
	"time"
)

// Status of one target, for people.
type Status struct {
	Target string
	Owner  string // "" if nobody is known to own it
	Epoch  uint64
	Phase  Phase // at this monitor
	Path   Path  // from this monitor
	Since  time.Duration
	Until  time.Duration // 0: no end
	Why    string        // of the last change at this monitor

	Monitors  []Candidate // in the order of preference
	Conflicts []string    // where another's configuration says otherwise
}

// Candidate is a monitor that may own a target.
type Candidate struct {
	Monitor string
	Alive   bool
	Path    Path
}

// Owning reports whether this monitor owns a target at a time, and with which
// epoch: what is to be looked at before each thing an owner does.
func (m *Member) Owning(now time.Duration, target string) (epoch uint64, ok bool) {
	h := m.find(target)
	if h == nil || h.phase != Owning || h.over(now) {
		return 0, false
	}
	return h.epoch, true
}

// Status describes every target.
func (m *Member) Status(now time.Duration) []Status {
	var all []Status
	for _, h := range m.holds {
		s := Status{Target: h.Name, Phase: h.phase, Path: h.path, Since: h.since, Until: h.until, Why: h.why}
		if h.phase == Owning || h.phase == Yielding {
			s.Owner, s.Epoch = m.cfg.Self, h.epoch
		} else if p := m.owner(now, h); p != nil {
			s.Owner, s.Epoch = p.name, p.lines[h.Name].Epoch
		}
		for _, name := range h.order {
			s.Monitors = append(s.Monitors, m.candidate(now, h, name))
		}
		for _, p := range m.peers {
			s.Conflicts = append(s.Conflicts, m.conflicts(now, p, h)...)
		}
		all = append(all, s)
	}
	return all
}

func (m *Member) candidate(now time.Duration, h *holding, name string) Candidate {
	c := Candidate{Monitor: name}
	if name == m.cfg.Self {
		c.Alive, c.Path = true, h.path
		return c
	}
	if i := slices.IndexFunc(m.peers, func(p *peer) bool { return p.name == name }); i >= 0 {
		c.Alive = m.alive(now, m.peers[i])
		if l := m.sees(now, m.peers[i], h); l != nil {
			c.Path = l.Path
		}
	}
	return c
}

// conflicts are what two configurations cannot both mean.
func (m *Member) conflicts(now time.Duration, p *peer, h *holding) []string {
	l := p.lines[h.Name]
	if l == nil || !m.alive(now, p) {
		return nil
	}
	var all []string
	if m.stranger(now, l, h) {
		all = append(all, fmt.Sprintf("%s means another machine by this name", p.name))
	}
	if l.Slot == h.Slot {
		all = append(all, fmt.Sprintf("%s uses slot %d too", p.name, l.Slot))
	}
	if l.Order != h.digest && !m.cfg.Told {
		all = append(all, fmt.Sprintf("%s has another order of monitors", p.name))
	}
	return all
}

// Peer is another monitor, for people.
type Peer struct {
	Monitor string
	Alive   bool
	Age     time.Duration // of its last report; -1: none came
	Why     string        // it is not alive
}

// Peers describes every other monitor.
func (m *Member) Peers(now time.Duration) []Peer {
	var all []Peer
	for _, p := range m.peers {
		d := Peer{Monitor: p.name, Alive: m.alive(now, p), Age: -1}
		if p.known {
			d.Age = now - p.heard
		}
		switch {
		case d.Alive:
		case !p.known:
			d.Why = "never heard"
		case p.left:
			d.Why = "it has ended"
		case p.gone:
			d.Why = p.goneWhy
		default:
			d.Why = "silent"
		}
		all = append(all, d)
	}
	return all
}
