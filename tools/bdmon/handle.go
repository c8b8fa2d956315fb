// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"syscall"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/tools/control"
)

// handle answers one request of bdctl.
func (d *daemonState) handle(ctx context.Context, who control.Peer, r control.Request, send func(any) error) error {
	switch r.Cmd {
	case "targets":
		all := []control.Target{}
		for _, w := range d.sorted() {
			all = append(all, w.describe())
		}
		return send(all)
	case "owners":
		return send(d.loop.owners())
	case "watch":
		return d.stream(ctx, r.Target, send)
	case "audit":
		return d.tail(r, send)
	}
	w := d.find(r.Target)
	if w == nil {
		return fmt.Errorf("no target %q is configured", r.Target)
	}
	switch r.Cmd {
	case "sensors":
		return send(control.Sensors(w.mon.Status().Readings))
	case "ps", "regions", "manifest":
		return w.show(ctx, r.Cmd, send)
	case "lock":
		answer, err := w.lockByHand(ctx, who, r)
		if err != nil {
			return err
		}
		return send(answer)
	case "unlock":
		return w.release("by " + who.String())
	case "fence":
		return w.fence(ctx, who, send)
	case "kill":
		return w.kill(ctx, who, r, send)
	case "hook":
		return w.hook(ctx, who, r, send)
	}
	return fmt.Errorf("unknown command %q", r.Cmd)
}

func (w *watch) show(ctx context.Context, what string, send func(any) error) error {
	t := w.mon.Target()
	if t == nil {
		return fmt.Errorf("target is not watched now: %s", w.mon.Status().Error)
	}
	var all any
	var err error
	switch what {
	case "regions":
		all = control.Regions(t)
	case "manifest":
		all, err = control.Manifest(ctx, t)
	default:
		all, err = control.Processes(ctx, t)
	}
	if err != nil {
		return err
	}
	return send(all)
}

func (w *watch) describe() control.Target {
	st := w.mon.Status()
	t := control.Target{
		Name: w.cfg.Name, URL: w.cfg.URL, Up: st.Up, Verdict: "ok", Error: st.Error, Carrier: st.Carrier.Carrier,
		Writable: w.owns(), PeriodUs: st.Plan.Period.Microseconds(), R: st.Plan.R, FetchUs: st.Fetch.Microseconds(),
		Samples: st.Samples, Lost: st.Lost, Late: st.Late, WorstLate: st.WorstLate.Microseconds(), AgeSeconds: st.LastAnswer.Seconds(),
		Locked: w.locked(), Events: w.events.Load(), Dropped: w.dropped.Load(),
	}
	if st.Verdict != 0 {
		t.Verdict = st.Verdict.String()
	}
	if t.Error == "" && len(st.Missing) > 0 {
		t.Error = "the target has no sensor " + strings.Join(st.Missing, ", ")
	} else if t.Error == "" && len(st.Unkept) > 0 {
		t.Error = "the deadline is too short to be kept: " + strings.Join(st.Unkept, ", ")
	}
	if target := w.mon.Target(); target != nil {
		t.Boot = target.BootID().String()
	} else {
		t.Verdict = "unknown"
	}
	return t
}

// kill posts one signal. Without a start time the process that has the pid now
// is meant, and named by its own.
func (w *watch) kill(ctx context.Context, who control.Peer, r control.Request, send func(any) error) error {
	t, err := w.writable()
	if err != nil {
		return err
	}
	if r.Start == 0 {
		if r.Start, err = startOf(ctx, t, r.PID); err != nil {
			return err
		}
	}
	k := backdoor.Kill{PID: r.PID, StartTime: r.Start, Signal: cmp.Or(r.Signal, uint32(syscall.SIGKILL))}
	leave, err := w.turn()
	if err != nil {
		return err
	}
	defer leave()
	if err := w.decide(t, who, "kill", map[string]any{"pid": k.PID, "start_ns": k.StartTime, "signal": k.Signal}); err != nil {
		return err
	}
	hooks, err := t.Hooks(w.cfg.Slot, w.key)
	if err != nil {
		return err
	}
	results, err := hooks.PostKills(ctx, []backdoor.Kill{k})
	done := control.Done{Result: uapi.ResultName(results[0].Result)}
	if err == nil {
		err = results[0].Err()
	}
	if gone := results[0].Result; gone == uapi.ResESRCH || gone == uapi.ResReused {
		err = fmt.Errorf("process %d: %w: %w", r.PID, err, control.ErrFalse)
	}
	w.note(t, "result", done, err)
	if err != nil {
		return err
	}
	return send(done)
}

func startOf(ctx context.Context, t *backdoor.Target, pid uint32) (uint64, error) {
	list, err := t.Tasks(ctx, backdoor.WalkOptions{})
	if err != nil {
		return 0, err
	}
	for i := range list.Tasks {
		if list.Tasks[i].PID == int32(pid) {
			return list.Tasks[i].StartTime, nil
		}
	}
	return 0, fmt.Errorf("no process %d: %w", pid, control.ErrFalse)
}

// hook turns a knob of the target's kernel.
func (w *watch) hook(ctx context.Context, who control.Peer, r control.Request, send func(any) error) error {
	t, err := w.writable()
	if err != nil {
		return err
	}
	knob, err := control.KnobByName(r.Knob)
	if err != nil {
		return err
	}
	k := backdoor.Knob{Knob: knob, Arg: r.Arg, Value: r.Value, StartTime: r.Start}
	if control.KnobNamesProcess(knob) && k.StartTime == 0 {
		if k.StartTime, err = startOf(ctx, t, r.Arg); err != nil {
			return err
		}
	}
	leave, err := w.turn()
	if err != nil {
		return err
	}
	defer leave()
	if err := w.decide(t, who, "hook", map[string]any{"knob": r.Knob, "arg": k.Arg, "value": k.Value}); err != nil {
		return err
	}
	hooks, err := t.Hooks(w.cfg.Slot, w.key)
	if err != nil {
		return err
	}
	before, err := hooks.PostKnob(ctx, k)
	w.note(t, "result", map[string]any{"before": before}, err)
	if err != nil {
		return err
	}
	return send(control.Done{Result: "done", Before: before})
}
