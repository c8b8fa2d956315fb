// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"lazystate/backdoor"
	"lazystate/bench/guest"
	"lazystate/bench/result"
	"lazystate/internal/pause"
	"lazystate/sensorbox"
	"lazystate/sensorbox/monitor"
	"lazystate/tools/bdmon/daemon"
	"lazystate/tools/lab"
)

// How long things are looked at.
const (
	quietFor  = 5 * time.Second // before the fault: what is announced then is false
	growFor   = 8 * time.Second // that programs get to make the target sick
	settleFor = 5 * time.Second // between the fault and the first question
)

// trialRun is one run of a row: one boot.
type trialRun struct {
	row      *row
	target   *guest.Wired
	watches  map[guest.Carrier]*guest.Watch
	ends     []func() error
	rebooted bool
	quiet    time.Time
	struck   time.Time
	over     time.Time
	lines    map[string]*line
	columns  []string
	unable   bool  // this kernel cannot be broken so
	spoilt   error // what has nothing to do with the target went wrong: the run does not count
}

// measure makes one run and returns its lines.
func (s *series) measure(ctx context.Context, kernel string, r *row, run int) (lines []line, err error) {
	seed := s.seed + uint64(run)
	t := &trialRun{row: r, watches: map[guest.Carrier]*guest.Watch{}, lines: map[string]*line{}}
	t.target, err = guest.Wire(ctx, guest.WiredConfig{
		Name: fmt.Sprintf("survival-%d", os.Getpid()), NIC: s.nic, Seed: seed, Limits: daemon.Limits,
		Lab: lab.Config{Kernel: kernel, SwapMiB: 512, VCPUs: 2, MemMiB: 512, Login: true, Files: s.files},
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if down := t.close(); down != nil { // of a machine that is broken on purpose
			s.logf("%s on %s, run %d: take it down: %v", r.name, kernel, run, down)
		}
	}()
	t.newLines(s, kernel, run, seed)
	if err := t.prepare(ctx); err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	if err := t.breakIt(ctx); err != nil {
		return nil, fmt.Errorf("break it: %w", err)
	}
	if !t.unable {
		t.askAll(ctx, seed)
	}
	return t.result(), errors.Join(t.spoilt, ctx.Err())
}

func (t *trialRun) newLines(s *series, kernel string, run int, seed uint64) {
	add := func(column string) {
		t.columns = append(t.columns, column)
		t.lines[column] = &line{
			Kernel: kernel, Row: t.row.name, Run: run, Seed: seed, Column: column, Read: unasked, Locked: unasked, Repair: unasked,
			Release: t.target.VM.Release(), Machine: s.machine + ", " + t.target.VM.Info().Accel, Load: result.Load(), Source: s.source, Date: time.Now().UTC().Format("2006-01-02 15:04"),
		}
	}
	for _, c := range guest.Carriers {
		add(string(c))
	}
	for _, o := range outsiders {
		add(o.name)
	}
}

// prepare starts what is on the target and connects the monitors.
func (t *trialRun) prepare(ctx context.Context) error {
	ko, err := t.target.VM.ModuleFile("bd_inject")
	if err != nil {
		return err
	}
	if err := t.target.VM.Insmod(ctx, ko, "i_am_a_lab=1"); err != nil {
		return err
	}
	if t.row.canary {
		if _, err := t.target.VM.Start(ctx, lab.Proc{Argv: []string{"/bin/bdcanary"}}); err != nil {
			return err
		}
	}
	if err := t.services(ctx); err != nil {
		return err
	}
	o := monitor.Options{Detector: sensorbox.Config{Rules: map[string]sensorbox.Rule{}}}
	if t.row.canary {
		o.Detector.Rules[canarySensor] = sensorbox.Rule{}
	}
	for _, c := range guest.Carriers {
		if t.watches[c], err = t.target.StartWatch(ctx, c, o); err != nil {
			return err
		}
	}
	t.quiet = time.Now()
	err = pause.For(ctx, quietFor)
	for _, c := range guest.Carriers {
		s := t.watches[c].Monitor.Status()
		t.lines[string(c)].Samples, t.lines[string(c)].Lost = s.Samples, s.Lost
	}
	return err
}

// breakIt lets the fault strike and waits until it can be seen.
func (t *trialRun) breakIt(ctx context.Context) error {
	t.struck = time.Now()
	wait := settleFor
	var err error
	switch {
	case t.row.rogue != nil:
		wait += growFor
		err = t.release(ctx, t.row.rogue)
	case t.row.strike != nil:
		err = t.row.strike(ctx, t)
	}
	if errors.Is(err, errNotHere) {
		t.unable = true
		return nil
	}
	if err != nil {
		return err
	}
	return pause.For(ctx, wait)
}

// askAll asks everybody: all at once whether there is an answer, then one carrier
// after the other to lock and to repair.
func (t *trialRun) askAll(ctx context.Context, seed uint64) {
	t.over = time.Now()
	var asking sync.WaitGroup
	for _, c := range guest.Carriers {
		asking.Go(func() { t.askRead(ctx, c) })
	}
	for _, o := range outsiders {
		asking.Go(func() {
			l := t.lines[o.name]
			a := ask(ctx, askedWithin, func(ctx context.Context) error { return o.ask(ctx, t.target.VM) })
			l.Read, l.ReadFor = word(a), a.took
			l.note("", a.why)
		})
	}
	asking.Wait()
	for _, c := range turns(seed) {
		t.act(ctx, c)
	}
}

func (t *trialRun) askRead(ctx context.Context, c guest.Carrier) {
	l := t.lines[string(c)]
	h, err := t.hand(ctx, c)
	a := answer{}
	if err == nil {
		a = ask(ctx, readWithin, h.read)
	} else {
		a.why = err.Error()
	}
	l.Read, l.ReadFor = word(a), a.took
	l.note("read", a.why)
}

// hand is the carrier's monitor's own connection, of before the fault. Only after a
// reboot there is a new one, when the monitor has found it.
func (t *trialRun) hand(ctx context.Context, c guest.Carrier) (*hand, error) {
	h := &hand{carrier: c}
	h.slot, h.key = t.target.Who(c)
	for end := time.Now().Add(readWithin); ; {
		if h.target = t.watches[c].Monitor.Target(); h.target != nil && (!t.rebooted || h.target.Check(ctx) == nil) {
			return h, nil
		}
		if time.Now().After(end) || !t.rebooted {
			return h, errors.New("the monitor watches no target: " + t.watches[c].Monitor.Status().Error)
		}
		if err := pause.For(ctx, 100*time.Millisecond); err != nil {
			return h, err
		}
	}
}

// act lets one carrier lock and repair.
func (t *trialRun) act(ctx context.Context, c guest.Carrier) {
	l := t.lines[string(c)]
	h, err := t.hand(ctx, c)
	if c == guest.INIC {
		var mem backdoor.Memory
		if h, mem, err = t.writer(ctx); mem != nil {
			defer mem.Close()
		}
	}
	if err != nil {
		l.Locked, l.Repair = no, no
		l.note("act", err.Error())
		return
	}
	locked := ask(ctx, lockWithin, h.lock)
	l.Locked, l.LockFor = word(locked), locked.took
	l.note("lock", locked.why)
	bound := repairWithin
	if l.Read != yes && l.Locked != yes {
		bound = hopelessFor
	}
	mended := ask(ctx, bound, h.repair)
	l.Repair, l.MendFor = word(mended), mended.took
	l.note("repair", mended.why)
}

// writer takes over the one writer's place from bdnic.
func (t *trialRun) writer(ctx context.Context) (*hand, backdoor.Memory, error) {
	stopped := t.target.StopNIC()
	h := &hand{carrier: guest.INIC}
	h.slot, h.key = t.target.Who(guest.INIC)
	mem, err := t.target.Open(ctx, guest.INIC, true)
	if err != nil {
		t.spoilt = errors.Join(err, stopped)
		return nil, nil, err
	}
	h.target, err = backdoor.Open(ctx, mem)
	return h, mem, err
}

// result is what the run's lines say.
func (t *trialRun) result() []line {
	var all []line
	for _, name := range t.columns {
		l := t.lines[name]
		if t.unable {
			l.Read, l.Locked, l.Repair = notHere, notHere, notHere
			l.Note = errNotHere.Error()
		} else if w := t.watches[guest.Carrier(name)]; w != nil {
			d := judge(t.row, w.Said(t.quiet, t.struck), w.Said(t.struck, t.over), t.struck)
			l.Detect, l.Kind, l.False = d.after, d.kind, d.wrong
			l.note("", strings.TrimSuffix(d.detail, "; "))
		}
		all = append(all, *l)
	}
	return all
}

// note adds to the line's remarks.
func (l *line) note(what, why string) {
	if why == "" {
		return
	}
	if what != "" {
		why = what + ": " + why
	}
	if l.Note != "" {
		l.Note += "; "
	}
	why, _, _ = strings.Cut(why, "\n")
	l.Note += why[:min(len(why), 300)]
}

// close ends the monitors before what they watch.
func (t *trialRun) close() error {
	var errs []error
	for _, w := range t.watches {
		if w != nil {
			errs = append(errs, w.Stop())
		}
	}
	for _, end := range slices.Backward(t.ends) {
		_ = end()
	}
	return errors.Join(append(errs, t.target.Close())...)
}
