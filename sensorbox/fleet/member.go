// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"cmp"
	"slices"
	"time"
)

// Phase of one target at one monitor.
type Phase uint8

const (
	Idle Phase = iota
	Claiming
	Owning
	Yielding
)

var phaseNames = [...]string{Idle: "idle", Claiming: "claiming", Owning: "owning", Yielding: "yielding"}

func (p Phase) String() string { return phaseNames[p] }

// Member is one monitor's view of its fleet, and its part in it. It is not
// safe for concurrent use.
type Member struct {
	cfg     Config
	holds   []*holding // in the order of the configuration
	peers   []*peer
	seq     uint64
	asks    uint64
	news    bool          // that the others have not been told yet
	told    time.Duration // when they last were
	began   time.Duration
	started bool
	leaving bool
	left    bool
	out     []Action
}

// holding is one target.
type holding struct {
	Target
	order  []string
	digest uint64

	phase Phase
	ask   uint64        // number of the last claim
	epoch uint64        // from Granted to Released
	until time.Duration // 0: no end
	renew time.Duration // when to ask again
	retry time.Duration // no claim before
	since time.Duration // of the phase
	why   string        // of the last change, or of the last refusal
	busy  bool

	path   Path
	pathAt time.Duration // when it became so
	boot   string
	bootAt time.Duration
	vacant time.Duration // since when nobody was seen to own it; -1: somebody does
}

// NewMember returns a monitor that owns nothing and has heard nobody.
func NewMember(cfg Config) *Member {
	if cfg.Settle == 0 {
		cfg.Settle = 10 * cfg.Lease
	}
	m := &Member{cfg: cfg, news: true}
	for _, name := range cfg.Monitors {
		if name != cfg.Self {
			m.peers = append(m.peers, newPeer(name))
		}
	}
	m.SetTargets(cfg.Targets)
	return m
}

// SetTargets takes another list of targets, as a configuration that was read
// again. Those that are gone must have been released before; what stays keeps
// its owner.
func (m *Member) SetTargets(targets []Target) {
	var holds []*holding
	for _, t := range targets {
		h := m.find(t.Name)
		if h == nil {
			h = &holding{vacant: -1}
		}
		h.Target = t
		m.arrange(h)
		holds = append(holds, h)
	}
	m.cfg.Targets, m.holds, m.news = targets, holds, true
}

// arrange settles the order of a target's monitors.
func (m *Member) arrange(h *holding) {
	switch {
	case h.Order != nil:
		h.order = h.Order
	case m.cfg.Told:
		weights := map[string]float64{m.cfg.Self: cmp.Or(m.cfg.Weight, 1)}
		for _, p := range m.peers {
			weights[p.name] = cmp.Or(p.weight, 1)
		}
		h.order = Spread(h.Name, weights)
	default:
		h.order = m.cfg.Monitors
		if !slices.Contains(h.order, m.cfg.Self) {
			h.order = append(slices.Clone(h.order), m.cfg.Self)
		}
	}
	h.digest = digest(h.order)
}

func (m *Member) arrangeAll() {
	for _, h := range m.holds {
		m.arrange(h)
	}
	m.news = true
}

// Step takes one input at a time of this monitor's clock and returns what is
// to be done now.
func (m *Member) Step(now time.Duration, in Input) []Action {
	m.out = nil
	if !m.started {
		m.started, m.began, m.told = true, now, now
	}
	switch in := in.(type) {
	case Heard:
		m.hear(now, in)
	case Gone:
		m.gone(in)
	case Link:
		if h := m.find(in.Target); h != nil {
			m.link(now, h, in)
		}
	case Busy:
		if h := m.find(in.Target); h != nil {
			h.busy = in.Busy
		}
	case Granted:
		if h := m.find(in.Target); h != nil {
			m.granted(now, h, in)
		}
	case Refused:
		if h := m.find(in.Target); h != nil {
			m.refused(now, h, in)
		}
	case Released:
		if h := m.find(in.Target); h != nil && h.phase == Yielding && in.Epoch == h.epoch {
			m.enter(now, h, Idle, h.why)
			h.epoch, h.until, h.vacant, h.busy = 0, 0, now, false
		}
	case Leave:
		m.leaving = true
	}
	for _, h := range m.holds {
		m.decide(now, h)
	}
	m.tell(now)
	return m.out
}

func (m *Member) find(target string) *holding {
	for _, h := range m.holds {
		if h.Name == target {
			return h
		}
	}
	return nil
}

func (m *Member) enter(now time.Duration, h *holding, p Phase, why string) {
	h.phase, h.since, h.why = p, now, why
	m.news = true
}

func (m *Member) link(now time.Duration, h *holding, in Link) {
	if in.Boot != h.boot {
		h.boot, h.bootAt = in.Boot, now
		m.news = true
	}
	if in.Path != h.path {
		h.path, h.pathAt = in.Path, now
		m.news = true
	}
}

func (m *Member) granted(now time.Duration, h *holding, in Granted) {
	switch {
	case h.phase == Claiming && in.Ask == h.ask:
		h.epoch, h.until = in.Epoch, in.Until
		h.renew = now + m.cfg.Term()/3
		m.enter(now, h, Owning, "")
		if m.leaving || h.over(now) || h.path == PathFailed {
			m.yield(now, h, "", "it came too late")
			return
		}
		m.out = append(m.out, Serve{h.Name, h.epoch})
	case h.phase == Owning && in.Epoch == h.epoch:
		// An older answer that comes late takes nothing away.
		if in.Until == 0 || h.until != 0 {
			h.until = max(h.until, in.Until)
		}
	}
}

func (m *Member) refused(now time.Duration, h *holding, in Refused) {
	why := in.Why
	if in.Holder != "" {
		why = "held by " + in.Holder
	}
	switch {
	case h.phase == Claiming && in.Ask == h.ask:
		m.enter(now, h, Idle, why)
		h.retry = now + m.cfg.Beat()
		if in.Left > 0 {
			h.retry = min(h.retry, now+in.Left)
		}
	case h.phase == Owning && in.Lost && in.Epoch == h.epoch:
		m.yield(now, h, in.Holder, "the place is lost: "+why)
	}
}

func (h *holding) over(now time.Duration) bool { return h.until != 0 && now >= h.until }

func (m *Member) yield(now time.Duration, h *holding, heir, why string) {
	m.out = append(m.out, Yield{h.Name, h.epoch, heir, why})
	h.retry = now + m.cfg.Beat() // whatever ended it may end the next one too
	m.enter(now, h, Yielding, why)
}

// decide looks at one target after each input.
func (m *Member) decide(now time.Duration, h *holding) {
	switch h.phase {
	case Idle:
		if m.wants(now, h) {
			m.enter(now, h, Claiming, "")
			m.asks++
			h.ask = m.asks
			m.out = append(m.out, Claim{h.Name, h.ask})
		}
	case Owning:
		m.keep(now, h)
	}
}

// keep is an owner's question to itself: still?
func (m *Member) keep(now time.Duration, h *holding) {
	switch {
	case m.leaving:
		m.yield(now, h, m.heir(now, h, PathSilent), "this monitor ends")
		return
	case h.over(now):
		m.yield(now, h, "", "its lease was not renewed in time")
		return
	}
	if p := m.usurper(now, h); p != nil {
		m.yield(now, h, p.name, "another monitor has a higher epoch")
		return
	}
	if heir, why := m.better(now, h); heir != "" {
		m.yield(now, h, heir, why)
		return
	}
	if h.until != 0 && now >= h.renew {
		h.renew = now + m.cfg.Term()/3
		m.out = append(m.out, Renew{h.Name, h.epoch})
	}
}

// tell sends a report at each beat, and at once when there is news.
func (m *Member) tell(now time.Duration) {
	if m.left || !m.news && now-m.told < m.cfg.Beat() {
		return
	}
	m.news, m.told = false, now
	m.seq++
	r := &Report{Version: ReportVersion, Monitor: m.cfg.Self, Seq: m.seq, Weight: m.cfg.Weight}
	for _, h := range m.holds {
		r.Lines = append(r.Lines, Line{
			Target: h.Name, Path: h.path, Owns: h.phase == Owning || h.phase == Yielding, Epoch: h.epoch,
			Boot: h.boot, Slot: h.Slot, Order: h.digest,
		})
	}
	if m.leaving && m.Holds() == 0 {
		r.Leaving, m.left = true, true
	}
	m.out = append(m.out, Tell{r})
}

// Holds counts targets that are not idle: a monitor that leaves waits for none.
func (m *Member) Holds() int {
	n := 0
	for _, h := range m.holds {
		if h.phase != Idle {
			n++
		}
	}
	return n
}

// Left reports that the last word was said.
func (m *Member) Left() bool { return m.left }
