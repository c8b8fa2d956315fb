// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"lazystate/bench/guest"
	"lazystate/internal/pause"
	"lazystate/repair/drill"
	"lazystate/tools/lab"
)

// runner runs drills, each on a machine of its own.
type runner struct {
	kernel, state, modules string
	carrier                carrier
	debian                 bool // Debian's kernel command line
	rogue, agent, monitor  string
	canary, nic, pipe      string
	swapMiB                int
	well                   float64 // how much longer than before a healed iteration may take
	out                    *console
	verbose                bool
	auditPath              string        // of every monitor that is started
	before                 time.Duration // how long the useful program runs alone
	after                  time.Duration // how long a healed machine must be well
	quiet, idle            time.Duration // how long a negative control is left alone
	serial                 int
	emulated               bool // which was told
}

const (
	usefulLoops = 300_000_000 // a second or two: the paper's takes 5
	beforeLeast = 4           // iterations
	beforeMost  = 10 * time.Minute
	healWithin  = 3 * time.Minute
)

// stderr is where the monitors' logs go beside their files.
func (r *runner) stderr() io.Writer {
	if !r.verbose {
		return io.Discard
	}
	return r.out.w
}

// fresh boots a machine with the decent programs in it.
func (r *runner) fresh(ctx context.Context, d *drill.Drill, row *drillRun) (*machine, error) {
	r.out.say("%s: booting a %s target of 2 vCPUs, 512 MiB, %d MiB of swap", d.Name, r.kernel, r.swapMiB)
	m, err := r.bootTwice(ctx)
	if err != nil {
		return nil, err
	}
	row.Kernel, row.Accel, row.machine = m.vm.Release(), m.vm.Info().Accel, guest.MachineOf(m.vm)
	if !r.emulated && lab.Emulates(row.Accel) {
		r.emulated = true
		r.out.say(lab.NoKVM)
	}
	for _, p := range append(slices.Clone(d.Decent), d.Victims...) {
		if _, err := m.release(ctx, p); err != nil {
			return m, err
		}
	}
	return m, nil
}

// bootTwice tries a boot that failed once more, and says so: under emulation on
// a busy host a kernel's own timers make it panic now and then.
func (r *runner) bootTwice(ctx context.Context) (*machine, error) {
	for try := 1; ; try++ {
		r.serial++
		m, err := r.boot(ctx, fmt.Sprintf("drill-%d-%d", os.Getpid(), r.serial))
		if err == nil || try == 2 || ctx.Err() != nil {
			return m, err
		}
		r.out.say("the target did not boot; once more: %v", err)
	}
}

// measure runs the useful program alone until it is known how long it takes.
func (r *runner) measure(ctx context.Context, d *drill.Drill, m *machine, row *drillRun) error {
	m.startUseful(ctx, usefulLoops)
	r.out.say("%s: %s is up; the useful program runs alone", d.Name, m.vm.Release())
	// The first iteration pays for the pages it touches.
	from := time.Now().Add(time.Second)
	for len(m.before) < beforeLeast || time.Since(from) < r.before {
		if time.Since(from) > beforeMost {
			return fmt.Errorf("the useful program ended %d iterations in %v: this host is too slow or too busy", len(m.before), beforeMost)
		}
		if err := pause.For(ctx, time.Second); err != nil {
			return err
		}
		m.before = m.iterations(from, time.Now())
	}
	now := time.Now()
	m.pace = m.useful.Between(from, now).Median()
	row.Before, row.RawBefore, row.HostBefore = m.before.Median(), m.pace, m.host.share(from, now)
	r.out.say("%s: an iteration takes %v (median of %d, without the %.0f %% that the host took)", d.Name, row.Before.Round(time.Millisecond), len(m.before), 100*row.HostBefore)
	return nil
}

// releaseAll starts the rogues.
func (m *machine) releaseAll(ctx context.Context, programs []drill.Program) error {
	for _, p := range programs {
		if _, err := m.release(ctx, p); err != nil {
			return fmt.Errorf("release %v: %w", p.Args, err)
		}
	}
	return nil
}

func describe(programs []drill.Program) string {
	if len(programs) == 0 {
		return "nothing"
	}
	var all []string
	for _, p := range programs {
		all = append(all, fmt.Sprintf("%s as uid %d", strings.Join(p.Args, " "), p.UID))
	}
	return strings.Join(all, ", ")
}
