// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"
)

// standing is what may be done with a process.
type standing uint8

const (
	outside standing = iota // kernel thread, init, contradictory: neither counted nor killed
	spared                  // counted by the policies that rank everybody, never killed
	open                    // may be a culprit
)

// view is a table made safe: one entry per pid, standings, parents, depths.
type view struct {
	Table
	standing []standing
	why      []string // why not open
	index    map[int32]int
	users    map[uint32]bool // that have an open process
	depth    []int           // own processes on the path from the root, itself included
	notes    []string
}

func newView(t Table, s Spare) *view {
	v := &view{
		Table:    t,
		standing: make([]standing, len(t.Processes)),
		why:      make([]string, len(t.Processes)),
		index:    make(map[int32]int, len(t.Processes)),
	}
	v.judge(s)
	v.dropDuplicates()
	v.users = map[uint32]bool{}
	for i, st := range v.standing {
		if st == open {
			v.users[v.Processes[i].UID] = true
		}
	}
	v.findDepths()
	return v
}

func (v *view) judge(s Spare) {
	named, elevated := s.commands(v.Processes), s.elevated(v.Processes)
	for i := range v.Processes {
		p := &v.Processes[i]
		switch why := never(p); {
		case why != "":
			v.standing[i], v.why[i] = outside, why
		case s.user(p) != "":
			v.standing[i], v.why[i] = spared, s.user(p)
		case elevated[i]:
			v.standing[i], v.why[i] = spared, "effective user 0"
		case named[i]:
			v.standing[i], v.why[i] = spared, "spared command"
		default:
			v.standing[i] = open
		}
	}
}

// dropDuplicates puts every entry of a pid that appears twice outside: at most
// one of them is true, and which is unknown.
func (v *view) dropDuplicates() {
	twice := map[int32]bool{}
	for i := range v.Processes {
		pid := v.Processes[i].PID
		if _, ok := v.index[pid]; ok {
			twice[pid] = true
			continue
		}
		v.index[pid] = i
	}
	for i := range v.Processes {
		if twice[v.Processes[i].PID] {
			v.standing[i], v.why[i] = outside, "pid appears twice"
			delete(v.index, v.Processes[i].PID)
		}
	}
	if len(twice) > 0 {
		v.notes = append(v.notes, fmt.Sprintf("%d pids appear more than once: not believed", len(twice)))
	}
}

// findDepths measures trees: the child of a process at depth n has depth n+1.
// Only ancestors of the process's own user count, so that a program started
// from the bottom of a stranger's tree is not accused of it. A cycle of
// parents has no depth.
func (v *view) findDepths() {
	v.depth = make([]int, len(v.Processes))
	cycles := 0
	onPath := map[int]bool{}
	for i := range v.Processes {
		var path []int
		at, ok := i, true
		for ok && v.depth[at] == 0 && !onPath[at] {
			onPath[at] = true
			path = append(path, at)
			at, ok = v.parent(at)
		}
		base := -1
		switch {
		case !ok:
		case v.depth[at] != 0:
			base = at
		default:
			cycles++
			path, base = v.cut(path, at), at
		}
		v.settle(path, base)
		clear(onPath)
	}
	if cycles > 0 {
		v.notes = append(v.notes, fmt.Sprintf("%d cycles of parents: cut", cycles))
	}
}

// cut makes every member of a cycle a root, wherever it was entered, and
// returns the path that leads into it.
func (v *view) cut(path []int, entry int) []int {
	k := slices.Index(path, entry)
	for _, j := range path[k:] {
		v.depth[j] = 1
	}
	return path[:k]
}

// settle gives depths from the top of a path down. base is the known ancestor
// above it, or -1.
func (v *view) settle(path []int, base int) {
	for _, j := range slices.Backward(path) {
		v.depth[j] = 1
		if base >= 0 && v.Processes[base].UID == v.Processes[j].UID {
			v.depth[j] = v.depth[base] + 1
		}
		base = j
	}
}

func (v *view) parent(i int) (int, bool) {
	j, ok := v.index[v.Processes[i].PPID]
	if !ok || j == i {
		return i, false
	}
	return j, true
}
