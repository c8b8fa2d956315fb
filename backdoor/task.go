// SPDX-License-Identifier: Apache-2.0

package backdoor

import (
	"bytes"
	"math/bits"
)

// Flags of task_struct.flags, include/linux/sched.h.
const (
	PFExiting = 0x00000004
	PFKThread = 0x00200000
)

// Task is a process of the target as one walk saw it: raw values, hostile text.
type Task struct {
	Addr uint64 // of the leader's task_struct
	PID  int32  // the thread group's id in the initial pid namespace
	PPID int32  // 0 if the parent was not seen
	UID  uint32
	EUID uint32
	Comm string // the bytes before the first NUL, as the process chose them

	State     uint32 // task_struct.__state
	ExitState uint32
	Flags     uint32 // PF*
	StartTime uint64 // ns since boot; with PID the name of a process
	UTime     uint64 // ns, over the threads that were seen
	STime     uint64

	RealParent uint64 // address of the parent's task_struct
	MM         uint64 // address of the mm_struct; 0: kernel thread, or all of it freed

	// Pages; a counter may be off by as many as RSSError, each.
	File, Anon, Shmem, Swap uint64
	RSSError                uint64
	PgTables                uint64 // bytes

	Threads int // tasks of the thread group
	Live    int // of these, not exiting (signal->live)

	NSLevel int   // depth of its pid namespace; 0: the initial one
	NSPID   int32 // its pid there: 1 is a container's init; 0 if not known
	UserNS  bool  // of an init: its namespace hangs on a user namespace, which any user can make
}

// KThread reports whether it is a kernel thread.
func (t *Task) KThread() bool { return t.Flags&PFKThread != 0 }

// RSS returns the resident pages.
func (t *Task) RSS() uint64 { return t.File + t.Anon + t.Shmem }

// Footprint returns resident, swapped and page-table pages: what the kernel's
// own out-of-memory handler ranks by (oom_badness).
func (t *Task) Footprint() uint64 { return t.RSS() + t.Swap + t.PgTables/pageSize }

// States of a task, include/linux/sched.h.
const (
	taskReport = 0x7f  // what ps(1) tells apart
	taskIdle   = 0x402 // TASK_UNINTERRUPTIBLE | TASK_NOLOAD
)

// StateLetter is what ps(1) shows: R, S, D, T, t, X, Z, P or I, as the kernel's
// task_index_to_char has it.
func (t *Task) StateLetter() string {
	if t.State&taskIdle == taskIdle {
		return "I"
	}
	return "RSDTtXZP"[bits.Len32((t.State|t.ExitState)&taskReport):][:1]
}

// found is a task_struct that a walk came upon.
type found struct {
	addr    uint64
	index   int32  // the pid it was found under; 0: by list
	tgid    int32  // of the record, once it was read
	leader  bool   // by the pid hash; by list always
	record  []byte // task_struct members
	nsLevel int
	nsPID   int32
	ns      uint64 // address of that pid namespace
	userNS  bool
}

// containerInit: pid 1 of a namespace below the initial one.
func (f *found) containerInit() bool { return f.leader && f.nsLevel > 0 && f.nsPID == 1 }

// plausible tells a task from memory that was freed and used again.
func (y *taskLayout) plausible(f *found) bool {
	pid, tgid := int32(y.task.Word(f.record, "pid")), int32(y.task.Word(f.record, "tgid"))
	switch {
	case f.index != 0 && pid != f.index:
		return false
	case f.leader != (pid == tgid):
		return false
	}
	return pid > 0 && tgid > 0
}

// decodeTask fills what the leader's task_struct says.
func (y *taskLayout) decodeTask(f *found) Task {
	w := func(name string) uint64 { return y.task.Word(f.record, name) }
	comm := y.task.Bytes(f.record, "comm")
	if i := bytes.IndexByte(comm, 0); i >= 0 {
		comm = comm[:i]
	}
	return Task{
		Addr: f.addr, PID: int32(w("tgid")), Comm: string(comm), State: uint32(w("__state")), ExitState: uint32(w("exit_state")),
		Flags: uint32(w("flags")), StartTime: w("start_time"), RealParent: w("real_parent"), MM: w("mm"),
		NSLevel: f.nsLevel, NSPID: f.nsPID, UserNS: f.userNS,
	}
}

func (y *taskLayout) decodeMM(t *Task, buf []byte) {
	t.File, t.Anon = y.rss.counter(y, buf, 0), y.rss.counter(y, buf, 1)
	t.Swap, t.Shmem = y.rss.counter(y, buf, 2), y.rss.counter(y, buf, 3)
	t.PgTables = y.mm.Word(buf, "pgtables_bytes")
	t.RSSError = y.rss.bound(y.cpus, t.Threads)
}
