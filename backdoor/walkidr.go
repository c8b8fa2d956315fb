// SPDX-License-Identifier: Apache-2.0

package backdoor

import (
	"context"
	"encoding/binary"
)

// xaEntry is an entry of the xarray that waits to be followed.
type xaEntry struct {
	value uint64
	index int64 // of its first slot
	shift int   // that a node behind it must have; -1: the root, any
}

// isNode and isPointer follow include/linux/xarray.h: xa_is_node, and neither
// internal nor value.
func isNode(e uint64) bool    { return e&3 == 2 && e > 4096 }
func isPointer(e uint64) bool { return e&3 == 0 && e != 0 }

const (
	// A pid has 22 bits (PID_MAX_LIMIT), which bounds the tree: whatever its
	// nodes say, those of its lowest level are 65536.
	maxPIDs  = 1 << 22
	maxShift = 18 // of the root
	// walkTries is how often what was torn is read.
	walkTries = 2
)

// indexed is a struct pid and the number it stands for.
type indexed struct {
	addr  uint64
	index int32
}

// byIDR finds the tasks: the tree level by level, then every struct pid, then
// every task, each step one run of large batches.
func (w *walker) byIDR(ctx context.Context) ([]*found, error) {
	pids, err := w.idrPIDs(ctx)
	if err != nil {
		return nil, err
	}
	if len(pids) > w.max {
		pids, w.list.Truncated = pids[:w.max], true
	}
	var tasks []*found
	for range walkTries {
		var torn []indexed
		if tasks, torn, err = w.pidTasks(ctx, tasks, pids); err != nil {
			return nil, err
		}
		pids = torn
	}
	w.list.Torn += len(pids)
	return tasks, w.userInits(ctx, tasks)
}

// userInits finds the container inits whose namespaces are not the machine's
// own: an ordinary user makes such a one as easily as any process.
func (w *walker) userInits(ctx context.Context, tasks []*found) error {
	var reads []VARead
	var whose []*found
	for _, f := range tasks {
		if w.y.initUser != 0 && f.containerInit() {
			reads, whose = append(reads, w.y.userNS.Read(f.ns)), append(whose, f)
		}
	}
	if err := w.t.readVA(ctx, reads, w.batch); err != nil {
		return err
	}
	for i, f := range whose {
		f.userNS = reads[i].Err == nil && w.y.userNS.Word(reads[i].Buf, "user_ns") != w.y.initUser
	}
	return nil
}

// idrPIDs walks the tree of init_pid_ns.idr.
func (w *walker) idrPIDs(ctx context.Context) ([]indexed, error) {
	head := w.y.head.Read(0)
	if err := w.t.ReadVA(ctx, []VARead{head}); err != nil {
		return nil, err
	}
	level := []xaEntry{{binary.LittleEndian.Uint64(head.Buf), 0, -1}}
	var pids []indexed
	visited := map[uint64]bool{}
	for len(level) > 0 && len(pids) <= w.max {
		var nodes []xaEntry
		for _, e := range level {
			switch {
			case isNode(e.value) && !visited[e.value] && e.shift >= -1:
				visited[e.value] = true
				nodes = append(nodes, e)
			case isPointer(e.value) && e.shift <= -1:
				pids = append(pids, indexed{e.value, int32(e.index)})
			case e.value != 0:
				w.list.Torn++
			}
		}
		var err error
		if level, err = w.children(ctx, nodes); err != nil {
			return nil, err
		}
	}
	return pids, nil
}

// leafShift marks the entries of a node of shift 0: only pointers may follow.
const leafShift = -2

// children reads the nodes of one level and returns their used slots.
func (w *walker) children(ctx context.Context, nodes []xaEntry) ([]xaEntry, error) {
	reads := make([]VARead, len(nodes))
	for i, n := range nodes {
		reads[i] = w.y.node.Read(n.value - 2)
	}
	if err := w.t.readVA(ctx, reads, w.batch); err != nil {
		return nil, err
	}
	var out []xaEntry
	for i, n := range nodes {
		if len(out) > w.max+maxPIDs/xaSlots {
			w.list.Truncated = true
			break
		}
		var entries []xaEntry
		ok := reads[i].Err == nil
		if ok {
			entries, ok = w.y.decodeNode(reads[i].Buf, n)
		}
		if !ok {
			w.list.Torn++
			w.list.Nodes++
		}
		out = append(out, entries...)
	}
	return out, nil
}

// decodeNode returns the used slots of a copy of an xa_node. A child's shift
// is 6 less than its parent's, so no chain of nodes is longer than the tree is high.
func (y *taskLayout) decodeNode(buf []byte, n xaEntry) ([]xaEntry, bool) {
	shift := int(y.node.Bytes(buf, "shift")[0])
	if shift%xaShift != 0 || shift > maxShift || n.shift >= 0 && shift != n.shift {
		return nil, false
	}
	slots := y.node.Bytes(buf, "slots")
	if len(slots) < 8*xaSlots {
		return nil, false
	}
	var out []xaEntry
	for i := range xaSlots {
		e := binary.LittleEndian.Uint64(slots[8*i:])
		if e == 0 || e&3 != 0 && !isNode(e) { // free, a value, a sibling or reserved
			continue
		}
		child := xaEntry{value: e, index: n.index + int64(i)<<shift, shift: shift - xaShift}
		if child.index >= maxPIDs {
			return out, false
		}
		if shift == 0 {
			child.shift = leafShift
		}
		out = append(out, child)
	}
	return out, true
}

// pidTasks follows struct pid to the task of that number. torn are those that
// did not fit together.
func (w *walker) pidTasks(ctx context.Context, tasks []*found, pids []indexed) ([]*found, []indexed, error) {
	reads := make([]VARead, len(pids))
	for i, p := range pids {
		reads[i] = w.y.pid.Read(p.addr)
	}
	if err := w.t.readVA(ctx, reads, w.batch); err != nil {
		return nil, nil, err
	}
	var torn, whose []indexed
	var next []*found
	for i, p := range pids {
		f, ok := w.y.decodePID(reads[i].Buf, p.index)
		if reads[i].Err != nil || !ok {
			torn = append(torn, p)
		} else if f != nil {
			next, whose = append(next, f), append(whose, p)
		}
	}
	return w.readTasks(ctx, tasks, next, torn, whose)
}

func (w *walker) readTasks(ctx context.Context, tasks, next []*found, torn, whose []indexed) ([]*found, []indexed, error) {
	reads := make([]VARead, len(next))
	for i, f := range next {
		reads[i] = w.y.task.Read(f.addr)
	}
	if err := w.t.readVA(ctx, reads, w.batch); err != nil {
		return nil, nil, err
	}
	for i, f := range next {
		f.record = reads[i].Buf
		if reads[i].Err != nil || !w.y.plausible(f) {
			torn = append(torn, whose[i])
			continue
		}
		f.tgid = int32(w.y.task.Word(f.record, "tgid"))
		tasks = append(tasks, f)
	}
	return tasks, torn, nil
}

// decodePID finds the task behind a copy of a struct pid. It returns nil for a
// number that only names a group or a session now.
func (y *taskLayout) decodePID(buf []byte, index int32) (*found, bool) {
	if int32(y.pid.WordAt(buf, "numbers", 0)) != index {
		return nil, false
	}
	link := y.pid.WordAt(buf, "tasks", 8*typePID)
	if link == 0 {
		return nil, true
	}
	f := &found{index: index, leader: y.pid.WordAt(buf, "tasks", 8*typeTGID) != 0}
	f.addr = link - y.links - pidLinkSize*typePID
	level := y.pid.Word(buf, "level")
	if level < upidLevels {
		f.nsLevel = int(level)
		f.nsPID = int32(y.pid.WordAt(buf, "numbers", upidSize*int(level)))
		f.ns = y.pid.WordAt(buf, "numbers", upidSize*int(level)+upidNS)
	}
	return f, true
}
