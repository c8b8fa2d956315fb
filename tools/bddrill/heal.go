// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lazystate/internal/pause"
	"lazystate/repair"
	"lazystate/repair/drill"
	"lazystate/sensorbox"
	"lazystate/tools/bdmon/daemon"
	"lazystate/tools/lab"
)

// heal runs a drill with repair and judges it.
func (r *runner) heal(ctx context.Context, d *drill.Drill) drillRun {
	out := drillRun{Drill: d.Name, Carrier: r.carrier, Repair: true, Expect: "healed"}
	if d.Harmless {
		out.Expect = "untouched"
	}
	out.Rogues = describe(d.Rogues)
	began := time.Now()
	err := r.healOn(ctx, d, &out)
	out.Took = time.Since(began)
	if err != nil {
		out.OK, out.Why = false, err.Error()
		r.out.say("%s: FAILED: %v", d.Name, err)
	}
	return out
}

func (r *runner) healOn(ctx context.Context, d *drill.Drill, out *drillRun) (err error) {
	m, err := r.fresh(ctx, d, out)
	if m != nil {
		defer func() {
			if down := m.down(); err == nil {
				err = down
			}
		}()
	}
	if err != nil {
		return err
	}
	if err := r.measure(ctx, d, m, out); err != nil {
		return err
	}
	w, err := r.watchOver(ctx, m, d, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	if err := pause.For(ctx, time.Second); err != nil {
		return err
	}
	innocents, err := m.vm.PS(ctx)
	if err != nil {
		return err
	}
	if err := w.lookout(ctx); err != nil {
		return err
	}
	if len(d.Rogues) > 0 {
		r.out.say("%s: released: %s", d.Name, describe(d.Rogues))
	}
	w.release()
	if err := m.releaseAll(ctx, d.Rogues); err != nil {
		return err
	}
	if d.Harmless {
		err = r.leaveAlone(ctx, d, m, w, out)
	} else {
		err = r.awaitHealing(ctx, d, m, w, out)
	}
	if err != nil {
		return fmt.Errorf("%w; the kernel's last words:\n%s", err, m.serialTail())
	}
	return r.bystanders(ctx, d, m, innocents, out)
}

// awaitHealing follows the repair and then the useful program.
func (r *runner) awaitHealing(ctx context.Context, d *drill.Drill, m *machine, w *watch, out *drillRun) error {
	released := time.Now()
	rep, err := r.follow(ctx, d, m, w)
	if err != nil {
		return err
	}
	s := w.state()
	out.fill(s, rep)
	out.During = m.useful.Between(released, rep.Repaired.Add(time.Second)).Quantile(1)
	r.out.say("%s: killed %d processes of uid %v in %v frozen; the useful program is watched for %v", d.Name, out.Killed, rep.Users, rep.Frozen.Round(time.Millisecond), r.after)
	if err := r.awaitWell(ctx, m, w, rep.Repaired, out); err != nil {
		return err
	}
	switch again := w.state(); {
	case again.err != nil:
		return again.err
	case again.kills > s.kills:
		return errors.New("a later incident had to kill again")
	}
	out.OK = true
	r.out.say("%s: HEALED %v after the limit was crossed", d.Name, out.Healed.Round(time.Millisecond))
	return nil
}

// awaitWell looks for half a minute in which the useful program is as fast as
// before and the sensors are below L at the end: a healed machine may need a
// moment to swap in again, so later half minutes count too.
func (r *runner) awaitWell(ctx context.Context, m *machine, w *watch, repaired time.Time, out *drillRun) error {
	base, err := w.eyes.sensors(ctx)
	if err != nil {
		return err
	}
	for start := repaired; ; start = start.Add(2 * time.Second) {
		if err := pause.For(ctx, time.Until(start.Add(r.after))); err != nil {
			return err
		}
		end := start.Add(r.after)
		after := m.iterations(start, end)
		now, err := w.eyes.sensors(ctx)
		if err != nil {
			return err
		}
		above := beyond(w.drill, now, base)
		out.After, out.RawAfter, out.HostAfter = after.Median(), m.useful.Between(start, end).Median(), m.host.share(start, end)
		if len(above) == 0 && after.AsBefore(m.before, r.well) {
			out.Healed = start.Sub(w.state().crossed)
			return nil
		}
		r.out.say("%s: not well yet: an iteration takes %v, before %v; beyond the limit: %q", w.drill.Name, out.After.Round(time.Millisecond), out.Before.Round(time.Millisecond), above)
		if time.Since(repaired) > healWithin {
			return fmt.Errorf("the useful program takes %v, before %v; beyond the limit: %q", out.After, out.Before, above)
		}
	}
}

// follow prints a line a second until repairs of all rogue users have ended
// well. Of several users one may cross the limits later than the first is
// accused: that is an incident of its own, and counts as one repair with it.
func (r *runner) follow(ctx context.Context, d *drill.Drill, m *machine, w *watch) (daemon.Incident, error) {
	within := m.patience()
	end := time.Now().Add(within)
	said, seen, all := false, 0, daemon.Incident{}
	for time.Now().Before(end) {
		s := w.state()
		if s.err != nil {
			return daemon.Incident{}, s.err
		}
		if !s.detected.IsZero() && !said {
			said = true
			r.out.say("%s: DETECTED %s after the crossing: %s", d.Name, at(s.detectedAfter(), s.bound), s.event)
		}
		for _, in := range s.incidents[seen:] {
			seen++
			r.out.say("%s: %s: %s after %d attempts, %d killed %s", d.Name, in.Healer, in.Result, in.Attempts, in.Killed, in.Reason())
			switch in.Result {
			case repair.Healed.String():
				if all = joined(all, in); accusedAll(d.Rogues, all.Users) {
					return all, nil
				}
			case repair.Aborted.String():
				return in, fmt.Errorf("repair was aborted: %s", in.Err)
			}
		}
		if last, ok := m.useful.Last(); ok && time.Since(last.At) > 3*time.Second {
			r.out.say("%s: no iteration of the useful program for %v", d.Name, time.Since(last.At).Round(time.Second))
		}
		for range 10 {
			if len(w.state().incidents) > seen {
				break
			}
			if err := pause.For(ctx, 100*time.Millisecond); err != nil {
				return daemon.Incident{}, err
			}
		}
	}
	return daemon.Incident{}, fmt.Errorf("not healed within %v", within.Round(time.Second))
}

func accusedAll(rogues []drill.Program, users []uint32) bool {
	return !slices.ContainsFunc(rogues, func(p drill.Program) bool { return !slices.Contains(users, uint32(p.UID)) })
}

// joined is what two incidents took together: diagnosed with the first,
// repaired with the last, and the cost of both.
func joined(a, b daemon.Incident) daemon.Incident {
	if len(a.Users) == 0 {
		return b
	}
	b.Diagnosed, b.Users = a.Diagnosed, append(slices.Clone(a.Users), b.Users...)
	b.Rounds, b.Frozen, b.Walk = a.Rounds+b.Rounds, a.Frozen+b.Frozen, a.Walk+b.Walk
	b.Reads, b.Batches = a.Reads+b.Reads, a.Batches+b.Batches
	return b
}

// leaveAlone runs a negative control: the monitor must not kill anybody.
func (r *runner) leaveAlone(ctx context.Context, d *drill.Drill, m *machine, w *watch, out *drillRun) error {
	length := r.quiet
	if d.Idle {
		length = r.idle
	}
	base, err := w.eyes.sensors(ctx)
	if err != nil {
		return err
	}
	if d.Crosses {
		if err := w.goesBeyond(ctx, base, m.patience()); err != nil {
			return err
		}
	}
	r.out.say("%s: left alone for %v", d.Name, length)
	if err := pause.For(ctx, length); err != nil {
		return err
	}
	s := w.state()
	for i := range s.incidents {
		r.out.say("%s: %s %s", d.Name, s.incidents[i].Result, s.incidents[i].Reason())
	}
	out.Killed = s.killed()
	out.Detected, out.Bound = s.detectedAfter(), s.bound
	switch {
	case s.err != nil:
		return s.err
	case s.kills > 0:
		return fmt.Errorf("a negative control: %d decisions to kill, %d processes killed", s.kills, out.Killed)
	}
	now := time.Now()
	then := now.Add(-min(length, r.after))
	out.After, out.RawAfter = m.iterations(then, now).Median(), m.useful.Between(then, now).Median()
	out.OK = true
	r.out.say("%s: nothing was killed", d.Name)
	return nil
}

// goesBeyond waits until a control has crossed L, or has woken the kernel's OOM
// handler: without that it shows nothing.
func (w *watch) goesBeyond(ctx context.Context, base map[string]sensorbox.Sensor, within time.Duration) error {
	for end := time.Now().Add(within); time.Now().Before(end); {
		now, err := w.eyes.sensors(ctx)
		if err != nil {
			return err
		}
		if !w.state().crossed.IsZero() || w.drill.Resource == drill.Memory && now[repair.SensorOOM].Value > base[repair.SensorOOM].Value {
			return nil
		}
		if err := pause.For(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return errors.New("the control never went beyond a limit: it shows nothing")
}

// bystanders compares the guest's own process list with the one before.
func (r *runner) bystanders(ctx context.Context, d *drill.Drill, m *machine, before []lab.Process, out *drillRun) error {
	after, err := m.vm.PS(ctx)
	if err != nil {
		return err
	}
	left := out.count(d, before, after)
	switch {
	case len(out.Harmed) > 0:
		return fmt.Errorf("bystanders are gone: %v", out.Harmed)
	case left > 0 && !d.Harmless:
		return fmt.Errorf("%d rogue processes are left or came back", left)
	}
	return nil
}

// count notes who lived before, was neither a rogue's nor a victim's, and lives no
// more, and returns how many of the rogues are left. A zombie is dead: it waits to
// be waited for. Another program under the same pid is not who lived before.
func (r *drillRun) count(d *drill.Drill, before, after []lab.Process) (left int) {
	alive, rogue, victim := map[lab.Process]bool{}, map[int]bool{}, map[int]bool{}
	for _, p := range d.Victims {
		victim[p.UID] = true
	}
	for _, p := range d.Rogues {
		rogue[p.UID] = true
	}
	for _, p := range after {
		if p.State == "Z" {
			continue
		}
		alive[whoever(p)] = true
		if rogue[p.UID] {
			left++
		}
	}
	for _, p := range before {
		if kernel := p.PPID == 2 || p.PID == 2; kernel || rogue[p.UID] || victim[p.UID] || p.State == "Z" {
			continue
		}
		r.Bystanders++
		if !alive[whoever(p)] {
			r.Harmed = append(r.Harmed, fmt.Sprintf("%d %s (uid %d)", p.PID, p.Comm, p.UID))
		}
	}
	return left
}

// whoever is a process without what changes while it lives.
func whoever(p lab.Process) lab.Process {
	p.State, p.PPID = "", 0
	return p
}
