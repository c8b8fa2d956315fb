// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"net/netip"
	"time"
)

// Pace keeps one session from moving too often, and knows which servers did not
// take it.
type Pace struct {
	Least time.Duration // between two moves; 0: a second
	Most  time.Duration // after failures in a row the pause doubles up to it; 0: a minute

	next   time.Duration
	pause  time.Duration
	refuse map[netip.AddrPort]time.Duration // until when a server is not asked again
}

const (
	defaultLeast = time.Second
	defaultMost  = time.Minute
)

// Order lists the servers to ask, the one behind the current first: not the
// current one and none that has refused lately. It is empty when it is too soon.
func (p *Pace) Order(offered []netip.AddrPort, current netip.AddrPort, now time.Duration) []netip.AddrPort {
	if now < p.next {
		return nil
	}
	start := 0
	for i, s := range offered {
		if s == current {
			start = i + 1
		}
	}
	var out []netip.AddrPort
	for i := range offered {
		s := offered[(start+i)%len(offered)]
		if until, refused := p.refuse[s]; s != current && (!refused || now >= until) {
			out = append(out, s)
		}
	}
	return out
}

// Ended is the outcome of a move that was asked of servers: ok says that one of
// them took it.
func (p *Pace) Ended(asked []netip.AddrPort, ok bool, now time.Duration) {
	least := cmp.Or(p.Least, defaultLeast)
	if ok {
		p.pause, p.next, p.refuse = least, now+least, nil
		return
	}
	p.pause = min(max(2*p.pause, least), cmp.Or(p.Most, defaultMost))
	p.next = now + p.pause
	if p.refuse == nil {
		p.refuse = map[netip.AddrPort]time.Duration{}
	}
	for _, s := range asked {
		p.refuse[s] = p.next
	}
}
