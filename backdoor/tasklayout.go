// SPDX-License-Identifier: Apache-2.0

package backdoor

// taskLayout is where the target's kernel keeps what a process table needs.
type taskLayout struct {
	task, cred, mm, signal, pid, node, head Record

	initTask uint64 // kernel virtual address
	initUser uint64 // of the initial user namespace; 0: the manifest does not tell
	userNS   Record // of struct pid_namespace
	tasks    uint64 // offset of the list link in a task
	links    uint64 // offset of pid_links
	rss      rssLayout
	cpus     uint64
}

const (
	pidLinkSize = 16 // struct hlist_node
	typePID     = 0  // enum pid_type
	typeTGID    = 1
	xaSlots     = 64 // XA_CHUNK_SIZE
	xaShift     = 6
)

// newTaskLayout takes the offsets from the manifest; *MissingError names all
// that are not there.
func newTaskLayout(m *Manifest) (*taskLayout, error) {
	l := NewFields(m)
	y := &taskLayout{
		task: l.Record("task_struct", "__state", "flags", "pid", "tgid", "real_parent", "tasks", "mm", "comm",
			"start_time", "utime", "stime", "exit_state", "signal"),
		cred:     l.Record("cred", "uid", "euid"),
		mm:       l.Record("mm_struct", "rss_stat", "pgtables_bytes"),
		signal:   l.Record("signal_struct", "live", "nr_threads"),
		pid:      l.Record("pid", "tasks"),
		node:     l.Record("xa_node", "shift", "slots"),
		initTask: l.Value("init_task"),
		tasks:    uint64(l.Member("task_struct.tasks").Off),
		links:    uint64(l.Member("task_struct.pid_links").Off),
	}
	y.credPointer(l)
	y.pidNumbers(l)
	y.idrHead(l)
	y.rss = newRSSLayout(l)
	if m, ok := m.Offset("pid_namespace.user_ns"); ok {
		y.userNS = Record{}
		y.userNS.Add("user_ns", m)
		y.initUser = l.Value("init_user_ns")
	}
	y.cpus, _ = m.Value("ncpus")
	if err := l.Err(); err != nil {
		return nil, err
	}
	if n := y.perTask(); n > maxPerTask {
		return nil, corrupt("manifest", "a process takes reads of %d bytes", n)
	}
	return y, nil
}

const (
	// maxPerTask is several times what any kernel's structures span.
	maxPerTask = 128 << 10
	// maxWalk bounds the memory of one walk, whatever the manifest says.
	maxWalk = 1 << 30
)

// perTask is how many bytes a walk reads for each process, at most.
func (y *taskLayout) perTask() uint64 {
	n := uint64(0)
	for _, r := range []*Record{&y.task, &y.cred, &y.mm, &y.signal, &y.pid, &y.node, &y.userNS} {
		n += r.size
	}
	return n
}

// credPointer prefers real_cred: what a task is, not what it acts as.
func (y *taskLayout) credPointer(l *Fields) {
	for _, name := range []string{"task_struct.real_cred", "task_struct.cred"} {
		if m, ok := l.m.Offset(name); ok {
			y.task.Add("cred", m)
			return
		}
	}
	l.missing = append(l.missing, "task_struct.real_cred")
}

// pidNumbers adds pid.level and the numbers in the first namespaces: [0] must
// be the index under which the pid was found, [level] is what the container sees.
func (y *taskLayout) pidNumbers(l *Fields) {
	m := l.Member("pid.numbers")
	m.Size = upidSize * upidLevels
	y.pid.Add("numbers", m)
	if level, ok := l.m.Offset("pid.level"); ok {
		y.pid.Add("level", level)
	}
}

const (
	upidSize   = 16 // struct upid {int nr; struct pid_namespace *ns}
	upidNS     = 8
	upidLevels = 4
)

func (y *taskLayout) idrHead(l *Fields) {
	ns := l.Value("init_pid_ns")
	off := l.Member("pid_namespace.idr").Off + l.Member("idr.idr_rt").Off + l.Member("xarray.xa_head").Off
	y.head = Record{base: ns + uint64(off), size: 8}
}

// rssLayout reads mm_struct.rss_stat in both of its forms.
type rssLayout struct {
	stride int // bytes from one counter to the next
	count  int // offset of the value in a counter
	percpu bool
}

const (
	mmCounters = 4 // MM_FILEPAGES, MM_ANONPAGES, MM_SWAPENTS, MM_SHMEMPAGES

	// threadEvents is TASK_RSS_EVENTS_THRESH: what a thread keeps to itself, to 6.1.
	threadEvents = 64
	// counterBatch is the floor of percpu_counter_batch, from 6.2: max(32, 2 * CPUs).
	counterBatch = 32
)

func newRSSLayout(l *Fields) rssLayout {
	m := l.Member("mm_struct.rss_stat")
	r := rssLayout{stride: int(m.Size) / mmCounters}
	if r.stride > 8 {
		r.percpu = true
		r.count = int(l.Member("percpu_counter.count").Off)
	}
	return r
}

// counter returns counter i in pages; what is not yet summed up may make it negative.
func (r rssLayout) counter(y *taskLayout, buf []byte, i int) uint64 {
	if r.stride < 8 || r.count+8 > r.stride {
		return 0
	}
	v := int64(y.mm.WordAt(buf, "rss_stat", i*r.stride+r.count))
	return uint64(max(v, 0))
}

// bound is how far a counter may be from the truth, in pages.
func (r rssLayout) bound(cpus uint64, threads int) uint64 {
	if r.percpu {
		return cpus * max(counterBatch, 2*cpus)
	}
	return uint64(threads) * threadEvents
}
