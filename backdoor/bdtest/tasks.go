// SPDX-License-Identifier: Apache-2.0

package bdtest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"lazystate/backdoor/uapi"
)

// Proc is a process of the synthetic target. Zero fields get sensible values:
// the next free pid, init as parent, one thread, a start time that rises.
type Proc struct {
	PID, PPID    int
	UID, EUID    uint32 // EUID 0 with another UID: equal to UID, unless SetUID
	SetUID       bool
	Comm         string
	State, Flags uint32
	StartTime    uint64 // ns
	UTime, STime uint64 // ns
	File, Anon   uint64 // pages
	Shmem, Swap  uint64 // pages
	PgTables     uint64 // bytes
	KThread      bool
	Threads      int
	Zombie       bool // the leader has exited; with Threads > 1 the rest lives on
	Container    bool // init of a pid namespace of its own
	UserNS       bool // which an ordinary user has made
}

// PFKThread and PFExiting are flags of include/linux/sched.h.
const (
	PFExiting = 0x00000004
	PFKThread = 0x00200000
)

type process struct {
	Proc
	task    uint64 // physical, as all below
	cred    uint64
	mm      uint64
	signal  uint64
	pid     uint64
	threads []thread
	pending []uint32 // signals that act when the CPUs run again
}

type thread struct {
	task, pid uint64
	tid       int
}

func (t *Target) buildTasks() {
	t.buildIDR()
	t.initPID = &process{Proc: Proc{Comm: "swapper/0", KThread: true, Threads: 1}}
	p := t.initPID
	p.task = t.alloc(uint64(t.off["task_struct"].Off))
	p.cred = t.alloc(uint64(t.off["cred"].Off))
	p.signal = t.alloc(uint64(t.off["signal_struct"].Off))
	list := t.field(p.task, "task_struct.tasks")
	t.put64(list, t.va(p, list))
	t.put64(list+8, t.va(p, list))
	t.writeTask(p, p.task, 0)
	t.add(Proc{Comm: "init"})
}

func (t *Target) field(pa uint64, name string) uint64 {
	m, ok := t.off[name]
	if !ok {
		panic("bdtest: no member " + name)
	}
	return pa + uint64(m.Off)
}

// va is how the kernel names a byte of a process: init_task lies in the image.
func (t *Target) va(p *process, pa uint64) uint64 {
	if p == t.initPID {
		return t.symbol(pa)
	}
	return t.direct(pa)
}

// AddProcess starts a process and returns it with every field filled in.
func (t *Target) AddProcess(p Proc) Proc {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.add(p)
}

// Fork adds a process if the one that makes it lives and no lock holds the CPUs,
// and says whether it did. Neither changes meanwhile.
func (t *Target) Fork(by int, p Proc) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.procs[by] == nil || t.kernel.held() {
		return false
	}
	t.add(p)
	return true
}

func (t *Target) add(in Proc) Proc {
	p := &process{Proc: t.complete(in)}
	p.cred = t.alloc(uint64(t.off["cred"].Off))
	p.signal = t.alloc(uint64(t.off["signal_struct"].Off))
	t.put32(t.field(p.cred, "cred.uid"), p.UID)
	t.put32(t.field(p.cred, "cred.euid"), p.EUID)
	if !p.KThread && (!p.Zombie || p.Threads > 1) {
		p.mm = t.alloc(uint64(t.off["mm_struct"].Off))
		t.writeMM(p)
	}
	for i := range p.Threads {
		tid := p.PID
		if i > 0 {
			tid = t.freePID()
		}
		p.threads = append(p.threads, t.newThread(p, tid, i == 0))
	}
	p.task, p.pid = p.threads[0].task, p.threads[0].pid
	live := p.Threads
	if p.Zombie {
		live--
	}
	t.put32(t.field(p.signal, "signal_struct.nr_threads"), uint32(p.Threads))
	t.put32(t.field(p.signal, "signal_struct.live"), uint32(live))
	t.linkTask(p.task)
	t.procs[p.PID] = p
	return p.Proc
}

func (t *Target) complete(p Proc) Proc {
	if p.PID == 0 {
		p.PID = t.freePID()
	} else if p.PID >= t.nextPID {
		t.nextPID = p.PID + 1
	}
	if _, ok := t.procs[p.PID]; ok {
		panic(fmt.Sprintf("bdtest: pid %d is taken", p.PID))
	}
	p.Threads = max(p.Threads, 1)
	if p.PPID == 0 && p.PID != 1 {
		p.PPID = 1
	}
	if p.EUID == 0 && !p.SetUID {
		p.EUID = p.UID
	}
	if p.StartTime == 0 {
		p.StartTime = uint64(p.PID) * 1_000_003
	}
	if p.KThread {
		p.Flags |= PFKThread
	}
	return p
}

func (t *Target) freePID() int {
	t.nextPID++
	return t.nextPID - 1
}

func (t *Target) newThread(p *process, tid int, leader bool) thread {
	th := thread{tid: tid, task: t.alloc(uint64(t.off["task_struct"].Off)), pid: t.alloc(uint64(t.off["pid"].Off))}
	t.writeTask(p, th.task, tid)
	t.put32(t.field(th.pid, "pid.numbers"), uint32(tid))
	if p.Container && leader {
		t.contain(th.pid, p.UserNS)
	}
	links, heads := t.field(th.task, "task_struct.pid_links"), t.field(th.pid, "pid.tasks")
	t.put64(heads, t.direct(links))
	if leader {
		t.put64(heads+8, t.direct(links+pidLinkSize))
	}
	t.idrSet(tid, t.direct(th.pid))
	return th
}

// contain gives a struct pid the number 1 in a namespace below the initial one.
func (t *Target) contain(pid uint64, user bool) {
	ns, owner := t.alloc(uint64(t.off["pid_namespace"].Off)), t.symbol(t.idr.user)
	if user {
		owner = t.direct(t.alloc(64))
	}
	t.put64(t.field(ns, "pid_namespace.user_ns"), owner)
	t.put32(t.field(pid, "pid.level"), 1)
	t.put32(t.field(pid, "pid.numbers")+16, 1)
	t.put64(t.field(pid, "pid.numbers")+24, t.direct(ns))
}

func (t *Target) writeTask(p *process, task uint64, tid int) {
	flags, exit := p.Flags, uint32(0)
	if p.Zombie && tid == p.PID {
		flags, exit = flags|PFExiting, 32
	}
	for name, v := range map[string]uint32{"__state": p.State, "flags": flags, "exit_state": exit, "pid": uint32(tid), "tgid": uint32(p.PID)} {
		t.put32(t.field(task, "task_struct."+name), v)
	}
	mm := uint64(0)
	if p.mm != 0 && exit == 0 {
		mm = t.direct(p.mm)
	}
	for name, v := range map[string]uint64{
		"real_parent": t.parentVA(p.PPID), "real_cred": t.direct(p.cred), "cred": t.direct(p.cred), "signal": t.direct(p.signal),
		"mm": mm, "start_time": p.StartTime, "utime": p.UTime, "stime": p.STime,
	} {
		t.put64(t.field(task, "task_struct."+name), v)
	}
	uapi.PutCString(t.at(t.field(task, "task_struct.comm"), 16), p.Comm)
}

func (t *Target) parentVA(ppid int) uint64 {
	if p, ok := t.procs[ppid]; ok {
		return t.direct(p.task)
	}
	return t.symbol(t.initPID.task)
}

// writeMM stores rss in the order of enum mm_counters: file, anon, swap, shmem.
func (t *Target) writeMM(p *process) {
	stat := t.field(p.mm, "mm_struct.rss_stat")
	for i, v := range []uint64{p.File, p.Anon, p.Swap, p.Shmem} {
		if t.cfg.rss == RSSPerCPU {
			t.put64(stat+uint64(i)*percpuCounterSize+percpuCounterCount, v)
		} else {
			t.put64(stat+uint64(i)*8, v)
		}
	}
	t.put64(t.field(p.mm, "mm_struct.pgtables_bytes"), p.PgTables)
}

// linkTask puts a task at the end of the circular list.
func (t *Target) linkTask(task uint64) {
	head := t.field(t.initPID.task, "task_struct.tasks")
	link := t.field(task, "task_struct.tasks")
	last := t.physical(t.get64(head + 8))
	t.put64(link, t.symbol(head))
	t.put64(link+8, t.get64(head+8))
	t.put64(last, t.direct(link))
	t.put64(head+8, t.direct(link))
}

// RemoveProcess ends a process at once; its memory is used again.
func (t *Target) RemoveProcess(pid int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.remove(pid)
}

func (t *Target) remove(pid int) {
	p, ok := t.procs[pid]
	if !ok {
		return
	}
	link := t.field(p.task, "task_struct.tasks")
	next, prev := t.get64(link), t.get64(link+8)
	t.put64(t.physical(prev), next)
	t.put64(t.physical(next)+8, prev)
	for _, th := range p.threads {
		t.idrSet(th.tid, 0)
		t.release(th.task, uint64(t.off["task_struct"].Off))
		t.release(th.pid, uint64(t.off["pid"].Off))
	}
	t.release(p.cred, uint64(t.off["cred"].Off))
	t.release(p.signal, uint64(t.off["signal_struct"].Off))
	if p.mm != 0 {
		t.release(p.mm, uint64(t.off["mm_struct"].Off))
	}
	delete(t.procs, pid)
	for _, child := range t.procs {
		if child.PPID != pid {
			continue
		}
		child.PPID = 1
		for _, th := range child.threads {
			t.put64(t.field(th.task, "task_struct.real_parent"), t.parentVA(1))
		}
	}
}

// Processes returns what runs, by pid.
func (t *Target) Processes() []Proc {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []Proc
	for _, p := range slices.SortedFunc(maps.Values(t.procs), func(a, b *process) int { return cmp.Compare(a.PID, b.PID) }) {
		all = append(all, p.Proc)
	}
	return all
}

// Alive reports whether a process of that pid runs.
func (t *Target) Alive(pid int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.procs[pid] != nil
}

// TaskAddr returns the kernel address of a process's leader; pid 0 is init_task.
func (t *Target) TaskAddr(pid int) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if pid == 0 {
		return t.symbol(t.initPID.task)
	}
	return t.direct(t.procs[pid].task)
}
