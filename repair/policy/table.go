// SPDX-License-Identifier: Apache-2.0

package policy

import "time"

// NoUID is the kernel's invalid uid; no process has it, so a table that says
// so is not believed.
const NoUID = ^uint32(0)

// Process is one thread group as it was read from a target.
type Process struct {
	PID, PPID  int32 // thread group ids in the initial pid namespace
	UID, EUID  uint32
	Comm       string // hostile text
	State      byte   // R S D T Z ..., as ps prints it
	Start      time.Duration
	CPU        time.Duration
	Threads    int
	MM         uint64 // identity of the address space; 0: it has none
	RSS        uint64 // bytes, as the two below
	Swap       uint64
	PageTables uint64

	Kernel    bool // a kernel thread
	Protected bool // init of a container, but not of one that any user can make
	Exiting   bool
}

// Footprint is what the kernel's own OOM handler ranks by (mm/oom_kill.c,
// oom_badness), in bytes. It saturates: the numbers come from a target.
func (p *Process) Footprint() uint64 {
	return add(add(p.RSS, p.Swap), p.PageTables)
}

// Alive reports whether killing the process could still free anything.
func (p *Process) Alive() bool { return p.MM != 0 && p.State != 'Z' }

func add(a, b uint64) uint64 {
	if s := a + b; s >= a {
		return s
	}
	return ^uint64(0)
}

// Table is a process table at a moment of the target's clock since boot.
type Table struct {
	Processes []Process
	Now       time.Duration
	Forks     map[uint32]float64 // forks per second by uid, where the target counts them
}
