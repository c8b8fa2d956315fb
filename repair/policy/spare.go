// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"slices"
)

// Spare says who is never killed. User 0 is spared unless Root is set, and with
// it who runs as effective user 0 for another; init, container inits and kernel
// threads always are.
type Spare struct {
	UIDs  []uint32
	Comms []Comm
	Root  bool // user 0 may be a culprit too
}

// Comm spares a command by name. A name is what a process chose for itself, so
// it protects only the Most oldest processes that carry it (0: 8).
type Comm struct {
	Name string
	UID  uint32 // of this user; AnyUID for all
	Most int
}

// mostElevated bounds how many processes of one user, the oldest, effective
// user 0 protects: anybody may start su as often as he likes.
const mostElevated = 16

// AnyUID in a Comm stands for every user.
const AnyUID = NoUID

const defaultMost = 8

func (c *Comm) matches(p *Process) bool {
	return p.Comm == c.Name && (c.UID == AnyUID || c.UID == p.UID)
}

// never says why a process is out of reach of every policy; "" if it is not.
func never(p *Process) string {
	switch {
	case p.Kernel:
		return "kernel thread"
	case p.PID <= 1:
		return "init"
	case p.Protected:
		return "init of a container"
	case p.UID == NoUID || p.EUID == NoUID:
		return "invalid uid"
	}
	return ""
}

// user says why processes of this user are spared; "" if they are not.
func (s *Spare) user(p *Process) string {
	switch {
	case !s.Root && p.UID == 0:
		return "user 0"
	case slices.Contains(s.UIDs, p.UID):
		return "spared user"
	}
	return ""
}

// elevated returns the indices of processes spared for their effective user.
func (s *Spare) elevated(procs []Process) map[int]bool {
	spared := map[int]bool{}
	if s.Root {
		return spared
	}
	byUser := map[uint32][]int{}
	for i := range procs {
		if p := &procs[i]; p.EUID == 0 && p.UID != 0 {
			byUser[p.UID] = append(byUser[p.UID], i)
		}
	}
	for _, all := range byUser {
		for _, i := range oldest(procs, all, mostElevated) {
			spared[i] = true
		}
	}
	return spared
}

// commands returns the indices of processes spared for their name.
func (s *Spare) commands(procs []Process) map[int]bool {
	spared := map[int]bool{}
	for i := range s.Comms {
		c := &s.Comms[i]
		var named []int
		for j := range procs {
			if c.matches(&procs[j]) {
				named = append(named, j)
			}
		}
		for _, j := range oldest(procs, named, cmp.Or(c.Most, defaultMost)) {
			spared[j] = true
		}
	}
	return spared
}

// oldest sorts indices of processes by age and returns the first most of them.
func oldest(procs []Process, indices []int, most int) []int {
	slices.SortFunc(indices, func(a, b int) int {
		return cmp.Or(cmp.Compare(procs[a].Start, procs[b].Start), cmp.Compare(procs[a].PID, procs[b].PID))
	})
	return indices[:min(most, len(indices))]
}
