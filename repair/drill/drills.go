// SPDX-License-Identifier: Apache-2.0

package drill

import (
	"slices"
	"strconv"

	"lazystate/repair/policy"
)

// Users of the drills.
const (
	UsefulUID   = 1000
	DatabaseUID = 1001
	RogueUID    = 65534
	SecondUID   = 65533
)

// Program is one of the programs of folder c.
type Program struct {
	Args   []string
	UID    int
	OOMAdj int // oom_score_adj; -1000: the kernel's OOM handler must not kill it
}

func program(uid int, name string, numbers ...int) Program {
	p := Program{Args: []string{name}, UID: uid}
	for _, n := range numbers {
		p.Args = append(p.Args, strconv.Itoa(n))
	}
	return p
}

func protected(p Program) Program { p.OOMAdj = -1000; return p }

// Resource is what a drill exhausts.
type Resource uint8

const (
	Processes Resource = iota + 1
	Memory
)

// Drill is one experiment.
type Drill struct {
	Name, About string
	Resource    Resource
	Rogues      []Program
	Decent      []Program      // beside the useful program; must live on
	Victims     []Program      // fair game for the kernel's own OOM handler
	Limits      []policy.Basic // who is above all of them is the culprit
	Spare       policy.Spare
	Harmless    bool      // a negative control: nothing may be killed
	Crosses     bool      // a control that goes beyond L, or wakes the OOM handler, and settles by itself
	Idle        bool      // a control without any rogue, as long as the caller wants
	Loses       bool      // without repair the machine is lost
	Demo        bool      // part of make drill
	Grow        []Program // larger sizes, tried if the first does not lose the machine
}

const mib = 1 << 20

var database = program(DatabaseUID, "resident", 24)

func limit(kind policy.Kind, limit float64) []policy.Basic {
	return []policy.Basic{{Kind: kind, Limit: limit}}
}

// Policy is the drill's limits as one policy.
func (d *Drill) Policy() policy.Policy {
	if len(d.Limits) == 1 {
		return d.Limits[0]
	}
	var parts []policy.Policy
	for _, l := range d.Limits {
		parts = append(parts, l)
	}
	return policy.All(parts...)
}

// All are the drills, those of make drill first.
var All = []Drill{
	{
		Name: "forkbomb-cpu", About: "400 busy processes that refill", Resource: Processes, Demo: true, Loses: true,
		Rogues: []Program{program(RogueUID, "bomb-cpu", 400)}, Decent: []Program{database},
		Limits: limit(policy.PolicyTooManyProcs, 100),
		Grow:   []Program{program(RogueUID, "bomb-cpu", 1500), program(RogueUID, "bomb-cpu", 0)},
	},
	{
		Name: "forkbomb-io", About: "400 processes that copy /dev/zero to /dev/null and refill", Resource: Processes, Demo: true, Loses: true,
		Rogues: []Program{program(RogueUID, "bomb-io", 400)}, Decent: []Program{database},
		Limits: limit(policy.PolicyTooManyProcs, 100),
		Grow:   []Program{program(RogueUID, "bomb-io", 1500), program(RogueUID, "bomb-io", 0)},
	},
	{
		Name: "memhog", About: "30 hogs of 64 MiB under a controller that respawns them", Resource: Memory, Demo: true, Loses: true,
		Rogues: []Program{program(RogueUID, "hog-pool", 30, 64)}, Decent: []Program{database},
		Limits: limit(policy.PolicyMaxRSSUIDSaveUID, 128*mib), Spare: policy.Spare{UIDs: []uint32{DatabaseUID}},
		Grow: []Program{program(RogueUID, "hog-pool", 60, 64), program(RogueUID, "hog-pool", 120, 64)},
	},
	{
		Name: "rate", About: "short-lived processes that stay under every limit of number", Resource: Processes,
		Rogues: []Program{program(RogueUID, "bomb-short", 20, 1)}, Limits: limit(policy.PolicyRateTooHigh, 40),
	},
	{
		Name: "deep", About: "a chain of 200 processes, each the child of the last", Resource: Processes,
		Rogues: []Program{program(RogueUID, "bomb-deep", 200)}, Limits: limit(policy.PolicyTreeTooDeep, 40),
	},
	{
		Name: "full", About: "a process table filled by sleepers", Resource: Processes,
		Rogues: []Program{program(RogueUID, "bomb-sleep", 0)}, Limits: limit(policy.PolicyTooManyProcs, 100),
	},
	{
		Name: "threads", About: "one process of 300 busy threads", Resource: Processes,
		Rogues: []Program{program(RogueUID, "bomb-threads", 300)}, Limits: limit(policy.PolicyTooManyProcs, 100),
	},
	{
		Name: "two-users", About: "two bombs of 200 processes at once", Resource: Processes,
		Rogues: []Program{program(RogueUID, "bomb-cpu", 200), program(SecondUID, "bomb-cpu", 200)},
		Limits: limit(policy.PolicyTooManyProcs, 60),
	},
	{
		Name: "combined", About: "many processes and fast: both limits at once", Resource: Processes,
		Rogues: []Program{program(RogueUID, "bomb-short", 200, 400)},
		Limits: []policy.Basic{{Kind: policy.PolicyTooManyProcs, Limit: 60}, {Kind: policy.PolicyRateTooHigh, Limit: 40}},
	},
	{
		Name: "one-large", About: "one large process that the kernel's OOM handler may not kill: it kills small ones over and over", Resource: Memory,
		Rogues:  []Program{protected(program(RogueUID, "hog-one", 2000, 16))},
		Victims: []Program{program(SecondUID, "hog-pool", 8, 24)}, Limits: limit(policy.PolicyMaxRSS, 128*mib),
	},
	{
		Name: "many-small", About: "120 hogs of 16 MiB, none larger than the innocent", Resource: Memory,
		Rogues: []Program{program(RogueUID, "hog-pool", 120, 16)}, Decent: []Program{database},
		Limits: limit(policy.PolicyMaxRSSUID, 128*mib),
	},
	{
		Name: "swapped-out", About: "hogs beside a resident innocent whose rss is larger", Resource: Memory,
		Rogues: []Program{program(RogueUID, "hog-pool", 40, 40)}, Decent: []Program{program(DatabaseUID, "resident", 96)},
		Limits: limit(policy.PolicyMaxRSSUIDSaveUID, 160*mib),
	},
	{
		Name: "spared", About: "hogs beside a spared user that is as large", Resource: Memory,
		Rogues: []Program{program(RogueUID, "hog-pool", 30, 48)}, Decent: []Program{program(DatabaseUID, "resident", 160)},
		Limits: limit(policy.PolicyMaxRSSUIDSaveUID, 128*mib), Spare: policy.Spare{UIDs: []uint32{DatabaseUID}},
	},
	{
		Name: "hogs-that-fit", About: "5 hogs that fit into memory and swap", Resource: Memory, Harmless: true,
		Rogues: []Program{program(RogueUID, "hog-pool", 5, 40)}, Limits: limit(policy.PolicyMaxRSSUID, 128*mib),
	},
	{
		Name: "build", About: "a parallel build, 16 wide", Resource: Processes, Harmless: true,
		Rogues: []Program{program(RogueUID, "build", 16, 200)}, Limits: limit(policy.PolicyTooManyProcs, 100),
	},
	{
		Name: "burst", About: "300 processes that end by themselves", Resource: Processes, Harmless: true, Crosses: true,
		Rogues: []Program{program(RogueUID, "burst", 300, 1500)}, Limits: limit(policy.PolicyTooManyProcs, 100),
	},
	{
		Name: "one-oom", About: "one kill of the kernel's own OOM handler, which settles it", Resource: Memory, Harmless: true, Crosses: true,
		Rogues: []Program{program(RogueUID, "hog-one", 1200)}, Limits: limit(policy.PolicyMaxRSS, 128*mib),
	},
	{
		Name: "idle", About: "a machine with nothing but decent programs", Resource: Processes, Harmless: true, Idle: true,
		Decent: []Program{database}, Limits: limit(policy.PolicyTooManyProcs, 100),
	},
}

// ByName returns a drill, nil if there is none of that name.
func ByName(name string) *Drill {
	if i := slices.IndexFunc(All, func(d Drill) bool { return d.Name == name }); i >= 0 {
		return &All[i]
	}
	return nil
}
