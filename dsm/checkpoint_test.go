// SPDX-License-Identifier: Apache-2.0

package dsm

import "testing"

// What a checkpoint has is not counted for the next one, though it stays in the log until
// its home has one; what could not be saved is.
func TestUnsavedBytes(t *testing.T) {
	p := newPaper(t, nil, append(section(lockL, write(3, 7)), section(lockL, write(4, 7), write(5, 7))...), section(lockL))
	n := p.procs[pi].n
	is := func(unsaved, all int) {
		t.Helper()
		if n.UnsavedBytes() != unsaved || n.LogBytes() != all {
			t.Errorf("%d bytes in no checkpoint, of %d; not %d of %d", n.UnsavedBytes(), n.LogBytes(), unsaved, all)
		}
	}
	p.does(pi, 3)
	is(0, 0)
	p.step(p.procs[pi], Checkpoint{})
	is(1, 1)
	p.procs[pi].writing = nil // the disk is full
	p.step(p.procs[pi], NotSaved{1})
	is(1, 1)
	p.checkpoint(pi)
	is(0, 1)
	p.does(pi, 4)
	p.does(home, 1) // takes the token
	is(2, 3)
	p.checkpoint(pi)
	is(0, 3)
	p.does(home, 1)
	p.checkpoint(home) // the homes and so all others
	p.checkpoint(pj)
	p.ok()
	is(0, n.LogBytes())
}
