// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"time"

	"lazystate/dsm"
)

// Deliver hears a message of another node.
func (d *Daemon) Deliver(m *dsm.Message) {
	d.enter()
	defer d.leave()
	if d.node == nil {
		d.early = append(d.early, m)
		return
	}
	d.step(dsm.Deliver{Message: m})
}

// Found hears what a look has found that was not answered at once.
func (d *Daemon) Found(f dsm.Found) {
	d.enter()
	defer d.leave()
	d.step(f)
}

// Up tells that a node is there.
func (d *Daemon) Up(peer dsm.NodeID, inc uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if since, was := d.lost[peer]; was {
		d.log.Info("a node is back", "peer", peer, "its incarnation", inc, "after", time.Since(since).Round(time.Millisecond))
	}
	delete(d.lost, peer)
}

// Lost tells that a node is not heard any more.
func (d *Daemon) Lost(peer dsm.NodeID, inc uint32, why error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over {
		return // so have others, and they leave
	}
	if _, was := d.lost[peer]; !was {
		d.log.Warn("a node is lost", "peer", peer, "its incarnation", inc, "why", why)
		d.lost[peer] = time.Now()
	}
}

// Nonsense tells that a node has said what it must not.
func (d *Daemon) Nonsense(peer dsm.NodeID, why error) {
	d.log.Error("a node speaks nonsense", "peer", peer, "why", why)
}

const (
	lookEvery    = 100 * time.Millisecond
	collectEvery = time.Second // if Config does not say
	sayAfter     = 10 * time.Second
)

// watch does what is due by time alone.
func (d *Daemon) watch() {
	look, collect := time.NewTicker(lookEvery), time.NewTicker(d.cfg.Collect)
	defer look.Stop()
	defer collect.Stop()
	w := waits{since: time.Now()}
	for {
		select {
		case <-d.failed:
			return
		case now := <-look.C:
			d.look(now, &w)
		case <-collect.C:
			d.collect()
		}
	}
}

// collect discards what nobody needs any more.
func (d *Daemon) collect() {
	d.enter()
	defer d.leave()
	if d.err == nil {
		d.step(dsm.Collect{})
	}
}

// waiting is what the node waits for: "" is nothing.
func (d *Daemon) waiting() string {
	if d.prog == nil {
		return "its program, to join"
	}
	return d.node.Waiting()
}

// waits is what the program waits for, since when, and when that was said.
type waits struct {
	what        string
	since, said time.Time
}

// sayWaits tells also of nodes that are out of reach: one of them may be waited for, in the end.
func (d *Daemon) sayWaits(what string, since time.Duration) {
	told := []any{"for", what, "since", since.Round(time.Second), "operation", d.node.Ordinal()}
	if missing := d.net.Missing(); missing != "" {
		told = append(told, "no connection with", missing)
	}
	d.log.Warn("still waits", told...)
}

func (d *Daemon) look(now time.Time, w *waits) {
	d.enter()
	defer d.leave()
	if d.err != nil {
		return
	}
	d.due.look(d.share())
	switch what := d.waiting(); {
	case what != w.what || what == "":
		w.what, w.since, w.said = what, now, now
	case now.Sub(w.said) >= sayAfter:
		w.said = now
		d.sayWaits(what, now.Sub(w.since))
	}
	for peer, since := range d.lost {
		if !d.node.Live() && d.cfg.Patience > 0 && now.Sub(since) >= d.cfg.Patience {
			d.step(dsm.Down{Node: peer})
		}
	}
}
