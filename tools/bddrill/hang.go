// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"lazystate/backdoor"
	"lazystate/internal/cli"
	"lazystate/repair"
	"lazystate/repair/drill"
	"lazystate/sensorbox"
	"lazystate/tools/lab"
)

// hangs are the faults of bddrill hang, each on a machine of its own.
var hangs = []struct {
	name, trigger, about string
	cause                repair.HangCause
	partial              bool
}{
	{"hang-one", "spin 1 0", "one CPU of two spins with interrupts off", repair.HangSpin, true},
	{"hang-all", "spin 0-1 0", "both CPUs spin with interrupts off", repair.HangSpin, false},
	{"deadlock", "deadlock rtnl 0", "a global lock that is never released", repair.HangDeadlock, true},
	{"panic", "panic", "the kernel panics", repair.HangPanic, false},
}

// hangRow is one line of the table.
type hangRow struct {
	name, kernel, cause, detail, verdict string
	detected                             time.Duration
	err                                  error
}

// hang breaks machines in ways that no hook cures, and says so: exit 3.
func (r *runner) hang(ctx context.Context, stdout io.Writer) error {
	t := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "drill\tkernel\tdetected\tcause\tverdict\tevidence")
	var failed error
	for i := range hangs {
		row := r.hangOne(ctx, i)
		if row.err != nil {
			row.verdict = "FAILED: " + strings.SplitN(row.err.Error(), "\n", 2)[0]
			failed = errors.Join(failed, fmt.Errorf("%s: %w", row.name, row.err))
		}
		fmt.Fprintln(t, strings.Join([]string{row.name, row.kernel, short(row.detected), row.cause, row.verdict, row.detail}, "\t"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if failed != nil {
		return failed
	}
	r.out.say("hang: cannot be repaired in place: salvage or reset")
	return cli.ErrFalse
}

func (r *runner) hangOne(ctx context.Context, i int) (row hangRow) {
	h := &hangs[i]
	row.name = h.name
	d := *drill.ByName("forkbomb-cpu")
	d.Name, d.Decent = h.name, nil
	healthy := &drillRun{}
	m, err := r.fresh(ctx, &d, healthy)
	if m != nil {
		defer func() { row.err = errors.Join(row.err, m.down()) }()
	}
	if err != nil {
		row.err = err
		return row
	}
	row.kernel = m.vm.Release()
	if row.err = m.vm.Insmod(ctx, filepath.Join(r.modules, m.vm.Release(), "inject", "bd_inject.ko"), "i_am_a_lab=1"); row.err != nil {
		return row
	}
	w := newWatch(m, &d, false, r.audit, r.log())
	target, err := w.start(ctx)
	if err != nil {
		row.err = err
		return row
	}
	defer w.stop()
	if h.partial && h.cause == repair.HangSpin {
		if row.err = r.bombFirst(ctx, m, h.name); row.err != nil {
			return row
		}
	}
	row.err = r.breakIt(ctx, i, m, w, target, &row)
	return row
}

// breakIt pulls the trigger, waits for the detector and asks for the cause.
func (r *runner) breakIt(ctx context.Context, i int, m *machine, w *watch, target *backdoor.Target, row *hangRow) error {
	h := &hangs[i]
	if err := sleep(ctx, time.Second); err != nil {
		return err
	}
	r.out.say("%s: %s: %s", h.name, h.about, h.trigger)
	w.awaitHang()
	struck := time.Now()
	r.pull(ctx, m, h.trigger)
	if h.cause == repair.HangDeadlock {
		if err := r.fallIn(ctx, m); err != nil {
			return err
		}
	} else {
		at, event, err := w.hangSeen(ctx, 20*time.Second)
		if err != nil {
			return err
		}
		row.detected = at.Sub(struck)
		r.out.say("%s: DETECTED %v after the trigger: %s", h.name, row.detected.Round(time.Millisecond), event)
	}
	p := &repair.Patient{Name: m.vm.Name(), Target: target, Slot: 0, Key: m.key, Audit: r.audit}
	found, err := p.DiagnoseHang(ctx)
	if err != nil {
		return err
	}
	row.cause, row.detail = found.Cause.String(), evidence(found)
	r.out.say("%s: CAUSE %s: %s", h.name, found.Cause, row.detail)
	if found.Cause != h.cause {
		return fmt.Errorf("cause %v, expected %v: %s", found.Cause, h.cause, row.detail)
	}
	row.verdict = "cannot be repaired in place: salvage or reset"
	if !found.Repairable() {
		return nil
	}
	return r.repairTheRest(ctx, m, w, row)
}

// pull writes the trigger; where the fault strikes the writer, the write never returns.
func (r *runner) pull(ctx context.Context, m *machine, trigger string) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := m.vm.WriteFile(ctx, "/sys/module/bd_inject/parameters/trigger", []byte(trigger+"\n"), 0o200); err != nil && ctx.Err() == nil {
		r.out.say("trigger %q: %v", trigger, err)
	}
}

// fallIn lets three programs wait for the lock that nobody releases.
func (r *runner) fallIn(ctx context.Context, m *machine) error {
	for range 3 {
		if _, err := m.vm.Start(ctx, lab.Proc{Argv: []string{"/bin/busybox", "ip", "link", "set", "lo", "up"}}); err != nil {
			return err
		}
	}
	return sleep(ctx, time.Second)
}

// bombFirst lets a fork bomb fill the CPU that will be left. It goes off before
// the other hangs, for no program can be sure to start any more after that.
func (r *runner) bombFirst(ctx context.Context, m *machine, name string) error {
	rogue := drill.Program{Args: []string{"bomb-cpu", "200"}, UID: drill.RogueUID}
	r.out.say("%s: released on CPU 0: %s; nobody repairs yet", name, describe([]drill.Program{rogue}))
	_, err := m.vm.Start(ctx, lab.Proc{Argv: append([]string{guestRogue}, rogue.Args...), UID: rogue.UID, CPUs: []int{0}})
	if err != nil {
		return err
	}
	return sleep(ctx, 5*time.Second)
}

// repairTheRest heals that bomb through the CPU that is left.
func (r *runner) repairTheRest(ctx context.Context, m *machine, w *watch, row *hangRow) error {
	w.enable()
	d := *w.drill
	rep, err := r.follow(ctx, &d, m, w)
	if err != nil {
		return fmt.Errorf("the rest was not repaired: %w", err)
	}
	row.verdict += fmt.Sprintf("; through the other CPU %d processes were killed", rep.Killed)
	return nil
}

func evidence(h *repair.Hang) string {
	parts := []string{h.Detail}
	if h.CPUs != nil {
		parts = append(parts, strings.Join(h.CPUs, ", "))
	}
	if h.LockErr != nil {
		parts = append(parts, "freeze: "+h.LockErr.Error())
	}
	if h.Cause == repair.HangSpin && len(h.Running) > 0 {
		parts = append(parts, "running: "+strings.Join(h.Running, ", "))
	}
	return strings.Join(parts, "; ")
}

// awaitHang says that from now on a failure of the machine is the drill's.
func (w *watch) awaitHang() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hung = make(chan hangEvent, 1)
}

type hangEvent struct {
	at    time.Time
	event string
}

// noteHang runs on the sampling thread, with the lock held.
func (w *watch) noteHang(e sensorbox.Event) {
	switch e.Kind {
	case sensorbox.Failed, sensorbox.Panicked, sensorbox.Stalled:
		select {
		case w.hung <- hangEvent{time.Now(), e.String()}:
		default:
		}
	}
}

func (w *watch) hangSeen(ctx context.Context, bound time.Duration) (time.Time, string, error) {
	select {
	case h := <-w.hung:
		return h.at, h.event, nil
	case <-time.After(bound):
		return time.Time{}, "", fmt.Errorf("not detected within %v", bound)
	case <-ctx.Done():
		return time.Time{}, "", ctx.Err()
	}
}
