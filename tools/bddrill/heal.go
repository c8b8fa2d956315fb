// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"lazystate/repair"
	"lazystate/repair/drill"
	"lazystate/tools/lab"
)

// heal runs a drill with repair and judges it.
func (r *runner) heal(ctx context.Context, d *drill.Drill) drillRun {
	out := drillRun{Drill: d.Name, Repair: true, Expect: "healed"}
	if d.Harmless {
		out.Expect = "untouched"
	}
	err := r.healOn(ctx, d, &out)
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
	w := newWatch(m, d, true, r.audit, r.log())
	target, err := w.start(ctx)
	if err != nil {
		return err
	}
	defer w.stop()
	if err := sleep(ctx, time.Second); err != nil {
		return err
	}
	innocents, err := m.vm.PS(ctx)
	if err != nil {
		return err
	}
	w.lookout(ctx, target)
	r.out.say("%s: released: %s", d.Name, describe(d.Rogues))
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
	r.out.say("%s: killed %d processes of uid %v in %v frozen; the useful program is watched for %v", d.Name, out.Killed, rep.Users, rep.Frozen.Round(time.Millisecond), afterFor)
	// The healed machine may need a moment to swap in again.
	for start := rep.Repaired; ; start = start.Add(2 * time.Second) {
		if err := sleep(ctx, time.Until(start.Add(afterFor))); err != nil {
			return err
		}
		after := m.useful.Between(start, start.Add(afterFor))
		out.After = after.Median()
		if after.AsBefore(m.before, r.well) {
			out.Healed = start.Sub(s.crossed)
			break
		}
		if time.Since(rep.Repaired) > healWithin {
			return fmt.Errorf("the useful program takes %v, before %v", out.After, out.Before)
		}
	}
	if again := w.state(); again.incidents() > s.incidents() {
		return fmt.Errorf("a later incident had to kill again: %s", reason(again.reports[len(again.reports)-1]))
	}
	out.OK = true
	r.out.say("%s: HEALED %v after the limit was crossed", d.Name, out.Healed.Round(time.Millisecond))
	return nil
}

// follow prints a line a second until a repair has ended well.
func (r *runner) follow(ctx context.Context, d *drill.Drill, m *machine, w *watch) (repair.Report, error) {
	end := time.Now().Add(healWithin)
	said := false
	seen := 0
	for time.Now().Before(end) {
		s := w.state()
		if s.err != nil {
			return repair.Report{}, s.err
		}
		if !s.detected.IsZero() && !said {
			said = true
			r.out.say("%s: DETECTED %v after the crossing: %s", d.Name, s.detectedAfter().Round(time.Millisecond), s.event)
		}
		for _, rep := range s.reports[seen:] {
			seen++
			r.out.say("%s: %s: %v after %d attempts, %d killed %s", d.Name, rep.Healer, rep.Result, rep.Attempts, rep.Killed, reason(rep))
			switch rep.Result {
			case repair.Healed:
				return rep, nil
			case repair.Aborted:
				return rep, fmt.Errorf("repair was aborted: %w", rep.Err)
			}
		}
		if last, ok := m.useful.Last(); ok && time.Since(last.At) > 3*time.Second {
			r.out.say("%s: no iteration of the useful program for %v", d.Name, time.Since(last.At).Round(time.Second))
		}
		for range 10 {
			if len(w.state().reports) > seen {
				break
			}
			if err := sleep(ctx, 100*time.Millisecond); err != nil {
				return repair.Report{}, err
			}
		}
	}
	return repair.Report{}, fmt.Errorf("not healed within %v", healWithin)
}

func reason(r repair.Report) string {
	switch {
	case r.Err != nil:
		return "(" + r.Err.Error() + ")"
	case r.Verdict != nil && r.Verdict.Why != "":
		return "(" + r.Verdict.Why + ")"
	case r.Plan != nil && r.Plan.Why != "":
		return "(" + r.Plan.Why + ")"
	}
	return ""
}

// leaveAlone runs a negative control: the watch must not kill anybody.
func (r *runner) leaveAlone(ctx context.Context, d *drill.Drill, m *machine, w *watch, out *drillRun) error {
	if err := sleep(ctx, quietFor); err != nil {
		return err
	}
	s := w.state()
	for _, rep := range s.reports {
		out.Killed += rep.Killed
		r.out.say("%s: %v: %s", d.Name, rep.Result, reason(rep))
	}
	if out.Killed > 0 {
		return fmt.Errorf("%d processes were killed in a negative control", out.Killed)
	}
	out.After = m.useful.Between(time.Now().Add(-10*time.Second), time.Now()).Median()
	out.OK = true
	r.out.say("%s: nothing was killed", d.Name)
	return nil
}

// bystanders compares the guest's own process list with the one before: all
// are alive that are not of a rogue's uid, and of those none is left.
func (r *runner) bystanders(ctx context.Context, d *drill.Drill, m *machine, before []lab.Process, out *drillRun) error {
	after, err := m.vm.PS(ctx)
	if err != nil {
		return err
	}
	alive, rogue, victim := map[int]bool{}, map[int]bool{}, map[int]bool{}
	for _, p := range d.Victims {
		victim[p.UID] = true
	}
	for _, p := range d.Rogues {
		rogue[p.UID] = true
	}
	left := 0
	for _, p := range after {
		alive[p.PID] = true
		if rogue[p.UID] && p.State != "Z" {
			left++
		}
	}
	for _, p := range before {
		if kernel := p.PPID == 2 || p.PID == 2; !kernel && !rogue[p.UID] && !victim[p.UID] {
			out.Bystanders++
			if !alive[p.PID] {
				out.Harmed = append(out.Harmed, fmt.Sprintf("%d %s (uid %d)", p.PID, p.Comm, p.UID))
			}
		}
	}
	switch {
	case len(out.Harmed) > 0:
		return fmt.Errorf("bystanders are gone: %v", out.Harmed)
	case left > 0 && !d.Harmless:
		return fmt.Errorf("%d rogue processes are left or came back", left)
	}
	return nil
}
