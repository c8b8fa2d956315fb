// SPDX-License-Identifier: Apache-2.0

package backdoor

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"lazystate/backdoor/uapi"
)

// Via is how a walk finds the tasks.
type Via uint8

const (
	ViaIDR  Via = iota // the pid IDR of the initial namespace, level by level
	ViaList            // the circular list of init_task, task by task
)

func (v Via) String() string {
	if v == ViaList {
		return "list"
	}
	return "idr"
}

// WalkOptions bounds a walk. The zero value is the fast walk.
type WalkOptions struct {
	Via Via
	Max int // most tasks; 1 << 17 if 0
}

const maxTasks = 1 << 17

// TaskList is the target's process table as one walk saw it.
type TaskList struct {
	Tasks     []Task // by pid; one for each thread group
	Via       Via
	Torn      int  // entries that changed under the reader and were left out
	Nodes     int  // of Torn: nodes of the IDR, each with all that hangs on it
	Truncated bool // more tasks than WalkOptions.Max
	Seen      int  // tasks seen, threads included: the N of the read budget
	Stats     Stats
}

// Tasks walks the target's processes. A running target changes while it is
// read: entries that do not fit together are read again once and then counted
// in Torn. Under a drained lock Torn is 0.
func (t *Target) Tasks(ctx context.Context, o WalkOptions) (*TaskList, error) {
	y, err := newTaskLayout(t.manifest)
	if err != nil {
		return nil, fmt.Errorf("walk tasks: %w", err)
	}
	if _, err := t.Region(uapi.KindMemory); err != nil {
		return nil, fmt.Errorf("walk tasks: %w", err)
	}
	if o.Max <= 0 {
		o.Max = maxTasks
	}
	o.Max = min(o.Max, int(maxWalk/y.perTask()))
	w := &walker{t: t, y: y, max: o.Max, batch: batchOps, list: &TaskList{Via: o.Via}}
	before := t.Stats()
	err = t.around(ctx, func() error { return w.run(ctx, o.Via) })
	if err != nil {
		return nil, fmt.Errorf("walk tasks by %s: %w", o.Via, err)
	}
	w.list.Stats = t.Stats().Sub(before)
	return w.list, nil
}

// walker is one walk. The list walk is the same code with batches of one.
type walker struct {
	t     *Target
	y     *taskLayout
	max   int
	batch int
	list  *TaskList
	creds []uint64         // of list.Tasks, index by index
	tgids map[uint64]int32 // of the task_structs that were seen, by address
}

func (w *walker) run(ctx context.Context, via Via) error {
	var tasks []*found
	var err error
	if via == ViaList {
		w.batch = 1
		tasks, err = w.byList(ctx)
	} else {
		tasks, err = w.byIDR(ctx)
	}
	if err != nil {
		return err
	}
	if len(tasks)+w.list.Torn == 0 { // a reset wrote the kernel's image anew, and nobody has told of it yet
		return corrupt("task list", "no process")
	}
	w.list.Seen = len(tasks)
	w.group(tasks)
	if via == ViaList {
		if err := w.signals(ctx, tasks); err != nil {
			return err
		}
	}
	if err := w.parents(ctx); err != nil {
		return err
	}
	return w.details(ctx)
}

// group makes one Task of each thread group: the leader's, with the sums over
// its threads. A group whose leader was torn is left out.
func (w *walker) group(tasks []*found) {
	at := map[int32]int{}
	byAddr := map[uint64]int32{}
	for _, f := range tasks {
		byAddr[f.addr] = f.tgid
		if f.leader {
			at[f.tgid] = len(w.list.Tasks)
			w.list.Tasks = append(w.list.Tasks, w.y.decodeTask(f))
			w.creds = append(w.creds, w.y.task.Word(f.record, "cred"))
		}
	}
	for _, f := range tasks {
		i, ok := at[f.tgid]
		if !ok {
			w.list.Torn++
			continue
		}
		task := &w.list.Tasks[i]
		task.Threads++
		task.UTime += w.y.task.Word(f.record, "utime")
		task.STime += w.y.task.Word(f.record, "stime")
		if uint32(w.y.task.Word(f.record, "flags"))&PFExiting == 0 {
			task.Live++
		}
		if task.MM == 0 { // a dead leader has none, its living threads do
			task.MM = w.y.task.Word(f.record, "mm")
		}
	}
	w.tgids = byAddr
}

// parents names each task's parent. Only a parent that the walk did not see (a
// thread, by list; one that was torn) costs a read.
func (w *walker) parents(ctx context.Context) error {
	var reads []VARead
	var unseen []uint64
	for i := range w.list.Tasks {
		p := w.list.Tasks[i].RealParent
		if _, ok := w.tgids[p]; !ok && p != w.y.initTask && p != 0 {
			w.tgids[p] = 0
			reads, unseen = append(reads, w.y.task.Read(p)), append(unseen, p)
		}
	}
	if err := w.t.readVA(ctx, reads, w.batch); err != nil {
		return err
	}
	for i, p := range unseen {
		if reads[i].Err == nil {
			w.tgids[p] = int32(w.y.task.Word(reads[i].Buf, "tgid"))
		}
	}
	for i := range w.list.Tasks {
		w.list.Tasks[i].PPID = w.tgids[w.list.Tasks[i].RealParent]
	}
	return nil
}

// details reads credentials and mm of all tasks, each distinct one once.
func (w *walker) details(ctx context.Context) error {
	var want []VARead
	creds, mms := map[uint64][]byte{}, map[uint64][]byte{}
	ask := func(seen map[uint64][]byte, r *Record, addr uint64) {
		if _, ok := seen[addr]; !ok && addr != 0 {
			read := r.Read(addr)
			seen[addr] = read.Buf
			want = append(want, read)
		}
	}
	for i := range w.list.Tasks {
		ask(creds, &w.y.cred, w.creds[i])
		ask(mms, &w.y.mm, w.list.Tasks[i].MM)
	}
	if err := w.t.readVA(ctx, want, w.batch); err != nil {
		return err
	}
	bad := map[*byte]bool{}
	for i := range want {
		bad[&want[i].Buf[0]] = want[i].Err != nil
	}
	good := w.list.Tasks[:0]
	for i, task := range w.list.Tasks {
		cred, mm := creds[w.creds[i]], mms[task.MM]
		if cred == nil || bad[&cred[0]] || mm != nil && bad[&mm[0]] {
			w.list.Torn++
			continue
		}
		task.UID, task.EUID = uint32(w.y.cred.Word(cred, "uid")), uint32(w.y.cred.Word(cred, "euid"))
		if mm != nil {
			w.y.decodeMM(&task, mm)
		}
		good = append(good, task)
	}
	w.list.Tasks = good
	slices.SortFunc(w.list.Tasks, func(a, b Task) int { return cmp.Compare(a.PID, b.PID) })
	return nil
}
