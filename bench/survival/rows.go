// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strconv"

	"lazystate/bench/guest"
	"lazystate/sensorbox"
)

// row is one way in which a target is broken.
type row struct {
	name, title string
	strike      strike // nil: nothing happens
	rogue       []string
	right       []sensorbox.Kind // that tell what has happened
	wrong       []sensorbox.Kind // that are false
	canary      bool             // a program that goes through the lock has a sensor
	onNIC       bool             // the programs to be killed are on the NIC's CPU: who is to die needs one that lives
}

// CPU 0 answers for the NIC, CPU 1 runs the programs.
const nicCPU, userCPU = 0, 1

// Kinds of events by what they say.
var (
	deaths = []sensorbox.Kind{sensorbox.Failed, sensorbox.Panicked, sensorbox.Gone, sensorbox.Replaced, sensorbox.Withdrawn, sensorbox.Corrupt, sensorbox.Fenced}
	doubts = []sensorbox.Kind{sensorbox.Stalled, sensorbox.Suspected, sensorbox.Exceeded, sensorbox.Pressed}
	paths  = []sensorbox.Kind{sensorbox.HandOver, sensorbox.Unreachable}
	hang   = []sensorbox.Kind{sensorbox.Stalled, sensorbox.Suspected, sensorbox.Failed, sensorbox.Panicked, sensorbox.Unreachable}
	lies   = []sensorbox.Kind{sensorbox.Gone, sensorbox.Replaced, sensorbox.Withdrawn, sensorbox.Corrupt, sensorbox.Fenced, sensorbox.HandOver} // of a hang
)

func kinds(of ...[]sensorbox.Kind) []sensorbox.Kind { return slices.Concat(of...) }

// rows of the matrix.
var rows = []row{
	{name: "idle", title: "idle", wrong: kinds(deaths, doubts, paths)},
	{name: "bomb-cpu", title: "fork bomb, CPU-bound", rogue: []string{"bomb-cpu", "130"}, right: doubts, wrong: deaths},
	{name: "bomb-io", title: "fork bomb, I/O-bound", rogue: []string{"bomb-io", "130"}, right: doubts, wrong: deaths},
	{name: "hog", title: "memory hogs, with swap", rogue: []string{"hog-pool", "2", "160"}, right: doubts, wrong: deaths},
	{name: "spin-other", title: "one CPU spins, interrupts off: not the NIC's", strike: inject("spin 1 0"), right: hang, wrong: lies, onNIC: true},
	{name: "spin-nic", title: "one CPU spins, interrupts off: the NIC's", strike: inject("spin 0 0"), right: hang, wrong: lies},
	{name: "spin-all", title: "all CPUs spin, interrupts off", strike: inject("spin 0-1 0"), right: hang, wrong: lies},
	{name: "softirq", title: "softirq storm on all CPUs", strike: inject("softirq_storm 0-1 0"), right: kinds(doubts, hang), wrong: lies},
	{name: "deadlock", title: "deadlock on a global lock", strike: inject("deadlock rtnl 0"), right: kinds(doubts, hang), wrong: lies, canary: true},
	{name: "halt", title: "CPUs halted, interrupts off", strike: inject("halt 0-1"), right: hang, wrong: lies},
	{name: "mask-apic", title: "interrupt controller masked", strike: inject("mask_apic 0-1 0"), right: hang, wrong: lies},
	{name: "lose-irq", title: "the NIC's interrupts are lost", strike: loseIRQs, right: kinds(doubts, paths), wrong: deaths},
	{name: "crash-irq", title: "crash in the NIC's interrupt handler", strike: crashIRQ, right: hang, wrong: lies},
	{name: "debugger", title: "trapped in the kernel debugger", strike: inject("debugger"), right: hang, wrong: lies},
	{name: "frozen", title: "frozen by the OS lock itself", strike: freeze, right: paths, wrong: deaths},
	{name: "panic", title: "panic", strike: inject("panic"), right: hang, wrong: lies},
	{name: "sysrq-c", title: "crash by sysrq", strike: sysrq, right: hang, wrong: lies},
	{name: "stopped", title: "vCPUs stopped (QMP)", strike: stopped, right: hang, wrong: lies},
	{name: "cut", title: "link cut", strike: cut, right: kinds(paths, []sensorbox.Kind{sensorbox.Suspected}), wrong: deaths},
	{name: "loss", title: "20 % packet loss", strike: loss, wrong: kinds(deaths, doubts, paths)},
	{name: "reboot", title: "target rebooted", strike: reboot, right: kinds(paths, hang, deaths)},
}

func rowNamed(name string) *row {
	i := slices.IndexFunc(rows, func(r row) bool { return r.name == name })
	if i < 0 {
		return nil
	}
	return &rows[i]
}

// rogueUID is the user of the programs that a carrier is to repair: each has one
// of its own, so that the second has something left to do.
func rogueUID(c guest.Carrier) int { return 3000 + slices.Index(guest.Carriers, c) }

// resting is what is killed where nothing in the row is rogue by itself.
var resting = []string{"bomb-sleep", strconv.Itoa(restingProcs - 1)}

const restingProcs = 4
