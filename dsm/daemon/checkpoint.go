// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"time"

	"lazystate/backdoor/uapi"
	"lazystate/dsm"
)

// due says when a checkpoint is wanted.
type due struct {
	policy  Policy
	last    time.Time // when one was begun
	writing bool
	news    bool // the program has not been told
	all     bool // of Aligned: at the last barrier a node wanted them
}

// look notes that one is wanted, so that the program's next operation is a call.
func (d *due) look(share float64) {
	d.news = !d.policy.Aligned && d.wants(share)
}

func (d *due) wants(share float64) bool {
	p := d.policy
	return !d.writing && (p.Logs > 0 && share >= p.Logs || p.Every > 0 && time.Since(d.last) >= p.Every)
}

// wanted is true if the program is to be told so now.
func (d *due) wanted(barrier bool, share float64) bool {
	d.news = false
	if d.policy.Aligned {
		all := d.all && !d.writing
		d.all = false
		return barrier && all
	}
	return d.wants(share)
}

// checkpoint takes one, with the private state that the program has written. In
// its past, and while another is being written, the node takes none.
func (d *Daemon) checkpoint() {
	p := d.prog
	size, safe := p.call.Args[0], p.call.Args[1] == 1
	if !d.node.Live() || d.cfg.Core.Unlogged {
		return
	}
	if d.due.writing {
		if safe { // again, when that one is safe
			p.busy, p.todo = true, []dsm.Input{dsm.Checkpoint{}}
		}
		return
	}
	private, err := p.server.Private(size)
	if err != nil {
		p.ended = &ending{cause: uapi.DsmInvalid, why: err.Error()}
		return
	}
	d.saves, d.due.writing, d.due.last = private, true, time.Now()
	p.busy = safe
	d.step(dsm.Checkpoint{})
	d.times.Taking += time.Since(d.due.last)
}

// save has a checkpoint written, with the private state that belongs to it.
func (d *Daemon) save(s *dsm.State) {
	d.disk.do(job{kind: save, number: s.Number, state: s, private: d.saves})
	d.saves = nil
}

// told hears what became of a job.
func (d *Daemon) told(r result) {
	d.enter()
	defer d.leave()
	if d.err != nil {
		return
	}
	switch r.kind {
	case save:
		d.saved(r)
	case load:
		if r.err != nil {
			d.log.Error("a page of a checkpoint cannot be read", "checkpoint", r.number, "page", r.page, "error", r.err)
			d.step(dsm.NotLoaded{To: r.to, Page: r.page, Why: r.err.Error()})
			return
		}
		d.step(dsm.Loaded{To: r.to, Number: r.number, Page: r.page, Bytes: r.bytes})
	}
}

func (d *Daemon) saved(r result) {
	d.due.writing = false
	d.times.Writing += r.took
	waits := d.prog.call != nil && d.prog.call.Kind == uapi.DsmCheckpoint && d.prog.busy
	if waits {
		d.prog.busy = false
	}
	if r.err != nil {
		d.log.Error("a checkpoint is not written, and the program goes on", "checkpoint", r.number, "error", r.err)
		d.step(dsm.NotSaved{Number: r.number})
		if waits {
			d.prog.ended = &ending{cause: uapi.DsmLost, why: r.err.Error()}
		}
		return
	}
	d.step(dsm.Saved{Number: r.number})
	d.log.Debug("has a checkpoint", "number", r.number, "private", len(r.private),
		"logs", r.state.LogBytes(), "of", d.node.Counters().LogSaved, "took", time.Since(d.due.last).Round(time.Millisecond))
}
