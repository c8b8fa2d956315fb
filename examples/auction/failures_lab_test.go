// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"lazystate/bench/soaktest"
	"lazystate/tools/lab"
	"lazystate/tools/lab/armed"
)

// failures are the ways in which machines fail (§3.9.2).
var failures = []struct {
	name   string
	strike func(v *victim)
}{
	{"stands", func(v *victim) { v.must(v.Stop(v.t.Context())) }},
	{"all CPUs hang, interrupts off", func(v *victim) { v.inject("spin 0-1 0") }},
	{"deadlock", func(v *victim) { v.inject("deadlock spin 0") }},
	{"panic", func(v *victim) { v.inject("panic") }},
	{"sysrq crash", func(v *victim) { v.Panic(v.t.Context()) }},
	{"the NIC's interrupts are lost", func(v *victim) {
		names, err := armed.NICInterrupts(v.t.Context(), v.VM)
		v.must(err)
		for _, name := range names {
			v.inject("lose_irq " + name + " 0")
		}
	}},
	{"the driver stops sending", func(v *victim) { v.inject("mute eth0 0") }},
}

// mishap is one of them, in the machines of some tiers.
type mishap struct {
	kernel        string
	front, middle bool
	failure       int
}

func (m mishap) String() string {
	tiers := map[[2]bool]string{{true, false}: "FE", {false, true}: "MT", {true, true}: "FE and MT"}
	return fmt.Sprint(m.kernel, ", ", tiers[[2]bool{m.front, m.middle}], ": ", failures[m.failure].name)
}

// mishaps are each failure in each tier and in both, on either kernel; as often in turn
// as AUCTION_MACHINES says.
func mishaps() (all []mishap) {
	for _, kernel := range []string{"6.12", "6.1"} {
		for failure := range failures {
			for _, tiers := range [][2]bool{{true, false}, {false, true}, {true, true}} {
				all = append(all, mishap{kernel, tiers[0], tiers[1], failure})
			}
		}
	}
	if n, err := strconv.Atoi(os.Getenv("AUCTION_MACHINES")); err == nil && n > 0 {
		all = slices.Repeat(all, 1+(n-1)/len(all))[:n]
	}
	return all
}

// Machines of either tier, and of both at once, fail in each of the ways there are, at a
// random moment of what a crowd is at: each reply is its request's, and the database has
// each update once (§3.9.4).
func TestMachinesFail(t *testing.T) {
	if !lab.Soak() {
		t.Skip("an hour: with LAZYSTATE_SOAK=1")
	}
	all := mishaps()
	book := soaktest.New(t, "../../bench/results/soak-auction-machines.json", lab.Seed(), len(all))
	for i, m := range all {
		t.Run(fmt.Sprint(i, " ", m), func(t *testing.T) {
			sited(t).suffers(m, lab.Seed()<<16+uint64(i))
			if !t.Failed() {
				book.Add("sound", 1)
			}
		})
	}
}

// suffers has it happen.
func (s *site) suffers(m mishap, seed uint64) {
	s.t.Helper()
	var fe, mt *victim
	var all []*victim
	if m.middle {
		mt = s.middleVictim(m.kernel)
		all = append(all, mt)
	}
	if m.front {
		fe = s.frontVictim(m.kernel)
		all = append(all, fe)
	}
	for _, v := range all {
		v.monitored()
		v.must(armed.Breakable(s.t.Context(), v.VM))
	}
	s.sound(s.asked(s.crowd(8, "bidding", seed), rand.New(rand.NewPCG(seed, 392)), func() {
		for _, v := range all {
			failures[m.failure].strike(v)
		}
		time.Sleep(detected)
		if fe != nil {
			s.frontRescued(fe)
		}
		if mt != nil {
			s.middleRescued(mt)
		}
	}))
}

// detected is when a monitor has noticed: what was injected has struck.
const detected = 200 * time.Millisecond

// inject has a fault strike.
func (v *victim) inject(fault string) {
	ctx, cancel := context.WithCancel(context.Background())
	v.t.Cleanup(cancel)
	armed.Break(ctx, v.VM, fault)
}
