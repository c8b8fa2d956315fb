// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"slices"
	"time"
)

// peer is another monitor, by its last report.
type peer struct {
	name    string
	conn    uint64
	seq     uint64
	known   bool
	heard   time.Duration
	gone    bool // by another's word
	goneWhy string
	left    bool // by its own
	weight  float64
	lines   map[string]*line
}

type line struct {
	Line
	pathAt time.Duration // since when it has said so
	bootAt time.Duration
}

func newPeer(name string) *peer { return &peer{name: name, lines: map[string]*line{}} }

// peer returns a monitor by its name, nil for one that was never named.
func (m *Member) peer(name string) *peer {
	i := slices.IndexFunc(m.peers, func(p *peer) bool { return p.name == name })
	if i < 0 {
		return nil
	}
	return m.peers[i]
}

func (m *Member) hear(now time.Duration, in Heard) {
	p := m.peer(in.Report.Monitor)
	if p == nil && m.cfg.Told && in.Report.Monitor != m.cfg.Self {
		p = newPeer(in.Report.Monitor)
		p.weight = in.Report.Weight
		m.peers = append(m.peers, p)
		m.arrangeAll()
	}
	if p == nil || p.known && (in.Conn < p.conn || in.Conn == p.conn && in.Report.Seq <= p.seq) {
		return
	}
	p.take(now, in)
	if p.weight != in.Report.Weight {
		p.weight = in.Report.Weight
		m.arrangeAll()
	}
}

func (p *peer) take(now time.Duration, in Heard) {
	p.conn, p.seq, p.known, p.heard = in.Conn, in.Report.Seq, true, now
	p.gone, p.goneWhy, p.left = false, "", in.Report.Leaving
	lines := make(map[string]*line, len(in.Report.Lines))
	for _, l := range in.Report.Lines {
		next := &line{Line: l, pathAt: now, bootAt: now}
		if was := p.lines[l.Target]; was != nil {
			if was.Path == l.Path {
				next.pathAt = was.pathAt
			}
			if was.Boot == l.Boot {
				next.bootAt = was.bootAt
			}
		}
		lines[l.Target] = next
	}
	p.lines = lines
}

func (m *Member) gone(in Gone) {
	p := m.peer(in.Monitor)
	if p == nil {
		return
	}
	p.gone, p.goneWhy = true, in.Why
	if m.cfg.Told && !slices.Contains(m.cfg.Monitors, p.name) {
		m.peers = slices.DeleteFunc(m.peers, func(q *peer) bool { return q == p })
		m.arrangeAll()
	}
}

func (m *Member) alive(now time.Duration, p *peer) bool {
	return p.known && !p.gone && !p.left && (m.cfg.Told || now-p.heard < m.cfg.Term())
}

// sees returns what a living peer says of a target, nil if it says nothing, or
// means another machine by that name.
func (m *Member) sees(now time.Duration, p *peer, h *holding) *line {
	if !m.alive(now, p) {
		return nil
	}
	l := p.lines[h.Name]
	if l == nil || m.stranger(now, l, h) {
		return nil
	}
	return l
}

// stranger: both have a good path to a machine, and it has not been the same
// one for longer than a reboot takes to be seen by both.
func (m *Member) stranger(now time.Duration, l *line, h *holding) bool {
	return l.Path == PathGood && h.path == PathGood && l.Boot != "" && h.boot != "" && l.Boot != h.boot &&
		now-max(l.bootAt, h.bootAt) >= m.cfg.Lease
}

// owner returns the living peer that owns a target: of several who say so, the
// one with the highest epoch.
func (m *Member) owner(now time.Duration, h *holding) *peer {
	var best *peer
	for _, p := range m.peers {
		if l := m.sees(now, p, h); l != nil && l.Owns && (best == nil || l.Epoch > best.lines[h.Name].Epoch) {
			best = p
		}
	}
	return best
}

// usurper is a living owner whose epoch is above this side's: then this side
// has been replaced and does not know it yet.
func (m *Member) usurper(now time.Duration, h *holding) *peer {
	if p := m.owner(now, h); p != nil && p.lines[h.Name].Epoch > h.epoch {
		return p
	}
	return nil
}

// wants decides whether this monitor claims a target that it does not own.
// First come the monitors with the better path, among those the order; each
// one behind waits two beats longer, in case the one before does not get it.
func (m *Member) wants(now time.Duration, h *holding) bool {
	if m.owner(now, h) != nil {
		h.vacant = -1
		return false
	}
	if h.vacant < 0 {
		h.vacant = now
	}
	rank := slices.Index(h.order, m.cfg.Self)
	if m.leaving || now < h.retry || h.path < PathSilent || rank < 0 || !m.settled(now) {
		return false
	}
	before := 0
	for _, p := range m.peers {
		l := m.sees(now, p, h)
		at := slices.Index(h.order, p.name)
		if l != nil && at >= 0 && (l.Path > h.path || l.Path == h.path && at < rank) {
			before++
		}
	}
	return now-h.vacant >= time.Duration(2*before)*m.cfg.Beat()
}

// settled: a monitor that has just started waits two beats for the others' words.
func (m *Member) settled(now time.Duration) bool {
	return len(m.peers) == 0 && !m.cfg.Told || now-m.began >= 2*m.cfg.Beat()
}

// heir is the living peer that should own h next, if its path is at least so good.
func (m *Member) heir(now time.Duration, h *holding, least Path) string {
	best, bestPath, bestAt := "", least, len(h.order)
	for _, p := range m.peers {
		l := m.sees(now, p, h)
		at := slices.Index(h.order, p.name)
		if l == nil || at < 0 || l.Path < least {
			continue
		}
		if l.Path > bestPath || l.Path == bestPath && at < bestAt {
			best, bestPath, bestAt = p.name, l.Path, at
		}
	}
	return best
}

// better is who should have the target instead of its owner, and why.
func (m *Member) better(now time.Duration, h *holding) (heir, why string) {
	switch h.path {
	case PathFailed:
		return m.heir(now, h, PathSilent), "the link to it fails here"
	case PathSilent, PathUnknown:
		// Whose fault is it? Others that had an answer since say: this side's.
		if now-h.pathAt < 2*m.cfg.Beat() {
			return "", ""
		}
		heir = m.heir(now, h, PathGood)
		if p := m.peer(heir); p == nil || !m.cfg.Told && p.heard-h.pathAt < 2*m.cfg.Beat() {
			return "", ""
		}
		return heir, "it answers there, not here"
	}
	return m.preferred(now, h), "it is given back to the first of its order"
}

// preferred is the first of the order, where that is wanted and has been well
// for long enough; monitors that do not agree on the order leave it as it is.
func (m *Member) preferred(now time.Duration, h *holding) string {
	if !m.cfg.Failback || h.busy || now-h.since < m.cfg.Settle {
		return ""
	}
	for _, name := range h.order {
		if name == m.cfg.Self {
			return ""
		}
		p := m.peer(name)
		if p == nil {
			continue
		}
		l := m.sees(now, p, h)
		if l != nil && l.Path == PathGood && l.Order == h.digest && now-l.pathAt >= m.cfg.Settle {
			return name
		}
	}
	return ""
}
