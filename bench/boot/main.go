// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lazystate/bench/guest"
	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/tools/lab"
)

func main() {
	p := trial.Program{
		Name: "boot", About: "from QEMU's start to a usable guest, and from make drill to its first machine (section 3.9.2)", Runs: 5, Timeout: 15 * time.Minute,
		Takes: func(o *trial.Options) time.Duration {
			return time.Duration(1+o.Runs*len(machines))*trial.Boot + time.Duration(1+o.Runs)*2*trial.Boot
		},
		Measure: measure,
	}
	p.Exit()
}

// machines are what is booted: with vmlinuz the kernel unpacks and randomises itself.
var machines = []struct {
	name string
	lab  lab.Config
}{
	{"6.1, vmlinux (PVH)", lab.Config{Kernel: "6.1"}},
	{"6.1, vmlinuz", lab.Config{Kernel: "6.1", KASLR: true}},
	{"6.12, vmlinux (PVH)", lab.Config{Kernel: "6.12"}},
	{"6.12, vmlinuz", lab.Config{Kernel: "6.12", KASLR: true}},
}

func measure(ctx context.Context, o *trial.Options) (*result.Figure, error) {
	fig := &result.Figure{
		Title: "Boot of a target (3.9.2), and warm start of make drill", X: "what is waited for", Y: "s",
		Columns: []string{"with what the lab does around it, s"},
	}
	for _, m := range machines {
		fig.XNames = append(fig.XNames, m.name)
	}
	fig.XNames = append(fig.XNames, "make drill: first machine begun", "make drill: first machine up")
	fig.Notef("a guest is usable when its init has set it up and answers the lab; from the start of the QEMU process; the column: with initramfs and files before it")
	fig.Notef("make drill: from the command to the line that says so, everything built and cached by a run before")
	// The order changes with the run: a load that comes and goes hits all.
	took, around := make([][]float64, len(machines)), make([][]float64, len(machines))
	for run := range o.Runs {
		for i := range machines {
			i = (i + run) % len(machines)
			usable, all, err := boot(ctx, o, fig, i)
			if err != nil {
				return nil, fmt.Errorf("%s, run %d: %w", machines[i].name, run+1, err)
			}
			o.Logf("%s: usable after %.2f s, %.2f s in all", machines[i].name, usable, all)
			took[i], around[i] = append(took[i], usable), append(around[i], all)
		}
	}
	for i := range machines {
		fig.Add("ours: from QEMU's start", float64(i+1), took[i], fmt.Sprintf("%.3g", result.Median(around[i])))
	}
	return fig, warmStarts(ctx, o, fig)
}

// boot returns the seconds since the start of QEMU's process, and of the whole.
func boot(ctx context.Context, o *trial.Options, fig *result.Figure, i int) (usable, all float64, err error) {
	opts, start := *o, time.Now()
	opts.Kernel = machines[i].lab.Kernel
	g, err := guest.Boot(ctx, &opts, guest.Config{Name: "boot", Lab: machines[i].lab, Bare: true})
	if err != nil {
		return 0, 0, err
	}
	all = time.Since(start).Seconds()
	since, err := g.Age()
	describe(fig, g.Machine())
	return since.Seconds(), all, errors.Join(err, g.Close())
}

// describe makes the first guest the figure's, and names another kernel once.
func describe(fig *result.Figure, m result.Machine) {
	also := fmt.Sprintf("also booted: %s, package %s", m.GuestKernel, m.GuestPackage)
	switch {
	case fig.Machine.GuestKernel == "":
		fig.Machine = m
	case m.GuestKernel != fig.Machine.GuestKernel && !slices.Contains(fig.Notes, also):
		fig.Notef("%s", also)
	}
}
