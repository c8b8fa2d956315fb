// SPDX-License-Identifier: Apache-2.0

package bdtest

// idr is init_pid_ns and its xarray of struct pid.
type idr struct {
	ns    uint64 // physical address of struct pid_namespace
	user  uint64 // and of the initial user namespace
	depth int    // levels of nodes
}

func (t *Target) buildIDR() {
	t.idr = idr{ns: t.alloc(uint64(t.off["pid_namespace"].Off)), user: t.alloc(64)}
}

func (t *Target) headWord() uint64 {
	return t.idr.ns + uint64(t.off["pid_namespace.idr"].Off+t.off["idr.idr_rt"].Off+t.off["xarray.xa_head"].Off)
}

// idrSet stores an entry. The tree is as low as the largest pid allows, as the
// kernel's is.
func (t *Target) idrSet(pid int, entry uint64) {
	for t.idr.depth == 0 || pid>>(6*t.idr.depth) != 0 {
		t.growIDR()
	}
	node := t.get64(t.headWord()) - 2 - t.base
	for shift := 6 * (t.idr.depth - 1); shift > 0; shift -= 6 {
		slot := node + uint64(t.off["xa_node.slots"].Off) + uint64(pid>>shift&(slots-1))*8
		if t.get64(slot) == 0 {
			t.put64(slot, t.direct(t.newNode(shift-6))|2)
		}
		node = t.get64(slot) - 2 - t.base
	}
	t.put64(node+uint64(t.off["xa_node.slots"].Off)+uint64(pid&(slots-1))*8, entry)
}

func (t *Target) newNode(shift int) uint64 {
	pa := t.alloc(uint64(t.off["xa_node"].Off))
	t.ram[pa+uint64(t.off["xa_node.shift"].Off)] = byte(shift)
	return pa
}

func (t *Target) growIDR() {
	top := t.newNode(6 * t.idr.depth)
	if old := t.get64(t.headWord()); old != 0 {
		t.put64(top+uint64(t.off["xa_node.slots"].Off), old)
	}
	t.put64(t.headWord(), t.direct(top)|2)
	t.idr.depth++
}

// IDRHead returns the direct-map address of init_pid_ns.idr's head word.
func (t *Target) IDRHead() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.direct(t.headWord())
}
