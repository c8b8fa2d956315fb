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

	"lazystate/internal/cli"
	"lazystate/internal/pause"
	"lazystate/repair"
	"lazystate/repair/drill"
	"lazystate/sensorbox"
	"lazystate/tools/control"
	"lazystate/tools/lab"
)

// hangKind is a fault of bddrill hang.
type hangKind struct {
	name, trigger, about string
	cause                repair.HangCause
	partial              bool // something can be repaired from the other CPU
}

// hangs are run each on a machine of its own.
var hangs = []hangKind{
	{"hang-one", "spin 1 0", "one CPU of two spins with interrupts off", repair.HangSpin, true},
	{"hang-all", "spin 0-1 0", "both CPUs spin with interrupts off", repair.HangSpin, false},
	{"deadlock", "deadlock rtnl 0", "a global lock that is never released", repair.HangDeadlock, false},
	{"panic", "panic", "the kernel panics", repair.HangPanic, false},
}

// hangsNamed returns the fault of that name, all for "hang".
func hangsNamed(name string) []*hangKind {
	var some []*hangKind
	for i := range hangs {
		if name == "hang" || name == hangs[i].name {
			some = append(some, &hangs[i])
		}
	}
	return some
}

const hangSeenWithin = time.Minute

// hangRow is one line of the table.
type hangRow struct {
	name, kernel, cause, detail, verdict string
	detected                             time.Duration
	err                                  error
}

// hang breaks machines in ways that no hook cures, and says so: exit 3.
func (r *runner) hang(ctx context.Context, stdout io.Writer, hangs []*hangKind) error {
	t := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "drill\tkernel\tdetected\tcause\tverdict\tevidence")
	var failed error
	for _, h := range hangs {
		row := r.hangOne(ctx, h)
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

func (r *runner) hangOne(ctx context.Context, h *hangKind) (row hangRow) {
	row.name = h.name
	d := *drill.ByName("forkbomb-cpu")
	d.Name, d.Decent = h.name, nil
	m, err := r.fresh(ctx, &d, &drillRun{})
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
	if row.err = r.beforehand(ctx, m, h); row.err != nil {
		return row
	}
	if row.err = r.breakIt(ctx, h, m, &d, &row); row.err == nil && h.partial {
		row.err = r.repairTheRest(ctx, m, &d, &row)
	}
	return row
}

// beforehand starts what must be there when the machine hangs: a canary that
// goes through the lock, or a bomb on the CPU that will be left.
func (r *runner) beforehand(ctx context.Context, m *machine, h *hangKind) error {
	switch {
	case h.cause == repair.HangDeadlock:
		return m.canary(ctx)
	case h.partial:
		return r.bombFirst(ctx, m, h.name)
	}
	return nil
}

// breakIt pulls the trigger, waits for the monitor's word and asks for the cause.
func (r *runner) breakIt(ctx context.Context, h *hangKind, m *machine, d *drill.Drill, row *hangRow) error {
	w, err := r.watchOver(ctx, m, d, false)
	if err != nil {
		return err
	}
	struck, seen, late, err := r.strike(ctx, h, m, w)
	// The diagnosis freezes the machine: the monitor hands over the writer's place.
	if err = errors.Join(err, w.stop()); err != nil {
		return err
	}
	row.detected = seen.Time.Sub(struck)
	r.out.say("%s: DETECTED %v after the trigger: %s", h.name, row.detected.Round(time.Millisecond), seen.Text)
	if late != nil {
		return late
	}
	found, err := r.diagnose(ctx, m)
	if err != nil {
		return err
	}
	row.cause, row.detail = found.Cause.String(), evidence(found)
	r.out.say("%s: CAUSE %s: %s", h.name, found.Cause, row.detail)
	row.detail = seen.Text + "; " + row.detail
	if found.Cause != h.cause || found.Repairable() != h.partial {
		return fmt.Errorf("cause %v, expected %v: %s", found.Cause, h.cause, row.detail)
	}
	row.verdict = "cannot be repaired in place: salvage or reset"
	return nil
}

// strike pulls the trigger and waits for the first sign; late says that it came
// after its deadline.
func (r *runner) strike(ctx context.Context, h *hangKind, m *machine, w *watch) (struck time.Time, seen control.Event, late, err error) {
	if err := pause.For(ctx, time.Second); err != nil {
		return struck, seen, nil, err
	}
	before, err := w.eyes.sensors(ctx)
	if err != nil {
		return struck, seen, nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, hangSeenWithin, fmt.Errorf("not detected within %v", hangSeenWithin))
	defer cancel()
	r.out.say("%s: %s: %s", h.name, h.about, h.trigger)
	signs, stamp := w.awaitHang(), make(chan time.Time, 1)
	go func() { stamp <- w.eyes.stamped(ctx) }()
	defer func() { cancel(); <-stamp }() // the eyes are closed after this
	struck = time.Now()
	r.pull(ctx, m, h.trigger)
	select {
	case seen = <-signs:
	case <-ctx.Done():
		return struck, seen, nil, context.Cause(ctx)
	}
	var died time.Time
	if seen.Kind == sensorbox.Panicked.String() {
		died = <-stamp
		stamp <- died
	}
	return struck, seen, tooLate(seen, died, shortest(before)), nil
}

// tooLate holds a sign against its deadline, which is L and a sample later; on a
// busy host more samples. A stamped panic has no L of its own: it is there when the
// machine dies, and is to be seen as soon as a clock that stands still would be.
func tooLate(seen control.Event, died time.Time, l time.Duration) error {
	after := time.Duration(seen.StallUs) * time.Microsecond
	if !died.IsZero() {
		after = seen.Time.Sub(died)
	} else if l = time.Duration(seen.Limit) * time.Microsecond; l == 0 {
		return nil // a suspicion, of sensors that have stalled before it
	}
	if after > 2*l {
		return fmt.Errorf("announced %v after it happened, the deadline is %v: %s", after.Round(time.Millisecond), l, seen.Text)
	}
	return nil
}

// shortest is the least L of the machine's clocks.
func shortest(box map[string]sensorbox.Sensor) (l time.Duration) {
	for _, s := range box {
		if own := time.Duration(s.Limit) * time.Microsecond; s.Flags&sensorbox.Clock != 0 && own > 0 && (l == 0 || own < l) {
			l = own
		}
	}
	return l
}

// diagnose asks for the cause as the one writer.
func (r *runner) diagnose(ctx context.Context, m *machine) (found *repair.Hang, err error) {
	mem, t, err := m.writer(ctx, r.carrier)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, mem.Close()) }()
	p := &repair.Patient{Name: m.vm.Name(), Target: t, Slot: 0, Key: m.key}
	return p.DiagnoseHang(ctx)
}

// pull writes the trigger; where the fault strikes the writer, the write never returns.
func (r *runner) pull(ctx context.Context, m *machine, trigger string) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := m.vm.WriteFile(ctx, "/sys/module/bd_inject/parameters/trigger", []byte(trigger+"\n"), 0o200); err != nil && ctx.Err() == nil {
		r.out.say("trigger %q: %v", trigger, err)
	}
}

// canarySensor is what bdcanary, as root, counts in.
const canarySensor = "0/CANARY"

// canary starts a program with a progress sensor whose each step takes the
// lock: clocks go on in a deadlock, only who waits can tell (§3.4.1).
func (m *machine) canary(ctx context.Context) (err error) {
	const log = "/tmp/bdcanary.log"
	if _, err := m.vm.Start(ctx, lab.Proc{Argv: []string{guestCanary}, Log: log}); err != nil {
		return err
	}
	eyes, err := m.look(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, eyes.close()) }()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		now, err := eyes.sensors(ctx)
		if err != nil {
			return err
		}
		if now[canarySensor].Value > 0 {
			return nil
		}
		if err := pause.For(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	said, err := m.vm.ReadFile(ctx, log)
	return errors.Join(fmt.Errorf("the canary makes no steps: %q", said), err)
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
	return pause.For(ctx, 5*time.Second)
}

// repairTheRest heals that bomb through the CPU that is left.
func (r *runner) repairTheRest(ctx context.Context, m *machine, d *drill.Drill, row *hangRow) (err error) {
	w, err := r.watchOver(ctx, m, d, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	rep, err := r.follow(ctx, d, m, w)
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

// signsOfHang are the events that tell of one. A stalled sensor of a program
// raises a suspicion, one of a clock is a failure (§3.9.3).
var signsOfHang = []string{
	sensorbox.Stalled.String(), sensorbox.Suspected.String(), sensorbox.Failed.String(), sensorbox.Panicked.String(),
}

// awaitHang says that from now on a failure of the machine is the drill's.
func (w *watch) awaitHang() <-chan control.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hung = make(chan control.Event, 1)
	return w.hung
}
