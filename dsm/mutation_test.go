// SPDX-License-Identifier: Apache-2.0

package dsm

import (
	"slices"
	"testing"

	"lazystate/dsm/logs"
)

// collected is true after a step that may have trimmed logs.
func collected(in Input) bool {
	switch in.(type) {
	case Collect, Saved:
		return true
	}
	return false
}

const rare = "what requests tell of intervals not kept"

// mutations are faults that a node could have. Each must be found, the first
// ones before anything is lost for them.
var mutations = []struct {
	name  string
	audit bool // an audit finds it, without a crash
	do    func(*Node, Input)
}{
	{"wn_log trimmed one entry too many", true, func(n *Node, in Input) {
		if w := &n.notices[n.cfg.Self]; collected(in) && len(w.All()) > 0 {
			w.Trim(w.All()[0].Interval)
		}
	}},
	{"acq_sent_log trimmed one entry too many", true, func(n *Node, in Input) {
		for j := range n.sent {
			if collected(in) && len(n.sent[j]) > 0 {
				n.sent[j].Trim(n.sent[j][0].Ordinal)
			}
		}
	}},
	{"diff_log trimmed one entry too many", true, func(n *Node, in Input) {
		for _, p := range n.diffs.Pages() {
			if collected(in) {
				n.diffs.Trim(p, n.diffs.Since(p, 0)[0].Interval)
			}
		}
	}},
	{"window one checkpoint too short", true, func(n *Node, in Input) {
		if collected(in) && len(n.window) > 1 {
			n.window = n.window[1:]
		}
	}},
	{"a stamp too new: told before it is saved", true, func(n *Node, _ Input) {
		if n.saving != nil {
			n.stamp = n.saving.Stamp
		}
	}},
	{"a stamp too new: T_i now, not T_ckp", true, func(n *Node, _ Input) {
		if n.stamp.Number > 0 {
			n.stamp.T = n.t.Clone()
		}
	}},
	{"V_H of a home believed one too high", true, func(n *Node, in Input) {
		for j := range n.peers {
			if collected(in) {
				n.peers[j].bound++
				for p := range n.peers[j].bounds {
					n.peers[j].bounds[p]++
				}
			}
		}
	}},
	{"homed pages' own diffs not logged", true, func(n *Node, _ Input) {
		for _, p := range n.diffs.Pages() {
			if n.pages[p].home == n.cfg.Self {
				n.diffs.Trim(p, n.t[n.cfg.Self])
			}
		}
	}},
	{"V_H higher than the diffs that are in", false, func(n *Node, _ Input) {
		for i := range n.v {
			n.v[i] = max(n.v[i], n.t[i])
		}
	}},
	{"p.v^N forgotten", false, func(n *Node, _ Input) {
		for i := range n.pages {
			n.pages[i].need = nil
		}
	}},
	{"ragged diffs not kept by the home", false, func(n *Node, _ Input) { n.ragged = logs.Ragged{} }},
	{"a replay that expects no ragged diffs", false, func(n *Node, _ Input) {
		if n.rec != nil {
			clear(n.rec.expected)
		}
	}},
	{"cuts not kept", false, func(n *Node, _ Input) {
		for _, j := range n.others() {
			n.cuts[j] = nil
		}
	}},
	{rare, false, func(n *Node, _ Input) {
		for j := range n.cuts {
			n.cuts[j] = slices.DeleteFunc(n.cuts[j], func(c logs.Cut) bool { return c.Bound })
		}
	}},
	{"requests served twice around a crash", false, func(n *Node, _ Input) {
		for j := range n.peers {
			n.peers[j].floor = floor{}
		}
	}},
	{"a queue put together without its pieces", false, func(n *Node, _ Input) {
		if n.rec != nil {
			for i, b := range n.rec.replies {
				for l := range b.Locks {
					b.Locks[l].Next = nil
				}
				n.rec.replies[i] = b
			}
		}
	}},
	{"barriers not logged", false, func(n *Node, _ Input) { n.barriers = nil }},
	{"acq_rcvd_log not kept", false, func(n *Node, _ Input) {
		for j := range n.rcvd {
			n.rcvd[j] = nil
		}
	}},
	{"tokens not held up during a recovery", false, func(n *Node, _ Input) {
		for j := range n.peers {
			n.peers[j].silent = false
		}
	}},
	{"logs trimmed during a recovery", false, func(n *Node, _ Input) {
		for j := range n.peers {
			n.peers[j].recovering = false
		}
	}},
	{"diffs merged over bytes that did not change", false, func(n *Node, _ Input) {
		for _, p := range n.diffs.Pages() {
			for _, d := range n.diffs.Since(p, 0) {
				widen(d)
			}
		}
	}},
}

// widen gives a diff's first run the byte behind it too, as a diff by words would.
func widen(d logs.Diff) {
	r := &d.Diff[0]
	if end := int(r.Off) + len(r.Data); end%4 != 0 && len(d.Diff) == 1 {
		r.Data = append(r.Data[:len(r.Data):len(r.Data)], 0)
	}
}

// Faults of the node are found: by an audit, or by what programs read.
func TestMutationsAreCaught(t *testing.T) {
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			if m.name == rare && !soak {
				t.Skip("thousands of programs: with LAZYSTATE_SOAK=1")
			}
			if m.audit {
				c := chances{double: 50, checkpoint: 60, collect: 100, audit: true}
				if by := caught(m.do, c, 400); by == "" {
					t.Error("no audit finds it")
				} else {
					t.Log("audit: ", by)
				}
			}
			c := chances{double: 50, crash: 8, crashes: 4, checkpoint: 60, collect: 100}
			if by := caught(m.do, c, 8000); by == "" {
				t.Error("no program finds it")
			} else {
				t.Log("program: ", by)
			}
		})
	}
}

// caught runs programs until one goes wrong.
func caught(fault func(*Node, Input), c chances, most uint64) string {
	for seed := uint64(1); seed <= most; seed++ {
		w, _ := drawLitmus(seed)
		w.mutate = fault
		c.run = 20 + int(seed%60)
		w.schedule(c)
		if len(w.broken) > 0 {
			return w.broken[0]
		}
	}
	return ""
}
